//! `balancer`: HDFS's options, lines and exit codes over the client library's balancer.

use super::Outcome;
use crate::fault::Fault;
use crate::format::{Dates, described};
use crate::session::Session;
use mammoth_client::{Balancer, BalancerConfig, BalancerEnd, BalancerIteration};
use mammoth_platform::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::time::Duration;

/// The columns of what is printed.
const HEADER: &str = "Time Stamp               Iteration#  Bytes Already Moved  Bytes Left To Move  Bytes Being Moved";
/// Hosts that one list names, at most.
const HOSTS_MAX: usize = 100_000;
/// Options of `hdfs balancer` that are not offered, with what they would need.
const ABSENT: [(&str, &str); 5] = [
    ("-asService", "run it from a timer instead"),
    ("-blockpools", "there is one block pool"),
    ("-hotBlockTimeInterval", "reads of single blocks are not counted"),
    ("-limitOverUtilizedNum", "every datanode above the average gives"),
    ("-sortTopNodes", "every datanode above the average gives"),
];

/// `balancer …`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let config = parse(BalancerConfig::from_settings(session.systems.settings())?, args)?;
    let client = session.systems.client()?;
    let idle = config.idle_iterations.unwrap_or_default();
    session.watch_signals()?;
    let stop = session.stop().clone();
    let clock = SystemClock;
    let began_ms = clock.now().monotonic_ms;
    let balancer = Balancer::new(client, config);
    session.line(HEADER)?;
    session.flush()?;
    let mut printed: Outcome = Ok(());
    let result = balancer.run(&stop, &mut |iteration| {
        if printed.is_ok() {
            printed = print(session, iteration, idle);
        }
    });
    printed?;
    let status = match result {
        Ok(BalancerEnd::AlreadyRunning) => {
            session.line("Another Balancer is running.  Exiting ...")?;
            exit_code(BalancerEnd::AlreadyRunning)
        }
        Ok(end) => exit_code(end),
        Err(error) => {
            session.line(format_args!("{error}.  Exiting ..."))?;
            IO_EXCEPTION
        }
    };
    let took_ms = clock.now().monotonic_ms.saturating_sub(began_ms);
    let now = Dates::local().balancer(clock.now().wall_ms);
    session.line(format_args!("{now:<24} Balancing took {}", took(Duration::from_millis(took_ms))))?;
    session.set_status(status);
    Ok(())
}

/// The namenode could not be asked: -4.
const IO_EXCEPTION: u8 = 252;

/// HDFS's exit status, as a process shows it.
const fn exit_code(end: BalancerEnd) -> u8 {
    match end {
        BalancerEnd::Balanced => 0,
        BalancerEnd::AlreadyRunning => 255,
        BalancerEnd::NoMoveBlock => 254,
        BalancerEnd::NoMoveProgress => 253,
        BalancerEnd::Interrupted => 250,
    }
}

fn print(session: &mut Session<'_>, iteration: &BalancerIteration, idle: u32) -> Outcome {
    match iteration.end {
        Some(BalancerEnd::Balanced) => session.line("The cluster is balanced. Exiting...")?,
        Some(BalancerEnd::NoMoveBlock) => session.line("No block can be moved. Exiting...")?,
        Some(BalancerEnd::NoMoveProgress) => {
            session.line(format_args!("No block has been moved for {idle} iterations. Exiting..."))?;
        }
        Some(BalancerEnd::AlreadyRunning | BalancerEnd::Interrupted) | None => {}
    }
    let now = Dates::local().balancer(SystemClock.now().wall_ms);
    session.line(row(&now, iteration))?;
    session.flush()
}

fn row(now: &str, iteration: &BalancerIteration) -> String {
    let being_moved = iteration.being_moved.map_or_else(|| "-1 B".to_owned(), described);
    format!(
        "{now:<24} {:>10}  {:>19}  {:>18}  {being_moved:>17}",
        iteration.number,
        described(iteration.already_moved),
        described(iteration.left_to_move),
    )
}

/// A length of time in Java's words.
fn took(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_secs() {
        0 => format!("{:?} milliseconds", seconds * 1000.0),
        1..60 => format!("{seconds:?} seconds"),
        60..3600 => format!("{:?} minutes", seconds / 60.0),
        _ => format!("{:?} hours", seconds / 3600.0),
    }
}

/// Reads the options; as in HDFS they are not sensitive to case.
fn parse(mut config: BalancerConfig, args: Vec<String>) -> Result<BalancerConfig, Fault> {
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        let mut value =
            |what: &str| args.next().ok_or_else(|| Fault::Usage(format!("{what} value is missing: args = [{arg}]")));
        match arg.to_ascii_lowercase().as_str() {
            "-threshold" => config.threshold = threshold(&value("Threshold")?)?,
            "-policy" => policy(&value("Policy")?)?,
            "-idleiterations" => config.idle_iterations = idle(&value("idleiterations")?)?,
            // There is no upgrade that could be going on.
            "-runduringupgrade" => {}
            option @ ("-include" | "-exclude" | "-source") => {
                let mut list = value("List of hosts")?;
                if list.eq_ignore_ascii_case("-f") {
                    list = read_list(&value("File with hosts")?)?;
                }
                let set = match option {
                    "-include" => &mut config.include,
                    "-exclude" => &mut config.exclude,
                    _ => &mut config.sources,
                };
                *set = hosts(&list)?;
            }
            option => return Err(refusal(&arg, option)),
        }
    }
    if !config.include.is_empty() && !config.exclude.is_empty() {
        return Err(Fault::Usage("-exclude and -include options cannot be specified together.".to_owned()));
    }
    Ok(config)
}

fn refusal(typed: &str, option: &str) -> Fault {
    match ABSENT.iter().find(|(name, _)| name.eq_ignore_ascii_case(option)) {
        Some((name, why)) => Fault::Usage(format!("{name} is not offered: {why}")),
        None => Fault::Usage(format!("args = [{typed}]: unknown option")),
    }
}

fn threshold(text: &str) -> Result<f64, Fault> {
    let number = text.parse().ok().filter(|number| (1.0..=100.0).contains(number));
    number.ok_or_else(|| Fault::Usage(format!("Expecting a number in the range of [1.0, 100.0]: {text}")))
}

fn policy(text: &str) -> Outcome {
    match text.to_ascii_lowercase().as_str() {
        "datanode" => Ok(()),
        "blockpool" => Err(Fault::Usage("-policy blockpool is not offered: there is one block pool".to_owned())),
        _ => Err(Fault::Usage(format!("Cannot recognize policy \"{text}\""))),
    }
}

/// -1: for ever.
fn idle(text: &str) -> Result<Option<u32>, Fault> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Ok(None),
        Ok(number) => Ok(Some(u32::try_from(number).unwrap_or(u32::MAX))),
        Err(_) => Err(Fault::Usage(format!("For input string: \"{text}\""))),
    }
}

fn read_list(path: &str) -> Result<String, Fault> {
    std::fs::read_to_string(path).map_err(|error| Fault::Usage(format!("{path}: {error}")))
}

/// Names between commas or on lines of their own; after a # nothing counts.
fn hosts(text: &str) -> Result<BTreeSet<String>, Fault> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.flat_map(|line| line.split([',', ' ', '\t'])).map(str::trim).filter(|name| !name.is_empty());
    let set: BTreeSet<String> = names.map(str::to_owned).collect();
    match set.len() {
        0 => Err(Fault::Usage("the list of hosts is empty".to_owned())),
        HOSTS_MAX.. => Err(Fault::Usage(format!("the list of hosts has more than {HOSTS_MAX}"))),
        _ => Ok(set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::Settings;

    fn parsed(args: &[&str]) -> Result<BalancerConfig, String> {
        let settings = Settings::load(None, &[]).expect("no files");
        let config = BalancerConfig::from_settings(&settings).expect("defaults");
        parse(config, args.iter().map(|arg| (*arg).to_owned()).collect()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn options_are_hdfs_own() {
        let config = parsed(&[]).expect("none needed");
        assert_eq!((config.threshold, config.idle_iterations), (10.0, Some(5)));
        assert_eq!((config.max_size_to_move, config.min_block_size), (10 << 30, 10 << 20));
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("hosts");
        std::fs::write(&file, "a # the first\n\nb:9866\n").expect("written");
        let file = file.to_str().expect("a text");
        let config = parsed(&[
            "-threshold",
            "2.5",
            "-Policy",
            "DataNode",
            "-exclude",
            "-f",
            file,
            "-source",
            "c,d",
            "-idleiterations",
            "-1",
            "-runDuringUpgrade",
        ])
        .expect("good");
        assert_eq!((config.threshold, config.idle_iterations), (2.5, None));
        assert_eq!(config.exclude.into_iter().collect::<Vec<_>>(), ["a", "b:9866"]);
        assert_eq!(config.sources.into_iter().collect::<Vec<_>>(), ["c", "d"]);
    }

    #[test]
    fn bad_ones_are_refused_by_name() {
        for (args, words) in [
            (&["-threshold", "0.5"][..], "range of [1.0, 100.0]: 0.5"),
            (&["-threshold", "NaN"], "range of [1.0, 100.0]: NaN"),
            (&["-threshold"], "Threshold value is missing"),
            (&["-policy", "blockpool"], "one block pool"),
            (&["-policy", "x"], "Cannot recognize policy"),
            (&["-asService"], "-asService is not offered"),
            (&["-sortTopNodes"], "-sortTopNodes is not offered"),
            (&["-include", "a", "-exclude", "b"], "cannot be specified together"),
            (&["-include", ","], "list of hosts is empty"),
            (&["-include", "-f", "/nonexistent/list"], "/nonexistent/list: "),
            (&["-idleiterations", "x"], "For input string"),
            (&["-frobnicate"], "unknown option"),
        ] {
            let error = parsed(args).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn lines_are_in_hdfs_columns() {
        let iteration = BalancerIteration {
            number: 1,
            already_moved: 1_213_000_000,
            left_to_move: 661 << 20,
            being_moved: Some(2 << 30),
            end: None,
        };
        let line = row("Aug 5, 2021, 6:31:43 PM", &iteration);
        assert_eq!(
            line,
            "Aug 5, 2021, 6:31:43 PM           1              1.13 GB              661 MB               2 GB"
        );
        let last = BalancerIteration { left_to_move: 0, being_moved: None, already_moved: 0, ..iteration };
        let line = row("Feb 11, 2015 7:18:19 AM", &last);
        assert_eq!(
            line,
            "Feb 11, 2015 7:18:19 AM           1                  0 B                 0 B               -1 B"
        );
        assert_eq!(HEADER.find("Iteration#"), Some(25));
    }

    #[test]
    fn times_are_java_s() {
        for (ms, text) in
            [(7, "7.0 milliseconds"), (2807, "2.807 seconds"), (90_000, "1.5 minutes"), (7_200_000, "2.0 hours")]
        {
            assert_eq!(took(Duration::from_millis(ms)), text);
        }
    }
}
