use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

/// Something in which what lies in the checkout is not what `HEAD` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Relative to the workspace where it lies in it, otherwise to the repository.
    pub path: Utf8PathBuf,
    /// In what.
    pub why: Why,
    /// Whether git was told not to look at the file, so that `git status` shows nothing.
    pub overlooked: Option<Overlooked>,
}

/// How git was told not to look at a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlooked {
    /// `git update-index --skip-worktree`, or a sparse checkout.
    SkipWorktree,
    /// `git update-index --assume-unchanged`.
    AssumeUnchanged,
}

/// In what a checkout differs from its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It has other bytes.
    Edited,
    /// It has other ends of lines, as a checkout with `core.autocrlf` or `eol=crlf` has.
    LineEnds,
    /// It may be executed here and not in the commit, or the other way round.
    Mode,
    /// It is a file, a link, a folder or a pipe here and something else in the commit.
    Kind,
    /// It is not here.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// It was added to the index and is in no commit.
    Added,
    /// It is like in the commit, but the index has another content or another mode for it, or none.
    Staged,
    /// A merge left it unresolved.
    Conflict,
    /// It is not tracked.
    Untracked,
    /// It is like in the commit, but git would not see a change of it.
    WouldBeOverlooked,
    /// Git shows other objects in place of the commit's: `git replace`.
    Replaced,
    /// Git shows other parents than the commit's: a `grafts` file.
    Grafted,
}

impl Difference {
    pub(super) fn new(path: impl Into<Utf8PathBuf>, why: Why) -> Self {
        Self { path: path.into(), why, overlooked: None }
    }

    /// The place.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => {
                "its bytes are not the commit's: it was edited, or a filter or an attribute of git changed them"
            }
            Self::LineEnds => {
                "its line ends are not the commit's: git converted them (core.autocrlf, or the attribute eol)"
            }
            Self::Mode => "its executable bit is not the commit's",
            Self::Kind => "it is of another kind than in the commit: file, link, folder or pipe",
            Self::Missing => "it is in the commit and not here",
            Self::Unreadable => "it cannot be read",
            Self::Added => "it was added and is not committed",
            Self::Staged => "the index has something else for it than the commit",
            Self::Conflict => "a merge of it is not resolved",
            Self::Untracked => "git does not track it, so it is in no image",
            Self::WouldBeOverlooked => "git is told not to see changes of it",
            Self::Replaced => "git shows other objects in place of the commit's (git replace)",
            Self::Grafted => "git shows other parents than the commit's (a grafts file)",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)?;
        match self.overlooked {
            Some(Overlooked::SkipWorktree) => f.write_str("; `git status` does not show it (skip-worktree)"),
            Some(Overlooked::AssumeUnchanged) => f.write_str("; `git status` does not show it (assume-unchanged)"),
            None => Ok(()),
        }
    }
}
