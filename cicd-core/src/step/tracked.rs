use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, StepError};
use crate::process::{Invocation, ToolRequirement};

/// Git, as steps need it to tell which files there are.
#[must_use]
pub fn git_tool() -> ToolRequirement {
    ToolRequirement::new("git", ">=2.25")
}

impl Context {
    /// The files below `folder` whose names end in `.extension`, relative to the workspace and sorted: those that git tracks, and new
    /// ones that it does not ignore. Files that were deleted are left out.
    ///
    /// A tool that says it looked at fewer has not looked at everything. The step names [`git_tool`] in its `tools()`.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn source_files(&self, folder: &Utf8Path, extension: &str) -> Result<Vec<Utf8PathBuf>, StepError> {
        self.require(&git_tool())?;
        let folder = self.relative(self.path(folder));
        let pattern = format!(":(glob){}", folder.join(format!("**/*.{extension}")));
        // Variables such as GIT_DIR, set while a hook runs, would answer for another repository.
        let list = Invocation::tool("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", &pattern])
            .env_remove_prefix("GIT_");
        let captured = self.run_ok(&list)?;
        let mut files: Vec<_> = captured
            .stdout_text()?
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(Utf8PathBuf::from)
            .filter(|path| self.path(path).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}
