use std::io::{self, IsTerminal as _, Write};

use anstream::AutoStream;

/// Narrower terminals than this get lines that wrap.
const COLUMNS_MIN: usize = 40;
/// The width where there is no terminal to ask: what logs and reviews are read in.
const COLUMNS_DEFAULT: usize = 80;

/// Standard output, with styles where they are wanted, that survives a reader who goes away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output;

impl Output {
    /// Writes text as it is, its ANSI styles stripped where they are not wanted.
    pub fn say(self, text: &str) {
        let mut out = AutoStream::auto(io::stdout().lock());
        // A closed output (`| head`) changes nothing about the verdict, which is in the exit code and the run folder.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes an error to standard error.
    pub fn complain(self, text: &str) {
        let mut err = AutoStream::auto(io::stderr().lock());
        let _ = writeln!(err, "{text}").and_then(|()| err.flush());
    }

    /// The width of the terminal, or 80 columns.
    #[must_use]
    pub fn columns(self) -> usize {
        rustix::termios::tcgetwinsize(io::stdout()).map_or(COLUMNS_DEFAULT, |size| match usize::from(size.ws_col) {
            0 => COLUMNS_DEFAULT,
            columns => columns.max(COLUMNS_MIN),
        })
    }

    /// Whether a live view can be drawn: both outputs are terminals.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        io::stdout().is_terminal() && io::stderr().is_terminal()
    }
}
