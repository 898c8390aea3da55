//! Questions: what clients and pages are shown.

mod apps;
mod jobs;

use crate::state::State;
use crate::trackers::Tracker;
use mammoth_protocol::Now;
use mammoth_protocol::jobs::Resources;
use mammoth_protocol::jobs::client::{ClusterStatus, TrackerStatus};

impl State {
    /// All tasktrackers, by name.
    #[must_use]
    pub fn trackers(&self, now: Now) -> Vec<TrackerStatus> {
        let status = |tracker: &Tracker| TrackerStatus {
            name: format!("tracker_{}:{}", tracker.place.host, port_of(&tracker.place.http)),
            host: tracker.place.host.to_string(),
            http: tracker.place.http.to_string(),
            live: tracker.is_live(),
            capacity: tracker.capacity,
            used: tracker.used(),
            attempts: tracker.attempts.len() as u32,
            executors: tracker.executors.len() as u32,
            failures: tracker.failures,
            silent_ms: now.monotonic_ms.saturating_sub(tracker.heard_ms),
        };
        let mut all: Vec<TrackerStatus> = self.trackers.values().map(status).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The whole in numbers.
    #[must_use]
    pub fn cluster(&self) -> ClusterStatus {
        let live = || self.trackers.values().filter(|tracker| tracker.is_live());
        let trackers_live = live().count() as u32;
        let trackers_dead = self.trackers.len() as u32 - trackers_live;
        let ended_jobs = self.rows.jobs.values().filter(|row| row.stage.is_ended()).count();
        let ended_apps = self.rows.apps.values().filter(|row| row.end.is_some()).count();
        let health = match (self.started, trackers_live, trackers_dead) {
            (false, ..) => "The jobtracker is starting.".to_owned(),
            (true, 0, _) => "No tasktracker is registered: nothing can run.".to_owned(),
            (true, _, 0) => "All tasktrackers are alive.".to_owned(),
            (true, _, dead) => format!("{dead} tasktracker{} silent.", if dead == 1 { " is" } else { "s are" }),
        };
        ClusterStatus {
            health,
            trackers_live,
            trackers_dead,
            capacity: self.capacity(),
            used: live().fold(Resources::default(), |sum, tracker| sum.plus(tracker.used())),
            jobs_active: self.rows.jobs.values().filter(|row| row.stage.is_active()).count() as u32,
            jobs_ended: (ended_jobs + ended_apps) as u32,
            apps_active: (self.rows.apps.len() - ended_apps) as u32,
        }
    }
}

/// The port of `host:port`.
fn port_of(address: &str) -> &str {
    address.rsplit_once(':').map_or("", |(_, port)| port)
}
