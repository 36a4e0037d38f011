//! Text as it reads when its numbers are the bytes that they stand for, whatever stands between them: lists of bytes, dumps in hex
//! or octal, arrays of characters.

use std::ops::Range;

use super::view::View;

/// So many bytes in a row may be a secret.
const NUMBERS_MIN: usize = super::forms::NEEDLE_BYTES_MIN;
/// More characters than the longest number of one byte has, such as `0x54` or `0124`, with its sign or quotes.
const NUMBER_BYTES_MAX: usize = 8;
/// What is no number ends every run of them: no text in UTF-8 has this byte.
const NO_NUMBER: [u8; 1] = [0xff];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Radix {
    Octal,
    Decimal,
    Hex,
}

impl Radix {
    const ALL: [Self; 3] = [Self::Octal, Self::Decimal, Self::Hex];

    /// Adds the bytes that a word stands for, which begins at a place of the source; `-61` is how Java writes one.
    fn write(self, view: &mut View, source: &[u8], word: Range<usize>) {
        let digits = &source[word.clone()];
        match self {
            Self::Octal => {
                let digits = digits.strip_prefix(b"0o").unwrap_or(digits);
                let is_padded = (3..=4).contains(&digits.len());
                let byte = if is_padded { number(digits, 8) } else { None };
                view.write(&byte.map_or(NO_NUMBER, |byte| [byte]), word);
            }
            Self::Decimal => {
                let byte = if digits.len() <= 3 { number(digits, 10) } else { None };
                let (before, last) = source[..word.start].split_at(word.start.saturating_sub(1));
                let is_negative = last == b"-" && !before.last().is_some_and(u8::is_ascii_alphanumeric);
                let byte = if is_negative { byte.map(u8::wrapping_neg) } else { byte };
                view.write(&byte.map_or(NO_NUMBER, |byte| [byte]), word);
            }
            Self::Hex => {
                let prefix = [&b"0x"[..], b"0X", b"x", b"X"].into_iter().find(|prefix| digits.starts_with(prefix));
                let first = word.start + prefix.map_or(0, <[u8]>::len);
                let pair_of_digits = if word.end - first == 1 { 1 } else { 2 };
                for start in (first..word.end).step_by(pair_of_digits) {
                    let end = word.end.min(start + pair_of_digits);
                    let byte = if end - start == pair_of_digits { number(&source[start..end], 16) } else { None };
                    let start = if start == first { word.start } else { start };
                    view.write(&byte.map_or(NO_NUMBER, |byte| [byte]), start..end);
                }
            }
        }
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    super::view::number(digits, radix)?.try_into().ok()
}

/// A text as its numbers read in each radix; none where there are too few.
pub(super) fn all(source: &[u8]) -> Vec<View> {
    match runs(source) {
        runs if runs.is_empty() => Vec::new(),
        runs => Radix::ALL.map(|radix| read(source, &runs, radix)).into(),
    }
}

/// How much at the end of a text may be the beginning of a number, of a character in quotes, or of another pair of digits in hex.
pub(super) fn begun(source: &[u8]) -> usize {
    let word = source.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let is_of_number =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'\\') || is_quote(byte) || !byte.is_ascii();
    let last = source.iter().rev().take(NUMBER_BYTES_MAX).take_while(|&&byte| is_of_number(byte)).count();
    last + usize::from(last < word && (word - last) % 2 == 1)
}

/// Where there are enough numbers in a row that they may be bytes of a secret; at the end of a text, any may be the first of more.
fn runs(source: &[u8]) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let (mut start, mut bytes, mut at) = (0, 0, 0);
    while let Some(&byte) = source.get(at) {
        let (length, stands_for) = if let Some((length, _)) = quoted(&source[at..]) {
            (length, 1)
        } else if is_quote(byte) && source.len() - at < NUMBER_BYTES_MAX {
            break;
        } else if byte.is_ascii_alphanumeric() {
            let (length, others) = word_with_others(&source[at..]);
            // A prefix has one letter that is no digit.
            (length, if others <= 1 { length.div_ceil(2) } else { 0 })
        } else {
            at += 1;
            if byte.is_ascii() {
                continue;
            }
            (0, 0)
        };
        at += length;
        bytes += stands_for;
        if stands_for == 0 {
            if bytes >= NUMBERS_MIN {
                all.push(start..at - length);
            }
            (start, bytes) = (at, 0);
        }
    }
    if bytes > 0 {
        all.push(start..at);
    }
    all
}

/// The bytes that the numbers in these runs stand for, read in one radix.
fn read(source: &[u8], runs: &[Range<usize>], radix: Radix) -> View {
    let mut view = View::default();
    for run in runs {
        view.write(&NO_NUMBER, run.start..run.start);
        let mut at = run.start;
        while at < run.end {
            let length = if let Some((length, letter)) = quoted(&source[at..run.end]) {
                view.write(letter, at..at + length);
                length
            } else if source[at].is_ascii_alphanumeric() {
                let length = word(&source[at..run.end]).len();
                radix.write(&mut view, source, at..at + length);
                length
            } else {
                1
            };
            at += length;
        }
    }
    view
}

/// What a byte is in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InWord {
    Digit,
    Other,
    Nothing,
}

/// In a table, as each byte of all output is looked up.
const IN_WORD: [InWord; 256] = {
    let mut all = [InWord::Nothing; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        all[byte as usize] = match byte {
            _ if byte.is_ascii_hexdigit() => InWord::Digit,
            _ if byte.is_ascii_alphabetic() => InWord::Other,
            _ => InWord::Nothing,
        };
        byte += 1;
    }
    all
};

/// The length of the word that a text begins with, and how many of its letters are no digits in hex.
fn word_with_others(source: &[u8]) -> (usize, usize) {
    let (mut length, mut others) = (0, 0);
    for &byte in source {
        match IN_WORD[usize::from(byte)] {
            InWord::Digit => {}
            InWord::Other => others += 1,
            InWord::Nothing => break,
        }
        length += 1;
    }
    (length, others)
}

fn word(source: &[u8]) -> &[u8] {
    let end = source.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(source.len());
    &source[..end]
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"')
}

/// The length of one character in quotes, with them, and the character.
fn quoted(source: &[u8]) -> Option<(usize, &[u8])> {
    let quote = *source.first().filter(|byte| is_quote(**byte))?;
    let start = if source.get(1) == Some(&b'\\') && source.get(3) == Some(&quote) { 2 } else { 1 };
    let inside = source.get(start + 1..source.len().min(start + 5))?;
    let end = start + 1 + inside.iter().position(|&byte| byte == quote)?;
    let letter = match &source[start..end] {
        b"n" if start == 2 => b"\n",
        b"r" if start == 2 => b"\r",
        b"t" if start == 2 => b"\t",
        letter => letter,
    };
    (std::str::from_utf8(letter).ok()?.chars().count() == 1).then_some((end + 1, letter))
}
