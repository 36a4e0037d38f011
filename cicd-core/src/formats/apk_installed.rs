//! Which packages apk has installed, from `lib/apk/db/installed` of Alpine and systems made from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::DebianInstalled;

/// A database that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry that begins on line {line} {problem}")]
pub struct ApkError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// A package, and its files: the path of each without a `/` before it, and its SHA-1 where it is told.
pub type ApkInstalled = (DebianInstalled, Vec<(String, Option<Vec<u8>>)>);

/// Reads the database.
///
/// # Errors
/// An entry without name, version or architecture.
pub fn read_apk_installed(text: &str) -> Result<Vec<ApkInstalled>, ApkError> {
    let mut all = Vec::new();
    let mut entry: Option<Entry> = None;
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        if line.is_empty() {
            all.extend(entry.take().map(Entry::package).transpose()?);
            continue;
        }
        let entry = entry.get_or_insert_with(|| Entry { line: number, ..Entry::default() });
        let Some((key, value)) = line.split_once(':') else { continue };
        match key {
            "P" => value.clone_into(&mut entry.name),
            "V" => value.clone_into(&mut entry.version),
            "A" => value.clone_into(&mut entry.architecture),
            "F" => value.clone_into(&mut entry.folder),
            "R" if entry.folder.is_empty() => entry.files.push((value.to_owned(), None)),
            "R" => entry.files.push((format!("{}/{value}", entry.folder), None)),
            "Z" => {
                if let Some((_, sum)) = entry.files.last_mut() {
                    *sum = value.strip_prefix("Q1").and_then(|value| STANDARD.decode(value).ok());
                }
            }
            _ => {}
        }
    }
    Ok(all)
}

#[derive(Default)]
struct Entry {
    line: usize,
    name: String,
    version: String,
    architecture: String,
    folder: String,
    files: Vec<(String, Option<Vec<u8>>)>,
}

impl Entry {
    fn package(self) -> Result<ApkInstalled, ApkError> {
        let Self { line, name, version, architecture, files, .. } = self;
        let fields = [(&name, "has no name"), (&version, "has no version"), (&architecture, "has no architecture")];
        if let Some((_, problem)) = fields.into_iter().find(|(value, _)| value.is_empty()) {
            return Err(ApkError { line, problem });
        }
        Ok((DebianInstalled { name, version, architecture }, files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALLED: &str = "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1\n\nP:busybox\nV:1.36.1-r29\nA:x86_64\nF:\nR:none\nF:bin\nR:busybox\n";

    #[test]
    fn packages_and_their_files_are_read() {
        let all = read_apk_installed(INSTALLED).expect("whole");
        let shown: Vec<_> = all
            .iter()
            .map(|(one, files)| {
                let files: Vec<_> = files.iter().map(|(path, _)| path.as_str()).collect();
                format!("{} {} {}", one.name, one.version, files.join(","))
            })
            .collect();
        assert_eq!(shown, ["musl 1.2.5-r0 lib/ld-musl-x86_64.so.1", "busybox 1.36.1-r29 none,bin/busybox"]);
        assert_eq!(read_apk_installed("").expect("empty").len(), 0);
        assert!(read_apk_installed(&INSTALLED.replace("V:1.36.1-r29\n", "")).is_err());
    }
}
