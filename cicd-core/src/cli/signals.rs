use std::io;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Output;
use crate::model::ExitStatus;
use crate::process::{Cancel, CancelReason};

/// CI systems kill what has not ended some seconds after the first signal, and take its reports with it; processes are gone
/// after two seconds of grace, so what has not ended by then hears nothing.
const PATIENCE: Duration = Duration::from_millis(4500);
/// After a second signal, nobody wants to wait for more than the writing of the record.
const PATIENCE_IN_A_HURRY: Duration = Duration::from_millis(800);
/// Who reads what is written does so at once, or not at all.
const PATIENCE_WITH_READERS: Duration = Duration::from_millis(200);
/// Telling somebody who listens takes less than this.
const TELLING_POLL: Duration = Duration::from_millis(5);
/// How often it is looked whether patience has ended.
const POLL: Duration = Duration::from_millis(50);

/// The first signal asks everything to stop and to clean up; the second one kills what still runs. What hears neither, such as
/// a step that computes, is left behind: `abandon` puts away what can be, and the program ends with the exit code it is given.
pub(super) fn listen(cancel: Cancel, abandon: impl Fn(ExitStatus) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut arriving = signals.forever();
        let Some(first) = arriving.next() else { return };
        let first = u8::try_from(first).unwrap_or(u8::MAX);
        cancel.cancel(CancelReason::Signal(first));
        let patient = cancel.clone();
        let watch = move || end_after_patience(&patient, ExitStatus::Interrupted(first), &abandon);
        // Without a thread the run still ends when its steps do.
        let _ = thread::Builder::new().name("patience".to_owned()).spawn(watch);
        for _ in arriving {
            cancel.hurry();
        }
    })?;
    Ok(())
}

/// Ends the program when patience does. A run that ends in time ends this thread too.
fn end_after_patience(cancel: &Cancel, exit: ExitStatus, abandon: &dyn Fn(ExitStatus)) {
    let mut until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if cancel.is_urgent() {
            until = until.min(Instant::now() + PATIENCE_IN_A_HURRY);
            thread::sleep(until.saturating_duration_since(Instant::now()));
            break;
        }
        thread::sleep(POLL);
    }
    abandon(exit);
    complain("error: a step, or who reads this output, does not stop when it is told to; it is left behind");
    process::exit(i32::from(exit.code()));
}

/// Says so if anybody listens: writing into a pipe that is full and that nobody reads never ends.
fn complain(text: &'static str) {
    let until = Instant::now() + PATIENCE_WITH_READERS;
    let Ok(telling) = thread::Builder::new().name("telling".to_owned()).spawn(|| Output.complain(text)) else { return };
    while !telling.is_finished() && Instant::now() < until {
        thread::sleep(TELLING_POLL);
    }
}
