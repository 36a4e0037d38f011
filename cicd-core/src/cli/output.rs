use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;

use anstream::AutoStream;

use crate::formats::{Harmless, harmless};
use crate::model::ExitStatus;

/// Narrower terminals than this get lines that wrap.
const COLUMNS_MIN: usize = 40;
/// The width where there is no terminal to ask: what logs and reviews are read in.
const COLUMNS_DEFAULT: usize = 80;

/// Why something could not be written to standard output, the first time. Who writes need not look: the program's end does.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Standard output, with styles where they are wanted, that survives a reader who goes away.
///
/// What cannot be written for any other reason, such as a full disk, makes a green program end as an error:
/// see [`Cli::main`](crate::cli::Cli::main).
#[derive(Debug, Clone, Copy, Default)]
pub struct Output;

impl Output {
    /// Writes text for people, its ANSI styles stripped where they are not wanted. Whatever texts of others are in it, they steer
    /// neither a terminal nor a CI system.
    pub fn say(self, text: &str) {
        let mut out = AutoStream::auto(io::stdout().lock());
        remember(out.write_all(harmless(text).as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes what another program reads, such as JSON, as it is.
    pub fn hand_over(self, text: &str) {
        let mut out = io::stdout().lock();
        remember(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes an error to standard error. It may quote anybody, so that nothing in it is a style.
    pub fn complain(self, text: &str) {
        let mut err = Harmless::new(io::stderr().lock());
        // Nobody is left to tell that.
        let _ = writeln!(err, "{text}").and_then(|()| err.flush());
    }

    /// Writes an error of ours that has styles to standard error.
    pub(super) fn complain_in_style(self, text: &str) {
        let mut err = AutoStream::auto(io::stderr().lock());
        // Nobody is left to tell that.
        let _ = writeln!(err, "{}", harmless(text)).and_then(|()| err.flush());
    }

    /// Standard output for those who write text for people by themselves. It never fails: what could not be written is remembered.
    #[must_use]
    pub fn stream(self) -> impl Write {
        Harmless::new(Stream)
    }

    /// The same for those who write commands to a CI system, and nothing else.
    #[must_use]
    pub(super) fn commands(self) -> impl Write {
        Stream
    }

    /// How the program ends: as it would, unless something that it was to say could not be written.
    pub(super) fn settled(self, status: ExitStatus) -> ExitStatus {
        let Some(why) = UNWRITTEN.get() else { return status };
        self.complain(&format!(
            "error: standard output cannot be written, what was to be said there is not complete: {why}"
        ));
        match status {
            ExitStatus::Green => ExitStatus::Error,
            // Whatever else went wrong is the better reason.
            other => other,
        }
    }

    /// The width of the terminal, or 80 columns.
    #[must_use]
    pub fn columns(self) -> usize {
        rustix::termios::tcgetwinsize(io::stdout()).map_or(COLUMNS_DEFAULT, |size| match usize::from(size.ws_col) {
            0 => COLUMNS_DEFAULT,
            columns => columns.max(COLUMNS_MIN),
        })
    }

    /// Whether a live view can be drawn: both outputs are terminals, and this one can move its cursor.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        let dumb = std::env::vars_os().any(|(name, value)| name == "TERM" && value == "dumb");
        !dumb && io::stdout().is_terminal() && io::stderr().is_terminal()
    }
}

/// A reader who goes away (`| head`) changes nothing: he has read what he wanted, and the verdict is in the exit code.
fn remember(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| error.to_string());
    }
}

struct Stream;

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        remember(io::stdout().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        remember(io::stdout().flush());
        Ok(())
    }
}
