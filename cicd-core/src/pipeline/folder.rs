use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};

use super::contents::{Contents, contents};
use super::scrub::scrub;
use super::{RUNS_KEPT, Summary};
use crate::docker::run_lives;
use crate::files::{FILE_BYTES_MAX, Folder, sync};
use crate::model::{Event, EventKind, RunId};
use crate::process::{Cancel, Redactor};
use crate::step::{EventRecord, StepError, Workspace};

/// What every file that is judged held, by its path.
pub(super) const SOURCE_FILE: &str = "source.json";

/// The link to the newest finished run of an area.
const LATEST: &str = "latest";

/// How often the folder is searched until a search changes nothing: the first one may put copies without secrets in places, and more
/// are needed only where something goes on writing, which is then told.
const SEARCHES_MAX: usize = 3;

/// Nobody else reads what steps write before secrets are removed from it.
const OWNER_ONLY: u32 = 0o700;

/// The folder of one run: `target/<area>/runs/<id>/`. Until it is finished, only its owner can look into it.
#[derive(Debug)]
pub struct RunFolder {
    ci: Utf8PathBuf,
    dir: Utf8PathBuf,
    folder: Folder,
    events: Arc<EventLog>,
    redactor: Redactor,
}

/// What `events.ndjson` keeps of what tools print; all of it is in the logs of the steps.
const CHATTER_BYTES_MAX: u64 = FILE_BYTES_MAX / 4;

/// `events.ndjson`: on disk before what follows from an event happens.
#[derive(Debug)]
pub(super) struct EventLog {
    file: Mutex<Kept>,
    redactor: Redactor,
}

#[derive(Debug)]
struct Kept {
    file: BufWriter<File>,
    /// How much more it takes, of what tools print and in all: a larger one tells nobody anything after a kill, and is not searched.
    room: [u64; 2],
    /// The first failure to keep something. The run goes on, and is told so at its end.
    failed: Option<io::Error>,
}

impl Kept {
    /// Keeps a line, unless it is one of too many that a tool has printed. A record that holds no more makes the run an error.
    fn keep(&mut self, line: io::Result<String>, chatter: bool) {
        let bytes = line.as_ref().map_or(0, |line| line.len() as u64 + 1);
        let [of_chatter, in_all] = self.room;
        if chatter && bytes > of_chatter {
            return;
        }
        let fits = in_all.checked_sub(bytes);
        self.room = [if chatter { of_chatter - bytes } else { of_chatter }, fits.unwrap_or(0)];
        self.unless_failed(|file| {
            if fits.is_none() {
                return Err(io::Error::other(format!("the record of a run has at most {FILE_BYTES_MAX} bytes")));
            }
            writeln!(file, "{}", line?)?;
            if chatter { Ok(()) } else { file.flush() }
        });
    }

    fn unless_failed(&mut self, work: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = work(&mut self.file).err();
        }
    }
}

impl EventLog {
    /// Puts what was kept so far where it stays if this process is killed.
    pub(super) fn flush(&self) {
        self.lock().unless_failed(BufWriter::flush);
    }

    /// Puts all of it on disk, and tells the first failure.
    fn finish(&self) -> io::Result<()> {
        let mut kept = self.lock();
        kept.unless_failed(|file| file.flush().and_then(|()| sync(file.get_ref(), "events.ndjson")));
        kept.failed.take().map_or(Ok(()), Err)
    }

    fn metadata(&self) -> io::Result<fs::Metadata> {
        self.lock().file.get_ref().metadata()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventRecord for EventLog {
    fn keep(&self, event: &Event) {
        let line = serde_json::to_string(event).map_err(io::Error::other);
        let line = line.map(|line| self.redactor.redact(&line).into_owned());
        // Nothing follows from what a tool prints; it is written in larger pieces.
        let chatter = matches!(event.kind, EventKind::Output { .. } | EventKind::Progress { .. });
        self.lock().keep(line, chatter);
    }
}

impl RunFolder {
    /// Creates the folder and starts `events.ndjson`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(workspace: &Workspace, area: &str, id: &RunId, redactor: Redactor) -> Result<Self, StepError> {
        let ci = area_path(workspace, area);
        let dir = ci.join("runs").join(id.as_str());
        let runs = ci.join("runs");
        fs::create_dir_all(&runs).map_err(StepError::io("creating", &runs))?;
        let io = || StepError::io("creating", &dir);
        DirBuilder::new().mode(OWNER_ONLY).create(&dir).map_err(io())?;
        let folder = Folder::open(&dir).map_err(io())?;
        folder.make("steps").map_err(io())?;
        let events = folder.create("events.ndjson").map_err(StepError::io("creating", dir.join("events.ndjson")))?;
        let file =
            Mutex::new(Kept { file: BufWriter::new(events), room: [CHATTER_BYTES_MAX, FILE_BYTES_MAX], failed: None });
        let events = Arc::new(EventLog { file, redactor: redactor.clone() });
        Ok(Self { ci, events, folder, redactor, dir })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Writes down what every file that is judged holds, so that a later run can tell which ones have changed since.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_source(&self, files: &BTreeMap<String, String>) -> Result<(), StepError> {
        let path = self.dir.join(SOURCE_FILE);
        let text = serde_json::to_string(files).map_err(io::Error::other);
        let written = text.and_then(|text| self.folder.replace(SOURCE_FILE, self.redactor.redact(&text).as_bytes()));
        written.map_err(StepError::io("writing", path))
    }

    /// What keeps the events of this run.
    pub(super) fn events(&self) -> Arc<EventLog> {
        Arc::clone(&self.events)
    }

    /// Overwrites every secret in the folder, and gives what it holds then: what is written meanwhile or later was not searched.
    ///
    /// # Errors
    /// When something can be neither searched nor removed, or the folder cannot be read.
    pub(super) fn scrub(&mut self, redactor: &Redactor, cancel: &Cancel) -> Result<Contents, StepError> {
        self.events.flush();
        let io = |source| StepError::io("removing secrets from", &self.dir)(source);
        let mut searched = Contents::new();
        for _ in 0..SEARCHES_MAX {
            let before = contents(&self.dir).map_err(io)?;
            scrub(&self.dir, redactor, cancel).map_err(io)?;
            let after = contents(&self.dir).map_err(io)?;
            searched = after.intersection(&before).cloned().collect();
            if searched.len() == after.len() {
                break;
            }
        }
        Ok(searched)
    }

    /// Writes `summary.json` and points `latest` at this run. When this returns, the record is on disk, whatever happens to the
    /// power: each file, then its name, then the folder of the names.
    ///
    /// # Errors
    /// When the summary or the link cannot be written.
    pub fn finish(&mut self, summary: &Summary) -> Result<(), StepError> {
        let io = |path: &Utf8Path| StepError::io("writing", path.to_owned());
        self.events.finish().map_err(io(&self.dir.join("events.ndjson")))?;
        self.check_still_there()?;
        let path = self.dir.join("summary.json");
        let text = serde_json::to_string_pretty(summary).map_err(|error| {
            StepError::not_looked(format!("the summary cannot be written: {error}"), "report this as a bug")
        })?;
        self.folder.replace("summary.json", self.redactor.redact(&text).as_bytes()).map_err(io(&path))?;
        publish(&self.dir).map_err(io(&self.dir))?;
        point_latest(&self.ci, self.dir.file_name().unwrap_or_default()).map_err(io(&self.ci.join(LATEST)))
    }

    /// A folder that was removed while the run went on, and made again by a step that wrote into it, holds a part of the record.
    fn check_still_there(&self) -> Result<(), StepError> {
        let path = self.dir.join("events.ndjson");
        let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let ours = self.events.metadata().map(place).map_err(StepError::io("reading", &path))?;
        match fs::symlink_metadata(&path).map(place) {
            Ok(there) if there == ours => Ok(()),
            _ => Err(StepError::not_looked(
                format!("{} was removed while the run went on, and its record with it", self.dir),
                "run it again, and let nothing clean `target` meanwhile",
            )),
        }
    }
}

/// Points the link of an area at one of its runs by a relative path, so that a moved or mounted checkout still works.
pub(super) fn point_latest(area: &Utf8Path, run: &str) -> io::Result<()> {
    Folder::open(&area.canonicalize_utf8()?)?.link(LATEST, &format!("runs/{run}"))
}

/// Removes the oldest runs. This one stays even if the clock was set back and its name is the oldest, and so does the last one,
/// whose durations and results the next run asks for. A run that is told to stop does not wait for this.
pub(super) fn remove_old_runs(workspace: &Workspace, area: &str, run: &RunId, runs_kept: usize, cancel: &Cancel) {
    let ci = area_path(workspace, area);
    let Ok(entries) = ci.join("runs").read_dir_utf8() else { return };
    let mut runs: Vec<_> = entries.flatten().map(Utf8DirEntry::into_path).collect();
    runs.sort();
    let last = ci.join(LATEST).read_link_utf8().ok();
    let kept = [Some(run.as_str()), last.as_deref().and_then(Utf8Path::file_name)];
    let old = runs.iter().rev().skip(runs_kept).filter(|old| !kept.contains(&old.file_name()));
    for old in old.take_while(|_| !cancel.is_cancelled()) {
        // A run that cannot be removed is only untidy; the next run tries again.
        let _ = fs::remove_dir_all(old);
    }
}

/// Removes all but the newest runs of steps that were run alone and are over. None of them holds a lock, or points at a newest one.
pub(super) fn remove_old_lonely_runs(workspace: &Workspace, area: &str) {
    let Ok(entries) = area_path(workspace, area).join("runs").read_dir_utf8() else { return };
    let mut runs: Vec<_> = entries.flatten().map(Utf8DirEntry::into_path).collect();
    runs.retain(|run| run.file_name().is_some_and(|name| RunId::is_one(name) && !run_lives(name)));
    runs.sort();
    for old in runs.iter().rev().skip(RUNS_KEPT) {
        // As above.
        let _ = fs::remove_dir_all(old);
    }
}

/// Lets everybody look into a run who may look into the folder that it is in: no secret is left in it.
pub(super) fn publish(run: &Utf8Path) -> io::Result<()> {
    let runs = run.parent().unwrap_or(run);
    let mode = fs::metadata(runs)?.permissions().mode() & 0o777;
    fs::set_permissions(run, fs::Permissions::from_mode(mode | OWNER_ONLY))?;
    // The name of the run itself is on disk, too.
    Folder::open(runs)?.sync()
}

/// The folder of an area's runs: `target/<area>`.
pub(super) fn area_path(workspace: &Workspace, area: &str) -> Utf8PathBuf {
    workspace.path("target").join(area)
}

/// The summary of the last finished run of an area (`ci` for the main pipeline), if there is one that can be read.
#[must_use]
pub fn latest_summary(workspace: &Workspace, area: &str) -> Option<Summary> {
    let area = Folder::open(&area_path(workspace, area).canonicalize_utf8().ok()?).ok()?;
    let run = latest_run(&area)?;
    let text =
        area.child("runs").and_then(|runs| runs.child(run)).and_then(|run| run.read("summary.json", FILE_BYTES_MAX));
    serde_json::from_slice(&text.ok()?).ok()
}

/// The run that `latest` points at: a link to anything else than a run of this area is not followed.
fn latest_run(area: &Folder) -> Option<String> {
    let target = area.link_target(LATEST).ok()?.into_string().ok()?;
    target.strip_prefix("runs/").filter(|run| !run.contains('/')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::pipeline::RUNS_KEPT;
    use crate::process::CancelReason;

    #[test]
    fn the_record_is_on_disk_before_a_run_says_that_it_ended() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let id = RunId::new(jiff::Timestamp::UNIX_EPOCH, 1);
        let mut folder = RunFolder::create(&workspace, "ci", &id, Redactor::new()).expect("made");
        let others = |folder: &RunFolder| {
            fs::metadata(folder.dir()).map(|found| found.permissions().mode() & 0o077).expect("there")
        };
        assert_eq!(others(&folder), 0, "only its owner looks into a run that goes on");
        crate::files::ORDER.with_borrow_mut(Vec::clear);
        let summary = serde_json::json!({
            "schema_version": 1, "pipeline": "p", "run": id, "status": "passed", "exit_code": 0, "complete": true,
            "commit": null, "dirty": null, "tree": null, "definition": "", "started_at": "1970-01-01T00:00:00Z",
            "duration_ms": 0, "steps": [],
        });
        let summary: Summary = serde_json::from_value(summary).expect("a summary");
        folder.finish(&summary).expect("finished");
        let order = crate::files::ORDER.with_borrow(Vec::clone);
        let expected = [
            "sync events.ndjson",
            "sync summary.json",
            "name summary.json",
            "sync folder",
            "sync folder",
            "name latest",
            "sync folder",
        ];
        assert_eq!(order, expected);
        assert!(latest_summary(&workspace, "ci").is_some());
    }

    #[test]
    fn old_runs_are_removed_until_the_run_is_told_to_stop() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let runs = area_path(&workspace, "ci").join("runs");
        let id = |second| RunId::new(jiff::Timestamp::from_second(second).expect("in range"), 1);
        for second in 0..25 {
            fs::create_dir_all(runs.join(id(second).as_str())).expect("made");
        }
        symlink(Utf8Path::new("runs").join(id(2).as_str()), area_path(&workspace, "ci").join("latest"))
            .expect("linked");
        let left = |cancel: &Cancel| {
            remove_old_runs(&workspace, "ci", &id(0), RUNS_KEPT, cancel);
            let mut left: Vec<_> = runs.read_dir_utf8().expect("runs").map(|run| run.expect("a run")).collect();
            left.sort_by(|a, b| a.file_name().cmp(b.file_name()));
            (left.len(), left.get(1).map(|run| run.file_name().to_owned()))
        };
        let stopped = Cancel::new().expect("descriptors");
        stopped.cancel(CancelReason::Signal(2));
        assert_eq!(left(&stopped), (25, Some(id(1).to_string())));
        let goes_on = Cancel::new().expect("descriptors");
        assert_eq!(left(&goes_on), (RUNS_KEPT + 2, Some(id(2).to_string())), "this run and the last one stay too");
    }
}
