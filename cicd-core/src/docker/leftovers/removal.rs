use std::time::Duration;

use super::{Leftover, LeftoverKind, labelled};
use crate::process::{Captured, Invocation};
use crate::step::{Context, StepError};

/// Stopping and removing many containers takes the engine a while.
const REMOVE_DEADLINE: Duration = Duration::from_secs(60);
/// CI systems kill everything some seconds after they cancel a run.
const CANCELLED_DEADLINE: Duration = Duration::from_secs(1);

/// What became of left-overs that were to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removal {
    /// What is gone.
    pub removed: Vec<Leftover>,
    /// What is still there.
    pub stayed: Vec<Leftover>,
    /// What the engine said where it refused.
    pub refused: Vec<String>,
}

/// Removes left-overs. What counts is not what the engine says to it but what it still has afterwards.
///
/// # Errors
/// When the engine cannot be asked.
pub fn remove(cx: &Context, leftovers: Vec<Leftover>) -> Result<Removal, StepError> {
    if leftovers.is_empty() {
        return Ok(Removal::default());
    }
    let refused = ask(&leftovers, |call| cx.run(&call.deadline(REMOVE_DEADLINE)))?;
    let left = labelled(cx)?;
    let (stayed, removed) =
        leftovers.into_iter().partition(|it| left.iter().any(|other| (other.kind, &other.id) == (it.kind, &it.id)));
    Ok(Removal { removed, stayed, refused })
}

/// Removes everything that carries the label of any run, also of one that goes on, in this checkout or another, and what nobody
/// knows the run of. Nothing else is touched.
///
/// # Errors
/// When the engine cannot be asked, or something stays.
pub(crate) fn remove_all(cx: &Context) -> Result<Vec<Leftover>, StepError> {
    let Removal { removed, stayed, refused } = remove(cx, labelled(cx)?)?;
    if stayed.is_empty() {
        return Ok(removed);
    }
    let names: Vec<_> = stayed.iter().map(Leftover::to_string).collect();
    Err(StepError::not_looked(
        format!("{} cannot be removed: {}", names.join(", "), refused.join(" ").trim()),
        "remove what uses it first, by hand",
    ))
}

/// Removes what a cancelled run still has: steps put away what they know of, but one that was stopped while the engine made
/// something does not know its name.
///
/// # Errors
/// When the engine does not answer in time.
pub(crate) fn remove_own(cx: &Context) -> Result<(), StepError> {
    let mut own = Vec::new();
    for kind in [LeftoverKind::Container, LeftoverKind::Network] {
        own.extend(kind.list_own(cx, CANCELLED_DEADLINE)?);
    }
    ask(&own, |call| cx.clean_up(&call.deadline(CANCELLED_DEADLINE))).map(drop)
}

/// Asks the engine to remove them, and gives what it said where it refused.
fn ask(
    leftovers: &[Leftover],
    run: impl Fn(Invocation) -> Result<Captured, StepError>,
) -> Result<Vec<String>, StepError> {
    let mut refused = Vec::new();
    for kind in LeftoverKind::IN_ORDER_OF_REMOVAL {
        let ids: Vec<_> = leftovers.iter().filter(|it| it.kind == kind).map(|it| it.id.as_str()).collect();
        if !ids.is_empty() {
            let captured = run(kind.removal().args(ids))?;
            if !captured.success() {
                refused.push(captured.stderr_text());
            }
        }
    }
    Ok(refused)
}
