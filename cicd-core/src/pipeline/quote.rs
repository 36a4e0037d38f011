use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::model::{Finding, Level};
use crate::process::Redactor;

/// A report quotes a handful of findings; more would only make `summary.json` longer.
const QUOTED_MAX: usize = 200;
/// Larger files are generated, and no line of theirs tells anybody anything.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// So are longer lines.
const LINE_BYTES_MAX: usize = 2000;

/// Puts the line of source beside the findings that fail a step, so that a report can show it even when the file has changed since.
///
/// What cannot be read is left out: the finding says all that is needed. No secret of the run is quoted, and no line that was
/// found because of a secret in it.
pub(super) fn quote(findings: &mut [Finding], root: &Utf8Path, redactor: &Redactor) {
    let mut files: BTreeMap<Utf8PathBuf, Option<String>> = BTreeMap::new();
    let counting = |finding: &&mut Finding| finding.level == Level::Deny && finding.exception.is_none();
    for finding in findings.iter_mut().filter(counting).take(QUOTED_MAX) {
        let Some(location) = finding.location.as_ref().filter(|_| !finding.is_secret) else { continue };
        let Some(line) = location.line.and_then(|line| usize::try_from(line.checked_sub(1)?).ok()) else { continue };
        let text = files.entry(location.path.clone()).or_insert_with(|| read(root, &location.path, redactor));
        let quoted = text.as_ref().and_then(|text| text.lines().nth(line));
        finding.source_line = quoted.filter(|text| text.len() <= LINE_BYTES_MAX).map(str::to_owned);
    }
}

/// The text of a file of the workspace without the secrets of the run.
fn read(root: &Utf8Path, path: &Utf8Path, redactor: &Redactor) -> Option<String> {
    let full = root.join(path).canonicalize_utf8().ok()?;
    if !full.starts_with(root.canonicalize_utf8().ok()?) {
        return None;
    }
    let mut bytes = files::read(&full, FILE_BYTES_MAX).ok()?;
    redactor.mask(&mut bytes);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::{Code, Location};
    use crate::process::Secret;

    #[test]
    fn lines_are_quoted_without_secrets_and_only_from_the_workspace() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs::write(root.join("a"), "first\nkey = correct horse\nthird\n").expect("written");
        let redactor = Redactor::new();
        redactor.learn(&Secret::new("key", "correct horse").expect("long enough"));
        let at = |path: &str, line| Finding::with_code(Code::new("X"), "m").at(Location::line(path, line));
        let mut secret = at("a", 1);
        secret.is_secret = true;
        let mut findings = vec![
            at("a", 1),
            at("a", 2),
            at("a", 9),
            at("a", 0),
            at("missing", 1),
            at("/proc/self/status", 1),
            secret,
            at("a", 1).level(Level::Warn),
        ];
        quote(&mut findings, root, &redactor);
        let quoted: Vec<_> = findings.iter().map(|finding| finding.source_line.as_deref()).collect();
        let mut expected = vec![Some("first"), Some("key = *************")];
        expected.resize(8, None);
        assert_eq!(quoted, expected);
    }
}
