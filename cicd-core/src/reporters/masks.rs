use std::fmt;
use std::io::Write;

use crate::model::Event;
use crate::pipeline::Observer;
use crate::process::Secret;

/// Tells GitHub every secret before anything else is shown, so that GitHub masks it as well: in this log, and in those of later
/// steps of the workflow, which this run knows nothing of.
pub struct Masks<W: Write> {
    out: W,
    inner: Box<dyn Observer>,
}

impl<W: Write> Masks<W> {
    /// Writes the commands to `out`, which has to be the output that GitHub reads, and hands everything on.
    pub fn new(out: W, inner: Box<dyn Observer>) -> Self {
        Self { out, inner }
    }
}

impl<W: Write> fmt::Debug for Masks<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}

impl<W: Write> Observer for Masks<W> {
    fn event(&mut self, event: &Event) {
        self.inner.event(event);
    }

    fn secret(&mut self, secret: &Secret) {
        // GitHub reads a command up to the end of the line, and masks line by line.
        for line in secret.lines() {
            // A closed output shows nothing that would have to be masked.
            let _ = writeln!(self.out, "::add-mask::{}", line.replace('%', "%25"));
        }
        let _ = self.out.flush();
        self.inner.secret(secret);
    }

    fn waiting(&mut self, holder: &str) {
        self.inner.waiting(holder);
    }

    fn tick(&mut self) {
        self.inner.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn event(&mut self, _: &Event) {}
    }

    #[test]
    fn every_line_of_a_secret_is_a_command_of_its_own() {
        let mut out = Vec::new();
        let secret = Secret::new("key", "first%line\n}\n  second-line\r\n").expect("long enough");
        Masks::new(&mut out, Box::new(Nobody)).secret(&secret);
        assert_eq!(String::from_utf8(out).expect("text"), "::add-mask::first%25line\n::add-mask::second-line\n");
    }
}
