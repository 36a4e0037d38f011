use camino::{Utf8Path, Utf8PathBuf};

use crate::formats::printable::counted;
use crate::formats::{Diagnostic, ignore_file, read_exceptions};
use crate::model::{Finding, Judged, Severity, Subject, finding_codes};
use crate::policy::{Applies, Exception};
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError, proof};

finding_codes! {
    /// What is wrong with a file of exceptions, none of whose entries is valid because of it.
    pub enum ExceptionLintCode {
        Unusable = "EXC-003" {
            summary: "an entry of the exceptions file is incomplete, unknown or justifies nothing",
            help: "write what the message says; no entry of the file allows anything until then",
            example: "[[secret]] without `expires` in ci/exceptions.toml",
        },
    }
}

/// Reads files with exceptions, `.trivyignore`, `.trivyignore.yaml` or `exceptions.toml`, and says all that is wrong with them before
/// anything is scanned. Whether an entry still matches something, and what its severity allows, is for the steps that use it.
///
/// ```
/// use cicd_core::steps::ExceptionLint;
///
/// let lint = ExceptionLint::files(["ci/.trivyignore", "ci/exceptions.toml"]);
/// ```
#[derive(Debug, Clone)]
pub struct ExceptionLint {
    files: Vec<Utf8PathBuf>,
}

impl ExceptionLint {
    /// These files, relative to the workspace. One that is missing is an error.
    #[must_use]
    pub fn files(files: impl IntoIterator<Item = impl Into<Utf8PathBuf>>) -> Self {
        Self { files: files.into_iter().map(Into::into).collect() }
    }
}

proof! {
    /// What was read.
    pub struct ExceptionsRead("check of the exceptions") {
        /// How many entries are complete.
        entries: usize,
        /// The commit whose files they are in.
        commit: String => &str,
    }
}

impl Judged for ExceptionsRead {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

impl Step for ExceptionLint {
    type Input = ();
    type Output = ExceptionsRead;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<ExceptionsRead>, StepError> {
        if self.files.is_empty() {
            return Err(StepError::not_looked("no file with exceptions is named", "name them, or leave the step out"));
        }
        let (mut findings, mut exceptions) = (Vec::new(), Vec::new());
        for path in &self.files {
            let bytes = cx.read_file(path)?;
            let read = lint(path, &bytes)?;
            findings.extend(read.findings);
            exceptions.extend(read.exceptions);
        }
        let entries = exceptions.len();
        let headline = match findings.len() {
            0 => format!("{entries} entries in {}", counted(self.files.len(), "file")),
            found => format!("{entries} entries, {}", counted(found, "finding")),
        };
        let commit = cx.revision()?.commit.clone();
        Ok(Outcome::of(ExceptionsRead { entries, commit })
            .findings(findings)
            .exceptions(exceptions)
            .fact("files", self.files.len())
            .fact("entries", entries)
            .headline(headline))
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// The complete entries of a file, and what is wrong with the others.
struct Lint {
    exceptions: Vec<Exception>,
    findings: Vec<Finding>,
}

fn lint(path: &Utf8Path, bytes: &[u8]) -> Result<Lint, ReadError> {
    let (mut exceptions, findings) = if path.extension() == Some("toml") {
        let text = std::str::from_utf8(bytes).map_err(|error| ReadError::new(path.as_str(), error))?;
        match read_exceptions(path, text) {
            Ok(file) => (file.all(), Vec::new()),
            Err(error) => (Vec::new(), error.diagnostics().iter().map(unusable).collect()),
        }
    } else {
        let file = ignore_file::read(path, bytes)
            .map_err(|error| ReadError::new("the ignore file", error.problem).at(error.location))?;
        (file.exceptions.into_iter().chain(file.second_opinion).collect(), file.findings)
    };
    // What an entry matches is for the steps that use it; how long it may last, and who may answer for it, holds already.
    for exception in &mut exceptions {
        exception.applies = Applies::Elsewhere;
    }
    Ok(Lint { exceptions, findings })
}

fn unusable(problem: &Diagnostic) -> Finding {
    let finding = Finding::new(ExceptionLintCode::Unusable, problem.message.as_str())
        .severity(Severity::Medium)
        .at(problem.location.clone());
    problem.help.iter().fold(finding, |finding, help| finding.help(help.as_str()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use super::*;
    use crate::model::Level;
    use crate::policy::{Policy, evaluate};

    const TODAY: Date = date(2026, 11, 21);

    fn codes(path: &str, text: &str) -> Vec<String> {
        let Lint { findings, exceptions } = lint(path.into(), text.as_bytes()).expect("read");
        let findings = evaluate(findings, &exceptions, &Policy::default(), TODAY).findings;
        let line = |one: &Finding| one.location.as_ref().and_then(|at| at.line).unwrap_or(0);
        findings.iter().map(|one| format!("{} {} {}", one.code, line(one), one.level == Level::Deny)).collect()
    }

    const PLAIN: &str = "# reason: the parser is never given outside input\n# owner: @example/security\nCVE-2023-32681 exp:2027-01-15\n";
    const TOML: &str = "[[secret]]\nrule = \"private-key\"\npath = \"docs/tls.md\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\nreason = \"the key of a manual, which opens nothing\"\nowner = \"@example/security\"\nexpires = \"2027-01-15\"\n";

    #[test]
    fn what_needs_no_scan_is_said_without_one() {
        assert!(codes("i", PLAIN).is_empty() && codes("e.toml", TOML).is_empty());
        for (from, to, found) in [
            ("2027-01-15", "2026-11-21", "IGN-004 3 true"),
            ("2027-01-15", "2027-06-01", "IGN-005 3 true"),
            ("2027-01-15", "2026-11-30", "IGN-014 3 false"),
            (" exp:2027-01-15", "", "IGN-003 3 true"),
            ("CVE-2023-32681", "CVE-23-32681", "IGN-008 3 true"),
        ] {
            assert_eq!(codes("i", &PLAIN.replace(from, to)), [found], "{to}");
        }
        for (from, to, found) in [
            ("2027-01-15", "2026-11-20", "EXC-001 2 true"),
            ("2027-01-15", "2027-06-01", "EXC-004 2 true"),
            ("2027-01-15", "soon", "EXC-003 7 true"),
            ("owner", "onwer", "EXC-003 6 true"),
            ("[[secret]]", "[[secret]", "EXC-003 1 true"),
        ] {
            assert_eq!(codes("e.toml", &TOML.replace(from, to)), [found], "{to}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let read = |path: &str, bytes: &[u8]| lint(path.into(), bytes);
        assert!(read("e.toml", b"\xff").is_err());
        assert!(read("i.yaml", b"vulnerabilities: [").is_err());
    }
}
