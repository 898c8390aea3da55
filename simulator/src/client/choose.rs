//! What a client does next.

use super::{BLOCK_SIZE, Phase, Task, Writing};
use crate::event::Index;
use crate::oracle::Change;
use crate::world::World;
use mammoth_namenode_core::api::{Command, Query};
use mammoth_protocol::DfsPath;

/// A path that the simulator made up, so it is valid.
pub(crate) fn path(text: &str) -> DfsPath {
    DfsPath::parse(text).expect("the simulator makes valid paths")
}

impl World {
    /// Chooses a task by chance among those that the client's view allows.
    pub(crate) fn choose_task(&mut self, index: Index) {
        let folder = self.clients[index].folder();
        if self.clients[index].doubt.is_some() {
            // The process before died in a call: find out what came of it before doing anything.
            self.settle_doubt(index);
            return;
        }
        if !self.clients[index].view.known.contains_key(&folder) {
            self.mkdir(index, folder);
            return;
        }
        match self.rng.below(100) {
            0..=9 => {
                let name = format!("{folder}/d{}", self.rng.below(3));
                self.mkdir(index, name);
            }
            10..=44 => self.write_new(index),
            45..=54 => self.append(index),
            55..=62 => self.delete(index),
            63..=74 => self.rename(index),
            75..=80 => self.set_replication(index),
            _ => self.read(index),
        }
    }

    fn simple(&mut self, index: Index, command: Command, change: Change) {
        self.clients[index].task = Task::Simple(change.clone());
        self.call(index, command, change);
    }

    fn mkdir(&mut self, index: Index, name: String) {
        if self.clients[index].view.known.contains_key(&name) {
            return self.client_idle(index);
        }
        self.coverage.hit("mkdir");
        let command = Command::Mkdirs { path: path(&name), mode: 0o755, create_parent: true };
        self.simple(index, command, Change::Mkdir(name));
    }

    /// A file name in the client's folder or one of its subfolders.
    fn file_name(&mut self, index: Index) -> String {
        let dirs = self.clients[index].view.dirs();
        let dir = self.rng.pick(&dirs).cloned().unwrap_or_default();
        format!("{dir}/f{}", self.rng.below(4))
    }

    fn write_new(&mut self, index: Index) {
        let name = self.file_name(index);
        let replication = if self.rng.chance(200) { 2 } else { 3 };
        self.coverage.hit(if self.clients[index].view.known.contains_key(&name) { "overwrite" } else { "create" });
        let command = Command::Create {
            path: path(&name),
            mode: 0o644,
            overwrite: true,
            create_parent: false,
            replication,
            block_size: BLOCK_SIZE,
            client: self.clients[index].name(),
        };
        let change = Change::Create(name.clone(), replication);
        let blocks_left = self.rng.below(4);
        self.clients[index].task = Task::Write(self.writing(name, blocks_left));
        self.call(index, command, change);
    }

    fn writing(&mut self, path: String, blocks_left: u64) -> Writing {
        self.writers += 1;
        Writing {
            path,
            file: None,
            blocks_left,
            done: Vec::new(),
            previous: None,
            current: None,
            phase: Phase::Opening,
            writer: self.writers,
            exclude: Vec::new(),
        }
    }

    fn append(&mut self, index: Index) {
        let closed = self.clients[index].view.closed_files();
        let Some(name) = self.rng.pick(&closed).cloned() else { return self.client_idle(index) };
        self.coverage.hit("append");
        let command = Command::Append { path: path(&name), client: self.clients[index].name(), new_block: false };
        let blocks_left = self.rng.below(2);
        self.clients[index].task = Task::Write(self.writing(name.clone(), blocks_left));
        self.call(index, command, Change::Reopen(name));
    }

    fn delete(&mut self, index: Index) {
        let all: Vec<String> = self.clients[index].view.known.keys().skip(1).cloned().collect();
        let Some(name) = self.rng.pick(&all).cloned() else { return self.client_idle(index) };
        self.coverage.hit("delete");
        let command = Command::Delete { path: path(&name), recursive: true };
        self.simple(index, command, Change::Delete(name));
    }

    fn rename(&mut self, index: Index) {
        let all: Vec<String> = self.clients[index].view.known.keys().skip(1).cloned().collect();
        let target = self.file_name(index);
        let Some(name) = self.rng.pick(&all).cloned() else { return self.client_idle(index) };
        if self.clients[index].view.known.contains_key(&target) || crate::oracle::is_below(&target, &name) {
            return self.client_idle(index);
        }
        self.coverage.hit("rename");
        let command = if self.rng.chance(500) {
            Command::Rename { src: path(&name), dst: path(&target) }
        } else {
            Command::Rename2 { src: path(&name), dst: path(&target), overwrite: false }
        };
        self.simple(index, command, Change::Rename(name, target));
    }

    fn set_replication(&mut self, index: Index) {
        let files = self.clients[index].view.files();
        let Some(name) = self.rng.pick(&files).cloned() else { return self.client_idle(index) };
        let replication = if self.rng.chance(500) { 2 } else { 3 };
        self.coverage.hit("set replication");
        let command = Command::SetReplication { path: path(&name), replication };
        self.simple(index, command, Change::SetReplication(name, replication));
    }

    fn read(&mut self, index: Index) {
        let files = self.clients[index].view.files();
        let Some(name) = self.rng.pick(&files).cloned() else { return self.client_idle(index) };
        self.coverage.hit("read");
        self.clients[index].task = Task::Read(name.clone());
        self.ask(index, Query::BlockLocations { path: path(&name), offset: 0, len: u64::MAX });
    }
}
