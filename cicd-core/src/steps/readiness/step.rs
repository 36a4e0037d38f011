use camino::Utf8PathBuf;

use super::ReadinessCode;
use super::disk::{Disk, disk_free};
use super::port::holder;
use crate::docker::{
    ANSWER_DEADLINE, Leftover, LeftoverKind, Removal, RunState, docker, docker_tool, engine_info, labelled, owner,
    reasons, remove, silent, unreachable,
};
use crate::formats::printable::counted;
use crate::model::{Finding, FindingCode as _, Level, Target};
use crate::process::{Invocation, ProcessError, ToolRequirement};
use crate::step::{Author, Context, Outcome, Seal, Step, StepError, proof};

/// More containers than this beside our own make measurements and builds wait for each other.
const CONTAINERS_MAX_DEFAULT: u32 = 3;
/// What a build of two images with its layers, the vulnerability database and the run folder need, with room.
const DISK_FREE_MIB_MIN_DEFAULT: u64 = 2048;

/// Looks whether the machine can run what follows, before anything is started: Docker answers within ten seconds, not too many app
/// containers run, nothing is left of runs that are over, there is disk space, and ports that a step needs are free.
///
/// A machine that is not fit is an error and not a failure: it says nothing about what is being judged. The error names everything
/// that is wrong and what to do, and whatever is wired after this step does not start:
///
/// ```
/// use cicd_core::pipeline::Pipeline;
/// use cicd_core::steps::{PinnedBase, Readiness};
///
/// let mut ci = Pipeline::new("app");
/// let ready = ci.add("readiness", Readiness::new().containers_max(3).port_free(8080), ());
/// let base = ci.add("base-image", PinnedBase::from_file("ci/base.toml"), ());
/// ci.after(&base, &ready);
/// ```
///
/// What is left of earlier runs (containers, networks, volumes and temporary images with the label `dev.cicd-core.run` whose run is
/// over) is removed. Nothing of a run that may still go on is touched, in whichever checkout; `--force-reset` removes that too.
#[derive(Debug, Clone)]
pub struct Readiness {
    containers_max: u32,
    disk_free_mib_min: u64,
    ports: Vec<u16>,
}

proof! {
    /// What the readiness check saw.
    pub struct Ready("readiness of the machine") {
        /// App containers that run, of this run and others.
        containers_running: usize,
        /// Containers, networks, volumes and temporary images of earlier runs that were removed.
        leftovers_removed: usize,
        /// Free disk space where it is scarcest, in MiB.
        disk_free_mib: u64,
    }
}

impl Readiness {
    /// At most three app containers and at least 2 GiB of free disk space.
    #[must_use]
    pub fn new() -> Self {
        Self { containers_max: CONTAINERS_MAX_DEFAULT, disk_free_mib_min: DISK_FREE_MIB_MIN_DEFAULT, ports: Vec::new() }
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

    /// Adds a TCP port of this machine that a later step needs. Containers of this crate take free ones and need no such rule.
    #[must_use]
    pub fn port_free(mut self, port: u16) -> Self {
        self.ports.push(port);
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
        let owner = owner();
        let state = |it: &Leftover| it.run_state(&cx.shared().id, &owner, cx.now());
        let over = labelled(cx)?.into_iter().filter(|it| state(it) == RunState::Over).collect();
        let removal = remove(cx, over)?;
        for it in &removal.removed {
            cx.progress(format!("removed {it}"));
        }
        let left = labelled(cx)?;
        let mut taken = Vec::new();
        for &port in &self.ports {
            taken.extend(holder(cx, port)?.map(|holder| (port, holder)));
        }
        let seen = Seen {
            unknown: left.iter().filter(|it| state(it) == RunState::Unknown).cloned().collect(),
            running: left.iter().filter(|it| it.kind == LeftoverKind::Container && it.running).count(),
            removal,
            taken,
            disk: disk_free(cx.dir(), &engine_dir)?,
        };
        self.judge(&seen)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![engine_query()]
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// What the machine showed.
struct Seen {
    removal: Removal,
    unknown: Vec<Leftover>,
    running: usize,
    taken: Vec<(u16, String)>,
    disk: Disk,
}

impl Readiness {
    fn judge(&self, seen: &Seen) -> Result<Outcome<Ready>, StepError> {
        let problems = self.problems(seen);
        if !problems.is_empty() {
            let line =
                |(code, message): &(ReadinessCode, String)| format!("{}: {message}; {}", code.code(), code.info().help);
            let lines: Vec<_> = problems.iter().map(line).collect();
            return Err(StepError::not_looked(lines.join("\n"), "nothing that needs a fit machine was started"));
        }
        let removed = seen.removal.removed.len();
        let unknown = seen.unknown.iter().map(|it| {
            let message = format!("the {} {} is labelled with {:?}", it.kind.as_str(), it.name, it.run);
            Finding::new(ReadinessCode::UnknownOwner, message).target(Target::name(&it.name)).level(Level::Warn)
        });
        let ready =
            Ready { containers_running: seen.running, leftovers_removed: removed, disk_free_mib: seen.disk.free_mib };
        Ok(Outcome::of(ready)
            .findings(unknown)
            .fact("containers_running", seen.running)
            .fact("leftovers_removed", removed)
            .fact("disk_free_mib", seen.disk.free_mib)
            .headline(format!("{}, {} removed", counted(seen.running, "container"), counted(removed, "left-over"))))
    }

    /// Everything that keeps this machine from being ready.
    fn problems(&self, seen: &Seen) -> Vec<(ReadinessCode, String)> {
        let mut problems = Vec::new();
        if seen.running as u64 > u64::from(self.containers_max) {
            let message = format!("{} app containers run, at most {} may", seen.running, self.containers_max);
            problems.push((ReadinessCode::TooManyContainers, message));
        }
        let Disk { path, free_mib } = &seen.disk;
        if *free_mib < self.disk_free_mib_min {
            let message = format!("{free_mib} MiB are free at {path}, at least {} must be", self.disk_free_mib_min);
            problems.push((ReadinessCode::DiskFull, message));
        }
        let Removal { stayed, refused, .. } = &seen.removal;
        let why = if refused.is_empty() { "docker gave no reason".to_owned() } else { refused.join(" ") };
        problems.extend(stayed.iter().map(|it| (ReadinessCode::LeftoverStays, format!("{it} is still there: {why}"))));
        let taken = seen.taken.iter().map(|(port, holder)| format!("port {port} is taken by {holder}"));
        problems.extend(taken.map(|message| (ReadinessCode::PortTaken, message)));
        problems
    }
}

fn engine_query() -> Invocation {
    docker(["info", "--format", "{{json .DockerRootDir}}"]).deadline(ANSWER_DEADLINE)
}

/// Whether the engine answers, and where it keeps its data.
fn ask_engine(cx: &Context) -> Result<Utf8PathBuf, StepError> {
    let captured = match cx.run(&engine_query()) {
        Err(StepError::Process(ProcessError::TimedOut { .. })) => return Err(silent("when it was asked who it is")),
        other => other?,
    };
    // Without an engine the client prints empty values and may still end with code 0.
    let dir = serde_json::from_str::<Utf8PathBuf>(captured.stdout_text()?.trim()).ok().filter(|dir| dir.is_absolute());
    match dir {
        Some(dir) if captured.success() => Ok(dir),
        _ => {
            let said = captured.stderr_text();
            if reasons(&said).next().is_none() {
                // The client's reason is in its answer to another question.
                engine_info(cx)?;
            }
            let (problem, fix) = unreachable(&said);
            Err(StepError::not_looked(problem, fix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        let disk = Disk { path: "/".into(), free_mib: 10_000 };
        Seen { removal: Removal::default(), unknown: Vec::new(), running: 0, taken: Vec::new(), disk }
    }

    fn leftover(run: &str) -> Leftover {
        let (id, name, run, owner) = ("v1".to_owned(), "data".to_owned(), run.to_owned(), String::new());
        Leftover { kind: LeftoverKind::Volume, id, name, running: false, run, owner }
    }

    #[test]
    fn a_machine_with_room_is_ready() {
        let removal = Removal { removed: vec![leftover("20261121T093015.123Z-1"); 2], ..Removal::default() };
        let outcome = Readiness::new().judge(&Seen { running: 3, removal, ..seen() }).expect("ready");
        assert_eq!(outcome.findings, []);
        assert_eq!(outcome.value.leftovers_removed, 2);
        assert_eq!(outcome.facts.headline(), Some("3 containers, 2 left-overs removed"));
    }

    #[test]
    fn a_label_that_names_no_run_is_a_warning() {
        let outcome = Readiness::new().judge(&Seen { unknown: vec![leftover("mine")], ..seen() }).expect("ready");
        let findings: Vec<_> = outcome.findings.iter().map(|it| (it.code.as_str(), it.level)).collect();
        assert_eq!(findings, [("READY-004", Level::Warn)]);
    }

    #[test]
    fn each_problem_is_told_and_none_hides_another() {
        let stayed = vec![leftover("20261121T093015.123Z-1")];
        let error = Readiness::new()
            .judge(&Seen {
                running: 4,
                removal: Removal { stayed, refused: vec!["volume is in use".to_owned()], ..Removal::default() },
                unknown: vec![leftover("mine")],
                taken: vec![(8080, "process 4711 (python3)".to_owned())],
                disk: Disk { path: "/var".into(), free_mib: 100 },
            })
            .expect_err("not ready")
            .to_string();
        for part in [
            "READY-001: 4 app containers run, at most 3 may; wait for",
            "\nREADY-002: 100 MiB are free at /var, at least 2048 must be; free some",
            "\nREADY-003: the volume data (run 20261121T093015.123Z-1) is still there: volume is in use; remove it by hand",
            "\nREADY-005: port 8080 is taken by process 4711 (python3); end what listens there",
        ] {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
    }
}
