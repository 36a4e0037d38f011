use std::fs;
use std::io::{self, PipeReader};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use super::child::{Child, PIPE_BYTES};
use super::{Cancel, Captured, Exit, Invocation, OutputSink, ProcessError, Stream};
use crate::files::{self, FILE_BYTES_MAX};

/// How long a process group has between TERM and KILL, at its deadline and when a run is cancelled.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long a process that has ended may leave its pipes open to something it started.
const DRAIN: Duration = Duration::from_millis(500);
/// What the pipes of a process may still hold when it has ended: twice the most that a pipe can be made to hold. Whatever comes
/// beyond that is written by something else.
const DRAIN_BYTES_MAX: u64 = 2 << 20;
/// How often a child is asked whether it has ended where the system has no descriptor to wait on.
const CHILD_POLL: Duration = Duration::from_millis(10);
/// How often a process that was told to stop is looked at for an order to kill it now.
const URGENCY_POLL: Duration = Duration::from_millis(50);
/// How often a process is looked at for being stopped.
const STOPPED_POLL: Duration = Duration::from_secs(1);
/// Nobody lets a process go on who has not after so many looks.
const STOPPED_TIMES: usize = 2;
/// Reading less at a time than a pipe holds only costs calls.
const CHUNK_BYTES: usize = PIPE_BYTES;
/// How much of the end of standard error is kept for messages.
const STDERR_TAIL_BYTES: usize = 16 << 10;

/// Runs `program` as `invocation` says, feeding its full output to `sink`.
///
/// The process gets its own process group, which is gone when this returns. Any exit code is `Ok`: what a code means is the
/// tool's business.
///
/// # Errors
/// When it cannot be started, is still running at its deadline, is cancelled, leaves something running that holds its output
/// open, or its output cannot be kept.
pub fn execute(
    invocation: &Invocation,
    program: &Utf8Path,
    sink: &mut dyn OutputSink,
    cancel: &Cancel,
) -> Result<Captured, ProcessError> {
    let command = invocation.to_string();
    let io = |action: &'static str| {
        let command = command.clone();
        move |source: io::Error| ProcessError::Io { command, action, source }
    };
    if let Some(reason) = cancel.reason() {
        return Err(ProcessError::Cancelled { command, reason });
    }
    if let Some(report) = &invocation.report {
        remove_stale(report).map_err(io("removing an earlier report"))?;
    }
    let started = Instant::now();
    let _orphans = Orphans(invocation.mark.as_deref());
    let (child, stdout, stderr) = Child::start(invocation, program, &command)?;
    let mut pump = Pump {
        child,
        pipes: [Some((Stream::Stdout, stdout)), Some((Stream::Stderr, stderr))],
        chunk: Vec::with_capacity(CHUNK_BYTES),
        stdout: Vec::new(),
        stdout_bytes: 0,
        stdout_bytes_max: invocation.stdout_bytes_max,
        stderr: Vec::new(),
        stderr_bytes: 0,
        stderr_bytes_max: invocation.stderr_bytes_max,
        stderr_tail: Vec::new(),
    };
    let end = pump.run(started + invocation.deadline, sink, cancel).map_err(io("keeping its output"));
    sink.finish().map_err(io("keeping its output"))?;
    let (ending, exit) = end?;
    pump.leave_out(invocation.cut_bytes);
    let mut captured = Captured {
        command: command.clone(),
        exit,
        stdout: pump.stdout,
        stdout_bytes: pump.stdout_bytes,
        stderr_tail: pump.stderr_tail,
        stderr: pump.stderr,
        stderr_bytes: pump.stderr_bytes,
        report: None,
        duration: started.elapsed(),
    };
    match ending {
        Ending::Done => {}
        Ending::Deadline => {
            return Err(ProcessError::TimedOut {
                stderr: captured.stderr_text(),
                command,
                deadline: invocation.deadline,
            });
        }
        Ending::Cancelled => {
            let reason = cancel.reason().unwrap_or(super::CancelReason::FailFast);
            return Err(ProcessError::Cancelled { command, reason });
        }
        Ending::Stopped => return Err(ProcessError::Stopped { stderr: captured.stderr_text(), command }),
        Ending::Leaked => return Err(ProcessError::LeftRunning { command, exit }),
    }
    if let Some(report) = &invocation.report {
        captured.report = read_report(report).map_err(io("reading its report"))?;
    }
    Ok(captured)
}

/// When this is dropped, nothing is left of what an invocation started, in its group or not.
struct Orphans<'a>(Option<&'a std::ffi::OsStr>);

impl Drop for Orphans<'_> {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(mark) = self.0 {
            super::strays::end_orphans(mark);
        }
    }
}

fn remove_stale(report: &Utf8Path) -> io::Result<()> {
    match fs::remove_file(report) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_report(report: &Utf8Path) -> io::Result<Option<Vec<u8>>> {
    match files::read(report, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{report}: {error}"))),
        Ok(bytes) => Ok(Some(bytes)),
    }
}

/// Looks for a process that is stopped, however much those that it started go on to say.
struct StoppedLooks {
    next: Instant,
    /// How often in a row it was seen so, and how much it had run by then: one that is stopped and let go on in turns is none.
    times: usize,
    ticks: Option<u64>,
}

impl StoppedLooks {
    fn new() -> Self {
        Self { next: Instant::now() + STOPPED_POLL, times: 0, ticks: None }
    }

    fn are_enough(&mut self, child: &Child) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + STOPPED_POLL;
        let ticks = child.stopped_at();
        self.times = match ticks {
            None => 0,
            Some(_) if ticks == self.ticks => self.times + 1,
            Some(_) => 1,
        };
        self.ticks = ticks;
        self.times >= STOPPED_TIMES
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    Deadline,
    Cancelled,
    Stopped,
    Leaked,
}

/// Whether there was anything to take from a pipe, its end included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    None,
    Some,
}

struct Pump {
    child: Child,
    pipes: [Option<(Stream, PipeReader)>; 2],
    chunk: Vec<u8>,
    stdout: Vec<u8>,
    stdout_bytes: u64,
    stdout_bytes_max: usize,
    stderr: Vec<u8>,
    stderr_bytes: u64,
    stderr_bytes_max: usize,
    stderr_tail: Vec<u8>,
}

impl Pump {
    /// Leaves out what may be a part of a secret at the cut ends: neither half of one is recognised.
    fn leave_out(&mut self, bytes: usize) {
        if self.stderr_bytes > self.stderr_tail.len() as u64 {
            self.stderr_tail.drain(..bytes.min(self.stderr_tail.len()));
        }
        for (kept, all_bytes) in [(&mut self.stdout, self.stdout_bytes), (&mut self.stderr, self.stderr_bytes)] {
            if all_bytes > kept.len() as u64 {
                kept.truncate(kept.len().saturating_sub(bytes));
            }
        }
    }

    /// Reads until the child has ended and its pipes are closed, or until they have to be.
    fn run(&mut self, deadline: Instant, sink: &mut dyn OutputSink, cancel: &Cancel) -> io::Result<(Ending, Exit)> {
        let mut ending = Ending::Done;
        let mut exit = None;
        let mut bytes_at_exit = 0;
        // When the current patience ends: the deadline, then the grace after TERM, then the drain after the end.
        let mut until = deadline;
        let mut killed = false;
        let mut stopped = StoppedLooks::new();
        let result = loop {
            if exit.is_some() && self.pipes.iter().all(Option::is_none) {
                break Ok(());
            }
            let now = Instant::now();
            if now >= until {
                // What the process wrote itself is taken however slowly the sink takes it.
                if exit.is_some() && self.bytes() - bytes_at_exit <= DRAIN_BYTES_MAX {
                    match self.wait(Duration::ZERO, sink, None, false) {
                        Ok(Progress::Some) => continue,
                        Ok(Progress::None) => {}
                        Err(error) => break Err(error),
                    }
                }
                match (exit, ending) {
                    // Everything of the group is dead; whoever still holds the pipe has left the group and is not waited for.
                    (Some(_), _) if killed => break Ok(()),
                    (Some(_), _) => {
                        ending = if ending == Ending::Done { Ending::Leaked } else { ending };
                        self.child.signal(Signal::KILL);
                        (killed, until) = (true, now + DRAIN);
                    }
                    (None, Ending::Done) => {
                        ending = Ending::Deadline;
                        self.child.signal(Signal::TERM);
                        until = now + GRACE;
                    }
                    (None, _) => {
                        self.child.signal(Signal::KILL);
                        (killed, until) = (true, now + DRAIN);
                    }
                }
                continue;
            }
            if ending == Ending::Done && exit.is_none() && cancel.is_cancelled() {
                ending = Ending::Cancelled;
                self.child.signal(Signal::TERM);
                until = now + GRACE;
            }
            let mut patience = until - now;
            if ending == Ending::Cancelled && !killed {
                if cancel.is_urgent() {
                    until = now;
                    continue;
                }
                patience = patience.min(URGENCY_POLL);
            }
            let cancelled = (ending == Ending::Done).then_some(cancel);
            if let Err(error) = self.wait(patience.min(STOPPED_POLL), sink, cancelled, exit.is_none()) {
                break Err(error);
            }
            if ending == Ending::Done && exit.is_none() && stopped.are_enough(&self.child) {
                // It hears nothing else.
                ending = Ending::Stopped;
                until = Instant::now();
                continue;
            }
            if exit.is_none() {
                exit = match self.child.try_wait() {
                    Ok(exit) => exit,
                    Err(error) => break Err(error),
                };
                if exit.is_some() {
                    bytes_at_exit = self.bytes();
                    until = until.min(Instant::now() + DRAIN);
                }
            }
        };
        // Whatever the way out, nothing of the group stays.
        self.child.signal(Signal::KILL);
        let exit = match exit {
            Some(exit) => exit,
            None => self.child.wait()?,
        };
        result.map(|()| (ending, exit))
    }

    fn bytes(&self) -> u64 {
        self.stdout_bytes + self.stderr_bytes
    }

    /// Waits for output, the child's end or a cancellation, and takes what output there is.
    fn wait(
        &mut self,
        patience: Duration,
        sink: &mut dyn OutputSink,
        cancel: Option<&Cancel>,
        child_runs: bool,
    ) -> io::Result<Progress> {
        let exit_fd = self.child.pidfd.as_ref().filter(|_| child_runs);
        let patience = if child_runs && exit_fd.is_none() { patience.min(CHILD_POLL) } else { patience };
        let timeout = rustix::event::Timespec::try_from(patience).map_err(io::Error::other)?;
        let mut fds: Vec<PollFd<'_>> =
            self.pipes.iter().flatten().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)).collect();
        let pipes = fds.len();
        fds.extend(exit_fd.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let cancel_fd = cancel.map(Cancel::fd);
        fds.extend(cancel_fd.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().take(pipes).map(|fd| !fd.revents().is_empty()).collect();
        let open = self.pipes.iter_mut().filter(|pipe| pipe.is_some());
        let ready: Vec<&mut Option<(Stream, PipeReader)>> =
            open.zip(ready).filter_map(|(pipe, ready)| ready.then_some(pipe)).collect();
        let progress = if ready.is_empty() { Progress::None } else { Progress::Some };
        for pipe in ready {
            let Some((stream, reader)) = pipe else { continue };
            let stream = *stream;
            self.chunk.clear();
            let count = match rustix::io::read(reader.as_fd(), rustix::buffer::spare_capacity(&mut self.chunk)) {
                Err(rustix::io::Errno::AGAIN) => continue,
                result => result?,
            };
            if count == 0 {
                *pipe = None;
                continue;
            }
            let bytes = self.chunk.as_slice();
            match stream {
                Stream::Stdout => {
                    let room = self.stdout_bytes_max.saturating_sub(self.stdout.len());
                    self.stdout.extend_from_slice(&bytes[..count.min(room)]);
                    self.stdout_bytes += count as u64;
                }
                Stream::Stderr => {
                    let room = self.stderr_bytes_max.saturating_sub(self.stderr.len());
                    self.stderr.extend_from_slice(&bytes[..count.min(room)]);
                    self.stderr_bytes += count as u64;
                    self.stderr_tail.extend_from_slice(bytes);
                    let surplus = self.stderr_tail.len().saturating_sub(STDERR_TAIL_BYTES);
                    self.stderr_tail.drain(..surplus);
                }
            }
            sink.write(stream, bytes)?;
        }
        Ok(progress)
    }
}
