use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::SecretCode;
use super::export::Copies;
use super::judge::{hits, of_trivy};
use super::searcher::Searcher;
use crate::formats::trivy_report::TrivyReport;
use crate::model::{Code, FindingCode as _, Location};
use crate::policy::Exception;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{ExitMeaning, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, Seal, StepError};
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
/// file and the SHA-256 of the text; see [`read_exceptions`](crate::formats::read_exceptions).
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
pub struct Layout {
    copies: Copies,
    neutral: Neutral,
    step: Utf8PathBuf,
}

impl Layout {
    fn report(&self) -> Utf8PathBuf {
        self.step.join("report.json")
    }
}

impl Scanner for SecretScanner {
    type Input = ();
    type Layout = Layout;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        trivy_tool()
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::every_file()
    }

    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Layout, StepError> {
        let copies = Copies::of(cx, sources, 0)?;
        Ok(Layout { copies, neutral: Neutral::prepare(cx)?, step: cx.path(cx.dir()) })
    }

    fn commands(&self, _: &Sources, layout: &Layout) -> Vec<Invocation> {
        vec![scan(&layout.neutral, &layout.step, &layout.report(), &layout.copies.tree())]
    }

    fn read(&self, sources: &Sources, layout: &Layout, captured: &[Captured]) -> Result<Report, StepError> {
        let [captured] = captured else {
            return Err(StepError::not_looked("Trivy was not run once", "see the step's log"));
        };
        let captured = captured.clone().require_success()?;
        let report = TrivyReport::from_json(captured.report_bytes()?)
            .map_err(|error| ReadError::new("Trivy's report", error).at(Location::file(layout.report())))?;
        let found = of_trivy(&report, &sources.tool().version)?;
        let hits = hits(Searcher::Trivy, &found, layout.copies.all(), |file| layout.copies.text(file))?;
        Ok(Report::proven_otherwise().with(&captured, hits).proof("a canary found in each"))
    }

    fn exit_meaning(&self) -> ExitMeaning {
        ExitMeaning::Unrelated
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        Searcher::Trivy.exceptions(cx, self.exceptions_file.as_deref())
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
