use camino::{Utf8Path, Utf8PathBuf};

use super::Environment;
use crate::step::{StepError, proof};

proof! {
    /// A Python of its own, with exactly the packages of a lock file.
    pub struct Interpreter("Python environment") {
        /// The program.
        path: Utf8PathBuf => &Utf8Path,
        /// The lock file its packages are from, relative to the workspace.
        lock: Utf8PathBuf => &Utf8Path,
        /// How many packages it has.
        packages: usize,
        /// A word for its files as they lay when it had been checked.
        stamp: String => &str,
    }
}

impl Interpreter {
    /// Its files, if nobody has written to them since it was checked.
    ///
    /// # Errors
    /// When somebody has, or they cannot be read.
    pub(crate) fn environment(&self) -> Result<Environment, StepError> {
        let environment = Environment::of(&self.path)?;
        if environment.stamp() == self.stamp {
            return Ok(environment);
        }
        let what = format!("somebody wrote to the Python of {} after it was checked", self.lock);
        Err(StepError::not_looked(what, "find out which step writes into it, and run it again"))
    }
}
