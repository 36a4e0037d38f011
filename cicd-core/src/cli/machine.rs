//! `setup` and `doctor`: what the machine needs.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, IsTerminal as _};

use super::Output;
use super::args::SetupArgs;
use crate::doctor;
use crate::model::ExitStatus;
use crate::pipeline::{Outside, Pipeline};
use crate::setup::{self, Consent};
use crate::step::Workspace;

/// This process's surroundings, with the tools that setup installed in front of `PATH`.
pub(super) fn outside(workspace: &Workspace) -> Result<Outside, Box<dyn Error>> {
    let variables = std::env::vars_os().collect();
    // While git is asked, the tools are checked.
    let guards = setup::guards(&variables, workspace)?;
    let outside = Outside::gather(workspace, setup::tool_folders(&variables, workspace)?)?;
    Ok(Outside { guards, ..outside })
}

/// The same for a caller who asks git himself, or not at all.
pub(super) fn without_git(workspace: &Workspace) -> Result<Outside, Box<dyn Error>> {
    let variables = std::env::vars_os().collect();
    let guards = setup::guards(&variables, workspace)?;
    Ok(Outside { guards, ..Outside::without_git(setup::tool_folders(&variables, workspace)?)? })
}

pub(super) fn setup(workspace: &Workspace, args: &SetupArgs) -> Result<ExitStatus, Box<dyn Error>> {
    let outside = Outside::gather(workspace, Vec::new())?;
    super::signals::listen(outside.cancel.clone(), None, |_| ())?;
    let variables = &outside.environment.variables;
    let allowed = args.yes || variables.get(OsStr::new("CI")).is_some_and(is_set);
    let consent = match (allowed, io::stdin().is_terminal()) {
        (true, _) => Consent::Given,
        (false, true) => Consent::Ask(Box::new(BufReader::new(io::stdin()))),
        (false, false) => Consent::Impossible,
    };
    let options = setup::Options { workspace, variables, consent, cancel: &outside.cancel };
    let mut out = anstream::AutoStream::auto(io::stdout());
    match setup::run(options, &mut out) {
        Ok(status) => Ok(status),
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            Ok(error.exit_status())
        }
    }
}

/// Whether a variable says yes: `CI=false` and `CI=` do not.
fn is_set(value: &OsString) -> bool {
    !["", "0", "false", "no"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

pub(super) fn doctor(pipeline: &Pipeline, workspace: &Workspace) -> Result<ExitStatus, Box<dyn Error>> {
    let outside = outside(workspace)?;
    let report = doctor::check(doctor::Inputs {
        tools: &pipeline.tools(),
        programs: &pipeline.programs(),
        toolbox: &outside.toolbox(workspace).asking_all(),
        workspace,
        provenance: setup::provenance(&outside.environment.variables, workspace)?,
        cancel: &outside.cancel,
    });
    Output.say(&report.render(Output.columns()));
    Ok(report.exit_status())
}
