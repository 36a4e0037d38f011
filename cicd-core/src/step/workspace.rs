use camino::{Utf8Path, Utf8PathBuf};

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

    /// A path inside it; an absolute path stays as it is.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        self.root.join(relative)
    }
}

fn is_workspace(manifest: &Utf8Path) -> bool {
    std::fs::read_to_string(manifest).is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
}
