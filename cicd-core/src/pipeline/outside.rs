use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

use crate::model::Revision;
use crate::process::{Cancel, Captured, Discard, Invocation, Toolbox, execute};
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
    /// The id of a git tree with every file as it is now, committed or not; an error text where that cannot be told.
    pub tree: Result<String, String>,
}

impl Outside {
    /// This process's environment, the system's clock and what git says of the workspace.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn gather(workspace: &Workspace, tool_folders: Vec<Utf8PathBuf>) -> io::Result<Self> {
        let outside = Self::without_git(tool_folders)?;
        let toolbox = outside.toolbox(workspace);
        let git = Git { workspace, toolbox: &toolbox, cancel: &outside.cancel };
        let (revision, tree) = (git.revision(), git.tree());
        Ok(Self { revision, tree, ..outside })
    }

    /// This process's environment and the system's clock, for a caller who knows the revision and the tree, or needs neither.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn without_git(tool_folders: Vec<Utf8PathBuf>) -> io::Result<Self> {
        let environment =
            RunEnvironment { variables: std::env::vars_os().collect(), clock: Clock::System, live_output: false };
        let unknown = || "git was not asked".to_owned();
        Ok(Self { environment, tool_folders, cancel: Cancel::new()?, revision: Err(unknown()), tree: Err(unknown()) })
    }

    /// The files in which two trees differ.
    pub(super) fn changed_files(&self, workspace: &Workspace, one: &str, other: &str) -> Vec<String> {
        let toolbox = self.toolbox(workspace);
        let git = Git { workspace, toolbox: &toolbox, cancel: &self.cancel };
        match git.ask(&["diff-tree", "-r", "--name-only", one, other], None) {
            Ok(names) => names.lines().map(str::to_owned).collect(),
            Err(why) => vec![why],
        }
    }

    /// What finds tools, as a run will.
    #[must_use]
    pub fn toolbox(&self, workspace: &Workspace) -> Toolbox {
        toolbox(workspace, &self.tool_folders, &self.environment)
    }
}

fn toolbox(workspace: &Workspace, folders: &[Utf8PathBuf], environment: &RunEnvironment) -> Toolbox {
    let path = environment.variables.get(OsStr::new("PATH")).map_or(OsStr::new(""), |path| path);
    Toolbox::new(folders, path, workspace.root())
}

struct Git<'a> {
    workspace: &'a Workspace,
    toolbox: &'a Toolbox,
    cancel: &'a Cancel,
}

impl Git<'_> {
    fn revision(&self) -> Result<Revision, String> {
        let commit = self.ask(&["rev-parse", "--verify", "HEAD"], None)?.trim().to_owned();
        let dirty = !self.ask(&["status", "--porcelain", "--untracked-files=normal"], None)?.is_empty();
        Ok(Revision { commit, dirty })
    }

    /// Puts every file into a tree through an index of its own, so that the real index stays as it is.
    fn tree(&self) -> Result<String, String> {
        let real = self.ask(&["rev-parse", "--git-path", "index"], None)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let index = folder.path().join("index");
        // Starting from the real index spares hashing what has not changed; without one everything is hashed.
        let _ = std::fs::copy(self.workspace.path(real.trim()), &index);
        self.ask(&["add", "--all"], Some(index.as_os_str()))?;
        Ok(self.ask(&["write-tree"], Some(index.as_os_str()))?.trim().to_owned())
    }

    fn ask(&self, args: &[&str], index: Option<&OsStr>) -> Result<String, String> {
        if !self.workspace.root().ancestors().any(|folder| folder.join(".git").exists()) {
            return Err(format!("{} is not in a git checkout", self.workspace.root()));
        }
        let git = self.toolbox.locate("git").ok_or("git is not installed, so the commit cannot be told")?;
        // Variables such as GIT_DIR, set while a hook runs, would answer for another repository.
        let mut call = Invocation::tool("git")
            .args(args)
            .dir(self.workspace.root())
            .env_remove_prefix("GIT_")
            .deadline(GIT_DEADLINE);
        if let Some(index) = index {
            call = call.env("GIT_INDEX_FILE", index);
        }
        let captured = execute(&call, &git, &mut Discard, self.cancel).and_then(Captured::require_success);
        captured.and_then(|captured| captured.stdout_text().map(str::to_owned)).map_err(|error| error.to_string())
    }
}
