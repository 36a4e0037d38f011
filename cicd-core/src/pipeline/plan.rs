use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::Pipeline;
use super::attempts::Granted;
use super::graph::Node;
use crate::model::StepName;
use crate::policy::Justification;
use crate::process::{Invocation, SecretSource};

/// What a pipeline would do, as a value: its steps, what each needs, claims and changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// Every step, in the order it was added.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Its name.
    pub name: StepName,
    /// The steps it needs.
    pub needs: Vec<StepName>,
    /// What it needs for itself while it runs.
    pub claims: String,
    /// What it changes, by the name that `--effect` takes.
    pub effect: Option<&'static str>,
    /// The tools it needs, with the versions they may have.
    pub tools: Vec<String>,
    /// How often it may be tried, where that is more than once, and who answers for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<String>,
}

fn attempts(node: &Node) -> Option<String> {
    let own = Some(node.job.retry()).filter(|retry| retry.attempts_max() > 1);
    let own = own.map(|retry| format!("{retry} when the network fails it"));
    let granted = node.granted.as_ref().map(|Granted { retry, exception }| {
        let Justification { reason, owner, expires, .. } = &exception.justification;
        format!("{retry} until {expires} by {owner}: {reason}")
    });
    let all: Vec<String> = own.into_iter().chain(granted).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

impl Plan {
    /// The plan of a pipeline.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        let steps = pipeline
            .nodes
            .iter()
            .map(|node| PlannedStep {
                name: node.name.clone(),
                needs: node.needs.iter().map(|&need| pipeline.nodes[need].name.clone()).collect(),
                claims: node.job.claims().to_string(),
                effect: node.effect.name(),
                tools: node.job.tools().iter().map(|tool| format!("{} {}", tool.name, tool.version)).collect(),
                attempts: attempts(node),
            })
            .collect();
        Self { pipeline: pipeline.name().to_owned(), steps }
    }

    /// The graph in Graphviz's language.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n", self.pipeline.replace('"', "'"));
        for step in &self.steps {
            let _ = writeln!(text, "  \"{}\";", step.name);
            for need in &step.needs {
                let _ = writeln!(text, "  \"{need}\" -> \"{}\";", step.name);
            }
        }
        text + "}\n"
    }

    /// The graph in Mermaid's language.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for step in &self.steps {
            let _ = writeln!(text, "  {}[{}]", step.name, step.name);
            for need in &step.needs {
                let _ = writeln!(text, "  {need} --> {}", step.name);
            }
        }
        text
    }
}

/// The graph as text: one line a step.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.name.as_str().len()).max().unwrap_or(0);
        for step in &self.steps {
            let needs: Vec<_> = step.needs.iter().map(StepName::as_str).collect();
            let needs = if needs.is_empty() { String::new() } else { format!("needs {}", needs.join(", ")) };
            let claims = if step.claims.is_empty() { String::new() } else { format!("alone with {}", step.claims) };
            let effect = step.effect.map_or_else(String::new, |name| format!("only with --effect {name}"));
            let notes = [needs, claims, effect].into_iter().chain(step.attempts.clone());
            let notes: Vec<_> = notes.filter(|note| !note.is_empty()).collect();
            writeln!(f, "{}", format!("{:width$}  {}", step.name, notes.join("; ")).trim_end())?;
        }
        Ok(())
    }
}

impl Pipeline {
    /// The command lines of every step, with `<placeholders>` for what is only known in a run.
    #[must_use]
    pub fn explain(&self) -> Vec<(StepName, Vec<Invocation>)> {
        self.nodes.iter().map(|node| (node.name.clone(), node.job.explain().to_vec())).collect()
    }

    /// The secrets that the steps declare, each with the step that needs it.
    #[must_use]
    pub fn secrets(&self) -> Vec<(StepName, SecretSource)> {
        let nodes = self.nodes.iter();
        nodes.flat_map(|node| node.job.secrets().iter().map(|source| (node.name.clone(), source.clone()))).collect()
    }

    /// The programs that command lines of steps name, by name or by an absolute path, and that no step has in its `tools()`, each with the
    /// step: any version will do. A relative path is one that is only known in a run.
    #[must_use]
    pub fn programs(&self) -> Vec<(StepName, String)> {
        let mut all = Vec::new();
        for node in &self.nodes {
            let tools: BTreeSet<String> = node.job.tools().iter().map(|tool| tool.name.clone()).collect();
            let named = node.job.explain();
            let is_known = |one: &&Invocation| one.tool_name().is_some() || one.program_name().starts_with('/');
            let named: BTreeSet<&str> = named.iter().filter(is_known).map(Invocation::program_name).collect();
            all.extend(
                named
                    .into_iter()
                    .filter(|name| !tools.contains(*name))
                    .map(|name| (node.name.clone(), name.to_owned())),
            );
        }
        all
    }

    /// The tools that the steps need, each with the steps that need it.
    #[must_use]
    pub fn tools(&self) -> Vec<(StepName, crate::process::ToolRequirement)> {
        self.nodes
            .iter()
            .flat_map(|node| node.job.tools().iter().map(|tool| (node.name.clone(), tool.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::step::{Outcome, step_fn};

    #[test]
    fn the_graph_is_shown_as_text_and_for_two_renderers() {
        let mut ci = Pipeline::new("shown");
        let one = ci.add("compile", step_fn(|_, ()| Ok(Outcome::of(1_u32))), ());
        ci.add("scan", step_fn(|_, _: u32| Ok(Outcome::of(()))), &one);
        let plan = Plan::of(&ci);
        expect![[r#"
            compile
            scan     needs compile
        "#]]
        .assert_eq(&plan.to_string());
        expect![[r#"
            digraph "shown" {
              rankdir=LR;
              "compile";
              "scan";
              "compile" -> "scan";
            }
        "#]]
        .assert_eq(&plan.to_dot());
        expect![[r#"
            flowchart LR
              compile[compile]
              scan[scan]
              compile --> scan
        "#]]
        .assert_eq(&plan.to_mermaid());
    }
}
