use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};

use super::Summary;
use super::scrub::scrub;
use crate::model::{Event, RunId};
use crate::process::{Cancel, Redactor};
use crate::step::{StepError, Workspace};

/// How many runs are kept on disk; older ones are removed while a new one goes on.
pub const RUNS_KEPT: usize = 20;

/// What every file that is judged held, by its path.
pub(super) const SOURCE_FILE: &str = "source.json";

/// The folder of one run: `target/<area>/runs/<id>/`.
#[derive(Debug)]
pub struct RunFolder {
    ci: Utf8PathBuf,
    dir: Utf8PathBuf,
    events: BufWriter<File>,
    redactor: Redactor,
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
        fs::create_dir(&dir).map_err(StepError::io("creating", &dir))?;
        fs::create_dir(dir.join("steps")).map_err(StepError::io("creating", &dir))?;
        let path = dir.join("events.ndjson");
        let events = BufWriter::new(File::create(&path).map_err(StepError::io("creating", path))?);
        Ok(Self { ci, dir, events, redactor })
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
        let written = text.and_then(|text| write_whole(&path, self.redactor.redact(&text).as_bytes()));
        written.map_err(StepError::io("writing", path))
    }

    /// Adds an event to `events.ndjson`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), StepError> {
        let line = serde_json::to_string(event).map_err(io::Error::other);
        let written = line.and_then(|line| writeln!(self.events, "{}", self.redactor.redact(&line)));
        written.map_err(StepError::io("writing", self.dir.join("events.ndjson")))
    }

    /// Puts what was written so far on disk, so that a run that is killed has left its record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<(), StepError> {
        self.events.flush().map_err(StepError::io("writing", self.dir.join("events.ndjson")))
    }

    /// Overwrites every secret in the folder.
    ///
    /// # Errors
    /// When a file cannot be read or overwritten.
    pub fn scrub(&mut self, redactor: &Redactor) -> Result<(), StepError> {
        self.flush()?;
        scrub(&self.dir, redactor).map_err(StepError::io("removing secrets from", &self.dir))
    }

    /// Writes `summary.json` and points `latest` at this run.
    ///
    /// # Errors
    /// When the summary or the link cannot be written.
    pub fn finish(&mut self, summary: &Summary) -> Result<(), StepError> {
        let io = |path: &Utf8Path| StepError::io("writing", path.to_owned());
        self.flush()?;
        self.check_still_there()?;
        let path = self.dir.join("summary.json");
        let text = serde_json::to_string_pretty(summary).map_err(|error| {
            StepError::not_looked(format!("the summary cannot be written: {error}"), "report this as a bug")
        })?;
        write_whole(&path, self.redactor.redact(&text).as_bytes()).map_err(io(&path))?;
        let latest = self.ci.join("latest");
        link(&self.dir, &latest).map_err(io(&latest))
    }

    /// A folder that was removed while the run went on, and made again by a step that wrote into it, holds a part of the record.
    fn check_still_there(&self) -> Result<(), StepError> {
        let path = self.dir.join("events.ndjson");
        let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let ours = self.events.get_ref().metadata().map(place).map_err(StepError::io("reading", &path))?;
        match fs::metadata(&path).map(place) {
            Ok(there) if there == ours => Ok(()),
            _ => Err(StepError::not_looked(
                format!("{} was removed while the run went on, and its record with it", self.dir),
                "run it again, and let nothing clean `target` meanwhile",
            )),
        }
    }
}

/// Removes the oldest runs. This one stays even if the clock was set back and its name is the oldest, and so does the last one,
/// whose durations and results the next run asks for. A run that is told to stop does not wait for this.
pub(super) fn remove_old_runs(workspace: &Workspace, area: &str, run: &RunId, cancel: &Cancel) {
    let ci = area_path(workspace, area);
    let Ok(entries) = ci.join("runs").read_dir_utf8() else { return };
    let mut runs: Vec<_> = entries.flatten().map(Utf8DirEntry::into_path).collect();
    runs.sort();
    let last = ci.join("latest").read_link_utf8().ok();
    let kept = [Some(run.as_str()), last.as_deref().and_then(Utf8Path::file_name)];
    let old = runs.iter().rev().skip(RUNS_KEPT).filter(|old| !kept.contains(&old.file_name()));
    for old in old.take_while(|_| !cancel.is_cancelled()) {
        // A run that cannot be removed is only untidy; the next run tries again.
        let _ = fs::remove_dir_all(old);
    }
}

/// Writes a file so that nobody ever reads half of it, whoever else writes it at the same time.
pub(super) fn write_whole(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let readable_by_all = fs::Permissions::from_mode(0o666);
    let mut unfinished = tempfile::Builder::new().permissions(readable_by_all).tempfile_in(folder)?;
    unfinished.write_all(bytes)?;
    unfinished.persist(path)?;
    Ok(())
}

/// Points the link at the run by a relative path, so that a moved or mounted checkout still works.
fn link(dir: &Utf8Path, latest: &Utf8Path) -> io::Result<()> {
    let target = Utf8Path::new("runs").join(dir.file_name().unwrap_or_default());
    let unfinished = latest.with_extension(format!("{}", std::process::id()));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(target, &unfinished)?,
    }
    fs::rename(unfinished, latest)
}

/// The folder of an area's runs: `target/<area>`.
pub(super) fn area_path(workspace: &Workspace, area: &str) -> Utf8PathBuf {
    workspace.path("target").join(area)
}

/// The summary of the last finished run of an area (`ci` for the main pipeline), if there is one that can be read.
#[must_use]
pub fn latest_summary(workspace: &Workspace, area: &str) -> Option<Summary> {
    let text = fs::read_to_string(area_path(workspace, area).join("latest/summary.json")).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::CancelReason;

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
            remove_old_runs(&workspace, "ci", &id(0), cancel);
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
