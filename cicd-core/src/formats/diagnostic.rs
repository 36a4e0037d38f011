use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{
    AnnotationKind, Group, Level as Label, Origin, Renderer, Snippet, normalize_untrusted_str as printable,
};
use camino::Utf8Path;

use crate::model::{Code, Finding, Level, Location};

/// A line longer than this is generated, not written; showing it would bury the message.
const LINE_BYTES_MAX: usize = 2000;
/// A place that spans more lines is shown by its first lines.
const LINES_MAX: usize = 4;

/// What stands before the help, at most: a line number of six digits, and `= help: `.
const HELP_INDENT_COLUMNS: usize = 16;

/// Whether text carries colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Plain text, for files and pipes.
    Plain,
    /// With ANSI colours, for terminals.
    Coloured,
}

/// Something wrong at a place in a text file, with the line it stands in and what to write instead.
///
/// `Display` gives one line, `path:line:column: message`; [`render`](Self::render) gives the line of source with a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, where there is one.
    pub code: Option<Code>,
    /// How much it matters.
    pub level: Level,
    /// Where.
    pub location: Location,
    /// What is wrong: one line, lower case.
    pub message: String,
    /// What to do or to write instead.
    pub help: Option<String>,
    excerpt: Option<Excerpt>,
}

/// The lines of a place, and the place's bytes within them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    line: u32,
    span: Range<usize>,
}

impl Diagnostic {
    /// An error at the bytes `span` of `source`. A span outside the text is moved to its end.
    #[must_use]
    pub fn at(path: &Utf8Path, source: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = count(source[..line_start].matches('\n').count());
        let column = count(source[line_start..start].chars().filter(|&c| c != '\u{feff}').count());
        Self {
            code: None,
            level: Level::Deny,
            location: Location::column(path, line, column),
            message: message.into(),
            help: None,
            excerpt: Excerpt::of(source, line_start, start..end, line),
        }
    }

    /// An error that concerns a whole file.
    #[must_use]
    pub fn file(path: &Utf8Path, message: impl Into<String>) -> Self {
        Self {
            code: None,
            level: Level::Deny,
            location: Location::file(path),
            message: message.into(),
            help: None,
            excerpt: None,
        }
    }

    /// A step's finding. With the `source` of the file it was seen in, its line is shown too.
    ///
    /// Gives nothing for a finding without a location.
    #[must_use]
    pub fn of(finding: &Finding, source: Option<&str>) -> Option<Self> {
        let location = finding.location.as_ref()?;
        let line = source.zip(location.line).and_then(|(source, line)| source.get(start_of_line(source, line)?..));
        Self::with_line(finding, line.and_then(|rest| rest.lines().next()))
    }

    /// A step's finding with the line of source that the pipeline put beside it, if it did.
    ///
    /// Gives nothing for a finding without a location.
    #[must_use]
    pub fn quoting(finding: &Finding) -> Option<Self> {
        Self::with_line(finding, finding.source_line.as_deref())
    }

    fn with_line(finding: &Finding, text: Option<&str>) -> Option<Self> {
        let location = finding.location.clone()?;
        let excerpt = text.zip(location.line).and_then(|(text, line)| {
            let (start, length) = word_at(text, location.column);
            Excerpt::of(text, 0, start..start + length, line)
        });
        Some(Self {
            code: Some(finding.code.clone()),
            level: finding.level,
            location,
            message: finding.message.clone(),
            help: finding.help.clone(),
            excerpt,
        })
    }

    /// The same with a code.
    #[must_use]
    pub fn code(mut self, code: impl Into<Code>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message, the place, the line of source with a caret under the place, and the help; several lines without a final
    /// newline. Control characters of the source and of the texts are shown as symbols.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        self.render_within(paint, DEFAULT_TERM_WIDTH)
    }

    /// The same for a terminal this many columns wide: a longer line of source is shown around its place, and the help in several
    /// lines.
    #[must_use]
    pub fn render_within(&self, paint: Paint, columns: usize) -> String {
        let label = match self.level {
            Level::Deny => Label::ERROR,
            Level::BlockClearance | Level::Warn => Label::WARNING,
        };
        let message = without_c1(&self.message);
        let mut title = label.primary_title(message.as_str());
        if let Some(code) = &self.code {
            title = title.id(without_c1(code.as_str()));
        }
        let path = without_c1(&printable(self.location.path.as_str()));
        let mut group = Group::with_title(title);
        group = match &self.excerpt {
            Some(excerpt) => {
                let annotation = AnnotationKind::Primary.span(excerpt.span.clone());
                let snippet = Snippet::source(excerpt.text.as_str()).line_start(excerpt.line as usize);
                group.element(snippet.path(path).annotation(annotation))
            }
            None => group.element(origin(path, &self.location)),
        };
        if let Some(help) = &self.help {
            let columns = columns.saturating_sub(HELP_INDENT_COLUMNS);
            group = group.element(Label::HELP.message(wrapped(&without_c1(&printable(help)), columns)));
        }
        let renderer = match paint {
            Paint::Plain => Renderer::plain(),
            Paint::Coloured => Renderer::styled(),
        };
        renderer.term_width(columns).render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

impl Excerpt {
    fn of(source: &str, line_start: usize, span: Range<usize>, line: u32) -> Option<Self> {
        let mut end = line_start;
        for line in source[line_start..].split_inclusive('\n').take(LINES_MAX) {
            if line.len() > LINE_BYTES_MAX {
                return None;
            }
            end += line.len();
            if end >= span.end {
                break;
            }
        }
        // A mark at the end of a line stays in it: the next line would be shown for nothing.
        let text = source[line_start..end].trim_end_matches(['\n', '\r']);
        let inside = |at: usize| (at - line_start).min(text.len());
        // A byte order mark is not shown and takes no column.
        let mark = text.len() - text.trim_start_matches('\u{feff}').len();
        let (start, end) = (inside(span.start).max(mark) - mark, inside(span.end).max(mark) - mark);
        Some(Self { text: without_c1(&text[mark..]), line, span: start..end })
    }
}

/// The text without the control characters from U+0080 to U+009F, which the renderer lets through and some terminals obey: U+009B begins
/// a sequence as escape and bracket do. What stands for them has as many bytes, so that no place moves.
fn without_c1(text: &str) -> String {
    text.replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "¤")
}

/// The text in lines of at most so many characters, but for words that are longer.
pub(crate) fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines
}

fn origin(path: String, location: &Location) -> Origin<'static> {
    let mut origin = Origin::path(path);
    if let Some(line) = location.line {
        origin = origin.line(line as usize);
    }
    if let Some(column) = location.column {
        origin = origin.char_column(column as usize);
    }
    origin
}

/// The nearest character boundary at or below `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Counts from 1.
fn count(before: usize) -> u32 {
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

fn start_of_line(source: &str, line: u32) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += source[start..].find('\n')? + 1;
    }
    Some(start)
}

/// The byte offset and length of the word that begins at a column; without a column, of the whole line's text.
fn word_at(line: &str, column: Option<u32>) -> (usize, usize) {
    let Some(column) = column else {
        let text = line.trim_start();
        return (line.len() - text.len(), text.trim_end().len());
    };
    let skip = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let offset = line.char_indices().nth(skip).map_or(line.len(), |(offset, _)| offset);
    (offset, line[offset..].find(char::is_whitespace).unwrap_or(line.len() - offset))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(diagnostic: &Diagnostic, expected: Expect) {
        expected.assert_eq(&diagnostic.render(Paint::Plain));
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let source = "[readiness]\r\ncontainers_maks = 3\r\n";
        let diagnostic = Diagnostic::at("ci/policy.toml".into(), source, 13..28, "unknown key `containers_maks`")
            .help("did you mean `containers_max`?");
        assert_eq!(diagnostic.to_string(), "ci/policy.toml:2:1: unknown key `containers_maks`");
        check(
            &diagnostic,
            expect![[r#"
            error: unknown key `containers_maks`
             --> ci/policy.toml:2:1
              |
            2 | containers_maks = 3
              | ^^^^^^^^^^^^^^^
              |
              = help: did you mean `containers_max`?"#]],
        );
    }

    #[test]
    fn a_finding_is_shown_with_its_line() {
        let finding = Finding::with_code(Code::from_static("DL3008"), "pin the versions of apt packages")
            .at(Location::column("Dockerfile", 2, 5))
            .help("write apt-get install package=version");
        check(
            &Diagnostic::of(&finding, Some("FROM x\nRUN apt-get install y\n")).expect("a place"),
            expect![[r#"
            error[DL3008]: pin the versions of apt packages
             --> Dockerfile:2:5
              |
            2 | RUN apt-get install y
              |     ^^^^^^^
              |
              = help: write apt-get install package=version"#]],
        );
        check(
            &Diagnostic::of(&finding, None).expect("a place"),
            expect![[r#"
            error[DL3008]: pin the versions of apt packages
            --> Dockerfile:2:5
             = help: write apt-get install package=version"#]],
        );
        assert!(Diagnostic::of(&Finding::with_code(Code::from_static("X"), "nowhere"), None).is_none());
    }

    #[test]
    fn a_place_over_several_lines_and_one_at_the_end_are_shown() {
        check(
            &Diagnostic::at("a".into(), "x = [\n 1,\n 2,\n 3,\n 4,\n]\n", 4..22, "too long"),
            expect![[r#"
            error: too long
             --> a:1:5
              |
            1 |   x = [
              |  _____^
            2 | |  1,
            3 | |  2,
            4 | |  3,
              | |___^"#]],
        );
        check(
            &Diagnostic::at("a".into(), "x = \"open", 9..9, "not closed"),
            expect![[r#"
            error: not closed
             --> a:1:10
              |
            1 | x = "open
              |          ^"#]],
        );
        check(
            &Diagnostic::at("a".into(), "", 0..0, "empty"),
            expect![[r#"
            error: empty
             --> a:1:1
              |
            1 |
              | ^"#]],
        );
    }

    #[test]
    fn colour_is_asked_for() {
        let diagnostic = Diagnostic::at("a".into(), "x", 0..1, "wrong");
        assert!(diagnostic.render(Paint::Coloured).contains('\u{1b}'));
        assert!(!diagnostic.render(Paint::Plain).contains('\u{1b}'));
    }

    #[test]
    fn hostile_text_is_shown_as_symbols() {
        let finding = Finding::with_code(Code::from_static("X"), "red \u{1b}[31m text")
            .at(Location::column("a\u{1b}[2J", 1, 1))
            .help("\u{1b}]0;title\u{7}");
        let shown = Diagnostic::of(&finding, Some("\u{1b}[31mred\u{202e}")).expect("a place").render(Paint::Plain);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n') && !shown.contains('\u{202e}'), "{shown:?}");
        // Found by the fuzz target: the renderer knows the older control characters only.
        let finding = Finding::with_code(Code::from_static("\u{9b}X"), "red \u{9b}31m")
            .at(Location::column("a\u{9b}", 1, 1))
            .help("\u{9b}2J");
        let shown = Diagnostic::of(&finding, Some("\u{85}\u{9b}31mred")).expect("a place").render(Paint::Plain);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }

    #[test]
    fn no_span_and_no_line_makes_it_panic() {
        let long = "y".repeat(3 * LINE_BYTES_MAX);
        for source in ["", "\n", "é", "\u{feff}x = 1", "a\r\nb\r\n\r\n", "\u{1f980}\t\u{1f980}", &long, "\0\0"] {
            for start in 0..source.len().min(12) + 3 {
                for end in 0..source.len().min(12) + 3 {
                    let diagnostic = Diagnostic::at("a".into(), source, start..end, "wrong");
                    assert!(diagnostic.render(Paint::Plain).starts_with("error: wrong"));
                }
                for column in [None, Some(0), Some(u32::try_from(start).expect("small")), Some(u32::MAX)] {
                    let line = u32::try_from(start).expect("small");
                    let location = Location { path: "a".into(), line: Some(line), column };
                    let finding = Finding::with_code(Code::from_static("X"), "wrong").at(location);
                    let diagnostic = Diagnostic::of(&finding, Some(source)).expect("a place");
                    assert!(diagnostic.render(Paint::Coloured).contains("wrong"));
                }
            }
        }
    }
}
