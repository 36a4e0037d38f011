use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::pipeline::Outside;
use crate::process::{
    Cancel, Captured, Discard, Exit, GIT_REPOSITORY_VARIABLES, Invocation, ProcessError, Toolbox, execute,
};
use crate::step::{StepError, Workspace, git_tool};

/// Git answers at once, or its index is locked by something that hangs; laying out a large repository takes some seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// Git, asked in one folder.
#[derive(Debug, Clone)]
pub(super) struct Git<'a> {
    program: Utf8PathBuf,
    folder: Utf8PathBuf,
    handed_over: Vec<(OsString, OsString)>,
    cancel: &'a Cancel,
}

impl<'a> Git<'a> {
    /// Git in the workspace, whatever repository this process was started for.
    ///
    /// # Errors
    /// When there is no git that can be used.
    pub(super) fn find(workspace: &Workspace, toolbox: &Toolbox, outside: &'a Outside) -> Result<Self, StepError> {
        let program = toolbox.find(&git_tool(), &outside.cancel)?.path;
        Ok(Self { program, folder: workspace.root().to_owned(), handed_over: Vec::new(), cancel: &outside.cancel })
    }

    /// The same, asked about the repository and the index that a hook was started for.
    pub(super) fn as_handed_over(&self, variables: &BTreeMap<OsString, OsString>) -> Self {
        let handed_over = GIT_REPOSITORY_VARIABLES.iter().filter_map(|name| variables.get_key_value(OsStr::new(name)));
        let handed_over = handed_over.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { handed_over, ..self.clone() }
    }

    /// The same in another folder, whose own repository it is asked about.
    pub(super) fn at(&self, folder: &Utf8Path) -> Self {
        Self { folder: folder.to_owned(), handed_over: Vec::new(), ..self.clone() }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// A call with these arguments.
    pub(super) fn call<'b>(&self, args: impl IntoIterator<Item = &'b str>) -> Invocation {
        let call = Invocation::tool("git").args(args).dir(&self.folder).deadline(DEADLINE);
        self.handed_over.iter().fold(call, |call, (name, value)| call.env(name, value))
    }

    /// What a call that must succeed prints, without the line's end.
    ///
    /// # Errors
    /// When it does not succeed, or prints something that is not UTF-8.
    pub(super) fn ask(&self, call: &Invocation) -> Result<String, StepError> {
        self.read(self.execute(call)?.require_success()?)
    }

    /// The same, or nothing when it ends with exit code 1, by which git says that there is no such thing.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) fn ask_if_any(&self, call: &Invocation) -> Result<Option<String>, StepError> {
        let captured = self.execute(call)?.require_exit(&[0, 1])?;
        if captured.exit == Exit::Code(1) { Ok(None) } else { self.read(captured).map(Some) }
    }

    fn execute(&self, call: &Invocation) -> Result<Captured, ProcessError> {
        execute(call, &self.program, &mut Discard, self.cancel)
    }

    fn read(&self, captured: Captured) -> Result<String, StepError> {
        let text = captured.stdout_text()?;
        Ok(text.strip_suffix('\n').unwrap_or(text).to_owned())
    }
}
