use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Judged, Severity, Subject};
use crate::step::proof;

proof! {
    /// What a scan looked at, and by what.
    pub struct ScanReport("scan of an image") {
        /// The id of the image.
        image: String => &str,
        /// The version of Trivy.
        trivy: String => &str,
        /// The database in words, such as `offline database of 2024-10-10, PyPI only`.
        database: String => &str,
        /// When the database was made.
        database_updated_at: Timestamp,
        /// The operating system in the image, such as `debian 12.11`.
        os: String => &str,
        /// How many packages the image has.
        packages: usize,
        /// How many of them the database can judge.
        packages_judged: usize,
        /// How many flaws were found, whatever their severity and whether or not they are ignored.
        vulnerabilities: usize,
        /// Whether the database can judge Python packages.
        python_judged: bool,
        /// The Python packages of the image, with the flaws that the database knows in them.
        python: Vec<ScannedPackage> => &[ScannedPackage],
    }
}

/// A package of an image, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedPackage {
    /// Its normalised name.
    pub name: String,
    /// Its version, as the package itself writes it.
    pub version: String,
    /// Its flaws, whatever their severity and whether or not they are ignored.
    pub flaws: Vec<KnownFlaw>,
}

/// A flaw of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFlaw {
    /// All its names, such as `CVE-2023-32681`; never empty.
    pub ids: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// One line; may be empty.
    pub title: String,
    /// The versions without it, separated by commas; empty if there is none.
    pub fixed_version: String,
}

impl Judged for ScanReport {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}
