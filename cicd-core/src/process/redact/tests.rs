use proptest::prelude::*;
use proptest::sample::Index;

use super::encoders::ENCODERS;
use super::*;
use crate::process::Secret;

/// What may still stand of an encoded secret beside a mark: characters that also hold bits of what is around it, and padding.
const EDGE_BYTES: usize = 8;
/// What may stand there where other text is encoded with it.
const NEIGHBOUR_BYTES: usize = 24;

fn redactor(value: &str) -> Redactor {
    let redactor = Redactor::new();
    redactor.learn(&Secret::new("canary", value).expect("long enough"));
    redactor
}

/// What is left of a secret of a text when it is redacted in pieces that end at `cuts`.
fn shown(redactor: &Redactor, text: &[u8], cuts: &[Index]) -> Vec<u8> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    let mut stream = redactor.stream();
    let mut shown: Vec<u8> = Vec::new();
    for pair in places.windows(2) {
        shown.extend_from_slice(&stream.push(&text[pair[0]..pair[1]]));
    }
    shown.extend(stream.finish());
    shown
}

/// Whether what is shown of `before`, a secret and `after` is both of them, a mark, and next to nothing of the secret.
fn is_hidden(shown: &[u8], before: &[u8], after: &[u8], encoder: &str) -> bool {
    let inner = shown.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let Some(inner) = inner else { return false };
    let edges = if encoder.contains("behind") || encoder.contains("between") { NEIGHBOUR_BYTES } else { EDGE_BYTES };
    // The lines of a key are marked one by one where what is between them is no part of it.
    let left = String::from_utf8_lossy(inner).replace(REDACTED, "").replace(['\\', '\n', '\r'], "");
    inner.windows(3).any(|window| window == REDACTED.as_bytes()) && left.len() <= edges
}

#[test]
fn every_form_of_a_secret_is_hidden() {
    let key =
        format!("-----BEGIN KEY-----\n{}\n{}\nAbC/+==\n-----END KEY-----\n", "Zm9v/YmFy+".repeat(6), "x9Kq".repeat(16));
    let mut wrong = Vec::new();
    for value in ["c\"4n'ry%v4&lu3 +ok</>\\=x", "pässwörd-€-😀-long", "0123456789", "correct horse battery", &key]
    {
        let redactor = redactor(value);
        for (name, encoder) in ENCODERS {
            let encoded = encoder(value);
            for (before, after, size) in [(&b""[..], &b""[..], 4096), (b"token: ", b" and more", 7), (b"[", b"]\n", 1)]
            {
                let text = [before, &encoded, after].concat();
                {
                    let mut stream = redactor.stream();
                    let mut shown: Vec<u8> = Vec::new();
                    for piece in text.chunks(size) {
                        shown.extend_from_slice(&stream.push(piece));
                    }
                    shown.extend(stream.finish());
                    if !is_hidden(&shown, before, after, name) {
                        wrong.push(format!(
                            "{name} of {value:?} in pieces of {size}: {:?} gave {:?}",
                            String::from_utf8_lossy(&text),
                            String::from_utf8_lossy(&shown)
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are shown:\n{}", wrong.len(), wrong.join("\n"));
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{8,70}".prop_filter("long enough", |text| text.trim().len() >= 8),
        "[A-Za-z0-9+/=_-]{8,200}",
        "[a-f0-9]{8,64}",
        "[ -~äöüé€ß😀中]{8,40}".prop_filter("long enough", |text| text.trim().chars().count() >= 8),
        "([A-Za-z0-9+/]{20,64}\n){2,5}[A-Za-z0-9+/]{10,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn random_secrets_are_hidden_in_every_form_wherever_the_text_is_cut(
        value in secret(),
        encoder in 0..ENCODERS.len(),
        before in "([a-z]{1,9} ){0,40}",
        after in "( [a-z]{1,9}){0,40}",
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        let redactor = redactor(&value);
        let (name, encoder) = ENCODERS[encoder];
        let encoded = encoder(&value);
        let text = [before.as_bytes(), &encoded, after.as_bytes()].concat();
        let shown = shown(&redactor, &text, &cuts);
        prop_assert!(
            is_hidden(&shown, before.as_bytes(), after.as_bytes(), name),
            "{name}: {:?} gave {:?}", String::from_utf8_lossy(&text), String::from_utf8_lossy(&shown)
        );
        let mut masked = text.clone();
        prop_assert!(redactor.mask(&mut masked) && masked.len() == text.len());
        prop_assert!(redactor.revealed(&text).is_some());
    }

    #[test]
    fn what_holds_no_secret_comes_through_as_it_is(
        text in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        let redactor = redactor("CANARY-0123456789");
        prop_assert_eq!(shown(&redactor, &text, &cuts), text);
    }
}

#[test]
fn a_code_of_the_terminal_hides_no_secret() {
    let redactor = redactor("CANARY-0123456789");
    for (text, expected) in [
        ("\x1b]0;CANARY-0123456789\x07", "\x1b]0;***\x07"),
        ("\x1b]8;;https://x.example/?key=CANARY%2D0123456789\x1b\\", "\x1b]8;;https://x.example/?key=***\x1b\\"),
        ("\x1bPCANARY-0123456789\x1b\\", "\x1bP***\x1b\\"),
        ("\x1b[1mCANARY-\x1b(B\x1b[m0123456789\x1b7", "\x1b[1m***\x1b7"),
    ] {
        assert_eq!(redactor.redact(text), expected, "{text:?}");
        assert_eq!(String::from_utf8_lossy(&shown(&redactor, text.as_bytes(), &[])), expected, "{text:?}");
    }
}

#[test]
fn what_follows_a_secret_hides_nothing_of_it() {
    for (value, text) in [
        ("\u{e4} <A0 \u{20ac}\\", "&auml; &lt;A0 &euro;\\ a"),
        ("a<b>c-secret%", "a&lt;b&gt;c-secret%41"),
        ("a<b>c-secret%4", "a&lt;b&gt;c-secret%41"),
        ("a<b>c-secret&l", "a&lt;b&gt;c-secret&lt; x"),
    ] {
        let shown = redactor(value).redact(text).into_owned();
        assert!(shown.starts_with("***") && shown.len() < 10, "{text}: {shown}");
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
    assert_eq!(redactor.revealed(b"--option=CANARY-0123456789"), Some("canary".to_owned()));
    assert_eq!(redactor.revealed(b"--option=CANARY-012345678"), None);
    let mut bytes = *b"{\"CANARY-0123456789\"}";
    assert!(redactor.mask(&mut bytes));
    assert_eq!(&bytes, b"{\"*****************\"}");
    assert!(!format!("{redactor:?}").contains("CANARY"), "a debug form shows no secret");
}

#[test]
fn a_text_that_is_cut_shows_no_part_of_a_secret_at_its_end() {
    let redactor = redactor("CANARY-0123456789");
    for length in 0..40 {
        let text = format!("{}CANARY-0123456789{}", "x".repeat(length), "y".repeat(100_000));
        let shown = redactor.redact_start(&text, 30);
        assert!(!shown.contains("CAN") && shown.len() < 90 && shown.contains("bytes in all"), "{shown}");
    }
    assert_eq!(redactor.redact_start("short: CANARY-0123456789", 30), "short: ***");
}

#[test]
fn nothing_is_held_back_without_secrets() {
    let mut stream = Redactor::new().stream();
    assert_eq!(&*stream.push(b"abc"), b"abc");
    assert!(stream.finish().is_empty());
}
