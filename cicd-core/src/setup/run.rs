use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;

use super::consent::Answer;
use super::folders::{read_manifest, tool_sets, tools_root};
use super::observe::observe;
use super::shell::Shell;
use super::{Action, Consent, MANIFEST_PATH, Machine, Plan, Platform, SetupError, engine, install, plan};
use crate::model::ExitStatus;
use crate::process::Cancel;
use crate::step::Workspace;

/// What `cargo xtask setup` is given.
#[derive(Debug)]
pub struct Options<'a> {
    /// The workspace whose manifest is followed.
    pub workspace: &'a Workspace,
    /// The environment variables.
    pub variables: &'a BTreeMap<OsString, OsString>,
    /// Whether the machine may be changed.
    pub consent: Consent<'a>,
    /// Stops everything.
    pub cancel: &'a Cancel,
}

/// Installs what is missing of the tools in `ci/tools.toml`, and says on `out` what it does and how to undo it.
///
/// Gives [`ExitStatus::Green`] when everything is there, [`ExitStatus::Usage`] when it was not allowed to change the machine,
/// and [`ExitStatus::Error`] when something is left that only a person can do.
///
/// # Errors
/// When the manifest cannot be used or something cannot be installed.
pub fn run(mut options: Options<'_>, out: &mut dyn Write) -> Result<ExitStatus, SetupError> {
    let manifest = read_manifest(options.workspace)?;
    let root = tools_root(options.variables, options.workspace)?;
    let sets = tool_sets(&manifest, Platform::current(), &root);
    let mut shell = Shell::new(options.variables, options.workspace.root(), options.cancel, out);
    let machine = observe(&manifest, sets, options.variables, &shell);
    let plan = plan::plan(&machine, &manifest);
    if plan.is_empty() {
        shell
            .say(&format!("nothing to do: everything that {MANIFEST_PATH} names is installed in {root} or on PATH"))?;
        return Ok(ExitStatus::Green);
    }
    show(&plan, &machine, &mut shell)?;
    if !plan.actions.is_empty() {
        let asked = options.consent.obtain(&mut shell.out).map_err(SetupError::io("asking at", "standard input"))?;
        match asked {
            Answer::Yes => {}
            Answer::No => {
                show_by_hand(&plan, &mut shell)?;
                shell.say("nothing was changed")?;
                return Ok(ExitStatus::Usage);
            }
            Answer::NobodyThere => {
                show_by_hand(&plan, &mut shell)?;
                shell.say("nothing was changed: there is no terminal to ask at; pass --yes, or set CI=true")?;
                return Ok(ExitStatus::Usage);
            }
        }
    }
    for action in &plan.actions {
        execute(action, &machine, &mut shell)?;
    }
    if !plan.actions.is_empty() {
        shell.say("\ndone; to undo it:")?;
        for action in plan.actions.iter().rev() {
            shell.say(&format!("  {}", action.undo()))?;
        }
    }
    show_by_hand(&plan, &mut shell)?;
    Ok(if plan.by_hand.is_empty() { ExitStatus::Green } else { ExitStatus::Error })
}

fn show(plan: &Plan, machine: &Machine, shell: &mut Shell<'_>) -> Result<(), SetupError> {
    if plan.actions.is_empty() {
        return Ok(());
    }
    shell.say("this will be done:")?;
    for action in &plan.actions {
        shell.say(&format!("- {}", action.title()))?;
        for command in action.commands(machine) {
            shell.say(&format!("    {command}"))?;
        }
    }
    Ok(())
}

fn show_by_hand(plan: &Plan, shell: &mut Shell<'_>) -> Result<(), SetupError> {
    if plan.by_hand.is_empty() {
        return Ok(());
    }
    shell.say("\nthis is left to you:")?;
    for by_hand in &plan.by_hand {
        shell.say(&format!("- {}\n    {}", by_hand.missing, by_hand.how))?;
    }
    Ok(())
}

fn execute(action: &Action, machine: &Machine, shell: &mut Shell<'_>) -> Result<(), SetupError> {
    shell.say("")?;
    match action {
        Action::Packages { names, user } => {
            for command in plan::apt(names, *user) {
                shell.run_ok(&command)?;
            }
            Ok(())
        }
        Action::StartEngine { init, program } => engine::start(*init, program, shell),
        Action::Tools(set) => match machine.platform {
            Some(platform) => install::install(set, platform, shell),
            // The plan never has a set for a platform without pins.
            None => Ok(()),
        },
    }
}
