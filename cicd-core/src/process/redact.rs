use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::Secret;

/// What stands where a secret stood.
pub const REDACTED: &str = "***";

/// A line of a multi-line secret shorter than this is not redacted by itself.
const LINE_CHARS_MIN: usize = 6;

/// Knows every secret of a run and removes it, and its usual encodings, from text. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Arc<RwLock<Arc<Patterns>>>);

#[derive(Debug, Default)]
struct Patterns {
    needles: Vec<String>,
    automaton: Option<AhoCorasick>,
}

impl Redactor {
    /// Knows no secret yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns a secret: as it is, trimmed, each of its lines, in base64, percent-encoded and as in a JSON string.
    pub fn learn(&self, secret: &Secret) {
        let mut patterns = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut needles = patterns.needles.clone();
        needles.extend(forms(secret.expose()));
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        needles.dedup();
        // Building fails only for automata beyond 4 GiB; then nothing may pass unredacted, so everything matches.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&needles).ok();
        *patterns = Arc::new(Patterns { needles, automaton });
    }

    /// The text with every known secret replaced by `***`.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let patterns = self.patterns();
        match (&patterns.automaton, patterns.needles.is_empty()) {
            (_, true) => Cow::Borrowed(text),
            (Some(automaton), false) => {
                if automaton.is_match(text) {
                    Cow::Owned(automaton.replace_all(text, &vec![REDACTED; patterns.needles.len()]))
                } else {
                    Cow::Borrowed(text)
                }
            }
            (None, false) => Cow::Borrowed(REDACTED),
        }
    }

    /// A redactor for bytes that come in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor { redactor: self.clone(), held: Vec::new() }
    }

    fn patterns(&self) -> Arc<Patterns> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn forms(value: &str) -> Vec<String> {
    let trimmed = value.trim();
    let lines = trimmed.lines().map(str::trim).filter(|line| line.chars().count() >= LINE_CHARS_MIN);
    let plain: Vec<&str> = [value, trimmed].into_iter().chain(lines).collect();
    let mut forms = Vec::new();
    for text in plain {
        forms.push(text.to_owned());
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(text));
        }
        forms.push(percent_encoded(text));
        let json = serde_json::Value::from(text).to_string();
        forms.push(json.trim_matches('"').to_owned());
    }
    forms
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Redacts bytes that come in pieces: what could be the start of a secret is held back until more comes.
#[derive(Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    held: Vec<u8>,
}

impl StreamRedactor {
    /// Takes the next piece and gives what can be shown of all that came so far.
    #[must_use]
    pub fn push<'a>(&mut self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        let patterns = self.redactor.patterns();
        let Some(longest) = patterns.needles.first().map(String::len) else {
            if self.held.is_empty() {
                return Cow::Borrowed(piece);
            }
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(piece);
            return Cow::Owned(all);
        };
        self.held.extend_from_slice(piece);
        let Some(automaton) = &patterns.automaton else {
            self.held.clear();
            return Cow::Owned(REDACTED.as_bytes().to_vec());
        };
        let (shown, consumed) = replace_complete(automaton, &self.held, self.held.len().saturating_sub(longest - 1));
        self.held.drain(..consumed);
        Cow::Owned(shown)
    }

    /// What was held back, once no more comes.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        match &self.redactor.patterns().automaton {
            Some(automaton) => replace_complete(automaton, &held, held.len()).0,
            None => held,
        }
    }
}

/// Replaces the matches that begin before `safe`, and gives how many bytes are done with.
fn replace_complete(automaton: &AhoCorasick, bytes: &[u8], safe: usize) -> (Vec<u8>, usize) {
    let mut shown = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for found in automaton.find_iter(bytes).take_while(|found| found.start() < safe) {
        shown.extend_from_slice(&bytes[done..found.start()]);
        shown.extend_from_slice(REDACTED.as_bytes());
        done = found.end();
    }
    if done < safe {
        shown.extend_from_slice(&bytes[done..safe]);
        done = safe;
    }
    (shown, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(value: &str) -> Redactor {
        let redactor = Redactor::new();
        redactor.learn(&Secret::new("canary", value).expect("long enough"));
        redactor
    }

    #[test]
    fn every_usual_form_is_removed() {
        let redactor = redactor(" top\"secret&value\nsecond-line-of-it ");
        for shown in [
            "top\"secret&value",
            "second-line-of-it",
            "top%22secret%26value",
            "top\\\"secret&value",
            &STANDARD.encode("second-line-of-it"),
        ] {
            let text = redactor.redact(shown).into_owned();
            assert!(
                !text.contains("secret") && !text.contains("second") && text.contains(REDACTED),
                "{shown} gave {text}"
            );
        }
    }

    #[test]
    fn a_secret_split_over_any_pieces_is_removed() {
        let text = b"before CANARY-0123456789 after CANARY-0123456789";
        for size in 1..text.len() {
            let mut stream = redactor("CANARY-0123456789").stream();
            let mut shown: Vec<u8> = Vec::new();
            for piece in text.chunks(size) {
                shown.extend_from_slice(&stream.push(piece));
            }
            shown.extend(stream.finish());
            assert_eq!(String::from_utf8(shown).expect("text"), "before *** after ***", "pieces of {size}");
        }
    }

    #[test]
    fn nothing_is_held_back_without_secrets() {
        let mut stream = Redactor::new().stream();
        assert_eq!(&*stream.push(b"abc"), b"abc");
        assert!(stream.finish().is_empty());
    }
}
