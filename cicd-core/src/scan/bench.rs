use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::process::Temporary;
use crate::step::{Context, StepError};

/// What the temporary folder is for.
const FOLDER_AREA: &str = "scan";

/// A folder of a scanner's own, with an absolute path, for configurations, canaries and copies. It is removed with its content: in a
/// repository that does not ignore its run folders, the next run would take a copy for a file of the repository.
#[derive(Debug)]
pub struct Bench(Temporary);

impl Bench {
    /// A new folder in the step's own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(cx: &Context) -> Result<Self, StepError> {
        let parent = cx.path(cx.dir());
        Ok(Self(Temporary::new_in(&parent, FOLDER_AREA).map_err(StepError::io("making a folder in", parent))?))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        self.0.path()
    }

    /// A path inside it.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        self.folder().join(name)
    }

    /// Writes a file, with the folders that it is in.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, name: impl AsRef<Utf8Path>, content: impl AsRef<[u8]>) -> Result<Utf8PathBuf, StepError> {
        let path = self.path(name);
        self.make_folder(path.parent().unwrap_or(self.folder()))?;
        fs::write(&path, content).map_err(StepError::io("writing", &path))?;
        Ok(path)
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// When that fails.
    pub fn make_folder(&self, name: impl AsRef<Utf8Path>) -> Result<Utf8PathBuf, StepError> {
        let path = self.path(name);
        fs::create_dir_all(&path).map_err(StepError::io("creating", &path))?;
        Ok(path)
    }
}
