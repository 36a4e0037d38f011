use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::attempts::{Attempts, Granted};
use super::bounds::{OUTPUT_BYTES_MAX, bounded};
use super::effects;
use super::graph::Node;
use super::job::{JobEnd, JobOutcome, Upstream};
use super::panics::contained;
use super::quote::quote;
use super::redacted::redacted;
use super::resume::{Earlier, Loaded};
use super::saved::{Label, NotLoaded, OUTPUT_FILE, Origin, Sealed};
use super::schedule::Schedule;
use super::scrub::{scrub, unsearched};
use super::verdict::{Judge, Output};
use super::{KeepGoing, Pipeline, StepReport};
use crate::files::Folder;
use crate::model::{EventKind, Status, StepName};
use crate::policy::{Exception, Policy, is_sound};
use crate::process::{CancelReason, SecretOrigin, SecretSource};
use crate::step::{Context, Outputs, RunContext, StepError};

/// What the run does before its steps, as it is told.
const LOOKING: &str = "tools";

/// The fact that says why a step of a resumed run was not loaded.
const NOT_LOADED: &str = "not_loaded";

/// How often a waiting thread looks for a cancellation that came between two ends of steps.
const PATIENCE: Duration = Duration::from_millis(100);

/// The threads that run the steps of one run, and what they share.
pub(super) struct Crew<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) policy: Policy,
    pub(super) names: Vec<StepName>,
    pub(super) left_out: Vec<Option<String>>,
    pub(super) earlier: Option<Earlier>,
    /// What outputs are saved as.
    pub(super) origin: Origin,
    pub(super) context: Arc<RunContext>,
    /// The folders of runs that were killed earlier.
    pub(super) settled: Vec<Utf8PathBuf>,
    pub(super) keep_going: KeepGoing,
    pub(super) effects: Vec<String>,
    pub(super) shared: Mutex<Shared>,
    pub(super) changed: Condvar,
}

pub(super) struct Shared {
    pub(super) schedule: Schedule,
    pub(super) outputs: Outputs,
    /// Every output there ever was, by the place of its step: none is dropped before the end, as that is code of a step too.
    pub(super) held: Vec<(usize, Output)>,
    /// Why steps run that a resumed run could have loaded, by place.
    pub(super) not_loaded: BTreeMap<usize, String>,
}

impl Crew<'_> {
    /// Runs everything that can be run, on `jobs` threads.
    pub(super) fn work(&self, jobs: NonZeroUsize) {
        self.learn_secrets();
        self.scrub_settled();
        self.leave_out();
        self.load_earlier();
        self.check_tools_and_secrets();
        thread::scope(|scope| {
            for _ in 1..jobs.get().min(self.names.len()) {
                // Where the system has no thread left, the others do all of it.
                let _ = thread::Builder::new().spawn_scoped(scope, || self.work_through());
            }
            self.work_through();
        });
    }

    /// Lets go of every output, each by itself, once nothing takes it any more. A step whose output panics then is an error.
    pub(super) fn let_go(&self) {
        let held = {
            let mut shared = self.lock();
            shared.outputs = Outputs::default();
            std::mem::take(&mut shared.held)
        };
        for (index, output) in held {
            let Err(panic) = contained(|| drop(output)) else { continue };
            let mut shared = self.lock();
            let Some(report) = shared.schedule.report(index) else { continue };
            let mut report = report.clone();
            let told = format!("its output panicked when it was dropped: {panic}");
            let reason = report.reason.take();
            report.reason = Some(reason.map_or_else(|| told.clone(), |reason| format!("{reason}\n{told}")));
            report.status = Status::Error;
            self.end(&mut shared, index, report);
        }
    }

    pub(super) fn into_reports(self) -> Vec<StepReport> {
        self.shared.into_inner().unwrap_or_else(PoisonError::into_inner).schedule.into_reports()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the steps that were not selected, before anything starts.
    fn leave_out(&self) {
        let mut shared = self.lock();
        // From the end, so that each is told its own reason and not that what it needs was left out too.
        for (index, reason) in self.left_out.iter().enumerate().rev() {
            if let Some(reason) = reason.as_ref().filter(|_| shared.schedule.report(index).is_none()) {
                let report = StepReport::not_run(&self.names[index], Status::Skipped, reason.clone());
                self.end(&mut shared, index, report);
            }
        }
    }

    /// Ends the steps that the earlier run finished green, as long as all they need was loaded too; of the others, remembers why
    /// they run again.
    fn load_earlier(&self) {
        let (Some(earlier), Ok(listed)) = (&self.earlier, &self.context.source) else { return };
        self.find_tools();
        let mut shared = self.lock();
        for (index, node) in self.pipeline.nodes.iter().enumerate() {
            if shared.schedule.report(index).is_some() || node.effect.name().is_some() {
                continue;
            }
            let again =
                |need: &&usize| shared.schedule.report(**need).is_none_or(|report| report.loaded_from.is_none());
            let loaded = match node.needs.iter().find(again) {
                Some(&need) => Some(Err(NotLoaded::Needs(self.names[need].clone()))),
                None => earlier.step(node, &self.policy, listed, &self.context),
            };
            match loaded {
                None => {}
                Some(Err(why)) => {
                    shared.not_loaded.insert(index, why.to_string());
                }
                Some(Ok(Loaded { report, output })) => {
                    shared.held.push((index, Arc::clone(&output)));
                    shared.outputs.insert(self.pipeline.node_id(index), output);
                    self.end(&mut shared, index, report);
                }
            }
        }
    }

    /// Says why a step runs again that was to be loaded.
    fn tell_not_loaded(&self, index: usize, cx: &Context, report: &mut StepReport) {
        let Some(why) = self.lock().not_loaded.remove(&index) else { return };
        let run = self.earlier.as_ref().map(|earlier| earlier.run().to_string()).unwrap_or_default();
        cx.progress(format!("was not loaded from run {run}: {why}"));
        report.facts.insert(NOT_LOADED, why);
    }

    /// Reads every secret that is declared, that of a step that is left out too where it is at hand: processes inherit the
    /// environment, and any of them may show it. What is missing is told by the check of the step that needs it.
    fn learn_secrets(&self) {
        for (node, left_out) in self.pipeline.nodes.iter().zip(&self.left_out) {
            let known =
                |source: &&SecretSource| left_out.is_none() || !matches!(source.origin(), SecretOrigin::Command(_));
            for source in node.job.secrets().iter().filter(known) {
                let _ = self.context.secret(source);
            }
        }
    }

    /// Takes the secrets out of what runs left that were killed: they may have learned one after its step had ended. What steps
    /// that had not ended left is gone already.
    fn scrub_settled(&self) {
        for run in &self.settled {
            // What cannot be searched is of a run that nobody relies on.
            if scrub(run, &self.context.redactor, &self.context.cancel).is_err() {
                let _ = std::fs::remove_dir_all(run);
            }
        }
    }

    /// Finds every tool and reads every secret before the first step starts; a step that lacks some ends here, with all its
    /// problems at once.
    fn check_tools_and_secrets(&self) {
        self.find_tools();
        for (index, node) in self.pipeline.nodes.iter().enumerate() {
            if self.lock().schedule.report(index).is_some() {
                continue;
            }
            let problems: Vec<String> = node
                .job
                .tools()
                .iter()
                .filter_map(|tool| self.context.toolbox.find(tool, &self.context.cancel).err())
                .map(|error| error.to_string())
                .chain(self.secret_problems(node))
                .chain(self.permission_problems(node))
                .collect();
            if !problems.is_empty() {
                let report = self.not_run(index, Status::Error, problems.join("\n"));
                self.end(&mut self.lock(), index, report);
            }
        }
    }

    /// Whether the policy accepts what a step does by permission: afterwards would be too late. What it has against it, the report
    /// says as of any exception.
    fn permission_problems(&self, node: &Node) -> Vec<String> {
        let today = self.context.environment.clock.today();
        let mut permissions = node.job.permissions().iter();
        let refused = permissions.find(|exception| !is_sound(exception, &self.policy, today));
        let problem = |exception: &Exception| format!("the policy does not accept why {} is permitted", exception.id);
        refused.map(problem).into_iter().collect()
    }

    fn judge(&self, index: usize) -> Judge<'_> {
        Judge {
            name: &self.names[index],
            relaxations: self.pipeline.nodes[index].relaxations(),
            policy: &self.policy,
            today: self.context.environment.clock.today(),
        }
    }

    /// The exceptions for a step that files hold, where it did not come to read them.
    fn in_files(&self, index: usize, cx: &Context) -> Result<Vec<Exception>, StepError> {
        self.pipeline.nodes[index].job.exceptions_in_files(cx)
    }

    /// The report of a selected step that was not started, with what can be said of its exceptions all the same.
    fn not_run(&self, index: usize, status: Status, reason: String) -> StepReport {
        let cx = Context::for_step(Arc::clone(&self.context), self.names[index].clone());
        self.judge(index).without_verdict(status, Some(reason), Vec::new(), self.in_files(index, &cx))
    }

    /// Finds the tools of all steps that are to run at the same time; a step that lacks one is told so later.
    fn find_tools(&self) {
        let open = |(index, _): &(usize, &Node)| self.lock().schedule.report(*index).is_none();
        let nodes = self.pipeline.nodes.iter().enumerate().filter(open);
        let tools: Vec<_> = nodes.flat_map(|(_, node)| node.job.tools().to_vec()).collect();
        self.context.toolbox.find_all(&tools, &self.context.cancel, &|message| {
            // The run itself has no step; should the name not do, nobody is told, and nothing else changes.
            if let Ok(step) = StepName::new(LOOKING) {
                self.context.events.send(EventKind::Progress { step, message });
            }
        });
    }

    /// What is wrong with the secrets of a step, and where a command line that it will run holds any secret.
    fn secret_problems(&self, node: &Node) -> Vec<String> {
        let secrets = node.job.secrets();
        let missing = secrets.iter().filter_map(|source| self.context.secret(source).err());
        let missing: Vec<String> = missing.map(|error| error.to_string()).collect();
        let explained = node.job.explain().iter();
        let shown = explained.filter_map(|invocation| self.context.refuse_secret_arguments(invocation).err());
        missing.into_iter().chain(shown.map(|error| error.to_string())).collect()
    }

    fn work_through(&self) {
        let mut shared = self.lock();
        loop {
            if let Some(reason) = self.context.cancel.reason() {
                let reason = match reason {
                    CancelReason::Signal(_) => "the run was interrupted",
                    CancelReason::FailFast => "the run stopped at the first failure",
                };
                let not_run = |index, status, reason| {
                    redacted(bounded(self.not_run(index, status, reason)), &self.context.redactor)
                };
                for report in shared.schedule.abandon(reason, &not_run) {
                    self.tell(&report);
                }
            }
            if shared.schedule.is_over() {
                self.changed.notify_all();
                return;
            }
            let Some(index) = shared.schedule.next() else {
                shared = self.changed.wait_timeout(shared, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            let upstream = self.upstream(&shared, index);
            drop(shared);
            // Whatever a step makes of its worker, the step ends, and the worker goes on.
            let ended = contained(|| match self.without_ground(index, &upstream) {
                Some(reason) => (self.not_run(index, Status::Blocked, reason), None),
                None => self.run_step(index, &upstream),
            });
            let (report, output) = ended.unwrap_or_else(|panic| {
                let reason = StepError::Panicked(panic).to_string();
                (self.not_run(index, Status::Error, reason), None)
            });
            shared = self.lock();
            if let Some(output) = output {
                shared.outputs.insert(self.pipeline.node_id(index), output);
            }
            self.end(&mut shared, index, report);
            self.changed.notify_all();
        }
    }

    /// Why a step must not have its effect: something that it depends on, directly or not, was not judged green by this run.
    fn without_ground(&self, index: usize, upstream: &Upstream) -> Option<String> {
        let node = &self.pipeline.nodes[index];
        node.effect.name()?;
        let missing = |place: &usize| !upstream.ancestors.contains_key(place);
        if let Some(place) = self.pipeline.ancestors(index).iter().find(|place| missing(place)) {
            return Some(format!("needs {}, which has not ended", self.names[*place]));
        }
        upstream.ancestors.values().find_map(|report| match &report.loaded_from {
            Some(run) => Some(format!("needs {}, which was loaded from run {run}; run without --resume", report.name)),
            None if !report.status.is_green() => Some(format!("needs {}, which is {}", report.name, report.status)),
            None => None,
        })
    }

    fn upstream(&self, shared: &Shared, index: usize) -> Upstream {
        let asked = |node: &Node| node.effect.name().is_some_and(|name| self.effects.iter().any(|asked| asked == name));
        let wanted = |place: usize, node: &Node| asked(node) && self.left_out[place].is_none();
        let mut nodes = self.pipeline.nodes.iter().enumerate();
        let ancestors = self.pipeline.ancestors(index);
        let needs = self.pipeline.nodes[index].needs.iter();
        Upstream {
            outputs: shared.outputs.of(needs.map(|&need| self.pipeline.node_id(need))),
            effect_wanted: nodes
                .any(|(later, node)| wanted(later, node) && self.pipeline.ancestors(later).contains(&index)),
            ancestors: ancestors
                .into_iter()
                .filter_map(|place| Some((place, shared.schedule.report(place)?.clone())))
                .collect(),
        }
    }

    fn end(&self, shared: &mut Shared, index: usize, report: StepReport) {
        let report = redacted(bounded(report), &self.context.redactor);
        let counts_as_failure = matches!(report.status, Status::Failed | Status::Error);
        self.tell(&report);
        let not_run =
            |index, status, reason| redacted(bounded(self.not_run(index, status, reason)), &self.context.redactor);
        for consequence in shared.schedule.finish(index, report, &not_run) {
            self.tell(&consequence);
        }
        if counts_as_failure && self.keep_going == KeepGoing::FailFast {
            self.context.cancel.cancel(CancelReason::FailFast);
        }
    }

    pub(super) fn tell(&self, report: &StepReport) {
        self.context.events.send(EventKind::StepFinished {
            step: report.name.clone(),
            status: report.status,
            duration_ms: report.duration_ms,
            reason: report.reason.clone(),
            findings: report.findings.clone(),
            facts: report.facts.clone(),
            attempts: report.attempts.clone(),
        });
    }

    fn run_step(&self, index: usize, upstream: &Upstream) -> (StepReport, Option<Output>) {
        let name = &self.names[index];
        self.context.events.send(EventKind::StepStarted { step: name.clone() });
        let started = Instant::now();
        let node = &self.pipeline.nodes[index];
        let cx = Context::for_step(Arc::clone(&self.context), name.clone()).with_secrets(node.job.secrets());
        let today = self.context.environment.clock.today();
        let holds = |granted: &&Granted| is_sound(&granted.exception, &self.policy, today);
        let attempts = Attempts { own: node.job.retry(), granted: node.granted.as_ref().filter(holds) };
        let mut saved = None;
        let mut attempted = attempts.run(&cx, |cx| {
            let (end, sealed) = self.look(index, cx, upstream)?;
            saved = sealed;
            Ok(end)
        });
        effects::tell(node, &mut attempted.end);
        let (mut report, mut output) = self.judge(index).report(attempted, || self.in_files(index, &cx));
        report.relied_on = report.status.is_green().then(|| cx.relied_on());
        report.output_sha256 = saved.filter(|_| output.is_some()).map(|sealed| sealed.sha256);
        self.tell_not_loaded(index, &cx, &mut report);
        without_room(&cx, &mut report);
        report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        quote(&mut report.findings, self.context.workspace.root(), &self.context.redactor);
        match scrub(cx.dir_unmade(), &self.context.redactor, &self.context.cancel) {
            Ok(removed) => report.findings.extend(removed.told(&self.context.redactor).map(unsearched)),
            Err(error) => {
                report.status = Status::Error;
                report.reason = Some(format!("its folder may still hold a secret, for it cannot be read: {error}"));
                output = None;
            }
        }
        if !report.status.is_green()
            && let Err(error) = cx.log().open()
        {
            report.reason = Some(format!(
                "{}; its log could not be written: {error}",
                report.reason.as_deref().unwrap_or("failed")
            ));
        }
        (report, output)
    }

    /// Runs a step once and saves its output. One that holds a secret is kept without it, and is not what the step gave any more:
    /// nothing loads it.
    fn look(&self, index: usize, cx: &Context, upstream: &Upstream) -> Result<(JobEnd, Option<Sealed>), StepError> {
        let job = &self.pipeline.nodes[index].job;
        for tool in job.tools() {
            cx.require(tool)?;
        }
        let end = job.run(cx, upstream)?;
        let JobEnd::Looked(JobOutcome { json, output, .. }) = &end else { return Ok((end, None)) };
        self.lock().held.push((index, Arc::clone(output)));
        if json.len() > OUTPUT_BYTES_MAX {
            return Err(StepError::not_looked(
                format!("its output has {} bytes, more than the {OUTPUT_BYTES_MAX} that are kept", json.len()),
                "hand on a file in the step's folder instead",
            ));
        }
        let redacted = self.context.redactor.redact(json);
        let label = Label::of(&self.origin, &self.names[index], job.kind().to_owned());
        let io = || StepError::io("writing", cx.dir_unmade().join(OUTPUT_FILE));
        let sealed = label.seal(&redacted).map_err(std::io::Error::other).map_err(io())?;
        sealed.write(|| Folder::open(cx.dir())).map_err(io())?;
        let is_whole = redacted == json.as_str();
        Ok((end, is_whole.then_some(sealed)))
    }
}

/// A full disk is never a verdict: what failed while there was no room may be fine, and what it found is shown all the same. Nothing is ever
/// made green by this.
fn without_room(cx: &Context, report: &mut StepReport) {
    if !matches!(report.status, Status::Failed | Status::Error) {
        return;
    }
    let Some(why) = cx.full_disk() else { return };
    let told = match report.reason.take() {
        Some(reason) => format!("{reason}\n"),
        None => String::new(),
    };
    report.reason =
        Some(format!("{told}no verdict, as a disk was full: {why}; free some space or files there and run it again"));
    report.status = Status::Error;
}
