use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attempt, Facts, Finding, Status, StepName};

/// One line of `events.ndjson`: something that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in UTC.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The run began.
    RunStarted {
        /// The run's id.
        run: String,
        /// The pipeline's name.
        pipeline: String,
        /// Every step that will be judged, in the order it was added.
        steps: Vec<StepName>,
    },
    /// A step began.
    StepStarted {
        /// The step.
        step: StepName,
    },
    /// A process was started.
    ProcessStarted {
        /// The step on whose behalf it runs.
        step: StepName,
        /// The command line, with secrets redacted.
        command: String,
    },
    /// A line of output, redacted; only sent while live output is on.
    Output {
        /// The step that wrote it.
        step: StepName,
        /// The line, without its end; invalid UTF-8 escaped.
        line: String,
    },
    /// A step says what it is doing.
    Progress {
        /// The step.
        step: StepName,
        /// What it is doing, in one line.
        message: String,
    },
    /// A step could not decide, and is tried again.
    AttemptFailed {
        /// The step.
        step: StepName,
        /// Which attempt it was, from 1.
        attempt: u32,
        /// How many there may be.
        attempts_max: u32,
        /// Why it could not decide.
        error: String,
        /// How long is waited before the next one, in milliseconds.
        delay_ms: u64,
    },
    /// A step ended.
    StepFinished {
        /// The step.
        step: StepName,
        /// How.
        status: Status,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// Why, where the status needs a reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What it saw.
        findings: Vec<Finding>,
        /// What it tells.
        facts: Facts,
        /// Every attempt, where there was more than one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attempts: Vec<Attempt>,
    },
    /// The run ended.
    RunFinished {
        /// The exit code of the process.
        exit_code: u8,
        /// How long the run took, in milliseconds.
        duration_ms: u64,
    },
}
