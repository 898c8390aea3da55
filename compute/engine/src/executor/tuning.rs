//! Settings that tasks read, in the form in which they need them.

use crate::context::RESULTS_MAX;
use mammoth_platform::settings::Environment;
use mammoth_platform::{PlatformError, Settings, keys};
use mammoth_runtime::shuffle::Codec;
use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Compression of what lies between stages.
    pub codec: Codec,
    /// Bytes of records after which a frame is closed.
    pub frame_bytes: usize,
    /// Runs on disk that are merged at once.
    pub fan_in: usize,
    /// Outputs that are fetched at a time.
    pub copies: usize,
    /// Most bytes of the result of one task.
    pub result_max: u64,
}

/// How a driver tells its executors the most bytes of an action's results; no setting for users.
pub(crate) const RESULTS_MAX_NAME: &str = "mammoth.executor.results.bytes.max";

/// The settings of an application, as its driver has them.
pub(super) fn settings_of(pairs: &BTreeMap<String, String>) -> Settings {
    let mut settings = Settings::new(Environment::of_process());
    for (name, value) in pairs {
        settings.set(name, value);
    }
    settings
}

impl Tuning {
    /// By the settings of an application; one that makes no sense leaves the default, as the driver refused it before.
    pub(super) fn of(pairs: &BTreeMap<String, String>, settings: &Settings) -> Self {
        let told = pairs.get(RESULTS_MAX_NAME).and_then(|text| text.parse().ok());
        let result_max = told.unwrap_or(RESULTS_MAX).min(RESULTS_MAX);
        Self::read(settings, result_max).unwrap_or_else(|error| {
            tracing::warn!(%error, "settings of the application are left out");
            Self { codec: Codec::None, frame_bytes: 64 * 1024, fan_in: 10, copies: 5, result_max }
        })
    }

    fn read(settings: &Settings, result_max: u64) -> Result<Self, PlatformError> {
        let codec = if settings.flag(keys::MAPREDUCE_MAP_OUTPUT_COMPRESS)? { Codec::Lz4 } else { Codec::None };
        let frame_bytes = usize::try_from(settings.bytes(keys::MAMMOTH_SHUFFLE_FRAME_BYTES)?).unwrap_or(64 * 1024);
        let fan_in = settings.int(keys::MAPREDUCE_TASK_IO_SORT_FACTOR)?;
        let copies = settings.int(keys::MAPREDUCE_REDUCE_SHUFFLE_PARALLELCOPIES)?;
        Ok(Self { codec, frame_bytes, fan_in, copies, result_max })
    }
}
