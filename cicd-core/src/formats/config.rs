//! Configuration files in TOML: parsed into a raw type that refuses unknown keys, then validated into another type.
//!
//! Every problem carries its line and column, and what to write instead.
//!
//! ```
//! use cicd_core::formats::config::{self, ConfigError, Problems, RawConfig};
//! use serde::Deserialize;
//! use toml::Spanned;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct RawPorts {
//!     first: Spanned<u16>,
//! }
//!
//! struct Ports {
//!     first: u16,
//! }
//!
//! impl RawConfig for RawPorts {
//!     type Valid = Ports;
//!     fn validate(self, mut problems: Problems<'_>) -> Result<Ports, ConfigError> {
//!         let first = *self.first.get_ref();
//!         if first < 1024 {
//!             problems.add(self.first.span(), "this port needs root").help("use 1024 or above");
//!         }
//!         problems.finish(Ports { first })
//!     }
//! }
//!
//! let error = config::parse::<RawPorts>("ci/ports.toml".into(), "first = 80").err().unwrap();
//! assert_eq!(error.to_string(), "ci/ports.toml:1:9: this port needs root");
//! assert_eq!(config::parse::<RawPorts>("ci/ports.toml".into(), "first = 8080")?.first, 8080);
//! # Ok::<(), ConfigError>(())
//! ```

use std::fmt;
use std::ops::Range;

use camino::Utf8Path;
use serde::de::DeserializeOwned;

use super::{Diagnostic, Paint, closest};
use crate::model::Location;

/// A configuration file of this many bytes was not written by a person.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The form a configuration file has as text, before its values are checked.
pub trait RawConfig: DeserializeOwned {
    /// The form that the rest of the program accepts.
    type Valid;

    /// Checks the values.
    ///
    /// # Errors
    /// Every problem, not only the first; see [`Problems::finish`].
    fn validate(self, problems: Problems<'_>) -> Result<Self::Valid, ConfigError>;
}

/// Parses and validates the text of the configuration file `path`.
///
/// # Errors
/// When the text is no TOML, has unknown or missing keys, or a value is not valid.
pub fn parse<R: RawConfig>(path: &Utf8Path, text: &str) -> Result<R::Valid, ConfigError> {
    if text.len() > CONFIG_BYTES_MAX {
        let message = format!("the file has {} bytes, more than the {CONFIG_BYTES_MAX} that are read", text.len());
        return Err(Diagnostic::file(path, message).into());
    }
    let raw: R = toml::from_str(text).map_err(|error| refused(path, text, &error))?;
    let line_starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    raw.validate(Problems { path, text, line_starts, found: Vec::new() })
}

/// Collects what is wrong with a configuration file, so that all of it is told at once.
#[derive(Debug)]
pub struct Problems<'a> {
    path: &'a Utf8Path,
    text: &'a str,
    /// Where each line starts: a file with many entries is not counted through for each of them.
    line_starts: Vec<usize>,
    found: Vec<Diagnostic>,
}

/// A problem that was just added, for its help.
#[derive(Debug)]
pub struct Added<'a>(&'a mut Diagnostic);

impl Added<'_> {
    /// Says what to write instead.
    pub fn help(self, help: impl Into<String>) {
        self.0.help = Some(help.into());
    }
}

impl Problems<'_> {
    /// Adds a problem at a place of the file; `span` is what `toml::Spanned::span` gives.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) -> Added<'_> {
        self.found.push(Diagnostic::at(self.path, self.text, span, message));
        let last = self.found.len() - 1;
        Added(&mut self.found[last])
    }

    /// The place of a span.
    #[must_use]
    pub fn location(&self, span: Range<usize>) -> Location {
        let line = self.line_starts.partition_point(|start| *start <= span.start).saturating_sub(1);
        let start = self.line_starts.get(line).copied().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or("");
        let Diagnostic { location, .. } = Diagnostic::at(self.path, rest, span.start - start..span.end - start, "");
        Location { line: location.line.map(|below| below + u32::try_from(line).unwrap_or(u32::MAX)), ..location }
    }

    /// The valid value, if nothing was found.
    ///
    /// # Errors
    /// Everything that was found.
    pub fn finish<T>(self, valid: T) -> Result<T, ConfigError> {
        if self.found.is_empty() { Ok(valid) } else { Err(ConfigError(self.found)) }
    }
}

/// A configuration file that cannot be used, and why: at least one problem, in the order they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<Diagnostic>);

impl ConfigError {
    /// What is wrong.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }

    /// Every problem with its line of source and a caret, one blank line between them.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        self.0.iter().map(|diagnostic| diagnostic.render(paint)).collect::<Vec<_>>().join("\n\n")
    }
}

impl From<Diagnostic> for ConfigError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

fn refused(path: &Utf8Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(text.len()..text.len());
    // The parser's messages may have several lines; the first says what is wrong.
    let message = error.message().lines().next().unwrap_or("this is not valid TOML");
    let mut words = quoted(message);
    let diagnostic = match words.next() {
        Some(written) if message.starts_with("unknown field") => unknown(path, text, span, "key", written, words),
        Some(written) if message.starts_with("unknown variant") => unknown(path, text, span, "value", written, words),
        Some(missing) if message.starts_with("missing field") => {
            Diagnostic::at(path, text, first_line(text, span), format!("the key `{missing}` is missing"))
                .help(format!("add a line `{missing} = …`"))
        }
        _ => Diagnostic::at(path, text, span, message),
    };
    diagnostic.into()
}

fn unknown<'a>(
    path: &Utf8Path,
    text: &str,
    span: Range<usize>,
    kind: &str,
    written: &str,
    known: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let known: Vec<&str> = known.collect();
    let listed = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let help = match closest(written, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => format!("remove it; no {kind} is expected here"),
        None => format!("use one of {listed}"),
    };
    Diagnostic::at(path, text, span, format!("unknown {kind} `{written}`")).help(help)
}

/// The words that a serde message puts between backticks.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

/// The part of a span that is on its first line: a table without a key spans all of its lines.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let end = text.get(span.clone()).and_then(|part| part.find('\n')).map_or(span.end, |newline| span.start + newline);
    span.start..end
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::{Expect, expect};
    use serde::Deserialize;
    use toml::Spanned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        version: Spanned<String>,
        #[serde(default)]
        colours: Vec<Colour>,
        #[serde(default)]
        limits: BTreeMap<String, Spanned<u32>>,
        #[serde(default)]
        tool: Vec<Tool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tool {
        #[expect(dead_code, reason = "read to be required")]
        name: String,
    }

    impl RawConfig for Raw {
        type Valid = (String, Vec<Colour>, usize);

        fn validate(self, mut problems: Problems<'_>) -> Result<Self::Valid, ConfigError> {
            for (name, limit) in &self.limits {
                if *limit.get_ref() == 0 {
                    problems.add(limit.span(), format!("{name} must not be 0")).help("use 1 or more");
                }
            }
            problems.finish((self.version.into_inner(), self.colours, self.tool.len()))
        }
    }

    fn check(text: &str, expected: Expect) {
        let shown = match parse::<Raw>("ci/x.toml".into(), text) {
            Ok(valid) => format!("{valid:?}"),
            Err(error) => error.render(Paint::Plain),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_valid_file_is_read() {
        check(
            "version = '1'\ncolours = ['red', 'green']\n[[tool]]\nname = 'x'",
            expect![[r#"("1", [Red, Green], 1)"#]],
        );
        check("\u{feff}version = '1'", expect![[r#"("1", [], 0)"#]]);
    }

    #[test]
    fn unknown_keys_and_values_are_refused_with_a_suggestion() {
        check(
            "version = '1'\n  versoin = '2'",
            expect![[r#"
            error: unknown key `versoin`
             --> ci/x.toml:2:3
              |
            2 |   versoin = '2'
              |   ^^^^^^^
              |
              = help: did you mean `version`?"#]],
        );
        check(
            "version = '1'\nshape = 'round'",
            expect![[r#"
            error: unknown key `shape`
             --> ci/x.toml:2:1
              |
            2 | shape = 'round'
              | ^^^^^
              |
              = help: use one of `version`, `colours`, `limits`, `tool`"#]],
        );
        check(
            "version = '1'\ncolours = ['red', 'gren']",
            expect![[r#"
            error: unknown value `gren`
             --> ci/x.toml:2:19
              |
            2 | colours = ['red', 'gren']
              |                   ^^^^^^
              |
              = help: did you mean `green`?"#]],
        );
        check(
            "version = '1'\n[[tool]]\nname = 'x'\nnmae = 'y'\n",
            expect![[r#"
            error: unknown key `nmae`
             --> ci/x.toml:4:1
              |
            4 | nmae = 'y'
              | ^^^^
              |
              = help: did you mean `name`?"#]],
        );
    }

    #[test]
    fn missing_keys_wrong_types_and_broken_syntax_name_their_place() {
        check(
            "colours = []",
            expect![[r#"
            error: the key `version` is missing
             --> ci/x.toml:1:1
              |
            1 | colours = []
              | ^
              |
              = help: add a line `version = …`"#]],
        );
        check(
            "version = '1'\n[[tool]]\n[[tool]]\nname = 'x'\n",
            expect![[r#"
            error: the key `name` is missing
             --> ci/x.toml:2:1
              |
            2 | [[tool]]
              | ^^^^^^^^
              |
              = help: add a line `name = …`"#]],
        );
        check(
            "version = 1",
            expect![[r#"
            error: invalid type: integer `1`, expected a string
             --> ci/x.toml:1:11
              |
            1 | version = 1
              |           ^"#]],
        );
        check(
            "version = '1'\nversion = '2'",
            expect![[r#"
            error: duplicate key
             --> ci/x.toml:2:1
              |
            2 | version = '2'
              | ^^^^^^^"#]],
        );
        check(
            "version = '1",
            expect![[r#"
            error: invalid literal string, expected `'`
             --> ci/x.toml:1:13
              |
            1 | version = '1
              |             ^"#]],
        );
        check(
            "",
            expect![[r#"
            error: the key `version` is missing
             --> ci/x.toml:1:1
              |
            1 |
              | ^
              |
              = help: add a line `version = …`"#]],
        );
    }

    #[test]
    fn every_invalid_value_is_told_at_once() {
        check(
            "version = '1'\n[limits]\na = 0\nb = 1\nc = 0\n",
            expect![[r#"
            error: a must not be 0
             --> ci/x.toml:3:5
              |
            3 | a = 0
              |     ^
              |
              = help: use 1 or more

            error: c must not be 0
             --> ci/x.toml:5:5
              |
            5 | c = 0
              |     ^
              |
              = help: use 1 or more"#]],
        );
    }

    #[test]
    fn hostile_files_are_refused() {
        let deep = format!("version = {}", "[".repeat(100_000));
        let long = format!("version = '{}'", "x".repeat(CONFIG_BYTES_MAX));
        for text in [deep.as_str(), long.as_str(), "\0", "version = '\u{1b}[31m'\nx = 1", "]", "= 1", "\u{202e} = 1"] {
            let error = parse::<Raw>("ci/x.toml".into(), text).expect_err("refused");
            assert!(error.to_string().starts_with("ci/x.toml:"), "{error}");
            let rendered = error.render(Paint::Plain);
            assert!(!rendered.contains('\u{1b}') && rendered.len() < 10_000, "{rendered}");
        }
    }
}
