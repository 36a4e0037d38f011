use camino::{Utf8Path, Utf8PathBuf};

use crate::files::{FILE_BYTES_MAX, read_text};
use crate::formats::{ConfigError, Limits};

/// The folder that everything is relative to: the root of the repository being judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    root: Utf8PathBuf,
}

/// No workspace could be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{from} is not inside a repository: no folder above it has a .git or a Cargo.toml with [workspace]; run it inside a checkout"
)]
pub struct WorkspaceError {
    from: Utf8PathBuf,
}

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
}

impl Workspace {
    /// A workspace at a known folder.
    #[must_use]
    pub fn at(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The nearest folder at or above `from` that has a `.git` or a `Cargo.toml` with a `[workspace]`.
    ///
    /// # Errors
    /// When there is none.
    pub fn discover(from: &Utf8Path) -> Result<Self, WorkspaceError> {
        from.ancestors()
            .find(|folder| folder.join(".git").exists() || is_workspace(&folder.join("Cargo.toml")))
            .map(Self::at)
            .ok_or_else(|| WorkspaceError { from: from.to_owned() })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The numbers of a policy file such as `ci/policy.toml`.
    ///
    /// # Errors
    /// When it cannot be read, or is wrong: the message shows each place.
    pub fn limits(&self, path: impl AsRef<Utf8Path>) -> Result<Limits, LimitsError> {
        let path = path.as_ref();
        let text = self.read_text(path).map_err(|source| LimitsError::Read { path: path.to_owned(), source })?;
        Ok(Limits::parse(path, &text)?)
    }

    /// A path inside it; an absolute path stays as it is.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        self.root.join(relative)
    }
}

fn is_workspace(manifest: &Utf8Path) -> bool {
    read_text(manifest, FILE_BYTES_MAX).is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
}
