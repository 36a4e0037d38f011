//! Text as it reads when one way of writing it is undone, and where each byte of it stands in what was read.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use super::entities::named;

const ESCAPE: u8 = 0x1b;
/// A colour code has a few digits. What is longer is no code but text.
const CODE_BYTES_MAX: usize = 64;
/// Terminals take links of up to 2,083 bytes.
const STRING_BYTES_MAX: usize = 4 << 10;
/// `&thetasym;` is among the longest names; numbers have at most eight digits.
const ENTITY_BYTES_MAX: usize = 14;

/// Bytes, and the place of each in the source they were read from.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    runs: Vec<Run>,
    /// Where in the source something begins that its end cuts off, as far as can be told.
    pub(super) unfinished: Option<usize>,
}

/// A run of bytes that was copied, or that is written otherwise in the source; then the lengths differ.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    bytes: usize,
    source: usize,
    source_bytes: usize,
}

impl View {
    /// The place in the source of a range that is not empty.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        let run = |place: usize| self.runs[self.runs.partition_point(|run| run.start <= place) - 1];
        let (first, last) = (run(range.start), run(range.end - 1));
        let copied = |run: Run| run.bytes == run.source_bytes;
        let start = if copied(first) { first.source + range.start - first.start } else { first.source };
        let end = if copied(last) { last.source + range.end - last.start } else { last.source + last.source_bytes };
        start..end
    }

    /// How many bytes are read from what stands before `place` in the source.
    pub(super) fn before(&self, place: usize) -> usize {
        let Some(run) = self.runs[..self.runs.partition_point(|run| run.source < place)].last() else { return 0 };
        let copied = run.bytes == run.source_bytes;
        match (copied, place - run.source) {
            (true, inside) => run.start + inside.min(run.bytes),
            (false, inside) if inside < run.source_bytes => run.start,
            _ => run.start + run.bytes,
        }
    }

    fn copy(&mut self, source: &[u8], range: Range<usize>) {
        let bytes = range.len();
        if bytes == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.bytes == run.source_bytes && run.source + run.source_bytes == range.start => {
                run.bytes += bytes;
                run.source_bytes += bytes;
            }
            _ => self.runs.push(Run { start: self.bytes.len(), bytes, source: range.start, source_bytes: bytes }),
        }
        self.bytes.extend_from_slice(&source[range]);
    }

    /// Bytes that the source writes otherwise; line ends and NUL bytes are dropped, as everywhere.
    pub(super) fn write(&mut self, bytes: &[u8], range: Range<usize>) {
        let start = self.bytes.len();
        self.bytes.extend(bytes.iter().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
        let bytes = self.bytes.len() - start;
        if bytes > 0 {
            self.runs.push(Run { start, bytes, source: range.start, source_bytes: range.len() });
        }
    }

    fn write_char(&mut self, character: u32, range: Range<usize>) {
        // Half a pair of surrogates stands for nothing.
        let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.write(character.encode_utf8(&mut [0; 4]).as_bytes(), range);
    }
}

/// What is dropped together with a line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// Nothing.
    Dropped,
    /// A letter before it: quoted-printable breaks lines by `=`, shells by `\`.
    Soft(u8),
    /// Blanks behind it, and the mark of a line that is added or quoted.
    Indented,
}

/// Whether the codes of a terminal are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codes {
    Kept,
    Dropped,
}

/// Without line ends, NUL bytes, which UTF-16 puts between letters, and the codes that colour a terminal.
pub(super) fn stripped(source: &[u8], ends: LineEnds, codes: Codes) -> View {
    let mut view = View { bytes: Vec::with_capacity(source.len()), ..View::default() };
    let (mut done, mut at) = (0, 0);
    let next_code = |from: usize| match codes {
        Codes::Kept => None,
        Codes::Dropped => memchr(ESCAPE, &source[from..]).map(|place| from + place),
    };
    let mut escape = next_code(0);
    loop {
        if escape.is_some_and(|place| place < at) {
            escape = next_code(at);
        }
        let end = escape.unwrap_or(source.len());
        let Some(place) = memchr3(b'\n', b'\r', 0, &source[at..end]).map(|place| at + place).or(escape) else { break };
        let after = if source[place] == ESCAPE {
            match code_end(&source[place..]) {
                Code::Ends(bytes) => place + bytes,
                Code::IsNone => {
                    at = place + 1;
                    continue;
                }
                Code::GoesOn => {
                    view.unfinished = view.unfinished.or(Some(place));
                    at = place + 1;
                    continue;
                }
            }
        } else if ends == LineEnds::Indented && source[place] != 0 {
            place + 1 + indent(&source[place + 1..])
        } else {
            place + 1
        };
        let last = source[done..place].last();
        let soft = matches!(source[place], b'\n' | b'\r')
            && matches!((ends, last), (LineEnds::Soft(breaks), Some(last)) if breaks == *last);
        view.copy(source, done..place - usize::from(soft));
        (done, at) = (after, after);
    }
    view.copy(source, done..source.len());
    view
}

/// How much in front of a line's text is only there to set it off.
fn indent(line: &[u8]) -> usize {
    let blanks = |from: usize| line[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let first = blanks(0);
    match line.get(first) {
        Some(b'+' | b'|' | b'>' | b'#') => first + 1 + blanks(first + 1),
        _ => first,
    }
}

/// Whether some line is set off from the margin.
pub(super) fn has_indent(source: &[u8]) -> bool {
    memchr_iter(b'\n', source).any(|place| indent(&source[place + 1..]) > 0)
}

/// Whether there may be codes of a terminal.
pub(super) fn has_codes(source: &[u8]) -> bool {
    memchr(ESCAPE, source).is_some()
}

enum Code {
    Ends(usize),
    IsNone,
    GoesOn,
}

/// The length of a terminal's code (ECMA-48): `ESC [ … letter`; `ESC ] … BEL` and other strings, as links are written; `ESC ( B` and
/// other short ones.
fn code_end(bytes: &[u8]) -> Code {
    let Some(&kind) = bytes.get(1) else { return Code::GoesOn };
    let (bytes_max, end) = match kind {
        b'[' => (CODE_BYTES_MAX, after(bytes, CODE_BYTES_MAX, |byte| (0x40..=0x7e).contains(&byte))),
        b']' | b'P' | b'X' | b'^' | b'_' => {
            (STRING_BYTES_MAX, after(bytes, STRING_BYTES_MAX, |byte| byte == 7 || byte == b'\\'))
        }
        0x20..=0x2f => (CODE_BYTES_MAX, after(bytes, CODE_BYTES_MAX, |byte| (0x30..=0x7e).contains(&byte))),
        0x30..=0x7e => return Code::Ends(2),
        _ => return Code::IsNone,
    };
    match end {
        Some(end) => Code::Ends(end),
        None if bytes.len() < bytes_max => Code::GoesOn,
        None => Code::IsNone,
    }
}

/// The place behind the first byte that ends a code.
fn after(bytes: &[u8], bytes_max: usize, ends: impl Fn(u8) -> bool) -> Option<usize> {
    let inside = bytes.get(2..bytes.len().min(bytes_max))?;
    inside.iter().position(|&byte| ends(byte)).map(|place| place + 3)
}

/// What quotes are to [`unescaped`]: only a secret that has some needs them undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    Kept,
    Undone,
}

/// Whether [`unescaped`] would change anything that matters.
pub(super) fn has_escapes(bytes: &[u8], quotes: Quotes) -> bool {
    memchr3(b'\\', b'%', b'&', bytes).is_some() || (quotes == Quotes::Undone && memchr2(b'\'', b'"', bytes).is_some())
}

/// One layer of backslashes, percent signs, HTML entities and doubled quotes undone, whichever language wrote them, and with a
/// blank for each `+`, as in a form.
pub(super) fn unescaped(source: &[u8], quotes: Quotes) -> View {
    let mut view = View { bytes: Vec::with_capacity(source.len()), ..View::default() };
    let (mut done, mut at) = (0, 0);
    let mut next_quote = match quotes {
        Quotes::Kept => None,
        Quotes::Undone => memchr2(b'\'', b'"', source),
    };
    loop {
        if next_quote.is_some_and(|place| place < at) {
            next_quote = memchr2(b'\'', b'"', &source[at..]).map(|place| at + place);
        }
        let end = next_quote.unwrap_or(source.len());
        let other = memchr3(b'\\', b'%', b'&', &source[at..end]).map(|place| at + place);
        let Some(place) = other.or(next_quote) else { break };
        let rest = &source[place..];
        let written = match rest[0] {
            b'\\' => backslash(rest),
            b'%' => percent(rest),
            b'&' => entity(rest),
            _ => quote(rest),
        };
        let Some((written, bytes)) = written else {
            at = place + 1;
            continue;
        };
        let range = place..place + bytes;
        view.copy(source, done..place);
        match written {
            Written::Byte(byte) => view.write(&[byte], range.clone()),
            Written::Char(character) => view.write_char(character, range.clone()),
        }
        (done, at) = (range.end, range.end);
    }
    view.copy(source, done..source.len());
    blanks_for_plus(&mut view.bytes);
    view
}

pub(super) fn blanks_for_plus(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(place) = memchr(b'+', &bytes[at..]) {
        bytes[at + place] = b' ';
        at += place + 1;
    }
}

/// Whether there may be quoted-printable.
pub(super) fn has_printable(source: &[u8]) -> bool {
    let mut at = 0;
    while let Some(place) = memchr(b'=', &source[at..]).map(|place| at + place) {
        at = place + 1;
        if matches!(source.get(at), Some(b'\n' | b'\r')) || source.get(at..at + 2).and_then(hex).is_some() {
            return true;
        }
    }
    false
}

/// Whether there may be lines that a shell joins.
pub(super) fn has_joined(source: &[u8]) -> bool {
    memchr_iter(b'\n', source).any(|place| source[..place].ends_with(b"\\") || source[..place].ends_with(b"\\\r"))
}

/// Quoted-printable undone, but for its line breaks.
pub(super) fn unquoted_printable(source: &[u8]) -> View {
    let mut view = View::default();
    let (mut done, mut at) = (0, 0);
    while let Some(place) = memchr(b'=', &source[at..]).map(|place| at + place) {
        at = place + 1;
        if let Some(byte) = source.get(place + 1..place + 3).and_then(hex) {
            view.copy(source, done..place);
            view.write(&[u8::try_from(byte).unwrap_or(0)], place..place + 3);
            (done, at) = (place + 3, place + 3);
        }
    }
    view.copy(source, done..source.len());
    view
}

enum Written {
    Byte(u8),
    Char(u32),
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, &digit| number.checked_mul(16)?.checked_add(char::from(digit).to_digit(16)?))
}

pub(super) fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |all, &digit| all.checked_mul(radix)?.checked_add(char::from(digit).to_digit(radix)?))
}

fn backslash(rest: &[u8]) -> Option<(Written, usize)> {
    let next = *rest.get(1)?;
    let fixed = |digits: usize| Some((hex(rest.get(2..2 + digits)?)?, 2 + digits));
    Some(match next {
        b'u' if rest.get(2) == Some(&b'{') => {
            let end = memchr(b'}', rest.get(3..rest.len().min(12))?)?;
            (Written::Char(number(&rest[3..3 + end], 16)?), 4 + end)
        }
        b'u' => {
            let (first, bytes) = fixed(4)?;
            match low_surrogate(first, &rest[bytes..]) {
                Some(low) => (Written::Char(0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00)), 2 * bytes),
                None => (Written::Char(first), bytes),
            }
        }
        b'U' => {
            let (character, bytes) = fixed(8)?;
            (Written::Char(character), bytes)
        }
        b'x' => {
            let (byte, bytes) = fixed(2)?;
            (Written::Byte(u8::try_from(byte).unwrap_or(0)), bytes)
        }
        b'0'..=b'7' => {
            let digits = rest[1..].iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
            (Written::Byte((number(&rest[1..=digits], 8)? & 0xff) as u8), 1 + digits)
        }
        b'n' => (Written::Byte(b'\n'), 2),
        b'r' => (Written::Byte(b'\r'), 2),
        b't' => (Written::Byte(b'\t'), 2),
        b'b' => (Written::Byte(8), 2),
        b'f' => (Written::Byte(12), 2),
        b'v' => (Written::Byte(11), 2),
        b'a' => (Written::Byte(7), 2),
        b'e' | b'E' => (Written::Byte(ESCAPE), 2),
        other if other.is_ascii_alphanumeric() => return None,
        other => (Written::Byte(other), 2),
    })
}

fn low_surrogate(first: u32, after: &[u8]) -> Option<u32> {
    let low = hex(after.strip_prefix(b"\\u")?.get(..4)?)?;
    ((0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&low)).then_some(low)
}

fn percent(rest: &[u8]) -> Option<(Written, usize)> {
    if rest.get(1) == Some(&b'u') {
        return Some((Written::Char(hex(rest.get(2..6)?)?), 6));
    }
    Some((Written::Byte(u8::try_from(hex(rest.get(1..3)?)?).ok()?), 3))
}

fn entity(rest: &[u8]) -> Option<(Written, usize)> {
    let end = memchr(b';', &rest[..rest.len().min(ENTITY_BYTES_MAX)])?;
    let character = match &rest[1..end] {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        name => named(std::str::from_utf8(name).ok()?)?.into(),
    };
    Some((Written::Char(character), end + 1))
}

/// A quote inside quotes, as shells, CSV, SQL and YAML write it.
fn quote(rest: &[u8]) -> Option<(Written, usize)> {
    let ways: [(&[u8], u8); 4] = [(b"'\\''", b'\''), (b"'\"'\"'", b'\''), (b"''", b'\''), (b"\"\"", b'"')];
    let (way, byte) = ways.iter().find(|(way, _)| rest.starts_with(way))?;
    Some((Written::Byte(*byte), way.len()))
}
