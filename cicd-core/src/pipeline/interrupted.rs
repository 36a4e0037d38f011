use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::SystemTime;
use std::{fs, io};

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use sha2::{Digest as _, Sha256};

use super::folder::{SOURCE_FILE, area_path, point_latest, publish};
use super::lock::RunLock;
use super::run::status_of;
use super::{SCHEMA_VERSION, StepReport, Summary};
#[cfg(target_os = "linux")]
use crate::docker::run_lives;
use crate::files::{Entry, FILE_BYTES_MAX, Folder, Kind};
use crate::formats::hex;
use crate::model::{Event, EventKind, ExitStatus, RunId, Status, StepName};
use crate::process::sweep_temporary;
use crate::step::{SECRETS_FOLDER, Workspace};

/// What is written of a run that has written no summary itself.
#[derive(Debug, Clone, Copy)]
struct Untold<'a> {
    /// How its process ended, or is about to.
    exit: ExitStatus,
    /// Why the run has no verdict, where that is known.
    reason: Option<&'a str>,
    /// What its unfinished steps are if they had begun, and why.
    begun: (Status, &'a str),
    /// Why those that had not begun have no result.
    waiting: &'a str,
}

/// Whoever is killed cannot say so. A program that gives up says the same of its steps.
const KILLED: Untold<'static> = Untold {
    exit: ExitStatus::Interrupted(9),
    reason: None,
    begun: (Status::Cancelled, "the run was killed"),
    waiting: "the run was killed",
};

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

/// What is written for others out of a summary.
const REPORTS: [&str; 3] = ["junit.xml", "report.html", "results.sarif"];

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
    sweep_remembered(&area_path(workspace, area));
    let mut settled = settle_area(&area_path(workspace, area), |_| true);
    let areas = workspace.path("target").read_dir_utf8().into_iter().flatten().flatten();
    // Other programs have folders in `target` too, with a `runs` in it or a link of that name: what is not named as a run is theirs.
    let holds_runs = |area: &Utf8Path| area.join("runs").symlink_metadata().is_ok_and(|found| found.is_dir());
    for other in areas.filter(|other| other.file_name() != area && holds_runs(other.path())) {
        // Held until it is settled.
        if let Some(_lock) = RunLock::free(other.path()) {
            sweep_remembered(other.path());
            // Steps that are run alone hold no lock.
            settled.extend(settle_area(other.path(), |run| RunId::is_one(run) && !run_lives(run)));
        }
    }
    settled
}

/// Which folders the runs of an area had for temporary files, a file for each: the next run may have another one. Runs that begin in one
/// moment take nothing from each other so.
const TEMPORARY: &str = "temporary-folders";

/// Nobody has more folders for temporary files; those that were not used for longest are forgotten.
const TEMPORARY_MAX: usize = 20;

/// As the file system's own clock says.
const USED_NOW: Timestamps = {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
};

/// Keeps where a run is about to make a temporary folder, so that the next one finds it again if this one is killed.
pub(crate) fn remember_temporary(workspace: &Workspace, area: &str, parent: &Utf8Path) -> io::Result<()> {
    let area = area_path(workspace, area);
    fs::create_dir_all(&area)?;
    let parent = parent.canonicalize_utf8()?;
    let all = Folder::open(&area)?.make(TEMPORARY)?;
    let name = hex(&Sha256::digest(parent.as_str()));
    match all.read(&name, FILE_BYTES_MAX) {
        Ok(kept) if kept == parent.as_str().as_bytes() => rustix::fs::futimens(all.file(&name)?, &USED_NOW)?,
        _ => all.replace(&name, parent.as_str().as_bytes())?,
    }
    for (_, name, _) in remembered(&all).iter().skip(TEMPORARY_MAX) {
        all.remove_name(name)?;
    }
    Ok(())
}

/// When each was used last, the name under which it is kept, and its path; the last that was used first.
fn remembered(all: &Folder) -> Vec<(SystemTime, OsString, Utf8PathBuf)> {
    let kept = |Entry { name, .. }| {
        let used = all.file(&name).and_then(|file| file.metadata()?.modified()).ok()?;
        let path = String::from_utf8(all.read(&name, FILE_BYTES_MAX).ok()?).ok()?;
        Some((used, name, Utf8PathBuf::from(path)))
    };
    let mut kept: Vec<_> = all.entries().unwrap_or_default().into_iter().filter_map(kept).collect();
    kept.sort_by(|one, other| other.cmp(one));
    kept
}

/// Only folders of processes that are gone are removed, and only those that have the name of ours.
fn sweep_remembered(area: &Utf8Path) {
    let Ok(all) = Folder::open(area).and_then(|area| area.child(TEMPORARY)) else { return };
    for (_, _, parent) in remembered(&all) {
        sweep_temporary(&parent);
    }
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
        put_away(run.path(), Untold { exit, ..KILLED });
    }
}

/// What a run that ended without a verdict had come to.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// The steps that were running.
    pub(crate) running: Vec<StepName>,
    /// Whether it had started something with Docker.
    pub(crate) used_docker: bool,
}

/// Puts away a run whose process has ended, for whoever watched it, before it gave its verdict or with another exit code than it
/// had said: ends what it has left running, and writes into the record that there is no verdict, and why, whatever it says.
pub(crate) fn without_verdict(
    workspace: &Workspace,
    area: &str,
    run: &RunId,
    exit: ExitStatus,
    why: &str,
) -> Unfinished {
    let area = area_path(workspace, area);
    let dir = area.join("runs").join(run.as_str());
    #[cfg(target_os = "linux")]
    crate::process::end_all(&format!("{dir}/"), |_| true);
    let Ok(folder) = Folder::open(&dir) else { return Unfinished::default() };
    let events = events_of(&folder);
    let running: Vec<StepName> = unfinished(&events).0.into_iter().cloned().collect();
    let used_docker = events.iter().any(|event| match &event.kind {
        EventKind::ProcessStarted { command, .. } => command.split(' ').any(|word| word == "docker"),
        _ => false,
    });
    let begun = format!("it was running when {why}");
    let waiting = format!("it had not begun when {why}");
    let begun = (if matches!(exit, ExitStatus::Interrupted(_)) { Status::Cancelled } else { Status::Error }, &*begun);
    put_away(&dir, Untold { exit, reason: Some(why), begun, waiting: &waiting });
    // The next run has something to say of what cannot be written now.
    let _ = amend(&folder, exit, why).and_then(|()| publish(&dir)).and_then(|()| point_latest(&area, run.as_str()));
    Unfinished { running, used_docker }
}

/// Whatever verdict a summary has, it was not given.
fn amend(run: &Folder, exit: ExitStatus, why: &str) -> io::Result<()> {
    let mut summary: Summary = serde_json::from_slice(&run.read("summary.json", FILE_BYTES_MAX)?)?;
    if summary.reason.is_none() {
        (summary.status, summary.exit_code, summary.reason) = (status_of(exit), exit.code(), Some(why.to_owned()));
        // Nothing is loaded from a run that nobody has judged.
        (summary.complete, summary.tree, summary.definition) = (false, None, String::new());
        run.replace("summary.json", serde_json::to_string_pretty(&summary)?.as_bytes())?;
        // They say what the summary said.
        REPORTS.iter().try_for_each(|report| run.remove(report))?;
    }
    Ok(())
}

/// Removes what may hold a secret, and completes the record.
fn put_away(run: &Utf8Path, untold: Untold<'_>) {
    let Ok(folder) = Folder::open(run) else {
        // A link or a file is no run.
        let _ = fs::remove_file(run);
        return;
    };
    let events = events_of(&folder);
    let summary = reconstruct(&events, untold);
    let (begun, waiting) = unfinished(&events);
    let without_result: BTreeSet<&str> = begun.into_iter().chain(waiting).map(StepName::as_str).collect();
    let ended = |name: &str| summary.is_some() && !without_result.contains(name);
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

/// What happened, as far as it was written.
fn events_of(run: &Folder) -> Vec<Event> {
    let Ok(bytes) = run.read("events.ndjson", FILE_BYTES_MAX) else { return Vec::new() };
    // The last line may be cut off in the middle, even of a character.
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

/// The steps that had begun and not ended, and those that had not begun.
fn unfinished(events: &[Event]) -> (Vec<&StepName>, Vec<&StepName>) {
    let (mut all, mut begun, mut ended): (&[StepName], _, _) = (&[], BTreeSet::new(), BTreeSet::new());
    for event in events {
        match &event.kind {
            EventKind::RunStarted { steps, .. } => all = steps,
            EventKind::StepStarted { step } => drop(begun.insert(step)),
            EventKind::StepFinished { step, .. } => drop(ended.insert(step)),
            _ => {}
        }
    }
    all.iter().filter(|step| !ended.contains(step)).partition(|step| begun.contains(step))
}

fn reconstruct(events: &[Event], untold: Untold<'_>) -> Option<Summary> {
    let (first, last) = (events.first()?, events.last()?);
    let EventKind::RunStarted { run, pipeline, steps } = &first.kind else { return None };
    let mut finished: BTreeMap<&StepName, StepReport> = events.iter().filter_map(|event| report(&event.kind)).collect();
    let (begun, _) = unfinished(events);
    let begun: BTreeSet<&StepName> = begun.into_iter().collect();
    let no_result = |name: &StepName| match begun.contains(name) {
        true => StepReport::not_run(name, untold.begun.0, untold.begun.1),
        false => StepReport::not_run(name, Status::Cancelled, untold.waiting),
    };
    Some(Summary {
        schema_version: SCHEMA_VERSION,
        pipeline: pipeline.clone(),
        run: serde_json::from_value::<RunId>(run.as_str().into()).ok()?,
        status: status_of(untold.exit),
        exit_code: untold.exit.code(),
        reason: untold.reason.map(str::to_owned),
        complete: false,
        commit: None,
        dirty: None,
        tree: None,
        definition: String::new(),
        program: None,
        started_at: first.at,
        duration_ms: u64::try_from(last.at.duration_since(first.at).as_millis()).unwrap_or(0),
        steps: steps.iter().map(|name| finished.remove(name).unwrap_or_else(|| no_result(name))).collect(),
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
        relied_on: None,
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

    #[test]
    fn runs_that_begin_in_one_moment_remember_every_folder() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8").canonicalize_utf8().expect("a place");
        let workspace = Workspace::at(root.join("checkout"));
        let kept = || {
            let all = Folder::open(&area_path(&workspace, "ci")).and_then(|area| area.child(TEMPORARY)).expect("kept");
            remembered(&all).into_iter().map(|(_, _, path)| path).collect::<Vec<_>>()
        };
        // A name with a line end is one name.
        let parents: Vec<Utf8PathBuf> = (0..TEMPORARY_MAX).map(|number| root.join(format!("tmp\n{number}"))).collect();
        let (begun, workspace) = (&std::sync::Barrier::new(parents.len()), &workspace);
        std::thread::scope(|scope| {
            for parent in &parents {
                scope.spawn(move || {
                    fs::create_dir(parent).expect("made");
                    begun.wait();
                    remember_temporary(workspace, "ci", parent).expect("kept");
                });
            }
        });
        let mut all = kept();
        all.sort();
        let mut sorted = parents.clone();
        sorted.sort();
        assert_eq!(all, sorted);

        // One that is used again is not the one that is forgotten.
        let folder = area_path(workspace, "ci").join(TEMPORARY);
        for (age, kept) in folder.read_dir_utf8().expect("there").enumerate() {
            let kept = fs::File::open(kept.expect("there").path()).expect("opened");
            let age = std::time::Duration::from_secs(u64::try_from(age).expect("few"));
            kept.set_modified(SystemTime::UNIX_EPOCH + age).expect("set");
        }
        let oldest = kept().pop().expect("some");
        remember_temporary(workspace, "ci", &oldest).expect("kept");
        remember_temporary(workspace, "ci", &root).expect("kept");
        let all = kept();
        assert!(all.len() == TEMPORARY_MAX && all.contains(&oldest) && all.contains(&root));

        let left = oldest.join("cicd-core-staged-99999999-5-abc");
        fs::create_dir(&left).expect("made");
        settle(workspace, "ci");
        assert!(!left.exists());
    }
}
