use std::fmt;
use std::io::Write;

use crate::formats::printable::steers;
use crate::model::Event;
use crate::pipeline::Observer;
use crate::process::Secret;

/// A shorter piece of a secret says nothing of it, and masking it would hide everything else.
const PIECE_CHARS_MIN: usize = 4;

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
            // What steers is never written, not even here. It would be shown as an escape, so what stands around it is masked.
            for piece in pieces(line) {
                // A closed output shows nothing that would have to be masked.
                let _ = writeln!(self.out, "::add-mask::{}", piece.replace('%', "%25"));
            }
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

/// The pieces of a line between characters that steer; the line, where there are none.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let is_whole = !line.contains(steers);
    line.split(steers).filter(move |piece| is_whole || piece.trim().chars().count() >= PIECE_CHARS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mask_holds_what_steers() {
        let mut out = Vec::new();
        let hostile = "first-\u{202e}second\u{9b}x\u{200b}third-part\u{85}::error::fourth";
        let secret = Secret::new("key", hostile).expect("long enough");
        Masks::new(&mut out, Box::new(Nobody)).secret(&secret);
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.lines().all(|line| line.starts_with("::add-mask::")) && !text.contains(|c| steers(c) && c != '\n')
        );
        for piece in ["first-", "second", "third-part"] {
            assert!(text.contains(&format!("::add-mask::{piece}\n")), "{text:?}");
        }
        assert!(!text.contains("::add-mask::x\n"), "one letter would mask every x");
    }

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
