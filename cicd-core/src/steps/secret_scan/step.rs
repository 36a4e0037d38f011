use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::SecretCode;
use super::export::export;
use super::judge::secrets;
use crate::formats::printable::counted;
use crate::formats::trivy_report::TrivyReport;
use crate::formats::{Paint, read_exceptions};
use crate::model::{Finding, Judged, Location, Severity, Subject, Target};
use crate::policy::{Exception, Justification, Scope};
use crate::process::{Invocation, ToolRequirement};
use crate::step::{Context, Extent, Outcome, ReadError, Step, StepError, git_tool};
use crate::trivy::{Neutral, trivy_tool};

/// Half a gigabyte of text takes Trivy about two minutes.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);
/// Trivy's own limit is shorter than ours, so that it says itself what took so long.
const TRIVY_TIMEOUT: &str = "9m";

/// Searches every file of the repository for secrets with Trivy's rules: those that git tracks, and new ones that it does not ignore.
///
/// ```
/// use cicd_core::steps::SecretScan;
///
/// let scan = SecretScan::new().exceptions_file("ci/exceptions.toml");
/// ```
///
/// Trivy passes over tests, documentation, lock files and whatever looks like a program, without a word. So it is given copies under
/// neutral names, each with a known secret in its last line, and has to find that one in every file. Exceptions name the rule, the
/// file and the SHA-256 of the text; see [`read_exceptions`].
#[derive(Debug, Clone)]
pub struct SecretScan {
    extent: Extent,
    exceptions_file: Option<Utf8PathBuf>,
    left_out: Vec<(Utf8PathBuf, Exception)>,
}

impl Default for SecretScan {
    fn default() -> Self {
        Self::new()
    }
}

impl SecretScan {
    /// Every file, and no exceptions.
    #[must_use]
    pub fn new() -> Self {
        Self { extent: Extent::EveryFile, exceptions_file: None, left_out: Vec::new() }
    }

    /// Searches only the files that the last commit added or changed: before a commit, those that are staged. Exceptions for other
    /// files are then neither used nor missed.
    #[must_use]
    pub fn of_last_commit(mut self) -> Self {
        self.extent = Extent::LastCommit;
        self
    }

    /// The file with what looks like a secret and is none.
    #[must_use]
    pub fn exceptions_file(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.exceptions_file = Some(path.into());
        self
    }

    /// Does not search this file, or what is below this folder.
    #[must_use]
    #[track_caller]
    pub fn leaving_out(mut self, path: impl Into<Utf8PathBuf>, because: Justification) -> Self {
        let path = path.into();
        let scope = Scope::target(Target::file(&path));
        self.left_out.push((path, Exception::in_pipeline(SecretCode::LeftOut, scope, because)));
        self
    }

    fn read_exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let Some(path) = &self.exceptions_file else { return Ok(Vec::new()) };
        let text = cx.read_text(path)?;
        let read = read_exceptions(&cx.relative(path), &text)
            .map_err(|error| ReadError::new("the exceptions", format!("\n{}", error.render(Paint::Plain))))?;
        Ok(read.secrets)
    }
}

/// What was searched for secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsSearched {
    /// How many files.
    pub files: usize,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for SecretsSearched {}

impl Judged for SecretsSearched {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

impl Step for SecretScan {
    type Input = ();
    type Output = SecretsSearched;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<SecretsSearched>, StepError> {
        let trivy = cx.require(&trivy_tool())?;
        let mut exceptions = self.read_exceptions(cx)?;
        let mut files = cx.files_of(self.extent)?;
        if self.extent == Extent::LastCommit {
            exceptions.retain(|exception| files.iter().any(|file| is_about(exception, file)));
        }
        let (mut left_out, mut allowed) = (Vec::new(), Vec::new());
        for (path, exception) in &self.left_out {
            let before = files.len();
            files.retain(|file| !file.starts_with(path));
            let count = before - files.len();
            if count > 0 || self.extent == Extent::EveryFile {
                allowed.push(exception.clone());
            }
            if count > 0 {
                let message = format!("{count} files at {path} are not searched for secrets");
                let finding = Finding::new(SecretCode::LeftOut, message).target(Target::file(path));
                left_out.push(finding.severity(Severity::Medium).at(Location::file(path)));
            }
        }
        if files.is_empty() && self.extent == Extent::LastCommit {
            let commit = cx.revision()?.commit.clone();
            let outcome = Outcome::of(SecretsSearched { files: 0, commit }).headline("no file is added or changed");
            return Ok(outcome.findings(left_out).exceptions(allowed));
        }
        if files.is_empty() {
            return Err(StepError::not_looked("there is no file to search", "run inside a git checkout with files"));
        }
        // Copies of everything do not stay in the run's folder.
        let dir = cx.path(cx.dir());
        let temporary = tempfile::tempdir_in(&dir).map_err(StepError::io("making a folder in", &dir))?;
        let tree = Utf8PathBuf::from_path_buf(temporary.path().to_owned()).map_err(|path| {
            StepError::not_looked(format!("{} is not UTF-8", path.display()), "move the checkout elsewhere")
        })?;
        let exported = export(cx.root(), &tree, files)?;
        let neutral = Neutral::prepare(cx)?;
        let report_path = dir.join("report.json");
        let captured = cx.run_ok(&scan(&neutral, &dir, &report_path, &tree))?;
        let report = TrivyReport::from_json(captured.report_bytes()?)
            .map_err(|error| ReadError::new("Trivy's report", error).at(Location::file(&report_path)))?;
        let read = |file: &super::export::Exported| {
            fs::read(tree.join(&file.name)).map_err(StepError::io("reading", tree.join(&file.name)))
        };
        let found = secrets(&report, &trivy.version, &exported, read)?;
        let (count, secrets) = (exported.len(), found.len());
        let headline = match secrets {
            0 => format!("{}, a canary found in each", counted(count, "file")),
            found => format!("{}, {}", counted(count, "file"), counted(found, "secret")),
        };
        let commit = cx.revision()?.commit.clone();
        let outcome = Outcome::of(SecretsSearched { files: count, commit })
            .fact("files", count)
            .fact("secrets", secrets)
            .fact("exceptions", exceptions.len())
            .fact("trivy_version", trivy.version.to_string())
            .headline(headline);
        Ok(outcome.findings(found).findings(left_out).exceptions(exceptions).exceptions(allowed))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![trivy_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        let step = Utf8Path::new("<step>");
        vec![scan(&Neutral::placeholder(), step, &step.join("report.json"), &step.join("<copies>"))]
    }
}

/// Whether an exception is for a secret in this file.
fn is_about(exception: &Exception, file: &Utf8Path) -> bool {
    match &exception.scope {
        Scope::Any => true,
        Scope::Targets(targets) => targets.iter().any(|target| match target {
            Target::Secret { path, .. } | Target::Place(Location { path, .. }) => path == file,
            Target::Package(_) | Target::Route(_) | Target::Name(_) => false,
        }),
    }
}

fn scan(neutral: &Neutral, step: &Utf8Path, report: &Utf8Path, tree: &Utf8Path) -> Invocation {
    // Secrets need no database, but Trivy wants a folder for one.
    neutral
        .scan(&step.join("no-database"), "filesystem", "secret", report)
        .args(["--timeout", TRIVY_TIMEOUT, tree.as_str()])
        .deadline(SCAN_DEADLINE)
}
