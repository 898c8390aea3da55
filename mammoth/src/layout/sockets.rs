//! Short-circuit reads in a cluster of one machine: on, unless somebody says otherwise or the folder does not allow it.

use super::ClusterDir;
use mammoth_net::data::domain;
use mammoth_platform::{Settings, keys};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What datanodes and clients are told; each datanode puts its port in place of `_PORT`.
const NAME: &str = "sockets/dn._PORT";
/// Everybody may connect, nobody else may make or rename sockets.
const FOLDER_MODE: u32 = 0o755;

impl ClusterDir {
    /// Names a socket in the cluster's folder to datanodes and clients, unless the settings name one or want none. A folder
    /// in which there can be none costs speed only: then all is read over TCP, and the log says why.
    pub(crate) fn offer_short_circuit(&self, settings: &mut Settings) {
        let (path, read) = (keys::DFS_DOMAIN_SOCKET_PATH, keys::DFS_CLIENT_READ_SHORTCIRCUIT);
        let unwanted = settings.is_given(read.name()) && !settings.flag(read).unwrap_or(false);
        if unwanted || settings.is_given(path.name()) {
            return;
        }
        match self.socket() {
            Ok(pattern) => {
                settings.set(path.name(), pattern);
                settings.set_if_absent(read.name(), "true");
            }
            Err(reason) => tracing::warn!("no short-circuit reads, clients on this machine read over TCP: {reason}"),
        }
    }

    fn socket(&self) -> Result<String, String> {
        let pattern = self.root().join(NAME);
        let pattern = pattern.to_str().ok_or("the cluster's folder has a name that is not UTF-8")?.to_owned();
        let folder = self.root().join("sockets");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(FOLDER_MODE)))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        // With the longest port there is.
        domain::check_path(&domain::effective_path(&pattern, u16::MAX)).map_err(|error| error.to_string())?;
        Ok(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(dir: &ClusterDir, pairs: &[&str]) -> (String, bool) {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        let mut settings = Settings::load(None, &pairs).expect("settings");
        dir.offer_short_circuit(&mut settings);
        let path = settings.text(keys::DFS_DOMAIN_SOCKET_PATH).expect("a text");
        (path, settings.flag(keys::DFS_CLIENT_READ_SHORTCIRCUIT).expect("a flag"))
    }

    #[test]
    fn a_socket_is_offered_where_there_can_be_one_and_nobody_minds() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = ClusterDir::create(temp.path()).expect("made");
        let ours = dir.root().join(NAME).display().to_string();
        assert_eq!(offered(&dir, &[]), (ours, true));
        let mode = fs::metadata(dir.root().join("sockets")).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, FOLDER_MODE);
        assert_eq!(offered(&dir, &["dfs.client.read.shortcircuit=false"]), (String::new(), false));
        assert_eq!(offered(&dir, &["dfs.domain.socket.path=/run/dn"]), ("/run/dn".to_owned(), false));
    }

    #[test]
    fn a_folder_with_a_long_name_or_open_to_others_has_none() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let long = ClusterDir::create(&temp.path().join("x".repeat(domain::PATH_MAX))).expect("made");
        assert_eq!(offered(&long, &[]), (String::new(), false));
        let dir = ClusterDir::create(temp.path()).expect("made");
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).expect("opened");
        assert_eq!(offered(&dir, &[]), (String::new(), false));
    }
}
