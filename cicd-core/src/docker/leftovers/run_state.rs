use std::fs;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, test_kill_process};

use super::Leftover;
use crate::model::RunId;
use crate::process::has_ended;

/// A run whose process cannot be looked at, because it belongs to another machine or container that shares the engine, is over
/// after this long: no run lasts a day.
const FOREIGN_RUN_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The unit of the start times in `/proc/<pid>/stat`: 100 a second on every Linux, whatever the kernel's own tick.
const PROC_TICKS_PER_SECOND: u64 = 100;
/// A run takes its name just after its process has started; clocks are set by less than this.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

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

/// Where this process is and when it began: the machine since its last start, its process namespace, and the tick of the kernel's
/// own clock at which the process started. Two runs whose first two parts are the same see each other's processes, and the tick
/// tells a process from a later one of the same number even when the clock was set in between.
#[must_use]
pub fn owner() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    match (boot, namespace, start_tick("self")) {
        (Ok(boot), Ok(namespace), Some(tick)) => format!("{}/{}/{tick}", boot.trim(), namespace.display()),
        // A system that does not tell is taken for one machine.
        _ => "unknown".to_owned(),
    }
}

impl Leftover {
    /// Whether the run that made it goes on. `own` and `own_owner` are those of the run that asks, see [`owner`].
    #[must_use]
    pub fn run_state(&self, own: &RunId, own_owner: &str, now: Timestamp) -> RunState {
        if self.run == own.as_str() {
            return RunState::Alive;
        }
        let Some((started, pid)) = parse_run(&self.run) else { return RunState::Unknown };
        let (place, tick) = split(&self.owner);
        let alive = if place == split(own_owner).0 {
            is_running(pid, started, tick)
        } else {
            now.duration_since(started) < FOREIGN_RUN_MAX
        };
        if alive { RunState::Alive } else { RunState::Over }
    }
}

/// Whether the process of the run of this id goes on. One that is ending, or only waits to be asked how it ended, does not.
pub(crate) fn run_lives(run: &str) -> bool {
    let Some((started, pid)) = parse_run(run) else { return false };
    is_running(pid, started, None)
}

/// The start and the process of a run, from its id.
fn parse_run(run: &str) -> Option<(Timestamp, Pid)> {
    let (moment, pid) = run.rsplit_once('-')?;
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.fZ", moment).ok()?;
    let started = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some((started, Pid::from_raw(pid.parse().ok()?)?))
}

/// The place of an [`owner`], and the tick at which its process started.
fn split(owner: &str) -> (&str, Option<u64>) {
    let parts = owner.rsplit_once('/').and_then(|(place, tick)| Some((place, tick.parse().ok()?)));
    parts.map_or((owner, None), |(place, tick)| (place, Some(tick)))
}

/// Whether the process that started a run then still lives. Another process that has got its number since began later.
fn is_running(pid: Pid, run_started: Timestamp, tick: Option<u64>) -> bool {
    let exists = match test_kill_process(pid) {
        Ok(()) => true,
        // It is there and belongs to somebody else.
        Err(error) => error != rustix::io::Errno::SRCH,
    };
    // What cannot be told counts as alive.
    exists
        && !has_ended(pid)
        && match (tick, start_tick(&pid.as_raw_nonzero().to_string())) {
            (_, None) => true,
            (Some(then), Some(now)) => then == now,
            (None, Some(now)) => started_at(now).is_none_or(|started| started <= run_started + CLOCK_SLACK),
        }
}

/// When a process started, in ticks since the machine did.
fn start_tick(pid: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the start is the 20th field after it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The same by the clock as it is set now.
fn started_at(tick: u64) -> Option<Timestamp> {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(boot.checked_add_unsigned(tick / PROC_TICKS_PER_SECOND)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::LeftoverKind;

    const OWN: u32 = 1;

    fn leftover(run: &str, owner: &str) -> Leftover {
        let (id, name, run, owner) = ("x".to_owned(), "x".to_owned(), run.to_owned(), owner.to_owned());
        Leftover { kind: LeftoverKind::Container, id, name, running: true, run, owner }
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
        // No process has the highest number that fits.
        assert_eq!(state(RunId::new(now, i32::MAX as u32).as_str(), "here"), RunState::Over);
        // This process has that number now, but it began after that run.
        let earlier = now - SignedDuration::from_hours(24 * 365);
        assert_eq!(state(RunId::new(earlier, this).as_str(), "here"), RunState::Over);
    }

    #[test]
    fn a_process_is_known_by_its_first_tick_whatever_the_clock_says() {
        let (this, own) = (std::process::id(), owner());
        let (place, tick) = split(&own);
        let tick = tick.expect("this system tells");
        let state = |run: Timestamp, owner: &str| {
            let run = RunId::new(run, this);
            leftover(run.as_str(), owner).run_state(&RunId::new(Timestamp::now(), OWN), &own, Timestamp::now())
        };
        let (now, year) = (Timestamp::now(), SignedDuration::from_hours(24 * 365));
        for run in [now, now - year, now + year] {
            assert_eq!(state(run, &own), RunState::Alive);
            assert_eq!(state(run, &format!("{place}/{}", tick + 1)), RunState::Over);
        }
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
        // Nor can one that does not say where it was.
        assert_eq!(state(RunId::new(now, gone).as_str(), ""), RunState::Alive);
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
}
