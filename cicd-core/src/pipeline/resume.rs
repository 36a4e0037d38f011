use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::folder::{SOURCE_FILE, area_path};
use super::graph::Node;
use super::saved::{Label, NotLoaded, Origin};
use super::verdict::Output;
use super::{Outside, Pipeline, Plan, StepReport, Summary, latest_summary};
use crate::files::{FILE_BYTES_MAX, Folder};
use crate::formats::hex;
use crate::model::{RunId, StepName};
use crate::policy::{Origin as ExceptionOrigin, Policy, unsound};
use crate::source::Source;
use crate::step::{Artifact, RunContext, Seal, Workspace};

/// What an earlier run saw is not what a scan would see now; after a day everything is looked at again.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Where two runs would have one name, that of the second is some milliseconds ahead of the clock.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(1);

/// More changed files than this are counted, not named.
const CHANGES_NAMED_MAX: usize = 10;

/// The green steps of the last run, fit to be loaded instead of run again.
pub(super) struct Earlier {
    summary: Summary,
    area: Utf8PathBuf,
    origin: Origin,
    now: Timestamp,
}

/// A step that is not run: its report, and its output as it was then.
pub(super) struct Loaded {
    /// It says which run the step was loaded from.
    pub(super) report: StepReport,
    pub(super) output: Output,
}

/// Why the last run cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the last run cannot be resumed: {0}; run it without --resume")]
pub struct ResumeError(String);

impl Earlier {
    /// `origin` is what this run would write down as its own.
    pub(super) fn load(
        workspace: &Workspace,
        area: &str,
        outside: &Outside,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Self, ResumeError> {
        let refuse = |why: &str| Err(ResumeError(why.to_owned()));
        let Some(summary) = latest_summary(workspace, area) else { return refuse("there is none") };
        if summary.definition != origin.definition {
            return refuse("the pipeline is another one now");
        }
        if summary.program.is_none() || summary.program != origin.program {
            return refuse("the program is another one now: it was built again since");
        }
        if is_old(summary.started_at, now) {
            return refuse("it is more than a day old, or the clock has been set back");
        }
        let source = outside.source.as_ref().map_err(|why| ResumeError(why.clone()))?;
        let area = area_path(workspace, area);
        match &summary.tree {
            Some(earlier) if earlier == source.identity() => {}
            Some(_) => {
                let files = match kept(&area.join("runs").join(summary.run.as_str())) {
                    Ok(kept) => changes(&changed(&kept, &source.listing())),
                    Err(why) => format!("{SOURCE_FILE} of the run does not tell which: {why}"),
                };
                return refuse(&format!("these files changed: {files}"));
            }
            None => return refuse("it does not tell what was checked out"),
        }
        if summary.commit != origin.commit {
            return refuse("another commit is checked out now");
        }
        Ok(Self { summary, area, origin: origin.clone(), now })
    }

    /// The run that is resumed.
    pub(super) fn run(&self) -> &RunId {
        &self.summary.run
    }

    /// A step that ended green, in that run or in the one that it was loaded from then; nothing where it did not.
    ///
    /// # Errors
    /// When what it depends on is not known or not as it was, its output is not what was written then, or what allowed its findings
    /// holds no longer.
    pub(super) fn step(
        &self,
        node: &Node,
        policy: &Policy,
        listed: &Source,
        run: &RunContext,
    ) -> Option<Result<Loaded, NotLoaded>> {
        let report = self.summary.steps.iter().find(|step| step.name == node.name && step.status.is_green())?;
        let same = || {
            node.job.known_by().map_err(NotLoaded::Unknown)?;
            let relied_on = report.relied_on.as_ref().ok_or(NotLoaded::NotKept)?;
            relied_on.changed(node.job.tools(), run).map_or(Ok(()), |what| Err(NotLoaded::Changed(what)))
        };
        Some(self.open(node, report, policy, listed, same))
    }

    fn open(
        &self,
        node: &Node,
        report: &StepReport,
        policy: &Policy,
        listed: &Source,
        same: impl Fn() -> Result<(), NotLoaded>,
    ) -> Result<Loaded, NotLoaded> {
        let run = report.loaded_from.clone().unwrap_or_else(|| self.summary.run.clone());
        // However often it was resumed since.
        if run.started_at().is_none_or(|at| is_old(at, self.now)) {
            return Err(NotLoaded::Old(run));
        }
        let today = self.now.to_zoned(TimeZone::UTC).date();
        if let Some(why) = withdrawn(node, report, policy, listed, today) {
            return Err(NotLoaded::Withdrawn(why));
        }
        let sha256 = report.output_sha256.as_deref().ok_or(NotLoaded::NotKept)?;
        let label =
            Label::of(&Origin { run: run.clone(), ..self.origin.clone() }, &node.name, node.job.kind().to_owned());
        let json = label.open(step_folder(&self.area, &run, &node.name), sha256)?;
        same()?;
        // Last: an output that is made is one that is used, and dropped by whoever uses it.
        let output = node.job.load(&json)?;
        Ok(Loaded { report: StepReport { loaded_from: Some(run), ..report.clone() }, output })
    }
}

fn is_old(started_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(started_at);
    age > AGE_MAX || age < -AHEAD_MAX
}

/// The folder of a step; nothing on the way to it is a link.
fn step_folder(area: &Utf8Path, run: &RunId, step: &StepName) -> io::Result<Folder> {
    Folder::open(&area.canonicalize_utf8()?)?.child("runs")?.child(run.as_str())?.child("steps")?.child(step.as_str())
}

/// What allowed something then and does not now: an exception, or the permission to be tried again or to run at all, that has
/// expired, or that stands in a file that git does not list, so that nobody knows whether it is still there.
fn withdrawn(node: &Node, report: &StepReport, policy: &Policy, listed: &Source, today: Date) -> Option<String> {
    let permissions = node.job.permissions();
    let mut exceptions = report.exceptions.iter().map(|one| &one.exception).chain(permissions);
    exceptions.find_map(|exception| {
        if let Some(fault) = unsound(exception, None, policy, today).into_iter().next() {
            return Some(fault.message);
        }
        let file = &exception.location.path;
        let is_listed = listed.files().binary_search_by(|listed| listed.path.as_path().cmp(file)).is_ok();
        (exception.origin != ExceptionOrigin::Pipeline && !is_listed)
            .then(|| format!("the exception for {} stands in {file}, which git does not list", exception.id))
    })
}

/// The newest output of this type that the last run left.
pub(crate) fn latest_output<T: Artifact>(workspace: &Workspace, area: &str) -> Option<T> {
    let summary = latest_summary(workspace, area)?;
    let seal = Seal::new();
    summary.steps.iter().rev().find_map(|report| {
        let run = report.loaded_from.as_ref().unwrap_or(&summary.run);
        let origin = Origin {
            run: run.clone(),
            commit: summary.commit.clone(),
            tree: summary.tree.clone(),
            definition: summary.definition.clone(),
            program: summary.program.clone(),
        };
        let label = Label::of(&origin, &report.name, T::kind(&seal).label());
        let step = step_folder(&area_path(workspace, area), run, &report.name);
        let json = label.open(step, report.output_sha256.as_deref()?).ok()?;
        T::load(&json, &seal).ok()
    })
}

/// What the files of a run held.
fn kept(run: &Utf8Path) -> Result<BTreeMap<String, String>, String> {
    let text =
        Folder::open(run).and_then(|run| run.read(SOURCE_FILE, FILE_BYTES_MAX)).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// The files that hold something else now, came since or went.
pub(super) fn changed(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let all: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    all.into_iter().filter(|path| then.get(*path) != now.get(*path)).cloned().collect()
}

/// The first few of them, for people.
pub(super) fn changes(files: &[String]) -> String {
    let mut text = files.iter().take(CHANGES_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if files.len() > CHANGES_NAMED_MAX {
        let _ = write!(text, " and {} more", files.len() - CHANGES_NAMED_MAX);
    }
    text
}

/// A hash of everything that the pipeline says about itself: its graph, its tools, its command lines and every setting of every
/// step. What a closure does is in the hash of the program; what it captured is in neither, so that it is loaded only where it says
/// by what it is known.
pub(super) fn definition(pipeline: &Pipeline) -> String {
    let mut hash = Sha256::new();
    let plan = Plan::of(pipeline);
    hash.update(format!("{:?}\n", pipeline.policy));
    hash.update(plan.to_dot());
    for step in &plan.steps {
        hash.update(format!("{} {} {:?}\n", step.name, step.claims, step.attempts));
    }
    for Node { name, effect, environment, inputs, job, uncleared, harmless, granted, .. } in &pipeline.nodes {
        let granted = granted.as_ref().map(|granted| (granted.retry, &granted.exception));
        let excused = (uncleared, harmless, granted);
        let parts = (effect, inputs, job.kind(), job.retry(), job.secrets(), job.permissions(), excused);
        hash.update(format!("{name} {environment} {parts:?} {} {:?}\n", job.settings(), job.known_by()));
    }
    for (name, tool) in pipeline.tools() {
        hash.update(format!("{name} {} {}\n", tool.name, tool.version));
    }
    for (name, invocations) in pipeline.explain() {
        hash.update(format!("{name} {invocations:?}\n"));
    }
    hex(&hash.finalize())
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod definition_tests;
#[cfg(test)]
#[path = "relied_tests.rs"]
mod relied_tests;
#[cfg(test)]
#[path = "resume_tests.rs"]
pub(super) mod tests;
