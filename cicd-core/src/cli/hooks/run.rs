use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::sync::{Arc, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};

use super::git::Git;
use super::staged::Staged;
use crate::cli::app::Build;
use crate::cli::args::HooksRunArgs;
use crate::cli::ci::exit_of;
use crate::cli::link::{Announced, Link};
use crate::cli::{Output, machine, signals};
use crate::model::{Event, ExitStatus};
use crate::pipeline::{
    Observer, Pipeline, Plan, RunError, RunOptions, Selection, Summary, WhenBusy, abandon, remember_temporary,
    run as run_pipeline,
};
use crate::process::{Cancel, CancelReason};
use crate::reporters::{Lines, brief};
use crate::source::Source;
use crate::step::Workspace;

/// Runs of the hook are kept beside those of `ci`.
const AREA: &str = "ci-hook";
/// What a person types to have the same.
const COMMAND: &str = "cargo xtask hooks run";
/// What to do when a commit is refused wrongly.
const WAY_OUT: &str = "`git commit --no-verify` commits without these checks; `cargo xtask ci` makes them all the same";

/// How the pipelines of a repository are made.
pub(in crate::cli) struct Pipelines<'a> {
    /// What is checked before a commit.
    pub(in crate::cli) before_commit: &'a Build,
    /// What is checked in the end.
    pub(in crate::cli) ci: &'a Build,
}

/// Judges what is staged.
pub(in crate::cli) fn run(
    workspace: &Workspace,
    pipelines: &Pipelines<'_>,
    args: &HooksRunArgs,
    link: &Link,
) -> Result<ExitStatus, Box<dyn Error>> {
    let mut outside = machine::without_git(workspace)?;
    let laid_out: Arc<OnceLock<OsString>> = Arc::default();
    let (abandoned, left) = (workspace.clone(), Arc::clone(&laid_out));
    signals::listen(outside.cancel.clone(), Some(link), move |exit| {
        abandon(&abandoned, AREA, exit);
        // What cannot be removed now is in the folder for temporary files, and goes with it.
        let _ = left.get().map(fs::remove_dir_all);
    })?;
    let toolbox = outside.toolbox(workspace);
    if let Some(folder) = Utf8Path::from_path(&std::env::temp_dir()) {
        // Where that cannot be kept, what a killed run leaves is only found again by a run with the same one.
        let _ = remember_temporary(workspace, AREA, folder);
    }
    let staged =
        Git::find(workspace, &toolbox, &outside).and_then(|git| Staged::lay_out(&git, &outside.environment.variables));
    let cancel = outside.cancel.clone();
    let staged = match staged {
        Ok(staged) => staged,
        Err(error) => return Ok(could_not(&cancel, &format!("what is staged cannot be laid out: {error}"))),
    };
    // Nobody else sets it.
    let _ = laid_out.set(staged.folder().to_owned());
    let pipeline = (pipelines.before_commit)(&staged.workspace)?;
    repeated_in_ci(&pipeline, &(pipelines.ci)(&staged.workspace)?)?;
    let source = Source::gather(staged.workspace.root(), &toolbox, &cancel);
    outside = outside.with_source(source);
    outside.environment.live_output = args.verbose;
    let options = RunOptions {
        selection: Selection { only: args.only.clone(), ..Selection::default() },
        when_busy: WhenBusy::Wait,
        judged: Some(staged.workspace.clone()),
        area: AREA,
        ..RunOptions::default()
    };
    let mut observer: Box<dyn Observer> =
        if args.verbose { Box::new(Lines::new(Output.stream())) } else { Box::new(Silent) };
    let mut observer = Announced { link, area: AREA, inner: observer.as_mut() };
    Ok(match run_pipeline(&pipeline, workspace, outside, &options, &mut observer) {
        Ok(summary) => {
            link.wrote(&folder_of(workspace, &summary));
            tell(workspace, &summary)
        }
        Err(error @ (RunError::Graph(_) | RunError::Selection(_))) => return Err(error.into()),
        Err(error) => could_not(&cancel, &error.to_string()),
    })
}

/// The end of what could not look, unless somebody has stopped it.
fn could_not(cancel: &Cancel, why: &str) -> ExitStatus {
    if let Some(CancelReason::Signal(signal)) = cancel.reason() {
        return ExitStatus::Interrupted(signal);
    }
    Output.complain(&format!("error: {why}\n{WAY_OUT}"));
    ExitStatus::Error
}

/// Refuses a check that only the hook makes: leaving the hook out would leave the check out.
fn repeated_in_ci(before_commit: &Pipeline, ci: &Pipeline) -> Result<(), Box<dyn Error>> {
    before_commit.check()?;
    ci.check()?;
    let (all, ci) = (Plan::of(before_commit), Plan::of(ci));
    let alone: Vec<_> = all
        .steps
        .iter()
        .map(|step| &step.name)
        .filter(|name| ci.steps.iter().all(|step| step.name != **name))
        .collect();
    match alone.first() {
        None => Ok(()),
        Some(name) => Err(format!(
            "the step {name} of {} is not a step of {}, so --no-verify would leave it out; add it there under the same name",
            all.pipeline, ci.pipeline
        )
        .into()),
    }
}

fn folder_of(workspace: &Workspace, summary: &Summary) -> Utf8PathBuf {
    workspace.path("target").join(AREA).join("runs").join(summary.run.as_str())
}

fn tell(workspace: &Workspace, summary: &Summary) -> ExitStatus {
    let folder = folder_of(workspace, summary);
    let shown = folder.strip_prefix(workspace.root()).unwrap_or(&folder);
    let status = exit_of(summary);
    Output.say(&brief(summary, shown.as_str(), COMMAND, Output.columns()));
    if matches!(status, ExitStatus::Failed | ExitStatus::Error) {
        Output.complain(WAY_OUT);
    }
    status
}

/// A hook that has nothing to say says nothing while it works.
struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event) {}
}
