//! What a driver finds around it: which cluster, which settings, which mode.

use crate::error::RuntimeError;
use mammoth_client::{ClientConfig, DfsClient, JobClient};
use mammoth_platform::settings::Origin;
use mammoth_platform::{Settings, keys};
use std::path::PathBuf;

/// Variable with the URI of the file system.
pub const FILE_SYSTEM_VARIABLE: &str = "MAMMOTH_FS";
/// Variable with the address of the jobtracker.
pub const JOBTRACKER_VARIABLE: &str = "MAMMOTH_JOBTRACKER";
/// Variable with the folder of Hadoop's configuration.
pub const CONF_DIR_VARIABLE: &str = "HADOOP_CONF_DIR";
/// Variable with a JSON array of `key=value` texts, from `mapred run -D`.
pub const SETTINGS_VARIABLE: &str = "MAMMOTH_SETTINGS";
/// Variable with the mode, for a name that is both a job and an application: `disk` or `memory`.
pub const MODE_VARIABLE: &str = "MAMMOTH_MODE";

/// How a job or application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As MapReduce, with intermediate results on disk.
    Disk,
    /// As an application of the in-memory mode.
    Memory,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Hadoop's configuration and what the command line changes.
    pub settings: Settings,
    /// URI of the file system, if anybody named one.
    pub fs: Option<String>,
    /// Address of the jobtracker, if anybody named one.
    pub jobtracker: Option<String>,
    /// The mode, if anybody asked for one.
    pub mode: Option<Mode>,
    /// What is odd about the settings, for the terminal.
    pub warnings: Vec<String>,
}

impl Environment {
    /// What this process finds.
    ///
    /// # Errors
    /// Settings that cannot be read or accepted, with key, value and what would be.
    pub fn of_process() -> Result<Self, RuntimeError> {
        Self::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// What the given variables say. An address on the command line goes before a variable, that before a file.
    pub(crate) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, RuntimeError> {
        let conf_dir = variable(CONF_DIR_VARIABLE).map(PathBuf::from);
        let pairs = match variable(SETTINGS_VARIABLE) {
            Some(json) => serde_json::from_str::<Vec<String>>(&json).map_err(|error| {
                RuntimeError::Refused(format!("{SETTINGS_VARIABLE}: not a JSON array of key=value texts: {error}"))
            })?,
            None => Vec::new(),
        };
        let mut settings = Settings::load(conf_dir.as_deref(), &pairs)?;
        let warnings = settings.validate()?.iter().map(ToString::to_string).collect();
        let mode = match variable(MODE_VARIABLE).as_deref() {
            None => None,
            Some("disk") => Some(Mode::Disk),
            Some("memory") => Some(Mode::Memory),
            Some(other) => {
                return Err(RuntimeError::Refused(format!("{MODE_VARIABLE}: `{other}` is neither disk nor memory")));
            }
        };
        let fs = address(&settings, keys::FS_DEFAULT_FS.name(), variable(FILE_SYSTEM_VARIABLE))?;
        let jobtracker = keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS.name();
        let jobtracker = address(&settings, jobtracker, variable(JOBTRACKER_VARIABLE))?;
        if let Some(fs) = &fs {
            settings.set(keys::FS_DEFAULT_FS.name(), full_uri(fs));
        }
        Ok(Self { settings, fs, jobtracker, mode, warnings })
    }

    /// A client of the file system.
    ///
    /// # Errors
    /// Nobody named one, or the name is none.
    pub fn client(&self) -> Result<DfsClient, RuntimeError> {
        if self.fs.is_none() {
            return Err(RuntimeError::Refused(format!(
                "no file system given: set {FILE_SYSTEM_VARIABLE}=hdfs://host:port, or {CONF_DIR_VARIABLE} to a folder \
                 whose core-site.xml has {}",
                keys::FS_DEFAULT_FS.name()
            )));
        }
        Ok(DfsClient::connect(ClientConfig::from_settings(&self.settings)?)?)
    }

    /// A client of the jobtracker.
    ///
    /// # Errors
    /// Nobody named one, or the name is none.
    pub fn job_client(&self) -> Result<JobClient, RuntimeError> {
        let missing = || {
            RuntimeError::Refused(format!(
                "no jobtracker given: set {JOBTRACKER_VARIABLE}=http://host:port, or {CONF_DIR_VARIABLE} to a folder \
                 whose mapred-site.xml has {}",
                keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS.name()
            ))
        };
        Ok(JobClient::connect(self.jobtracker.as_deref().ok_or_else(missing)?)?)
    }
}

/// The value of a key given on the command line, else the variable, else the key's in a file.
fn address(settings: &Settings, key: &str, variable: Option<String>) -> Result<Option<String>, RuntimeError> {
    if !settings.is_given(key) {
        return Ok(variable);
    }
    let given = settings.raw(key)?;
    Ok(match (given, variable) {
        (Some((value, Origin::CommandLine)), _) => Some(value),
        (_, Some(variable)) => Some(variable),
        (given, None) => given.map(|(value, _)| value),
    })
}

/// `host:port` written out.
fn full_uri(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { format!("hdfs://{}", text.trim_start_matches('/')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Environment, String> {
        let find = |name: &str| pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        Environment::of(&find).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_name_the_cluster_and_settings_win() {
        let environment = of(&[
            ("MAMMOTH_FS", "hdfs://a:1"),
            ("MAMMOTH_JOBTRACKER", "http://b:2"),
            ("MAMMOTH_SETTINGS", r#"["mapreduce.job.reduces=3","fs.defaultFS=hdfs://c:3"]"#),
            ("MAMMOTH_MODE", "memory"),
        ])
        .unwrap();
        assert_eq!(environment.fs.as_deref(), Some("hdfs://c:3"));
        assert_eq!(environment.jobtracker.as_deref(), Some("http://b:2"));
        assert_eq!(environment.mode, Some(Mode::Memory));
        assert_eq!(environment.settings.int::<u32>(keys::MAPREDUCE_JOB_REDUCES).unwrap(), 3);
        assert_eq!(environment.client().unwrap().namenode_address(), "c:3");
        assert_eq!(environment.job_client().unwrap().address(), "b:2");
    }

    #[test]
    fn files_name_the_cluster_where_no_variable_does() {
        let dir = tempfile::tempdir().unwrap();
        let property = "<property><name>fs.defaultFS</name><value>hdfs://f:4</value></property>";
        std::fs::write(dir.path().join("core-site.xml"), format!("<configuration>{property}</configuration>")).unwrap();
        let conf = dir.path().to_str().unwrap();
        assert_eq!(of(&[("HADOOP_CONF_DIR", conf)]).unwrap().fs.as_deref(), Some("hdfs://f:4"));
        let environment = of(&[("HADOOP_CONF_DIR", conf), ("MAMMOTH_FS", "g:5")]).unwrap();
        assert_eq!(environment.client().unwrap().namenode_address(), "g:5");
    }

    #[test]
    fn what_is_missing_or_malformed_is_said_by_name() {
        let nothing = of(&[]).unwrap();
        assert!(nothing.client().unwrap_err().to_string().contains("MAMMOTH_FS=hdfs://host:port"));
        assert!(nothing.job_client().unwrap_err().to_string().contains("MAMMOTH_JOBTRACKER=http://host:port"));
        let error = of(&[("MAMMOTH_SETTINGS", r#"["mapreduce.job.reduces=many"]"#)]).unwrap_err();
        assert!(error.contains("mapreduce.job.reduces") && error.contains("many"), "{error}");
        assert!(of(&[("MAMMOTH_SETTINGS", "a=b")]).unwrap_err().starts_with("MAMMOTH_SETTINGS: "));
        assert!(of(&[("MAMMOTH_SETTINGS", r#"["ab"]"#)]).is_err());
        assert!(of(&[("MAMMOTH_MODE", "tape")]).unwrap_err().contains("neither disk nor memory"));
    }
}
