use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::SecretCode;
use super::export::{Exported, export};
use super::judge::secrets;
use crate::formats::trivy_report::TrivyReport;
use crate::formats::{Paint, read_exceptions};
use crate::model::{Code, FindingCode as _, Location};
use crate::policy::Exception;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{Bench, ExitMeaning, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, StepError};
use crate::trivy::{Neutral, trivy_tool};

/// Half a gigabyte of text takes Trivy about two minutes.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);
/// Trivy's own limit is shorter than ours, so that it says itself what took so long.
const TRIVY_TIMEOUT: &str = "9m";

/// What Trivy, called by hand, obeys.
const CONFIGURATION: [Setting; 2] = [Setting::in_root("trivy.yaml"), Setting::in_root("trivy-secret.yaml")];

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
///
/// With [`of_last_commit`](Scan::of_last_commit), exceptions for other files are neither used nor missed.
pub type SecretScan = Scan<SecretScanner>;

/// See [`SecretScan`].
#[derive(Debug, Clone)]
pub struct SecretScanner {
    exceptions_file: Option<Utf8PathBuf>,
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
        Self::of(SecretScanner { exceptions_file: None })
    }

    /// The file with what looks like a secret and is none.
    #[must_use]
    pub fn exceptions_file(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.scanner.exceptions_file = Some(path.into());
        self
    }
}

/// What is laid out: a numbered copy of every file, and an empty configuration.
#[derive(Debug)]
pub struct Copies {
    exported: Vec<Exported>,
    neutral: Neutral,
    step: Utf8PathBuf,
    bench: Bench,
}

impl Copies {
    fn tree(&self) -> Utf8PathBuf {
        self.bench.path("tree")
    }

    fn report(&self) -> Utf8PathBuf {
        self.step.join("report.json")
    }
}

impl Scanner for SecretScanner {
    type Input = ();
    type Layout = Copies;

    fn tool(&self) -> ToolRequirement {
        trivy_tool()
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::every_file()
    }

    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Copies, StepError> {
        // Copies of everything do not stay in the run's folder.
        let bench = Bench::new(cx)?;
        let tree = bench.make_folder("tree")?;
        let exported = export(cx.root(), &tree, sources.paths().map(Utf8Path::to_owned).collect())?;
        Ok(Copies { exported, neutral: Neutral::prepare(cx)?, step: cx.path(cx.dir()), bench })
    }

    fn commands(&self, _: &Sources, copies: &Copies) -> Vec<Invocation> {
        vec![scan(&copies.neutral, &copies.step, &copies.report(), &copies.tree())]
    }

    fn read(&self, sources: &Sources, copies: &Copies, captured: &[Captured]) -> Result<Report, StepError> {
        let [captured] = captured else {
            return Err(StepError::not_looked("Trivy was not run once", "see the step's log"));
        };
        let captured = captured.clone().require_success()?;
        let report = TrivyReport::from_json(captured.report_bytes()?)
            .map_err(|error| ReadError::new("Trivy's report", error).at(Location::file(copies.report())))?;
        let read = |file: &Exported| {
            let copy = copies.tree().join(&file.name);
            fs::read(&copy).map_err(StepError::io("reading", copy))
        };
        let hits = secrets(&report, &sources.tool().version, &copies.exported, read)?;
        Ok(Report::proven_otherwise().with(&captured, hits).proof("a canary found in each"))
    }

    fn exit_meaning(&self) -> ExitMeaning {
        ExitMeaning::Unrelated
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let Some(path) = &self.exceptions_file else { return Ok(Vec::new()) };
        let text = cx.read_text(path)?;
        let read = read_exceptions(&cx.relative(path), &text)
            .map_err(|error| ReadError::new("the exceptions", format!("\n{}", error.render(Paint::Plain))))?;
        Ok(read.secrets)
    }

    fn left_out_code(&self) -> Code {
        SecretCode::LeftOut.code()
    }

    fn explain(&self) -> Vec<Invocation> {
        let step = Utf8Path::new("<step>");
        vec![scan(&Neutral::placeholder(), step, &step.join("report.json"), &step.join("<copies>"))]
    }
}

fn scan(neutral: &Neutral, step: &Utf8Path, report: &Utf8Path, tree: &Utf8Path) -> Invocation {
    // Secrets need no database, but Trivy wants a folder for one.
    neutral
        .scan(&step.join("no-database"), "filesystem", "secret", report)
        .args(["--timeout", TRIVY_TIMEOUT, tree.as_str()])
        .deadline(SCAN_DEADLINE)
}
