//! All daemons of a cluster in this process, over the same sockets as anywhere else.

use crate::daemon::DaemonHandle;
use crate::layout::{ClusterDir, Plan, PlannedDaemon, Role, RunningDaemon};
use crate::processes::{daemon_settings, start_ticks};
use mammoth_platform::settings::Settings;
use std::time::Duration;

/// A running cluster. Dropping it without [`Embedded::stop`] leaves the daemons to the end of the process.
pub struct Embedded {
    dir: ClusterDir,
    plan: Plan,
    settings: Settings,
    members: Vec<Member>,
}

struct Member {
    planned: PlannedDaemon,
    /// `None` once it ended by itself.
    handle: Option<DaemonHandle>,
}

impl Embedded {
    /// Starts the namenode, then all others at once.
    ///
    /// # Errors
    /// The first daemon that did not start, in one line; those that did are stopped again.
    pub fn start(dir: &ClusterDir, plan: &Plan, settings: &Settings) -> Result<Self, String> {
        let mut cluster =
            Self { dir: dir.clone(), plan: plan.clone(), settings: settings.clone(), members: Vec::new() };
        let (first, others) = plan.daemons.split_first().ok_or("the plan has no daemon")?;
        let namenode = cluster.launch(first)?;
        cluster.members.push(Member { planned: first.clone(), handle: Some(namenode) });
        let started: Vec<Result<DaemonHandle, String>> = std::thread::scope(|scope| {
            let cluster = &cluster;
            let launches: Vec<_> = others.iter().map(|planned| scope.spawn(|| cluster.launch(planned))).collect();
            let panicked = |_| Err("a daemon panicked while it started".to_owned());
            launches.into_iter().map(|launch| launch.join().unwrap_or_else(panicked)).collect()
        });
        let mut failure = None;
        for (planned, result) in others.iter().zip(started) {
            match result {
                Ok(handle) => cluster.members.push(Member { planned: planned.clone(), handle: Some(handle) }),
                Err(reason) => failure = failure.or(Some(reason)),
            }
        }
        match failure {
            None => Ok(cluster),
            Some(reason) => {
                cluster.stop();
                Err(reason)
            }
        }
    }

    fn launch(&self, planned: &PlannedDaemon) -> Result<DaemonHandle, String> {
        let mut settings = self.settings.clone();
        for (key, value) in daemon_settings(&self.dir, planned, &self.plan) {
            settings.set(&key, value);
        }
        DaemonHandle::start(planned.role, &settings).map_err(|reason| format!("{}: {reason}", planned.name))
    }

    /// Entries for `cluster.json`.
    #[must_use]
    pub fn running(&self) -> Vec<RunningDaemon> {
        let pid = std::process::id();
        let entry = |member: &Member| RunningDaemon {
            name: member.planned.name.clone(),
            pid,
            pid_started: start_ticks(pid).unwrap_or_default(),
            addrs: member.planned.addrs,
            data: self.dir.data(&member.planned.name),
            log: self.dir.log("up"),
            args: Vec::new(),
        };
        self.members.iter().map(entry).collect()
    }

    /// Takes out the daemons that ended by themselves, with their reasons.
    pub fn reap(&mut self) -> Vec<(String, String)> {
        let mut ended = Vec::new();
        for member in &mut self.members {
            if let Some(reason) = member.handle.as_ref().and_then(DaemonHandle::fatal) {
                if let Some(handle) = member.handle.take() {
                    handle.shutdown();
                    // Its reason is known; a second one from the shutdown adds nothing.
                    let _ = handle.wait();
                }
                ended.push((member.planned.name.clone(), reason));
            }
        }
        ended
    }

    /// Stops a daemon and starts it again on the same addresses.
    ///
    /// # Errors
    /// No such daemon, or it did not start.
    pub fn restart(&mut self, name: &str) -> Result<(), String> {
        let names: Vec<String> = self.members.iter().map(|member| member.planned.name.clone()).collect();
        let at = names
            .iter()
            .position(|known| known == name)
            .ok_or_else(|| format!("no daemon `{name}` in this cluster; it has {}", names.join(", ")))?;
        let member = &mut self.members[at];
        let planned = member.planned.clone();
        if let Some(handle) = member.handle.take() {
            handle.shutdown();
            if let Err(reason) = handle.wait() {
                tracing::warn!("{name} had failed: {reason}");
            }
        }
        let handle = self.launch(&planned)?;
        self.members[at].handle = Some(handle);
        Ok(())
    }

    /// Stops everything, the namenode last. Those of one role end together, and before those that they write to.
    pub fn stop(mut self) {
        for role in [Role::Tasktracker, Role::Jobtracker, Role::Datanode, Role::Namenode] {
            let mut ending = Vec::new();
            for member in self.members.iter_mut().filter(|member| member.planned.role == role) {
                if let Some(handle) = member.handle.take() {
                    handle.shutdown();
                    ending.push((&member.planned.name, handle));
                }
            }
            for (name, handle) in ending {
                if let Err(reason) = handle.wait() {
                    tracing::warn!("{name} ended with: {reason}");
                }
            }
        }
    }

    /// HTTP address of the namenode.
    #[must_use]
    pub fn namenode_http(&self) -> Option<std::net::SocketAddr> {
        self.plan.daemons.first().map(|namenode| namenode.addrs.http)
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// A daemon that ended, or time ran out.
    pub fn wait_ready(&mut self, limit: Duration, stop: &mammoth_platform::shutdown::Shutdown) -> Result<(), String> {
        let plan = self.plan.clone();
        let alive = || match self.reap().first() {
            Some((name, reason)) => Err(format!("{name}: {reason}")),
            None if stop.is_triggered() => Err("stopped before it was ready".to_owned()),
            None => Ok(()),
        };
        crate::status::wait_ready(&plan, limit, alive)
    }
}
