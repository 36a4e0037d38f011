//! What a run does with the Docker engine itself, beside what its steps do.

use std::sync::Arc;

use super::folder::area_path;
use super::graph::Node;
use super::run::context;
use super::{Outside, Pipeline};
use crate::docker::{Leftover, docker_tool, remove_all, remove_own};
use crate::model::{EventKind, RunId, StepName};
use crate::process::Redactor;
use crate::step::{Context, EventSender, RunContext, StepError, Workspace};

/// Under this name stand the log and what is told of the clean-up before the first step.
const RESET: &str = "force-reset";
/// The same for the clean-up after a cancelled run.
const PUT_AWAY: &str = "put-away";

/// Removes everything that runs have left in the engine or still use.
pub(super) fn force_reset(context: &Arc<RunContext>) -> Result<Vec<Leftover>, StepError> {
    let cx = Context::for_step(Arc::clone(context), name(RESET)?);
    cx.require(&docker_tool())?;
    let removed = remove_all(&cx);
    // What was asked for by hand is on record, whether it worked or not.
    cx.log().open().map_err(StepError::io("writing", cx.dir_unmade()))?;
    removed
}

/// Says what [`force_reset`] has removed.
pub(super) fn tell(context: &RunContext, removed: &[Leftover]) -> Result<(), StepError> {
    let step = name(RESET)?;
    let lines: Vec<String> = match removed {
        [] => vec!["nothing carries the label of a run".to_owned()],
        all => all.iter().map(|it| format!("removed {it}")).collect(),
    };
    for message in lines {
        context.events.send(EventKind::Progress { step: step.clone(), message });
    }
    Ok(())
}

/// Removes the containers and networks that steps of a cancelled run could not: one that was stopped while the engine made a
/// container does not know of it. What stays is told, and left to the next run.
pub(super) fn put_away(context: &Arc<RunContext>, pipeline: &Pipeline) {
    let docker = docker_tool();
    if !pipeline.nodes.iter().any(wants_docker) {
        return;
    }
    let Ok(step) = name(PUT_AWAY) else { return };
    let cx = Context::for_step(Arc::clone(context), step);
    // Where no step has found Docker, none has started anything with it.
    if cx.require(&docker).is_ok()
        && let Err(error) = remove_own(&cx)
    {
        cx.progress(format!("the next run has to look for containers of this one: {error}"));
    }
}

/// Whether a step does.
pub(super) fn wants_docker(node: &Node) -> bool {
    let docker = docker_tool();
    node.job.tools().iter().any(|tool| tool.name == docker.name)
}

/// The same as [`put_away`] for a run whose process is gone, by whoever watched it. It says what stays.
pub(crate) fn put_away_for(workspace: &Workspace, area: &str, id: &RunId, outside: Outside) -> Result<(), StepError> {
    let dir = area_path(workspace, area).join("runs").join(id.as_str());
    let context = context(workspace, id.clone(), &dir, outside, Redactor::new(), EventSender::nowhere());
    let cx = Context::for_step(Arc::new(context), name(PUT_AWAY)?);
    cx.require(&docker_tool())?;
    remove_own(&cx)
}

fn name(name: &str) -> Result<StepName, StepError> {
    StepName::new(name).map_err(|error| StepError::not_looked(error.to_string(), "report this as a bug"))
}
