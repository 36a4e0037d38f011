use std::sync::Arc;

use serde::Serialize;

use super::{Artifact, Context, Kind, LoadError, Seal, StepError};
use crate::model::{StepName, Subject};

/// Something that every gate named in the pipeline has looked at and let pass, in this run.
///
/// Only `Pipeline::clear` makes one, and only the library's own steps hand one on, as a push does with what it pushed. It is
/// written to the run folder for the record, but it cannot be loaded from there: a clearance holds for the run that gave it, and
/// shows what was cleared to steps of that run alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cleared<T> {
    value: T,
    gates: Vec<GateRecord>,
    environment: String,
    #[serde(skip)]
    run: RunToken,
}

/// One run of this process: no two have the same, whatever their names are.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunToken(Arc<()>);

impl PartialEq for RunToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RunToken {}

/// One gate of a clearance: which step, and what it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GateRecord {
    /// The step.
    pub step: StepName,
    /// What it looked at.
    pub subject: Subject,
}

impl<T> Cleared<T> {
    pub(crate) fn grant(cx: &Context, value: T, gates: Vec<GateRecord>, environment: String) -> Self {
        Self { value, gates, environment, run: cx.shared().token.clone() }
    }

    /// What was cleared, shown to a step of the run that cleared it.
    ///
    /// # Errors
    /// When this clearance is one of another run, such as of another pipeline of the same program.
    pub fn get(&self, cx: &Context) -> Result<&T, StepError> {
        self.check(cx)?;
        Ok(&self.value)
    }

    /// The environment that it is cleared for, such as `production`.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The gates that let it pass.
    #[must_use]
    pub fn gates(&self) -> &[GateRecord] {
        &self.gates
    }

    /// The same clearance for what has become of the thing, such as an image in a registry.
    pub(crate) fn carry<U>(&self, value: U) -> Cleared<U> {
        Cleared { value, gates: self.gates.clone(), environment: self.environment.clone(), run: self.run.clone() }
    }

    fn check(&self, cx: &Context) -> Result<(), StepError> {
        if self.run == cx.shared().token {
            return Ok(());
        }
        Err(StepError::not_looked(
            "this clearance was given by another run",
            "wire the step to the `clear` of its own pipeline",
        ))
    }
}

/// What was cleared is an output itself; a clearance of anything else is none.
impl<T: Artifact + Serialize> Artifact for Cleared<T> {
    fn kind(_: &Seal) -> Kind {
        Kind::Clearance
    }

    fn save(&self, _: &Seal) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn load(_: &str, _: &Seal) -> Result<Self, LoadError> {
        Err(LoadError::Never)
    }
}

/// What a command with an effect is given: a clearance of anything, or nothing, which the pipeline has to justify.
#[derive(Debug, Clone, Default)]
pub struct Permit(Option<RunToken>);

impl From<()> for Permit {
    fn from((): ()) -> Self {
        Self(None)
    }
}

impl<T> From<Cleared<T>> for Permit {
    fn from(cleared: Cleared<T>) -> Self {
        Self(Some(cleared.run))
    }
}

impl Permit {
    /// Whether it is of this run.
    pub(crate) fn check(&self, cx: &Context) -> Result<(), StepError> {
        let Some(run) = &self.0 else { return Ok(()) };
        Cleared { value: (), gates: Vec::new(), environment: String::new(), run: run.clone() }.check(cx)
    }
}
