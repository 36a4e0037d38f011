//! N steps that only start a process, at two jobs: what the runner costs. `cargo xtask bench` compares it with `make -j2`.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use camino::Utf8Path;
use cicd_core::model::{Event, ExitStatus};
use cicd_core::pipeline::{Observer, Outside, Pipeline, RunOptions, run};
use cicd_core::process::Invocation;
use cicd_core::step::Workspace;

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, count, program @ ..] = args.as_slice() else { return ExitStatus::Usage.into() };
    let workspace = Workspace::at(Utf8Path::new(folder));
    let mut ci = Pipeline::new("trivial");
    for number in 0..count.parse().unwrap_or(0) {
        ci.command(&format!("step-{number}"), Invocation::program(&program[0]).args(&program[1..]));
    }
    let options = RunOptions { jobs: NonZeroUsize::MIN.saturating_add(1), ..RunOptions::default() };
    let result =
        Outside::gather(&workspace, Vec::new()).map(|outside| run(&ci, &workspace, outside, &options, &mut Nobody));
    match result {
        Ok(Ok(summary)) if summary.exit_code == 0 => ExitStatus::Green.into(),
        _ => ExitStatus::Error.into(),
    }
}
