//! Processes that left the group of the one that started them, as daemons do: found by a variable that everything a run starts
//! inherits.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use super::MARK;

/// A process that starts another one each time it is looked at ends with this many rounds; no tool does that.
const ROUNDS_MAX: usize = 100;

/// From now on, what loses its parent becomes a child of this process instead of the system's first one, so that
/// [`end_orphans`] finds it.
pub(crate) fn adopt_orphans() {
    // An old kernel that cannot do this leaves what has left its group to the sweep of the next run.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Kills every adopted process that has the mark in its environment: what one invocation left behind when it ended.
pub(super) fn end_orphans(mark: &OsStr) {
    for _ in 0..ROUNDS_MAX {
        let ended = adopted().into_iter().filter(|&pid| end(pid, |value| value == mark.as_bytes())).count();
        if ended == 0 {
            return;
        }
    }
}

/// Kills every process of this user whose mark begins with `prefix` and whose run, which comes behind it, is one that `over` says
/// is over, and gives how many there were. This process and those it was started by are left alone.
pub(crate) fn end_all(prefix: &str, over: impl Fn(&str) -> bool) -> usize {
    let wanted = |mark: &[u8]| {
        let rest = mark.strip_prefix(prefix.as_bytes());
        rest.is_some_and(|rest| {
            over(rest.split(|&byte| byte == b'/').next().map_or("", |run| std::str::from_utf8(run).unwrap_or("")))
        })
    };
    let own = ancestors();
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Pid::from_raw);
    pids.filter(|pid| !own.contains(pid) && end(*pid, wanted)).count()
}

/// Kills a process if its mark is a wanted one. It is held before it is looked at, so that no other one that got its number
/// since is hit.
fn end(pid: Pid, wanted: impl Fn(&[u8]) -> bool) -> bool {
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let Ok(environment) = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())) else { return false };
    let mark =
        environment.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
    if !mark.is_some_and(wanted) || pidfd_send_signal(&held, Signal::KILL).is_err() {
        return false;
    }
    // An orphan that was adopted is ours to wait for; anything else refuses.
    let _ = waitpid(Some(pid), WaitOptions::empty());
    true
}

/// The children of this process's first thread: the kernel gives orphans to the first thread that lives, and asking not all of
/// them is what keeps the end of a step cheap. And those of this thread: what a process starts as its brother has its parent.
/// Where the kernel does not tell, there are none to be seen.
fn adopted() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero();
    let lists = [format!("/proc/self/task/{own}/children"), "/proc/thread-self/children".to_owned()];
    let text: String = lists.iter().filter_map(|list| fs::read_to_string(list).ok()).collect();
    text.split_ascii_whitespace().filter_map(|number| Pid::from_raw(number.parse().ok()?)).collect()
}

fn ancestors() -> Vec<Pid> {
    let mut all = vec![rustix::process::getpid()];
    while let Some(parent) = all.last().and_then(|&pid| parent(pid)) {
        all.push(parent);
    }
    all
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name, in brackets, may hold anything; the state and the parent follow its last bracket.
    let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?;
    Pid::from_raw(parent.parse().ok()?)
}
