use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, test_kill_process};

use super::{LABEL_OWNER, LABEL_RUN, docker};
use crate::model::RunId;
use crate::process::{Captured, Invocation};
use crate::step::{Context, ReadError, StepError};

/// Questions to the engine are answered in milliseconds.
const QUERY_DEADLINE: Duration = Duration::from_secs(20);
/// Stopping and removing many containers takes the engine a while.
const REMOVE_DEADLINE: Duration = Duration::from_secs(60);
/// A run whose process cannot be looked at, because it belongs to another machine or container that shares the engine, is over
/// after this long: no run lasts a day.
const FOREIGN_RUN_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The unit of the start times in `/proc/<pid>/stat`: 100 a second on every Linux, whatever the kernel's own tick.
const PROC_TICKS_PER_SECOND: i64 = 100;
/// A run takes its name just after its process has started; clocks are set by less than this.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Something in the engine that carries the label of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// What the engine knows it by.
    pub id: String,
    /// Whether it is a container that runs.
    pub running: bool,
    /// The run that made it.
    pub run: String,
    /// Where that run's process is, see [`owner`]; empty where the label is missing.
    pub owner: String,
}

/// What carries the label of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

/// What is known about the run that made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It goes on, or nothing proves that it is over.
    Alive,
    /// It is over.
    Over,
    /// The label does not name a run.
    Unknown,
}

/// Where this process is: the machine since its last start, and its process namespace. Two runs with the same value see each
/// other's processes. A system that does not tell is taken for one machine.
#[must_use]
pub fn owner() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    match (boot, namespace) {
        (Ok(boot), Ok(namespace)) => format!("{}/{}", boot.trim(), namespace.display()),
        _ => "unknown".to_owned(),
    }
}

/// Everything in the engine that carries the label of some run.
///
/// # Errors
/// When the engine does not answer, or not in the way that was asked for.
pub fn labelled(cx: &Context) -> Result<Vec<Leftover>, StepError> {
    let mut all = Vec::new();
    for kind in [LeftoverKind::Container, LeftoverKind::Network, LeftoverKind::Volume] {
        all.extend(kind.read(&cx.run_ok(&kind.list())?)?);
    }
    Ok(all)
}

/// Asks the engine to remove them, and returns what it said where it refused. What counts is what [`labelled`] finds afterwards.
///
/// # Errors
/// When `docker` cannot be run.
pub fn remove(cx: &Context, leftovers: &[Leftover]) -> Result<Vec<String>, StepError> {
    let mut refused = Vec::new();
    // Containers first: what they use cannot be removed before them.
    for kind in [LeftoverKind::Container, LeftoverKind::Network, LeftoverKind::Volume] {
        let ids: Vec<_> = leftovers.iter().filter(|it| it.kind == kind).map(|it| it.id.as_str()).collect();
        if !ids.is_empty() {
            let captured = cx.run(&kind.removal().args(ids))?;
            if !captured.success() {
                refused.push(captured.stderr_text());
            }
        }
    }
    Ok(refused)
}

impl LeftoverKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }

    fn list(self) -> Invocation {
        let labels = format!(r#"{{{{json (.Label "{LABEL_RUN}")}}}},{{{{json (.Label "{LABEL_OWNER}")}}}}"#);
        let filter = format!("label={LABEL_RUN}");
        let (command, row) = match self {
            Self::Container => (vec!["ps", "--all", "--no-trunc"], "{{json .ID}},{{json .State}}"),
            Self::Network => (vec!["network", "ls", "--no-trunc"], r#"{{json .ID}},"""#),
            Self::Volume => (vec!["volume", "ls"], r#"{{json .Name}},"""#),
        };
        docker([])
            .args(command)
            .args(["--filter", &filter, "--format", &format!("[{row},{labels}]")])
            .deadline(QUERY_DEADLINE)
    }

    fn removal(self) -> Invocation {
        match self {
            Self::Container => docker(["rm", "--force", "--volumes"]),
            Self::Network => docker(["network", "rm"]),
            Self::Volume => docker(["volume", "rm"]),
        }
        .deadline(REMOVE_DEADLINE)
    }

    fn read(self, captured: &Captured) -> Result<Vec<Leftover>, StepError> {
        let rows = captured.stdout_text()?.lines().map(|line| {
            let (id, state, run, owner): (String, String, String, String) = serde_json::from_str(line)
                .map_err(|error| ReadError::new(format!("docker's list of {}s", self.as_str()), error))?;
            Ok(Leftover { kind: self, id, running: state == "running", run, owner })
        });
        rows.collect()
    }
}

impl Leftover {
    /// Whether the run that made it goes on.
    #[must_use]
    pub fn run_state(&self, own: &RunId, own_place: &str, now: Timestamp) -> RunState {
        if self.run == own.as_str() {
            return RunState::Alive;
        }
        let Some((started, pid)) = parse_run(&self.run) else { return RunState::Unknown };
        let visible = self.owner.is_empty() || self.owner == own_place;
        let alive = if visible { is_running(pid, started) } else { now.duration_since(started) < FOREIGN_RUN_MAX };
        if alive { RunState::Alive } else { RunState::Over }
    }
}

/// The start and the process of a run, from its id.
fn parse_run(run: &str) -> Option<(Timestamp, Pid)> {
    let (moment, pid) = run.rsplit_once('-')?;
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.fZ", moment).ok()?;
    let started = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some((started, Pid::from_raw(pid.parse().ok()?)?))
}

/// Whether the process that started a run then still lives. Another process that has got its number since began later.
fn is_running(pid: Pid, run_started: Timestamp) -> bool {
    let exists = match test_kill_process(pid) {
        Ok(()) => true,
        // It is there and belongs to somebody else.
        Err(error) => error != rustix::io::Errno::SRCH,
    };
    exists && process_started(pid).is_none_or(|started| started <= run_started + CLOCK_SLACK)
}

fn process_started(pid: Pid) -> Option<Timestamp> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything; the start is the 20th field after it.
    let ticks: i64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(boot.checked_add(ticks / PROC_TICKS_PER_SECOND)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Exit;

    const OWN: u32 = 1;

    fn leftover(run: &str, owner: &str) -> Leftover {
        let (run, owner) = (run.to_owned(), owner.to_owned());
        Leftover { kind: LeftoverKind::Container, id: "x".to_owned(), running: true, run, owner }
    }

    fn state(run: &str, owner: &str) -> RunState {
        let now = Timestamp::now();
        leftover(run, owner).run_state(&RunId::new(now, OWN), "here", now)
    }

    #[test]
    fn a_run_lives_as_long_as_its_process() {
        let now = Timestamp::now();
        let this = std::process::id();
        assert_eq!(state(RunId::new(now, this).as_str(), "here"), RunState::Alive);
        assert_eq!(state(RunId::new(now, this).as_str(), ""), RunState::Alive);
        // No process has the highest number that fits.
        assert_eq!(state(RunId::new(now, i32::MAX as u32).as_str(), "here"), RunState::Over);
        // This process has that number now, but it began after that run.
        let earlier = now - SignedDuration::from_hours(24 * 365);
        assert_eq!(state(RunId::new(earlier, this).as_str(), "here"), RunState::Over);
    }

    #[test]
    fn our_own_run_is_never_over() {
        let now = Timestamp::now();
        let own = RunId::new(now, i32::MAX as u32);
        assert_eq!(leftover(own.as_str(), "here").run_state(&own, "here", now), RunState::Alive);
    }

    #[test]
    fn a_run_that_cannot_be_looked_at_is_over_after_a_day() {
        let now = Timestamp::now();
        let gone = i32::MAX as u32;
        assert_eq!(
            state(RunId::new(now - SignedDuration::from_hours(23), gone).as_str(), "elsewhere"),
            RunState::Alive
        );
        assert_eq!(state(RunId::new(now - SignedDuration::from_hours(25), gone).as_str(), "elsewhere"), RunState::Over);
    }

    #[test]
    fn labels_that_name_no_run_are_left_alone() {
        for run in [
            "",
            "x",
            "-1",
            "20261121T093015.123Z",
            "20261121T093015.123Z--1",
            "20261121T093015.123Z-0",
            "2026-99999999999",
        ] {
            assert_eq!(state(run, "here"), RunState::Unknown, "{run:?}");
        }
    }

    #[test]
    fn lists_are_read_line_by_line_and_a_broken_line_is_an_error() {
        // As docker 20.10.24 wrote it on 2026-11-21.
        let line = r#"["5dccea34b3199427fde55bde6e34b9be2cc5ce3836da4d038bb776c959f30490","exited","20261121T093015.123Z-4711",""]"#;
        let read = |text: &str| LeftoverKind::Container.read(&Captured::recorded(Exit::Code(0), text, ""));
        let one = read(&format!("{line}\n")).expect("a list");
        assert_eq!((one.len(), one[0].running, one[0].run.as_str()), (1, false, "20261121T093015.123Z-4711"));
        assert_eq!(read("").expect("an empty list"), []);
        for bad in [&line[..line.len() - 1], "[]", "{}", "5dccea34b319"] {
            assert!(read(bad).is_err(), "{bad} was accepted");
        }
    }
}
