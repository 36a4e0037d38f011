use std::fmt::Write as _;

use super::args::PlanFormat;
use crate::pipeline::{Pipeline, Plan};

pub(super) fn plan(pipeline: &Pipeline, format: PlanFormat) -> Result<String, serde_json::Error> {
    let plan = Plan::of(pipeline);
    Ok(match format {
        PlanFormat::Text => plan.to_string(),
        PlanFormat::Dot => plan.to_dot(),
        PlanFormat::Mermaid => plan.to_mermaid(),
        PlanFormat::Json => serde_json::to_string_pretty(&plan)? + "\n",
    })
}

pub(super) fn explain(pipeline: &Pipeline, left_out: &[Option<String>]) -> String {
    let mut text = String::new();
    for ((name, invocations), left_out) in pipeline.explain().into_iter().zip(left_out) {
        match left_out {
            Some(reason) => {
                let _ = writeln!(text, "# {name}: {reason}");
                continue;
            }
            None if invocations.is_empty() => {
                let _ = writeln!(text, "# {name}: runs no command");
            }
            None => {
                let _ = writeln!(text, "# {name}");
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
