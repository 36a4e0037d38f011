use std::fs;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::{SetupError, Sha256};
use crate::files::{self, FEW_LINES_BYTES_MAX};

/// The version of the record's form.
const SCHEMA: u32 = 2;
/// The record's file in a set's folder. It is written last: a set without it is not installed.
pub(super) const FILE: &str = "provenance.json";

/// What a set of tools was installed from: the record beside the tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of this form.
    pub schema: u32,
    /// The set's folder.
    pub folder: Utf8PathBuf,
    /// The sum of the list of all its files, `files.sha256` beside this record.
    pub files_sha256: Sha256,
    /// Its tools.
    pub tools: Vec<InstalledTool>,
}

/// One installed program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledTool {
    /// Its name.
    pub program: String,
    /// The version it tells.
    pub version: String,
    /// The sum of its file as installed.
    pub program_sha256: Sha256,
    /// Where it came from.
    pub source: Source,
}

/// Where a program came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A release archive of its own project.
    Release {
        /// Where it was fetched.
        url: String,
        /// Its sum.
        sha256: Sha256,
    },
    /// A Python wheel.
    PythonPackage {
        /// The package.
        package: String,
        /// The package's version.
        version: String,
        /// The sums that were allowed; the installer accepts no other.
        sha256: Vec<Sha256>,
        /// Why the project's own release was not taken, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of_release: Option<String>,
    },
}

impl Provenance {
    /// The record of a set that is complete now.
    #[must_use]
    pub fn new(folder: &Utf8Path, files_sha256: Sha256, tools: Vec<InstalledTool>) -> Self {
        Self { schema: SCHEMA, folder: folder.to_owned(), files_sha256, tools }
    }

    /// The record in a folder; nothing where the set is not, or not completely, installed.
    ///
    /// # Errors
    /// When there is a record that cannot be read.
    pub fn read(folder: &Utf8Path) -> Result<Option<Self>, SetupError> {
        let path = folder.join(FILE);
        let bytes = match files::read(&path, FEW_LINES_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(SetupError::io("reading", path)(error)),
        };
        let record = |problem: String| SetupError::Record { path: path.clone(), problem };
        let provenance: Self = serde_json::from_slice(&bytes).map_err(|error| record(error.to_string()))?;
        if provenance.schema != SCHEMA {
            return Err(record(format!("schema {} instead of {SCHEMA}", provenance.schema)));
        }
        Ok(Some(provenance))
    }

    /// Writes the record into its folder, all or nothing.
    pub(super) fn write(&self) -> Result<(), SetupError> {
        let path = self.folder.join(FILE);
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(SetupError::io("writing", &path))
    }

    /// Takes the record away: the set is not installed any more.
    pub(super) fn remove(folder: &Utf8Path) -> Result<(), SetupError> {
        match fs::remove_file(folder.join(FILE)) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(SetupError::io("removing", folder.join(FILE))(error))
            }
            _ => Ok(()),
        }
    }
}
