use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl<'de, T> Deserialize<'de> for Cleared<T> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a clearance cannot be loaded: it holds for the run that gave it"))
    }
}
