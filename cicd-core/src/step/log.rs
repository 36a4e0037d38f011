use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::EventSender;
use crate::files::Folder;
use crate::model::{EventKind, StepName};
use crate::process::{OutputSink, Redactor, Stream, StreamRedactor};

/// A line of live output longer than this is shown in pieces; the log keeps it whole.
const LIVE_LINE_BYTES_MAX: usize = 4096;

/// The full output of every process of one step, redacted, on disk; and line by line to the console while live output is on.
#[derive(Debug, Clone)]
pub struct StepLog(Arc<Mutex<LogFile>>);

#[derive(Debug)]
enum LogFile {
    /// Nothing but our own lines yet. A step whose processes print nothing costs no file.
    Held {
        path: Utf8PathBuf,
        lines: String,
    },
    Open(File),
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
            LogFile::Open(file) => writeln!(file, "{line}"),
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
            *log = LogFile::Open(file);
        }
        match &mut *log {
            LogFile::Open(file) => file.write_all(bytes),
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
        Ok(())
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
