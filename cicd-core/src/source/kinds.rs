use camino::{Utf8Path, Utf8PathBuf};

use crate::files::Stamp;

/// What lies at a path, without following links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Executable,
    Link,
    Folder,
    /// A pipe, a socket or a device.
    Special,
}

impl Kind {
    /// How git writes it.
    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
            Self::Folder => "040000",
            Self::Special => "special",
        }
    }
}

/// A file that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the workspace.
    pub path: Utf8PathBuf,
    pub(super) kind: Kind,
    /// The name that git gives to its bytes, or what else tells it from a changed one where it is too large to be read.
    pub(super) content: String,
    /// Tells whether it was written to since it was read.
    pub(super) stamp: Stamp,
    pub(super) tracked: bool,
}

impl SourceFile {
    /// Whether git tracks it, so that it may get into an image.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.tracked
    }
}

/// An ignored file that a tool would read by itself although it is in no commit, no scan and no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Relative to the workspace.
    pub path: Utf8PathBuf,
    /// The rule that ignores it, such as `.git/info/exclude:7: *.py`.
    pub rule: String,
}

/// A folder whose files belong to another repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Relative to the workspace.
    pub path: Utf8PathBuf,
    /// Whether the commit names it, as a submodule. Otherwise it just lies there.
    pub is_submodule: bool,
}

/// Where a folder of generated files may lie to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere: neither an interpreter nor a test runner looks into a folder of that name.
    Anywhere,
    /// At the top of the repository, or beside a `Cargo.toml` that is tracked.
    BesideManifest,
}

/// A folder of generated files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolFolder {
    /// Its name.
    pub name: &'static str,
    /// Where it may lie.
    pub place: Place,
    /// What is in it.
    pub holds: &'static str,
}

const fn anywhere(name: &'static str, holds: &'static str) -> ToolFolder {
    ToolFolder { name, place: Place::Anywhere, holds }
}

/// Folders that hold generated files when nothing in them is tracked: an ignored one is not looked into. Python imports from no folder
/// whose name begins with a dot, and pytest collects nothing there nor in `venv` and `node_modules`.
pub const TOOL_FOLDERS: &[ToolFolder] = &[
    ToolFolder { name: "target", place: Place::BesideManifest, holds: "what cargo builds, and the records of runs" },
    anywhere(".venv", "packages of Python"),
    anywhere("venv", "packages of Python"),
    anywhere("node_modules", "packages of npm"),
    anywhere(".tox", "environments of tox"),
    anywhere(".nox", "environments of nox"),
    anywhere(".pytest_cache", "what pytest remembers"),
    anywhere(".ruff_cache", "what ruff remembers"),
    anywhere(".mypy_cache", "what mypy remembers"),
    anywhere(".hypothesis", "examples of Hypothesis"),
    anywhere(".idea", "settings of an editor"),
    anywhere(".vscode", "settings of an editor"),
];
/// More environments of Python: `.venv-browser`, `.venv3.12`.
const ENVIRONMENT_PREFIX: &str = ".venv";
/// The folder of Python's byte code, in which nothing else may lie.
pub(super) const BYTE_CODE_FOLDER: &str = "__pycache__";

/// Ignored files that people and tools keep beside the source, as `name`, `prefix*` or `*suffix`. No interpreter, test runner or
/// linter reads them by itself; they have to be plain files that cannot be executed. Anything else that is ignored is [`Hidden`].
pub const PERSONAL_FILES: &[&str] = &[
    ".env",
    ".env.*",
    ".envrc",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "*~",
    "*.swp",
    "*.swo",
    "*.log",
    "*.tmp",
    "*.bak",
    "*.orig",
    "*.rej",
    "*.pid",
    "*.db",
    "*.sqlite",
    "*.sqlite3",
    "*.pem",
    "*.key",
    "*.crt",
    ".coverage",
    ".coverage.*",
    "coverage.xml",
    "coverage.json",
    "lcov.info",
    "*.lcov",
    "*.profraw",
    "*.profdata",
];

/// Whether an untracked folder is one of generated files; `has_manifest` tells whether a tracked `Cargo.toml` lies in a folder.
pub(super) fn is_tool_folder(path: &str, has_manifest: impl Fn(&str) -> bool) -> bool {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let listed = TOOL_FOLDERS.iter().find(|folder| folder.name == name);
    match listed.map(|folder| folder.place) {
        Some(Place::Anywhere) => true,
        Some(Place::BesideManifest) => parent.is_empty() || has_manifest(parent),
        None => name.starts_with(ENVIRONMENT_PREFIX),
    }
}

/// Whether an ignored file is only of interest to whoever keeps it.
pub(super) fn is_personal(path: &str, kind: Kind) -> bool {
    let path = Utf8Path::new(path);
    let name = path.file_name().unwrap_or(path.as_str());
    let is_byte_code = path.parent().and_then(Utf8Path::file_name) == Some(BYTE_CODE_FOLDER)
        && matches!(path.extension(), Some("pyc" | "pyo"));
    kind == Kind::Plain && (is_byte_code || PERSONAL_FILES.iter().any(|pattern| fits(pattern, name)))
}

fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.len() > suffix.len() && name.ends_with(suffix),
        (_, Some(prefix)) => name.len() > prefix.len() && name.starts_with(prefix),
        _ => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_nothing_is_read_from_by_itself_are_generated() {
        let tool = |path: &str| is_tool_folder(path, |folder| folder == "crates/a");
        for path in ["target", "crates/a/target", "app/.venv", "app/.venv-browser", "venv", "web/node_modules"] {
            assert!(tool(path), "{path}");
        }
        for path in ["app/tests/target", "hidden", "app/.cargo", "app/build", "targets", "app/.github", "app/xvenv"] {
            assert!(!tool(path), "{path}");
        }
    }

    #[test]
    fn what_is_not_known_to_be_personal_is_hidden() {
        for path in
            ["a/.env", ".env.local", ".coverage", ".coverage.host.7", "x.log", "a~", "a/__pycache__/b.cpython-311.pyc"]
        {
            assert!(is_personal(path, Kind::Plain), "{path}");
            assert!(!is_personal(path, Kind::Executable) && !is_personal(path, Kind::Link), "{path}");
        }
        for path in [
            "a.py",
            "tool",
            "pytest.ini",
            "conftest.py",
            ".coveragerc",
            "a.pyc",
            "a/__pycache__/b.py",
            "b.so",
            ".log",
            "a.pth",
            "Dockerfile",
            ".bandit",
            "ruff.toml",
            "data.json",
            ".dockerignore",
        ] {
            assert!(!is_personal(path, Kind::Plain), "{path}");
        }
    }
}
