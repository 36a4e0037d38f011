use std::fmt;

use super::LeftoverKind;
use crate::step::{Context, StepError};

/// Something in the engine that carries the label of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// What the engine removes it by: the id of a container or network, the name of a volume, one tag of an image or the id of one
    /// without a tag.
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// Whether it is a container that runs.
    pub running: bool,
    /// The run that made it.
    pub run: String,
    /// Where that run's process is, see [`owner`](super::owner); empty where the label is missing.
    pub owner: String,
}

/// Everything in the engine that carries the label of some run.
///
/// An image hands its labels to the containers that are started from it and to the images that are built on it. That is why no
/// image that outlives its run carries the label: what a person starts from it would be found here.
///
/// # Errors
/// When the engine does not answer, or not in the way that was asked for.
pub fn labelled(cx: &Context) -> Result<Vec<Leftover>, StepError> {
    let mut all = Vec::new();
    for kind in LeftoverKind::IN_ORDER_OF_REMOVAL {
        all.extend(kind.list(cx)?);
    }
    Ok(all)
}

/// As in `the container web (run 20261121T093015.123Z-4711)`.
impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {} (run {})", self.kind.as_str(), self.name, self.run)
    }
}
