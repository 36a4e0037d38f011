//! `cargo xtask faults`: everything that goes wrong on real machines, made to happen, as tables.

use std::ffi::OsString;

use cicd_core::cli::Output;
use cicd_core::model::ExitStatus;
use cicd_core::step::Workspace;
use xshell::{Shell, cmd};

/// Runs the fault tests, or those whose names contain one of `names`, and shows their tables.
pub(crate) fn run(workspace: &Workspace, names: &[OsString]) -> ExitStatus {
    let result = Shell::new().and_then(|shell| {
        shell.change_dir(workspace.root());
        // A plain `cargo test --test` builds no examples, and these are the programs that misbehave.
        cmd!(shell, "cargo build --quiet --package cicd-core --examples").quiet().run()?;
        // One at a time: signals are timed, and memory is measured.
        let arguments = ["--nocapture", "--test-threads", "1"];
        cmd!(shell, "cargo test --quiet --package cicd-core --test faults -- {arguments...} {names...}").quiet().run()
    });
    match result {
        Ok(()) => ExitStatus::Green,
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            ExitStatus::Failed
        }
    }
}
