use super::*;

fn run(args: &[&str]) -> (u8, String) {
    let args = args.iter().map(OsString::from).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let examples = std::env::current_exe().unwrap();
    let status = run_in(args, &examples, Surroundings::default(), &mut out, &mut err);
    (status, String::from_utf8(err).unwrap())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[test]
fn wrong_usage_is_255_and_says_what_is_wrong() {
    for (args, part) in [
        (&[][..], "no command"),
        (&["frobnicate"], "frobnicate: Unknown command"),
        (&["run"], "which job"),
        (&["run", "--mode"], "a value is missing"),
        (&["run", "--mode", "quantum", "wordcount"], "expected disk or memory"),
        (&["run", "--fast", "wordcount"], "--fast: Unknown option"),
        (&["job"], "what about it"),
        (&["job", "-status"], "wrong number of arguments"),
        (&["-jt"], "a value is missing"),
    ] {
        let (status, text) = run(args);
        assert_eq!(status, EXIT_USAGE, "{args:?}: {text}");
        assert!(first_line(&text).contains(part), "{args:?}: {text}");
    }
}

#[test]
fn bad_input_is_one_line_and_1() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let mut foreign = std::fs::read("/proc/self/exe").unwrap()[..64].to_vec();
    foreign[18] ^= 0xff;
    let other = dir.path().join("other");
    std::fs::write(&other, foreign).unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "to be or not to be, that is the question\n").unwrap();
    let (script, other, text) = (script.to_str().unwrap(), other.to_str().unwrap(), text.to_str().unwrap());
    for (args, part) in [
        (&["run", "./no/such", "job"][..], "./no/such: No such file or directory"),
        (&["run", script, "job"], "a script, not a program"),
        (&["run", text, "job"], "not a program: no ELF file"),
        (&["run", "/bin/true", "job"], "not a job program: asked which jobs it has, it said: nothing"),
        (&["run", "/bin/cp", "job"], "not a job program: asked which jobs it has, it said: "),
        (&["run", other, "job"], "another architecture"),
        (&["run", "/tmp/", "job"], "not a program: it is no regular file"),
        (&["-D", "mapreduce.task.io.sort.mb=much", "run", "wordcount"], "mapreduce.task.io.sort.mb: bad value `much`"),
        (&["run", "-D", "mapreduce.task.io.sort.mb=much", "wordcount"], "mapreduce.task.io.sort.mb: bad value `much`"),
        (&["-jt", "http://127.0.0.1:1", "job", "-status", "job_1"], "not a job id"),
        (&["streaming", "-input", "x"], "not implemented yet"),
        (&["-jt", "http://127.0.0.1:1", "job", "-list"], "No jobtracker at 127.0.0.1:1"),
    ] {
        let (status, text) = run(args);
        assert_eq!(status, EXIT_FAILED, "{args:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
    }
}

#[test]
fn the_nearest_word_about_the_jobtracker_counts() {
    let place = |args: &[&str], given: Option<&str>| {
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Place::take_with(&mut args, Surroundings::default(), given.map(str::to_owned)).unwrap()
    };
    let conf = ["-D", "mapreduce.jobtracker.http.address=c:1"];
    assert_eq!(place(&conf, None).jobtracker().unwrap(), "c:1");
    assert_eq!(place(&conf, Some("http://e:1")).jobtracker().unwrap(), "http://e:1");
    assert_eq!(place(&["-jt", "http://o:1", "job"], Some("http://e:1")).jobtracker().unwrap(), "http://o:1");
    let none = place(&[], None);
    assert!(none.jobtracker().unwrap_err().to_string().contains("MAMMOTH_JOBTRACKER"));
    assert_eq!(place(&["-Da.b=c", "-D", "d.e=f", "run"], None).pairs, ["a.b=c", "d.e=f"]);
    let old = place(&["-D", "mapred.reduce.tasks=2", "-D", "mapreduce.job.reduces=3"], None);
    assert_eq!(
        old.pairs,
        ["mapred.reduce.tasks=2", "mapreduce.job.reduces=3"],
        "the old name is warned about, and loses"
    );
}
