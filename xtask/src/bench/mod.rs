//! `cargo xtask bench`: side by side in one run, reported as ratios of medians, because machines are noisy and runs are not.

mod build;
mod contest;
mod load;
mod pipeline;
mod policy;
mod report;
mod runner;
mod tools;

use std::ffi::OsString;

use cicd_core::cli::Output;
use cicd_core::model::ExitStatus;
use cicd_core::step::Workspace;
use xshell::Shell;

type Bench = fn(&Shell) -> Result<(), Box<dyn std::error::Error>>;

/// Every benchmark, by the name that `cargo xtask bench NAME` takes.
const ALL: &[(&str, Bench)] = &[
    ("runner", runner::all),
    ("pipeline", pipeline::whole),
    ("load", load::rates),
    ("policy", policy::waits),
    ("report", report::judged),
    ("build", build::features),
];

/// Runs the named benchmarks, or all of them.
pub(crate) fn run(workspace: &Workspace, names: &[OsString]) -> ExitStatus {
    let unknown = names.iter().find(|name| !ALL.iter().any(|(known, _)| known == name));
    if let Some(unknown) = unknown {
        let known: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        Output.complain(&format!("error: there is no benchmark {unknown:?}; there are {}", known.join(", ")));
        return ExitStatus::Usage;
    }
    let result = Shell::new().map_err(Into::into).and_then(|shell| {
        shell.change_dir(workspace.root());
        let mut chosen = ALL.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name));
        chosen.try_for_each(|(_, bench)| bench(&shell))
    });
    match result {
        Ok(()) => ExitStatus::Green,
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            ExitStatus::Error
        }
    }
}
