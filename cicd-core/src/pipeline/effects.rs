use jiff::civil::Date;

use super::Pipeline;
use super::graph::{GraphProblem, Node};
use super::job::JobEnd;
use super::publishing::publishes;
use crate::model::{Finding, Severity, finding_codes};
use crate::policy::unsound;
use crate::step::StepError;

finding_codes! {
    /// What can be said about a step that changes something in the world.
    pub enum EffectCode {
        Uncleared = "EFF-001" {
            summary: "a step has an effect without a clearance, as the pipeline says that there is nothing to clear",
            help: "wire it to a clearance as soon as there is something to clear; until then `nothing_to_clear` names who answers for it",
            example: "ci.nothing_to_clear(&publish, Justification::new(…)?)",
        },
    }
}

/// What is wrong with the effect of a step, if anything is.
pub(super) fn problem(node: &Node) -> Option<GraphProblem> {
    let message = match node.effect.name() {
        Some(_) if node.uncleared.is_some() => return None,
        Some(effect) if !node.cleared_for.is_empty() => {
            let other = node.cleared_for.iter().find(|cleared| **cleared != node.environment)?;
            format!(
                "step {} has its effect ({effect}) in {}, and is given a clearance for {other}; clear it for {} too, or say with `environment` that {other} is where it goes",
                node.name, node.environment, node.environment
            )
        }
        Some(effect) => format!(
            "step {} has an effect ({effect}) and no clearance among its inputs; hand it the handle that `clear` gave, or say why there is nothing to clear with `nothing_to_clear`",
            node.name
        ),
        None => {
            let known = node.job.explain().iter().find_map(publishes)?;
            format!(
                "step {} runs `{known}`, which changes something elsewhere, and says nothing of it; name the effect, as with `CommandStep::effect`, and hand it a clearance",
                node.name
            )
        }
    };
    Some(GraphProblem { place: node.place.to_string(), message })
}

/// Has the record of a step say that it had its effect without a clearance, and who answers for that.
pub(super) fn tell(node: &Node, end: &mut Result<JobEnd, StepError>) {
    let (Some(exception), Ok(JobEnd::Looked(outcome))) = (&node.uncleared, end) else { return };
    let message = format!("{} had its effect without a clearance", node.name);
    outcome.findings.push(Finding::new(EffectCode::Uncleared, message).severity(Severity::Low));
    outcome.exceptions.push(exception.clone());
}

/// The steps whose reason for having no clearance is one that the policy does not accept, as it has expired or lasts too long.
pub(super) fn refused(pipeline: &Pipeline, today: Date) -> Vec<GraphProblem> {
    let policy = pipeline.held_to();
    let problems = |node: &Node| {
        let exception = node.uncleared.iter();
        let wrong = exception.flat_map(|exception| unsound(exception, None, &policy, today));
        let place = node.place.to_string();
        let problem = |finding: Finding| GraphProblem {
            place: place.clone(),
            message: format!("the reason why {} has nothing to clear is not accepted: {}", node.name, finding.message),
        };
        wrong.map(problem).collect::<Vec<_>>()
    };
    pipeline.nodes.iter().flat_map(problems).collect()
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
