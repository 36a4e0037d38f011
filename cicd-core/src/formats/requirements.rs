//! Locked Python requirements: `requirements.txt` with every package pinned.

use std::collections::BTreeMap;
use std::str::FromStr;

use pep440_rs::Version;

use super::source_encoding::named_in;
use crate::model::by_key::ByKey;

/// A larger file is not a list of requirements.
const BYTES_MAX: usize = 16 << 20;

/// An option that a lock file may have.
struct Known {
    /// Its names, the one that people write first.
    names: &'static [&'static str],
    has_value: bool,
    /// Whether it leaves it to somebody else which files are installed, or what is done with them.
    is_told: bool,
}

/// Any other option is refused: it may name packages that stand elsewhere.
const OPTIONS: &[Known] = &[
    Known { names: &["--no-index"], has_value: false, is_told: false },
    Known { names: &["--require-hashes"], has_value: false, is_told: false },
    Known { names: &["--only-binary"], has_value: true, is_told: false },
    Known { names: &["--prefer-binary"], has_value: false, is_told: false },
    Known { names: &["--index-url", "-i"], has_value: true, is_told: true },
    Known { names: &["--extra-index-url"], has_value: true, is_told: true },
    Known { names: &["--find-links", "-f"], has_value: true, is_told: true },
    Known { names: &["--trusted-host"], has_value: true, is_told: true },
    Known { names: &["--pre"], has_value: false, is_told: true },
    Known { names: &["--no-binary"], has_value: true, is_told: true },
    Known { names: &["--config-settings", "-C"], has_value: true, is_told: true },
    Known { names: &["--global-option"], has_value: true, is_told: true },
];

/// The encodings that a first line may name, as installers read the file in the one that it names.
const ENCODINGS: [&str; 3] = ["utf-8", "utf8", "utf_8"];

/// A `requirements.txt` in which every package is pinned with `==`, as `uv pip compile` and `pip-compile` write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedRequirements {
    /// The packages, in the order of the file; never empty.
    pub packages: Vec<LockedPackage>,
    /// The options that leave open which files are installed, in the order of the file.
    pub options: Vec<LockedOption>,
    /// The lines that pin each name.
    lines: ByKey<String, u32>,
}

/// One pinned package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// The name, normalised as in PEP 503.
    pub name: String,
    /// The version.
    pub version: Version,
    /// The line that pins it, from 1.
    pub line: u32,
    /// The condition after `;` under which it is installed, if there is one.
    pub marker: Option<String>,
    /// How many hashes it may have.
    pub hashes: usize,
}

/// An option of a lock file by which something else than the file decides what is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedOption {
    /// The line, from 1.
    pub line: u32,
    /// Its long name, such as `--extra-index-url`. Its value may hold a password.
    pub name: &'static str,
}

/// A file that does not pin every package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct RequirementsError {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub problem: String,
}

impl LockedRequirements {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A line that pins no package exactly, refers to another file, or pins a package differently than an earlier line; a file
    /// without packages; what installers would read as other lines than are seen.
    pub fn parse(text: &str) -> Result<Self, RequirementsError> {
        let error = |line, problem: String| Err(RequirementsError { line, problem });
        if text.len() > BYTES_MAX {
            return error(1, format!("the file has {} bytes, more than the {BYTES_MAX} that are read", text.len()));
        }
        if let Some((line, problem)) = read_differently(text) {
            return error(line, problem);
        }
        let mut packages: Vec<LockedPackage> = Vec::new();
        let mut options: Vec<LockedOption> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for (line, logical) in logical_lines(text) {
            let (requirement, words) = logical.split_at(start_of_options(&logical));
            let requirement = requirement.trim();
            let found = match options_in(words, line) {
                Ok(found) => found,
                Err(problem) => return error(line, problem),
            };
            options.extend(found.told);
            if requirement.is_empty() {
                if found.hashes > 0 {
                    return error(line, "`--hash` stands behind no package".to_owned());
                }
                continue;
            }
            let package = match pinned(requirement, line, found.hashes) {
                Ok(package) => package,
                Err(problem) => return error(line, problem),
            };
            // The same package may stand under several conditions; without conditions, twice is a contradiction.
            let twice = known.insert(package.name.clone(), packages.len()).map(|index| &packages[index]);
            if let Some(earlier) = twice.filter(|earlier| earlier.marker.is_none() || package.marker.is_none()) {
                return error(line, format!("{} is pinned on line {} already", package.name, earlier.line));
            }
            packages.push(package);
        }
        if packages.is_empty() {
            return error(1, "the file pins no packages".to_owned());
        }
        let lines = packages.iter().map(|package| (package.name.clone(), package.line)).collect();
        Ok(Self { packages, options, lines })
    }

    /// The line that pins a package, by its normalised name.
    #[must_use]
    pub fn line_of(&self, name: &str) -> Option<u32> {
        self.lines.of(name).next().copied()
    }
}

/// The name of a package in the one spelling that all its spellings have in common ([PEP 503](https://peps.python.org/pep-0503/)).
#[must_use]
pub fn normalized_name(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Lines without comments, those that end in a backslash joined with the next; each with the number of its first line.
fn logical_lines(text: &str) -> impl Iterator<Item = (u32, String)> {
    let mut lines = (1_u32..).zip(text.strip_prefix('\u{FEFF}').unwrap_or(text).lines());
    std::iter::from_fn(move || {
        let (first, line) = lines.next()?;
        let mut logical = String::new();
        let mut line = line;
        loop {
            // A blank or a comment behind the backslash, and installers see the line as ended.
            let continued = without_comment(line).strip_suffix('\\');
            logical.push_str(continued.unwrap_or_else(|| without_comment(line)));
            match continued.and_then(|_| lines.next()) {
                Some((_, next)) => line = next,
                None => break,
            }
            logical.push(' ');
        }
        Some((first, logical))
    })
}

/// A `#` starts a comment at the start of a line and after white space; elsewhere it belongs to a URL.
fn without_comment(line: &str) -> &str {
    let start = line
        .char_indices()
        .find(|&(index, c)| c == '#' && line[..index].chars().next_back().is_none_or(char::is_whitespace));
    start.map_or(line, |(index, _)| &line[..index])
}

/// What makes installers see other lines than there are: signs at which they alone end a line, and another encoding.
fn read_differently(text: &str) -> Option<(u32, String)> {
    let is_odd = |c: &char| (c.is_control() && *c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    for (number, line) in (1..).zip(text.split('\n')) {
        if let Some(odd) = line.strip_suffix('\r').unwrap_or(line).chars().find(is_odd) {
            return Some((number, format!("{odd:?} stands in it, at which an installer may end the line: delete it")));
        }
        if number > 2 || !line.trim_start_matches('\u{FEFF}').starts_with('#') {
            continue;
        }
        let mut names = named_in(line);
        if let Some(name) = names.find(|name| !ENCODINGS.contains(&name.to_ascii_lowercase().as_str())) {
            return Some((number, format!("installers would read it as {name}: write it in UTF-8")));
        }
    }
    None
}

/// Where the options of a line begin: at the first word with a dash.
fn start_of_options(logical: &str) -> usize {
    let mut before = ' ';
    for (index, c) in logical.char_indices() {
        if c == '-' && before.is_whitespace() {
            return index;
        }
        before = c;
    }
    logical.len()
}

/// The options of a line.
#[derive(Default)]
struct Options {
    hashes: usize,
    told: Vec<LockedOption>,
}

fn options_in(words: &str, line: u32) -> Result<Options, String> {
    let mut found = Options::default();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        // The value of a short one may be glued to it.
        let shown: String = if name.starts_with("--") { name.to_owned() } else { name.chars().take(2).collect() };
        let known = OPTIONS.iter().find(|known| known.names.contains(&name));
        let has_value = name == "--hash" || known.is_some_and(|known| known.has_value);
        if has_value && value.or_else(|| words.next()).is_none_or(str::is_empty) {
            return Err(format!("`{shown}` has no value"));
        }
        match known {
            _ if name == "--hash" => found.hashes += 1,
            Some(known) if !known.has_value && value.is_some() => return Err(format!("`{shown}` takes no value")),
            Some(Known { names: [name, ..], is_told: true, .. }) => found.told.push(LockedOption { line, name }),
            Some(_) => {}
            None => {
                return Err(format!("`{shown}` is not allowed in a locked file: it has to name every package itself"));
            }
        }
    }
    Ok(found)
}

fn pinned(requirement: &str, line: u32, hashes: usize) -> Result<LockedPackage, String> {
    let (requirement, marker) = match requirement.split_once(';') {
        Some((requirement, marker)) => (requirement, Some(marker.trim().to_owned())),
        None => (requirement, None),
    };
    let unpinned = || format!("`{}` is not pinned: write name==version", requirement.trim());
    let (name, version) = requirement.split_once("==").ok_or_else(unpinned)?;
    let name = name.split('[').next().unwrap_or(name).trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(unpinned());
    }
    let version = version.trim().trim_start_matches('=').trim();
    let version = Version::from_str(version).map_err(|_| format!("{version:?} of {name} is not one exact version"))?;
    Ok(LockedPackage { name: normalized_name(name), version, line, marker, hashes })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written by `uv pip compile --generate-hashes` (shortened hashes).
    const LOCKED: &str = "# This file was autogenerated by uv via the following command:\n\
        --index-url https://example.org/simple\n\
        blinker==1.9.0 \\\n    --hash=sha256:ba0e \\\n    --hash=sha256:b4ce\n    # via flask\n\
        Jinja2[i18n]==3.1.6 ; python_version >= '3.9' \\\n    --hash=sha256:85ec\n\
        zope.interface==7.2 # pinned\n";

    #[test]
    fn packages_are_read_with_their_lines() {
        let locked = LockedRequirements::parse(LOCKED).expect("a locked file");
        let seen: Vec<_> = locked
            .packages
            .iter()
            .map(|it| (it.name.as_str(), it.version.to_string(), it.line, it.hashes, it.marker.is_some()))
            .collect();
        assert_eq!(
            seen,
            [
                ("blinker", "1.9.0".to_owned(), 3, 2, false),
                ("jinja2", "3.1.6".to_owned(), 7, 1, true),
                ("zope-interface", "7.2".to_owned(), 9, 0, false),
            ]
        );
        assert_eq!(locked.line_of("zope-interface"), Some(9));
        assert_eq!(locked.options, [LockedOption { line: 2, name: "--index-url" }]);
    }

    #[test]
    fn no_option_of_a_lock_file_is_passed_over() {
        let told = |text: &str| -> Vec<(u32, &str)> {
            let locked = LockedRequirements::parse(&format!("a==1\n{text}\n")).expect(text);
            locked.options.iter().map(|one| (one.line, one.name)).collect()
        };
        for (text, name) in [
            ("--extra-index-url http://example.org/simple", "--extra-index-url"),
            ("  --extra-index-url=http://example.org/simple", "--extra-index-url"),
            ("-i https://u:pw@example.org", "--index-url"),
            ("--trusted-host example.org", "--trusted-host"),
            ("-f ./wheels", "--find-links"),
            ("--pre", "--pre"),
            ("--no-binary :all:", "--no-binary"),
            ("\t--pre", "--pre"),
            ("--no-index --pre", "--pre"),
            ("--no-index \\\n--pre", "--pre"),
            ("--only-binary :all: -f x", "--find-links"),
            ("b==1 --hash=sha256:00 --config-settings=--build-option=x", "--config-settings"),
            ("b==1 -C x=y --hash=sha256:00", "--config-settings"),
            ("b==1\t--global-option=x", "--global-option"),
            ("b==1 ; python_version < '3' --pre", "--pre"),
        ] {
            assert_eq!(told(text), [(2, name)], "{text:?}");
        }
        for text in
            ["--no-index", "--require-hashes", "--only-binary=:all:", "--prefer-binary", "b==1\t--hash=sha256:00"]
        {
            assert_eq!(told(text), [], "{text:?}");
        }
    }

    #[test]
    fn installers_see_no_other_lines() {
        for (text, line) in [
            ("a==1 # via b\rc==1\n", 1),
            ("# note\u{2028}c==1\na==1\n", 1),
            ("a==1\n# note\u{85}c==1\n", 2),
            ("a==1\n# note\u{b}c==1\n", 2),
            ("# -*- coding: utf-7 -*- +AAo-c==1\na==1\n", 1),
            ("# note\n# vim: set fileencoding=utf-16 :\na==1\n", 2),
            ("--index-url https://example.org \\ \nc==1\n", 1),
            ("--index-url https://example.org \\ # note\nc==1\n", 1),
            ("--index-url https://example.org c==1\na==1\n", 1),
            ("a==1\n--no-index c==1\n", 2),
            ("a==1 --hash\n", 1),
            ("--hash=sha256:00\na==1\n", 1),
            ("a==1\n-ihttps://u:pw@example.org\n", 2),
            ("a==1\n--extra-index https://example.org\n", 2),
            ("a==1 --requirement=other.txt\n", 1),
        ] {
            let error = LockedRequirements::parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(!error.problem.contains("pw"), "{error}");
        }
        for text in ["a==1\r\nb==1\r\n", "# coding: UTF-8\na==1\n", "\u{FEFF}# note\na==1\n", "# encoding=\na==1\n"] {
            assert!(LockedRequirements::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_does_not_pin_everything_is_refused() {
        for (text, line) in [
            ("", 1),
            ("# nothing\n", 1),
            ("flask\n", 1),
            ("\nflask>=2\n", 2),
            ("flask==2.*\n", 1),
            ("-r other.txt\n", 1),
            ("-e .\n", 1),
            ("flask @ https://example.org/flask.whl\n", 1),
            ("flask==2.0\nFlask==2.1\n", 2),
            ("<<<<<<< HEAD\nflask==2.0\n", 1),
            ("flask==2.0,==2.1\n", 1),
            ("flask==2.0 \\", 0),
        ] {
            match LockedRequirements::parse(text) {
                Err(error) => assert_eq!(error.line, line, "{text:?}: {error}"),
                Ok(locked) => assert_eq!((line, locked.packages.len()), (0, 1), "{text:?}"),
            }
        }
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(normalized_name("Zope._-Interface"), "zope-interface");
    }
}
