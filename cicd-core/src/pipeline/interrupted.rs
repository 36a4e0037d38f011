use std::collections::BTreeMap;
use std::{fs, io};

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};

use super::folder::{SOURCE_FILE, area_path, publish};
use super::lock::RunLock;
use super::{SCHEMA_VERSION, StepReport, Summary};
#[cfg(target_os = "linux")]
use crate::docker::run_lives;
use crate::files::{FILE_BYTES_MAX, Folder, Kind};
use crate::model::{Event, EventKind, ExitStatus, RunId, Status, StepName};
use crate::process::sweep_temporary;
use crate::step::{SECRETS_FOLDER, Workspace};

/// Nothing but SIGKILL ends a run without its summary.
const KILLED: ExitStatus = ExitStatus::Interrupted(9);

/// Why a step has no result.
const KILLED_REASON: &str = "the run was killed";

/// Stands in the folder of a run that left a step behind when it gave up, which may still have started something since.
const ABANDONED: &str = "abandoned";

/// What a run keeps beside what its steps left; whatever else is there was made by nobody knows whom.
const KEPT: [&str; 9] = [
    "events.ndjson",
    "summary.json",
    "steps",
    "junit.xml",
    "report.html",
    "results.sarif",
    "tools.json",
    SOURCE_FILE,
    ABANDONED,
];

/// The log of a step.
const LOG: &str = "log.txt";

/// Puts away what earlier runs left when they were killed or gave up: ends what they left running, removes what steps that had
/// not ended wrote, which nobody has taken the secrets out of, and gives those that were killed the summary that they could not
/// write, from the events they did write. From now on, nothing that this run starts escapes it by losing its parent.
///
/// To be called while the lock of the checkout is held: then no run without a summary is still alive. A record that cannot be
/// read or written stays as it is; it is history, not a verdict.
///
/// Gives the folders of these runs. Other areas of the checkout are settled too, unless a run holds them.
pub(super) fn settle(workspace: &Workspace, area: &str) -> Vec<Utf8PathBuf> {
    #[cfg(target_os = "linux")]
    crate::process::adopt_orphans();
    if let Some(folder) = Utf8Path::from_path(&std::env::temp_dir()) {
        sweep_temporary(folder);
    }
    let mut settled = settle_area(&area_path(workspace, area), |_| true);
    let areas = workspace.path("target").read_dir_utf8().into_iter().flatten().flatten();
    // Other programs have folders in `target` too, with a `runs` in it or a link of that name: what is not named as a run is theirs.
    let holds_runs = |area: &Utf8Path| area.join("runs").symlink_metadata().is_ok_and(|found| found.is_dir());
    for other in areas.filter(|other| other.file_name() != area && holds_runs(other.path())) {
        // Held until it is settled.
        if let Some(_lock) = RunLock::free(other.path()) {
            settled.extend(settle_area(other.path(), RunId::is_one));
        }
    }
    settled
}

fn settle_area(area: &Utf8Path, is_run: impl Fn(&str) -> bool) -> Vec<Utf8PathBuf> {
    let runs = area.join("runs");
    let mut earlier: Vec<Utf8PathBuf> =
        runs.read_dir_utf8().into_iter().flatten().flatten().map(Utf8DirEntry::into_path).collect();
    earlier.retain(|run| run.file_name().is_some_and(&is_run));
    // Where there is no run at all, its folder may have been removed while what it had started went on.
    let none = earlier.is_empty();
    earlier.retain(|run| !is_complete(run) || run.join(ABANDONED).symlink_metadata().is_ok());
    #[cfg(target_os = "linux")]
    if none || !earlier.is_empty() {
        crate::process::end_all(&format!("{runs}/"), |run| !run_lives(run));
    }
    for run in &earlier {
        put_away(run, KILLED);
        // There is none where the run was killed; what cannot be removed is tried again by the next run.
        let _ = fs::remove_file(run.join(ABANDONED));
    }
    earlier
}

/// Whether a run has written its summary. Something else of that name is none.
fn is_complete(run: &Utf8Path) -> bool {
    run.join("summary.json").symlink_metadata().is_ok_and(|found| found.is_file())
}

/// Ends every process of this program's run, which does not end by itself, and writes the summary that it will not write: for
/// a program that is about to exit with this code while a step goes on.
pub fn abandon(workspace: &Workspace, area: &str, exit: ExitStatus) {
    let Ok(runs) = area_path(workspace, area).join("runs").read_dir_utf8() else { return };
    for run in runs.flatten().filter(|run| RunId::is_of_this_process(run.file_name())) {
        // A run whose record is complete was over before patience was.
        if is_complete(run.path()) {
            continue;
        }
        let _ = Folder::open(run.path()).and_then(|run| run.create(ABANDONED));
        #[cfg(target_os = "linux")]
        crate::process::end_all(&format!("{}/", run.path()), |_| true);
        put_away(run.path(), exit);
    }
}

/// Removes what may hold a secret, and completes the record.
fn put_away(run: &Utf8Path, exit: ExitStatus) {
    let Ok(folder) = Folder::open(run) else {
        // A link or a file is no run.
        let _ = fs::remove_file(run);
        return;
    };
    let summary = reconstruct(&folder, exit);
    let ended = |name: &str| {
        let mut steps = summary.iter().flat_map(|summary| &summary.steps);
        steps.any(|step| step.name.as_str() == name && step.reason.as_deref() != Some(KILLED_REASON))
    };
    // What cannot be removed is tried again by the next run, as long as there is no summary.
    let removed = remove_all_but(&folder, &KEPT).and_then(|()| remove_unfinished(&folder, run, ended));
    if is_complete(run) || removed.is_err() {
        return;
    }
    let text = summary.and_then(|summary| serde_json::to_string_pretty(&summary).ok());
    let _ = text.map(|text| folder.replace("summary.json", text.as_bytes()).and_then(|()| publish(run)));
}

/// A step that ended has had the secrets taken out of what it wrote; of another one only the log stays, out of which the runner
/// keeps them as it writes.
fn remove_unfinished(run: &Folder, dir: &Utf8Path, ended: impl Fn(&str) -> bool) -> io::Result<()> {
    let steps = match run.child("steps") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Something else stands in its place.
        Err(_) => return run.remove("steps"),
        Ok(steps) => steps,
    };
    for step in steps.entries()? {
        match step.kind {
            Kind::Folder if step.name.to_str().is_some_and(&ended) => {
                steps.child(&step.name)?.remove(SECRETS_FOLDER)?;
                sweep_temporary(&dir.join("steps").join(step.name.to_str().unwrap_or_default()));
            }
            Kind::Folder => remove_all_but(&steps.child(&step.name)?, &[LOG])?,
            _ => steps.remove(&step.name)?,
        }
    }
    Ok(())
}

fn remove_all_but(folder: &Folder, kept: &[&str]) -> io::Result<()> {
    for entry in folder.entries()? {
        let ours = kept.iter().any(|kept| entry.name == *kept);
        let alone = entry.kind == Kind::Folder || (entry.kind == Kind::File && !entry.has_other_names);
        if !ours || !alone {
            folder.remove(&entry.name)?;
        }
    }
    Ok(())
}

fn reconstruct(run: &Folder, exit: ExitStatus) -> Option<Summary> {
    let bytes = run.read("events.ndjson", FILE_BYTES_MAX).ok()?;
    // The last line may be cut off in the middle, even of a character.
    let text = String::from_utf8_lossy(&bytes);
    let events: Vec<Event> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    let (first, last) = (events.first()?, events.last()?);
    let EventKind::RunStarted { run, pipeline, steps } = &first.kind else { return None };
    let mut finished: BTreeMap<&StepName, StepReport> = events.iter().filter_map(|event| report(&event.kind)).collect();
    let killed = |name: &StepName| StepReport::not_run(name, Status::Cancelled, KILLED_REASON);
    Some(Summary {
        schema_version: SCHEMA_VERSION,
        pipeline: pipeline.clone(),
        run: serde_json::from_value::<RunId>(run.as_str().into()).ok()?,
        status: Status::Cancelled,
        exit_code: exit.code(),
        complete: false,
        commit: None,
        dirty: None,
        tree: None,
        definition: String::new(),
        program: None,
        started_at: first.at,
        duration_ms: u64::try_from(last.at.duration_since(first.at).as_millis()).unwrap_or(0),
        steps: steps.iter().map(|name| finished.remove(name).unwrap_or_else(|| killed(name))).collect(),
    })
}

fn report(kind: &EventKind) -> Option<(&StepName, StepReport)> {
    let EventKind::StepFinished { step, status, duration_ms, reason, findings, facts, attempts } = kind else {
        return None;
    };
    let report = StepReport {
        name: step.clone(),
        status: *status,
        duration_ms: *duration_ms,
        reason: reason.clone(),
        findings: findings.clone(),
        facts: facts.clone(),
        attachments: Vec::new(),
        exceptions: Vec::new(),
        loaded_from: None,
        output_sha256: None,
        attempts: attempts.clone(),
    };
    Some((step, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;

    /// A run of this process that has ended one of its two steps; `end` is what puts it away.
    fn put_away(pid: u32, end: impl Fn(&Workspace)) -> Option<Summary> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let id = RunId::new(jiff::Timestamp::UNIX_EPOCH, pid);
        let folder = workspace.path("target/ci/runs").join(id.as_str());
        fs::create_dir_all(&folder).expect("made");
        let name = |name: &str| StepName::new(name).expect("a name");
        let event = |kind| serde_json::to_string(&Event { at: jiff::Timestamp::UNIX_EPOCH, kind }).expect("JSON");
        let lines = [
            event(EventKind::RunStarted {
                run: id.to_string(),
                pipeline: "p".to_owned(),
                steps: vec![name("one"), name("two")],
            }),
            event(EventKind::StepFinished {
                step: name("one"),
                status: Status::Passed,
                duration_ms: 5,
                reason: None,
                findings: Vec::new(),
                facts: Facts::new(),
                attempts: Vec::new(),
            }),
        ];
        let cut_off = b"\n{\"at\":\"1970-01-01T00:00:00Z\",\"step\":\"\xc3";
        fs::write(folder.join("events.ndjson"), [lines.join("\n").as_bytes(), cut_off].concat()).expect("written");
        for step in ["one", "two"] {
            fs::create_dir_all(folder.join("steps").join(step).join("secrets")).expect("made");
            for file in ["report", "log.txt", "secrets/key"] {
                fs::write(folder.join("steps").join(step).join(file), "x").expect("written");
            }
        }
        fs::write(folder.join("stray"), "x").expect("written");
        end(&workspace);
        let text = fs::read_to_string(folder.join("summary.json")).ok()?;
        let left = |path: &str| folder.join(path).exists();
        let kept = ["steps/one/report", "steps/one/log.txt", "steps/two/log.txt"];
        let removed = ["steps/two/report", "steps/one/secrets", "steps/two/secrets", "stray"];
        assert!(kept.iter().all(|path| left(path)) && !removed.iter().any(|path| left(path)));
        Some(serde_json::from_str(&text).expect("readable"))
    }

    #[test]
    fn a_killed_run_keeps_what_it_had_finished() {
        let summary = put_away(7, |workspace| drop(settle(workspace, "ci"))).expect("written");
        let statuses: Vec<_> = summary.steps.iter().map(|step| step.status).collect();
        assert_eq!((summary.exit_code, statuses), (137, vec![Status::Passed, Status::Cancelled]));
    }

    #[test]
    fn what_is_no_run_of_ours_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8");
        let workspace = Workspace::at(root.join("checkout"));
        let run = "19700101T000000.000Z-7";
        let theirs = [
            workspace.path("target/doc/runs/index.html"),
            workspace.path("target/doc/runs/struct/all.html"),
            workspace.path("target/ml/runs/exp1/model.bin"),
            root.join("elsewhere").join(run).join("kept"),
        ];
        for file in &theirs {
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "x").expect("written");
        }
        fs::create_dir_all(workspace.path("target/linked")).expect("made");
        std::os::unix::fs::symlink(root.join("elsewhere"), workspace.path("target/linked/runs")).expect("linked");
        settle(&workspace, "ci");
        for file in &theirs {
            assert!(file.exists(), "{file}");
        }
    }

    #[test]
    fn who_gives_up_writes_the_record_of_its_own_run_with_the_exit_code_it_ends_with() {
        let give_up = |workspace: &Workspace| abandon(workspace, "ci", ExitStatus::Interrupted(2));
        assert_eq!(put_away(std::process::id(), give_up).map(|summary| summary.exit_code), Some(130));
        assert_eq!(put_away(1, give_up), None, "the run of another process");
    }
}
