use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use super::StreamRedactor;
use super::scan::{Patterns, SPREAD_BYTES_MAX, Then};
use super::stream::Mark;
use crate::process::Secret;

/// What stands where a secret stood.
pub const REDACTED: &str = "***";

/// Knows every secret of a run and removes it, however it is written, from text. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Arc<RwLock<Arc<Patterns>>>);

impl Redactor {
    /// Knows no secret yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns a secret: as it is, each of its lines, and as encodings, escapes and line breaks write it.
    pub fn learn(&self, secret: &Secret) {
        let mut patterns = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !patterns.secrets.iter().any(|known| known.expose() == secret.expose()) {
            *patterns = Arc::new(patterns.with(secret));
        }
    }

    /// Every secret it knows, in the order they were learned.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        self.patterns().secrets.clone()
    }

    /// Whether this is a clone of `other`.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it knows any secret.
    #[must_use]
    pub fn knows_any(&self) -> bool {
        !self.patterns().is_empty()
    }

    /// The name of the first secret that shows in these bytes.
    #[must_use]
    pub fn revealed(&self, bytes: &[u8]) -> Option<String> {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return None;
        }
        let (_, secret) = *patterns.find(bytes, Then::End).ranges.first()?;
        patterns.secrets.get(secret).map(|secret| secret.name().to_owned())
    }

    /// All secrets that show in these bytes.
    pub(crate) fn all_revealed(&self, bytes: &[u8]) -> Vec<Secret> {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return Vec::new();
        }
        let shown = patterns.find(bytes, Then::End).ranges;
        shown.iter().filter_map(|(_, secret)| patterns.secrets.get(*secret)).cloned().collect()
    }

    /// Overwrites every secret in these bytes with as many asterisks, so that nothing else of them moves. Gives whether there
    /// was any.
    pub fn mask(&self, bytes: &mut [u8]) -> bool {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return false;
        }
        let ranges = patterns.all(bytes);
        for (range, _) in &ranges {
            bytes[range.clone()].fill(b'*');
        }
        !ranges.is_empty()
    }

    /// The length of the longest form of any secret.
    pub(crate) fn longest_bytes(&self) -> usize {
        self.patterns().longest_bytes()
    }

    /// The text with every known secret replaced by `***`.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return Cow::Borrowed(text);
        }
        let ranges = patterns.all(text.as_bytes());
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut shown = String::with_capacity(text.len());
        let mut done = 0;
        for (range, _) in ranges {
            // A form may begin or end inside a character.
            let start = (0..=range.start).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0);
            let end = (range.end..=text.len()).find(|&place| text.is_char_boundary(place)).unwrap_or(text.len());
            if start >= done {
                shown.push_str(&text[done..start]);
                shown.push_str(REDACTED);
            }
            done = end.max(done);
        }
        shown.push_str(&text[done..]);
        Cow::Owned(shown)
    }

    /// The same of no more than the first `bytes_max` bytes; how many more there were is said. No part of a secret is left where
    /// the text was cut.
    #[must_use]
    pub fn redact_start(&self, text: &str, bytes_max: usize) -> String {
        if text.len() <= bytes_max {
            return self.redact(text).into_owned();
        }
        let end = |text: &str, max: usize| {
            (0..=max.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
        };
        let read = &text[..end(text, bytes_max.saturating_add(SPREAD_BYTES_MAX))];
        let mut shown = self.redact(read).into_owned();
        shown.truncate(end(&shown, bytes_max));
        shown.push_str(&format!("… ({} bytes in all)", text.len()));
        shown
    }

    /// A redactor for bytes that come in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor::new(self.clone(), Mark::Short)
    }

    /// The same, which puts as many bytes where a secret stood as it has.
    pub(crate) fn masking_stream(&self) -> StreamRedactor {
        StreamRedactor::new(self.clone(), Mark::SameLength)
    }

    pub(super) fn patterns(&self) -> Arc<Patterns> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
