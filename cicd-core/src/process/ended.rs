//! Whether a process is still there to do anything.

use std::fs;

use rustix::process::Pid;

/// How many fields stand between the state and the flags of a process in `/proc/<pid>/stat`.
const FLAGS_AFTER_STATE: usize = 5;
/// How many stand between the state and the time that it ran.
const TICKS_AFTER_STATE: usize = 10;
/// The flag of a process that is ending: it has let go of its locks, or is about to (`PF_EXITING`).
const EXITING: u32 = 0x4;

/// How much a process had run, in ticks of its own and of the system for it, when it was stopped: by whoever wants it to go on later, or by
/// the system, as it has asked the terminal for something without being in its foreground. None where it is not stopped.
pub(super) fn stopped_at(pid: Pid) -> Option<u64> {
    ticks_if_stopped(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

fn ticks_if_stopped(stat: &str) -> Option<u64> {
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let is_stopped = fields.next()? == "T";
    let own: u64 = fields.nth(TICKS_AFTER_STATE)?.parse().ok()?;
    let for_it: u64 = fields.next()?.parse().ok()?;
    is_stopped.then_some(own.saturating_add(for_it))
}

/// Whether a process is ending, or has ended and only waits to be asked how, which an idle first process of a container never does.
/// Such a one still has its number, and can be signalled. Where the system does not tell, it is not.
pub(crate) fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.ok().and_then(|stat| is_over(&stat)).unwrap_or(false)
}

fn is_over(stat: &str) -> Option<bool> {
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let flags: u32 = fields.nth(FLAGS_AFTER_STATE)?.parse().ok()?;
    Some(matches!(state, "Z" | "X") || flags & EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_has_asked_how_it_ended_has_ended() {
        assert!(!has_ended(rustix::process::getpid()));
        #[expect(clippy::disallowed_methods, reason = "one that is not waited for is what is being tested")]
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let pid = Pid::from_child(&child);
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).expect("it ends");
        assert!(has_ended(pid), "nobody has asked yet");
        child.wait().expect("asked");
        assert!(!has_ended(pid), "it is not there at all");
    }

    #[test]
    fn state_and_flags_decide() {
        let stat = |state: &str, flags: u32| format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0");
        assert_eq!(is_over(&stat("S", 0x40_0000)), Some(false));
        assert_eq!(is_over(&stat("R", 0x40_0004)), Some(true));
        assert_eq!(is_over(&stat("Z", 0)), Some(true));
        assert_eq!(is_over("7 (a"), None);
        let ran = |state: &str| format!("{} 0 0 5 7 0", stat(state, 0));
        assert_eq!(ticks_if_stopped(&ran("T")), Some(12));
        assert_eq!(ticks_if_stopped(&ran("S")), None);
        assert_eq!(ticks_if_stopped("7 (a"), None);
    }
}
