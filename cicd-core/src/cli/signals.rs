use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process::{Cancel, CancelReason};

/// The first signal asks everything to stop and to clean up; the second one kills what still runs.
pub(super) fn listen(cancel: Cancel) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if cancel.is_cancelled() {
                cancel.hurry();
            }
            cancel.cancel(CancelReason::Signal(u8::try_from(signal).unwrap_or(u8::MAX)));
        }
    })?;
    Ok(())
}
