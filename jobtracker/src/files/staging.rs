//! The file system that jobs are staged in.

use mammoth_client::{ClientConfig, ClientError, CreateOptions, DfsClient};
use mammoth_protocol::jobs::JobId;
use mammoth_protocol::jobs::spec::{HISTORY, JobSpec, SPEC_VERSION, STAGING};
use mammoth_protocol::{DfsPath, ErrorCode, FsError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Longest specification: a hundred thousand splits with their hosts take a tenth of it.
const SPEC_MAX: u64 = 256 << 20;

/// See the module.
pub(super) struct Staging {
    config: ClientConfig,
    /// `None` until it is needed, and after it failed to connect.
    client: Option<DfsClient>,
}

impl Staging {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self { config, client: None }
    }

    fn client(&mut self) -> Result<&DfsClient, FsError> {
        if self.client.is_none() {
            self.client = Some(DfsClient::connect(self.config.clone()).map_err(|error| failed(&error))?);
        }
        self.client.as_ref().ok_or_else(|| FsError::new(ErrorCode::Io, "no client"))
    }

    /// A specification whose bytes have that digest.
    pub(super) fn read(&mut self, path: &str, sha256: &str) -> Result<Arc<JobSpec>, FsError> {
        let bytes = self.bytes(path)?;
        let found = hex(&Sha256::digest(&bytes));
        if found != sha256 {
            let text = format!("{path}: its SHA-256 is {found}, the submission names {sha256}");
            return Err(FsError::new(ErrorCode::IllegalArgument, text));
        }
        let bad = |why: String| FsError::new(ErrorCode::IllegalArgument, format!("{path}: {why}"));
        parse(&bytes).map(Arc::new).map_err(bad)
    }

    fn bytes(&mut self, path: &str) -> Result<Vec<u8>, FsError> {
        let place = DfsPath::parse(path)?;
        let client = self.client()?;
        let mut reader = client.open(&place).map_err(|error| failed(&error))?;
        if reader.len() > SPEC_MAX {
            let text = format!("{path}: {} bytes, a job specification has at most {SPEC_MAX}", reader.len());
            return Err(FsError::new(ErrorCode::IllegalArgument, text));
        }
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| FsError::new(ErrorCode::Retriable, format!("{path}: {error}")))?;
        Ok(bytes)
    }

    /// Copies a local file to the histories.
    pub(super) fn publish(&mut self, file: &Path) {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Err(error) = self.try_publish(file, &name) {
            tracing::warn!(%error, name, "a history stays on the jobtracker's own disk only");
        }
    }

    fn try_publish(&mut self, file: &Path, name: &str) -> Result<(), FsError> {
        let io = |error: std::io::Error| FsError::new(ErrorCode::Io, error.to_string());
        let bytes = std::fs::read(file).map_err(io)?;
        let target = DfsPath::parse(&format!("{HISTORY}/{name}"))?;
        let client = self.client()?;
        let mut writer = client.create(&target, CreateOptions::overwriting()).map_err(|error| failed(&error))?;
        writer.write_all(&bytes).map_err(io)?;
        writer.close().map(drop).map_err(|error| failed(&error))
    }

    /// The jobs that have a staging folder.
    pub(super) fn jobs(&mut self) -> Result<Vec<JobId>, FsError> {
        let folder = DfsPath::parse(&format!("{STAGING}/jobs"))?;
        match self.client()?.list_all(&folder) {
            Ok(entries) => Ok(entries.iter().filter_map(|entry| entry.path.name().parse().ok()).collect()),
            Err(error) if error.code() == ErrorCode::FileNotFound => Ok(Vec::new()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Removes the staging folder of a job that is final.
    pub(super) fn tidy_up(&mut self, job: JobId) {
        let removed = DfsPath::parse(&format!("{STAGING}/jobs/{job}"))
            .map_err(FsError::from)
            .and_then(|path| self.client()?.delete(&path, true).map_err(|error| failed(&error)));
        if let Err(error) = removed {
            tracing::warn!(%error, %job, "the staging folder of an ended job stays");
        }
    }
}

/// A specification of its bytes, less what only tasks need.
///
/// # Errors
/// What is wrong with them.
pub(super) fn parse(bytes: &[u8]) -> Result<JobSpec, String> {
    // The version comes first in every form of a specification.
    match postcard::take_from_bytes::<u16>(bytes) {
        Ok((SPEC_VERSION, _)) => {}
        Ok((other, _)) => {
            return Err(format!(
                "a job specification of version {other}, this jobtracker reads version {SPEC_VERSION}: build the \
                 program with the same Mammoth as the cluster"
            ));
        }
        Err(error) => return Err(format!("no job specification: {error}")),
    }
    postcard::from_bytes(bytes).map(slim).map_err(|error| format!("no job specification: {error}"))
}

/// A specification without what only its tasks read, which have their own copy: it is kept for as long as the job is shown.
fn slim(mut spec: JobSpec) -> JobSpec {
    (spec.sdk, spec.args, spec.settings) = (Vec::new(), Vec::new(), BTreeMap::new());
    for split in &mut spec.splits {
        split.payload = Vec::new();
        split.hosts.shrink_to_fit();
    }
    spec
}

/// A namenode that cannot be reached may be restarting; all else is final.
fn failed(error: &ClientError) -> FsError {
    let code = match error {
        ClientError::Unreachable { .. } | ClientError::Lost { .. } | ClientError::Read { .. } => ErrorCode::Retriable,
        other => other.code(),
    };
    FsError::new(code, error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::jobs::Resources;
    use mammoth_protocol::jobs::spec::{InputSplit, ProgramRef};

    #[test]
    fn what_only_tasks_read_is_not_kept() {
        let resources = Resources { cores: 1, memory_mib: 1 };
        let split = InputSplit { payload: vec![1; 100], len: 5, hosts: vec!["h".to_owned()], label: "l".to_owned() };
        let full = JobSpec {
            version: SPEC_VERSION,
            name: "n".to_owned(),
            user: "u".to_owned(),
            program: ProgramRef::default(),
            entry: "e".to_owned(),
            args: vec!["a".to_owned()],
            sdk: vec![1],
            settings: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            fs: "hdfs://h:1".to_owned(),
            splits: vec![split.clone()],
            reduces: 1,
            output: Some("/out".to_owned()),
            map_resources: resources,
            reduce_resources: resources,
            map_attempts_max: 1,
            reduce_attempts_max: 1,
            task_timeout_ms: 1,
            slowstart_percent: 1,
        };
        let slim = slim(full.clone());
        assert_eq!(slim.splits, [InputSplit { payload: Vec::new(), ..split }]);
        let (args, sdk, settings, splits) =
            (full.args.clone(), full.sdk.clone(), full.settings.clone(), full.splits.clone());
        assert!(slim.args.is_empty() && slim.sdk.is_empty() && slim.settings.is_empty());
        assert_eq!(JobSpec { args, sdk, settings, splits, ..slim }, full, "all else is");
    }
}
