use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Code, Environments, FindingCode, Location, Severity, Target};

/// What a finding does to the step that reports it, unless a valid exception covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The step passes and the finding is shown.
    Warn,
    /// The step passes, but nothing that follows from it is cleared for an effect.
    BlockClearance,
    /// The step fails.
    Deny,
}

/// How the codes of what is wrong with exceptions begin.
const ABOUT_EXCEPTIONS: [&str; 2] = ["EXC-", "IGN-"];

/// One thing a step saw. Findings are data: a step reports them, `policy::evaluate` judges them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of finding this is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What it does to the verdict.
    pub level: Level,
    /// What was seen, in one line.
    pub message: String,
    /// Where it was seen.
    pub location: Option<Location>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Other names of the same flaw (`GHSA-…`, `PYSEC-…`), each as good as `code` in an exception.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What is affected, such as the package `pkg:pypi/requests@2.30.0`; the scope of an exception is matched against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The versions without the flaw, such as `2.3.2 or 2.2.5`; nothing where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// The line of source at `location`, without the secrets of the run; filled in by the pipeline for findings that fail a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
    /// Whether the line at `location` holds a secret, and so must not be shown.
    #[serde(skip)]
    pub is_secret: bool,
    /// The exception that allows this finding, filled in by `policy::evaluate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionRef>,
}

impl Finding {
    /// A finding that fails the step, rated `high`, with the help text of its code.
    #[must_use]
    pub fn new(code: impl FindingCode, message: impl Into<String>) -> Self {
        Self::with_code(code.code(), message).help(code.info().help)
    }

    /// A finding of a tool's rule or of an advisory.
    #[must_use]
    pub fn with_code(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::High,
            level: Level::Deny,
            message: message.into(),
            location: None,
            help: None,
            aliases: Vec::new(),
            target: None,
            fixed_in: None,
            source_line: None,
            is_secret: false,
            exception: None,
        }
    }

    /// The same finding at a place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same finding with another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The same finding with another effect on the verdict.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The same finding with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same finding with what is affected.
    #[must_use]
    pub fn target(mut self, target: impl Into<Target>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// The same finding of a secret: the line at its place is never shown.
    #[must_use]
    pub fn of_a_secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// Whether this says what is wrong with an exception, which no exception allows.
    #[must_use]
    pub fn is_about_an_exception(&self) -> bool {
        ABOUT_EXCEPTIONS.iter().any(|prefix| self.code.as_str().starts_with(prefix))
    }

    /// Whether `id` is the code or another name of this finding.
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        self.code.as_str() == id || self.aliases.iter().any(|alias| alias == id)
    }
}

/// The exception that allows a finding, as the report shows it beside the finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionRef {
    /// Where the exception is written down.
    pub location: Location,
    /// Why the finding is allowed.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The first day (UTC) on which it no longer holds.
    pub expires: Date,
    /// The environments that it is limited to.
    #[serde(default, skip_serializing_if = "Environments::is_every")]
    pub environments: Environments,
}
