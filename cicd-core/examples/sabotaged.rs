//! For `tests/output.rs`: a step that spoils one of the reports that are written after it, as `SABOTAGE` says.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::ExitCode;

use cicd_core::cli::Cli;
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
        let spoilt = match what.as_str() {
            "tools.json" => cx.env("RECORD").map_or(Ok(()), |record| fs::write(record, "{")),
            "" => Ok(()),
            "full" => symlink("/dev/full", folder.join("junit.xml.partial"))
                .and_then(|()| fs::create_dir(folder.join("junit.xml"))),
            report => fs::create_dir(folder.join(report)),
        };
        spoilt.map_err(StepError::io("spoiling", what))?;
        Ok(Outcome::of(()))
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
