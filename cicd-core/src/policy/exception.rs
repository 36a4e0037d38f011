use serde::{Deserialize, Serialize};

use super::Justification;
use crate::model::{Code, ExceptionRef, Finding, Location, Target};

/// Where exceptions of one kind are written down; it decides which codes their own defects get, and what is advised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `.trivyignore` or `.trivyignore.yaml`.
    IgnoreFile,
    /// `ci/exceptions.toml`.
    ExceptionsFile,
    /// A comment in a source file, such as `# noqa: F401`.
    Comment,
    /// A `Justification` given to a method in the pipeline's source.
    Pipeline,
}

/// Where and when an exception is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applies {
    /// To this step, each time: it is a finding when it covers nothing.
    #[default]
    Here,
    /// To this step, for what happens now and then, such as a download that fails.
    AtTimes,
    /// To another step: this one has only read it, and it covers nothing here.
    Elsewhere,
}

impl Applies {
    fn is_here(&self) -> bool {
        *self == Self::Here
    }
}

/// What an exception reaches beyond the finding's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every target.
    Any,
    /// Only these targets. A package without a version reaches every version, a path without a line every line.
    Targets(Vec<Target>),
}

impl Scope {
    /// One target.
    #[must_use]
    pub fn target(target: impl Into<Target>) -> Self {
        Self::Targets(vec![target.into()])
    }

    /// Whether `target` is reached.
    #[must_use]
    pub fn reaches(&self, target: Option<&Target>) -> bool {
        match self {
            Self::Any => true,
            Self::Targets(targets) => {
                target.is_some_and(|target| targets.iter().any(|allowed| allowed.reaches(target)))
            }
        }
    }
}

/// One relaxation of a rule, wherever it is written down: all of them become this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The name of what is allowed: a finding's code or one of its aliases.
    pub id: String,
    /// What it reaches.
    pub scope: Scope,
    /// Why, who and until when.
    pub justification: Justification,
    /// What kind of place it is written down in.
    pub origin: Origin,
    /// The place.
    pub location: Location,
    /// Where and when it is needed. However seldom that is, it is held to the policy.
    #[serde(default, skip_serializing_if = "Applies::is_here")]
    pub applies: Applies,
}

impl Exception {
    /// An exception written down in the source of a pipeline: its place is where the caller of the relaxing method stands,
    /// provided that method is `#[track_caller]` too.
    #[must_use]
    #[track_caller]
    pub fn in_pipeline(id: impl Into<Code>, scope: Scope, justification: Justification) -> Self {
        let caller = std::panic::Location::caller();
        Self {
            id: id.into().to_string(),
            scope,
            justification,
            origin: Origin::Pipeline,
            location: Location::column(caller.file(), caller.line(), caller.column()),
            applies: Applies::Here,
        }
    }

    /// What tells it from any other, whenever it is needed; the place first.
    pub(crate) fn identity(&self) -> impl Ord + use<'_> {
        let Self { id, scope, justification, origin, location, applies: _ } = self;
        (location, id, scope, justification, origin)
    }

    /// The same exception, needed there and then.
    #[must_use]
    pub fn applies(mut self, applies: Applies) -> Self {
        self.applies = applies;
        self
    }

    /// Whether it names `finding` and reaches its target. Its expiry is not looked at.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        finding.is_named(&self.id) && !finding.is_about_an_exception() && self.scope.reaches(finding.target.as_ref())
    }

    /// The form that is shown beside an exempted finding.
    #[must_use]
    pub fn to_ref(&self) -> ExceptionRef {
        let Justification { reason, owner, expires, environments } = self.justification.clone();
        ExceptionRef { location: self.location.clone(), reason, owner, expires, environments }
    }
}
