//! Which packages dpkg has installed, from its database.

use std::collections::BTreeSet;

/// A package of Debian or a system made from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DebianInstalled {
    /// Its name.
    pub name: String,
    /// Its version, with its epoch.
    pub version: String,
    /// What it is built for, such as `amd64` or `all`.
    pub architecture: String,
}

/// What a database of dpkg's says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DpkgStatus {
    /// The packages that are installed.
    pub installed: BTreeSet<DebianInstalled>,
    /// The names of those among them that are marked to be removed: they are there all the same, and scanners pass over them.
    pub hidden: BTreeSet<String>,
}

/// A database that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry that begins on line {line} {problem}")]
pub struct DpkgStatusError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// Reads `/var/lib/dpkg/status`, or one file of `/var/lib/dpkg/status.d`, in which entries have no `Status`.
///
/// Packages that were removed but kept their configuration are left out.
///
/// # Errors
/// An entry without name, version or architecture, or with one of them twice.
pub fn read_dpkg_status(text: &str) -> Result<DpkgStatus, DpkgStatusError> {
    let mut read = DpkgStatus::default();
    let mut entry: Option<Entry<'_>> = None;
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        if line.trim().is_empty() {
            if let Some(entry) = entry.take() {
                let is_hidden = entry.status.is_some_and(|status| !KEPT.iter().any(|word| status.starts_with(word)));
                let package = entry.package()?;
                read.hidden.extend(package.as_ref().filter(|_| is_hidden).map(|package| package.name.clone()));
                read.installed.extend(package);
            }
            continue;
        }
        let entry = entry.get_or_insert(Entry { line: number, ..Entry::default() });
        // A line that begins with a blank goes on with the field above.
        let field = line.split_once(':').filter(|(name, _)| !name.starts_with([' ', '\t']));
        let Some((name, value)) = field else { continue };
        match name.to_ascii_lowercase().as_str() {
            "package" => once(entry.line, &mut entry.name, value)?,
            "version" => once(entry.line, &mut entry.version, value)?,
            "architecture" => once(entry.line, &mut entry.architecture, value)?,
            "status" => once(entry.line, entry.status.get_or_insert(""), value)?,
            _ => {}
        }
    }
    Ok(read)
}

/// What is wanted of a package that is to stay.
const KEPT: [&str; 2] = ["install ", "hold "];

/// Of a field that is there twice, each reader takes another.
fn once<'a>(line: usize, field: &mut &'a str, value: &'a str) -> Result<(), DpkgStatusError> {
    let is_first = field.is_empty();
    *field = value.trim();
    if is_first { Ok(()) } else { Err(DpkgStatusError { line, problem: "has a field twice" }) }
}

#[derive(Default)]
struct Entry<'a> {
    line: usize,
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    status: Option<&'a str>,
}

impl Entry<'_> {
    fn package(self) -> Result<Option<DebianInstalled>, DpkgStatusError> {
        let Self { line, name, version, architecture, status } = self;
        if status.is_some_and(|status| status.split_whitespace().next_back() != Some("installed")) {
            return Ok(None);
        }
        let fields = [(name, "has no name"), (version, "has no version"), (architecture, "has no architecture")];
        if let Some((_, problem)) = fields.into_iter().find(|(value, _)| value.is_empty()) {
            return Err(DpkgStatusError { line, problem });
        }
        let (name, version, architecture) = (name.to_owned(), version.to_owned(), architecture.to_owned());
        Ok(Some(DebianInstalled { name, version, architecture }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36-9+deb12u14\nDescription: GNU C Library\n Version: none of this\n .\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\nPackage: login\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:4.13+dfsg1-1\n";

    #[test]
    fn what_is_installed_is_read_and_what_was_removed_is_not() {
        let seen = read_dpkg_status(STATUS).expect("readable");
        let shown: Vec<_> =
            seen.installed.iter().map(|one| format!("{} {} {}", one.name, one.version, one.architecture)).collect();
        assert_eq!(shown, ["libc6 2.36-9+deb12u14 amd64", "login 1:4.13+dfsg1-1 amd64"]);
        assert_eq!(read_dpkg_status("").expect("empty").installed.len(), 0);
        let alone = "Package: base-files\nVersion: 12.4\nArchitecture: amd64";
        assert_eq!(read_dpkg_status(alone).expect("an entry of status.d").installed.len(), 1);
    }

    #[test]
    fn what_is_marked_to_be_removed_is_there_until_it_is() {
        for (word, hidden) in
            [("install", false), ("hold", false), ("deinstall", true), ("purge", true), ("Install", true)]
        {
            let text = STATUS.replace("install ok installed", &format!("{word} ok installed"));
            let read = read_dpkg_status(&text).expect("readable");
            assert_eq!((read.installed.len(), read.hidden.contains("login")), (2, hidden), "{word}");
        }
        let twice = STATUS.replace("Version: 2.36", "Status: install ok installed\nVersion: 2.36");
        assert_eq!(read_dpkg_status(&twice).expect_err("twice").problem, "has a field twice");
    }

    #[test]
    fn half_an_entry_is_an_error() {
        let cut = STATUS.find("Version: 1:4").expect("the last field");
        let error = read_dpkg_status(&STATUS[..cut]).expect_err("cut");
        assert_eq!((error.line, error.problem), (15, "has no version"));
        assert!(read_dpkg_status("Status: install ok installed\nVersion: 1\nArchitecture: all\n").is_err());
    }
}
