use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};

use super::folder::{area_path, write_whole};
use super::{SCHEMA_VERSION, StepReport, Summary};
use crate::model::{Event, EventKind, ExitStatus, RunId, Status, StepName};
use crate::process::sweep_temporary;
use crate::step::{SECRETS_FOLDER, Workspace};

/// Nothing but SIGKILL ends a run without its summary.
const KILLED: ExitStatus = ExitStatus::Interrupted(9);

/// Stands in the folder of a run that left a step behind when it gave up, which may still have started something since.
const ABANDONED: &str = "abandoned";

/// Puts away what earlier runs left when they were killed or gave up: ends what they left running, removes their temporary
/// folders and the files with secrets, and gives those that were killed the summary that they could not write, from the events they did write. From now
/// on, nothing that this run starts escapes it by losing its parent.
///
/// To be called while the lock of the checkout is held: then no run without a summary is still alive. A record that cannot be
/// read or written stays as it is; it is history, not a verdict.
pub(super) fn settle(workspace: &Workspace, area: &str) {
    #[cfg(target_os = "linux")]
    crate::process::adopt_orphans();
    if let Some(folder) = Utf8Path::from_path(&std::env::temp_dir()) {
        sweep_temporary(folder);
    }
    let runs = area_path(workspace, area).join("runs");
    let earlier: Vec<Utf8PathBuf> =
        runs.read_dir_utf8().into_iter().flatten().flatten().map(Utf8DirEntry::into_path).collect();
    let unsettled = |run: &&Utf8PathBuf| !run.join("summary.json").exists() || run.join(ABANDONED).exists();
    let unsettled: Vec<&Utf8PathBuf> = earlier.iter().filter(unsettled).collect();
    // Where there is no run at all, its folder may have been removed while what it had started went on.
    #[cfg(target_os = "linux")]
    if earlier.is_empty() || !unsettled.is_empty() {
        crate::process::end_all(&format!("{runs}/"));
    }
    for run in unsettled {
        remove_secrets(run);
        complete(run, KILLED);
        // There is none where the run was killed; what cannot be removed is tried again by the next run.
        let _ = fs::remove_file(run.join(ABANDONED));
    }
}

/// Ends every process of this program's run, which does not end by itself, and writes the summary that it will not write: for
/// a program that is about to exit with this code while a step goes on.
pub fn abandon(workspace: &Workspace, area: &str, exit: ExitStatus) {
    let Ok(runs) = area_path(workspace, area).join("runs").read_dir_utf8() else { return };
    for run in runs.flatten().filter(|run| RunId::is_of_this_process(run.file_name())) {
        // A run whose record is complete was over before patience was.
        if run.path().join("summary.json").exists() {
            continue;
        }
        let _ = fs::write(run.path().join(ABANDONED), "");
        #[cfg(target_os = "linux")]
        crate::process::end_all(&format!("{}/", run.path()));
        remove_secrets(run.path());
        complete(run.path(), exit);
    }
}

fn remove_secrets(run: &Utf8Path) {
    let steps = run.join("steps").read_dir_utf8().into_iter().flatten().flatten();
    for step in steps {
        sweep_temporary(step.path());
        // There is nothing to remove in most.
        let _ = fs::remove_dir_all(step.path().join(SECRETS_FOLDER));
    }
}

fn complete(run: &Utf8Path, exit: ExitStatus) {
    let path = run.join("summary.json");
    if path.exists() {
        return;
    }
    let text = reconstruct(run, exit).and_then(|summary| serde_json::to_string_pretty(&summary).ok());
    let _ = text.map(|text| write_whole(&path, text.as_bytes()));
}

fn reconstruct(run: &Utf8Path, exit: ExitStatus) -> Option<Summary> {
    let bytes = fs::read(run.join("events.ndjson")).ok()?;
    // The last line may be cut off in the middle, even of a character.
    let text = String::from_utf8_lossy(&bytes);
    let events: Vec<Event> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    let (first, last) = (events.first()?, events.last()?);
    let EventKind::RunStarted { run, pipeline, steps } = &first.kind else { return None };
    let mut finished: BTreeMap<&StepName, StepReport> = events.iter().filter_map(|event| report(&event.kind)).collect();
    let killed = |name: &StepName| StepReport::not_run(name, Status::Cancelled, "the run was killed");
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
        end(&workspace);
        let text = fs::read_to_string(folder.join("summary.json")).ok()?;
        Some(serde_json::from_str(&text).expect("readable"))
    }

    #[test]
    fn a_killed_run_keeps_what_it_had_finished() {
        let summary = put_away(7, |workspace| settle(workspace, "ci")).expect("written");
        let statuses: Vec<_> = summary.steps.iter().map(|step| step.status).collect();
        assert_eq!((summary.exit_code, statuses), (137, vec![Status::Passed, Status::Cancelled]));
    }

    #[test]
    fn who_gives_up_writes_the_record_of_its_own_run_with_the_exit_code_it_ends_with() {
        let give_up = |workspace: &Workspace| abandon(workspace, "ci", ExitStatus::Interrupted(2));
        assert_eq!(put_away(std::process::id(), give_up).map(|summary| summary.exit_code), Some(130));
        assert_eq!(put_away(1, give_up), None, "the run of another process");
    }
}
