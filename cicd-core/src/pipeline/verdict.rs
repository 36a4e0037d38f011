use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use super::attempts::Attempted;
use super::job::JobEnd;
use super::{ExceptionReport, StepReport};
use crate::model::{Finding, Status, StepName};
use crate::policy::{Applies, Exception, Origin, Policy, evaluate};
use crate::process::ProcessError;
use crate::step::StepError;

pub(super) type Output = Arc<dyn Any + Send + Sync>;

/// Whose exceptions are judged, by what and on which day.
pub(super) struct Judge<'a> {
    pub(super) name: &'a StepName,
    /// The exceptions of the pipeline's source for the step, expired or not.
    pub(super) relaxations: Vec<Exception>,
    pub(super) policy: &'a Policy,
    pub(super) today: Date,
}

impl Judge<'_> {
    /// Judges what the attempts of a step came to, and gives its output where the verdict lets it have one. `in_files` gives the
    /// exceptions that a step without a verdict did not come to read.
    ///
    /// A relaxation that is not needed in this run is listed and held to the policy, and is no exception for nothing.
    pub(super) fn report(
        self,
        attempted: Attempted,
        in_files: impl FnOnce() -> Result<Vec<Exception>, StepError>,
    ) -> (StepReport, Option<Output>) {
        let Attempted { end, attempts, findings: retries } = attempted;
        let tries = attempts.len();
        let (without_verdict, reason, found) = match end {
            Ok(JobEnd::Looked(outcome)) => {
                let mut findings = outcome.findings;
                findings.extend(retries);
                if let Some(reason) = self.undeclared(&outcome.exceptions) {
                    let mut report = self.settle(Status::Error, Some(reason), findings, Vec::new());
                    report.attempts = if tries > 1 { attempts } else { Vec::new() };
                    return (report, None);
                }
                let exceptions = self.with_relaxations(outcome.exceptions);
                let verdict = evaluate(findings, &exceptions, self.policy, self.today);
                let mut report = StepReport::not_run(self.name, verdict.status, "");
                report.reason = None;
                if report.status.is_green() && tries > 1 {
                    report.status = Status::Flaky;
                }
                report.exceptions = reports(exceptions, verdict.covered, true);
                report.findings = verdict.findings;
                (report.facts, report.attachments) = (outcome.facts, outcome.attachments);
                report.attempts = if tries > 1 { attempts } else { Vec::new() };
                let output = Some(outcome.output).filter(|_| report.status.is_green());
                return (report, output);
            }
            Ok(JobEnd::Found(finding)) => (Status::Failed, None, Some(*finding)),
            Ok(JobEnd::Withheld(reason)) => (Status::Skipped, Some(reason), None),
            Err(error) => {
                let (status, reason) = why(&error, tries);
                (status, Some(reason), None)
            }
        };
        let findings = found.into_iter().chain(retries).collect();
        let mut report = self.without_verdict(without_verdict, reason, findings, in_files());
        report.attempts = if tries > 1 { attempts } else { Vec::new() };
        (report, None)
    }

    /// The report of a step that came to no verdict: what can be said of its exceptions without one is said all the same.
    pub(super) fn without_verdict(
        self,
        status: Status,
        reason: Option<String>,
        findings: Vec<Finding>,
        in_files: Result<Vec<Exception>, StepError>,
    ) -> StepReport {
        let (in_files, reason) = match in_files {
            Ok(exceptions) => (exceptions, reason),
            Err(error) => {
                let unread = format!("its exceptions could not be read: {error}");
                (Vec::new(), Some(reason.map_or_else(|| unread.clone(), |reason| format!("{reason}\n{unread}"))))
            }
        };
        self.settle(status, reason, findings, in_files)
    }

    fn settle(
        self,
        status: Status,
        reason: Option<String>,
        findings: Vec<Finding>,
        exceptions: Vec<Exception>,
    ) -> StepReport {
        let exceptions = self.with_relaxations(exceptions);
        // Nothing was looked for, so none of them is called unused.
        let at_times = |exception: &Exception| match exception.applies {
            Applies::Here => exception.clone().applies(Applies::AtTimes),
            Applies::AtTimes | Applies::Elsewhere => exception.clone(),
        };
        let undecided: Vec<_> = exceptions.iter().map(at_times).collect();
        let verdict = evaluate(findings, &undecided, self.policy, self.today);
        // What was not needed is green all the same, unless one of its exceptions is not sound.
        let status = match (status, verdict.status) {
            (Status::Skipped, Status::Failed) => Status::Failed,
            (status, _) => status,
        };
        let mut report = StepReport::not_run(self.name, status, "");
        report.reason = reason;
        report.exceptions = reports(exceptions, verdict.covered, false);
        report.findings = verdict.findings;
        report
    }

    /// Those that the step brought, and of the others those that are among its settings: they may be needed in another run.
    fn with_relaxations(&self, mut exceptions: Vec<Exception>) -> Vec<Exception> {
        let others: Vec<_> = {
            let seen: BTreeSet<_> = exceptions.iter().map(Exception::identity).collect();
            let others = self.relaxations.iter().filter(|one| !seen.contains(&one.identity()));
            others.map(|one| one.clone().applies(Applies::AtTimes)).collect()
        };
        exceptions.extend(others);
        exceptions
    }

    /// Why a step is an error that relaxes what its settings do not say: in a run in which it does not look, nobody would judge that.
    fn undeclared(&self, exceptions: &[Exception]) -> Option<String> {
        let declared: BTreeSet<_> = self.relaxations.iter().map(Exception::identity).collect();
        let mut own = exceptions.iter().filter(|one| one.origin == Origin::Pipeline);
        let unknown = own.find(|one| !declared.contains(&one.identity()))?;
        Some(format!(
            "it brings the exception for {} of {}, which is not among its settings; name it in `Step::relaxations`",
            unknown.id, unknown.location
        ))
    }
}

fn reports(exceptions: Vec<Exception>, covered: Vec<usize>, looked: bool) -> Vec<ExceptionReport> {
    let covered = exceptions.into_iter().zip(covered);
    covered
        .map(|(exception, covers)| ExceptionReport { exception, covers, undetermined: !looked && covers == 0 })
        .collect()
}

fn why(error: &StepError, tries: usize) -> (Status, String) {
    match error {
        StepError::Process(ProcessError::Cancelled { .. }) | StepError::Cancelled { .. } => {
            (Status::Cancelled, error.to_string())
        }
        _ if tries > 1 => (Status::Error, format!("after {tries} attempts: {error}")),
        _ => (Status::Error, error.to_string()),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
