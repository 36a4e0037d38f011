use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// A place in a file, relative to the workspace root where the file is inside it. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The file.
    pub path: Utf8PathBuf,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

impl Location {
    /// A whole file.
    #[must_use]
    pub fn file(path: impl AsRef<Utf8Path>) -> Self {
        Self { path: path.as_ref().to_owned(), line: None, column: None }
    }

    /// A line of a file.
    #[must_use]
    pub fn line(path: impl AsRef<Utf8Path>, line: u32) -> Self {
        Self { path: path.as_ref().to_owned(), line: Some(line), column: None }
    }

    /// A character of a file.
    #[must_use]
    pub fn column(path: impl AsRef<Utf8Path>, line: u32, column: u32) -> Self {
        Self { path: path.as_ref().to_owned(), line: Some(line), column: Some(column) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path.as_str())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}
