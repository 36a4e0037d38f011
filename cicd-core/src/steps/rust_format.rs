use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::formats::printable::counted;
use crate::model::{Code, Finding, Judged, Location, Severity, Subject, Target};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Context, Extent, Outcome, ReadError, Step, StepError, git_tool};

/// How rustfmt begins to show where a file differs.
const DIFFERS: &str = "Diff in ";
/// A file that rustfmt must find, after all others: on a formatted repository it would print nothing, as one that is broken does.
const CANARY: &str = "fn  canary(){}\n";
/// What it shows of that one.
const CANARY_DIFFERENCE: &str = ":1:\n-fn  canary(){}\n+fn canary() {}\n";
/// Its configuration, in every folder where it looks.
const CONFIGURATIONS: [&str; 2] = ["rustfmt.toml", ".rustfmt.toml"];

/// Checks that Rust is formatted as rustfmt formats it. Nothing is changed.
///
/// ```
/// use cicd_core::steps::RustFormat;
///
/// let format = RustFormat::edition("2024");
/// ```
///
/// Every Rust file of the repository is named, so that one which no target includes is looked at too. A configuration that switches
/// formatting off is an error.
#[derive(Debug, Clone)]
pub struct RustFormat {
    edition: String,
    extent: Extent,
}

impl RustFormat {
    /// Every Rust file, parsed as this edition.
    #[must_use]
    pub fn edition(edition: impl Into<String>) -> Self {
        Self { edition: edition.into(), extent: Extent::EveryFile }
    }

    /// Looks only at the files that the last commit added or changed, and at the modules that they declare: before a commit, those
    /// that are staged.
    #[must_use]
    pub fn of_last_commit(mut self) -> Self {
        self.extent = Extent::LastCommit;
        self
    }

    fn invocation(&self, files: &[Utf8PathBuf], canary: &Utf8Path) -> Invocation {
        Invocation::tool("rustfmt")
            .args(["--check", "--color", "never", "--edition", &self.edition, "--"])
            .args(files)
            .arg(canary)
    }
}

/// What rustfmt looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RustChecked {
    /// How many files.
    pub files: usize,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for RustChecked {}

impl Judged for RustChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn rustfmt_tool() -> ToolRequirement {
    ToolRequirement::new("rustfmt", ">=1.5, <2").fix("install it with `rustup component add rustfmt`")
}

impl Step for RustFormat {
    type Input = ();
    type Output = RustChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<RustChecked>, StepError> {
        cx.require(&rustfmt_tool())?;
        for path in cx.repository_files()? {
            if path.file_name().is_some_and(|name| CONFIGURATIONS.contains(&name)) {
                let text = cx.read_text(&path)?;
                formats(&path, &text)?;
            }
        }
        let commit = cx.revision()?.commit.clone();
        let mut files = cx.files_of(self.extent)?;
        files.retain(|path| path.extension() == Some("rs") && cx.path(path).is_file());
        if files.is_empty() {
            return match self.extent {
                Extent::LastCommit => Ok(Outcome::of(RustChecked { files: 0, commit }).headline("no Rust is changed")),
                Extent::EveryFile => {
                    Err(StepError::not_looked("the repository holds no Rust file", "leave the step out"))
                }
            };
        }
        // Not named as Rust: where the run folder is not ignored, it would be a file of the repository.
        let canary = cx.path(cx.dir()).join("canary.txt");
        fs::write(&canary, CANARY).map_err(StepError::io("writing", &canary))?;
        let findings = judge(&cx.run(&self.invocation(&files, &canary))?, cx.root(), &canary)?;
        let headline = match findings.len() {
            0 => counted(files.len(), "file"),
            found => format!("{}, {found} not formatted", counted(files.len(), "file")),
        };
        let outcome = Outcome::of(RustChecked { files: files.len(), commit });
        Ok(outcome.findings(findings).fact("files", files.len()).headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![rustfmt_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.invocation(&["<every Rust file>".into()], "<step>/canary.txt".into())]
    }
}

/// Refuses a configuration under which rustfmt passes over files without a word.
fn formats(path: &Utf8Path, text: &str) -> Result<(), StepError> {
    let table: toml::Table = toml::from_str(text)
        .map_err(|error| ReadError::new("rustfmt's configuration", error.message()).at(Location::file(path)))?;
    match ["disable_all_formatting", "ignore"].into_iter().find(|key| table.contains_key(*key)) {
        Some(key) => {
            Err(StepError::not_looked(format!("{path} has `{key}`"), "delete it: files would not be looked at"))
        }
        None => Ok(()),
    }
}

fn judge(captured: &Captured, root: &Utf8Path, canary: &Utf8Path) -> Result<Vec<Finding>, StepError> {
    let captured = captured.clone().require_exit(&[0, 1])?;
    let stderr = captured.stderr_text();
    if stderr.lines().any(|line| line.to_lowercase().starts_with("error")) {
        return Err(ReadError::new("a Rust file", stderr).help("mend what rustfmt cannot parse").into());
    }
    let stdout = captured.stdout_text()?;
    let sang = format!("{DIFFERS}{canary}{CANARY_DIFFERENCE}");
    let Some((shown, _)) = stdout.rsplit_once(&sang).filter(|_| captured.exit == Exit::Code(1)) else {
        let what = format!("rustfmt ended with {} and does not show a file that is known to differ", captured.exit);
        return Err(StepError::not_looked(what, "see the step's log and rustfmt's configuration"));
    };
    let mut findings: Vec<Finding> = Vec::new();
    for place in shown.lines().filter_map(|line| line.strip_prefix(DIFFERS)) {
        let place = place.trim_end_matches(':');
        let (path, line) = place
            .rsplit_once(':')
            .and_then(|(path, line)| Some((Utf8Path::new(path), line.parse().ok()?)))
            .ok_or_else(|| ReadError::new("what rustfmt prints", format!("{place:?} is not a place")))?;
        let path = path.strip_prefix(root).unwrap_or(path);
        // A file that is named, and that another one declares, is shown twice; its first place is enough.
        if !findings.iter().any(|one| one.location.as_ref().is_some_and(|at| at.path == path)) {
            let finding = Finding::with_code(Code::from_static("rustfmt"), format!("{path} is not formatted"));
            let finding = finding.severity(Severity::Medium).target(Target::file(path));
            findings.push(finding.at(Location::line(path, line)).help(format!("rustfmt {path}")));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str = include_str!("../../tests/data/rustfmt/bad.txt");
    const CLEAN: &str = include_str!("../../tests/data/rustfmt/clean.txt");
    const UNPARSABLE: &str = include_str!("../../tests/data/rustfmt/unparsable.stderr.txt");

    fn look(code: i32, stdout: &str, stderr: &str) -> Result<Vec<String>, StepError> {
        let captured = Captured::recorded(Exit::Code(code), stdout, stderr);
        let findings = judge(&captured, "/src".into(), "/src/canary.rs".into())?;
        Ok(findings.iter().map(|one| one.location.as_ref().map_or(String::new(), ToString::to_string)).collect())
    }

    #[test]
    fn a_file_is_named_once_and_the_canary_not_at_all() {
        assert!(look(1, CLEAN, "").expect("looked").is_empty());
        assert_eq!(look(1, BAD, "").expect("looked"), ["bad.rs:1"]);
        let twice = format!("{}{BAD}", &BAD[..BAD.len() - CLEAN.len()]);
        assert_eq!(look(1, &twice, "Warning: unstable features").expect("looked"), ["bad.rs:1"]);
    }

    #[test]
    fn what_was_not_looked_at_is_an_error() {
        let place = BAD.replacen(":1:", ":x:", 1);
        for (code, stdout, stderr) in [
            (1, CLEAN, UNPARSABLE),
            (0, "", ""),
            (1, "", ""),
            (0, CLEAN, ""),
            (1, &CLEAN[..CLEAN.len() / 2], ""),
            (1, &BAD[..BAD.len() / 2], ""),
            (0, "All checks passed!\n", ""),
            (101, CLEAN, ""),
            (1, &place, ""),
        ] {
            assert!(look(code, stdout, stderr).is_err(), "{code} {stdout:?}");
        }
        assert!(formats("rustfmt.toml".into(), "max_width = 120\n").is_ok());
        for bad in ["disable_all_formatting = true\n", "ignore = [\"a.rs\"]\n", "max_width =\n"] {
            assert!(formats("rustfmt.toml".into(), bad).is_err(), "{bad}");
        }
    }
}
