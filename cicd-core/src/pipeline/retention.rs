use std::collections::BTreeSet;
use std::sync::Arc;

use camino::{Utf8DirEntry, Utf8PathBuf};

use super::Summary;
use crate::docker::{BuiltImage, Untagged, built_in, checkout_id, docker_tool, run_lives, untag};
use crate::files::{FILE_BYTES_MAX, Folder};
use crate::model::StepName;
use crate::step::{Context, RunContext, StepError, Workspace};

/// How many runs are kept on disk unless a pipeline says otherwise; older ones are removed while a new one goes on.
pub const RUNS_KEPT: usize = 20;

/// How many runs' images are kept unless a pipeline says otherwise: this one's, and those of the two before it, to be compared with.
pub const IMAGE_RUNS_KEPT: usize = 3;

/// Under this name stand the log and what is told of the images of earlier runs.
const STEP: &str = "earlier-images";

/// How much of earlier runs stays; older things are removed when a run begins.
///
/// The images of a run go with its folder at the latest. Those of a run that was killed go at once, as no verdict says what they are.
/// An image that a container was made from stays, and that is said; one that somebody has given another name, by a push say, stays
/// under that name. Nothing of another checkout is touched. A run with `--resume` removes no image, as it may take over an old one.
///
/// ```
/// use cicd_core::pipeline::{Pipeline, Retention};
///
/// let mut ci = Pipeline::new("shop");
/// ci.retention(Retention::default().runs(50).images_of_runs(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub(super) runs: usize,
    pub(super) image_runs: usize,
}

impl Default for Retention {
    /// The folders of [`RUNS_KEPT`] runs, the images of [`IMAGE_RUNS_KEPT`].
    fn default() -> Self {
        Self { runs: RUNS_KEPT, image_runs: IMAGE_RUNS_KEPT }
    }
}

impl Retention {
    /// The folders of so many earlier runs stay; this one's and the last one's do in any case.
    #[must_use]
    pub fn runs(mut self, count: usize) -> Self {
        self.runs = count;
        self
    }

    /// The images of so many runs stay, counting this one, whose own do in any case.
    #[must_use]
    pub fn images_of_runs(mut self, count: usize) -> Self {
        self.image_runs = count;
        self
    }
}

/// Removes the images of earlier runs of this checkout that are not to be kept. `killed` are the folders of those that did not end by
/// themselves. What stays against our will is said, and tried again by the next run. Gives whether anything does because a container was
/// made from it, which may go while this run goes on.
pub(super) fn remove_old_images(
    context: &Arc<RunContext>,
    retention: Retention,
    workspace: &Workspace,
    killed: &[Utf8PathBuf],
) -> bool {
    let Ok(step) = StepName::new(STEP) else { return false };
    let cx = Context::for_step(Arc::clone(context), step);
    // Where there is no Docker, whoever needs it says so.
    if cx.require(&docker_tool()).is_err() {
        return false;
    }
    match remove(&cx, retention, workspace, killed) {
        Ok(kept) => kept,
        Err(error) => {
            if !context.cancel.is_cancelled() {
                cx.progress(format!("images of earlier runs stay: {error}"));
            }
            false
        }
    }
}

fn remove(
    cx: &Context,
    retention: Retention,
    workspace: &Workspace,
    killed: &[Utf8PathBuf],
) -> Result<bool, StepError> {
    let mut kept = false;
    let root = workspace.root();
    let checkout = checkout_id(root).map_err(StepError::io("looking at", root))?;
    let images = built_in(cx, &checkout)?;
    let state = |run: &str| run_state(workspace, killed, run);
    for image in old(&images, cx.shared().id.as_str(), retention.image_runs, state) {
        match untag(cx, &image.name)? {
            Untagged::Gone if image.also.is_empty() => cx.progress(format!("removed {}", image.name)),
            Untagged::Gone => cx.progress(format!("{} stays as {}", image.name, image.also.join(", "))),
            Untagged::Kept(why) => {
                kept = true;
                cx.progress(format!("{} stays: {why}", image.name));
            }
        }
    }
    Ok(kept)
}

/// What is known of the run that built an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Built {
    /// It goes on, or nothing proves that it is over.
    Goes,
    /// It came to its end, and its folder is there.
    Ended,
    /// It was killed, or its folder is gone.
    Lost,
}

fn run_state(workspace: &Workspace, killed: &[Utf8PathBuf], run: &str) -> Built {
    let areas = workspace.path("target").read_dir_utf8().into_iter().flatten().flatten().map(Utf8DirEntry::into_path);
    let folder = areas.map(|area| area.join("runs").join(run)).find(|folder| folder.is_dir());
    let was_killed = folder.as_ref().is_some_and(|folder| killed.contains(folder));
    let record =
        folder.as_ref().and_then(|folder| Folder::open(folder).ok()?.read("summary.json", FILE_BYTES_MAX).ok());
    if let Some(record) = record.filter(|_| !was_killed) {
        // What a later run has written of one that was killed knows no definition. That later run may have been killed itself.
        match serde_json::from_slice::<Summary>(&record) {
            Ok(summary) if !summary.definition.is_empty() => Built::Ended,
            _ => Built::Lost,
        }
    } else if run_lives(run) || folder.is_some() && !was_killed {
        // Of an area that a run holds, perhaps one that is not of this machine: what nobody holds has been put away by now.
        Built::Goes
    } else {
        Built::Lost
    }
}

/// Those of runs that were lost, and of runs beyond the newest ones.
fn old<'a>(
    images: &'a [BuiltImage],
    own: &str,
    runs_kept: usize,
    state: impl Fn(&str) -> Built,
) -> Vec<&'a BuiltImage> {
    let runs: BTreeSet<&str> = images.iter().map(|image| image.run.as_str()).filter(|run| *run != own).collect();
    let (ended, lost): (Vec<&str>, Vec<&str>) =
        runs.into_iter().filter(|run| state(run) != Built::Goes).partition(|run| state(run) == Built::Ended);
    // Ids sort by time. This run is one of those that are kept.
    let older = ended.iter().rev().skip(runs_kept.saturating_sub(1));
    let gone: BTreeSet<&str> = older.chain(&lost).copied().collect();
    images.iter().filter(|image| gone.contains(image.run.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(run: &str) -> BuiltImage {
        BuiltImage { name: format!("app:c-{run}"), also: Vec::new(), run: run.to_owned() }
    }

    #[test]
    fn images_go_with_their_runs_and_the_newest_stay() {
        let images: Vec<_> = ["1", "2", "3", "4", "5", "own"].map(image).to_vec();
        let gone = |kept: usize, state: fn(&str) -> Built| -> Vec<&str> {
            old(&images, "own", kept, state).into_iter().map(|image| image.run.as_str()).collect()
        };
        let ended = |_: &str| Built::Ended;
        assert_eq!(gone(3, ended), ["1", "2", "3"]);
        assert_eq!(gone(1, ended), ["1", "2", "3", "4", "5"]);
        assert_eq!(gone(0, ended), ["1", "2", "3", "4", "5"], "its own stay in any case");
        assert!(gone(6, ended).is_empty());
        let mixed = |run: &str| match run {
            "2" => Built::Goes,
            "5" => Built::Lost,
            _ => Built::Ended,
        };
        assert_eq!(gone(3, mixed), ["1", "5"], "one that goes on is not counted, one that was killed is not kept");
    }

    #[test]
    fn a_run_is_known_by_its_folder() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(camino::Utf8Path::from_path(dir.path()).expect("UTF-8"));
        // No process has the highest number that fits.
        let run = |name: &str| format!("20260101T000000.00{name}Z-{}", i32::MAX);
        let folder = |area: &str, name: &str| workspace.path("target").join(area).join("runs").join(run(name));
        for (area, name) in [("ci", "1"), ("ci", "2"), ("dev", "3")] {
            std::fs::create_dir_all(folder(area, name)).expect("made");
        }
        std::fs::create_dir_all(folder("ci", "5")).expect("made");
        for (area, name, definition) in [("ci", "1", "abc"), ("ci", "2", "abc"), ("ci", "5", "")] {
            let summary = serde_json::json!({
                "schema_version": 1, "pipeline": "p", "run": run(name), "status": "passed", "exit_code": 0, "complete": true,
                "definition": definition, "started_at": "2026-01-01T00:00:00Z", "duration_ms": 0, "steps": [],
            });
            std::fs::write(folder(area, name).join("summary.json"), summary.to_string()).expect("written");
        }
        let killed = [folder("ci", "2")];
        let states = ["1", "2", "3", "4", "5"].map(|name| run_state(&workspace, &killed, &run(name)));
        assert_eq!(states, [Built::Ended, Built::Lost, Built::Goes, Built::Lost, Built::Lost]);
        let this = crate::model::RunId::new(jiff::Timestamp::now(), std::process::id());
        assert_eq!(run_state(&workspace, &killed, this.as_str()), Built::Goes);
    }
}
