use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Up to so many bytes of needles, the fastest automaton stays small.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// What one kind of text is searched for.
#[derive(Default)]
pub(super) struct Needles {
    /// In order, each with the place of its secret.
    all: Vec<(Vec<u8>, usize)>,
    pub(super) longest_bytes: usize,
    /// Whether any has a quote in it.
    pub(super) has_quotes: bool,
    automaton: Option<AhoCorasick>,
}

/// Shows numbers only: the rest is a secret.
impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({}, up to {} bytes)", self.all.len(), self.longest_bytes)
    }
}

impl Needles {
    pub(super) fn new(all: BTreeMap<Vec<u8>, usize>) -> Self {
        let bytes: usize = all.keys().map(Vec::len).sum();
        let kind = (bytes <= SMALL_BYTES_MAX).then_some(AhoCorasickKind::DFA);
        // Building fails only for automata beyond 4 GiB, which no secret of an allowed length makes; then everything matches.
        let automaton = AhoCorasick::builder().kind(kind).build(all.keys()).ok();
        let longest_bytes = all.keys().map(Vec::len).max().unwrap_or(0);
        let has_quotes = all.keys().any(|needle| needle.iter().any(|byte| matches!(byte, b'\'' | b'"')));
        Self { all: all.into_iter().collect(), longest_bytes, has_quotes, automaton }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.all.iter().map(|(needle, secret)| (needle.as_slice(), *secret))
    }

    /// Every place where one stands, those that overlap too, with the place of its secret.
    pub(super) fn find<'a>(&'a self, text: &'a [u8]) -> Box<dyn Iterator<Item = (Range<usize>, usize)> + 'a> {
        match &self.automaton {
            _ if text.is_empty() => Box::new(std::iter::empty()),
            None if self.all.is_empty() => Box::new(std::iter::empty()),
            None => Box::new(std::iter::once((0..text.len(), 0))),
            Some(automaton) if !automaton.is_match(text) => Box::new(std::iter::empty()),
            Some(automaton) => Box::new(automaton.find_overlapping_iter(text).map(|found| {
                (found.range(), self.all.get(found.pattern().as_usize()).map_or(0, |(_, secret)| *secret))
            })),
        }
    }

    /// Where the first piece of text begins that goes up to its end and is the beginning of a needle.
    pub(super) fn begun(&self, text: &[u8]) -> Option<usize> {
        let first = text.len().saturating_sub(self.longest_bytes.saturating_sub(1));
        (first..text.len()).find(|&start| {
            let end = &text[start..];
            let next = self.all.partition_point(|(needle, _)| needle.as_slice() < end);
            self.all.get(next).is_some_and(|(needle, _)| needle.starts_with(end))
        })
    }
}
