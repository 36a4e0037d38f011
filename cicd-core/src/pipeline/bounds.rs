//! How much of what a step says is kept. What is cut is said, and cutting never makes anything greener: the status is decided
//! before, and what is cut first is what decides nothing.

use super::StepReport;
use super::redacted::TEXT_BYTES_MAX;
use super::scrub::RunCode;
use crate::model::{Finding, Level, Status};
use crate::policy::{Exception, Scope};

/// A report with more findings is not read by anybody, and each takes memory in the record, in its events and in every report
/// that is made of it. An image with 50,000 vulnerabilities is still shown in full.
pub(super) const FINDINGS_MAX: usize = 60_000;
/// All texts of a step's findings together: 60,000 of 2 KiB, and a few that are as long as one may be.
const FINDINGS_BYTES_MAX: usize = 128 << 20;
/// A vulnerability has a handful of names.
const ALIASES_MAX: usize = 100;
/// One exception for each finding.
pub(super) const EXCEPTIONS_MAX: usize = FINDINGS_MAX;
/// All texts of a step's exceptions together, with every target that they reach.
const EXCEPTIONS_BYTES_MAX: usize = 128 << 20;
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
    // What is decided later is decided by fewer names: less is accepted.
    report.findings.iter_mut().for_each(|finding| finding.aliases.truncate(ALIASES_MAX));
    let bytes = report.findings.iter().map(bytes_of);
    if report.findings.len() > FINDINGS_MAX || !fits(bytes, FINDINGS_BYTES_MAX) {
        report.findings.sort_by_key(weight);
        let mut left = FINDINGS_BYTES_MAX;
        let fitting = report.findings.iter().take(FINDINGS_MAX).take_while(|finding| {
            let bytes = bytes_of(finding);
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        });
        let more = report.findings.split_off(fitting.count());
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
    let bytes = report.exceptions.iter().map(|one| bytes_of_exception(&one.exception));
    let all = report.exceptions.len();
    if all > EXCEPTIONS_MAX || !fits(bytes, EXCEPTIONS_BYTES_MAX) {
        // A later verdict, for another environment or another day, would be made without those that are cut.
        report.status = Status::Error;
        report.exceptions.clear();
        let told = format!(
            "its {all} exceptions are more than a record keeps: at most {EXCEPTIONS_MAX} of {EXCEPTIONS_BYTES_MAX} bytes in all; \
             mend what they are for, or narrow what the step looks at"
        );
        report.reason = Some(report.reason.map_or_else(|| told.clone(), |reason| format!("{told}\n{reason}")));
    }
    if !cut.is_empty() {
        let message = format!("the record leaves out {} of this step", cut.join(", "));
        report.findings.push(Finding::new(RunCode::LeftOut, message).level(level));
    }
    report
}

/// Whether so much is no more than that.
fn fits(mut bytes: impl Iterator<Item = usize>, bytes_max: usize) -> bool {
    bytes.try_fold(0_usize, |sum, bytes| sum.checked_add(bytes).filter(|sum| *sum <= bytes_max)).is_some()
}

/// What is kept of a text.
fn kept(text: &str) -> usize {
    text.len().min(TEXT_BYTES_MAX)
}

/// What the texts of a finding take that may be long.
fn bytes_of(finding: &Finding) -> usize {
    let target = finding.target.as_ref().map(ToString::to_string);
    let texts = [&finding.help, &finding.fixed_in, &finding.source_line, &target].into_iter().flatten();
    let place = finding.location.as_ref().map_or(0, |location| kept(location.path.as_str()));
    let texts = texts.chain(&finding.aliases).chain([&finding.message]).map(|text| kept(text));
    texts.sum::<usize>() + place + kept(finding.code.as_str())
}

fn bytes_of_exception(exception: &Exception) -> usize {
    let Exception { id, scope, justification, location, .. } = exception;
    let targets = match scope {
        Scope::Any => 0,
        // A target without a text takes room too.
        Scope::Targets(targets) => targets.iter().map(|target| kept(&target.to_string()) + 1).sum(),
    };
    kept(id) + kept(&justification.reason) + kept(&justification.owner) + kept(location.path.as_str()) + targets
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
    use crate::model::{Code, Facts, StepName, Target};
    use crate::pipeline::ExceptionReport;
    use crate::policy::Justification;

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
        // Few findings of long texts are as much as many.
        let text = "m".repeat(TEXT_BYTES_MAX);
        let of = |level| Finding::with_code(Code::from_static("X-1"), text.as_str()).help(text.as_str()).level(level);
        let fitting = FINDINGS_BYTES_MAX / (2 * TEXT_BYTES_MAX) - 1;
        let mut all = vec![of(Level::Warn); fitting + 2];
        all.push(of(Level::Deny));
        let many = bounded(report(all));
        assert_eq!((many.findings.len(), many.findings[0].level), (fitting + 1, Level::Deny));
        assert_eq!(last(&many), Some(("RUN-002".to_owned(), Level::Warn)));
        let mut named = of(Level::Deny);
        named.aliases = vec!["CVE-1".to_owned(); ALIASES_MAX + 1];
        assert_eq!(bounded(report(vec![named])).findings[0].aliases.len(), ALIASES_MAX);
        let mut many = report(Vec::new());
        many.facts = Facts::new();
        for number in 0..FACTS_MAX + 3 {
            many.facts.insert(format!("fact-{number}"), number);
        }
        many.attachments = vec!["a".into(); ATTACHMENTS_MAX + 2];
        let message = bounded(many).findings.pop().map(|finding| finding.message);
        assert_eq!(message.as_deref(), Some("the record leaves out 3 facts, 2 attachments of this step"));
    }

    #[test]
    fn more_exceptions_than_are_kept_are_an_error() {
        let because =
            Justification::new("the affected parser is never given outside input", "@example/web", "2026-12-20")
                .expect("valid");
        let exception = |targets: Vec<Target>| ExceptionReport {
            exception: Exception::in_pipeline(Code::from_static("X-1"), Scope::Targets(targets), because.clone()),
            covers: 1,
            undetermined: false,
        };
        let long = Target::name("t".repeat(TEXT_BYTES_MAX));
        let cases = [
            (vec![exception(vec![Target::name("t")]); 3], false),
            (vec![exception(vec![Target::name("t")]); EXCEPTIONS_MAX + 1], true),
            (vec![exception(vec![long.clone(); 16]); EXCEPTIONS_BYTES_MAX / TEXT_BYTES_MAX / 16], true),
            (vec![exception(vec![long; EXCEPTIONS_BYTES_MAX / TEXT_BYTES_MAX])], true),
        ];
        for (exceptions, too_many) in cases {
            let mut green = report(Vec::new());
            (green.status, green.reason) = (Status::Exempted, None);
            let count = exceptions.len();
            green.exceptions = exceptions;
            let bounded = bounded(green);
            assert_eq!(bounded.status, if too_many { Status::Error } else { Status::Exempted });
            assert_eq!(bounded.exceptions.len(), if too_many { 0 } else { count });
            let reason = bounded.reason.unwrap_or_default();
            assert_eq!(reason.contains(&format!("its {count} exceptions are more")), too_many, "{reason}");
        }
    }
}
