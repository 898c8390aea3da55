//! All commands of the shell, in alphabetical order: their options are Hadoop's, to the letter.

use crate::commands as c;
use crate::fault::Fault;
use crate::session::Session;

/// A command that works.
pub(crate) struct Command {
    /// Its name without a dash.
    pub(crate) name: &'static str,
    /// What follows the name.
    pub(crate) usage: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
    /// The command to use instead.
    pub(crate) deprecated: Option<&'static str>,
    /// Executes it.
    pub(crate) run: fn(&mut Session<'_>, Vec<String>) -> Result<(), Fault>,
}

/// The command for a name.
pub(crate) enum Found {
    Ready(&'static Command),
    /// A command of Hadoop that is not built yet.
    Planned(&'static str),
    Unknown,
}

/// Finds `ls` or `-ls`.
pub(crate) fn find(typed: &str) -> Found {
    let name = match typed {
        "--help" | "-h" => "help",
        "--version" => "version",
        "dfsadmin" | "-dfsadmin" => "admin",
        _ => typed.strip_prefix('-').unwrap_or(typed),
    };
    if let Some(command) = COMMANDS.iter().find(|command| command.name == name) {
        return Found::Ready(command);
    }
    PLANNED.iter().find(|planned| **planned == name).map_or(Found::Unknown, |planned| Found::Planned(planned))
}

/// Commands of Hadoop's shell and of its companions that are not built yet.
const PLANNED: [&str; 11] = [
    "createSnapshot",
    "deleteSnapshot",
    "expunge",
    "getfacl",
    "getfattr",
    "moveToLocal",
    "mover",
    "renameSnapshot",
    "setfacl",
    "setfattr",
    "storagepolicies",
];

const fn command(
    name: &'static str,
    usage: &'static str,
    run: fn(&mut Session<'_>, Vec<String>) -> Result<(), Fault>,
    help: &'static str,
) -> Command {
    Command { name, usage, help, deprecated: None, run }
}

const fn deprecated(
    name: &'static str,
    instead: &'static str,
    run: fn(&mut Session<'_>, Vec<String>) -> Result<(), Fault>,
) -> Command {
    Command { name, usage: "", help: "", deprecated: Some(instead), run }
}

const PUT: &str = "[-f] [-p] [-l] [-d] [-t <thread count>] [-q <thread pool queue size>] <localsrc> ... <dst>";
const GET: &str =
    "[-f] [-p] [-crc] [-ignoreCrc] [-t <thread count>] [-q <thread pool queue size>] <src> ... <localdst>";

/// Every command that works.
pub(crate) static COMMANDS: [Command; 41] = [
    command(
        "admin",
        "report [-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance] [--json] | \
         safemode enter|leave|get|wait|forceExit | refreshNodes | printTopology | \
         listOpenFiles [-blockingDecommission] [-path <path>] | saveNamespace [-beforeShutdown] | \
         setBalancerBandwidth <bandwidth in bytes per second> | metasave <filename>",
        c::admin::run,
        "Shows the state of the cluster, its racks or the files that are being written, enters, leaves or waits for the end of safe mode, has the namenode \
         read its lists of datanodes again, make a checkpoint, or write what it has to repair into a file beside its log; bounds \
         what each datanode may use for balancing.",
    ),
    command(
        "appendToFile",
        "[-n] <localsrc> ... <dst>",
        c::append::run,
        "Appends local files to a file, which is created if missing; - is standard input. -n starts a new block.",
    ),
    command(
        "balancer",
        "[-policy datanode] [-threshold <threshold>] [-exclude [-f <hosts-file> | <comma-separated list of hosts>]] \
         [-include [-f <hosts-file> | <comma-separated list of hosts>]] \
         [-source [-f <hosts-file> | <comma-separated list of hosts>]] [-idleiterations <idleiterations>] \
         [-runDuringUpgrade]",
        c::balancer::run,
        "Moves blocks from datanodes that are fuller than the average to emptier ones, until the use of none differs from \
         it by more than the threshold, in percent of its capacity (10). Ends with 0 when all are balanced, with 255 while \
         another balancer runs, with 254 if nothing can be moved, with 253 after -idleiterations (5) without a move.",
    ),
    command("cat", "[-ignoreCrc] <src> ...", c::cat::cat, "Writes files to standard output."),
    command(
        "checksum",
        "[-v] <src> ...",
        c::checksum::run,
        "Shows checksums of files, which the datanodes work out; with -v with the block size of each.",
    ),
    command(
        "chgrp",
        "[-R] GROUP PATH...",
        c::chown::chgrp,
        "Changes the group of files; with -R of all that is below them.",
    ),
    command(
        "chmod",
        "[-R] <MODE[,MODE]... | OCTALMODE> PATH...",
        c::chmod::run,
        "Changes the permissions of files; with -R of all that is below them. A mode is as in g-w,o=r, of the letters \
         rwxXt, or three or four octal digits, the first of four being the sticky bit. No umask is applied.",
    ),
    command(
        "chown",
        "[-R] [OWNER][:[GROUP]] PATH...",
        c::chown::chown,
        "Changes owner, group or both of files; with -R of all that is below them.",
    ),
    command(
        "concat",
        "<target path> <src path> <src path> ...",
        c::concat::run,
        "Moves the content of files to the end of another in the same folder, without copying; the sources are gone \
         afterwards.",
    ),
    command("copyFromLocal", PUT, c::transfer::put, "The same as -put."),
    command("copyToLocal", GET, c::transfer::get, "The same as -get."),
    command(
        "count",
        "[-q] [-h] [-v] [-u] [-x] <path> ...",
        c::count::run,
        "Counts folders, files and bytes: DIR_COUNT FILE_COUNT CONTENT_SIZE PATHNAME. -q adds quotas in front, -u shows \
         nothing but quotas, -v a header, -h readable sizes; -x leaves out snapshots.",
    ),
    command(
        "cp",
        "[-f] [-p | -p[topax]] [-d] [-t <thread count>] [-q <thread pool queue size>] <src> ... <dst>",
        c::transfer::cp,
        "Copies files and folders. -f replaces files, -p keeps times, owner and permissions (or those of the letters that \
         follow), -d writes without a temporary file, -t copies several files at a time.",
    ),
    command(
        "df",
        "[-h] [--json] [<path> ...]",
        c::df::run,
        "Shows size and use of the file system; -h in readable sizes.",
    ),
    command(
        "du",
        "[-s] [-h] [-v] [-x] [--json] <path> ...",
        c::du::du,
        "Shows the bytes of files and folders, alone and with all replicas; of folders one level deep. -s sums up each \
         argument, -h prints readable sizes, -v a header; -x leaves out snapshots.",
    ),
    deprecated("dus", "du -s", c::du::dus),
    command(
        "find",
        "<path> ... <expression> ...",
        c::find::run,
        "Shows every path that matches: -name or -iname with a pattern, -print, -print0; several hold together, with or \
         without -a.",
    ),
    command(
        "fsck",
        "<path> [-list-corruptfileblocks | [-move | -delete | -openforwrite] [-files [-blocks [-locations | -racks | \
         -replicaDetails]]]] [-blockId <blk_Id> ...]",
        c::fsck::run,
        "Checks the files below a path for missing and corrupt blocks and for blocks with too few replicas. -move copies what \
         can still be read of corrupt files to /lost+found, -delete deletes them. Ends with 0 for a healthy file system, with \
         1 for a corrupt one.",
    ),
    command(
        "get",
        GET,
        c::transfer::get,
        "Copies files and folders to the local disk; - is standard output. -f replaces files, -p keeps times, owner and \
         permissions, -crc writes checksum files, -ignoreCrc accepts bad checksums, -t copies several files at a time.",
    ),
    command(
        "getmerge",
        "[-nl] [-skip-empty-file] <src> <localdst>",
        c::getmerge::run,
        "Writes the files of a folder, in order of their names, into one local file. -nl ends each with a new line, \
         -skip-empty-file not the empty ones.",
    ),
    command("head", "<file>", c::tail::head, "Shows the first kilobyte of a file."),
    command("help", "[cmd ...]", c::help::help, "Explains commands, all of them without an argument."),
    command(
        "ls",
        "[-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [-e] [--json] [<path> ...]",
        c::ls::ls,
        "Lists folders and files: permissions, replicas, owner, group, bytes, time of the last change, path. -C prints \
         paths only, -d folders as such, -h readable sizes, -q a ? for what cannot be shown, -R all below. -t sorts by \
         time, -S by size, -r the other way round; -u uses the time of the last access.",
    ),
    deprecated("lsr", "ls -R", c::ls::lsr),
    command(
        "mkdir",
        "[-p] <path> ...",
        c::mkdir::run,
        "Makes folders. -p makes those above as well and does not mind existing ones.",
    ),
    command(
        "moveFromLocal",
        "[-f] [-p] [-l] [-d] <localsrc> ... <dst>",
        c::transfer::move_from_local,
        "The same as -put, but deletes each local file when it is stored.",
    ),
    command("mv", "<src> ... <dst>", c::mv::run, "Renames a path, or moves several into a folder."),
    command(
        "put",
        PUT,
        c::transfer::put,
        "Stores local files and folders; - is standard input. -f replaces files, -p keeps times, owner and permissions, \
         -l writes one replica only, -d writes without a temporary file, -t stores several files at a time.",
    ),
    command(
        "rm",
        "[-f] [-r|-R] [-skipTrash] [-safely] <src> ...",
        c::rm::rm,
        "Deletes files, or moves them to the trash where that is on; with -r folders too. -f does not mind missing ones, \
         -skipTrash deletes at once, -safely asks before deleting many files.",
    ),
    command(
        "rmdir",
        "[--ignore-fail-on-non-empty] <dir> ...",
        c::rm::rmdir,
        "Deletes empty folders; with the option it leaves others alone without complaint.",
    ),
    deprecated("rmr", "-rm -r", c::rm::rmr),
    command(
        "setrep",
        "[-R] [-w] <rep> <path> ...",
        c::setrep::run,
        "Sets the wanted number of replicas of files, in folders of all files below. -w waits until it is reached.",
    ),
    command(
        "stat",
        "[-R] [--json] [format] <path> ...",
        c::stat::run,
        "Prints facts about paths in a format of %a and %A (permissions), %b (bytes), %F (type), %g (group), %n (name), \
         %o (block size), %r (replicas), %u (owner), %x and %X (last access), %y and %Y (last change, the default).",
    ),
    command(
        "tail",
        "[-f] [-s <sleep interval>] <file>",
        c::tail::tail,
        "Shows the last kilobyte of a file; with -f also what is appended, looking every -s milliseconds.",
    ),
    command(
        "test",
        "-[defswrz] <path>",
        c::test::run,
        "Answers by its exit status, 0 for yes: -d a folder, -e exists, -f a file, -s not empty, -w writable, -r readable, \
         -z empty.",
    ),
    command(
        "text",
        "[-ignoreCrc] <src> ...",
        c::cat::text,
        "Writes files to standard output. Compressed and sequence files are not decoded yet, but refused.",
    ),
    command(
        "touch",
        "[-a] [-m] [-t TIMESTAMP (yyyyMMdd:HHmmss) ] [-c] <path> ...",
        c::touch::touch,
        "Sets the times of files to now, or to -t; of the last access only with -a, of the last change only with -m. \
         Creates missing files, unless -c is given.",
    ),
    command("touchz", "<path> ...", c::touch::touchz, "Creates empty files."),
    command(
        "truncate",
        "[-w] <length> <path> ...",
        c::truncate::run,
        "Shortens files to a length in bytes. Where that cuts a block, a file can only be written again once that is done; \
         -w waits for it.",
    ),
    command("usage", "[cmd ...]", c::help::usage, "Shows the options of commands, all of them without an argument."),
    command("version", "", c::help::version, "Shows the version of this program."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_find_a_command() {
        for typed in ["ls", "-ls", "rmr", "-appendToFile", "dfsadmin", "--help"] {
            assert!(matches!(find(typed), Found::Ready(_)), "{typed}");
        }
        assert!(matches!(find("-setfacl"), Found::Planned("setfacl")));
        for typed in ["lsx", "--ls", "LS", ""] {
            assert!(matches!(find(typed), Found::Unknown), "{typed}");
        }
    }

    #[test]
    fn names_are_in_order_and_appear_once() {
        let names: Vec<_> = COMMANDS.iter().map(|command| command.name.to_lowercase()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert!(PLANNED.is_sorted() && PLANNED.iter().all(|name| !names.contains(&name.to_lowercase())));
    }

    #[test]
    fn every_command_that_is_to_be_used_explains_itself() {
        for command in COMMANDS.iter().filter(|command| command.deprecated.is_none()) {
            assert!(command.help.ends_with('.'), "{}", command.name);
        }
    }
}
