use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use crate::model::Status;
use crate::pipeline::Summary;

/// The run as JUnit XML: one test case a step, for the many systems that show nothing else.
///
/// # Errors
/// When the XML cannot be written.
pub fn junit(summary: &Summary) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(summary.pipeline.as_str());
    for step in &summary.steps {
        let mut status = match step.status {
            Status::Passed | Status::Exempted | Status::Flaky => TestCaseStatus::success(),
            Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Status::Error | Status::Blocked | Status::Cancelled => TestCaseStatus::non_success(NonSuccessKind::Error),
            Status::Skipped => TestCaseStatus::skipped(),
        };
        let findings = step
            .findings
            .iter()
            .filter(|finding| finding.exception.is_none())
            .map(|finding| format!("{}: {}", finding.code, finding.message));
        let message: Vec<String> = step.reason.iter().cloned().chain(findings).collect();
        if !step.status.is_green() {
            status.set_message(message.join("\n"));
        }
        // A test case that succeeds with earlier runs is what others call flaky.
        let earlier = step.attempts.iter().rev().skip(1).rev();
        for error in earlier.filter_map(|attempt| attempt.error.as_deref()) {
            let mut rerun = TestRerun::new(NonSuccessKind::Error);
            rerun.set_message(error);
            status.add_rerun(rerun);
        }
        let mut case = TestCase::new(step.name.as_str(), status);
        case.set_time(Duration::from_millis(step.duration_ms));
        suite.add_test_case(case);
    }
    let mut report = Report::new(summary.pipeline.as_str());
    report.set_time(Duration::from_millis(summary.duration_ms));
    report.add_test_suite(suite);
    report.to_string()
}
