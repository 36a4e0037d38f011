use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::files::{self, FEW_LINES_BYTES_MAX};
use crate::formats::trivy_db::{DatabaseMetadata, Ecosystem, check_age};
use crate::step::{ReadError, StepError, proof};

proof! {
    /// A vulnerability database on disk, where it came from and how old it is.
    pub struct VulnerabilityDatabase("vulnerability database") {
        /// The folder that Trivy takes as `--cache-dir`.
        cache_dir: Utf8PathBuf => &Utf8Path,
        /// Where it came from.
        origin: DatabaseOrigin => &DatabaseOrigin,
        /// When it was made.
        updated_at: Timestamp,
        /// The SHA-256 of the database file, in hexadecimal digits.
        sha256: String => &str,
        /// How old an official database may be when it is used, in hours.
        age_hours_max: u32,
    }
}

/// Where a database came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum DatabaseOrigin {
    /// Trivy's own, downloaded.
    Official {
        /// The repository it was downloaded from.
        repository: String,
    },
    /// Made from the advisories that the repository keeps.
    Offline {
        /// The day up to which the advisories are complete; of several lists, the earliest.
        as_of: Date,
        /// Whose packages it knows; of all others it knows nothing.
        ecosystems: Vec<Ecosystem>,
        /// How many advisories it was made from.
        advisories: usize,
    },
}

impl VulnerabilityDatabase {
    /// Whether it can judge packages of the kind that Trivy's report calls `kind`, such as `debian` or `python-pkg`.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        match &self.origin {
            DatabaseOrigin::Official { .. } => true,
            DatabaseOrigin::Offline { ecosystems, .. } => ecosystems.iter().any(|ecosystem| match ecosystem {
                Ecosystem::PyPi => matches!(kind, "python-pkg" | "pip" | "pipenv" | "poetry" | "uv" | "pylock"),
            }),
        }
    }

    /// Checks that the database is still the one that the database step left, by what it says of itself, and that an official one is not too
    /// old by now. Its content is proven otherwise: by a known vulnerability that it has to know.
    ///
    /// # Errors
    /// When they are gone, say something else, or are too old or from the future.
    pub fn check(&self, now: Timestamp) -> Result<(), StepError> {
        let metadata = self.read_metadata()?;
        if metadata.updated_at != self.updated_at {
            return Err(StepError::not_looked(
                format!("the database in {} is of {}, not of {}", self.cache_dir, metadata.updated_at, self.updated_at),
                "run the database step again",
            ));
        }
        if let DatabaseOrigin::Official { .. } = self.origin {
            let too_old =
                |error| self.metadata_error(error).help("run the database step again; check the machine's clock");
            check_age(self.updated_at, now, self.age_hours_max).map_err(too_old)?;
        }
        Ok(())
    }

    /// Reads the metadata beside the database file.
    ///
    /// # Errors
    /// When there is none, or it is of another schema.
    pub fn read_metadata(&self) -> Result<DatabaseMetadata, StepError> {
        let path = self.cache_dir.join("db/metadata.json");
        let bytes = files::read(&path, FEW_LINES_BYTES_MAX).map_err(StepError::io("reading", path))?;
        Ok(DatabaseMetadata::from_json(&bytes).map_err(|error| self.metadata_error(error))?)
    }

    fn metadata_error(&self, error: impl fmt::Display) -> ReadError {
        ReadError::new(format!("the vulnerability database in {}", self.cache_dir), error)
    }
}

/// In words, such as `offline database of 2024-10-10, PyPI only`.
impl fmt::Display for VulnerabilityDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            DatabaseOrigin::Official { .. } => {
                write!(f, "official database of {}", self.updated_at.strftime("%Y-%m-%d %H:%M"))
            }
            DatabaseOrigin::Offline { as_of, ecosystems, .. } => {
                let ecosystems: Vec<_> = ecosystems.iter().map(ToString::to_string).collect();
                write!(f, "offline database of {as_of}, {} only", ecosystems.join(" and "))
            }
        }
    }
}
