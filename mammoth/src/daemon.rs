//! One daemon in this process: the programs `namenode`, `datanode`, `jobtracker` and `tasktracker`, and the subcommands of those names.

use crate::args::{Daemon, SettingArgs};
use crate::layout::{Role, is_for_clients};
use crate::processes::LISTENING;
use mammoth_platform::settings::Settings;
use mammoth_platform::shutdown::Shutdown;
use mammoth_platform::{keys, signals, telemetry};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A daemon of any kind that runs in this process.
pub enum DaemonHandle {
    /// The namenode.
    Namenode(mammoth_namenode::Handle),
    /// A datanode.
    Datanode(mammoth_datanode::Handle),
    /// The jobtracker.
    Jobtracker(mammoth_jobtracker::Handle),
    /// A tasktracker.
    Tasktracker(mammoth_tasktracker::Handle),
}

impl DaemonHandle {
    /// Starts a daemon of this kind.
    ///
    /// # Errors
    /// One line: a bad setting, a port in use, a folder of another cluster.
    pub fn start(role: Role, settings: &Settings) -> Result<Self, String> {
        mammoth_platform::process::raise_open_files();
        match role {
            Role::Namenode => {
                let config = mammoth_namenode::NamenodeConfig::from_settings(settings).map_err(|e| e.to_string())?;
                let components = mammoth_namenode::Components::default();
                mammoth_namenode::start(config, components).map(Self::Namenode).map_err(|e| e.to_string())
            }
            Role::Datanode => {
                let config = mammoth_datanode::DatanodeConfig::from_settings(settings).map_err(|e| e.to_string())?;
                let components = mammoth_datanode::Components::system();
                mammoth_datanode::start(config, components).map(Self::Datanode).map_err(|e| e.to_string())
            }
            Role::Jobtracker => {
                let config =
                    mammoth_jobtracker::JobtrackerConfig::from_settings(settings).map_err(|e| e.to_string())?;
                let components = mammoth_jobtracker::Components::default();
                mammoth_jobtracker::start(config, components).map(Self::Jobtracker).map_err(|e| e.to_string())
            }
            Role::Tasktracker => {
                let config =
                    mammoth_tasktracker::TasktrackerConfig::from_settings(settings).map_err(|e| e.to_string())?;
                let components = mammoth_tasktracker::Components::system(settings);
                mammoth_tasktracker::start(config, components).map(Self::Tasktracker).map_err(|e| e.to_string())
            }
        }
    }

    /// Asks it to stop; [`DaemonHandle::wait`] tells when it has.
    pub fn shutdown(&self) {
        match self {
            Self::Namenode(handle) => handle.shutdown(),
            Self::Datanode(handle) => handle.shutdown(),
            Self::Jobtracker(handle) => handle.shutdown(),
            Self::Tasktracker(handle) => handle.shutdown(),
        }
    }

    /// Waits for its end; the reason if it ended by itself.
    ///
    /// # Errors
    /// What was fatal, in one line.
    pub fn wait(self) -> Result<(), String> {
        match self {
            Self::Namenode(handle) => handle.wait().map_err(|e| e.to_string()),
            Self::Datanode(handle) => handle.wait().map_err(|e| e.to_string()),
            Self::Jobtracker(handle) => handle.wait(),
            Self::Tasktracker(handle) => handle.wait().map_err(|e| e.to_string()),
        }
    }

    /// Why it cannot go on, if so.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        match self {
            Self::Namenode(handle) => handle.fatal_reason(),
            Self::Datanode(handle) => handle.fatal(),
            Self::Jobtracker(handle) => handle.fatal_reason(),
            Self::Tasktracker(handle) => handle.fatal(),
        }
    }

    /// Its addresses, each with its name.
    #[must_use]
    pub fn addrs(&self) -> Vec<(&'static str, std::net::SocketAddr)> {
        match self {
            Self::Namenode(handle) => {
                let addrs = handle.addrs();
                vec![("rpc", addrs.rpc), ("http", addrs.http), ("internal", addrs.internal)]
            }
            Self::Datanode(handle) => {
                let addrs = handle.addrs();
                vec![("transfer", addrs.transfer), ("http", addrs.http), ("ipc", addrs.ipc)]
            }
            Self::Jobtracker(handle) => {
                let addrs = handle.addrs();
                vec![("http", addrs.http), ("internal", addrs.internal)]
            }
            Self::Tasktracker(handle) => vec![("http", handle.addrs().http)],
        }
    }
}

/// Reads settings from a folder and the command line, and prints what is doubtful about them.
///
/// # Errors
/// A bad value or an unreadable folder, in one line.
pub fn load_settings(args: &SettingArgs) -> Result<Settings, String> {
    let settings = Settings::load(conf_dir(args).as_deref(), &args.define).map_err(|e| e.to_string())?;
    for warning in settings.validate().map_err(|e| e.to_string())? {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// The folder of settings: what the command line names, otherwise the environment's, unless a cluster left it for clients.
pub(crate) fn conf_dir(args: &SettingArgs) -> Option<PathBuf> {
    let from_environment =
        || std::env::var_os("HADOOP_CONF_DIR").map(PathBuf::from).filter(|conf| !is_for_clients(conf));
    args.conf.clone().or_else(from_environment)
}

/// The whole life of a daemon that has this process to itself.
#[must_use]
pub fn main(role: Role, args: &Daemon) -> ExitCode {
    if std::env::var_os("MAMMOTH_DETACHED").is_some() {
        // Fails only for a process that leads a session already.
        let _ = rustix::process::setsid();
    }
    match run(role, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // The starter reads the log's last line, a person standard error; either may be closed by now.
            let line = format!("{}: {reason}", role.program());
            if args.log.is_some() {
                tracing::error!("{line}");
            }
            let _ = writeln!(std::io::stderr(), "{line}");
            ExitCode::FAILURE
        }
    }
}

fn run(role: Role, args: &Daemon) -> Result<(), String> {
    telemetry::start(args.log.as_deref()).map_err(|e| e.to_string())?;
    let mut settings = load_settings(&args.settings)?;
    let log_dir = args.log.as_deref().and_then(Path::parent);
    if let (Some(dir), false) = (log_dir, settings.is_given(keys::HADOOP_LOG_DIR.name())) {
        settings.set(keys::HADOOP_LOG_DIR.name(), dir.display().to_string());
    }
    let stop = Shutdown::new();
    signals::on_terminate(&stop).map_err(|e| e.to_string())?;
    let handle = DaemonHandle::start(role, &settings)?;
    announce(role, &handle);
    if args.lifeline {
        watch_lifeline(&stop)?;
    }
    while !stop.is_triggered() && handle.fatal().is_none() {
        let _ = stop.wait(std::time::Duration::from_millis(200));
    }
    handle.shutdown();
    handle.wait()
}

/// Prints the bound addresses; nobody needs to listen.
fn announce(role: Role, handle: &DaemonHandle) {
    let addrs: Vec<String> = handle.addrs().iter().map(|(name, addr)| format!("{name}={addr}")).collect();
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{LISTENING} {} {}", role.program(), addrs.join(" "));
    let _ = out.flush();
}

fn watch_lifeline(stop: &Shutdown) -> Result<(), String> {
    let stop = stop.clone();
    let watch = move || {
        let mut byte = [0; 64];
        while matches!(std::io::stdin().read(&mut byte), Ok(n) if n > 0) {}
        stop.trigger();
    };
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(watch).map(drop).map_err(|e| e.to_string())
}
