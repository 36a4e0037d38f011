//! How much of what a step says is kept. What is cut is said, and cutting never makes anything greener: the status is decided
//! before, and what is cut first is what decides nothing.

use super::StepReport;
use super::scrub::RunCode;
use crate::model::{Finding, Level};

/// A report with more findings is not read by anybody, and each takes memory in the record, in its events and in every report
/// that is made of it. An image with 50,000 vulnerabilities is still shown in full.
pub(super) const FINDINGS_MAX: usize = 60_000;
/// A few numbers are what facts are for.
const FACTS_MAX: usize = 1_000;
/// Files beside a report.
const ATTACHMENTS_MAX: usize = 1_000;
/// What is loaded again by `--resume` fits into memory many times.
pub(super) const OUTPUT_BYTES_MAX: usize = 256 << 20;

/// The report with no more of anything than is kept.
pub(super) fn bounded(mut report: StepReport) -> StepReport {
    let mut cut = Vec::new();
    let mut level = Level::Warn;
    if report.findings.len() > FINDINGS_MAX {
        report.findings.sort_by_key(weight);
        let more = report.findings.split_off(FINDINGS_MAX);
        // Whatever may keep something from being cleared still does.
        if more.iter().any(|finding| weight(finding) < ONLY_SHOWN) {
            level = Level::BlockClearance;
        }
        cut.push(format!("{} findings", more.len()));
    }
    if report.facts.iter().count() > FACTS_MAX {
        let mut facts = crate::model::Facts::new();
        for (name, fact) in report.facts.iter().take(FACTS_MAX) {
            facts.insert(name, fact.clone());
        }
        if let Some(headline) = report.facts.headline() {
            facts.set_headline(headline);
        }
        cut.push(format!("{} facts", report.facts.iter().count() - FACTS_MAX));
        report.facts = facts;
    }
    if report.attachments.len() > ATTACHMENTS_MAX {
        cut.push(format!("{} attachments", report.attachments.len() - ATTACHMENTS_MAX));
        report.attachments.truncate(ATTACHMENTS_MAX);
    }
    if !cut.is_empty() {
        let message = format!("the record leaves out {} of this step", cut.join(", "));
        report.findings.push(Finding::new(RunCode::LeftOut, message).level(level));
    }
    report
}

/// Such findings decide nothing.
const ONLY_SHOWN: u8 = 3;

/// What is kept first.
fn weight(finding: &Finding) -> u8 {
    match (finding.level, &finding.exception) {
        (Level::Deny, None) => 0,
        (Level::BlockClearance, None) => 1,
        // An exception may hold for another environment only.
        (_, Some(_)) => 2,
        (Level::Warn, None) => ONLY_SHOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Code, Facts, Status, StepName};

    fn report(findings: Vec<Finding>) -> StepReport {
        let mut report = StepReport::not_run(&StepName::new("s").expect("a name"), Status::Failed, "x");
        report.findings = findings;
        report
    }

    fn findings(count: usize, level: Level) -> Vec<Finding> {
        vec![Finding::with_code(Code::from_static("X-1"), "m").level(level); count]
    }

    #[test]
    fn what_is_cut_is_said_and_nothing_gets_greener() {
        let last = |report: &StepReport| report.findings.last().map(|last| (last.code.to_string(), last.level));
        let cases = [
            (findings(FINDINGS_MAX + 5, Level::Warn), Level::Warn),
            (findings(FINDINGS_MAX + 5, Level::BlockClearance), Level::BlockClearance),
            (findings(FINDINGS_MAX + 5, Level::Deny), Level::BlockClearance),
            ([findings(FINDINGS_MAX, Level::Warn), findings(1, Level::Deny)].concat(), Level::Warn),
        ];
        for (all, level) in cases {
            let worst = all.iter().map(|finding| finding.level).max();
            let bounded = bounded(report(all));
            assert_eq!(bounded.findings.len(), FINDINGS_MAX + 1);
            assert_eq!(last(&bounded), Some(("RUN-002".to_owned(), level)));
            assert_eq!(bounded.findings.iter().map(|finding| finding.level).max(), worst);
            assert_eq!(bounded.status, Status::Failed);
        }
        assert_eq!(bounded(report(findings(9, Level::Warn))).findings.len(), 9);
        let mut many = report(Vec::new());
        many.facts = Facts::new();
        for number in 0..FACTS_MAX + 3 {
            many.facts.insert(format!("fact-{number}"), number);
        }
        many.attachments = vec!["a".into(); ATTACHMENTS_MAX + 2];
        let message = bounded(many).findings.pop().map(|finding| finding.message);
        assert_eq!(message.as_deref(), Some("the record leaves out 3 facts, 2 attachments of this step"));
    }
}
