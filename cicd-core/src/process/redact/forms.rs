//! The ways of writing a secret that cannot be undone while text is read, as where they begin and end is not to be seen.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::view::{Codes, LineEnds, Quotes, blanks_for_plus, has_escapes, stripped, unescaped};
use crate::process::Secret;

/// Shorter ones are found by chance.
pub(super) const NEEDLE_BYTES_MIN: usize = 6;
/// A long secret is looked for in pieces, so that what may be the start of one is never held back for long.
const PIECE_BYTES: usize = 48;
/// Pieces overlap by what base64, even twice, makes of their first and last bytes together with their neighbours.
const OVERLAP_BYTES: usize = 8;
/// Where encoders break lines before the lines are encoded again.
const COLUMNS: [usize; 2] = [64, 76];
/// `\x4`, `%4` and `&l` may go on behind a secret; of a longer escape as much is shown as of any neighbour.
const ESCAPE_BEGUN_BYTES_MAX: usize = 3;
/// A text in JSON in JSON in JSON; nobody has seen more.
pub(super) const LAYERS_MAX: usize = 3;

/// What is searched for, in text without line ends.
pub(super) fn forms(secret: &Secret) -> BTreeSet<Vec<u8>> {
    let value = secret.expose();
    let mut sources: Vec<String> = vec![value.to_owned(), value.trim().to_owned()];
    sources.extend(secret.lines().map(str::to_owned));
    if value.trim().contains('\n') {
        sources.push(value.replace("\r\n", "\n").replace('\n', "\r\n"));
        sources.push(value.replace("\r\n", "\n"));
    }
    let mut forms = BTreeSet::new();
    for source in &sources {
        for piece in pieces(source) {
            add_forms(piece, &mut forms);
        }
        for columns in COLUMNS {
            let encoded = STANDARD_NO_PAD.encode(source);
            if encoded.len() > columns {
                for piece in pieces(&broken(&encoded, columns)) {
                    forms.extend(base64(&STANDARD_NO_PAD, piece.as_bytes()));
                }
            }
        }
    }
    forms
        .into_iter()
        .map(|form| stripped(&form, LineEnds::Dropped, Codes::Kept).bytes)
        .filter(|form| form.len() >= NEEDLE_BYTES_MIN)
        .collect()
}

/// The same as they read with one to [`LAYERS_MAX`] layers undone, for text that was read so.
pub(super) fn unescaped_forms(forms: &BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    for form in forms {
        let mut form = form.clone();
        let mut layers = 0;
        loop {
            let mut kept = form.clone();
            blanks_for_plus(&mut kept);
            all.extend(without_escape_begun(&kept));
            all.insert(kept);
            if layers == LAYERS_MAX || !has_escapes(&form, Quotes::Undone) {
                break;
            }
            form = unescaped(&form, Quotes::Undone).bytes;
            layers += 1;
        }
    }
    all.retain(|form| form.len() >= NEEDLE_BYTES_MIN);
    all
}

/// A form without the backslash, percent sign or ampersand at its end that is none of an escape: whatever follows it in a text may
/// make it one, and undoing that takes it away.
fn without_escape_begun(form: &[u8]) -> Option<Vec<u8>> {
    let end = form.len().saturating_sub(ESCAPE_BEGUN_BYTES_MAX);
    let begun = form[end..].iter().position(|byte| matches!(byte, b'\\' | b'%' | b'&'))?;
    Some(form[..end + begun].to_vec())
}

/// The text, in overlapping pieces where it is long.
fn pieces(text: &str) -> Vec<&str> {
    let boundary = |mut place: usize| {
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        place
    };
    if text.len() <= PIECE_BYTES + OVERLAP_BYTES {
        return vec![text];
    }
    let mut pieces = Vec::new();
    let mut start = 0;
    while start + PIECE_BYTES < text.len() {
        let from = boundary(start);
        pieces.push(&text[from..boundary(start + PIECE_BYTES)]);
        start += PIECE_BYTES - OVERLAP_BYTES;
    }
    pieces.push(&text[boundary(text.len() - PIECE_BYTES)..]);
    pieces
}

fn broken(text: &str, columns: usize) -> String {
    let mut broken = String::new();
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % columns == 0 {
            broken.push('\n');
        }
        broken.push(character);
    }
    broken
}

fn add_forms(piece: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let bytes = piece.as_bytes();
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        let once = base64(engine, bytes);
        for form in once.iter().chain([&engine.encode(bytes).into_bytes()]) {
            forms.extend(base64(engine, form));
        }
        forms.extend(once);
    }
    let upper = base32(bytes);
    forms.extend(upper.iter().map(|form| form.to_ascii_lowercase().into_bytes()));
    forms.extend(upper.into_iter().map(String::into_bytes));
    // Where it stands alone it is read as a number; glued to other letters it is not.
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    forms.insert(hex.to_ascii_uppercase().into_bytes());
    forms.insert(hex.into_bytes());
    forms.insert(bytes.to_vec());
    forms.insert(piece.replace(' ', "+").into_bytes());
    for other in written_otherwise(piece) {
        forms.extend(base64(&STANDARD_NO_PAD, &other));
        forms.insert(other);
    }
    // Inside base64 an escape is not to be seen: the file with which Kubernetes pulls images is JSON in base64.
    for other in escaped(piece) {
        forms.extend(base64(&STANDARD_NO_PAD, other.as_bytes()));
        forms.extend(base64(&URL_SAFE_NO_PAD, other.as_bytes()));
    }
}

/// The text as JSON of JavaScript, Go and Python and as a part of a URL, where that is something else.
fn escaped(piece: &str) -> BTreeSet<String> {
    let quoted = serde_json::Value::from(piece).to_string();
    let json = quoted[1..quoted.len() - 1].to_owned();
    let go = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let unit = |unit: u16| match char::from_u32(unit.into()).filter(char::is_ascii) {
        Some(c) => c.to_string(),
        None => format!("\\u{unit:04x}"),
    };
    let python = json.encode_utf16().map(unit).collect();
    let in_url = |byte: u8| match char::from(byte) {
        c if c.is_ascii_alphanumeric() || "-_.~".contains(c) => c.to_string(),
        _ => format!("%{byte:02X}"),
    };
    let url = piece.bytes().map(in_url).collect();
    let mut all = BTreeSet::from([json, go, python, url]);
    all.remove(piece);
    all
}

/// The text in UTF-16, of which ASCII reads as it is once NUL bytes are dropped, but not in base64; and with a byte for each
/// character that fits into one, as Python writes it.
fn written_otherwise(piece: &str) -> Vec<Vec<u8>> {
    let mut all = vec![piece.encode_utf16().flat_map(u16::to_le_bytes).collect()];
    if !piece.is_ascii() {
        all.push(piece.encode_utf16().flat_map(u16::to_be_bytes).collect());
        let latin = |character: char| match u8::try_from(u32::from(character)) {
            Ok(byte) => vec![byte],
            Err(_) => character.to_string().into_bytes(),
        };
        all.push(piece.chars().flat_map(latin).collect());
    }
    all
}

/// What stays the same of a text's base64 whatever stands in front of it, as in `user:password`, and behind it: the characters
/// that also hold bits of its neighbours are left out. And with the last character as it is at the end.
fn base64(engine: &impl Engine, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for (before, first) in [(0, 0), (1, 2), (2, 3)] {
        let encoded = engine.encode([&vec![0; before], bytes].concat());
        let last = (before + bytes.len()) * 4 / 3;
        for end in [last, encoded.len()] {
            forms.extend(encoded.as_bytes().get(first..end).map(<[u8]>::to_vec));
        }
    }
    forms.retain(|form| form.len() >= NEEDLE_BYTES_MIN);
    forms
}

/// As [`base64`], for base32: eight characters for five bytes.
fn base32(bytes: &[u8]) -> Vec<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |place: usize| bytes.get(place / 8).map_or(0, |byte| usize::from(byte >> (7 - place % 8) & 1));
    let bits = bytes.len() * 8;
    let mut forms = Vec::new();
    // The first bit of the text that begins a character, for each number of bytes that may stand in front.
    for skipped in 0..5 {
        let letters = |starts: &mut dyn Iterator<Item = usize>| {
            starts
                .map(|start| char::from(LETTERS[(start..start + 5).fold(0, |all, place| all << 1 | bit(place))]))
                .collect::<String>()
        };
        forms.push(letters(&mut (skipped..bits.saturating_sub(4)).step_by(5)));
        forms.push(letters(&mut (skipped..bits).step_by(5)));
    }
    forms.retain(|form| form.len() >= NEEDLE_BYTES_MIN);
    forms
}
