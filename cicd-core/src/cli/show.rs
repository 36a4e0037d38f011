use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

use super::args::PlanFormat;
use crate::pipeline::{Pipeline, Plan};
use crate::process::Redactor;

pub(super) fn plan(pipeline: &Pipeline, format: PlanFormat) -> Result<String, serde_json::Error> {
    let plan = Plan::of(pipeline);
    Ok(match format {
        PlanFormat::Text => plan.to_string(),
        PlanFormat::Dot => plan.to_dot(),
        PlanFormat::Mermaid => plan.to_mermaid(),
        PlanFormat::Json => serde_json::to_string_pretty(&plan)? + "\n",
    })
}

/// What knows the secrets that the environment holds: nothing else is asked before a run.
pub(super) fn redactor(pipeline: &Pipeline, variables: &BTreeMap<OsString, OsString>) -> Redactor {
    let redactor = Redactor::new();
    for (_, source) in pipeline.secrets() {
        let value = variables.get(OsStr::new(source.name())).cloned().map(OsString::into_encoded_bytes);
        // What is no secret, or cannot be one, is told by the run; here nothing is to be shown too much.
        if let Some(Ok(secret)) = value.map(|value| source.read(value)) {
            redactor.learn(&secret);
        }
    }
    redactor
}

pub(super) fn explain(pipeline: &Pipeline, left_out: &[Option<String>]) -> String {
    let mut text = String::new();
    let planned = Plan::of(pipeline).steps;
    for (((name, invocations), left_out), planned) in pipeline.explain().into_iter().zip(left_out).zip(planned) {
        let attempts = planned.attempts.map_or_else(String::new, |attempts| format!(" ({attempts})"));
        match left_out {
            Some(reason) => {
                let _ = writeln!(text, "# {name}: {reason}");
                continue;
            }
            None if invocations.is_empty() => {
                let _ = writeln!(text, "# {name}: runs no command{attempts}");
            }
            None => {
                let _ = writeln!(text, "# {name}{attempts}");
            }
        }
        for invocation in invocations {
            match invocation.working_dir() {
                Some(dir) => {
                    let _ = writeln!(text, "(cd {dir} && {invocation})");
                }
                None => {
                    let _ = writeln!(text, "{invocation}");
                }
            }
        }
    }
    text
}
