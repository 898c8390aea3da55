//! What a client does next.

use super::{BLOCK_SIZE, Phase, Task, Writing};
use crate::event::Index;
use crate::oracle::{Change, is_below, length};
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
            return self.settle_doubt(index);
        }
        if !self.clients[index].view.known.contains_key(&folder) {
            return self.mkdir(index, folder);
        }
        match self.sim.rng.below(100) {
            0..=7 => {
                let name = format!("{folder}/d{}", self.sim.rng.below(3));
                self.mkdir(index, name);
            }
            8..=39 => self.write_new(index),
            40..=53 => self.append(index),
            54..=59 => self.delete(index),
            60..=67 => self.rename(index),
            68..=72 => self.set_replication(index),
            73..=75 => self.truncate(index),
            76 => self.concat(index),
            77 => self.change_attributes(index),
            78..=80 => self.create_again(index),
            81..=90 => self.recover_lease(index),
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
        let command = Command::Mkdirs { path: path(&name), mode: 0o755, create_parent: true };
        self.simple(index, command, Change::Mkdir(name));
    }

    /// A file name in the client's folder or one of its subfolders.
    fn file_name(&mut self, index: Index) -> String {
        let dirs = self.clients[index].view.dirs();
        let dir = self.sim.rng.pick(&dirs).cloned().unwrap_or_default();
        format!("{dir}/f{}", self.sim.rng.below(4))
    }

    fn some_path(&mut self, index: Index) -> Option<String> {
        let all: Vec<String> = self.clients[index].view.known.keys().skip(1).cloned().collect();
        self.sim.rng.pick(&all).cloned()
    }

    fn some_file(&mut self, index: Index) -> Option<String> {
        let files = self.clients[index].view.files();
        self.sim.rng.pick(&files).cloned()
    }

    fn some_replication(&mut self) -> u16 {
        match self.sim.rng.below(100) {
            0..=14 => 1,
            15..=39 => 2,
            _ => 3,
        }
    }

    fn creation(&self, index: Index, name: &str, overwrite: bool, replication: u16) -> Command {
        Command::Create {
            path: path(name),
            mode: 0o644,
            overwrite,
            create_parent: false,
            replication,
            block_size: BLOCK_SIZE,
            client: self.clients[index].name(),
        }
    }

    fn write_new(&mut self, index: Index) {
        let name = self.file_name(index);
        let replication = self.some_replication();
        if self.clients[index].view.known.contains_key(&name) {
            if self.clients[index].view.dirs().contains(&name) {
                return self.client_idle(index);
            }
            self.sim.coverage.hit("overwrite");
        }
        let command = self.creation(index, &name, true, replication);
        let change = Change::Create(name.clone(), replication);
        // More than a file's own row of blocks holds, now and then.
        let blocks_left = if self.sim.rng.chance(100) { 4 + self.sim.rng.below(4) } else { self.sim.rng.below(4) };
        self.clients[index].task = Task::Write(self.writing(name, blocks_left));
        self.call(index, command, change);
    }

    fn writing(&mut self, path: String, blocks_left: u64) -> Writing {
        self.writers += 1;
        let pace_ms = if self.sim.rng.chance(150) { 4_000 } else { 150 };
        Writing {
            pace_ms,
            opened_as: path.clone(),
            path,
            file: None,
            blocks_left,
            done: Vec::new(),
            sure: 0,
            previous: None,
            current: None,
            phase: Phase::Opening,
            writer: self.writers,
            exclude: Vec::new(),
        }
    }

    /// Goes on with a file that the client closed, or that somebody has to close first.
    fn append(&mut self, index: Index) {
        let Some(name) = self.some_file(index) else { return self.client_idle(index) };
        if let Some(last) = self.clients[index].view.blocks(&name).last() {
            if !self.is_known(*last) {
                return self.client_idle(index);
            }
            self.fair.single(*last);
        }
        let command = Command::Append { path: path(&name), client: self.clients[index].name(), new_block: false };
        let blocks_left = self.sim.rng.below(2);
        self.clients[index].task = Task::Write(self.writing(name.clone(), blocks_left));
        self.call(index, command, Change::Reopen(name));
    }

    /// Cuts a file that the client closed: to whole blocks, or within one.
    fn truncate(&mut self, index: Index) {
        let Some(name) = self.some_file(index) else { return self.client_idle(index) };
        let Some(blocks) = self.clients[index].view.closed(&name).cloned() else { return self.client_idle(index) };
        let mut after = Vec::new();
        let total: u64 = blocks.iter().map(|(_, history)| length(history)).sum();
        let len = self.sim.rng.below(total + 1);
        let mut left = len;
        for (id, mut history) in blocks {
            let whole = length(&history);
            if left == 0 {
                break;
            }
            if left < whole {
                if !self.is_known(id) {
                    return self.client_idle(index);
                }
                self.fair.single(id);
            }
            crate::datanode::cut(&mut history, left);
            left -= left.min(whole);
            after.push((id, history));
        }
        let command = Command::Truncate { path: path(&name), len, client: self.clients[index].name() };
        self.simple(index, command, Change::Truncate(name, after));
    }

    /// Joins closed files of one folder.
    fn concat(&mut self, index: Index) {
        let Some(target) = self.some_file(index) else { return self.client_idle(index) };
        let view = &self.clients[index].view;
        let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let fits = |path: &String| {
            let closed = view.closed(path).is_some_and(|blocks| !blocks.is_empty());
            closed && *path != target && folder(path) == folder(&target)
        };
        let mut sources: Vec<String> = view.files().into_iter().filter(fits).collect();
        if sources.is_empty() || view.closed(&target).is_none() {
            return self.client_idle(index);
        }
        if view.replication(&target) == 1 {
            // From now on one replica of each is all there is.
            let blocks: Vec<_> = sources.iter().flat_map(|source| view.blocks(source)).collect();
            if !blocks.iter().all(|id| self.is_known(*id)) {
                return self.client_idle(index);
            }
            blocks.into_iter().for_each(|id| self.fair.single(id));
        }
        if self.sim.rng.chance(500) {
            sources.reverse();
        }
        sources.truncate(2);
        let paths = sources.iter().map(|source| path(source)).collect();
        let command = Command::Concat { target: path(&target), sources: paths };
        self.simple(index, command, Change::Concat(target, sources));
    }

    fn delete(&mut self, index: Index) {
        let Some(name) = self.some_path(index) else { return self.client_idle(index) };
        let command = Command::Delete { path: path(&name), recursive: true };
        self.simple(index, command, Change::Delete(name));
    }

    fn rename(&mut self, index: Index) {
        let (name, target) = (self.some_path(index), self.file_name(index));
        let Some(name) = name else { return self.client_idle(index) };
        if self.clients[index].view.known.contains_key(&target) || is_below(&target, &name) {
            return self.client_idle(index);
        }
        let command = self.renaming(&name, &target);
        self.simple(index, command, Change::Rename(name, target));
    }

    fn renaming(&mut self, from: &str, to: &str) -> Command {
        if self.sim.rng.chance(500) {
            Command::Rename { src: path(from), dst: path(to) }
        } else {
            Command::Rename2 { src: path(from), dst: path(to), overwrite: false }
        }
    }

    /// A file that is being written gets another name; `false` if there is no free one.
    pub(super) fn rename_in_between(&mut self, index: Index, writing: &mut Writing) -> bool {
        let (from, to) = (writing.path.clone(), self.file_name(index));
        if self.clients[index].view.known.contains_key(&to) {
            return false;
        }
        self.sim.coverage.hit("rename of a file that is being written");
        let command = self.renaming(&from, &to);
        writing.phase = Phase::Renaming;
        self.clients[index].task = Task::Write(writing.clone());
        self.call(index, command, Change::Rename(from, to));
        true
    }

    fn set_replication(&mut self, index: Index) {
        let Some(name) = self.some_file(index) else { return self.client_idle(index) };
        let mut replication = self.some_replication();
        if replication == 1 {
            let blocks = self.clients[index].view.blocks(&name);
            if blocks.iter().all(|id| self.is_known(*id)) {
                blocks.into_iter().for_each(|id| self.fair.single(id));
            } else {
                replication = 2;
            }
        }
        let command = Command::SetReplication { path: path(&name), replication };
        self.simple(index, command, Change::SetReplication(name, replication));
    }

    fn change_attributes(&mut self, index: Index) {
        let Some(name) = self.some_path(index) else { return self.client_idle(index) };
        let command = match self.sim.rng.below(3) {
            0 => Command::SetPermission { path: path(&name), mode: 0o600 },
            1 => Command::SetOwner { path: path(&name), owner: Some("other".to_owned()), group: None },
            _ => Command::SetTimes { path: path(&name), mtime_ms: Some(self.sim.rng.below(1 << 40)), atime_ms: None },
        };
        self.simple(index, command, Change::Inner);
    }

    /// Creates a file that is there already, open or closed, without leave to replace it.
    fn create_again(&mut self, index: Index) {
        let Some(name) = self.some_file(index) else { return self.client_idle(index) };
        let command = self.creation(index, &name, false, 3);
        self.clients[index].task = Task::Futile;
        self.call(index, command, Change::Inner);
    }

    /// Takes the lease of a file that a client left open, or that another one is writing.
    fn recover_lease(&mut self, index: Index) {
        let mut open = self.clients[index].view.open_files();
        if self.sim.rng.chance(300) {
            let writers = self.clients.iter().filter_map(|client| match &client.task {
                Task::Write(writing) => Some(writing.path.clone()),
                _ => None,
            });
            open = writers.collect();
        }
        let Some(name) = self.sim.rng.pick(&open).cloned() else { return self.client_idle(index) };
        let command = Command::RecoverLease { path: path(&name), client: self.clients[index].name() };
        self.clients[index].task = Task::Free;
        self.call(index, command, Change::Inner);
    }

    fn read(&mut self, index: Index) {
        let Some(name) = self.some_file(index) else { return self.client_idle(index) };
        self.clients[index].task = Task::Read(name.clone());
        self.ask(index, Query::BlockLocations { path: path(&name), offset: 0, len: u64::MAX });
    }
}
