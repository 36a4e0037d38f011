use std::fs;
use std::io::{self, Read as _};

use camino::Utf8Path;

use super::{Context, StepError, Workspace};
use crate::files;

/// No file that people write for a step to read is larger.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl Workspace {
    /// The bytes of a file of the workspace that people write. A link may lead to it, but not out of the workspace: what lies
    /// outside nobody has reviewed.
    ///
    /// # Errors
    /// When it is not there, is no plain file (reading a pipe would wait for ever, and a device never ends), lies elsewhere or
    /// has more than 64 MiB.
    pub fn read_file(&self, path: impl AsRef<Utf8Path>) -> io::Result<Vec<u8>> {
        let full = self.path(path).canonicalize_utf8()?;
        if !full.starts_with(self.root().canonicalize_utf8()?) {
            return Err(io::Error::other(format!("it is a link to {full}, outside of the workspace")));
        }
        if !fs::metadata(&full)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut bytes = Vec::new();
        files::open(&full)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(bytes)
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file), and when it is not UTF-8.
    pub fn read_text(&self, path: impl AsRef<Utf8Path>) -> io::Result<String> {
        String::from_utf8(self.read_file(path)?).map_err(io::Error::other)
    }
}

impl Context {
    /// The bytes of a file of the workspace that people write; see [`Workspace::read_file`].
    ///
    /// # Errors
    /// As that, with the file's name.
    pub fn read_file(&self, path: impl AsRef<Utf8Path>) -> Result<Vec<u8>, StepError> {
        let path = path.as_ref();
        // Before and after: what was read is known only where nobody wrote to it meanwhile.
        self.relies_on_unlisted(path);
        let bytes = self.shared().workspace.read_file(path).map_err(StepError::io("reading", path))?;
        self.relies_on_unlisted(path);
        self.check_listed(path, &bytes)?;
        Ok(bytes)
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file), and when it is not UTF-8.
    pub fn read_text(&self, path: impl AsRef<Utf8Path>) -> Result<String, StepError> {
        let path = path.as_ref();
        String::from_utf8(self.read_file(path)?)
            .map_err(|error| StepError::io("reading", path)(io::Error::other(error)))
    }

    /// A file is known by the commit where git lists it under its name and, where that is a link, what it leads to as well.
    fn relies_on_unlisted(&self, path: &Utf8Path) {
        let Ok(source) = &self.shared().source else { return };
        let full = self.path(path);
        let place = || full.canonicalize_utf8().and_then(|found| Ok((found, self.root().canonicalize_utf8()?)));
        let is_listed = full.strip_prefix(self.root()).is_ok_and(|name| source.lists(name))
            && place().is_ok_and(|(found, root)| found.strip_prefix(root).is_ok_and(|name| source.lists(name)));
        if !is_listed {
            self.relies_on_file(&full);
        }
    }

    /// What every step reads of the source is what was gathered, and not what lies there for a while: lists of exceptions and
    /// settings too.
    fn check_listed(&self, path: &Utf8Path, bytes: &[u8]) -> Result<(), StepError> {
        let Ok(source) = &self.shared().source else { return Ok(()) };
        let full = self.path(path);
        let found = full.canonicalize_utf8().map_err(StepError::io("finding", path))?;
        let root = self.root().canonicalize_utf8().map_err(StepError::io("finding", self.root()))?;
        let names = [full.strip_prefix(self.root()).ok(), found.strip_prefix(&root).ok()];
        if names.into_iter().flatten().all(|name| source.agrees(name, bytes)) {
            return Ok(());
        }
        Err(StepError::not_looked(
            format!("{path} changed while the run went on"),
            "run it again, and let nothing change the checkout meanwhile",
        ))
    }
}
