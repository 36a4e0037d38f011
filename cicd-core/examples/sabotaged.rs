//! For `tests/output.rs`: a step that spoils one of the reports that are written after it, as `SABOTAGE` says.

#![expect(clippy::panic, reason = "a panic is one of the ways to the terminal")]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use cicd_core::cli::Cli;
use cicd_core::model::{Code, Finding};
use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::step::{Context, Outcome, Step, StepError, Workspace};

#[derive(Debug)]
struct Sabotage;

impl Step for Sabotage {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        let what = cx.env("SABOTAGE").map(|what| what.to_string_lossy().into_owned()).unwrap_or_default();
        let run = cx.path("target/ci/runs");
        let run = run.read_dir_utf8().and_then(|mut runs| runs.next().transpose());
        let run = run.map_err(StepError::io("reading", "the runs"))?;
        let folder = run.map(|run| run.into_path()).unwrap_or_default();
        if let Some(words) = cx.env("WORDS").map(|words| words.to_string_lossy().into_owned()) {
            return say(&what, words);
        }
        let spoilt = match what.as_str() {
            "tools.json" => cx.env("RECORD").map_or(Ok(()), |record| fs::write(record, "{")),
            "pipe" => cx
                .env("RECORD")
                .map_or(Ok(()), |record| Ok(rustix::fs::mkfifoat(rustix::fs::CWD, record, 0o600.into())?)),
            "endless" => cx.env("RECORD").map_or(Ok(()), |record| symlink("/dev/zero", record)),
            "" => Ok(()),
            "full" => symlink("/dev/full", folder.join("junit.xml.partial"))
                .and_then(|()| fs::create_dir(folder.join("junit.xml"))),
            report => fs::create_dir(folder.join(report)),
        };
        spoilt.map_err(StepError::io("spoiling", what))?;
        Ok(Outcome::of(()))
    }
}

/// Says these words in every way to the terminal that a step has.
fn say(how: &str, words: String) -> Result<Outcome<()>, StepError> {
    let finding = Finding::with_code(Code::new(words.clone()), words.clone()).help(words.clone());
    match how {
        "error" => Err(StepError::not_looked(words.clone(), words)),
        "path" => Err(StepError::io("reading", words)(std::io::Error::other("it is not there"))),
        "panic" => std::panic::panic_any(words),
        "panic of a thread" => {
            let panicked = std::thread::spawn(move || std::panic::panic_any(words)).join().is_err();
            Ok(Outcome::of(()).fact("panicked", u64::from(panicked)))
        }
        _ => Ok(Outcome::of(()).headline(words).findings([finding])),
    }
}

fn pipeline(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("sabotaged");
    ci.add("sabotage", Sabotage, ());
    Ok(ci)
}

fn main() -> ExitCode {
    Cli::new(pipeline).main()
}
