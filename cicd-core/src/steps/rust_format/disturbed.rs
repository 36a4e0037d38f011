//! What rustfmt leaves as it is. Where a statement cannot be written within the width, or a comment of it would be lost, rustfmt copies
//! it from the source without a word, and `--check` finds no difference.
//!
//! So a copy is formatted whose code has other blanks, and whose texts are no wider than a line may be. What rustfmt can format comes
//! back as it stands in the source, and what does not is not how rustfmt writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use unicode_width::UnicodeWidthStr as _;

use crate::formats::rust_tokens::{Piece, PieceKind, pieces};

/// How wide a text stays at least that is made narrower: its number stands in it.
const NARROW_WIDTH_MIN: usize = 12;
/// How wide rustfmt takes a tab to be.
const TAB_WIDTH: usize = 4;
/// Macros of the standard library that take expressions, which rustfmt formats. Of any other it cannot be known whether it does, and
/// with braces it formats none.
const OF_EXPRESSIONS: [&str; 20] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "panic",
    "print",
    "println",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
    "write",
    "writeln",
];
/// Words behind which `!` negates.
const KEYWORDS: [&str; 8] = ["break", "else", "if", "in", "let", "match", "return", "while"];
/// How items begin whose commas do not end them.
const ITEMS: [&str; 14] = [
    "async", "const", "enum", "extern", "fn", "impl", "mod", "pub", "static", "struct", "trait", "type", "unsafe",
    "use",
];
/// Items that end with the brace of their body.
const BRACED: [&str; 8] = ["enum", "extern", "fn", "impl", "mod", "struct", "trait", "union"];
/// Behind what closes a bracket these go on with the same expression.
const GOING_ON: [&str; 2] = ["as", "else"];
/// Marks before which rustfmt writes no blank.
const CLOSE_BEFORE: [&str; 4] = [";", ",", ")", "]"];

/// A source with other blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disturbed {
    pub(super) text: String,
    /// The texts that are narrower than in the source, and what they were.
    narrowed: Vec<(String, String)>,
}

/// Where a source is not what rustfmt makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    /// From 1.
    pub(super) line: u32,
    /// How the line would be written; nothing where rustfmt cannot format it.
    pub(super) expected: Option<String>,
}

impl Disturbed {
    /// Of a source, whose lines should not be wider than this.
    pub(super) fn of(source: &str, width: usize) -> Self {
        let pieces: Vec<_> = pieces(source).collect();
        let kept = kept(&pieces);
        let narrow = if source.lines().any(|line| width_of(line) > width) {
            narrowed(&pieces, &kept, width)
        } else {
            BTreeMap::new()
        };
        let mut text = String::with_capacity(source.len() + source.len() / 8);
        let is_code = |at: Option<usize>| at.and_then(|at| pieces.get(at)).is_some_and(|piece| piece.kind.is_code());
        for (at, piece) in pieces.iter().enumerate() {
            let (after_code, before_code) = (is_code(at.checked_sub(1)), is_code(Some(at + 1)));
            match piece.kind {
                PieceKind::Blank if kept[at] != Kept::No => text.push_str(piece.text),
                PieceKind::Blank => match piece.text.rfind('\n') {
                    Some(end) if before_code => text.push_str(&piece.text[..=end]),
                    None if after_code && before_code => {
                        text.push_str(piece.text);
                        text.push(' ');
                    }
                    _ => text.push_str(piece.text),
                },
                PieceKind::Mark if after_code && CLOSE_BEFORE.contains(&piece.text) && kept[at] == Kept::No => {
                    text.push(' ');
                    text.push_str(piece.text);
                }
                PieceKind::Text => text.push_str(narrow.get(&at).map_or(piece.text, |(narrow, _)| narrow)),
                _ => text.push_str(piece.text),
            }
        }
        Self { text, narrowed: narrow.into_values().collect() }
    }

    /// The first place of the source that rustfmt, which made `formatted` of this, does not write so.
    pub(super) fn left(&self, source: &str, formatted: &str) -> Option<Left> {
        let formatted = self.widened(formatted);
        let mut lines = formatted.lines();
        let mut count = 0;
        for line in source.lines() {
            count += 1;
            let written = lines.next();
            if written != Some(line) {
                let disturbed: BTreeSet<_> = self.text.lines().map(str::trim).collect();
                let written = written.map(str::trim).filter(|written| !disturbed.contains(written));
                return Some(Left { line: count, expected: written.map(str::to_owned) });
            }
        }
        lines.next().map(|line| Left { line: count.max(1), expected: Some(line.trim().to_owned()) })
    }

    /// The text with what its texts were.
    fn widened(&self, text: &str) -> String {
        let (mut wide, mut rest) = (String::with_capacity(text.len()), text);
        for (narrow, was) in &self.narrowed {
            // Texts keep their order, but where attributes and modules are sorted; that is a difference then.
            if let Some((before, after)) = rest.split_once(narrow) {
                wide.push_str(before);
                wide.push_str(was);
                rest = after;
            }
        }
        wide.push_str(rest);
        wide
    }
}

/// What is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    No,
    /// What a macro is given: its blanks.
    Blanks,
    /// An attribute, or what one keeps from being formatted.
    All,
}

/// What is kept of each piece.
fn kept(pieces: &[Piece<'_>]) -> Vec<Kept> {
    let code = Code::of(pieces);
    let mut kept = vec![Kept::No; pieces.len()];
    let mut at = 0;
    while at < code.places.len() {
        let (end, how) = match code.word(at) {
            "#" => match code.attribute(at) {
                Some(end) => (end, Kept::All),
                None => (at, Kept::No),
            },
            "!" => match code.macro_end(at) {
                Some(end) => (end, Kept::Blanks),
                None => (at, Kept::No),
            },
            _ => (at, Kept::No),
        };
        if how != Kept::No {
            kept[code.places[at]..=code.places[end]].fill(how);
        }
        at = end + 1;
    }
    kept
}

/// The pieces that the compiler sees.
struct Code<'a> {
    pieces: &'a [Piece<'a>],
    places: Vec<usize>,
    /// For each that opens a bracket, which one closes it.
    closes: BTreeMap<usize, usize>,
    /// For each, which one opens the innermost bracket around it.
    around: Vec<Option<usize>>,
}

impl<'a> Code<'a> {
    fn of(pieces: &'a [Piece<'a>]) -> Self {
        let places: Vec<_> = (0..pieces.len()).filter(|&at| pieces[at].kind.is_code()).collect();
        let (mut closes, mut open, mut around) = (BTreeMap::new(), Vec::new(), Vec::with_capacity(places.len()));
        for (at, &place) in places.iter().enumerate() {
            around.push(open.last().copied());
            match pieces[place].text {
                "(" | "[" | "{" => open.push(at),
                ")" | "]" | "}" => {
                    if let Some(open) = open.pop() {
                        closes.insert(open, at);
                    }
                }
                _ => {}
            }
        }
        Self { pieces, places, closes, around }
    }

    fn word(&self, at: usize) -> &'a str {
        self.places.get(at).map_or("", |&place| self.pieces[place].text)
    }

    fn is_word(&self, at: usize) -> bool {
        self.places.get(at).is_some_and(|&place| self.pieces[place].kind == PieceKind::Word)
    }

    fn last(&self) -> usize {
        self.places.len() - 1
    }

    /// Where a bracket that opens here is closed.
    fn end_of(&self, at: usize) -> usize {
        self.closes.get(&at).copied().unwrap_or(self.last())
    }

    /// Where the attribute ends that begins here, with what it keeps from being formatted.
    fn attribute(&self, at: usize) -> Option<usize> {
        let is_inner = self.word(at + 1) == "!";
        let open = at + 1 + usize::from(is_inner);
        if self.word(open) != "[" {
            return None;
        }
        let end = self.end_of(open);
        let words = || open..end;
        let skips = words()
            .any(|at| self.word(at) == "rustfmt_skip" || (self.word(at) == "rustfmt" && self.word(at + 2) == "skip"));
        Some(match (skips, is_inner) {
            (false, _) => end,
            (true, true) => self.around[at].map_or(self.last(), |open| self.end_of(open)),
            (true, false) => self.item_end(end + 1),
        })
    }

    /// Where the item, statement, field or arm ends that begins here.
    fn item_end(&self, mut at: usize) -> usize {
        while self.word(at) == "#" && self.word(at + 1) == "[" {
            at = self.end_of(at + 1) + 1;
        }
        let is_item = ITEMS.contains(&self.word(at));
        let mut is_braced = false;
        while at < self.last() {
            match self.word(at) {
                ";" => return at,
                "," if !is_item => return at,
                ")" | "]" | "}" => return at - 1,
                "{" => {
                    at = self.end_of(at);
                    let goes_on = GOING_ON.contains(&self.word(at + 1));
                    if is_braced
                        || (!is_item && !goes_on && (self.is_word(at + 1) || matches!(self.word(at + 1), "#" | "}")))
                    {
                        return at;
                    }
                }
                "(" | "[" => at = self.end_of(at),
                word => is_braced |= is_item && BRACED.contains(&word),
            }
            at += 1;
        }
        self.last()
    }

    /// Where ends what the macro is given whose `!` is here, unless rustfmt formats it.
    fn macro_end(&self, at: usize) -> Option<usize> {
        let name = self.word(at.checked_sub(1)?);
        if !self.is_word(at - 1) || KEYWORDS.contains(&name) {
            return None;
        }
        let open = at + 1 + usize::from(self.is_word(at + 1));
        match self.word(open) {
            "(" | "[" if OF_EXPRESSIONS.contains(&name) => None,
            "(" | "[" | "{" => Some(self.end_of(open)),
            _ => None,
        }
    }
}

fn width_of(text: &str) -> usize {
    let text = text.strip_suffix('\r').unwrap_or(text);
    text.width() + text.matches('\t').count() * (TAB_WIDTH - 1)
}

/// A part of a text, in one line.
struct Part {
    piece: usize,
    /// Its letters between the quotes, as a range of the piece.
    letters: Range<usize>,
}

/// Letters of a text, and how wide they may be.
type Cut = (Range<usize>, usize);

/// The texts in lines whose code is too wide, each with what makes it as narrow as needed, if that can be.
fn narrowed(pieces: &[Piece<'_>], kept: &[Kept], width: usize) -> BTreeMap<usize, (String, String)> {
    let mut cuts: BTreeMap<usize, Vec<Cut>> = BTreeMap::new();
    let (mut parts, mut wide, mut code_wide) = (Vec::new(), 0, 0);
    let mut end_line = |parts: &mut Vec<Part>, code_wide: usize| {
        let mut over = code_wide.saturating_sub(width);
        while let Some(Part { piece, letters }) = parts.pop() {
            let is = width_of(&pieces[piece].text[letters.clone()]);
            let less = over.min(is.saturating_sub(NARROW_WIDTH_MIN));
            over -= less;
            if less > 0 {
                cuts.entry(piece).or_default().push((letters, is - less));
            }
        }
    };
    for (at, piece) in pieces.iter().enumerate() {
        let mut start = 0;
        for (count, line) in piece.text.split('\n').enumerate() {
            if count > 0 {
                end_line(&mut parts, code_wide);
                (wide, code_wide) = (0, 0);
            }
            wide += width_of(line);
            if piece.kind.is_code() {
                code_wide = wide;
            }
            if piece.kind == PieceKind::Text && kept[at] != Kept::All {
                parts.push(Part { piece: at, letters: letters(piece.text, start..start + line.len()) });
            }
            start += line.len() + 1;
        }
    }
    end_line(&mut parts, code_wide);
    let narrow = |(number, (piece, cuts)): (usize, (usize, Vec<Cut>))| {
        let was = pieces[piece].text;
        let (mut text, mut end) = (String::new(), 0);
        for (letters, width) in cuts {
            text.push_str(&was[end..letters.start]);
            text.push_str(&format!("{:x<width$}", format!("{number}_")));
            end = letters.end;
        }
        text.push_str(&was[end..]);
        (piece, (text, was.to_owned()))
    };
    cuts.into_iter().enumerate().map(narrow).collect()
}

/// The letters of a line of a text, without the quotes and the backslash that joins the next line.
fn letters(text: &str, line: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = line;
    if start == 0 {
        start = text.find('"').map_or(0, |quote| quote + 1);
    }
    if end == text.len() {
        end = text.rfind('"').unwrap_or(end);
    }
    let inside = text.get(start..end).unwrap_or("");
    let joined = inside.strip_suffix('\r').unwrap_or(inside);
    let joined = joined.strip_suffix('\\').unwrap_or(joined);
    start..start + joined.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_of_code_are_others_and_nothing_else_is() {
        for (source, expected) in [
            ("fn a(b: C) {\n    d(e, f);\n}\n", "fn  a(b:  C )  {\nd(e ,  f ) ;\n}\n"),
            ("// a  b\n    // c\n    /* d */ e;\n", "// a  b\n    // c\n    /* d */ e ;\n"),
            ("    a(\"b ; c\", ' ', r#\" )\"#);\n", "    a(\"b ; c\" ,  ' ' ,  r#\" )\"# ) ;\n"),
            ("#[a(b, c)]\nfn d() {}", "#[a(b, c)]\nfn  d( )  {}"),
            ("x! { a, b }\nassert!(a, b);\nvec! { a, b }", "x! { a, b }\nassert!(a ,  b ) ;\nvec! { a, b }"),
            ("macro_rules! m {\n    () => { a };\n}", "macro_rules! m {\n    () => { a };\n}"),
            ("if !(a, b) {}", "if  !(a ,  b )  {}"),
            ("#[rustfmt::skip]\nfn a<B, C>() {  }\nfn b() {}", "#[rustfmt::skip]\nfn a<B, C>() {  }\nfn  b( )  {}"),
            ("{\n #[rustfmt::skip]\n let a = b {} .c;\n d e;\n}", "{\n#[rustfmt::skip]\n let a = b {} .c;\nd  e ;\n}"),
            ("mod a {\n #![rustfmt::skip]\n b c;\n}\nd e;", "mod  a  {\n#![rustfmt::skip]\n b c;\n}\nd  e ;"),
            ("#![cfg_attr(rustfmt, rustfmt_skip)]\na b;", "#![cfg_attr(rustfmt, rustfmt_skip)]\na b;"),
        ] {
            let disturbed = Disturbed::of(source, 100);
            assert_eq!(disturbed.text, expected, "{source}");
        }
    }

    #[test]
    fn texts_are_as_narrow_as_a_line_and_come_back() {
        for source in [
            format!("a(\"{}\");\n", "b".repeat(100)),
            format!("a(\"{}\\\n    {} \\\n c\");\n", "b".repeat(100), "d".repeat(100)),
            format!("a(r#\"\n{}\n\"{}\n\"#, \"{}\");\n", "b ".repeat(60), "d".repeat(100), "é".repeat(120)),
            format!("    let a = \"{}\"; b(c, \"{}\");\r\n", "b".repeat(100), "{x} ".repeat(30)),
        ] {
            let disturbed = Disturbed::of(&source, 80);
            assert!(disturbed.text.lines().all(|line| line.width() < 90), "{}", disturbed.text);
            assert_eq!(disturbed.widened(&disturbed.text), Disturbed::of(&source, 1000).text);
        }
        // What a comment makes wide, or names alone, stays.
        for source in [format!("a(\"b\"); // {}\n", "c".repeat(100)), format!("a(\"b\", {});\n", "c".repeat(100))] {
            assert!(Disturbed::of(&source, 80).text.contains("\"b\""), "{source}");
        }
    }

    #[test]
    fn the_first_line_that_does_not_come_back_is_told() {
        let source = "a(b, c);\nd(e, f);\n";
        let disturbed = Disturbed::of(source, 100);
        let left = |formatted: &str| disturbed.left(source, formatted);
        assert_eq!(left(source), None);
        assert_eq!(left("a(b, c);\nd(e ,  f ) ;\n"), Some(Left { line: 2, expected: None }));
        assert_eq!(left("a(b, c);\nd(\n    e\n);\n"), Some(Left { line: 2, expected: Some("d(".to_owned()) }));
        assert_eq!(left("a(b, c);\n"), Some(Left { line: 2, expected: None }));
        assert_eq!(left(&format!("{source}g();\n")), Some(Left { line: 2, expected: Some("g();".to_owned()) }));
    }

    #[test]
    fn the_time_grows_with_the_length_alone() {
        // What takes more than one look at each letter does not end.
        for part in
            ["(", "#![rustfmt::skip]", "{#![rustfmt::skip]", "#[rustfmt::skip] a { ", "x!(", "\"", "r#\"", "\"a\" "]
        {
            let source = part.repeat(400_000 / part.len());
            Disturbed::of(&source, 100).left(&source, "");
        }
    }
}
