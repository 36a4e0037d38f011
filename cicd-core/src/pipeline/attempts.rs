use std::fs;
use std::io;
use std::time::Instant;

use camino::Utf8Path;

use super::job::JobEnd;
use crate::model::{Attempt, EventKind, Finding, Severity, finding_codes};
use crate::policy::Exception;
use crate::step::{Context, Retry, SECRETS_FOLDER, StepError};

finding_codes! {
    /// What can be said about a step that was tried again.
    pub enum RetryCode {
        Asked = "RTY-001" {
            summary: "a step was tried again because the pipeline asks for it, not because a network failed",
            help: "find out why it does not end the same way each time; until then `Pipeline::retry` names who answers for it",
            example: "ci.retry(&browser_tests, Retry::times(2), Justification::new(…)?)",
        },
    }
}

/// An error may hold all that a step panicked with.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// What a log shows around attempts, so that they are found at a glance.
const RULE: &str = "==========";

/// Retries that the pipeline asks for, whatever the error is.
pub(super) struct Granted {
    pub(super) retry: Retry,
    pub(super) exception: Exception,
}

/// How often one step may be tried, and why.
pub(super) struct Attempts<'a> {
    /// For what the step itself calls transient.
    pub(super) own: Retry,
    /// For every other error too; nothing where none was asked for or what was asked for has expired.
    pub(super) granted: Option<&'a Granted>,
}

/// What came of all attempts of a step.
pub(super) struct Attempted {
    pub(super) end: Result<JobEnd, StepError>,
    /// Every attempt.
    pub(super) attempts: Vec<Attempt>,
    /// One finding for every attempt that only the pipeline's own wish explains.
    pub(super) findings: Vec<Finding>,
}

impl Attempts<'_> {
    /// Looks until there is a verdict, an error that is worth no other attempt, or no attempt left.
    pub(super) fn run(&self, cx: &Context, mut look: impl FnMut(&Context) -> Result<JobEnd, StepError>) -> Attempted {
        let attempts_max = self.attempts_max();
        let (mut attempts, mut findings) = (Vec::new(), Vec::new());
        let mut number = 1;
        let end = loop {
            let cx = cx.for_attempt(number, attempts_max);
            let started = Instant::now();
            let end = begin(&cx, number, attempts_max).and_then(|()| look(&cx));
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let shown = |error: &StepError| cx.shared().redactor.redact_start(&error.to_string(), ERROR_BYTES_MAX);
            attempts.push(Attempt { duration_ms, error: end.as_ref().err().map(shown) });
            let error = match end {
                Err(error) => error,
                verdict => break verdict,
            };
            let Some(retry) = self.next(&error, number) else { break Err(error) };
            let text = shown(&error);
            if self.own_retry(&error, number).is_none() {
                let message = format!("attempt {number} of {attempts_max} was no verdict: {text}");
                findings.push(Finding::new(RetryCode::Asked, message).severity(Severity::Low));
            }
            match wait(&cx, number, attempts_max, &text, retry) {
                Ok(true) => break Err(StepError::Cancelled { attempt: number + 1, error: Box::new(error) }),
                Ok(false) => number += 1,
                Err(error) => break Err(error),
            }
        };
        Attempted { end, attempts, findings }
    }

    fn attempts_max(&self) -> u32 {
        let granted = self.granted.map_or(Retry::NEVER, |granted| granted.retry);
        self.own.attempts_max().max(granted.attempts_max())
    }

    fn next(&self, error: &StepError, number: u32) -> Option<Retry> {
        let granted = self.granted.map(|granted| granted.retry).filter(|_| error.may_pass());
        let granted = granted.filter(|retry| number < retry.attempts_max());
        self.own_retry(error, number).or(granted)
    }

    fn own_retry(&self, error: &StepError, number: u32) -> Option<Retry> {
        error.transient().map(|_| self.own).filter(|retry| number < retry.attempts_max())
    }
}

fn begin(cx: &Context, number: u32, attempts_max: u32) -> Result<(), StepError> {
    if attempts_max == 1 {
        return Ok(());
    }
    let heading = format!("{RULE} attempt {number} of {attempts_max} {RULE}");
    cx.log().line(&heading).map_err(StepError::io("writing", cx.dir_unmade().join("log.txt")))
}

/// Waits for the next attempt and makes room for it; tells whether the run was cancelled meanwhile.
fn wait(cx: &Context, number: u32, attempts_max: u32, error: &str, retry: Retry) -> Result<bool, StepError> {
    let delay = retry.delay(number, fastrand::f64());
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let line = format!("{RULE} attempt {number} failed, the next one follows in {delay_ms} ms: {error}");
    let log = cx.dir_unmade().join("log.txt");
    cx.log().line(&line).and_then(|()| cx.log().open()).map_err(StepError::io("writing", log))?;
    cx.shared().events.send(EventKind::AttemptFailed {
        step: cx.step().clone(),
        attempt: number,
        attempts_max,
        error: error.to_owned(),
        delay_ms,
    });
    if cx.shared().cancel.wait(delay) {
        return Ok(true);
    }
    let kept = put_aside(cx.dir_unmade(), &format!("attempt-{number}"));
    kept.map_err(StepError::io("putting aside what an attempt left in", cx.dir_unmade()))?;
    Ok(false)
}

/// Moves what an attempt left into a folder of its own: the next one must not take an earlier report for its own.
fn put_aside(dir: &Utf8Path, name: &str) -> io::Result<()> {
    let stays = |name: &str| matches!(name, "log.txt" | SECRETS_FOLDER) || name.starts_with("attempt-");
    let mut entries = dir.read_dir_utf8()?.collect::<io::Result<Vec<_>>>()?;
    entries.retain(|entry| !stays(entry.file_name()));
    if entries.is_empty() {
        return Ok(());
    }
    let kept = dir.join(name);
    fs::create_dir_all(&kept)?;
    entries.iter().try_for_each(|entry| fs::rename(entry.path(), kept.join(entry.file_name())))
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
