use std::io;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Output;
use super::link::Link;
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

/// Where a signal came from.
#[derive(Debug, Clone, Copy)]
enum Way {
    Direct,
    Relayed,
}

/// How often a person has asked this to stop. What a terminal sends to a whole group comes both ways, and is one request.
#[derive(Debug, Default)]
struct Requests {
    direct: usize,
    relayed: usize,
}

impl Requests {
    /// Counts a signal, and gives whether it is a request that was not counted yet.
    fn is_new(&mut self, way: Way) -> bool {
        let before = self.count();
        match way {
            Way::Direct => self.direct += 1,
            Way::Relayed => self.relayed += 1,
        }
        self.count() > before
    }

    fn count(&self) -> usize {
        self.direct.max(self.relayed)
    }
}

/// The first signal asks everything to stop and to clean up; the second one kills what still runs. What hears neither, such as
/// a step that computes, is left behind: `abandon` puts away what can be, and the program ends with the exit code it is given.
///
/// Whoever watches this process, by `link`, passes on what it is sent.
pub(super) fn listen(
    cancel: Cancel,
    link: Option<&Link>,
    abandon: impl Fn(ExitStatus) + Send + 'static,
) -> io::Result<()> {
    let (sender, arriving) = mpsc::channel();
    if let Some(link) = link {
        link.listens()?;
        let (relayed, sender) = (link.relayed()?, sender.clone());
        // One that is gone asks nothing any more, and nobody is left to give a verdict to.
        let all = relayed.chain([SIGHUP]);
        spawn("relayed", move || all.for_each(|signal| sender.send((Way::Relayed, signal)).unwrap_or(())))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    spawn("signals", move || {
        // The receiver lives as long as this process.
        signals.forever().for_each(|signal| sender.send((Way::Direct, signal)).unwrap_or(()));
    })?;
    let link = link.cloned();
    spawn("requests", move || {
        let mut requests = Requests::default();
        let mut new = arriving.into_iter().filter(|(way, _)| requests.is_new(*way)).map(|(_, signal)| signal);
        let Some(first) = new.next() else { return };
        let first = u8::try_from(first).unwrap_or(u8::MAX);
        cancel.cancel(CancelReason::Signal(first));
        let patient = cancel.clone();
        let watch = move || end_after_patience(&patient, ExitStatus::Interrupted(first), link.as_ref(), &abandon);
        // Without a thread the run still ends when its steps do.
        let _ = spawn("patience", watch);
        new.for_each(|_| cancel.hurry());
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Ends the program when patience does. A run that ends in time ends this thread too.
fn end_after_patience(cancel: &Cancel, exit: ExitStatus, link: Option<&Link>, abandon: &dyn Fn(ExitStatus)) {
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
    if let Some(link) = link {
        link.verdict(exit);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_both_ways_is_one_request() {
        let new = |ways: &[Way]| {
            let mut requests = Requests::default();
            ways.iter().filter(|way| requests.is_new(**way)).count()
        };
        use Way::{Direct, Relayed};
        assert_eq!(new(&[Direct, Relayed]), 1, "a terminal");
        assert_eq!(new(&[Relayed, Direct]), 1, "in another order");
        assert_eq!(new(&[Direct, Direct, Relayed, Relayed]), 2, "twice");
        assert_eq!(new(&[Relayed, Relayed]), 2, "sent to the watcher alone");
        assert_eq!(new(&[Direct, Relayed, Relayed]), 2, "a terminal, then one to the watcher alone");
    }
}
