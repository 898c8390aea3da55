//! `mammoth up`, `down` and `restart`.

mod detach;
mod plan;
mod separate;

use crate::args::{Down, Restart, Up};
use crate::control::{self, Order};
use crate::embedded::Embedded;
use crate::layout::{ClusterDir, Plan, Role, Running};
use crate::processes;
use mammoth_platform::{DirLock, Shutdown, signals, telemetry};
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// How long a cluster may take to become ready.
pub const READY_LIMIT: Duration = Duration::from_secs(120);

/// `mammoth up`.
///
/// # Errors
/// One line: what stands in the way.
pub fn up(args: &Up) -> Result<(), String> {
    if args.detach && !args.processes {
        return detach::detach(args);
    }
    let detached = std::env::var_os("MAMMOTH_DETACHED").is_some();
    if detached {
        // Fails only for a process that leads a session already.
        let _ = rustix::process::setsid();
    }
    let dir = ClusterDir::create(&args.dir).map_err(|e| e.to_string())?;
    telemetry::start(Some(&dir.log("up"))).map_err(|e| e.to_string())?;
    let mut settings = crate::daemon::load_settings(&args.settings)?;
    refuse_if_running(&dir)?;
    dir.offer_short_circuit(&mut settings);
    let plan = plan::plan(&dir, args)?;
    if args.processes {
        return separate::up(&dir, args, &plan, &settings);
    }
    let _lock = DirLock::acquire(dir.root()).map_err(|e| e.to_string())?;
    let stop = Shutdown::new();
    signals::on_terminate(&stop).map_err(|e| e.to_string())?;
    let mut cluster = Embedded::start(&dir, &plan, &settings)?;
    if let Err(reason) = cluster.wait_ready(READY_LIMIT, &stop) {
        cluster.stop();
        return Err(reason);
    }
    let listener = control::listen(&dir).map_err(|e| format!("{}/control.sock: {e}", dir.root().display()))?;
    let running = Running { processes: false, supervisor: Some(std::process::id()), daemons: cluster.running() };
    dir.write_client_files(&plan, &settings).map_err(|e| e.to_string())?;
    dir.write_running(&running).map_err(|e| e.to_string())?;
    announce(&dir, &running);
    let down = serve(&mut cluster, listener, &stop)?;
    cluster.stop();
    dir.clear_running().map_err(|e| e.to_string())?;
    // Whoever asked for the end is told when it has come.
    if let Some(stream) = down {
        control::answer(stream, Ok(()));
    }
    Ok(())
}

type Pending = (Order, std::os::unix::net::UnixStream);

/// Carries out orders until a signal or `down`; gives back the stream on which `down` waits.
fn serve(
    cluster: &mut Embedded,
    listener: std::os::unix::net::UnixListener,
    stop: &Shutdown,
) -> Result<Option<std::os::unix::net::UnixStream>, String> {
    let (sender, orders) = mpsc::sync_channel::<Pending>(4);
    let listen = move || {
        loop {
            match control::next_order(&listener) {
                Ok(pending) => {
                    if sender.send(pending).is_err() {
                        return;
                    }
                }
                Err(e) => tracing::warn!("control socket: {e}"),
            }
        }
    };
    std::thread::Builder::new().name("control".to_owned()).spawn(listen).map_err(|e| e.to_string())?;
    while !stop.is_triggered() {
        for (name, reason) in cluster.reap() {
            tracing::error!("{name} ended: {reason}");
        }
        match orders.recv_timeout(Duration::from_millis(100)) {
            Ok((Order::Restart(name), stream)) => control::answer(stream, cluster.restart(&name)),
            Ok((Order::Down, stream)) => return Ok(Some(stream)),
            Err(_) => {}
        }
    }
    Ok(None)
}

fn refuse_if_running(dir: &ClusterDir) -> Result<(), String> {
    let running = dir.running().map_err(|e| e.to_string())?;
    let alive = running.iter().flat_map(|r| &r.daemons).find(|d| processes::is_alive(d.pid, d.pid_started));
    match alive {
        Some(daemon) => Err(format!(
            "{}: a cluster runs there already ({}, process {}); stop it with `mammoth down --dir {}`",
            dir.root().display(),
            daemon.name,
            daemon.pid,
            dir.root().display()
        )),
        None => Ok(()),
    }
}

/// Prints where to look, and last `ready`.
fn announce(dir: &ClusterDir, running: &Running) {
    let mut out = std::io::stdout().lock();
    if let Some(namenode) = running.daemons.first() {
        let rpc = namenode.addrs.rpc.map(|addr| format!("hdfs://{addr}")).unwrap_or_default();
        let _ = writeln!(out, "file system  {rpc}");
        let _ = writeln!(out, "status page  http://{}/", namenode.addrs.http);
    }
    if let Some(jobtracker) = running.daemons.iter().find(|daemon| daemon.name == Role::Jobtracker.program()) {
        let _ = writeln!(out, "jobtracker   http://{}/", jobtracker.addrs.http);
    }
    let _ = writeln!(out, "environment  . {}/env", dir.root().display());
    let _ = writeln!(out, "ready");
    let _ = out.flush();
}

/// `mammoth down`.
///
/// # Errors
/// One line: not a cluster folder, or a process that will not end.
pub fn down(args: &Down) -> Result<(), String> {
    let dir = ClusterDir::open(&args.dir).map_err(|e| e.to_string())?;
    let Some(running) = dir.running().map_err(|e| e.to_string())? else {
        println!("no cluster runs in {}", dir.root().display());
        return Ok(());
    };
    if !running.processes
        && let Err(reason) = control::send(&dir, &Order::Down, Duration::from_secs(30))
    {
        // A process that was killed, or does not answer, is ended by signal below.
        tracing::debug!("{reason}");
    }
    for daemon in running.daemons.iter().rev() {
        processes::stop(&daemon.name, daemon.pid, daemon.pid_started).map_err(|e| e.to_string())?;
    }
    dir.clear_running().map_err(|e| e.to_string())
}

/// `mammoth restart`.
///
/// # Errors
/// One line: no such daemon, or it did not come back.
pub fn restart(args: &Restart) -> Result<(), String> {
    let dir = ClusterDir::open(&args.dir).map_err(|e| e.to_string())?;
    let running = dir.running().map_err(|e| e.to_string())?;
    let Some(running) = running else {
        return Err(format!("no cluster runs in {}; start one with `mammoth up --dir`", dir.root().display()));
    };
    if running.processes {
        return separate::restart(&dir, running, &args.name);
    }
    control::send(&dir, &Order::Restart(args.name.clone()), Duration::from_secs(60))
}

/// The plan of a folder, for the demo.
pub(crate) fn plan_for(dir: &ClusterDir, args: &Up) -> Result<Plan, String> {
    plan::plan(dir, args)
}
