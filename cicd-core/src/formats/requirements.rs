//! Locked Python requirements: `requirements.txt` with every package pinned.

use std::collections::BTreeMap;
use std::str::FromStr;

use pep440_rs::Version;

use crate::model::by_key::ByKey;

/// A larger file is not a list of requirements.
const BYTES_MAX: usize = 16 << 20;

/// Options that say where packages come from, not which ones.
const OPTIONS: &[&str] = &[
    "--index-url",
    "-i",
    "--extra-index-url",
    "--no-index",
    "--find-links",
    "-f",
    "--no-binary",
    "--only-binary",
    "--prefer-binary",
    "--require-hashes",
    "--pre",
    "--trusted-host",
];

/// A `requirements.txt` in which every package is pinned with `==`, as `uv pip compile` and `pip-compile` write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedRequirements {
    /// The packages, in the order of the file; never empty.
    pub packages: Vec<LockedPackage>,
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
    /// without packages.
    pub fn parse(text: &str) -> Result<Self, RequirementsError> {
        let error = |line, problem: String| Err(RequirementsError { line, problem });
        if text.len() > BYTES_MAX {
            return error(1, format!("the file has {} bytes, more than the {BYTES_MAX} that are read", text.len()));
        }
        let mut packages: Vec<LockedPackage> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for (line, logical) in logical_lines(text) {
            let logical = logical.trim();
            let word = logical.split(['=', ' ', '\t']).next().unwrap_or(logical);
            if logical.is_empty() || OPTIONS.contains(&word) {
                continue;
            }
            if logical.starts_with('-') {
                return error(
                    line,
                    format!("`{word}` is not allowed in a locked file: it has to name every package itself"),
                );
            }
            let package = match pinned(logical, line) {
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
        Ok(Self { packages, lines })
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
            let continued = without_comment(line).trim_end().strip_suffix('\\');
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

fn pinned(logical: &str, line: u32) -> Result<LockedPackage, String> {
    let (requirement, options) = logical.find(" --").map_or((logical, ""), |index| logical.split_at(index));
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
    let hashes = options.split_whitespace().filter(|option| option.starts_with("--hash=")).count();
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
