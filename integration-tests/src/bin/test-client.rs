//! A client for tests that does one step at a time, as it is told, and says how each ended: so a test knows what was
//! acknowledged, and can kill it, or anybody else, between two steps or in the middle of one.
//!
//! `test-client KEY=VALUE…` takes settings; `fs.defaultFS` names the namenode. Each line of standard input is a step, each
//! gets one line: `done …`, `refused …` (a server said no) or `unknown …` (it may have taken effect). The steps: `create
//! PATH REPLICAS`, `append PATH`, `write SEED FROM TO`, `hflush`, `hsync`, `close`, `truncate PATH LEN`, `recover PATH`,
//! `setrep PATH REPLICAS`, `mkdir PATH`, `rename FROM TO`, `move FROM TO`, `delete PATH`, `concat TARGET SOURCE…`. It ends with its input,
//! and leaves a file that is open as a client that was killed does.

use mammoth_client::{ClientConfig, ClientError, CreateOptions, DfsClient, FileWriter, RenameOptions};
use mammoth_integration_tests::content::content;
use mammoth_platform::Settings;
use mammoth_protocol::DfsPath;
use std::error::Error;
use std::io::{BufRead, Write};

type Outcome = Result<String, Box<dyn Error>>;

struct Steps {
    client: DfsClient,
    writer: Option<FileWriter>,
}

fn path(text: &str) -> Result<DfsPath, Box<dyn Error>> {
    Ok(DfsPath::parse(text)?)
}

impl Steps {
    fn writer(&mut self) -> Result<&mut FileWriter, Box<dyn Error>> {
        self.writer.as_mut().ok_or_else(|| "no file is open".into())
    }

    fn step(&mut self, words: &[&str]) -> Outcome {
        let said = match words {
            ["create", file, replicas] => {
                let options = CreateOptions { replication: Some(replicas.parse()?), ..CreateOptions::default() };
                self.writer = Some(self.client.create(&path(file)?, options)?);
                String::new()
            }
            ["append", file] => {
                let writer = self.client.append(&path(file)?)?;
                let at = writer.position().to_string();
                self.writer = Some(writer);
                at
            }
            ["write", seed, from, to] => {
                let bytes = content(seed.parse()?, from.parse()?, to.parse()?);
                self.writer()?.write_all(&bytes)?;
                String::new()
            }
            ["hflush"] => self.writer()?.hflush().map(|()| String::new())?,
            ["hsync"] => self.writer()?.hsync().map(|()| String::new())?,
            ["close"] => self.writer.take().ok_or("no file is open")?.close()?.to_string(),
            ["truncate", file, len] => self.client.truncate(&path(file)?, len.parse()?)?.to_string(),
            ["recover", file] => self.client.recover_lease(&path(file)?)?.to_string(),
            ["setrep", file, replicas] => self.client.set_replication(&path(file)?, replicas.parse()?)?.to_string(),
            ["mkdir", folder] => self.client.mkdirs(&path(folder)?, None, true)?.to_string(),
            ["rename", from, to] => {
                self.client.rename2(&path(from)?, &path(to)?, RenameOptions::default())?;
                String::new()
            }
            ["move", from, to] => self.client.rename(&path(from)?, &path(to)?)?.to_string(),
            ["delete", file] => self.client.delete(&path(file)?, true)?.to_string(),
            ["concat", target, sources @ ..] => {
                let sources: Vec<DfsPath> = sources.iter().map(|source| path(source)).collect::<Result<_, _>>()?;
                self.client.concat(&path(target)?, &sources)?;
                String::new()
            }
            other => return Err(format!("no such step: {other:?}").into()),
        };
        Ok(said)
    }
}

/// The line for a step.
fn line(outcome: Outcome) -> String {
    let line = match outcome {
        Ok(said) => format!("done {said}"),
        Err(error) => match error.downcast_ref::<ClientError>() {
            Some(ClientError::Remote { .. }) => format!("refused {error}"),
            _ => format!("unknown {error}"),
        },
    };
    line.trim_end().replace('\n', " ")
}

fn main() -> Result<(), Box<dyn Error>> {
    let settings: Vec<String> = std::env::args().skip(1).collect();
    let config = ClientConfig::from_settings(&Settings::load(None, &settings)?)?;
    let mut steps = Steps { client: DfsClient::connect(config)?, writer: None };
    let mut out = std::io::stdout();
    for step in std::io::stdin().lock().lines() {
        let step = step?;
        let words: Vec<&str> = step.split_whitespace().collect();
        writeln!(out, "{}", line(steps.step(&words)))?;
        out.flush()?;
    }
    Ok(())
}
