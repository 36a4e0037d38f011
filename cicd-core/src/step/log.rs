use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::EventSender;
use crate::files::{Folder, SEARCHED_BYTES_MAX};
use crate::model::{EventKind, StepName};
use crate::process::{OutputSink, Redactor, Stream, StreamRedactor};

/// A line of live output longer than this is shown in pieces; the log keeps it whole.
const LIVE_LINE_BYTES_MAX: usize = 4096;

/// A log beyond this is read by nobody and fills the disk. A log that is not searched for secrets is lost where there are any.
const LOG_BYTES_MAX: u64 = SEARCHED_BYTES_MAX / 2;
/// What the ends of processes beyond that, and lines of our own, take in all: however many there are, the log is searched.
const ENDS_BYTES_MAX: u64 = SEARCHED_BYTES_MAX / 4;
/// What is kept of the end all the same, for each process: it explains how that ended.
const END_BYTES: usize = 1 << 20;

/// The output of every process of one step up to 2 GiB, and the end of each that prints beyond that, redacted, on disk; and line by line to the console while live output is on.
#[derive(Debug, Clone)]
pub struct StepLog(Arc<Mutex<LogFile>>);

#[derive(Debug)]
enum LogFile {
    /// Nothing but our own lines yet. A step whose processes print nothing costs no file.
    Held {
        path: Utf8PathBuf,
        lines: String,
    },
    Open(Limited),
}

/// A file with a limit. What comes beyond it is held until it is known what comes last.
#[derive(Debug)]
struct Limited {
    file: File,
    /// How much more the file takes.
    room: u64,
    /// How much more it takes of ends and lines of our own.
    room_for_ends: u64,
    end: Vec<u8>,
    left_out: u64,
}

impl Limited {
    fn new(file: File, bytes_max: u64) -> Self {
        Self { file, room: bytes_max, room_for_ends: ENDS_BYTES_MAX, end: Vec::new(), left_out: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = usize::try_from(self.room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let (now, later) = bytes.split_at(fits);
        self.file.write_all(now)?;
        self.room -= now.len() as u64;
        self.end.extend_from_slice(later);
        if self.end.len() > 2 * END_BYTES {
            self.forget();
        }
        Ok(())
    }

    /// Keeps the end alone of what is held.
    fn forget(&mut self) {
        let surplus = self.end.len().saturating_sub(END_BYTES);
        self.end.drain(..surplus);
        self.left_out += surplus as u64;
    }

    /// Writes the end that was held, and how much came before it: a process has ended, or something of ours follows.
    fn settle(&mut self) -> io::Result<()> {
        self.forget();
        let mut last = std::mem::take(&mut self.end);
        if self.left_out > 0 {
            let told = format!("\n# {} bytes are left out, as a log has a limit; the end follows\n", self.left_out);
            last.splice(0..0, told.into_bytes());
            self.left_out = 0;
        }
        self.last(&last)
    }

    /// Writes what is to be in the log although it has no more room; where that has none left either, nothing more.
    fn last(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.room_for_ends.checked_sub(bytes.len() as u64) {
            Some(room) => {
                self.room_for_ends = room;
                self.file.write_all(bytes)
            }
            None => {
                self.room_for_ends = 0;
                Ok(())
            }
        }
    }
}

impl StepLog {
    /// A log at `path`, whose folder is made with the first output.
    #[must_use]
    pub fn at(path: impl Into<Utf8PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(LogFile::Held { path: path.into(), lines: String::new() })))
    }

    /// Starts a log file.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Utf8Path) -> io::Result<Self> {
        let log = Self::at(path);
        log.open()?;
        Ok(log)
    }

    /// Adds a line of our own, such as the command that is about to run. It reaches the disk with the first output, or with
    /// [`open`](Self::open).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&self, line: &str) -> io::Result<()> {
        match &mut *self.lock() {
            LogFile::Held { lines, .. } => {
                lines.push_str(line);
                lines.push('\n');
                Ok(())
            }
            LogFile::Open(log) => log.settle().and_then(|()| log.last(format!("{line}\n").as_bytes())),
        }
    }

    /// Puts what is held back on disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(&self) -> io::Result<()> {
        self.write(&[])
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut log = self.lock();
        if let LogFile::Held { path, lines } = &*log {
            let mut file = created(path)?;
            file.write_all(lines.as_bytes())?;
            *log = LogFile::Open(Limited::new(file, LOG_BYTES_MAX));
        }
        match &mut *log {
            LogFile::Open(log) => log.write(bytes),
            LogFile::Held { .. } => Ok(()),
        }
    }

    fn settle(&self) -> io::Result<()> {
        match &mut *self.lock() {
            LogFile::Open(log) => log.settle(),
            LogFile::Held { .. } => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sink(&self, redactor: &Redactor, live: Option<(EventSender, StepName)>) -> LogSink {
        LogSink {
            log: self.clone(),
            redactors: [redactor.stream(), redactor.stream()],
            lines: [Vec::new(), Vec::new()],
            live,
        }
    }
}

/// A new file: what a step has left under its name is neither waited for nor followed.
fn created(path: &Utf8Path) -> io::Result<File> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("a log has a name and a folder"));
    };
    fs::create_dir_all(folder)?;
    Folder::open(folder)?.create(name)
}

pub(super) struct LogSink {
    log: StepLog,
    redactors: [StreamRedactor; 2],
    lines: [Vec<u8>; 2],
    live: Option<(EventSender, StepName)>,
}

impl OutputSink for LogSink {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let index = stream as usize;
        let shown = self.redactors[index].push(bytes).into_owned();
        self.keep(index, &shown)
    }

    fn finish(&mut self) -> io::Result<()> {
        for index in 0..self.redactors.len() {
            let rest = self.redactors[index].finish();
            self.keep(index, &rest)?;
            let rest = std::mem::take(&mut self.lines[index]);
            if !rest.is_empty() {
                self.send(&rest);
            }
        }
        self.log.settle()
    }
}

impl LogSink {
    fn keep(&mut self, index: usize, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            self.log.write(bytes)?;
        }
        if self.live.is_none() {
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.lines[index]);
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if line.ends_with(b"\n") || line.len() >= LIVE_LINE_BYTES_MAX {
                self.send(&line);
                line.clear();
            }
        }
        self.lines[index] = line;
        Ok(())
    }

    fn send(&self, line: &[u8]) {
        if let Some((events, step)) = &self.live {
            let line = String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned();
            events.send(EventKind::Output { step: step.clone(), line });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    fn kept(mut log: Limited) -> String {
        let mut text = String::new();
        log.file.rewind().and_then(|()| log.file.read_to_string(&mut text)).expect("read");
        text
    }

    #[test]
    fn a_log_has_a_limit_and_keeps_the_end() {
        let piece = format!("{}\n", "x".repeat(99));
        let mut log = Limited::new(tempfile::tempfile().expect("a file"), 1000);
        let pieces = 5 * END_BYTES / piece.len();
        for _ in 0..pieces {
            log.write(piece.as_bytes()).expect("written");
            assert!(log.end.len() <= 2 * END_BYTES, "no more is held, whatever comes");
        }
        log.write(b"the end\n").and_then(|()| log.settle()).expect("written");
        log.write(b"another\n").and_then(|()| log.settle()).expect("written");
        let text = kept(log);
        let left_out = pieces * piece.len() - 1000 + "the end\n".len() - END_BYTES;
        assert!(text.contains(&format!("\n# {left_out} bytes are left out")), "{left_out}");
        assert!(text.ends_with("the end\nanother\n"));
        assert!(text.len() < 1000 + END_BYTES + 200, "{} bytes", text.len());
    }

    #[test]
    fn a_log_is_never_larger_than_what_is_searched_for_secrets() {
        const { assert!(LOG_BYTES_MAX + ENDS_BYTES_MAX < SEARCHED_BYTES_MAX) };
        let mut log = Limited::new(tempfile::tempfile().expect("a file"), 100);
        log.room_for_ends = 3 * END_BYTES as u64;
        let flood = vec![b'x'; 2 * END_BYTES];
        for _ in 0..9 {
            log.write(&flood).and_then(|()| log.settle()).and_then(|()| log.last(b"$ next\n")).expect("written");
        }
        let text = kept(log);
        assert!(text.len() <= 100 + 3 * END_BYTES, "{} bytes", text.len());
        assert!(text.ends_with("$ next\n") && text.matches("bytes are left out").count() == 2);
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        let mut log = Limited::new(tempfile::tempfile().expect("a file"), 10);
        for part in ["01234", "", "56789", "ab"] {
            log.write(part.as_bytes()).expect("written");
        }
        log.settle().and_then(|()| log.settle()).expect("written");
        assert_eq!(kept(log), "0123456789ab");
    }
}
