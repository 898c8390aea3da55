//! The command line of `mammoth`. The `dfs` shell parses its own, as Hadoop's flags do not fit a common parser.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// A distributed file system that Hadoop's clients can use, in one program.
#[derive(Debug, Parser)]
#[command(name = "mammoth", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Mammoth {
    /// What to do.
    #[command(subcommand)]
    pub command: Verb,
}

/// The commands of `mammoth`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a fresh cluster, store files on it, read them back, and show where to look.
    Demo(Demo),
    /// Start a cluster whose data lives in a folder and survives restarts.
    Up(Up),
    /// Stop the cluster of a folder.
    Down(Down),
    /// Restart one daemon of a running cluster.
    Restart(Restart),
    /// Run an example on disk, in memory and in a plain loop, and compare what that took.
    Compare(Compare),
    /// Run a namenode.
    Namenode(Daemon),
    /// Run a datanode.
    Datanode(Daemon),
    /// Run a jobtracker.
    Jobtracker(Daemon),
    /// Run a tasktracker.
    Tasktracker(Daemon),
    /// Jobs, as the program `mapred`.
    #[command(disable_help_flag = true)]
    Mapred {
        /// Arguments of `mapred`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// The file system shell, as the program `dfs`.
    #[command(disable_help_flag = true)]
    Dfs {
        /// Arguments of `dfs`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
}

/// Settings that every command that starts daemons takes.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingArgs {
    /// Set one of Hadoop's keys, such as dfs.replication=2.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub define: Vec<String>,
    /// A folder with Hadoop's core-site.xml and hdfs-site.xml (default: HADOOP_CONF_DIR).
    #[arg(long, value_name = "DIR")]
    pub conf: Option<PathBuf>,
}

/// `mammoth demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Text files to store; a generated text without any.
    pub files: Vec<PathBuf>,
    /// End at once instead of staying up until Ctrl-C.
    #[arg(long)]
    pub exit: bool,
    /// How many datanodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub datanodes: u16,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `mammoth compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// wordcount or grep.
    pub example: String,
    /// The input, and for grep the pattern. A path of the cluster that MAMMOTH_FS and MAMMOTH_JOBTRACKER name; without them a
    /// local file, which is stored in a cluster made for the occasion.
    pub args: Vec<String>,
    /// Print the table as JSON: an array with an object a column, sizes in bytes, times in microseconds.
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `mammoth up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Folder of the cluster's data, logs and addresses; made if missing.
    #[arg(long)]
    pub dir: PathBuf,
    /// How many datanodes (default: as many as the folder has, 3 in a new one).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub datanodes: Option<u16>,
    /// How many tasktrackers (default: as many as the folder has, 3 in a new one); 0 for a file system without jobs.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub tasktrackers: Option<u16>,
    /// Spread the datanodes over this many racks.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub racks: Option<u16>,
    /// Run every daemon as a process of its own.
    #[arg(long)]
    pub processes: bool,
    /// Return as soon as the cluster is ready.
    #[arg(long)]
    pub detach: bool,
    /// Consecutive ports from this one; 0 takes any free ones. Without it: Hadoop's ports if free.
    #[arg(long, value_name = "PORT")]
    pub port_base: Option<u16>,
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArgs,
}

impl Up {
    /// A cluster in a folder that goes away with it.
    #[must_use]
    pub fn temporary(dir: &std::path::Path, datanodes: u16, settings: SettingArgs) -> Self {
        Self {
            dir: dir.to_owned(),
            datanodes: Some(datanodes),
            tasktrackers: None,
            racks: None,
            processes: false,
            detach: false,
            port_base: None,
            settings,
        }
    }
}

/// `mammoth down`.
#[derive(Debug, Args)]
pub struct Down {
    /// Folder of the cluster.
    #[arg(long)]
    pub dir: PathBuf,
}

/// `mammoth restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// Folder of the cluster.
    #[arg(long)]
    pub dir: PathBuf,
    /// Which daemon: namenode, datanode-1, jobtracker, tasktracker-1, ...
    pub name: String,
}

/// `mammoth namenode`, `mammoth datanode`, `mammoth jobtracker`, `mammoth tasktracker` and the programs of those names.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Daemon {
    /// Settings.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Write log lines to this file instead of standard error.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Stop when standard input ends, so that the daemon never outlives its starter.
    #[arg(long)]
    pub lifeline: bool,
}

/// Prints what clap has to say: help and version on standard output with status 0, a usage error on standard error with 255,
/// as Hadoop's tools do.
#[must_use]
pub fn refuse(error: &clap::Error) -> std::process::ExitCode {
    // Nothing is left to do if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { std::process::ExitCode::from(255) } else { std::process::ExitCode::SUCCESS }
}
