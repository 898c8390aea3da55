//! Running a job within the calling process, for tests and small inputs: no jobtracker, no file system, the same code.

use crate::job::{Job, JobError};
use mammoth_platform::Settings;
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::Counters;
use mammoth_runtime::files::{FileSystem, MemoryFiles};
use mammoth_runtime::local;
use mammoth_runtime::task::JobPlan;
use std::path::Path;

/// Folders of a local run.
const INPUT: &str = "/local/in";
const OUTPUT: &str = "/local/out";

/// What a local run reads: texts, one file each. They take the place of the job's own input.
#[derive(Clone, Debug)]
pub struct LocalInput {
    files: Vec<Vec<u8>>,
    block_size: u64,
    settings: Vec<(String, String)>,
}

impl Default for LocalInput {
    fn default() -> Self {
        Self { files: Vec::new(), block_size: 128 << 20, settings: Vec::new() }
    }
}

impl LocalInput {
    /// One text.
    #[must_use]
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::default().and_text(text)
    }

    /// The contents of a file of this machine.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, JobError> {
        let path = path.as_ref();
        let failed = |source| JobError::Io { what: path.display().to_string(), source };
        Ok(Self::text(std::fs::read(path).map_err(failed)?))
    }

    /// One more text.
    #[must_use]
    pub fn and_text(mut self, text: impl AsRef<[u8]>) -> Self {
        self.files.push(text.as_ref().to_vec());
        self
    }

    /// Cuts the texts into splits of about so many bytes, so that there are several maps.
    #[must_use]
    pub fn in_splits_of(mut self, bytes: u64) -> Self {
        self.block_size = bytes;
        self
    }

    /// A setting, as `-D` on the command line.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }
}

/// What a local run gives.
#[derive(Clone, Debug, Default)]
pub struct LocalResult {
    /// The output files by name, in name order.
    pub files: Vec<(String, Vec<u8>)>,
    /// Counters of all tasks.
    pub counters: Counters,
}

impl LocalResult {
    /// The lines of all files, in their order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let texts = self.files.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes));
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

impl Job {
    /// Runs the job over a local input, its maps and then its reduces one after the other. The job's own input and output paths
    /// do not matter.
    ///
    /// # Errors
    /// What would have failed the job: there are no second attempts.
    pub fn run_local(self, input: LocalInput) -> Result<LocalResult, JobError> {
        let invalid = |error: mammoth_protocol::path::BadPath| JobError::Refused(error.to_string());
        let (inside, out) = (DfsPath::parse(INPUT).map_err(invalid)?, DfsPath::parse(OUTPUT).map_err(invalid)?);
        let files = MemoryFiles::with_block_size(input.block_size.max(1));
        files.mkdirs(&inside)?;
        for (number, bytes) in input.files.into_iter().enumerate() {
            files.put(&inside.join(&format!("part-{number:05}")).map_err(invalid)?, bytes);
        }
        let mut settings = Settings::load(None, &[])?;
        for (key, value) in input.settings {
            settings.add_pair(&format!("{key}={value}"))?;
        }
        let mut plan = JobPlan::from(self);
        plan.inputs = vec![INPUT.to_owned()];
        let mut last = &mut plan;
        while let Some(next) = &mut last.then {
            last = next;
        }
        last.output = Some(OUTPUT.to_owned());
        let counters = local::run(plan, &files, &settings)?;
        let mut result = LocalResult { files: Vec::new(), counters };
        for entry in files.list(&out)? {
            let name = entry.path.name().to_owned();
            if let Some(bytes) = files.get(&entry.path).filter(|_| !name.starts_with('_')) {
                result.files.push((name, bytes.to_vec()));
            }
        }
        Ok(result)
    }
}
