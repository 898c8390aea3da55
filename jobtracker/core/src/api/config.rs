//! Settings of the core. Times are milliseconds.

/// What the core is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreConfig {
    /// Silence after which a tasktracker is given up.
    pub expiry_ms: u64,
    /// Time that a tasktracker whose connection broke has to be heard again, if that ends sooner.
    pub hang_up_ms: u64,
    /// How long a poll of a tasktracker may wait for orders.
    pub poll_wait_ms: u64,
    /// A driver that has not polled for so long is gone.
    pub app_lease_ms: u64,
    /// A job whose next task fits no live tasktracker fails after so long, and an application likewise.
    pub unfit_ms: u64,
    /// A task that failed on a tasktracker waits so long for another one before it returns there.
    pub elsewhere_ms: u64,
    /// A map that waits so long for room takes it from reduces of its job, if those hold it and no map of the job runs.
    pub preempt_ms: u64,
    /// Failures of a job's attempts on a tasktracker after which the job avoids it.
    pub blacklist_failures: u32,
    /// What an attempt that was told to end may take before its job is tidied up regardless.
    pub kill_wait_ms: u64,
    /// Attempts at tidying up after a job that failed or was killed; it is final after the last, whatever came of it.
    pub abort_attempts_max: u32,
    /// Failures of a job's commit that fail the job.
    pub commit_attempts_max: u32,
    /// Time for all of the tidying up, without a tasktracker for instance.
    pub abort_wait_ms: u64,
    /// An executor that ends by itself sooner than this ended at once.
    pub quick_death_ms: u64,
    /// Executors in a row that ended at once, after which their application fails.
    pub quick_deaths_max: u32,
    /// Pause after an executor that ended at once; doubles with each further one.
    pub executor_pause_ms: u64,
    /// Between two requests for a specification.
    pub spec_retry_ms: u64,
    /// Ended jobs keep their tasks for the pages while all of them together have at most so many.
    pub ended_tasks_max: usize,
    /// What tracking URLs begin with: `http://host:port`.
    pub url: String,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            expiry_ms: 30_000,
            hang_up_ms: 5_000,
            poll_wait_ms: 3_000,
            app_lease_ms: 5_000,
            unfit_ms: 5_000,
            elsewhere_ms: 10_000,
            preempt_ms: 2_000,
            blacklist_failures: 3,
            kill_wait_ms: 30_000,
            abort_attempts_max: 3,
            commit_attempts_max: 4,
            abort_wait_ms: 120_000,
            quick_death_ms: 10_000,
            quick_deaths_max: 6,
            executor_pause_ms: 250,
            spec_retry_ms: 5_000,
            ended_tasks_max: 100_000,
            url: String::new(),
        }
    }
}
