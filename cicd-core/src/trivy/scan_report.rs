use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Judged, Severity, Subject};

/// What a scan looked at, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReport {
    /// The id of the image.
    pub image: String,
    /// The version of Trivy.
    pub trivy: String,
    /// The database in words, such as `offline database of 2024-10-10, PyPI only`.
    pub database: String,
    /// When the database was made.
    pub database_updated_at: Timestamp,
    /// The operating system in the image, such as `debian 12.11`.
    pub os: String,
    /// How many packages the image has.
    pub packages: usize,
    /// How many of them the database can judge.
    pub packages_judged: usize,
    /// How many flaws were found, whatever their severity and whether or not they are ignored.
    pub vulnerabilities: usize,
    /// Whether the database can judge Python packages.
    pub python_judged: bool,
    /// The Python packages of the image, with the flaws that the database knows in them.
    pub python: Vec<ScannedPackage>,
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
