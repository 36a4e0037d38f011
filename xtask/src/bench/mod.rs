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

/// Every benchmark, by the name that `cargo xtask bench NAME` takes, with the system's programs that it calls and that nothing here
/// installs.
const ALL: &[(&str, Bench, &[tools::Needed])] = &[
    ("runner", runner::all, &[tools::MAKE]),
    ("pipeline", pipeline::whole, &[tools::GIT, tools::TAR]),
    ("load", load::rates, &[tools::WRK]),
    ("policy", policy::waits, &[tools::GIT]),
    ("report", report::judged, &[tools::TAR, tools::SHA256SUM]),
    ("build", build::features, &[]),
];

/// Runs the named benchmarks, or all of them.
pub(crate) fn run(workspace: &Workspace, names: &[OsString]) -> ExitStatus {
    let unknown = names.iter().find(|name| !ALL.iter().any(|(known, ..)| known == name));
    if let Some(unknown) = unknown {
        let known: Vec<_> = ALL.iter().map(|(name, ..)| *name).collect();
        Output.complain(&format!("error: there is no benchmark {unknown:?}; there are {}", known.join(", ")));
        return ExitStatus::Usage;
    }
    let result = Shell::new().map_err(Into::into).and_then(|shell| {
        shell.change_dir(workspace.root());
        let chosen = ALL.iter().filter(|(name, ..)| names.is_empty() || names.iter().any(|wanted| wanted == name));
        // Before anything is built: minutes later is too late to say that a program is missing.
        tools::all_there(chosen.clone().flat_map(|(.., needed)| *needed))?;
        chosen.clone().try_for_each(|(_, bench, _)| bench(&shell))
    });
    match result {
        Ok(()) => ExitStatus::Green,
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            ExitStatus::Error
        }
    }
}
