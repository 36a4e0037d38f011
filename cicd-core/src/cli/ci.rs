use std::ffi::OsStr;

use super::args::RunArgs;
use super::link::{Announced, Link};
use super::reports::Reports;
use super::{Output, show, signals};
use crate::model::ExitStatus;
use crate::pipeline::{Observer, Outside, Pipeline, RunError, Summary, abandon, run};
use crate::reporters::{Lines, Live, Masks, report};
use crate::step::Workspace;

/// The area of every pipeline but `ci`, so that `target/ci/latest` is always about the main one.
const ELSEWHERE: &str = "ci-other";

/// Shows the command lines of a pipeline, and runs nothing.
pub(super) fn explain(pipeline: &Pipeline, outside: &Outside, args: &RunArgs) -> ExitStatus {
    let selection = args.options(ELSEWHERE).selection;
    match pipeline.check().map_err(RunError::from).and_then(|()| Ok(selection.resolve(pipeline)?)) {
        Ok(left_out) => {
            let redactor = show::redactor(pipeline, &outside.environment.variables);
            Output.say(&redactor.redact(&show::explain(pipeline, &left_out)));
            ExitStatus::Green
        }
        Err(error) => usage(&error),
    }
}

/// Runs a pipeline and shows it; `name` is the command that the person typed, such as `ci`.
pub(super) fn execute(
    pipeline: &Pipeline,
    workspace: &Workspace,
    outside: Outside,
    args: &RunArgs,
    name: &'static str,
    link: &Link,
) -> ExitStatus {
    let out = Output;
    let area = if name == "ci" { name } else { ELSEWHERE };
    let options = args.options(area);
    let mut outside = outside;
    outside.environment.live_output = args.verbose;
    let variables = outside.environment.variables.clone();
    let abandoned = workspace.clone();
    if let Err(error) = signals::listen(outside.cancel.clone(), Some(link), move |exit| abandon(&abandoned, area, exit))
    {
        out.complain(&format!("error: signals cannot be handled: {error}"));
        return ExitStatus::Error;
    }
    let cancel = outside.cancel.clone();
    let mut observer: Box<dyn Observer> = if out.is_terminal() {
        Box::new(Live::new(std::io::stderr(), move || out.columns()))
    } else {
        Box::new(Lines::new(out.stream()))
    };
    let on_github = variables.contains_key(OsStr::new("GITHUB_ACTIONS"));
    if on_github {
        observer = Box::new(Masks::new(out.commands(), observer));
    }
    let mut observer = Announced { link, area, inner: observer.as_mut() };
    let (summary, kept) = match run(pipeline, workspace, outside, &options, &mut observer) {
        Ok(summary) => (summary, Ok(())),
        Err(error @ (RunError::Graph(_) | RunError::Selection(_) | RunError::Resume(_))) => return usage(&error),
        // Each report may still be written, though the record could not be.
        Err(RunError::Unrecorded { summary, source }) => (*summary, Err(source)),
        Err(error) => {
            out.complain(&format!("error: {error}"));
            return match cancel.reason() {
                Some(crate::process::CancelReason::Signal(signal)) => ExitStatus::Interrupted(signal),
                _ => ExitStatus::Error,
            };
        }
    };
    let folder = workspace.path("target").join(area).join("runs").join(summary.run.as_str());
    let shown = match &kept {
        Ok(()) => folder.strip_prefix(workspace.root()).unwrap_or(&folder).as_str(),
        Err(_) => "(not complete)",
    };
    out.say(&report(&summary, shown, &format!("cargo xtask {name}"), out.columns()));
    let reports = Reports { summary: &summary, pipeline, workspace, variables: &variables, folder: &folder };
    let lost = reports.write_all(on_github);
    link.wrote(&folder);
    for problem in &lost {
        out.complain(&format!("error: the verdict stands, but {problem}"));
    }
    if let Err(source) = &kept {
        out.complain(&format!("error: the run's record is not complete: {source}"));
    }
    match exit_of(&summary) {
        interrupted @ ExitStatus::Interrupted(_) => interrupted,
        _ if kept.is_err() => ExitStatus::Error,
        ExitStatus::Green if !lost.is_empty() => ExitStatus::Error,
        status => status,
    }
}

fn usage(error: &RunError) -> ExitStatus {
    Output.complain(&format!("error: {error}"));
    ExitStatus::Usage
}

pub(super) fn exit_of(summary: &Summary) -> ExitStatus {
    exit_of_code(summary.exit_code)
}

pub(super) fn exit_of_code(code: u8) -> ExitStatus {
    match code {
        0 => ExitStatus::Green,
        1 => ExitStatus::Failed,
        2 => ExitStatus::Usage,
        code if code > 128 => ExitStatus::Interrupted(code - 128),
        _ => ExitStatus::Error,
    }
}
