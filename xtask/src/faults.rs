//! `cargo xtask faults`, or `cargo xtask test faults`: everything that goes wrong on real machines, made to happen, as tables.

use std::error::Error;
use std::ffi::{OsStr, OsString};

use camino::Utf8PathBuf;
use cicd_core::cli::Output;
use cicd_core::model::ExitStatus;
use cicd_core::setup::tool_folders;
use cicd_core::step::Workspace;
use xshell::{Shell, cmd};

/// Runs the fault tests, or those whose names contain one of `names`, and shows their tables.
pub(crate) fn run(workspace: &Workspace, names: &[OsString]) -> ExitStatus {
    let path = match search_path(workspace) {
        Ok(path) => path,
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            return ExitStatus::Usage;
        }
    };
    let result = Shell::new().and_then(|shell| {
        shell.change_dir(workspace.root());
        shell.set_var("PATH", path);
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

/// The tools that `setup` has installed, and then what the machine has: a scan is one of the things that are disturbed.
fn search_path(workspace: &Workspace) -> Result<OsString, Box<dyn Error>> {
    let variables = std::env::vars_os().collect();
    let tools = tool_folders(&variables, workspace)?.into_iter().map(Utf8PathBuf::into_std_path_buf);
    let own = variables.get(OsStr::new("PATH")).map(OsString::as_os_str).unwrap_or_default();
    Ok(std::env::join_paths(tools.chain(std::env::split_paths(own)))?)
}
