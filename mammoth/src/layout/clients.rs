//! What a cluster leaves for its clients: `env` to source, and `conf/` in Hadoop's own format.
//!
//! A cluster that was started with other block sizes, replication or timeouts than the default must be used with them too:
//! clients choose these themselves. So what `mammoth up` was told and clients read goes into `conf/`, with where the cluster
//! is. Settings of daemons stay out: they would be taken for those of the next cluster.

use super::{ClusterDir, LayoutError, Plan};
use mammoth_platform::settings::Settings;
use std::path::Path;

/// What clients read of Hadoop's `hdfs-site.xml`: whole families end in a dot or dash.
const HDFS_SITE: [&str; 8] = [
    "dfs.blocksize",
    "dfs.replication",
    "dfs.bytes-per-checksum",
    "dfs.checksum.type",
    "dfs.client.",
    "dfs.client-",
    "dfs.domain.socket.",
    // Renewing a lease must be faster than losing it.
    "mammoth.namenode.lease-soft-limit",
];
/// What clients read of `core-site.xml`.
const CORE_SITE: [&str; 4] = ["fs.permissions.umask-mode", "fs.trash.", "io.file.buffer.size", "ipc.client."];
/// What drivers of jobs read of `mapred-site.xml`.
const MAPRED_SITE: [&str; 7] = [
    "mapreduce.job.",
    "mapreduce.task.",
    "mapreduce.map.",
    "mapreduce.reduce.",
    "mapreduce.input.",
    "mapreduce.fileoutputcommitter.",
    "mammoth.shuffle.",
];

impl ClusterDir {
    /// Leaves what clients need: `env` and `conf`.
    ///
    /// # Errors
    /// A failed write; a setting that leads back to itself.
    pub fn write_client_files(&self, plan: &Plan, settings: &Settings) -> Result<(), LayoutError> {
        let lost = || LayoutError::Malformed { path: self.conf(), why: "the plan has no namenode".to_owned() };
        let namenode = plan.namenode().ok_or_else(lost)?.addrs;
        let rpc = namenode.rpc.map(|addr| addr.to_string()).unwrap_or_default();
        let fs = format!("hdfs://{rpc}");
        let http = namenode.http.to_string();
        let conf = quoted(&self.conf());
        let mut env =
            format!("export MAMMOTH_FS={fs}\nexport MAMMOTH_HTTP=http://{http}\nexport HADOOP_CONF_DIR={conf}\n");
        if let Some(jobtracker) = plan.jobtracker() {
            env += &format!("export MAMMOTH_JOBTRACKER=http://{}\n", jobtracker.addrs.http);
        }
        self.write_text("env", &env)?;
        let mut core = vec![("fs.defaultFS".to_owned(), fs)];
        core.extend(self.given(settings, &CORE_SITE)?);
        self.write_text("conf/core-site.xml", &site(&core))?;
        let mut hdfs =
            vec![("dfs.namenode.rpc-address".to_owned(), rpc), ("dfs.namenode.http-address".to_owned(), http)];
        hdfs.extend(self.given(settings, &HDFS_SITE)?);
        self.write_text("conf/hdfs-site.xml", &site(&hdfs))?;
        let mut mapred: Vec<(String, String)> = Vec::new();
        if let Some(jobtracker) = plan.jobtracker() {
            mapred.push(("mapreduce.jobtracker.http.address".to_owned(), jobtracker.addrs.http.to_string()));
        }
        mapred.extend(self.given(settings, &MAPRED_SITE)?);
        self.write_text("conf/mapred-site.xml", &site(&mapred))
    }

    /// The settings of these names that somebody gave.
    fn given(&self, settings: &Settings, names: &[&str]) -> Result<Vec<(String, String)>, LayoutError> {
        let wanted = |name: &str| {
            let is_family = |known: &str| known.ends_with(['.', '-']) && name.starts_with(known);
            names.iter().any(|known| *known == name || is_family(known))
        };
        let mut pairs = Vec::new();
        for (name, ..) in settings.iter().filter(|(name, ..)| wanted(name)) {
            let value =
                settings.raw(name).map_err(|e| LayoutError::Malformed { path: self.conf(), why: e.to_string() })?;
            pairs.extend(value.map(|(value, _)| (name.to_owned(), value)));
        }
        Ok(pairs)
    }
}

/// Whether this is the `conf` of a cluster folder, which speaks to clients: a daemon must not take its settings from the
/// cluster that its shell talks to.
pub(crate) fn is_for_clients(conf: &Path) -> bool {
    let cluster = conf.canonicalize().ok().and_then(|conf| conf.parent().map(Path::to_owned));
    cluster.is_some_and(|cluster| cluster.join("plan.json").is_file() && cluster.join("env").is_file())
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A Hadoop configuration file of these properties.
fn site(pairs: &[(String, String)]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<configuration>\n");
    for (name, value) in pairs {
        let (name, value) = (escaped(name), escaped(value));
        xml += &format!("  <property><name>{name}</name><value>{value}</value></property>\n");
    }
    xml + "</configuration>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{PlannedDaemon, Role};
    use crate::ports::DaemonAddrs;

    fn plan() -> Plan {
        let addr = |text: &str| text.parse().expect("an address");
        let daemon = |role: Role, http: &str, rpc| PlannedDaemon {
            name: role.program().to_owned(),
            role,
            rack: None,
            addrs: DaemonAddrs { http: addr(http), rpc, ..DaemonAddrs::loopback(0) },
        };
        let namenode = daemon(Role::Namenode, "127.0.0.1:1", Some(addr("127.0.0.1:2")));
        Plan { version: Plan::VERSION, daemons: vec![namenode, daemon(Role::Jobtracker, "127.0.0.1:3", None)] }
    }

    fn settings(pairs: &[&str]) -> Settings {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Settings::load(None, &pairs).expect("settings")
    }

    #[test]
    fn site_files_escape_their_values() {
        let xml = site(&[("a.b".to_owned(), "x<y&z]]>".to_owned())]);
        assert!(xml.contains("<name>a.b</name><value>x&lt;y&amp;z]]&gt;</value>"), "{xml}");
    }

    #[test]
    fn clients_are_told_what_concerns_them_and_nothing_else() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().join("it's here");
        let dir = ClusterDir::create(&root).expect("made");
        let given = settings(&[
            "dfs.block.size=64m",
            "dfs.client.socket-timeout=3000",
            "dfs.client-write-packet-size=128k",
            "dfs.domain.socket.path=/run/dn._PORT",
            "fs.permissions.umask-mode=027",
            "fs.defaultFS=hdfs://elsewhere:1",
            "dfs.namenode.rpc-address=elsewhere:1",
            "dfs.namenode.lease-hard-limit-sec=4",
            "dfs.datanode.du.reserved=5",
            "dfs.replication.max=4",
            "mapreduce.task.io.sort.mb=7",
            "mapreduce.cluster.local.dir=/elsewhere",
        ]);
        dir.write_client_files(&plan(), &given).expect("written");
        // Read back as any client does.
        let read = Settings::load(Some(&dir.conf()), &[]).expect("well-formed");
        let mut pairs: Vec<(&str, &str)> = read.iter().map(|(name, value, _)| (name, value)).collect();
        pairs.sort_unstable();
        let expected = [
            ("dfs.blocksize", "64m"),
            ("dfs.client-write-packet-size", "128k"),
            ("dfs.client.socket-timeout", "3000"),
            ("dfs.domain.socket.path", "/run/dn._PORT"),
            ("dfs.namenode.http-address", "127.0.0.1:1"),
            ("dfs.namenode.rpc-address", "127.0.0.1:2"),
            ("fs.defaultFS", "hdfs://127.0.0.1:2"),
            ("fs.permissions.umask-mode", "027"),
            ("mapreduce.jobtracker.http.address", "127.0.0.1:3"),
            ("mapreduce.task.io.sort.mb", "7"),
        ];
        assert_eq!(pairs, expected);
        let shell = std::process::Command::new("sh")
            .args(["-c", ". ./env && printf '%s %s %s %s' \"$MAMMOTH_FS\" \"$MAMMOTH_HTTP\" \"$MAMMOTH_JOBTRACKER\" \"$HADOOP_CONF_DIR\""])
            .current_dir(dir.root())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&shell.stdout).into_owned();
        assert_eq!(said, format!("hdfs://127.0.0.1:2 http://127.0.0.1:1 http://127.0.0.1:3 {}", dir.conf().display()));
    }

    #[test]
    fn only_the_conf_of_a_cluster_is_for_clients() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = ClusterDir::create(temp.path()).expect("made");
        assert!(!is_for_clients(&dir.conf()) && !is_for_clients(Path::new("/no/such/conf")));
        std::fs::write(dir.root().join("plan.json"), "{}").expect("written");
        dir.write_client_files(&plan(), &settings(&[])).expect("written");
        assert!(is_for_clients(&dir.conf()));
    }
}
