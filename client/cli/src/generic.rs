//! What comes before the command: `-fs`, `-D`, `-conf` and `--conf`; and the environment that stands in for them.

use crate::fault::Fault;
use crate::paths::Typed;
use mammoth_platform::{PlatformError, Settings, keys};
use std::path::{Path, PathBuf};

/// Variable that names the file system.
pub(crate) const FILE_SYSTEM_VARIABLE: &str = "MAMMOTH_FS";
/// Variable that names the folder with Hadoop's configuration.
pub(crate) const CONF_DIR_VARIABLE: &str = "HADOOP_CONF_DIR";

/// Options before the command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Generic {
    file_system: Option<String>,
    pairs: Vec<String>,
    files: Vec<PathBuf>,
    folder: Option<PathBuf>,
    /// What the environment names, if no option does.
    environment: Surroundings,
}

/// The variables that matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Value of [`FILE_SYSTEM_VARIABLE`].
    pub(crate) file_system: Option<String>,
    /// Value of [`CONF_DIR_VARIABLE`].
    pub(crate) conf_dir: Option<PathBuf>,
}

impl Surroundings {
    /// Those of the process; an empty variable counts as unset.
    pub(crate) fn of_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { file_system: text(FILE_SYSTEM_VARIABLE), conf_dir: text(CONF_DIR_VARIABLE).map(PathBuf::from) }
    }
}

impl Generic {
    /// Takes the options off the front of `args`.
    ///
    /// # Errors
    /// An option without its value.
    pub(crate) fn take(args: &mut Vec<String>, environment: Surroundings) -> Result<Self, Fault> {
        let mut generic = Self { environment, ..Self::default() };
        while let Some(option) = args.first().cloned() {
            if let Some(pair) = option.strip_prefix("-D").filter(|pair| !pair.is_empty()) {
                generic.pairs.push(pair.to_owned());
                args.remove(0);
                continue;
            }
            if !matches!(option.as_str(), "-fs" | "--fs" | "-D" | "-conf" | "--conf") {
                break;
            }
            let value = args.get(1).cloned().ok_or_else(|| Fault::Usage(format!("{option}: a value is missing")))?;
            args.drain(..2);
            match option.as_str() {
                "-D" => generic.pairs.push(value),
                "-conf" => generic.files.push(value.into()),
                "--conf" => generic.folder = Some(value.into()),
                _ => generic.file_system = Some(value),
            }
        }
        Ok(generic)
    }

    /// The configuration folder that an option names.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.folder.clone()
    }

    /// The `-D` pairs as they were given.
    pub(crate) fn pairs(&self) -> &[String] {
        &self.pairs
    }

    /// The settings, and the URI of the default file system if somebody gave one. What was asked for on the command line
    /// goes before the environment, the variable for the file system before the configuration folder.
    pub(crate) fn into_settings(self) -> Result<(Settings, Option<String>), Fault> {
        let conf_dir = self.folder.as_deref().or(self.environment.conf_dir.as_deref());
        let mut settings = Settings::load(conf_dir, &[])?;
        let mut asked = self.folder.is_some() && settings.is_given(keys::FS_DEFAULT_FS.name());
        for file in &self.files {
            asked |= add_file(&mut settings, file)?;
        }
        for pair in &self.pairs {
            settings.add_pair(pair)?;
            asked |= pair.split('=').next().map(str::trim) == Some(keys::FS_DEFAULT_FS.name());
        }
        let configured = settings.is_given(keys::FS_DEFAULT_FS.name());
        let variable = self.environment.file_system.filter(|_| !asked);
        let uri = match self.file_system.or(variable) {
            Some(uri) => Some(full_uri(&uri)),
            None if configured => settings.raw(keys::FS_DEFAULT_FS.name())?.map(|(uri, _)| full_uri(&uri)),
            None => None,
        };
        Ok((settings, uri))
    }
}

/// `local` and `host:port` written out.
fn full_uri(text: &str) -> String {
    match Typed::parse(text) {
        Typed { scheme: Some(_), .. } => text.to_owned(),
        _ if text == "local" => "file:///".to_owned(),
        _ => format!("hdfs://{}", text.trim_start_matches('/')),
    }
}

/// Adds the properties of one configuration file; tells whether it names a file system.
fn add_file(settings: &mut Settings, path: &Path) -> Result<bool, Fault> {
    let bad = |reason: String| PlatformError::BadFile { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let document = roxmltree::Document::parse(&text).map_err(|e| bad(e.to_string()))?;
    let mut names_fs = false;
    for property in document.root_element().children().filter(|node| node.has_tag_name("property")) {
        let field = |name| property.children().find(|child| child.has_tag_name(name)).and_then(|child| child.text());
        if let (Some(name), Some(value)) = (field("name"), field("value")) {
            settings.add_pair(&format!("{}={}", name.trim(), value.trim()))?;
            names_fs |= name.trim() == keys::FS_DEFAULT_FS.name();
        }
    }
    Ok(names_fs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(args: &[&str], variable: Option<&str>, conf_dir: Option<&Path>) -> (Option<String>, Vec<String>) {
        let mut args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let environment =
            Surroundings { file_system: variable.map(str::to_owned), conf_dir: conf_dir.map(Path::to_owned) };
        let generic = Generic::take(&mut args, environment).unwrap();
        (generic.into_settings().unwrap().1, args)
    }

    fn conf(uri: &str) -> String {
        format!(
            "<configuration><property><name>fs.defaultFS</name><value>{uri}</value></property>\
             <property><name>dfs.replication</name><value>2</value></property></configuration>"
        )
    }

    #[test]
    fn options_end_at_the_command() {
        let (uri, rest) = resolve(&["-D", "dfs.replication=1", "-fs", "hdfs://a:1", "-ls", "-fs", "x"], None, None);
        assert_eq!(uri.as_deref(), Some("hdfs://a:1"));
        assert_eq!(rest, ["-ls", "-fs", "x"]);
        let missing = Generic::take(&mut vec!["-fs".to_owned()], Surroundings::default()).unwrap_err();
        assert_eq!(missing.to_string(), "-fs: a value is missing");
    }

    #[test]
    fn the_nearest_word_about_the_file_system_counts() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("core-site.xml"), conf("hdfs://conf:1")).unwrap();
        let file = dir.path().join("mine.xml");
        std::fs::write(&file, conf("hdfs://file:1")).unwrap();
        let (dir_text, file_text) = (dir.path().to_str().unwrap(), file.to_str().unwrap());
        let uri = |args: &[&str], variable, conf_dir| resolve(args, variable, conf_dir).0;
        assert_eq!(uri(&[], None, None), None);
        assert_eq!(uri(&[], None, Some(dir.path())).unwrap(), "hdfs://conf:1");
        assert_eq!(uri(&[], Some("hdfs://var:1"), Some(dir.path())).unwrap(), "hdfs://var:1");
        assert_eq!(uri(&["--conf", dir_text], Some("hdfs://var:1"), None).unwrap(), "hdfs://conf:1");
        assert_eq!(uri(&["-conf", file_text], Some("hdfs://var:1"), None).unwrap(), "hdfs://file:1");
        assert_eq!(uri(&["-Dfs.defaultFS=hdfs://d:1"], Some("hdfs://var:1"), None).unwrap(), "hdfs://d:1");
        assert_eq!(uri(&["-fs", "f:1", "-Dfs.defaultFS=hdfs://d:1"], None, None).unwrap(), "hdfs://f:1");
        assert_eq!(uri(&["-fs", "local"], None, None).unwrap(), "file:///");
    }

    #[test]
    fn files_add_their_settings() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.xml");
        std::fs::write(&file, conf("hdfs://file:1")).unwrap();
        let mut args = vec!["-conf".to_owned(), file.to_str().unwrap().to_owned()];
        let generic = Generic::take(&mut args, Surroundings::default()).unwrap();
        let (settings, _) = generic.into_settings().unwrap();
        assert_eq!(settings.int::<u16>(keys::DFS_REPLICATION).unwrap(), 2);
        std::fs::write(&file, "<configuration>").unwrap();
        let mut args = vec!["-conf".to_owned(), file.to_str().unwrap().to_owned()];
        let generic = Generic::take(&mut args, Surroundings::default()).unwrap();
        assert!(generic.into_settings().unwrap_err().to_string().contains("mine.xml"));
    }
}
