//! Whether a text is Python, told from its words alone.
//!
//! Python's own parser is of one version, and would have to be started. Here the whole text is taken apart as each Python since 3.7
//! does it, and refused at the first place that none of them accepts: two words beside each other of which neither is a keyword, a
//! bracket or string without its end, an operator where none may be, an indent that nothing asks for. So nothing that runs is missed;
//! a text of another language that has no such place, and imports, defines or calls something, is taken for Python.

mod numbers;
mod reader;
mod strings;

pub(super) use numbers::Numbers;
use reader::Reader;

use crate::formats::source_encoding::named_in;

/// So many letters further on decide at most what a word is, as in `1.e-5`.
const LOOKED_AHEAD: usize = 4;

/// What a text could do as Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Does {
    /// Nothing: names, numbers, texts, settings; or no Python would run it.
    Nothing,
    /// It calls something, as texts of many languages do.
    Calls,
    /// It imports, defines or runs something in Python's way.
    Imports,
}

/// What this whole text could do as Python. Its lines end in line feeds.
pub(super) fn does(text: &str) -> Does {
    if has_other_letters(text) {
        return Does::Imports;
    }
    let mut reader = Reader::new(text.as_bytes());
    match reader.read() {
        Some(()) => reader.does,
        None => Does::Nothing,
    }
}

/// What this text does so far, where something may follow with which it is Python.
pub(super) fn may_go_on(text: &str) -> Option<Does> {
    if has_other_letters(text) {
        return Some(Does::Imports);
    }
    let mut reader = Reader::new(text.as_bytes());
    // What is refused at the end could be half a word.
    (reader.read().is_some() || reader.at + LOOKED_AHEAD >= text.len()).then_some(reader.does)
}

/// The starts of the names of encodings in which a byte below 128 is always the letter of ASCII.
const ONE_LETTER_A_BYTE: [&str; 16] = [
    "utf-8",
    "utf8",
    "ascii",
    "us-ascii",
    "latin",
    "iso-8859",
    "iso8859",
    "cp125",
    "windows-125",
    "koi8",
    "mac-",
    "cp437",
    "cp737",
    "cp775",
    "cp85",
    "cp874",
];
/// The same of those in which it is, but behind a byte from 128.
const ONE_LETTER_OR_MORE: [&str; 10] =
    ["euc", "gb18030", "gb2312", "gbk", "big5", "shift-jis", "shiftjis", "sjis", "cp932", "cp949"];

/// Whether one of the first two lines says that the letters are not what they look like, as in `# coding: utf-7`. Whatever such a text
/// does, it does unseen.
fn has_other_letters(text: &str) -> bool {
    let comments = text.lines().take(2).filter(|line| line.trim_start().starts_with('#'));
    comments.flat_map(named_in).any(|name| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let is_among = |known: &[&str]| known.iter().any(|known| name.starts_with(known));
        !(is_among(&ONE_LETTER_A_BYTE) || (text.is_ascii() && is_among(&ONE_LETTER_OR_MORE)))
    })
}

#[cfg(test)]
#[path = "python_tests.rs"]
mod tests;
