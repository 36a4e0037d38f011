use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::forms::NEEDLE_BYTES_MIN;

/// Up to so many bytes of needles, the fastest automaton stays small.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// With more needles, most places of a text begin like one of them.
const FILTERED_NEEDLES_MAX: usize = 2048;
/// How much of the beginning of each needle is looked for first; none is shorter.
const BEGINNING_BYTES: usize = NEEDLE_BYTES_MIN;

/// Tells most texts that hold no needle without looking at each of their bytes: wherever a beginning of one could stand, how far it is at
/// least from there to the next place is known by two bytes (Wu and Manber).
struct Filter {
    /// By two bytes, those behind which none of the beginnings ends for so many bytes; zero where one may end.
    skips: Vec<u8>,
    beginnings: BTreeSet<[u8; BEGINNING_BYTES]>,
}

impl Filter {
    /// None where it would be of no use.
    fn new<'a>(needles: impl Iterator<Item = &'a Vec<u8>>) -> Option<Self> {
        let beginnings: BTreeSet<[u8; BEGINNING_BYTES]> =
            needles.map(|needle| needle.first_chunk().copied()).collect::<Option<_>>()?;
        if beginnings.len() > FILTERED_NEEDLES_MAX {
            return None;
        }
        let furthest = u8::try_from(BEGINNING_BYTES - 1).ok()?;
        let mut skips = vec![furthest; 1 << 16];
        for beginning in &beginnings {
            for (left, pair) in (0..furthest).rev().zip(beginning.windows(2)) {
                let skip = skips.get_mut(usize::from(u16::from_le_bytes([pair[0], pair[1]])))?;
                *skip = left.min(*skip);
            }
        }
        Some(Self { skips, beginnings })
    }

    fn may_hold(&self, text: &[u8]) -> bool {
        let mut start = 0;
        while let Some(window) = text.get(start..).and_then(<[u8]>::first_chunk::<BEGINNING_BYTES>) {
            let [.., one, other] = *window;
            match self.skips.get(usize::from(u16::from_le_bytes([one, other]))) {
                Some(0) | None if self.beginnings.contains(window) => return true,
                Some(0) | None => start += 1,
                Some(skip) => start += usize::from(*skip),
            }
        }
        false
    }
}

/// What one kind of text is searched for.
#[derive(Default)]
pub(super) struct Needles {
    /// In order, each with the place of its secret.
    all: Vec<(Vec<u8>, usize)>,
    pub(super) longest_bytes: usize,
    /// Whether any has a quote in it.
    pub(super) has_quotes: bool,
    filter: Option<Filter>,
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
        let filter = Filter::new(all.keys());
        Self { all: all.into_iter().collect(), longest_bytes, has_quotes, filter, automaton }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.all.iter().map(|(needle, secret)| (needle.as_slice(), *secret))
    }

    /// Every place where one stands, those that overlap too, with the place of its secret.
    pub(super) fn find<'a>(&'a self, text: &'a [u8]) -> Box<dyn Iterator<Item = (Range<usize>, usize)> + 'a> {
        match &self.automaton {
            _ if text.is_empty() => Box::new(std::iter::empty()),
            Some(_) if self.filter.as_ref().is_some_and(|filter| !filter.may_hold(text)) => {
                Box::new(std::iter::empty())
            }
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
