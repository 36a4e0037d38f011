use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use camino::Utf8PathBuf;

use crate::model::Revision;
use crate::process::{Cancel, Guard, Toolbox};
use crate::source::Source;
use crate::step::{Clock, RunEnvironment, Workspace};

/// Everything that a run takes from outside itself, gathered once before it starts.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Variables, clock and whether output is shown live.
    pub environment: RunEnvironment,
    /// The folders that tools are looked for in before `PATH`.
    pub tool_folders: Vec<Utf8PathBuf>,
    /// What checks that the tools in those folders are as they were installed.
    pub guards: Vec<Guard>,
    /// Stops everything.
    pub cancel: Cancel,
    /// What is checked out; an error text where that cannot be told.
    pub revision: Result<Revision, String>,
    /// The files that are judged, as they lie; an error text where that cannot be told.
    pub source: Result<Arc<Source>, String>,
}

impl Outside {
    /// This process's environment, the system's clock and what git says of the workspace.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn gather(workspace: &Workspace, tool_folders: Vec<Utf8PathBuf>) -> io::Result<Self> {
        let outside = Self::without_git(tool_folders)?;
        let toolbox = outside.toolbox(workspace);
        let source = Source::gather(workspace.root(), &toolbox, &outside.cancel);
        Ok(outside.with_source(source))
    }

    /// This process's environment and the system's clock, for a caller who knows the revision and the files, or needs neither.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn without_git(tool_folders: Vec<Utf8PathBuf>) -> io::Result<Self> {
        let environment =
            RunEnvironment { variables: std::env::vars_os().collect(), clock: Clock::System, live_output: false };
        let unknown = || "git was not asked".to_owned();
        Ok(Self {
            environment,
            tool_folders,
            guards: Vec::new(),
            cancel: Cancel::new()?,
            revision: Err(unknown()),
            source: Err(unknown()),
        })
    }

    /// The same with these files, and the commit that they belong to.
    pub(crate) fn with_source(self, source: Result<Source, String>) -> Self {
        let revision = source.as_ref().map_err(Clone::clone).and_then(Source::revision);
        Self { revision, source: source.map(Arc::new), ..self }
    }

    /// What finds tools, as a run will.
    #[must_use]
    pub fn toolbox(&self, workspace: &Workspace) -> Toolbox {
        toolbox(workspace, &self.tool_folders, &self.environment).guarded(self.guards.clone())
    }
}

fn toolbox(workspace: &Workspace, folders: &[Utf8PathBuf], environment: &RunEnvironment) -> Toolbox {
    let path = environment.variables.get(OsStr::new("PATH")).map_or(OsStr::new(""), |path| path);
    Toolbox::new(folders, path, workspace.root())
}
