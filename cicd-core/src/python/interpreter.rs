use camino::{Utf8Path, Utf8PathBuf};

use crate::step::proof;

proof! {
    /// A Python of its own, with exactly the packages of a lock file.
    pub struct Interpreter("Python environment") {
        /// The program.
        path: Utf8PathBuf => &Utf8Path,
        /// The lock file its packages are from, relative to the workspace.
        lock: Utf8PathBuf => &Utf8Path,
        /// How many packages it has.
        packages: usize,
    }
}
