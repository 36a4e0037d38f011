use camino::{Utf8Path, Utf8PathBuf};

use crate::formats::coverage::MeasuredCoverage;
use crate::model::{Judged, Subject};
use crate::step::proof;

proof! {
    /// What a test run showed.
    pub struct TestReport("test run") {
        /// How many tests there are.
        tests: usize,
        /// How many of them passed.
        passed: usize,
        /// How many of them failed, or broke around the test itself.
        failed: usize,
        /// How many of them were skipped or expected to fail.
        skipped: usize,
        /// The JUnit XML, in the run folder.
        junit: Utf8PathBuf => &Utf8Path,
        /// What was covered, if that was measured.
        coverage: Option<MeasuredCoverage> => Option<&MeasuredCoverage>,
        /// The commit whose files were tested.
        commit: String => &str,
    }
}

impl Judged for TestReport {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}
