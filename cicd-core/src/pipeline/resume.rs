use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::folder::{SOURCE_FILE, area_path};
use super::{Outside, Pipeline, Plan, StepReport, Summary, latest_summary};
use crate::files::{FILE_BYTES_MAX, Folder};
use crate::step::Workspace;

/// What an earlier run saw is not what a scan would see now; after a day everything is looked at again.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// More changed files than this are counted, not named.
const CHANGES_NAMED_MAX: usize = 10;

/// The green steps of the last run, fit to be loaded instead of run again.
pub(super) struct Earlier {
    pub(super) summary: Summary,
    steps: Utf8PathBuf,
}

/// Why the last run cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the last run cannot be resumed: {0}; run it without --resume")]
pub struct ResumeError(String);

impl Earlier {
    pub(super) fn load(
        workspace: &Workspace,
        area: &str,
        outside: &Outside,
        definition: &str,
        now: Timestamp,
    ) -> Result<Self, ResumeError> {
        let refuse = |why: &str| Err(ResumeError(why.to_owned()));
        let Some(summary) = latest_summary(workspace, area) else { return refuse("there is none") };
        if summary.definition != definition {
            return refuse("the pipeline is another one now");
        }
        let age = now.duration_since(summary.started_at);
        if age > AGE_MAX || age.is_negative() {
            return refuse("it is more than a day old, or the clock has been set back");
        }
        let source = outside.source.as_ref().map_err(|why| ResumeError(why.clone()))?;
        let run = area_path(workspace, area).join("runs").join(summary.run.as_str());
        match &summary.tree {
            Some(earlier) if earlier == source.identity() => {}
            Some(_) => {
                let files = match kept(&run) {
                    Ok(kept) => changes(&changed(&kept, &source.listing())),
                    Err(why) => format!("{SOURCE_FILE} of the run does not tell which: {why}"),
                };
                return refuse(&format!("these files changed: {files}"));
            }
            None => return refuse("it does not tell what was checked out"),
        }
        let steps = run.join("steps");
        Ok(Self { summary, steps })
    }

    /// The report and the output of a step that ended green.
    pub(super) fn step(&self, name: &str) -> Option<(StepReport, String)> {
        let report = self.summary.steps.iter().find(|step| step.name.as_str() == name && step.status.is_green())?;
        // A step without an output has no file for it.
        let output = Folder::open(&self.steps.join(name)).and_then(|step| step.read("output.json", FILE_BYTES_MAX));
        let json = match output {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "null".to_owned(),
            output => String::from_utf8(output.ok()?).ok()?,
        };
        let run = report.loaded_from.clone().unwrap_or_else(|| self.summary.run.clone());
        Some((StepReport { loaded_from: Some(run), ..report.clone() }, json))
    }
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
/// step. What a closure does is in the hash of the program.
pub(super) fn definition(pipeline: &Pipeline) -> String {
    let mut hash = Sha256::new();
    let plan = Plan::of(pipeline);
    hash.update(format!("{:?}\n", pipeline.policy));
    hash.update(plan.to_dot());
    hash.update(format!("{:?}\n", pipeline.policy));
    for step in &plan.steps {
        hash.update(format!("{} {:?}\n", step.name, step.attempts));
    }
    for node in &pipeline.nodes {
        hash.update(format!("{} {:?} {:?} {}\n", node.name, node.effect, node.inputs, node.job.settings()));
        if let Some(uncleared) = &node.uncleared {
            hash.update(format!("{uncleared:?}\n"));
        }
    }
    for (name, tool) in pipeline.tools() {
        hash.update(format!("{name} {} {}\n", tool.name, tool.version));
    }
    for (name, invocations) in pipeline.explain() {
        let lines: Vec<String> = invocations.iter().map(ToString::to_string).collect();
        hash.update(format!("{name} {lines:?}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
