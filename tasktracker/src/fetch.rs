//! [`Fetch`] from the distributed file system.

use crate::error::chain;
use crate::localize::Fetch;
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_platform::{Settings, keys};
use mammoth_protocol::DfsPath;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Clients that are kept for the next file.
const CLIENTS_MAX: usize = 32;
/// How long a namenode that was never reached is tried again. The job was stored there, so it exists and may be restarting.
const CONNECT_BUDGET: Duration = Duration::from_secs(30);

/// Reads files of HDFS file systems, with one client for each file system and user.
pub struct DfsFetch {
    settings: Settings,
    clients: Mutex<BTreeMap<(String, String), DfsClient>>,
}

impl DfsFetch {
    /// Clients get these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), clients: Mutex::default() }
    }

    fn client(&self, fs: &str, user: &str) -> Result<DfsClient, String> {
        let key = (fs.to_owned(), user.to_owned());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let mut settings = self.settings.clone();
        settings.set(keys::FS_DEFAULT_FS.name(), fs);
        let mut config = ClientConfig::from_settings(&settings).map_err(|error| chain(&error))?;
        user.clone_into(&mut config.user);
        config.first_connect_budget = CONNECT_BUDGET;
        let client = DfsClient::connect(config).map_err(|error| chain(&error))?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

impl Fetch for DfsFetch {
    fn open(&self, fs: &str, user: &str, path: &str) -> Result<Box<dyn Read + Send>, String> {
        let path = DfsPath::parse(path).map_err(|error| chain(&error))?;
        let reader = self.client(fs, user)?.open(&path).map_err(|error| chain(&error))?;
        Ok(Box::new(reader))
    }
}
