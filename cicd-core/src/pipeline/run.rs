use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use jiff::{Span, Timestamp};

use super::crew::{Crew, Shared};
use super::effects;
use super::folder::{EventLog, area_path, remove_old_runs};
use super::lock::{RunLock, Waiting};
use super::redacted::redacted;
use super::resume::{self, Earlier};
use super::retention::remove_old_images;
use super::saved::Origin;
use super::schedule::Schedule;
use super::{
    GraphError, KeepGoing, Outside, Pipeline, ResumeError, RunFolder, SCHEMA_VERSION, Selection, SelectionError,
    StepReport, Summary, WhenBusy, engine, interrupted, latest_summary, panics, program, unchanged,
};
use crate::model::{Event, EventKind, ExitStatus, RunId, Status, StepName};
use crate::process::{CancelReason, Redactor, Secret, Temporary};
use crate::step::{
    EventQueue, EventSender, Kinds, Outputs, RunContext, RunEnvironment, RunToken, StepError, Workspace,
};

/// How often what happened is handed to the folder and the observer, and the observer is told that time has passed.
const TICK: Duration = Duration::from_millis(50);

/// Sees a run while it happens. It cannot change a verdict.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// A secret is known from now on; events that come later do not show it. Only for telling a CI system what to mask.
    fn secret(&mut self, _: &Secret) {}

    /// The run of this id begins; nothing of it is on disk and no step has been started.
    fn began(&mut self, _: &RunId) {}

    /// The run's folder was searched for secrets for the last time: a digest of the place and stamp of everything that it holds but the
    /// record and the reports.
    fn searched(&mut self, _contents: &BTreeSet<String>) {}

    /// Another run holds the checkout, and this one waits for it; `holder` is how it has named itself. Told once, before anything
    /// else.
    fn waiting(&mut self, _holder: &str) {}

    /// Time has passed: a live view may show how long things have been running.
    fn tick(&mut self) {}
}

/// Where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the beginning.
    #[default]
    Fresh,
    /// After what the last run finished green for the same files and the same pipeline.
    Resume,
}

/// What is removed from the Docker engine before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// Nothing; a [`Readiness`](crate::steps::Readiness) step removes what is left of runs that are over.
    #[default]
    None,
    /// Every container, network, volume and temporary image with the label of a run: also of one that goes on in another
    /// checkout, which will not survive it. Nothing else.
    Forced,
}

/// How to run a pipeline.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Which steps.
    pub selection: Selection,
    /// How many at the same time.
    pub jobs: NonZeroUsize,
    /// What happens when a step is not green.
    pub keep_going: KeepGoing,
    /// What happens when another run holds the checkout.
    pub when_busy: WhenBusy,
    /// Whether what the last run finished green is loaded instead of run.
    pub start: Start,
    /// What is removed from the Docker engine first.
    pub reset: Reset,
    /// The folder to judge, where it is another one than the workspace, which keeps the record: what is staged, laid out elsewhere.
    pub judged: Option<Workspace>,
    /// The folder below `target` that the runs are kept in, `ci` for the main pipeline; runs of one area take turns.
    pub area: &'static str,
}

impl Default for RunOptions {
    /// Everything, on as many threads as there are processors, as far as it can be judged.
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            jobs: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            keep_going: KeepGoing::default(),
            when_busy: WhenBusy::default(),
            start: Start::default(),
            reset: Reset::default(),
            judged: None,
            area: "ci",
        }
    }
}

/// A run that did not begin, or whose record could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The pipeline was put together wrongly.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The selection does not fit the pipeline.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The last run cannot be resumed.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The engine could not be cleaned up as was asked for.
    #[error("--force-reset came to nothing: {0}")]
    Reset(#[source] StepError),
    /// The run's folder cannot be written.
    #[error(transparent)]
    Folder(#[from] StepError),
    /// The run came to an end, but its record is not complete: what it came to cannot be relied on.
    #[error("the run's record is not complete: {source}")]
    Unrecorded {
        /// What it came to.
        summary: Box<Summary>,
        /// What could not be written.
        source: StepError,
    },
}

/// Runs a pipeline and gives its summary, which is on disk too.
///
/// Steps are code in this process. One that ends it, by [`std::process::exit`] for one, ends it without a summary and with an exit code
/// of its own; only [`Cli::main`](crate::cli::Cli::main), which watches the process that calls this from another one, makes sure
/// that this is never green. Who calls this directly has to do the same where that matters.
///
/// # Errors
/// See [`RunError`]. Whatever happens inside steps ends in the summary.
pub fn run(
    pipeline: &Pipeline,
    workspace: &Workspace,
    outside: Outside,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Summary, RunError> {
    pipeline.check()?;
    let problems = effects::refused(pipeline, outside.environment.clock.today());
    if !problems.is_empty() {
        return Err(GraphError { problems }.into());
    }
    let left_out = options.selection.resolve(pipeline)?;
    let complete =
        left_out.iter().zip(&pipeline.nodes).all(|(reason, node)| reason.is_none() || node.effect.name().is_some());
    let started = Instant::now();
    let started_at = outside.environment.clock.now();
    let durations = latest_summary(workspace, options.area).map(durations_ms).unwrap_or_default();
    let events = Arc::new(EventQueue::default());
    let sender = EventSender::new(Arc::clone(&events), outside.environment.clock);
    let id = unused_id(workspace, options.area, started_at);
    let mut waiting = Waiting { cancel: &outside.cancel, tell: &mut |holder| observer.waiting(holder) };
    let _lock = RunLock::acquire(workspace, options.area, &id, options.when_busy, &mut waiting)?;
    observer.began(&id);
    let settled = interrupted::settle(workspace, options.area);
    let source = outside.source.clone().ok();
    let revision = outside.revision.as_ref().ok();
    let origin = Origin {
        run: id.clone(),
        commit: revision.map(|revision| revision.commit.clone()),
        tree: source.as_ref().map(|source| source.identity().to_owned()),
        definition: resume::definition(pipeline),
        program: program::sha256(&area_path(workspace, options.area)),
    };
    let earlier = match options.start {
        Start::Fresh => None,
        Start::Resume => Some(Earlier::load(workspace, options.area, &outside, &origin, started_at)?),
    };
    let complete = complete && earlier.is_none();
    let (mut context, mut folder) = open(workspace, options.area, id, outside, sender.clone())?;
    events.keep_in(folder.events());
    if let Some(source) = &source {
        folder.keep_source(&source.listing())?;
    }
    if let Some(judged) = &options.judged {
        context.workspace = judged.clone();
    }
    let context = Arc::new(context);
    let _redacted_panics = panics::redact_with(&context.redactor);
    let removed = match options.reset {
        Reset::None => None,
        Reset::Forced => Some(engine::force_reset(&context).map_err(RunError::Reset)?),
    };
    let names: Vec<StepName> = pipeline.nodes.iter().map(|node| node.name.clone()).collect();
    sender.send(EventKind::RunStarted {
        run: context.id.to_string(),
        pipeline: pipeline.name().to_owned(),
        steps: names.clone(),
    });
    if let Some(removed) = &removed {
        engine::tell(&context, removed)?;
    }
    // What is resumed may have built nothing itself, and images of its own are then those of a run before it. One in which no step asks for
    // Docker does not either.
    let with_images = options.start == Start::Fresh
        && left_out.iter().zip(&pipeline.nodes).any(|(reason, node)| reason.is_none() && engine::wants_docker(node));
    let killed = settled.clone();
    let crew = Crew {
        pipeline,
        policy: pipeline.held_to(),
        names,
        left_out,
        earlier,
        origin: origin.clone(),
        context: Arc::clone(&context),
        settled,
        keep_going: options.keep_going,
        effects: options.selection.effects.clone(),
        shared: Mutex::new(Shared {
            schedule: Schedule::new(pipeline, &durations),
            outputs: Outputs::default(),
            held: Vec::new(),
            not_loaded: BTreeMap::new(),
        }),
        changed: Condvar::new(),
    };
    let steps = thread::scope(|scope| {
        let (jobs, context) = (options.jobs, &context);
        let retention = pipeline.retention;
        let killed = &killed;
        let removing = scope.spawn(move || {
            remove_old_runs(workspace, options.area, &context.id, retention.runs, &context.cancel);
            with_images && remove_old_images(context, retention, workspace, killed)
        });
        let boss = scope.spawn(move || {
            crew.work(jobs);
            // Containers of runs that were killed are gone by now, and what they were made from can go too.
            if removing.join().unwrap_or(false) && !context.cancel.is_cancelled() {
                remove_old_images(context, retention, workspace, killed);
            }
            if context.cancel.is_cancelled() {
                engine::put_away(context, pipeline);
            }
            crew.let_go();
            let unchanged = unchanged::at_the_end(context);
            unchanged.iter().for_each(|report| crew.tell(report));
            let mut steps = crew.into_reports();
            steps.extend(unchanged);
            let duration_ms = millis(started);
            context.events.send(EventKind::RunFinished { exit_code: verdict(context, &steps).code(), duration_ms });
            steps
        });
        watch(&events, &folder.events(), observer, &context.redactor, || boss.is_finished());
        boss.join().map_err(|_| StepError::Panicked("the scheduler".to_owned()))
    })?;
    // A secret that became known late may stand in what was written earlier.
    let steps: Vec<StepReport> = steps.into_iter().map(|report| redacted(report, &context.redactor)).collect();
    let exit = verdict(&context, &steps);
    let revision = context.revision.as_ref().ok();
    let summary = Summary {
        schema_version: SCHEMA_VERSION,
        pipeline: pipeline.name().to_owned(),
        run: context.id.clone(),
        status: status_of(exit),
        exit_code: exit.code(),
        reason: None,
        complete,
        commit: origin.commit,
        dirty: revision.map(|revision| revision.dirty),
        tree: origin.tree,
        definition: origin.definition,
        program: origin.program,
        started_at,
        duration_ms: millis(started),
        steps,
    };
    let searched = folder.scrub(&context.redactor, &context.cancel);
    let searched = searched.inspect(|contents| observer.searched(contents));
    match searched.and_then(|_| folder.finish(&summary)) {
        Ok(()) => Ok(summary),
        Err(source) => Err(RunError::Unrecorded { summary: Box::new(summary), source }),
    }
}

/// The id of a run that begins now: under a clock that stands still or was set back, one that no earlier run has.
pub(super) fn unused_id(workspace: &Workspace, area: &str, mut started_at: Timestamp) -> RunId {
    loop {
        let id = RunId::new(started_at, std::process::id());
        match started_at.checked_add(Span::new().milliseconds(1)) {
            Ok(later) if area_path(workspace, area).join("runs").join(id.as_str()).exists() => started_at = later,
            _ => return id,
        }
    }
}

fn verdict(context: &RunContext, steps: &[StepReport]) -> ExitStatus {
    match context.cancel.reason() {
        Some(CancelReason::Signal(signal)) => ExitStatus::Interrupted(signal),
        Some(CancelReason::FailFast) | None => ExitStatus::of(steps.iter().map(|report| report.status)),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn open(
    workspace: &Workspace,
    area: &str,
    id: RunId,
    outside: Outside,
    events: EventSender,
) -> Result<(RunContext, RunFolder), StepError> {
    let redactor = Redactor::new();
    let folder = RunFolder::create(workspace, area, &id, redactor.clone())?;
    // Where that cannot be kept, the folder is only found again by a run with the same one.
    let _ = interrupted::remember_temporary(workspace, area, temporary_parent(&outside.environment));
    Ok((context(workspace, id, folder.dir(), outside, redactor, events), folder))
}

pub(super) fn context(
    workspace: &Workspace,
    id: RunId,
    dir: &Utf8Path,
    outside: Outside,
    redactor: Redactor,
    events: EventSender,
) -> RunContext {
    let temporary = Temporary::new_in(temporary_parent(&outside.environment), "run").ok();
    let folder = temporary.as_ref().map(|folder| folder.path().as_str().into());
    let toolbox = outside.toolbox(workspace).marked(format!("{dir}/tools")).with_temporary(folder);
    let Outside { environment, cancel, revision, source, .. } = outside;
    let (workspace, dir, token) = (workspace.clone(), dir.to_owned(), RunToken::default());
    RunContext {
        workspace,
        id,
        dir,
        environment,
        revision,
        source,
        toolbox,
        redactor,
        cancel,
        events,
        token,
        kinds: Kinds::default(),
        temporary,
    }
}

/// Where the folder is for what the run's processes do not keep: most of them remove nothing when they are killed. Where none can be
/// made, as on a full disk, they use what they are given, and fail by themselves.
fn temporary_parent(environment: &RunEnvironment) -> &Utf8Path {
    environment.variables.get(OsStr::new("TMPDIR")).and_then(|folder| folder.to_str()).unwrap_or("/tmp").into()
}

/// Hands every event to the observer until the run has finished.
fn watch(
    events: &EventQueue,
    record: &EventLog,
    observer: &mut dyn Observer,
    redactor: &Redactor,
    over: impl Fn() -> bool,
) {
    let mut announced = 0;
    loop {
        // Asked before the queue is emptied: a scheduler that died without its last event still ends the watch.
        let was_over = over();
        let happened = events.take(TICK);
        let secrets = redactor.secrets();
        for secret in &secrets[announced..] {
            observer.secret(secret);
        }
        announced = secrets.len();
        for event in happened {
            observer.event(&event);
            if matches!(event.kind, EventKind::RunFinished { .. }) {
                return;
            }
        }
        record.flush();
        if was_over {
            return;
        }
        observer.tick();
    }
}

fn durations_ms(summary: Summary) -> BTreeMap<StepName, u64> {
    summary
        .steps
        .into_iter()
        .filter(|report| report.status.is_green())
        .map(|report| (report.name, report.duration_ms))
        .collect()
}

pub(super) fn status_of(exit: ExitStatus) -> Status {
    match exit {
        ExitStatus::Green => Status::Passed,
        ExitStatus::Failed => Status::Failed,
        ExitStatus::Usage | ExitStatus::Error => Status::Error,
        ExitStatus::Interrupted(_) => Status::Cancelled,
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
