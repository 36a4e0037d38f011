//! Characters that turn the direction of writing: with them a text is shown in another order than the one in which a machine reads it.
//!
//! Those of [Trojan Source](https://trojansource.codes): embeddings, overrides and isolates. Marks (U+200E, U+200F) turn nothing that
//! stands beside them.

use std::io::{self, Read};

/// So much is read at a time.
const PART_BYTES: usize = 64 << 10;
/// How each of these characters begins in UTF-8.
const FIRST_BYTE: u8 = 0xE2;
/// No character begins with a smaller byte, if it has more than one.
const FIRST_BYTE_LEAST: u8 = 0xC0;
/// No character has more bytes.
const LETTER_BYTES_MAX: usize = 4;

/// Whether a character turns the direction of what follows it.
#[must_use]
pub fn turns(letter: char) -> bool {
    matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The characters of a text that turn the direction of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// The first one.
    pub first: char,
    /// Its line, from 1.
    pub line: u32,
    /// How many there are.
    pub count: u64,
}

impl Turns {
    /// Those of the text that is read here, of any length. Bytes that are no UTF-8 are passed over, as editors show what is around
    /// them; none where there is a NUL byte too, as that is no text, and these bytes are chance in it.
    ///
    /// # Errors
    /// When it cannot be read.
    ///
    /// ```
    /// use cicd_core::formats::direction::Turns;
    ///
    /// let turns = Turns::read("a\nif level != \"user\u{202E}\":\n".as_bytes())?.expect("some");
    /// assert_eq!((turns.first, turns.line, turns.count), ('\u{202E}', 2, 1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read(mut text: impl Read) -> io::Result<Option<Self>> {
        let (mut found, mut line): (Option<Self>, u32) = (None, 1);
        let (mut has_nul, mut has_other_bytes) = (false, false);
        let mut part = Vec::new();
        loop {
            let read = text.by_ref().take(PART_BYTES as u64).read_to_end(&mut part)?;
            // A character may be cut in two by the end of what was read, but not by that of the file.
            let cut = part.iter().rev().take(LETTER_BYTES_MAX - 1).position(|byte| *byte >= FIRST_BYTE_LEAST);
            let whole = if read > 0 { part.len() - cut.map_or(0, |at| at + 1) } else { part.len() };
            let text = &part[..whole];
            has_nul |= memchr::memchr(0, text).is_some();
            has_other_bytes |= std::str::from_utf8(text).is_err();
            if has_nul && has_other_bytes {
                return Ok(None);
            }
            // Hardly a text has such letters, and all of them begin so.
            if memchr::memchr(FIRST_BYTE, text).is_some() {
                for letter in String::from_utf8_lossy(text).chars() {
                    line = line.saturating_add(u32::from(letter == '\n'));
                    if turns(letter) {
                        found.get_or_insert(Self { first: letter, line, count: 0 }).count += 1;
                    }
                }
            } else {
                let lines = memchr::memchr_iter(b'\n', text).count();
                line = line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
            }
            part.drain(..whole);
            if read == 0 {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<(char, u32, u64)> {
        Turns::read(text).expect("read").map(|turns| (turns.first, turns.line, turns.count))
    }

    #[test]
    fn each_character_that_turns_is_found_wherever_it_stands() {
        for turn in ('\u{202A}'..='\u{202E}').chain('\u{2066}'..='\u{2069}') {
            for before in [0, 1, PART_BYTES - 2, PART_BYTES - 1, PART_BYTES, 3 * PART_BYTES - 1] {
                let text = format!("{}\n\n{turn}{turn} é", "a".repeat(before));
                assert_eq!(read(text.as_bytes()), Some((turn, 3, 2)), "{turn:?} behind {before}");
            }
        }
    }

    #[test]
    fn other_letters_and_what_is_no_text_turn_nothing() {
        for text in ["", "שלום — “é” \u{200E}\u{200F}\u{FEFF}\u{202F}\u{2029}\u{2060}\u{206A}", "\\u202e"] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
        for bytes in [
            &b"\xE2\x80\xAE\0\xFF"[..],
            b"\0\xFF\xE2\x80\xAE",
            b"\x7FELF\0\xE8\xE2\x80\xAE",
            b"\xE2\x80",
            b"\xE2\x80\xFF\xAE",
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_of_no_letter_hide_no_turn() {
        for bytes in [
            &b"\xE2\x80\xAE\xFF"[..],
            b"\xFF\xE2\x80\xAE",
            b"\xE2\x80\xAE\0",
            b"\0\xE2\x80\xAE",
            b"\xE2\x80\xAE\xE2\x80",
            b"caf\xE9\xE2\x80\xAE\xC0",
        ] {
            assert_eq!(read(bytes), Some(('\u{202E}', 1, 1)), "{bytes:?}");
        }
        for before in PART_BYTES - 5..PART_BYTES + 2 {
            let mut text = vec![b'a'; before];
            text.extend(b"\xFF\n\xE2\x80\xAE");
            assert_eq!(read(&text), Some(('\u{202E}', 2, 1)), "behind {before}");
        }
    }
}
