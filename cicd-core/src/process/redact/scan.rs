use std::collections::BTreeMap;
use std::ops::Range;

use super::forms::{LAYERS_MAX, forms, unescaped_forms};
use super::needles::Needles;
use super::numbers;
use super::view::{
    Codes, LineEnds, Quotes, View, has_codes, has_escapes, has_indent, has_joined, has_printable, stripped, unescaped,
    unquoted_printable,
};
use crate::process::Secret;

/// How far in front of a place something may begin that reads otherwise as a whole than from that place on.
const CONTEXT_BYTES: usize = 48;
/// A secret that is written over more bytes than this, line ends and colours included, is not recognised.
pub(super) const SPREAD_BYTES_MAX: usize = 16 << 10;
/// How much of a whole text is looked at at once, for the same reasons as in a stream; and what two windows share is little of it.
const WINDOW_BYTES: usize = 128 << 10;

/// Every secret of a run, and what to search for.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    pub(super) secrets: Vec<Secret>,
    plain: Needles,
    /// For text of which at least one layer was undone.
    escaped: Needles,
}

/// What stands in some bytes.
#[derive(Debug)]
pub(super) struct Found {
    /// Where secrets stand, in order and apart, each with the place of one.
    pub(super) ranges: Vec<(Range<usize>, usize)>,
    /// No secret that goes on after these bytes begins before this place.
    pub(super) safe: usize,
}

/// Whether more comes after the bytes that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    More,
    End,
}

impl Patterns {
    pub(super) fn with(&self, secret: &Secret) -> Self {
        let place = self.secrets.len();
        let learned = forms(secret);
        let merged = |needles: &Needles, new: std::collections::BTreeSet<Vec<u8>>| {
            let mut all: BTreeMap<Vec<u8>, usize> = new.into_iter().map(|form| (form, place)).collect();
            all.extend(needles.iter().map(|(needle, secret)| (needle.to_vec(), secret)));
            Needles::new(all)
        };
        Self {
            secrets: self.secrets.iter().chain([secret]).cloned().collect(),
            escaped: merged(&self.escaped, unescaped_forms(&learned)),
            plain: merged(&self.plain, learned),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// How far apart the first and the last byte of a form may stand, as it is mostly written.
    pub(super) fn longest_bytes(&self) -> usize {
        self.plain.longest_bytes.max(self.escaped.longest_bytes)
    }

    fn quotes(&self) -> Quotes {
        if self.plain.has_quotes { Quotes::Undone } else { Quotes::Kept }
    }

    /// Searches a whole text, window by window.
    pub(super) fn all(&self, bytes: &[u8]) -> Vec<(Range<usize>, usize)> {
        let mut all: Vec<(Range<usize>, usize)> = Vec::new();
        let mut start = 0;
        loop {
            let end = bytes.len().min(start + WINDOW_BYTES);
            let window = &bytes[start..end];
            let then = if end == bytes.len() { Then::End } else { Then::More };
            let found = self.find(window, then);
            all.extend(
                found.ranges.into_iter().map(|(range, secret)| (range.start + start..range.end + start, secret)),
            );
            if then == Then::End {
                return merged(all);
            }
            start += self.context(window, found.safe);
        }
    }

    /// Searches a piece of text.
    pub(super) fn find(&self, bytes: &[u8], then: Then) -> Found {
        let first = stripped(bytes, LineEnds::Dropped, Codes::Dropped);
        let open = match then {
            Then::End => bytes.len(),
            Then::More => self.context(bytes, bytes.len()).min(first.unfinished.unwrap_or(bytes.len())),
        };
        let mut search = Search { found: Vec::new(), safe: open, open, then };
        self.numbers(numbers::all(bytes).into_iter(), &mut Vec::new(), &mut search);
        self.layers(vec![first], &mut search);
        if has_codes(bytes) {
            self.layers(vec![stripped(bytes, LineEnds::Dropped, Codes::Kept)], &mut search);
        }
        if has_indent(bytes) {
            self.layers(vec![stripped(bytes, LineEnds::Indented, Codes::Dropped)], &mut search);
        }
        if has_joined(bytes) {
            self.layers(vec![stripped(bytes, LineEnds::Soft(b'\\'), Codes::Dropped)], &mut search);
        }
        if has_printable(bytes) {
            let lines = stripped(bytes, LineEnds::Soft(b'='), Codes::Dropped);
            let printable = unquoted_printable(&lines.bytes);
            self.layers(vec![lines, printable], &mut search);
        }
        search.found.sort_by_key(|(range, _)| (range.start, range.end));
        let safe = search.safe.max(bytes.len().saturating_sub(SPREAD_BYTES_MAX));
        Found { ranges: merged(search.found), safe }
    }

    /// Searches what is read, then undoes one layer after another and searches what is read then.
    fn layers(&self, mut views: Vec<View>, search: &mut Search) {
        search.look(&self.plain, &views);
        let quotes = self.quotes();
        let mut is_escaped = false;
        for _ in 0..LAYERS_MAX {
            let Some(last) = views.last().filter(|last| has_escapes(&last.bytes, quotes)) else { break };
            let next = unescaped(&last.bytes, quotes);
            if is_escaped && next.bytes == last.bytes {
                // Nothing is left to be undone, and this was searched.
                break;
            }
            is_escaped = true;
            // A colour code may have been written as `\u001b`.
            let coloured = has_codes(&next.bytes).then(|| stripped(&next.bytes, LineEnds::Dropped, Codes::Dropped));
            views.push(next);
            search.look(&self.escaped, &views);
            if let Some(coloured) = coloured {
                views.push(coloured);
                search.look(&self.escaped, &views);
            }
            let numbers = views.last().map(|read| numbers::all(&read.bytes));
            self.numbers(numbers.into_iter().flatten(), &mut views, search);
        }
    }

    /// Searches the bytes that the numbers of a text stand for, which was read from the views.
    fn numbers(&self, numbers: impl Iterator<Item = View>, views: &mut Vec<View>, search: &mut Search) {
        for read in numbers {
            views.push(read);
            search.look(&self.plain, views);
            views.pop();
        }
    }

    /// The last place up to `place` from which on text reads the same as with all that stands in front of it.
    pub(super) fn context(&self, bytes: &[u8], place: usize) -> usize {
        self.context_of_escapes(bytes, place - numbers::begun(&bytes[..place]))
    }

    fn context_of_escapes(&self, bytes: &[u8], place: usize) -> usize {
        let quotes = self.quotes();
        let begins = |byte: u8| {
            matches!(byte, b'\\' | b'%' | b'&' | b'=' | 0x1b)
                || (quotes == Quotes::Undone && matches!(byte, b'\'' | b'"'))
        };
        let from = place.saturating_sub(CONTEXT_BYTES);
        // A blank is in no escape but at its end.
        let from =
            bytes[from..place].iter().rposition(|byte| matches!(byte, b' ' | b'\t')).map_or(from, |at| from + at + 1);
        let Some(first) = bytes[from..place].iter().position(|&byte| begins(byte)) else { return place };
        let first = from + first;
        let run = bytes[first.saturating_sub(CONTEXT_BYTES)..first].iter().rev();
        first - run.take_while(|&&byte| begins(byte)).count()
    }
}

struct Search {
    found: Vec<(Range<usize>, usize)>,
    safe: usize,
    /// Where something begins that may go on after the end.
    open: usize,
    then: Then,
}

impl Search {
    /// Searches the text of the last view, each of which was read from the one before it.
    fn look(&mut self, needles: &Needles, views: &[View]) {
        let Some(text) = views.last().map(|view| &view.bytes) else { return };
        let source = |range: Range<usize>| views.iter().rev().fold(range, |range, view| view.source(range));
        self.found.extend(needles.find(text).map(|(range, secret)| (source(range), secret)));
        if self.then == Then::More {
            let before_open = views.iter().fold(self.open, |place, view| view.before(place));
            for end in [text.len(), before_open] {
                if let Some(start) = needles.begun(&text[..end]) {
                    self.safe = self.safe.min(source(start..start + 1).start);
                }
            }
        }
    }
}

/// Puts ranges that touch or overlap together; they are in order of their starts.
fn merged(mut all: Vec<(Range<usize>, usize)>) -> Vec<(Range<usize>, usize)> {
    all.sort_by_key(|(range, _)| (range.start, range.end));
    let mut merged: Vec<(Range<usize>, usize)> = Vec::with_capacity(all.len());
    for (range, secret) in all {
        match merged.last_mut() {
            Some((last, _)) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push((range, secret)),
        }
    }
    merged
}
