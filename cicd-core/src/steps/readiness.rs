use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::docker::{Leftover, LeftoverKind, RunState, docker, docker_tool, labelled, owner, remove};
use crate::model::{Finding, Level, finding_codes};
use crate::process::{Invocation, ProcessError, ToolRequirement};
use crate::step::{Context, Outcome, Step, StepError};

/// An engine that is well answers in milliseconds; one that needs longer would make every later step slow or hang it.
const ANSWER_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);
/// More containers than this beside our own make measurements and builds wait for each other.
const CONTAINERS_MAX_DEFAULT: u32 = 3;
/// What a build of two images with its layers, the vulnerability database and the run folder need, with room.
const DISK_FREE_MIB_MIN_DEFAULT: u64 = 2048;

finding_codes! {
    /// What the readiness check can find.
    pub enum ReadinessCode {
        TooManyContainers = "READY-001" {
            summary: "more app containers run than are allowed at once",
            help: "wait for the other runs to end, or stop containers that nobody needs: `docker ps --filter label=dev.cicd-core.run`",
            example: "Readiness::new().containers_max(3), and four containers with the label run",
        },
        DiskFull = "READY-002" {
            summary: "too little disk space is free",
            help: "free some: `docker system df` shows what Docker uses, `docker image prune` removes images without a name",
            example: "Readiness::new().disk_free_mib_min(2048), and 100 MiB are free",
        },
        LeftoverStays = "READY-003" {
            summary: "a left-over of an earlier run cannot be removed",
            help: "remove it by hand; `docker inspect` shows what holds it",
            example: "a volume of a run that is over, used by a container without the label",
        },
        UnknownOwner = "READY-004" {
            summary: "something carries the label of a run, but its value names none",
            help: "remove it by hand if nobody needs it; this step leaves it alone",
            example: "docker volume create --label dev.cicd-core.run=mine",
        },
    }
}

/// Looks whether the machine can run what follows, before anything is started: Docker answers, not too many app containers run,
/// nothing is left of runs that are over, and there is disk space.
///
/// What is left of earlier runs (containers, networks and volumes with the label `dev.cicd-core.run` whose run is over) is
/// removed. Nothing of a run that may still go on is touched.
///
/// ```
/// use cicd_core::steps::Readiness;
///
/// let ready = Readiness::new().containers_max(3).disk_free_mib_min(4096);
/// ```
#[derive(Debug, Clone)]
pub struct Readiness {
    containers_max: u32,
    disk_free_mib_min: u64,
}

/// What the readiness check saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// App containers that run, of this run and others.
    pub containers_running: usize,
    /// Containers, networks and volumes of earlier runs that were removed.
    pub leftovers_removed: usize,
    /// Free disk space where it is scarcest, in MiB.
    pub disk_free_mib: u64,
}

impl Readiness {
    /// At most three app containers and at least 2 GiB of free disk space.
    #[must_use]
    pub fn new() -> Self {
        Self { containers_max: CONTAINERS_MAX_DEFAULT, disk_free_mib_min: DISK_FREE_MIB_MIN_DEFAULT }
    }

    /// Sets how many app containers may run already.
    #[must_use]
    pub fn containers_max(mut self, count: u32) -> Self {
        self.containers_max = count;
        self
    }

    /// Sets how much disk space must be free, in MiB.
    #[must_use]
    pub fn disk_free_mib_min(mut self, mib: u64) -> Self {
        self.disk_free_mib_min = mib;
        self
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Step for Readiness {
    type Input = ();
    type Output = Ready;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<Ready>, StepError> {
        cx.require(&docker_tool())?;
        let engine_dir = ask_engine(cx)?;
        let place = owner();
        let state = |it: &Leftover| it.run_state(&cx.shared().id, &place, cx.now());
        let over: Vec<_> = labelled(cx)?.into_iter().filter(|it| state(it) == RunState::Over).collect();
        let refused = if over.is_empty() { Vec::new() } else { remove(cx, &over)? };
        let now = labelled(cx)?;
        let seen = Seen {
            over: over.len(),
            stayed: now.iter().filter(|it| state(it) == RunState::Over).cloned().collect(),
            unknown: now.iter().filter(|it| state(it) == RunState::Unknown).cloned().collect(),
            running: now.iter().filter(|it| it.kind == LeftoverKind::Container && it.running).count(),
            refused,
            disk: disk_free(cx.dir(), &engine_dir)?,
        };
        Ok(self.judge(&seen))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![engine_query()]
    }
}

/// What the machine showed.
struct Seen {
    over: usize,
    stayed: Vec<Leftover>,
    unknown: Vec<Leftover>,
    running: usize,
    refused: Vec<String>,
    disk: Disk,
}

/// The scarcest of the places that are written to.
struct Disk {
    path: Utf8PathBuf,
    free_mib: u64,
}

impl Readiness {
    fn judge(&self, seen: &Seen) -> Outcome<Ready> {
        let mut findings = Vec::new();
        if seen.running as u64 > u64::from(self.containers_max) {
            findings.push(Finding::new(
                ReadinessCode::TooManyContainers,
                format!("{} app containers run, at most {} may", seen.running, self.containers_max),
            ));
        }
        if seen.disk.free_mib < self.disk_free_mib_min {
            findings.push(Finding::new(
                ReadinessCode::DiskFull,
                format!(
                    "{} MiB are free at {}, at least {} must be",
                    seen.disk.free_mib, seen.disk.path, self.disk_free_mib_min
                ),
            ));
        }
        let why = if seen.refused.is_empty() { "docker gave no reason".to_owned() } else { seen.refused.join(" ") };
        for it in &seen.stayed {
            let message = format!("the {} {} of run {} is still there: {why}", it.kind.as_str(), it.id, it.run);
            findings.push(Finding::new(ReadinessCode::LeftoverStays, message).target(&it.id));
        }
        for it in &seen.unknown {
            let message = format!("the {} {} is labelled with {:?}", it.kind.as_str(), it.id, it.run);
            findings.push(Finding::new(ReadinessCode::UnknownOwner, message).target(&it.id).level(Level::Warn));
        }
        let removed = seen.over.saturating_sub(seen.stayed.len());
        let ready =
            Ready { containers_running: seen.running, leftovers_removed: removed, disk_free_mib: seen.disk.free_mib };
        Outcome::of(ready)
            .findings(findings)
            .fact("containers_running", seen.running)
            .fact("leftovers_removed", removed)
            .fact("disk_free_mib", seen.disk.free_mib)
            .headline(format!("{} containers, {removed} left-overs removed", seen.running))
    }
}

fn engine_query() -> Invocation {
    docker(["info", "--format", "{{json .DockerRootDir}}"]).deadline(ANSWER_DEADLINE)
}

/// Whether the engine answers, and where it keeps its data.
fn ask_engine(cx: &Context) -> Result<Utf8PathBuf, StepError> {
    let captured = match cx.run(&engine_query()) {
        Err(StepError::Process(ProcessError::TimedOut { .. })) => {
            return Err(StepError::not_looked(
                format!("docker did not answer within {} s", ANSWER_DEADLINE.as_secs()),
                "restart the Docker engine",
            ));
        }
        other => other?,
    };
    // Without an engine the client prints empty values and may still end with code 0.
    let dir = serde_json::from_str::<Utf8PathBuf>(captured.stdout_text()?.trim()).ok().filter(|dir| dir.is_absolute());
    match dir {
        Some(dir) if captured.success() => Ok(dir),
        _ => Err(StepError::not_looked(
            format!("docker does not answer: {}", captured.stderr_text()),
            "start the Docker engine, and see that this user may use it",
        )),
    }
}

fn disk_free(run_dir: &Utf8Path, engine_dir: &Utf8Path) -> Result<Disk, StepError> {
    // An engine on another machine keeps its data where this one cannot look.
    let places = [Some(run_dir), engine_dir.exists().then_some(engine_dir)];
    let mut scarcest: Option<Disk> = None;
    for path in places.into_iter().flatten() {
        let stat = rustix::fs::statvfs(path.as_std_path())
            .map_err(|error| StepError::io("asking for the free space of", path)(error.into()))?;
        let free_bytes = u128::from(stat.f_bavail) * u128::from(stat.f_frsize);
        let free_mib = u64::try_from(free_bytes >> 20).unwrap_or(u64::MAX);
        if scarcest.as_ref().is_none_or(|disk| free_mib < disk.free_mib) {
            scarcest = Some(Disk { path: path.to_owned(), free_mib });
        }
    }
    scarcest.ok_or_else(|| StepError::not_looked("no disk was looked at", "report this as a bug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        let disk = Disk { path: "/".into(), free_mib: 10_000 };
        Seen { over: 0, stayed: Vec::new(), unknown: Vec::new(), running: 0, refused: Vec::new(), disk }
    }

    fn leftover(run: &str) -> Leftover {
        let (id, run, owner) = ("v1".to_owned(), run.to_owned(), String::new());
        Leftover { kind: LeftoverKind::Volume, id, running: false, run, owner }
    }

    fn codes(outcome: &Outcome<Ready>) -> Vec<(&str, Level)> {
        outcome.findings.iter().map(|finding| (finding.code.as_str(), finding.level)).collect()
    }

    #[test]
    fn a_machine_with_room_is_ready() {
        let outcome = Readiness::new().judge(&Seen { running: 3, over: 2, ..seen() });
        assert_eq!(codes(&outcome), []);
        assert_eq!(outcome.value.leftovers_removed, 2);
        assert_eq!(outcome.facts.headline(), Some("3 containers, 2 left-overs removed"));
    }

    #[test]
    fn each_problem_is_told_and_none_hides_another() {
        let outcome = Readiness::new().judge(&Seen {
            running: 4,
            over: 2,
            stayed: vec![leftover("20261121T093015.123Z-1")],
            unknown: vec![leftover("mine")],
            refused: vec!["volume is in use".to_owned()],
            disk: Disk { path: "/var".into(), free_mib: 100 },
        });
        let denied = Level::Deny;
        let all = [("READY-001", denied), ("READY-002", denied), ("READY-003", denied), ("READY-004", Level::Warn)];
        assert_eq!(codes(&outcome), all);
        assert!(outcome.findings[2].message.contains("volume is in use"));
        assert_eq!(outcome.value.leftovers_removed, 1);
    }

    #[test]
    fn free_space_is_that_of_the_scarcest_place() {
        let disk = disk_free(Utf8Path::new("/"), Utf8Path::new("/proc")).expect("both exist");
        assert_eq!((disk.path.as_str(), disk.free_mib), ("/proc", 0));
        assert!(disk_free(Utf8Path::new("/does/not/exist"), Utf8Path::new("/neither")).is_err());
    }
}
