use std::any::Any;
use std::sync::Arc;

use jiff::civil::Date;

use super::attempts::{Attempted, Granted};
use super::job::JobEnd;
use super::{ExceptionReport, StepReport};
use crate::model::{Facts, Status, StepName};
use crate::policy::{Applies, Policy, evaluate};
use crate::process::ProcessError;
use crate::step::StepError;

pub(super) type Output = Arc<dyn Any + Send + Sync>;

/// Judges what the attempts of a step came to, and gives its output where the verdict lets it have one.
///
/// `granted` is what the pipeline asks for, expired or not. One that is not needed in this run is listed and held to the policy,
/// and is no exception for nothing: what it is for happens now and then.
pub(super) fn report(
    name: &StepName,
    attempted: Attempted,
    granted: Option<&Granted>,
    policy: &Policy,
    today: Date,
) -> (StepReport, Option<Output>) {
    let Attempted { end, attempts, findings: mut retries } = attempted;
    let tries = attempts.len();
    let mut report = StepReport {
        name: name.clone(),
        status: Status::Error,
        duration_ms: 0,
        reason: None,
        findings: Vec::new(),
        facts: Facts::new(),
        attachments: Vec::new(),
        exceptions: Vec::new(),
        loaded_from: None,
        output_sha256: None,
        attempts: if tries > 1 { attempts } else { Vec::new() },
    };
    let (mut findings, mut exceptions, mut output) = (Vec::new(), Vec::new(), None);
    let without_verdict = match end {
        Ok(JobEnd::Looked(outcome)) => {
            (findings, exceptions) = (outcome.findings, outcome.exceptions);
            report.facts = outcome.facts;
            report.attachments = outcome.attachments;
            output = Some(outcome.output);
            None
        }
        Ok(JobEnd::Found(finding)) => {
            findings.push(*finding);
            Some(Status::Failed)
        }
        Ok(JobEnd::Withheld(reason)) => {
            report.reason = Some(reason);
            Some(Status::Skipped)
        }
        Err(error) => {
            let (status, reason) = why(&error, tries);
            report.reason = Some(reason);
            Some(status)
        }
    };
    exceptions.extend(granted.map(|granted| granted.exception.clone().applies(Applies::AtTimes)));
    findings.append(&mut retries);
    let verdict = evaluate(findings, &exceptions, policy, today);
    report.status = match without_verdict.unwrap_or(verdict.status) {
        green if green.is_green() && tries > 1 => Status::Flaky,
        status => status,
    };
    let covered = exceptions.into_iter().zip(verdict.covered);
    report.exceptions = covered.map(|(exception, covers)| ExceptionReport { exception, covers }).collect();
    report.findings = verdict.findings;
    let output = output.filter(|_| report.status.is_green());
    (report, output)
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
