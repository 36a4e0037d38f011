use jiff::civil::Date;

use super::Pipeline;
use super::graph::{GraphProblem, Node};
use super::job::JobEnd;
use crate::model::{Finding, Severity, finding_codes};
use crate::policy::unsound;
use crate::process::Invocation;
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

/// Commands that change something elsewhere, by their program and the words after it. A command cannot be looked into, and neither
/// can a closure; these are known by their names, so that they are not run on every `ci` by mistake.
const KNOWN: &[(&str, &[&[&str]])] = &[
    (
        "docker",
        &[
            &["push"],
            &["image", "push"],
            &["manifest", "push"],
            &["compose", "push"],
            &["stack", "deploy"],
            &["buildx", "imagetools", "create"],
            &["buildx", "build", "--push"],
            &["build", "--push"],
        ],
    ),
    ("podman", &[&["push"], &["image", "push"], &["manifest", "push"]]),
    ("buildah", &[&["push"]]),
    ("skopeo", &[&["copy"], &["sync"], &["delete"]]),
    ("crane", &[&["push"], &["copy"], &["tag"], &["delete"]]),
    ("oras", &[&["push"], &["copy"]]),
    ("cosign", &[&["sign"], &["attest"]]),
    ("kubectl", &[&["apply"], &["create"], &["delete"], &["patch"], &["replace"], &["rollout"], &["scale"], &["set"]]),
    ("helm", &[&["install"], &["upgrade"], &["uninstall"], &["rollback"], &["push"]]),
    ("terraform", &[&["apply"], &["destroy"]]),
    ("tofu", &[&["apply"], &["destroy"]]),
    ("git", &[&["push"]]),
    ("gh", &[&["release", "create"], &["release", "upload"], &["pr", "merge"]]),
    ("aws", &[&["s3", "cp"], &["s3", "mv"], &["s3", "rm"], &["s3", "sync"], &["cloudformation", "deploy"]]),
    ("gcloud", &[&["app", "deploy"], &["functions", "deploy"], &["run", "deploy"]]),
    ("cargo", &[&["publish"], &["yank"]]),
    ("npm", &[&["publish"]]),
    ("pnpm", &[&["publish"]]),
    ("yarn", &[&["publish"], &["npm", "publish"]]),
    ("uv", &[&["publish"]]),
    ("poetry", &[&["publish"]]),
    ("twine", &[&["upload"]]),
    ("gem", &[&["push"]]),
    ("dotnet", &[&["nuget", "push"]]),
    ("mvn", &[&["deploy"]]),
];

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

/// The words of a command line that are known to change something elsewhere, also of one that stands in an argument of a shell.
fn publishes(invocation: &Invocation) -> Option<String> {
    let words: Vec<String> = std::iter::once(invocation.program_name().to_owned())
        .chain(invocation.arguments().iter().map(|argument| argument.to_string_lossy().into_owned()))
        .flat_map(|word| shlex::split(&word).filter(|parts| parts.len() > 1).unwrap_or_else(|| vec![word]))
        .collect();
    words.iter().enumerate().find_map(|(index, word)| {
        let program = word.rsplit('/').next()?.trim_start_matches(['(', '`', '{']);
        let (name, actions) = KNOWN.iter().find(|(name, _)| *name == program)?;
        actions
            .iter()
            .find(|action| does(&words[index + 1..], action))
            .map(|action| format!("{name} {}", action.join(" ")))
    })
}

/// Whether the words after a program tell it to do this, whatever options stand between them.
fn does(words: &[String], action: &[&str]) -> bool {
    let ends = |word: &&String| !matches!(word.as_str(), ";" | "&&" | "||" | "|" | "&");
    let mine: Vec<&str> =
        words.iter().take_while(ends).map(|word| word.trim_end_matches([';', ')', '`', '}'])).collect();
    let (options, wanted): (Vec<&str>, Vec<&str>) = action.iter().partition(|word| word.starts_with('-'));
    let plain: Vec<&str> = mine.iter().copied().filter(|word| !word.starts_with('-')).collect();
    // Where options come first, the word behind each may be its value.
    let (mut before_max, mut after_option) = (0, false);
    for word in &mine {
        match (word.starts_with('-'), after_option) {
            (true, _) => after_option = true,
            (false, true) => (before_max, after_option) = (before_max + 1, false),
            (false, false) => break,
        }
    }
    let said = (0..=before_max).any(|before| plain.get(before..).is_some_and(|rest| rest.starts_with(&wanted)));
    said && options.iter().all(|option| mine.iter().any(|word| word.starts_with(option)))
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
