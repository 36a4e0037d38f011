use std::io;

/// Which of a process's two outputs some bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where the full output of a process goes while it runs.
pub trait OutputSink {
    /// Takes the next bytes, in the order they were read.
    ///
    /// # Errors
    /// When they cannot be kept; the process is then stopped, since a log with a hole is not a log.
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()>;

    /// Called once after the last bytes.
    ///
    /// # Errors
    /// When what was held back cannot be kept.
    fn finish(&mut self) -> io::Result<()>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy)]
pub struct Discard;

impl OutputSink for Discard {
    fn write(&mut self, _: Stream, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
