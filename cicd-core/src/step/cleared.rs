use serde::Serialize;

use super::{Artifact, Kind, LoadError, Seal};
use crate::model::{StepName, Subject};

/// Something that every gate named in the pipeline has looked at and let pass, in this run.
///
/// Only `Pipeline::clear` makes one. It is written to the run folder for the record, but it
/// cannot be loaded from there: a clearance holds for the run that gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cleared<T> {
    value: T,
    gates: Vec<GateRecord>,
}

/// One gate of a clearance: which step, and what it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateRecord {
    /// The step.
    pub step: StepName,
    /// What it looked at.
    pub subject: Subject,
}

impl<T> Cleared<T> {
    pub(crate) fn grant(value: T, gates: Vec<GateRecord>) -> Self {
        Self { value, gates }
    }

    /// What was cleared.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The gates that let it pass.
    #[must_use]
    pub fn gates(&self) -> &[GateRecord] {
        &self.gates
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
