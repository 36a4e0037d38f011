use std::borrow::Cow;

use super::scan::{Patterns, Then};
use super::{REDACTED, Redactor};

/// How much is looked at at once: what is read from it stays in the processor's cache, and what one escape or colour makes necessary is done
/// to no more than this.
const PART_BYTES: usize = 64 << 10;

/// What stands where a secret stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// [`REDACTED`], whatever its length.
    Short,
    /// As many asterisks as it has bytes, so that nothing else moves.
    SameLength,
}

/// Redacts bytes that come in pieces: what could be the start of a secret is held back until more comes.
#[derive(Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    mark: Mark,
    /// What came last.
    held: Vec<u8>,
    /// How much of it has been shown or stands behind a mark; the rest of what is shown already tells how the next is to be read.
    shown: usize,
    /// Whether a mark was the last that was shown.
    marked: bool,
    found_any: bool,
}

impl StreamRedactor {
    pub(super) fn new(redactor: Redactor, mark: Mark) -> Self {
        Self { redactor, mark, held: Vec::new(), shown: 0, marked: false, found_any: false }
    }

    /// Takes the next piece and gives what can be shown of all that came so far.
    #[must_use]
    pub fn push<'a>(&mut self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        let patterns = self.redactor.patterns();
        if patterns.is_empty() && self.held.is_empty() {
            return Cow::Borrowed(piece);
        }
        let mut shown = Vec::with_capacity(self.held.len() + piece.len());
        for part in piece.chunks(PART_BYTES) {
            self.held.extend_from_slice(part);
            shown.extend(self.show(&patterns, Then::More));
        }
        Cow::Owned(shown)
    }

    /// What was held back, once no more comes.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let shown = self.show(&self.redactor.patterns(), Then::End);
        self.held.clear();
        (self.shown, self.marked) = (0, false);
        shown
    }

    /// Whether there was any secret in what has been shown so far.
    pub(crate) fn found_any(&self) -> bool {
        self.found_any
    }

    fn show(&mut self, patterns: &Patterns, then: Then) -> Vec<u8> {
        let found = patterns.find(&self.held, then);
        let mut out = Vec::with_capacity(self.held.len());
        let safe = found.safe.max(self.shown);
        for (range, _) in found.ranges {
            if range.end <= self.shown {
                continue;
            }
            if range.start >= safe {
                break;
            }
            if range.start > self.shown {
                out.extend_from_slice(&self.held[self.shown..range.start]);
                self.marked = false;
            }
            match self.mark {
                Mark::Short if self.marked => {}
                Mark::Short => out.extend_from_slice(REDACTED.as_bytes()),
                Mark::SameLength => out.resize(out.len() + range.end - range.start.max(self.shown), b'*'),
            }
            (self.shown, self.marked, self.found_any) = (range.end, true, true);
        }
        if self.shown < safe {
            out.extend_from_slice(&self.held[self.shown..safe]);
            (self.shown, self.marked) = (safe, false);
        }
        // What is marked already may be the beginning of what comes.
        let done = patterns.context(&self.held, found.safe.min(safe));
        self.held.drain(..done);
        self.shown -= done;
        out
    }
}
