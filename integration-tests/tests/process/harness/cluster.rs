//! A real cluster in a temporary folder, every daemon a process, any free ports. When a test ends, nothing of it may remain.

use super::connections::chain;
use super::disks::{Disk, SmallDisks, fill};
use super::poll;
use super::programs::{Run, program, run};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What fills a disk.
const FILLER: &str = "filler";
/// What a disk that can break is made of.
const DISK_FILE: &str = "disk";

/// How a test's cluster differs from the default.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How many datanodes.
    pub(crate) datanodes: u16,
    /// How many tasktrackers; 0 = no jobtracker either.
    pub(crate) tasktrackers: u16,
    /// Settings of all daemons and of the shell.
    pub(crate) settings: Vec<(String, String)>,
    /// All daemons in one process.
    pub(crate) embedded: bool,
    /// Daemons whose data lies on a file system of so many MiB.
    pub(crate) disks: Vec<(String, u64)>,
    /// Of these, the one whose disk can break.
    pub(crate) breaks: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { datanodes: 3, tasktrackers: 0, settings: Vec::new(), embedded: false, disks: Vec::new(), breaks: None }
    }
}

impl Options {
    /// Timeouts so short that a test sees what a cluster does in minutes: a datanode is dead after about 3 s of silence, a
    /// stuck pipeline is noticed after 3 s, a lease can be taken over after 2 s.
    pub(crate) fn fast() -> Self {
        let options = Self::default()
            .set("dfs.heartbeat.interval", "200ms")
            .set("dfs.namenode.heartbeat.recheck-interval", "500")
            .set("dfs.namenode.stale.datanode.interval", "1000")
            .set("dfs.namenode.redundancy.interval.seconds", "200ms")
            .set("dfs.namenode.reconstruction.pending.timeout-sec", "5")
            .set("mammoth.namenode.lease-soft-limit", "2s")
            .set("dfs.client.socket-timeout", "3000");
        options.blocks(1 << 20)
    }

    /// One more setting.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// How many datanodes.
    pub(crate) fn datanodes(mut self, datanodes: u16) -> Self {
        self.datanodes = datanodes;
        self
    }

    /// So many tasktrackers with two cores each, given up after 2 s of silence, and a jobtracker.
    pub(crate) fn jobs(mut self, tasktrackers: u16) -> Self {
        self.tasktrackers = tasktrackers;
        self.set("mapreduce.jobtracker.expire.trackers.interval", "2000")
            .set("mammoth.tasktracker.cores", "2")
            .set("mammoth.tasktracker.memory-mb", "2048")
            .set("mapreduce.map.memory.mb", "256")
            .set("mapreduce.reduce.memory.mb", "256")
    }

    /// Block size in bytes.
    pub(crate) fn blocks(self, bytes: u64) -> Self {
        self.set("dfs.blocksize", &bytes.to_string())
    }

    /// The data of these daemons lies on a file system of so many MiB each.
    pub(crate) fn disks(mut self, names: &[&str], mib: u64) -> Self {
        self.disks.extend(names.iter().map(|name| ((*name).to_owned(), mib)));
        self
    }

    /// The data of this daemon lies on a disk of so many MiB that can break.
    pub(crate) fn breaking_disk(mut self, name: &str, mib: u64) -> Self {
        self.breaks = Some(name.to_owned());
        self.disks(&[name], mib)
    }

    fn defines(&self) -> Vec<String> {
        self.settings.iter().flat_map(|(key, value)| ["-D".to_owned(), format!("{key}={value}")]).collect()
    }
}

/// A running cluster.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    options: Options,
    disks: Option<SmallDisks>,
}

impl Cluster {
    /// Starts one and waits for `ready`.
    #[track_caller]
    pub(crate) fn start(options: Options) -> Self {
        Self::start_on_disks(options).unwrap_or_else(|reason| panic!("no small file systems: {reason}"))
    }

    /// Starts one with small disks, if this machine can have such.
    ///
    /// # Errors
    /// Why it cannot.
    #[track_caller]
    pub(crate) fn start_on_disks(options: Options) -> Result<Self, String> {
        Self::start_in(Self::fresh_folder(), options)
    }

    /// A folder for a cluster.
    pub(crate) fn fresh_folder() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("mammoth-test-").tempdir().expect("a temporary folder")
    }

    /// As [`Self::start_on_disks`], in a folder that somebody has looked at before.
    ///
    /// # Errors
    /// As [`Self::start_on_disks`].
    #[track_caller]
    pub(crate) fn start_in(dir: tempfile::TempDir, options: Options) -> Result<Self, String> {
        let folder = |name: &str| dir.path().join("data").join(name);
        let kind = |name: &String| {
            if options.breaks.as_ref() == Some(name) { Disk::Breaks(dir.path().join(DISK_FILE)) } else { Disk::Fills }
        };
        let disks: Vec<_> = options.disks.iter().map(|(name, mib)| (folder(name), *mib, kind(name))).collect();
        let disks = if disks.is_empty() { None } else { Some(SmallDisks::mount(&disks)?) };
        let cluster = Self { dir, options, disks };
        for _ in 0..4 {
            let up = cluster.up();
            if up.code == 0 {
                return Ok(cluster);
            }
            // Somebody else took a port between its choice and its use.
            assert!(up.err.contains("Address already in use"), "{}", up.err);
            std::fs::remove_file(cluster.dir.path().join("plan.json")).expect("the plan is there");
        }
        cluster.up().ok();
        Ok(cluster)
    }

    /// The program `mammoth`, to run where the cluster's disks are.
    fn mammoth(&self, verb: &str) -> Command {
        let program = program("mammoth");
        let mut command = match &self.disks {
            Some(disks) => disks.command(&program),
            None => Command::new(program),
        };
        command.arg(verb).arg("--dir").arg(self.dir.path());
        command
    }

    /// `mammoth up` on the cluster's folder.
    #[track_caller]
    pub(crate) fn up(&self) -> Run {
        let mut command = self.mammoth("up");
        command.args(["--detach", "--port-base", "0"]);
        command.args(["--datanodes", &self.options.datanodes.to_string()]);
        command.args(["--tasktrackers", &self.options.tasktrackers.to_string()]);
        if !self.options.embedded {
            command.arg("--processes");
        }
        command.args(self.options.defines());
        let up = run(&mut command, b"", Duration::from_secs(130));
        assert!(up.code != 0 || up.text().ends_with("ready\n"), "no `ready`: {}", up.text());
        up
    }

    /// `mammoth down`.
    #[track_caller]
    pub(crate) fn down(&self) -> Run {
        run(&mut self.mammoth("down"), b"", Duration::from_secs(60))
    }

    /// `mammoth restart NAME`.
    #[track_caller]
    pub(crate) fn restart(&self, name: &str) -> Run {
        run(self.mammoth("restart").arg(name), b"", Duration::from_secs(60))
    }

    /// `cluster.json`.
    pub(crate) fn running(&self) -> Value {
        let text = std::fs::read(self.dir.path().join("cluster.json")).expect("cluster.json is there");
        serde_json::from_slice(&text).expect("cluster.json is JSON")
    }

    fn daemon(&self, name: &str) -> Value {
        let running = self.running();
        let daemons = running["daemons"].as_array().expect("a list of daemons");
        daemons.iter().find(|d| d["name"] == name).unwrap_or_else(|| panic!("no daemon {name}")).clone()
    }

    /// Process of a daemon.
    pub(crate) fn pid(&self, name: &str) -> Pid {
        let pid = self.daemon(name)["pid"].as_i64().expect("a pid");
        Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero")
    }

    /// One of a daemon's addresses: `rpc`, `http`, `internal`, `transfer`, `ipc`.
    pub(crate) fn addr(&self, name: &str, door: &str) -> std::net::SocketAddr {
        self.daemon(name)[door].as_str().expect("an address").parse().expect("an address")
    }

    /// Data folder of a daemon, as the test sees it.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(self.daemon(name)["data"].as_str().expect("a folder"));
        self.disks.as_ref().map_or_else(|| folder.clone(), |disks| disks.seen(&folder))
    }

    /// Somebody else fills the daemon's disk, but for so many bytes.
    pub(crate) fn fill(&self, name: &str, left: u64) {
        fill(&self.data(name).join(FILLER), left);
    }

    /// The disk breaks: nothing of it can be read that is not in memory, and what is in memory of its files is forgotten.
    pub(crate) fn break_disk(&self, name: &str) {
        let files = files_below(&self.data(name));
        let folder = std::fs::File::open(self.data(name)).expect("the disk still works");
        rustix::fs::syncfs(&folder).expect("the disk still works");
        let disk = self.dir.path().join(DISK_FILE);
        std::fs::OpenOptions::new().write(true).open(&disk).and_then(|disk| disk.set_len(0)).expect("cut");
        for file in &files {
            let Ok(file) = std::fs::File::open(file) else { continue };
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("forgotten");
        }
        let devices =
            run(Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(&disk), b"", Duration::from_secs(10));
        for device in devices.ok().text().lines() {
            run(Command::new("blockdev").args(["--flushbufs", device.trim()]), b"", Duration::from_secs(10)).ok();
        }
    }

    /// That somebody makes room again.
    pub(crate) fn make_room(&self, name: &str) {
        std::fs::remove_file(self.data(name).join(FILLER)).expect("the filler is there");
    }

    /// The log of a daemon.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("logs").join(format!("{name}.log"))).expect("a log")
    }

    /// What the daemons and the shell are told besides the defaults.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.options.settings
    }

    /// A file that a daemon wrote beside its log.
    pub(crate) fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("logs").join(name)).expect("a file")
    }

    /// Sends a signal to a daemon.
    pub(crate) fn signal(&self, name: &str, signal: Signal) {
        rustix::process::kill_process(self.pid(name), signal).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    /// Kills a daemon and waits until it is gone.
    pub(crate) fn kill(&self, name: &str) {
        let pid = self.pid(name);
        self.signal(name, Signal::KILL);
        poll(&format!("{name} dies"), Duration::from_secs(10), || {
            if alive(pid) { Err("alive".to_owned()) } else { Ok(()) }
        });
    }

    /// The configuration that the cluster leaves for its clients.
    pub(crate) fn conf(&self) -> PathBuf {
        self.dir.path().join("conf")
    }

    /// `hdfs://host:port`.
    pub(crate) fn fs(&self) -> String {
        format!("hdfs://{}", self.addr("namenode", "rpc"))
    }

    /// A `dfs` command, ready to run or to start.
    pub(crate) fn dfs_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("dfs"));
        command.env("MAMMOTH_FS", self.fs()).args(self.options.defines()).args(args);
        command
    }

    /// Runs a `dfs` command; a minute is long enough for any.
    #[track_caller]
    pub(crate) fn dfs(&self, args: &[&str]) -> Run {
        self.dfs_with(args, b"")
    }

    /// Runs a `dfs` command with these bytes on standard input.
    #[track_caller]
    pub(crate) fn dfs_with(&self, args: &[&str], input: &[u8]) -> Run {
        run(&mut self.dfs_command(args), input, Duration::from_secs(60))
    }

    /// A `mapred` command, ready to run or to start.
    pub(crate) fn mapred_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("mapred"));
        command.env("MAMMOTH_FS", self.fs()).env("MAMMOTH_JOBTRACKER", self.jobtracker());
        command.args(self.options.defines()).args(args);
        command
    }

    /// `http://host:port` of the jobtracker.
    pub(crate) fn jobtracker(&self) -> String {
        format!("http://{}", self.addr("jobtracker", "http"))
    }

    /// Runs a `mapred` command; two minutes are long enough for any.
    #[track_caller]
    pub(crate) fn mapred(&self, args: &[&str]) -> Run {
        run(&mut self.mapred_command(args), b"", Duration::from_secs(120))
    }

    /// All lines of the files of a job's output, sorted.
    #[track_caller]
    pub(crate) fn output(&self, path: &str) -> Vec<String> {
        let text = self.dfs(&["cat", &format!("{path}/part-*")]).ok().text();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Runs lines of `sh` as a person would: the programs are in the path, nothing of the test's settings is given.
    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> Run {
        let programs = program("dfs").parent().expect("a folder").display().to_string();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).current_dir(self.dir.path()).env("PATH", path);
        for variable in ["MAMMOTH_FS", "MAMMOTH_HTTP", "MAMMOTH_JOBTRACKER", "HADOOP_CONF_DIR"] {
            shell.env_remove(variable);
        }
        run(&mut shell, b"", Duration::from_secs(60))
    }

    /// Stores bytes as a file.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        self.dfs_with(&["put", "-", path], bytes).ok();
    }

    /// Bytes of a file.
    #[track_caller]
    pub(crate) fn cat(&self, path: &str) -> Vec<u8> {
        self.dfs(&["cat", path]).ok().out
    }

    /// JSON from a door of a daemon.
    ///
    /// # Errors
    /// No answer, or no JSON.
    pub(crate) fn json(&self, name: &str, path: &str) -> Result<Value, String> {
        serde_json::from_str(&self.page(name, path)?).map_err(|e| e.to_string())
    }

    /// What a door of a daemon answers.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(crate) fn page(&self, name: &str, path: &str) -> Result<String, String> {
        let url = format!("http://{}{path}", self.addr(name, "http"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let get = async {
            let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
            client.get(&url).send().await?.error_for_status()?.text().await
        };
        runtime.block_on(get).map_err(|e| format!("{url}: {e}"))
    }

    /// The namenode's state.
    ///
    /// # Errors
    /// No answer.
    pub(crate) fn status(&self) -> Result<Value, String> {
        self.json("namenode", "/api/v1/status")
    }

    /// No block has too few replicas, or too many, and none is copied.
    ///
    /// # Errors
    /// What there is to repair, or no answer.
    pub(crate) fn repaired(&self) -> Result<(), String> {
        let health = self.status()?["health"].clone();
        let rest = ["under_replicated", "over_replicated", "misplaced", "pending_copies"];
        if rest.iter().all(|name| health[*name] == 0) { Ok(()) } else { Err(health.to_string()) }
    }

    /// Blocks of a file, a last one under construction included.
    ///
    /// # Errors
    /// No such file, no answer.
    pub(crate) fn blocks(&self, path: &str) -> Result<Vec<BlockOf>, String> {
        let answer = self.json("namenode", &format!("/api/v1/blocks?path={path}"))?;
        let file = &answer["blocks"];
        let mut list = file["blocks"].as_array().ok_or_else(|| format!("no list of blocks: {answer}"))?.clone();
        let last = &file["last"];
        if !last.is_null() && list.last().is_none_or(|block| block["block"]["id"] != last["block"]["id"]) {
            list.push(last.clone());
        }
        let ports = |block: &Value| -> Vec<u64> {
            let places = block["places"].as_array().cloned().unwrap_or_default();
            places.iter().filter_map(|place| place["addr"]["transfer_port"].as_u64()).collect()
        };
        let number = |value: &Value| value.as_u64().ok_or_else(|| format!("no number in {answer}"));
        let block = |block: &Value| -> Result<BlockOf, String> {
            let id = block["block"]["id"].as_i64().ok_or_else(|| format!("no id in {answer}"))?;
            Ok(BlockOf { id, stamp: number(&block["block"]["stamp"])?, ports: ports(block) })
        };
        list.iter().map(block).collect()
    }

    /// The datanodes of the pipeline of three that this client writes to now, in its order: by who is connected to whom. (The
    /// namenode lists them in an order for readers.)
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn order_of_pipeline(&self, client: i32) -> Result<Vec<String>, String> {
        let names: Vec<String> = (1..=self.options.datanodes).map(|number| format!("datanode-{number}")).collect();
        let mut parties = vec![("client".to_owned(), client)];
        parties.extend(names.iter().map(|name| (name.clone(), self.pid(name).as_raw_nonzero().get())));
        let doors: Vec<_> = names.iter().map(|name| (name.clone(), self.addr(name, "transfer").port())).collect();
        let order = chain(&parties, &doors)?;
        if order.len() == 3 { Ok(order) } else { Err(format!("a pipeline of {order:?}")) }
    }

    /// Data files (not checksums) of all replicas of all blocks below a datanode's folder: finalized, being written, or bad.
    pub(crate) fn replicas(&self, name: &str) -> Vec<PathBuf> {
        files_below(&self.data(name)).into_iter().filter(|path| is_block(path)).collect()
    }
}

/// What the namenode says of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockOf {
    /// Its id.
    pub(crate) id: i64,
    /// Its generation stamp.
    pub(crate) stamp: u64,
    /// Data-transfer ports of the datanodes that have it or write it.
    pub(crate) ports: Vec<u64>,
}

fn is_block(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.starts_with("blk_") && !name.ends_with(".meta")
}

/// All files below a folder, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Whether this process still does anything.
pub(crate) fn alive(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok() && !zombie(pid)
}

/// Whether a process has ended and waits to be collected: all of its threads have, so nothing of it holds a port any more.
fn zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(')') else { return true };
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields.first() == Some(&"Z") && fields.get(17) == Some(&"1")
}

/// Processes whose command line names this folder.
fn processes_of(folder: &Path) -> Vec<(i32, String)> {
    let needle = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&needle) && Pid::from_raw(pid).is_some_and(|pid| !zombie(pid)) {
            found.push((pid, line));
        }
    }
    found
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        for (pid, _) in processes_of(self.dir.path()) {
            if let Some(pid) = Pid::from_raw(pid) {
                // Those that a test stopped go on, so that they can end.
                let _ = rustix::process::kill_process(pid, Signal::CONT);
            }
        }
        if failed {
            self.show_logs();
        }
        let down = if failed { None } else { Some(self.down()) };
        let left = processes_of(self.dir.path());
        for (pid, _) in &left {
            if let Some(pid) = Pid::from_raw(*pid) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        if let Some(down) = down {
            assert_eq!(down.code, 0, "mammoth down: {}", down.err);
            assert!(left.is_empty(), "processes remain after `mammoth down`: {left:?}");
        }
    }
}

impl Cluster {
    /// The ends of all logs, for a failed test.
    fn show_logs(&self) {
        for log in files_below(&self.dir.path().join("logs")) {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- {}", log.display());
            for line in &lines[lines.len().saturating_sub(40)..] {
                eprintln!("{line}");
            }
        }
    }
}
