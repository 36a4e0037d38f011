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
        Harmless = "EFF-002" {
            summary: "a command reads like one that changes something elsewhere, and the pipeline says that it does not",
            help: "write it so that it cannot be taken for one; until then `changes_nothing` names who answers for it",
            example: "ci.changes_nothing(&copied, Justification::new(…)?)",
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
        None => match (known(node), &node.harmless) {
            (Some(_), Some(_)) | (None, None) => return None,
            (Some(known), None) => format!(
                "step {} runs `{known}`, which changes something elsewhere, and says nothing of it; name the effect, as with `CommandStep::effect`, and hand it a clearance, or say with `Pipeline::changes_nothing` why it has none",
                node.name
            ),
            (None, Some(_)) => format!(
                "step {} runs nothing that is known to change something elsewhere; take `changes_nothing` away",
                node.name
            ),
        },
    };
    Some(GraphProblem { place: node.place.to_string(), message })
}

/// What a step runs that is known to change something elsewhere.
pub(super) fn known(node: &Node) -> Option<String> {
    node.job.explain().iter().find_map(publishes)
}

/// Has the record of a step say that it had its effect without a clearance, or that it is said to have none, and who answers for that.
pub(super) fn tell(node: &Node, end: &mut Result<JobEnd, StepError>) {
    let Ok(JobEnd::Looked(outcome)) = end else { return };
    if let Some(exception) = &node.uncleared {
        let message = format!("{} had its effect without a clearance", node.name);
        outcome.findings.push(Finding::new(EffectCode::Uncleared, message).severity(Severity::Low));
        outcome.exceptions.push(exception.clone());
    }
    if let (Some(exception), Some(known)) = (&node.harmless, known(node)) {
        let message = format!("{} reads like `{known}`, and is said to change nothing elsewhere", node.name);
        outcome.findings.push(Finding::new(EffectCode::Harmless, message).severity(Severity::Low));
        outcome.exceptions.push(exception.clone());
    }
}

/// The steps whose reason for having no clearance, or no effect, is one that the policy does not accept, as it has expired or lasts too
/// long.
pub(super) fn refused(pipeline: &Pipeline, today: Date) -> Vec<GraphProblem> {
    let policy = pipeline.held_to();
    let problems = |node: &Node| {
        let reasons = [(&node.uncleared, "has nothing to clear"), (&node.harmless, "changes nothing")];
        let reasons = reasons.into_iter().filter_map(|(exception, what)| Some((exception.as_ref()?, what)));
        let wrong = reasons.flat_map(|(exception, what)| {
            unsound(exception, None, &policy, today).into_iter().map(move |finding| (what, finding.message))
        });
        let problem = |(what, message): (&str, String)| GraphProblem {
            place: node.place.to_string(),
            message: format!("the reason why {} {what} is not accepted: {message}", node.name),
        };
        wrong.map(problem).collect::<Vec<_>>()
    };
    pipeline.nodes.iter().flat_map(problems).collect()
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
