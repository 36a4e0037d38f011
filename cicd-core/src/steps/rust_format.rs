use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::model::{Code, Finding, Judged, Location, Severity, Subject};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Context, Extent, Outcome, ReadError, Step, StepError, git_tool};

/// How rustfmt begins to show where a file differs.
const DIFFERS: &str = "Diff in ";
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

    fn invocation(&self, files: &[Utf8PathBuf]) -> Invocation {
        Invocation::tool("rustfmt").args(["--check", "--color", "never", "--edition", &self.edition, "--"]).args(files)
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
                let text = std::fs::read_to_string(cx.path(&path)).map_err(StepError::io("reading", &path))?;
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
        let findings = judge(&cx.run(&self.invocation(&files))?, cx.root())?;
        let headline = match findings.len() {
            0 => format!("{} files", files.len()),
            found => format!("{} files, {found} not formatted", files.len()),
        };
        let outcome = Outcome::of(RustChecked { files: files.len(), commit });
        Ok(outcome.findings(findings).fact("files", files.len()).headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![rustfmt_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.invocation(&["<every Rust file>".into()])]
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

fn judge(captured: &Captured, root: &Utf8Path) -> Result<Vec<Finding>, StepError> {
    let captured = captured.clone().require_exit(&[0, 1])?;
    let stderr = captured.stderr_text();
    if stderr.lines().any(|line| line.to_lowercase().starts_with("error")) {
        return Err(ReadError::new("a Rust file", stderr).help("mend what rustfmt cannot parse").into());
    }
    let mut findings: Vec<Finding> = Vec::new();
    for place in captured.stdout_text()?.lines().filter_map(|line| line.strip_prefix(DIFFERS)) {
        let place = place.trim_end_matches(':');
        let (path, line) = place
            .rsplit_once(':')
            .and_then(|(path, line)| Some((Utf8Path::new(path), line.parse().ok()?)))
            .ok_or_else(|| ReadError::new("what rustfmt prints", format!("{place:?} is not a place")))?;
        let path = path.strip_prefix(root).unwrap_or(path);
        // A file that is named, and that another one declares, is shown twice; its first place is enough.
        if !findings.iter().any(|one| one.target.as_deref() == Some(path.as_str())) {
            let finding = Finding::with_code(Code::from_static("rustfmt"), format!("{path} is not formatted"));
            let finding = finding.severity(Severity::Medium).target(path.as_str());
            findings.push(finding.at(Location::line(path, line)).help(format!("rustfmt {path}")));
        }
    }
    if (captured.exit == Exit::Code(0)) != findings.is_empty() {
        let what = format!("rustfmt ended with {}, but shows {} files", captured.exit, findings.len());
        return Err(StepError::not_looked(what, "see the step's log"));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str = include_str!("../../tests/data/rustfmt/bad.txt");
    const UNPARSABLE: &str = include_str!("../../tests/data/rustfmt/unparsable.stderr.txt");

    fn look(code: i32, stdout: &str, stderr: &str) -> Result<Vec<String>, StepError> {
        let findings = judge(&Captured::recorded(Exit::Code(code), stdout, stderr), "/src".into())?;
        Ok(findings.iter().map(|one| one.location.as_ref().map_or(String::new(), ToString::to_string)).collect())
    }

    #[test]
    fn a_file_is_named_once() {
        assert_eq!(look(1, BAD, "").expect("looked"), ["bad.rs:1"]);
        assert_eq!(look(1, &BAD.repeat(2), "Warning: unstable features").expect("looked").len(), 1);
        assert!(look(0, "", "").expect("looked").is_empty());
    }

    #[test]
    fn what_was_not_looked_at_is_an_error() {
        let place = BAD.replace(":1:", ":x:");
        for (code, stdout, stderr) in
            [(1, "", UNPARSABLE), (1, BAD, UNPARSABLE), (1, "", ""), (0, BAD, ""), (101, "", ""), (1, &place, "")]
        {
            assert!(look(code, stdout, stderr).is_err(), "{code} {stdout:?}");
        }
        assert!(formats("rustfmt.toml".into(), "max_width = 120\n").is_ok());
        for bad in ["disable_all_formatting = true\n", "ignore = [\"a.rs\"]\n", "max_width =\n"] {
            assert!(formats("rustfmt.toml".into(), bad).is_err(), "{bad}");
        }
    }
}
