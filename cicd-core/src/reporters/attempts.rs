use super::text::duration;
use crate::model::{EventKind, Status};
use crate::pipeline::StepReport;

/// The line that says why a step is tried again.
pub(super) fn attempt_failed(kind: &EventKind) -> Option<String> {
    let EventKind::AttemptFailed { step, attempt, attempts_max, error, delay_ms } = kind else { return None };
    let (error, wait) = (first_line(error), duration(*delay_ms));
    Some(format!(
        "retry     {step}: attempt {attempt} of {attempts_max} in {wait}, as the one before it ended so: {error}",
        attempt = attempt + 1
    ))
}

/// What a reader has to know of a step that is only green because it was tried again.
pub(super) fn flaky(step: &StepReport) -> Option<String> {
    if step.status != Status::Flaky {
        return None;
    }
    let errors = step.attempts.iter().zip(1..).filter_map(|(attempt, number)| {
        attempt.error.as_deref().map(|error| format!("attempt {number}: {}", first_line(error)))
    });
    let errors: Vec<String> = errors.collect();
    Some(format!("passed on attempt {}; {}", step.attempts.len(), errors.join("; ")))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("no reason given").trim_end_matches(':')
}
