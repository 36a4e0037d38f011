use pep440_rs::Version;
use serde::{Deserialize, Serialize};

use super::python_metadata::{is_package_name, normalized_name};

/// One line of a lock file that `uv pip compile` or `pip-compile` wrote: a package at an exact version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedRequirement {
    /// The normalised name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The condition after `;` under which it is installed at all, if there is one.
    pub marker: Option<String>,
    /// How many hashes it is pinned by.
    pub hashes: usize,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// A lock file that locks nothing, or not everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LockError {
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// What is wrong.
    pub problem: String,
}

/// Reads a requirements file in which every package is pinned by `==`.
///
/// # Errors
/// When it names no package, one without an exact version or the same one twice, or refers to other files or addresses.
pub fn read_locked_requirements(text: &str) -> Result<Vec<LockedRequirement>, LockError> {
    let mut all: Vec<LockedRequirement> = Vec::new();
    for (line, logical) in logical_lines(text) {
        let fail = |problem: String| LockError { line, problem };
        if let Some(option) = logical.strip_prefix('-') {
            let option = option.split_whitespace().next().unwrap_or("");
            return Err(fail(format!("`-{option}` does not belong into a lock file")));
        }
        let requirement = read_requirement(line, &logical).map_err(fail)?;
        if let Some(first) =
            all.iter().find(|known| known.name == requirement.name && known.marker == requirement.marker)
        {
            return Err(fail(format!("{} is locked on line {} already", requirement.name, first.line)));
        }
        all.push(requirement);
    }
    if all.is_empty() {
        return Err(LockError { line: 0, problem: "it locks no package".to_owned() });
    }
    Ok(all)
}

fn read_requirement(line: u32, logical: &str) -> Result<LockedRequirement, String> {
    let mut parts = logical.split(" --hash=");
    let requirement = parts.next().unwrap_or("").trim();
    let hashes = parts.count();
    let (pin, marker) = match requirement.split_once(';') {
        Some((pin, marker)) => (pin.trim(), Some(marker.trim().to_owned())),
        None => (requirement, None),
    };
    let unpinned = || format!("{pin:?} is not pinned by `name==version`");
    let (name, version) = pin.split_once("==").ok_or_else(unpinned)?;
    let name = name.split('[').next().unwrap_or(name).trim();
    let version = version.trim();
    if !is_package_name(name) || version.parse::<Version>().is_err() {
        return Err(unpinned());
    }
    Ok(LockedRequirement { name: normalized_name(name), version: version.to_owned(), marker, hashes, line })
}

/// Lines without comments, with `\` at their end joined to the next, and the number they begin on.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut lines: Vec<(u32, String)> = Vec::new();
    let mut open = false;
    for (line, number) in text.lines().zip(1..) {
        let line = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line) };
        let (content, continues) = match line.trim_end().strip_suffix('\\') {
            Some(content) => (content, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, logical)) if open => {
                logical.push(' ');
                logical.push_str(content.trim());
            }
            _ if content.trim().is_empty() => {}
            _ => lines.push((number, content.trim().to_owned())),
        }
        open = continues;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "# made by uv\nblinker==1.9.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via flask\n\
                        Typing_Extensions==4.12.2 ; python_version < '3.13' \\\n    --hash=sha256:cc\nuvicorn[standard]==1.0 # why\n";

    #[test]
    fn names_versions_markers_and_hashes_are_read() {
        let all = read_locked_requirements(LOCK).expect("a lock file");
        let shown: Vec<_> =
            all.iter().map(|one| (one.name.as_str(), one.version.as_str(), one.hashes, one.line)).collect();
        assert_eq!(
            shown,
            [("blinker", "1.9.0", 2, 2), ("typing-extensions", "4.12.2", 1, 6), ("uvicorn", "1.0", 0, 8)]
        );
        assert_eq!(all[1].marker.as_deref(), Some("python_version < '3.13'"));
    }

    #[test]
    fn what_is_not_locked_is_refused_with_its_line() {
        for (bad, problem) in [
            ("", "line 0: it locks no package"),
            ("# only a comment\n", "locks no package"),
            ("flask\n", "line 1: \"flask\" is not pinned"),
            ("\nflask>=3\n", "line 2: \"flask>=3\" is not pinned"),
            ("flask==3.*\n", "not pinned"),
            ("flask @ https://example.com/f.whl\n", "not pinned"),
            ("-r other.txt\n", "`-r` does not belong"),
            ("--index-url https://example.com\n", "`--index-url` does not belong"),
            ("a==1\nA==2\n", "line 2: a is locked on line 1 already"),
        ] {
            let error = read_locked_requirements(bad).expect_err(bad).to_string();
            assert!(error.contains(problem), "{bad:?}: {error}");
        }
    }
}
