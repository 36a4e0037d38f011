use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Attempt, Facts, Finding, RunId, Status, StepName};
use crate::policy::Exception;
use crate::step::ReliedOn;

/// The version of the shape of `summary.json`. A field is only ever added; anything else raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// `summary.json`: what a run came to, for people's scripts. This type is the schema's only definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The run's id, which is its folder's name too.
    pub run: RunId,
    /// `passed`, `failed`, `error` or `cancelled`.
    pub status: Status,
    /// The exit code of the process: 0 passed, 1 failed, 2 usage, 3 error, 130 or 143 interrupted.
    pub exit_code: u8,
    /// Why there is no verdict, where the run did not give one itself: what ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether every step was run: nothing skipped by selection, so that the verdict is on the whole pipeline.
    pub complete: bool,
    /// The full commit id of `HEAD`; absent outside a git checkout.
    pub commit: Option<String>,
    /// Whether the tree differed from that commit.
    pub dirty: Option<bool>,
    /// A hash of every file as it was, committed or not; absent outside a git checkout.
    pub tree: Option<String>,
    /// A hash of the pipeline's graph, tools, command lines and every setting of every step.
    pub definition: String,
    /// The sha256 of the program that ran it; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// When the run began, in UTC.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Every step, in the order of the pipeline.
    pub steps: Vec<StepReport>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Its name.
    pub name: StepName,
    /// How it ended.
    pub status: Status,
    /// How long it took, in milliseconds; 0 when it was not started.
    pub duration_ms: u64,
    /// Why, where the status needs a reason: the error, what blocked it, why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The earlier run that it was loaded from instead of being run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_from: Option<RunId>,
    /// The sha256 of `output.json`, or of what it would hold for a step without an output, which leaves no such file. Absent where
    /// there is none to load: the step was not green, or a secret was taken out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_sha256: Option<String>,
    /// What it relied on beside the files of the repository, where it was green.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relied_on: Option<ReliedOn>,
    /// Every attempt, where there was more than one: a step that is `flaky` has at least one with an error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What it saw.
    pub findings: Vec<Finding>,
    /// The exceptions that were written down for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionReport>,
    /// What it tells.
    pub facts: Facts,
    /// Reports worth keeping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Utf8PathBuf>,
}

/// An exception and what it came to in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionReport {
    /// The exception.
    pub exception: Exception,
    /// How many findings it named.
    pub covers: usize,
    /// Whether the step came to no verdict, so that nobody can say whether it is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undetermined: bool,
}

impl StepReport {
    pub(super) fn not_run(name: &StepName, status: Status, reason: impl Into<String>) -> Self {
        Self {
            name: name.clone(),
            status,
            duration_ms: 0,
            reason: Some(reason.into()),
            findings: Vec::new(),
            exceptions: Vec::new(),
            facts: Facts::new(),
            attachments: Vec::new(),
            loaded_from: None,
            output_sha256: None,
            relied_on: None,
            attempts: Vec::new(),
        }
    }
}
