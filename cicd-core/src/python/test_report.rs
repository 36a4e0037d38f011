use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::formats::coverage::MeasuredCoverage;
use crate::model::{Judged, Subject};

/// What a test run showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// How many tests there are.
    pub tests: usize,
    /// How many of them passed.
    pub passed: usize,
    /// How many of them failed, or broke around the test itself.
    pub failed: usize,
    /// How many of them were skipped or expected to fail.
    pub skipped: usize,
    /// The JUnit XML, in the run folder.
    pub junit: Utf8PathBuf,
    /// What was covered, if that was measured.
    pub coverage: Option<MeasuredCoverage>,
    /// The commit whose files were tested.
    pub commit: String,
}

impl Judged for TestReport {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}
