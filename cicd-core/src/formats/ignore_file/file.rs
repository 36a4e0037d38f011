use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{read_plain, read_yaml};
use crate::model::{Finding, Location};
use crate::policy::Exception;

/// What an ignore file says: the entries that may allow something, and what is wrong with the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IgnoreFile {
    /// The complete entries. Whether one has expired or matches nothing is for `policy::evaluate` to say.
    pub exceptions: Vec<Exception>,
    /// The complete entries that say `found-by: pip-audit`: for flaws that only the second opinion of
    /// [`DependencyAudit`](crate::steps::DependencyAudit) knows, so that a scan by Trivy does not call them stale.
    pub second_opinion: Vec<Exception>,
    /// Why the fix of a flaw cannot be taken yet, by the place of the entry that says so.
    pub fix_blocked_by: BTreeMap<Location, String>,
    /// What is wrong; an entry with a finding is not among the exceptions.
    pub findings: Vec<Finding>,
}

/// An ignore file that cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct IgnoreFileError {
    /// Where.
    pub location: Location,
    /// What is wrong.
    pub problem: String,
}

/// A larger file holds more exceptions than anybody can answer for.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// Reads an ignore file, in the form that its name's extension says: `.yaml` and `.yml`, otherwise plain lines, as Trivy decides it.
///
/// `path` is what locations show.
///
/// # Errors
/// A file that is too large, or YAML that Trivy could not read either.
pub fn read(path: &Utf8Path, bytes: &[u8]) -> Result<IgnoreFile, IgnoreFileError> {
    if bytes.len() > BYTES_MAX {
        let problem = format!("the file has {} bytes, more than the {BYTES_MAX} that are read", bytes.len());
        return Err(IgnoreFileError { location: Location::file(path), problem });
    }
    match path.extension() {
        Some("yaml" | "yml") => read_yaml(path, bytes),
        _ => Ok(read_plain(path, bytes)),
    }
}
