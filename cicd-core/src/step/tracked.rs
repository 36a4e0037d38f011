use std::collections::BTreeSet;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::{Context, StepError};
use crate::model::by_key::counting;
use crate::process::{Exit, ToolRequirement};
use crate::source::truthful_git;

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
    /// A tool that says it looked at fewer has not looked at everything.
    ///
    /// # Errors
    /// When git could not tell.
    pub fn source_files(&self, folder: &Utf8Path, extension: &str) -> Result<Vec<Utf8PathBuf>, StepError> {
        let folder = plain(&self.relative(self.path(folder)));
        let mut files = self.repository_files()?;
        files.retain(|path| {
            path.starts_with(&folder)
                && path.file_name().is_some_and(|name| has_extension(name, extension))
                && self.path(path).is_file()
        });
        Ok(files)
    }

    /// Every file of the repository, relative to the workspace and sorted: those that git tracks, and new ones that it does not
    /// ignore, as they lay when the run began. Symbolic links are among them, files that were deleted are not. All steps get the
    /// same list: see [`Source`](crate::source::Source).
    ///
    /// # Errors
    /// When git could not tell.
    pub fn repository_files(&self) -> Result<Vec<Utf8PathBuf>, StepError> {
        Ok(self.source()?.files().iter().map(|file| file.path.clone()).collect())
    }

    /// The files that `HEAD` added or changed, compared with its first parent, relative to the workspace and sorted; all files where it
    /// has no parent. Before a commit, where what is staged is judged, `HEAD` is the commit that is about to be made.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn files_of_last_commit(&self) -> Result<Vec<Utf8PathBuf>, StepError> {
        self.require(&git_tool())?;
        let parent = self.run(&truthful_git(["rev-parse", "--verify", "--quiet", "HEAD^1"]))?.require_exit(&[0, 1])?;
        let mut compared = truthful_git(["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--relative"]);
        compared = match parent.exit {
            Exit::Code(0) => compared.args(["HEAD^1", "HEAD"]),
            _ => compared.args(["--root", "--no-commit-id", "HEAD"]),
        };
        let captured = self.run_ok(&compared)?;
        Ok(changed_of(self.repository_files()?, captured.stdout_text()?))
    }
}

/// Those of the files that git lists as changed. Deleted files are on its list too, and modules, which are folders.
fn changed_of(mut files: Vec<Utf8PathBuf>, listed: &str) -> Vec<Utf8PathBuf> {
    let listed = listed.split('\0').filter(|path| !path.is_empty()).inspect(|_| counting::one());
    let changed: BTreeSet<&str> = listed.collect();
    files.retain(|path| {
        counting::one();
        changed.contains(path.as_str())
    });
    files
}

/// A folder as it stands in a list: without `.` and a slash at its end.
fn plain(folder: &Utf8Path) -> Utf8PathBuf {
    folder.components().filter(|part| *part != Utf8Component::CurDir).collect()
}

/// Whether a name ends so. One that begins with the dot has no stem, and is meant all the same.
fn has_extension(name: &str, extension: &str) -> bool {
    name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::by_key::counting::is_linear;

    #[test]
    fn long_lists_of_staged_files_are_joined_not_searched() {
        is_linear("as many files as are staged", 4, |count| {
            let path = |number: usize| format!("a/f{number}");
            let listed: String = (count / 2..count + count / 2).map(|number| path(number) + "\0").collect();
            let files: Vec<_> = (0..count).map(|number| path(number).into()).collect();
            assert_eq!(changed_of(files, &listed).len(), count / 2);
        });
    }
}
