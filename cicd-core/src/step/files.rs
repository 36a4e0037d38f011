use std::fs::{self, File};
use std::io::{self, Read as _};

use camino::Utf8Path;

use super::{Context, StepError};

/// No file that people write for a step to read is larger.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl Context {
    /// The bytes of a file of the workspace that people write. A link may lead to it, but not out of the workspace: what lies
    /// outside nobody has reviewed.
    ///
    /// # Errors
    /// When it is not there, is no plain file (reading a pipe would wait for ever), lies elsewhere or has more than 64 MiB.
    pub fn read_file(&self, path: impl AsRef<Utf8Path>) -> Result<Vec<u8>, StepError> {
        let path = path.as_ref();
        let full = self.path(path).canonicalize_utf8().map_err(StepError::io("reading", path))?;
        let root = self.root().canonicalize_utf8().map_err(StepError::io("reading", self.root()))?;
        let refused = |why: String| StepError::io("reading", path)(io::Error::other(why));
        if !full.starts_with(&root) {
            return Err(refused(format!("it is a link to {full}, outside of the workspace")));
        }
        let metadata = fs::metadata(&full).map_err(StepError::io("reading", path))?;
        if !metadata.is_file() {
            return Err(refused("it is not a file".to_owned()));
        }
        let mut bytes = Vec::new();
        let file = File::open(&full).map_err(StepError::io("reading", path))?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(StepError::io("reading", path))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(bytes)
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file), and when it is not UTF-8.
    pub fn read_text(&self, path: impl AsRef<Utf8Path>) -> Result<String, StepError> {
        let path = path.as_ref();
        let not_text = |error: std::string::FromUtf8Error| StepError::io("reading", path)(io::Error::other(error));
        String::from_utf8(self.read_file(path)?).map_err(not_text)
    }
}
