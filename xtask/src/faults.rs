//! `cargo xtask faults`, or `cargo xtask test faults`: everything that goes wrong on real machines, made to happen, as tables.

use std::error::Error;
use std::ffi::OsString;

use cicd_core::cli::Output;
use cicd_core::model::ExitStatus;
use cicd_core::pipeline::Outside;
use cicd_core::setup::tool_folders;
use cicd_core::step::Workspace;
use xshell::{Shell, cmd};

/// Runs the fault tests, or those whose names contain one of `names`, and shows their tables.
pub(crate) fn run(workspace: &Workspace, names: &[OsString]) -> ExitStatus {
    match make(workspace, names) {
        Ok(()) => ExitStatus::Green,
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            ExitStatus::Failed
        }
    }
}

fn make(workspace: &Workspace, names: &[OsString]) -> Result<(), Box<dyn Error>> {
    let shell = Shell::new()?;
    shell.change_dir(workspace.root());
    // Some faults need the tools that a run would find.
    let folders = tool_folders(&std::env::vars_os().collect(), workspace)?;
    let outside = Outside::gather(workspace, folders)?;
    shell.set_var("PATH", outside.toolbox(workspace).search_path());
    // A plain `cargo test --test` builds no examples, and these are the programs that misbehave.
    cmd!(shell, "cargo build --quiet --package cicd-core --examples").quiet().run()?;
    // One at a time: signals are timed, and memory is measured.
    let arguments = ["--nocapture", "--test-threads", "1"];
    cmd!(shell, "cargo test --quiet --package cicd-core --test faults -- {arguments...} {names...}").quiet().run()?;
    Ok(())
}
