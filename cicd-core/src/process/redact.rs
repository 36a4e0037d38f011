use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::Secret;

/// What stands where a secret stood.
pub const REDACTED: &str = "***";

/// Shorter pieces of base64 are found by chance.
const BASE64_CHARS_MIN: usize = 6;

/// Knows every secret of a run and removes it, and its usual encodings, from text. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Arc<RwLock<Arc<Patterns>>>);

#[derive(Debug, Default)]
struct Patterns {
    secrets: Vec<Secret>,
    /// Every form of every secret, the longest first.
    needles: Vec<Needle>,
    automaton: Option<AhoCorasick>,
}

#[derive(Clone)]
struct Needle {
    text: String,
    /// The place of its secret.
    secret: usize,
}

/// Shows the length only: the text is a secret.
impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needle({} bytes of secret {})", self.text.len(), self.secret)
    }
}

impl Redactor {
    /// Knows no secret yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns a secret: as it is, trimmed, each of its lines, in base64 (also inside a longer text), percent-encoded, and as it
    /// is written in JSON, in a shell command and by Rust's `Debug`.
    pub fn learn(&self, secret: &Secret) {
        let mut patterns = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if patterns.secrets.iter().any(|known| known.expose() == secret.expose()) {
            return;
        }
        let place = patterns.secrets.len();
        let mut needles = patterns.needles.clone();
        needles.extend(forms(secret).into_iter().map(|text| Needle { text, secret: place }));
        needles.sort_by(|one, other| other.text.len().cmp(&one.text.len()).then_with(|| one.text.cmp(&other.text)));
        needles.dedup_by(|one, other| one.text == other.text);
        let texts = needles.iter().map(|needle| needle.text.as_bytes());
        // Building fails only for automata beyond 4 GiB; then nothing may pass unredacted, so everything matches.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts).ok();
        let secrets = patterns.secrets.iter().chain([secret]).cloned().collect();
        *patterns = Arc::new(Patterns { secrets, needles, automaton });
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
        !self.patterns().secrets.is_empty()
    }

    /// The name of the first secret that shows in these bytes.
    #[must_use]
    pub fn revealed(&self, bytes: &[u8]) -> Option<String> {
        let patterns = self.patterns();
        let found = patterns.automaton.as_ref()?.find(bytes)?;
        let needle = patterns.needles.get(found.pattern().as_usize())?;
        patterns.secrets.get(needle.secret).map(|secret| secret.name().to_owned())
    }

    /// Overwrites every secret in these bytes with as many asterisks, so that nothing else of them moves. Gives whether there
    /// was any.
    pub fn mask(&self, bytes: &mut [u8]) -> bool {
        let patterns = self.patterns();
        let found = patterns.automaton.iter().flat_map(|automaton| automaton.find_iter(&*bytes));
        let places: Vec<_> = found.map(|found| found.range()).collect();
        for place in &places {
            bytes[place.clone()].fill(b'*');
        }
        !places.is_empty()
    }

    /// The length of the longest form of any secret.
    pub(crate) fn longest_bytes(&self) -> usize {
        self.patterns().needles.first().map_or(0, |longest| longest.text.len())
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

fn forms(secret: &Secret) -> Vec<String> {
    let value = secret.expose();
    let plain: Vec<&str> = [value, value.trim()].into_iter().chain(secret.lines()).collect();
    let mut forms = Vec::new();
    for text in plain {
        forms.push(text.to_owned());
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(text));
        }
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.extend((0..3).filter_map(|before| inner_base64(engine, text, before)));
        }
        let upper = percent_encoded(text, |byte| format!("%{byte:02X}"));
        // A form field has a plus for a space.
        forms.push(upper.replace("%20", "+"));
        forms.push(upper);
        forms.push(percent_encoded(text, |byte| format!("%{byte:02x}")));
        for written in [serde_json::Value::from(text).to_string(), format!("{text:?}")] {
            forms.push(written[1..written.len() - 1].to_owned());
        }
        if let Ok(quoted) = shlex::try_quote(text) {
            forms.push(quoted.into_owned());
        }
    }
    forms
}

/// What stays the same of a text's base64 when `before` bytes (modulo 3) stand in front of it and anything behind, as in
/// `user:password`: the characters that also hold bits of its neighbours are left out.
fn inner_base64(engine: &impl Engine, text: &str, before: usize) -> Option<String> {
    let encoded = engine.encode([vec![0; before], text.as_bytes().to_vec()].concat());
    let first = [0, 2, 3][before];
    let last = (before + text.len()) * 4 / 3;
    encoded.get(first..last).filter(|inner| inner.len() >= BASE64_CHARS_MIN).map(str::to_owned)
}

fn percent_encoded(text: &str, escape: impl Fn(u8) -> String) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => escape(byte),
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
        let Some(longest) = patterns.needles.first().map(|needle| needle.text.len()) else {
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
            &STANDARD.encode("u:second-line-of-it"),
            &STANDARD.encode("us:second-line-of-it and more"),
            &STANDARD.encode("use:second-line-of-it!"),
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
    fn a_secret_in_bytes_is_told_by_name() {
        let redactor = redactor("CANARY-0123456789");
        assert_eq!(redactor.revealed(b"--password=CANARY-0123456789"), Some("canary".to_owned()));
        assert_eq!(redactor.revealed(b"--password=CANARY-012345678"), None);
        let mut bytes = *b"{\"CANARY-0123456789\"}";
        assert!(redactor.mask(&mut bytes));
        assert_eq!(&bytes, b"{\"*****************\"}");
        assert!(!format!("{redactor:?}").contains("CANARY"), "a debug form shows no secret");
    }

    #[test]
    fn nothing_is_held_back_without_secrets() {
        let mut stream = Redactor::new().stream();
        assert_eq!(&*stream.push(b"abc"), b"abc");
        assert!(stream.finish().is_empty());
    }
}
