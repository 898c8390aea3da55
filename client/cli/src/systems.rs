//! Which file system a path belongs to, and the connections to them, made when first needed.

use crate::fault::Fault;
use crate::fs::{FsRef, LocalFs, RemoteFs};
use crate::generic::Generic;
use crate::paths::Typed;
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_platform::settings::HostPort;
use mammoth_platform::{Settings, keys};
use std::sync::Arc;

/// The file systems of one run.
pub(crate) struct Systems {
    settings: Settings,
    /// The default file system as it was given; `None` if nobody gave one.
    default_uri: Option<String>,
    local: Option<FsRef>,
    remotes: Vec<Remote>,
}

/// A connection that was made.
struct Remote {
    namenode: HostPort,
    fs: FsRef,
    client: DfsClient,
}

impl Systems {
    /// The file systems that the options and the environment name.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub(crate) fn new(generic: Generic) -> Result<Self, Fault> {
        let (settings, default_uri) = generic.into_settings()?;
        Ok(Self { settings, default_uri, local: None, remotes: Vec::new() })
    }

    /// Settings of this run.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The local disk.
    pub(crate) fn local(&mut self) -> Result<FsRef, Fault> {
        if let Some(local) = &self.local {
            return Ok(local.clone());
        }
        let local: FsRef = Arc::new(LocalFs::new()?);
        Ok(self.local.insert(local).clone())
    }

    /// The file system that a typed path belongs to.
    pub(crate) fn of(&mut self, typed: &Typed<'_>) -> Result<FsRef, Fault> {
        let fs = self.named(typed)?;
        if fs.uri().starts_with("hdfs:") {
            plain(typed.path)?;
        }
        Ok(fs)
    }

    fn named(&mut self, typed: &Typed<'_>) -> Result<FsRef, Fault> {
        match (typed.scheme, typed.authority) {
            (None, _) => self.default_fs(),
            (Some("file"), _) => self.local(),
            (Some("hdfs"), Some(authority)) => self.remote(&format!("hdfs://{authority}")),
            (Some("hdfs"), None) => {
                let fs = self.default_fs()?;
                if fs.uri().starts_with("hdfs:") {
                    return Ok(fs);
                }
                Err(Fault::Other(format!("Incomplete HDFS URI, no host: hdfs://{}", typed.path)))
            }
            (Some(scheme), _) => Err(Fault::Other(format!("No FileSystem for scheme \"{scheme}\""))),
        }
    }

    /// The file system of paths without a scheme.
    pub(crate) fn default_fs(&mut self) -> Result<FsRef, Fault> {
        let uri = self.default_uri.clone().ok_or(Fault::NoFileSystem)?;
        match Typed::parse(&uri) {
            Typed { scheme: Some("file"), .. } => self.local(),
            Typed { scheme: Some("hdfs"), authority: Some(authority), .. } => {
                self.remote(&format!("hdfs://{authority}"))
            }
            _ => Err(Fault::Other(format!("`{uri}' names no file system: expected hdfs://host:port"))),
        }
    }

    /// A client of the default file system, for what is more than files.
    pub(crate) fn client(&mut self) -> Result<DfsClient, Fault> {
        let uri = self.default_fs()?.uri().to_owned();
        let found = self.remotes.iter().find(|remote| remote.fs.uri() == uri);
        found
            .map(|remote| remote.client.clone())
            .ok_or_else(|| Fault::Other(format!("{uri} is not an HDFS file system")))
    }

    /// The cluster behind `hdfs://host:port`; two spellings of the same address share one connection.
    fn remote(&mut self, uri: &str) -> Result<FsRef, Fault> {
        self.settings.set(keys::FS_DEFAULT_FS.name(), uri);
        let config = ClientConfig::from_settings(&self.settings)?;
        let namenode = config.namenode.clone();
        if let Some(remote) = self.remotes.iter().find(|remote| remote.namenode == namenode) {
            return Ok(remote.fs.clone());
        }
        let user = config.user.clone();
        let client = DfsClient::connect(config)?;
        let fs: FsRef = Arc::new(RemoteFs::new(client.clone(), uri.to_owned(), &user));
        self.remotes.push(Remote { namenode, fs: fs.clone(), client });
        Ok(fs)
    }
}

/// A path of the cluster is meant as it stands: `..` and empty parts are more often a variable that was empty than a wish.
fn plain(path: &str) -> Result<(), Fault> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let odd = inner.split('/').find(|part| *part == ".." || (part.is_empty() && !inner.is_empty()));
    let twice = inner.is_empty() && path.len() > 1;
    match odd.or(twice.then_some("")) {
        None => Ok(()),
        Some("") => Err(Fault::Other(format!("`{path}': Invalid path: a part between two slashes is empty"))),
        Some(part) => Err(Fault::Other(format!("`{path}': Invalid path: `{part}' is not allowed as a part"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_cluster_have_no_empty_parts_and_do_not_climb() {
        for good in ["", "/", "/a", "/a/", "a/b", "a", ".", "./a", "/a..b"] {
            assert!(plain(good).is_ok(), "{good}");
        }
        for bad in ["//", "/a//b", "//a", "/..", "/a/../b", "..", "../a", "a//", "/a//"] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }
}
