use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

use crate::model::Revision;
use crate::process::{Cancel, Discard, Invocation, Toolbox, execute};
use crate::step::{Clock, RunEnvironment, Workspace};

/// Git answers at once, or its index is locked by something that hangs.
const GIT_DEADLINE: Duration = Duration::from_secs(30);

/// Everything that a run takes from outside itself, gathered once before it starts.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Variables, clock and whether output is shown live.
    pub environment: RunEnvironment,
    /// The folders that tools are looked for in before `PATH`.
    pub tool_folders: Vec<Utf8PathBuf>,
    /// Stops everything.
    pub cancel: Cancel,
    /// What is checked out; an error text where that cannot be told.
    pub revision: Result<Revision, String>,
}

impl Outside {
    /// This process's environment, the system's clock and what git says of the workspace.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn gather(workspace: &Workspace, tool_folders: Vec<Utf8PathBuf>) -> io::Result<Self> {
        let environment =
            RunEnvironment { variables: std::env::vars_os().collect(), clock: Clock::System, live_output: false };
        let cancel = Cancel::new()?;
        let toolbox = toolbox(workspace, &tool_folders, &environment);
        let revision = revision(workspace, &toolbox, &cancel);
        Ok(Self { environment, tool_folders, cancel, revision })
    }

    pub(super) fn toolbox(&self, workspace: &Workspace) -> Toolbox {
        toolbox(workspace, &self.tool_folders, &self.environment)
    }
}

fn toolbox(workspace: &Workspace, folders: &[Utf8PathBuf], environment: &RunEnvironment) -> Toolbox {
    let path = environment.variables.get(OsStr::new("PATH")).map_or(OsStr::new(""), |path| path);
    Toolbox::new(folders, path, workspace.root())
}

fn revision(workspace: &Workspace, toolbox: &Toolbox, cancel: &Cancel) -> Result<Revision, String> {
    let git = toolbox.locate("git").ok_or("git is not installed, so the commit cannot be told")?;
    let ask = |args: &[&str]| {
        // Variables such as GIT_DIR, set while a hook runs, would answer for another repository.
        let invocation =
            Invocation::tool("git").args(args).dir(workspace.root()).env_remove_prefix("GIT_").deadline(GIT_DEADLINE);
        let captured =
            execute(&invocation, &git, &mut Discard, cancel).and_then(crate::process::Captured::require_success);
        captured.and_then(|captured| captured.stdout_text().map(str::to_owned)).map_err(|error| error.to_string())
    };
    let commit = ask(&["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    let dirty = !ask(&["status", "--porcelain", "--untracked-files=normal"])?.is_empty();
    Ok(Revision { commit, dirty })
}
