use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Why work is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// A signal came; its number.
    Signal(u8),
    /// Another step failed and the run stops at the first failure.
    FailFast,
}

const FAIL_FAST: u8 = u8::MAX;

/// How often who waits looks at the state, should the pipe ever fail to tell.
const WAKE_UP: Duration = Duration::from_millis(500);

/// A request to stop that every running process hears at once. Clones share one state; a request is never taken back.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    hurry: AtomicBool,
    // Readable once cancelled and never drained, so that any number of pollers wake.
    reader: PipeReader,
    writer: PipeWriter,
}

impl Cancel {
    /// A fresh token.
    ///
    /// # Errors
    /// When the system has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self(Arc::new(Shared { state: AtomicU8::new(0), hurry: AtomicBool::new(false), reader, writer })))
    }

    /// Asks everything that holds this token to stop. The first reason stays.
    pub fn cancel(&self, reason: CancelReason) {
        let value = match reason {
            CancelReason::Signal(signal) => signal,
            CancelReason::FailFast => FAIL_FAST,
        };
        if self.0.state.compare_exchange(0, value, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            // The pipe is empty and one byte fits; should it fail all the same, pollers still see the state at their next wake-up.
            let _ = (&self.0.writer).write(&[1]);
        }
    }

    /// The reason, once cancelled.
    #[must_use]
    pub fn reason(&self) -> Option<CancelReason> {
        match self.0.state.load(Ordering::SeqCst) {
            0 => None,
            FAIL_FAST => Some(CancelReason::FailFast),
            signal => Some(CancelReason::Signal(signal)),
        }
    }

    /// Whether to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// Waits for so long, or until everything is asked to stop; tells whether it was.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let Ok(timeout) = Timespec::try_from(left.min(WAKE_UP)) else { return false };
            // Whatever ends the call early, the state and the clock are what counts.
            let _ = poll(&mut [PollFd::new(&self.0.reader, PollFlags::IN)], Some(&timeout));
        }
        true
    }

    /// Asks that what was told to stop is killed at once, without its grace.
    pub fn hurry(&self) {
        self.0.hurry.store(true, Ordering::SeqCst);
    }

    /// Whether nothing is to be waited for any more.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.0.hurry.load(Ordering::SeqCst)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
