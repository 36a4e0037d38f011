use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// A Python of its own, with exactly the packages of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The program.
    pub path: Utf8PathBuf,
    /// The lock file its packages are from, relative to the workspace.
    pub lock: Utf8PathBuf,
    /// How many packages it has.
    pub packages: usize,
}
