use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Judged, Subject};

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
}

impl Judged for ScanReport {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}
