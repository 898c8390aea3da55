//! `mammoth up --processes`: every daemon a process of its own.

use super::{READY_LIMIT, announce};
use crate::args::{SettingArgs, Up};
use crate::daemon::conf_dir;
use crate::layout::{ClusterDir, Plan, Running, RunningDaemon};
use crate::processes::{self, Started};
use crate::status::wait_ready;
use mammoth_platform::settings::{Origin, Settings};
use mammoth_platform::shutdown::Shutdown;
use mammoth_platform::{keys, signals};
use std::process::Child;
use std::time::Duration;

/// Starts the daemons and waits until they are ready; stays until Ctrl-C unless detached.
pub(super) fn up(dir: &ClusterDir, args: &Up, plan: &Plan, settings: &Settings) -> Result<(), String> {
    let mut user = user_args(&args.settings)?;
    // Found for all of them together; an argument more is the way to tell them.
    for key in [keys::DFS_DOMAIN_SOCKET_PATH.name(), keys::DFS_CLIENT_READ_SHORTCIRCUIT.name()] {
        if let Some((_, value, Origin::Program)) = settings.iter().find(|(name, ..)| *name == key) {
            user.extend(["-D".to_owned(), format!("{key}={value}")]);
        }
    }
    let stop = Shutdown::new();
    signals::on_terminate(&stop).map_err(|e| e.to_string())?;
    let supervisor = (!args.detach).then(std::process::id);
    let mut cluster = Separate { running: Vec::new(), children: Vec::new() };
    // Each is on record as soon as it runs, so that `mammoth down` finds it, should this process be killed.
    let result = cluster.launch(dir, plan, &user, supervisor, &stop);
    if let Err(reason) = result {
        cluster.stop();
        dir.clear_running().map_err(|e| e.to_string())?;
        return Err(reason);
    }
    dir.write_client_files(plan, settings).map_err(|e| e.to_string())?;
    announce(dir, &cluster.record(supervisor));
    if args.detach {
        return Ok(());
    }
    while !stop.is_triggered() {
        let _ = stop.wait(Duration::from_millis(200));
        cluster.reap();
        if dir.running().is_ok_and(|running| running.is_none()) {
            // Somebody ran `mammoth down`.
            return Ok(());
        }
    }
    // Restarted daemons have other processes than those that this one started.
    if let Ok(Some(running)) = dir.running() {
        cluster.running = running.daemons;
    }
    cluster.stop();
    dir.clear_running().map_err(|e| e.to_string())
}

struct Separate {
    running: Vec<RunningDaemon>,
    children: Vec<Child>,
}

impl Separate {
    fn record(&self, supervisor: Option<u32>) -> Running {
        Running { processes: true, supervisor, daemons: self.running.clone() }
    }

    fn launch(
        &mut self,
        dir: &ClusterDir,
        plan: &Plan,
        user: &[String],
        supervisor: Option<u32>,
        stop: &Shutdown,
    ) -> Result<(), String> {
        for planned in &plan.daemons {
            let args = processes::daemon_args(dir, planned, plan, user);
            let Started { daemon, child } =
                processes::start(dir, planned, args, supervisor.is_some()).map_err(|e| e.to_string())?;
            self.running.push(daemon);
            self.children.push(child);
            dir.write_running(&self.record(supervisor)).map_err(|e| e.to_string())?;
        }
        let running = &self.running;
        let alive = || match running.iter().find(|d| !processes::is_alive(d.pid, d.pid_started)) {
            Some(dead) => Err(format!("{} ended (log: {})", dead.name, dead.log.display())),
            None if stop.is_triggered() => Err("stopped before it was ready".to_owned()),
            None => Ok(()),
        };
        wait_ready(plan, READY_LIMIT, alive)
    }

    /// Collects the exit status of children that ended, so that they do not stay as zombies.
    fn reap(&mut self) {
        self.children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
    }

    fn stop(&mut self) {
        for daemon in self.running.iter().rev() {
            if let Err(e) = processes::stop(&daemon.name, daemon.pid, daemon.pid_started) {
                tracing::warn!("{e}");
            }
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}

/// The user's settings as arguments for every daemon, with paths that hold in any working folder.
fn user_args(settings: &SettingArgs) -> Result<Vec<String>, String> {
    let mut args = Vec::new();
    if let Some(conf) = conf_dir(settings) {
        let conf = conf.canonicalize().map_err(|e| format!("{}: {e}", conf.display()))?;
        args.extend(["--conf".to_owned(), conf.display().to_string()]);
    }
    for define in &settings.define {
        args.extend(["-D".to_owned(), define.clone()]);
    }
    Ok(args)
}

/// Stops one daemon's process and starts another on the same addresses.
pub(super) fn restart(dir: &ClusterDir, mut running: Running, name: &str) -> Result<(), String> {
    let names: Vec<&str> = running.daemons.iter().map(|d| d.name.as_str()).collect();
    let unknown = || format!("no daemon `{name}` in this cluster; it has {}", names.join(", "));
    let at = names.iter().position(|known| *known == name).ok_or_else(unknown)?;
    let plan = dir.plan().map_err(|e| e.to_string())?.ok_or("the cluster folder has lost its plan.json")?;
    let planned = plan.daemons.iter().find(|planned| planned.name == name).ok_or("plan.json does not name it")?;
    let old = running.daemons[at].clone();
    processes::stop(name, old.pid, old.pid_started).map_err(|e| e.to_string())?;
    let started = processes::start(dir, planned, old.args, false).map_err(|e| e.to_string())?;
    running.daemons[at] = started.daemon;
    dir.write_running(&running).map_err(|e| e.to_string())
}
