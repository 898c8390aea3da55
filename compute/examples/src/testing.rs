//! What the tests of the examples share.

use mammoth_mapreduce::{Job, JobArgs, JobError, LocalInput, Settings};

/// The job that a function describes for some arguments.
pub(crate) fn describe(define: fn(&JobArgs<'_>) -> Result<Job, JobError>, args: &[&str]) -> Result<Job, JobError> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let settings = Settings::load(None, &[]).expect("there is nothing to load");
    define(&JobArgs { args: &args, settings: &settings })
}

/// All lines of a job's output over a text that is cut into splits of about that size, file by file.
pub(crate) fn lines(job: Job, text: &str, split: u64) -> Vec<String> {
    job.run_local(LocalInput::text(text).in_splits_of(split)).unwrap().lines()
}

/// Text of about so many bytes: words of a few letters, some very often, in lines of different lengths and ends.
pub(crate) fn noise(len: usize) -> String {
    let mut text = String::new();
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    while text.len() < len {
        for _ in 0..=draw(4) {
            text.push(char::from(b'a' + u8::try_from(draw(7)).expect("less than 7")));
        }
        text.push_str(["\n", "\r\n", "\t", "  ", " "][usize::try_from(draw(23).min(4)).expect("at most 4")]);
    }
    text
}

/// All lines that an in-memory application writes over a text: two tasks at a time, files of this machine.
pub(crate) fn in_memory(app: mammoth_rdd::App, text: &str, args: &[&str], reduces: u32) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in.txt");
    std::fs::write(&input, text).unwrap();
    let output = dir.path().join("out");
    let mut options = mammoth_rdd::Options::of_environment("example").unwrap();
    options.fs = "file://".to_owned();
    options.settings.set("mapreduce.job.reduces", reduces.to_string());
    options.settings.set("mapreduce.job.maps", "5");
    let context = mammoth_rdd::Context::with_options("local[2]", &options).unwrap();
    let uri = |path: &std::path::Path| format!("file://{}", path.display());
    let mut all = vec![uri(&input), uri(&output)];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    app(&context, &all).unwrap();
    assert!(output.join("_SUCCESS").exists());
    let mut parts: Vec<_> = std::fs::read_dir(&output).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.sort();
    let texts = parts.iter().map(|part| std::fs::read_to_string(part).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
