use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, StepError};
use crate::process::{Exit, Invocation, ToolRequirement};

/// Git, as steps need it to tell which files there are.
#[must_use]
pub fn git_tool() -> ToolRequirement {
    ToolRequirement::new("git", ">=2.25")
}

/// Which files of the repository a step looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// All of them.
    #[default]
    EveryFile,
    /// Those that `HEAD` added or changed: what is staged, where a hook judges that.
    LastCommit,
}

impl Context {
    /// The files of this extent, relative to the workspace and sorted. Symbolic links are among them.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn files_of(&self, extent: Extent) -> Result<Vec<Utf8PathBuf>, StepError> {
        match extent {
            Extent::EveryFile => self.repository_files(),
            Extent::LastCommit => self.files_of_last_commit(),
        }
    }

    /// The files below `folder` whose names end in `.extension`, relative to the workspace and sorted: those that git tracks, and new
    /// ones that it does not ignore. Files that were deleted are left out.
    ///
    /// A tool that says it looked at fewer has not looked at everything. The step names [`git_tool`] in its `tools()`.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn source_files(&self, folder: &Utf8Path, extension: &str) -> Result<Vec<Utf8PathBuf>, StepError> {
        let folder = self.relative(self.path(folder));
        let pattern = format!(":(glob){}", folder.join(format!("**/*.{extension}")));
        let mut files = self.listed(&[&pattern])?;
        files.retain(|path| self.path(path).is_file());
        Ok(files)
    }

    /// Every file of the repository, relative to the workspace and sorted: those that git tracks, and new ones that it does not
    /// ignore. Symbolic links are among them, files that were deleted are not.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn repository_files(&self) -> Result<Vec<Utf8PathBuf>, StepError> {
        let mut files = self.listed(&[])?;
        files.retain(|path| self.path(path).symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()));
        Ok(files)
    }

    /// The files that `HEAD` added or changed, compared with its first parent, relative to the workspace and sorted; all files where it
    /// has no parent. Before a commit, where what is staged is judged, `HEAD` is the commit that is about to be made.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn files_of_last_commit(&self) -> Result<Vec<Utf8PathBuf>, StepError> {
        self.require(&git_tool())?;
        let git = |args: &[&str]| Invocation::tool("git").args(args).env_remove_prefix("GIT_");
        let parent = self.run(&git(&["rev-parse", "--verify", "--quiet", "HEAD^1"]))?.require_exit(&[0, 1])?;
        let mut compared = git(&["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--relative"]);
        compared = match parent.exit {
            Exit::Code(0) => compared.args(["HEAD^1", "HEAD"]),
            _ => compared.args(["--root", "--no-commit-id", "HEAD"]),
        };
        let captured = self.run_ok(&compared)?;
        let mut files: Vec<_> =
            captured.stdout_text()?.split('\0').filter(|path| !path.is_empty()).map(Utf8PathBuf::from).collect();
        // Deleted files are in the list, and modules, which are folders.
        files.retain(|path| self.path(path).symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()));
        files.sort();
        Ok(files)
    }

    fn listed(&self, patterns: &[&str]) -> Result<Vec<Utf8PathBuf>, StepError> {
        self.require(&git_tool())?;
        // Variables such as GIT_DIR, set while a hook runs, would answer for another repository.
        let list = Invocation::tool("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"])
            .args(patterns)
            .env_remove_prefix("GIT_");
        let captured = self.run_ok(&list)?;
        let mut files: Vec<_> =
            captured.stdout_text()?.split('\0').filter(|path| !path.is_empty()).map(Utf8PathBuf::from).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}
