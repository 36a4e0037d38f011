use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write as _};

use super::args::RunArgs;
use super::{Output, show, signals};
use crate::model::ExitStatus;
use crate::pipeline::{Observer, Outside, Pipeline, RunError, Summary, abandon, run};
use crate::reporters::{Lines, Live, Masks, annotations, html, junit, report, sarif, step_summary};
use crate::setup;
use crate::step::Workspace;

/// The area of every pipeline but `ci`, so that `target/ci/latest` is always about the main one.
const ELSEWHERE: &str = "ci-other";

/// Runs a pipeline and shows it; `name` is the command that the person typed, such as `ci`.
pub(super) fn execute(
    pipeline: &Pipeline,
    workspace: &Workspace,
    outside: Outside,
    args: &RunArgs,
    name: &'static str,
) -> ExitStatus {
    let out = Output;
    let area = if name == "ci" { name } else { ELSEWHERE };
    let options = args.options(area);
    if args.explain {
        return match pipeline.check().map_err(RunError::from).and_then(|()| Ok(options.selection.resolve(pipeline)?)) {
            Ok(left_out) => {
                let redactor = show::redactor(pipeline, &outside.environment.variables);
                out.say(&redactor.redact(&show::explain(pipeline, &left_out)));
                ExitStatus::Green
            }
            Err(error) => usage(&error),
        };
    }
    let mut outside = outside;
    outside.environment.live_output = args.verbose;
    let variables = outside.environment.variables.clone();
    let abandoned = workspace.clone();
    if let Err(error) = signals::listen(outside.cancel.clone(), move |exit| abandon(&abandoned, area, exit)) {
        out.complain(&format!("error: signals cannot be handled: {error}"));
        return ExitStatus::Error;
    }
    let cancel = outside.cancel.clone();
    let mut observer: Box<dyn Observer> =
        if out.is_terminal() { Box::new(Live::new()) } else { Box::new(Lines::new(io::stdout())) };
    let on_github = variables.contains_key(OsStr::new("GITHUB_ACTIONS"));
    if on_github {
        observer = Box::new(Masks::new(io::stdout(), observer));
    }
    let summary = match run(pipeline, workspace, outside, &options, observer.as_mut()) {
        Ok(summary) => summary,
        Err(error @ (RunError::Graph(_) | RunError::Selection(_) | RunError::Resume(_))) => return usage(&error),
        Err(RunError::Unrecorded { summary, source }) => {
            out.say(&report(&summary, "(not complete)", &format!("cargo xtask {name}"), out.columns()));
            out.complain(&format!("error: the run's record is not complete: {source}"));
            return match exit_of(&summary) {
                interrupted @ ExitStatus::Interrupted(_) => interrupted,
                _ => ExitStatus::Error,
            };
        }
        Err(error) => {
            out.complain(&format!("error: {error}"));
            return match cancel.reason() {
                Some(crate::process::CancelReason::Signal(signal)) => ExitStatus::Interrupted(signal),
                _ => ExitStatus::Error,
            };
        }
    };
    let folder = workspace.path("target").join(area).join("runs").join(summary.run.as_str());
    let shown = folder.strip_prefix(workspace.root()).unwrap_or(&folder);
    out.say(&report(&summary, shown.as_str(), &format!("cargo xtask {name}"), out.columns()));
    let told = keep_tools(workspace, &variables, &folder).and_then(|()| {
        tell_others(
            &summary,
            pipeline,
            &folder,
            on_github,
            variables.get(OsStr::new("GITHUB_STEP_SUMMARY")).map(AsRef::as_ref),
        )
    });
    if let Err(error) = told {
        out.complain(&format!("warning: the verdict stands, but a report could not be written: {error}"));
    }
    exit_of(&summary)
}

fn usage(error: &RunError) -> ExitStatus {
    Output.complain(&format!("error: {error}"));
    ExitStatus::Usage
}

pub(super) fn exit_of(summary: &Summary) -> ExitStatus {
    match summary.exit_code {
        0 => ExitStatus::Green,
        1 => ExitStatus::Failed,
        2 => ExitStatus::Usage,
        code if code > 128 => ExitStatus::Interrupted(code - 128),
        _ => ExitStatus::Error,
    }
}

/// Writes where the tools that setup installed came from, as `tools.json`.
fn keep_tools(
    workspace: &Workspace,
    variables: &BTreeMap<OsString, OsString>,
    folder: &camino::Utf8Path,
) -> io::Result<()> {
    let tools = setup::provenance(variables, workspace).map_err(io::Error::other)?;
    std::fs::write(folder.join("tools.json"), serde_json::to_vec_pretty(&tools)?)
}

/// Writes the reports that other systems read.
fn tell_others(
    summary: &Summary,
    pipeline: &Pipeline,
    folder: &camino::Utf8Path,
    on_github: bool,
    step_summary_file: Option<&OsStr>,
) -> io::Result<()> {
    std::fs::write(folder.join("report.html"), html(summary))?;
    std::fs::write(folder.join("results.sarif"), sarif(summary, pipeline).map_err(io::Error::other)?)?;
    std::fs::write(folder.join("junit.xml"), junit(summary).map_err(io::Error::other)?)?;
    if on_github {
        Output.say(&annotations(summary));
    }
    if let Some(path) = step_summary_file {
        OpenOptions::new().append(true).create(true).open(path)?.write_all(step_summary(summary).as_bytes())?;
    }
    Ok(())
}
