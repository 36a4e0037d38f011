use std::borrow::Cow;
use std::io::{self, Write};

use super::printable::steers;

/// Azure Pipelines, TeamCity and GitHub obey what follows these signs, wherever they stand in a line.
const COMMAND: &str = "##";
const ESCAPE: char = '\u{1b}';
/// No style of ours is longer; what is, is none.
const STYLE_CHARS_MAX: usize = 40;

/// One line of text of others, with everything that could steer a terminal or a CI system made visible instead, or kept apart: `##vso[` is
/// shown as `# #vso[`.
///
/// The commands of GitHub begin a line, which may be anywhere in what is made of this text: [`harmless`] sees to them.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) && !text.contains(COMMAND) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + text.len() / 8);
    let mut guard = Guard::of_lines();
    for c in text.chars() {
        // What is one line stays one.
        if matches!(c, '\n' | '\r' | '\t') { guard.escape(c, &mut shown) } else { guard.visible(c, &mut shown) }
    }
    Cow::Owned(shown)
}

/// Text of ours that has texts of others in it, with our styles, as it may be written to a terminal or the log of a CI system: no line
/// begins with `::`, no two `#` stand beside each other, and nothing but styles moves or hides anything.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut guard = Guard { styles: Styles::Kept, ..Guard::default() };
    guard.push(text, &mut shown);
    guard.end(&mut shown);
    shown
}

/// Writes text of others, in pieces of any size, as [`harmless`] shows it, but without any style. What is not UTF-8 is shown as U+FFFD.
#[derive(Debug)]
pub struct Harmless<W: Write> {
    out: W,
    guard: Guard,
    /// The beginning of a character whose end was not written yet.
    partial: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, guard: Guard::default(), partial: Vec::new() }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let given = [std::mem::take(&mut self.partial).as_slice(), bytes].concat();
        let mut shown = String::with_capacity(given.len());
        let mut chunks = given.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.guard.push(chunk.valid(), &mut shown);
            let is_cut = chunks.peek().is_none()
                && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
            if is_cut {
                chunk.invalid().clone_into(&mut self.partial);
            } else if !chunk.invalid().is_empty() {
                self.guard.push("\u{fffd}", &mut shown);
            }
        }
        self.out.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Where in a line a text is, and what the next character must not become with those before it.
#[derive(Debug, Clone, Default)]
struct Guard {
    styles: Styles,
    at: At,
    after_hash: bool,
    after_return: bool,
    /// What may become a style: from an escape on.
    style: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Styles {
    Kept,
    /// They are text like any other: whose they are is not known.
    #[default]
    Shown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// The start of a line, or blanks behind it: GitHub passes over them.
    #[default]
    Start,
    /// Behind the first sign of a line, a colon.
    Colon,
    Inside,
}

impl Guard {
    /// Of text that stands in a line of somebody else's.
    fn of_lines() -> Self {
        Self { at: At::Inside, ..Self::default() }
    }

    fn push(&mut self, text: &str, shown: &mut String) {
        for c in text.chars() {
            self.next(c, shown);
        }
    }

    /// What is left at the end of a text: the beginning of a style is none.
    fn end(&mut self, shown: &mut String) {
        for c in std::mem::take(&mut self.style).chars() {
            self.visible(c, shown);
        }
    }

    fn next(&mut self, c: char, shown: &mut String) {
        if c == ESCAPE && self.styles == Styles::Kept {
            self.end(shown);
            self.style.push(c);
        } else if self.style.is_empty() {
            self.visible(c, shown);
        } else if c == 'm' && self.style.len() > 1 {
            shown.push_str(&std::mem::take(&mut self.style));
            shown.push(c);
        } else {
            let is_style = if self.style.len() == 1 { c == '[' } else { c.is_ascii_digit() || c == ';' };
            self.style.push(c);
            if !is_style || self.style.len() > STYLE_CHARS_MAX {
                self.end(shown);
            }
        }
    }

    fn visible(&mut self, c: char, shown: &mut String) {
        // What stands behind a carriage return would be written over what stands before it, or be a line of its own to some.
        if std::mem::take(&mut self.after_return) && c != '\n' {
            self.line_end(shown);
        }
        match c {
            '\r' => self.after_return = true,
            '\n' => self.line_end(shown),
            '#' => {
                if std::mem::replace(&mut self.after_hash, true) {
                    shown.push(' ');
                }
                self.at = At::Inside;
                shown.push(c);
            }
            ':' if self.at != At::Inside => {
                if self.at == At::Colon {
                    shown.push(' ');
                }
                self.at = if self.at == At::Start { At::Colon } else { At::Inside };
                self.after_hash = false;
                shown.push(c);
            }
            '\t' => self.plain(c, shown),
            c if steers(c) => self.escape(c, shown),
            c => self.plain(c, shown),
        }
    }

    fn plain(&mut self, c: char, shown: &mut String) {
        if !(self.at == At::Start && c.is_whitespace()) {
            self.at = At::Inside;
        }
        self.after_hash = false;
        shown.push(c);
    }

    fn escape(&mut self, c: char, shown: &mut String) {
        self.at = At::Inside;
        self.after_hash = false;
        shown.extend(c.escape_unicode());
    }

    fn line_end(&mut self, shown: &mut String) {
        self.at = At::Start;
        self.after_hash = false;
        shown.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a CI system would obey a line, or a terminal do more than show it.
    fn steers_somebody(text: &str) -> bool {
        text.contains("##")
            || text.lines().any(|line| line.trim_start().starts_with("::"))
            || text.contains(|c| steers(c) && c != '\n' && c != '\t')
    }

    const HOSTILE: [&str; 16] = [
        "x ##vso[task.complete result=Succeeded;]",
        "##teamcity[buildStatus status='SUCCESS']",
        "###vso[a] ####[b]",
        "#\u{200b}#vso[a]",
        "#\u{1b}[0m#vso[a]",
        "#\u{0}#vso[a]",
        "::error::x",
        "  \t::add-mask::x",
        "\u{a0}\u{2003}::error::x",
        "a\n::error::x\n:::x",
        "a\r::error::x",
        "a\r\n::error::x\r\r::x",
        "a\u{85}::error::x\u{2028}::x\u{2029}##[error]",
        "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}",
        "\u{1b}[8mhidden\u{1b}",
        "\u{feff}::error::x",
    ];

    #[test]
    fn no_text_of_others_steers_a_ci_system_or_a_terminal_however_it_is_cut() {
        for text in HOSTILE {
            assert!(!plain(text).contains("##") && !plain(text).contains(steers), "{text:?}: {:?}", plain(text));
            // Our own styles are all that may stand between.
            let styled = format!("\u{1b}[1m{}\u{1b}[0m\n\u{1b}[31m{text}\u{1b}[0m", plain(text));
            let shown = anstream::adapter::strip_str(&harmless(&styled)).to_string();
            assert!(!steers_somebody(&shown), "{text:?}: {shown:?}");
            assert_eq!(harmless(&harmless(&styled)), harmless(&styled), "{text:?}");
            for size in 1..=text.len() {
                let mut out = Vec::new();
                let mut harmless = Harmless::new(&mut out);
                for piece in text.as_bytes().chunks(size) {
                    harmless.write_all(piece).expect("written");
                }
                let shown = String::from_utf8(out).expect("text");
                assert!(!steers_somebody(&shown), "{text:?} in pieces of {size}: {shown:?}");
            }
        }
    }

    #[test]
    fn what_steers_nobody_is_shown_as_it_is() {
        for text in
            ["# one", "a # # b", "std::fs", "a ::1 b", "ünïcode\tis kept\n\n  : x\n", "\u{1b}[1;31mred\u{1b}[0m\n"]
        {
            assert_eq!(harmless(text), text);
        }
        assert!(matches!(plain("std::fs # ünïcode"), Cow::Borrowed(_)));
        let mut out = Vec::new();
        Harmless::new(&mut out).write_all(b"a\xffb\xe2\x82").expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "a\u{fffd}b");
        assert_eq!(plain("a\tb\nc"), "a\\u{9}b\\u{a}c");
    }
}
