use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::judge::{CoverageCode, Judgement, Measurement, Threshold, judge};
use crate::files;
use crate::formats::coverage::{
    CoverageReport, InvalidPercent, MeasuredCoverage, Percent, Ratio, candidate_paths, read_coverage,
};
use crate::formats::hex;
use crate::model::{Judged, Location, Subject, Target};
use crate::policy::{Exception, Justification, Scope};
use crate::process::ToolRequirement;
use crate::python::{TestReport, python_sources, read_syntax};
use crate::step::{Author, Claims, Context, Outcome, ReadError, Seal, Step, StepError, git_tool, proof};

/// Judges the coverage of every source file below a folder.
///
/// The norm is 100 per cent. A lower threshold needs a [`Justification`] and shows as `exempted`; once the coverage is
/// complete again, the justification is unused, which is a finding, so a lowered threshold does not stay by itself.
///
/// ```
/// use cicd_core::steps::CoverageGate;
///
/// let gate = CoverageGate::lines(100.0)?.branches(100.0)?.sources("flask-app/myapplication");
/// assert!(CoverageGate::lines(95.0).is_err(), "lowering needs a justification");
/// # Ok::<(), cicd_core::steps::InvalidThreshold>(())
/// ```
///
/// Its input is the output of a test step, which knows what was tested, byte for byte; or `()` with a
/// [`report`](Self::report), which is then compared with the sources by its time.
///
/// What makes it an error and not a percentage: a report that is missing, empty, broken or older than a source, that lists
/// files which do not exist, or that holds no statement of the sources. A source that the report does not list is `COV-003`:
/// code that was never imported does not vanish from the total. Lines left out by `# pragma: no cover` count as findings,
/// which comments with reason, owner and expiry directly above them exempt.
#[derive(Debug, Clone)]
pub struct CoverageGate {
    pub(super) lines: Threshold,
    pub(super) branches: Option<Threshold>,
    sources: Option<Utf8PathBuf>,
    report: Option<Utf8PathBuf>,
    paths_from: Option<Utf8PathBuf>,
    pub(super) relaxed: Vec<Exception>,
}

/// A threshold that no gate can have.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidThreshold {
    /// It is not a percentage.
    #[error(transparent)]
    NotAPercentage(#[from] InvalidPercent),
    /// It is below 100 per cent without a justification.
    #[error("{0} is below 100 %: use `lines_lowered` or `branches_lowered`, which take a justification")]
    Lowered(Percent),
    /// It is not below 100 per cent, so there is nothing to justify.
    #[error("100 % lowers nothing: use `lines` or `branches`")]
    NotLowered,
}

impl CoverageGate {
    /// Requires this share of the lines, in per cent.
    ///
    /// # Errors
    /// When it is not 100: see [`lines_lowered`](Self::lines_lowered).
    pub fn lines(percent: f64) -> Result<Self, InvalidThreshold> {
        full(percent)?;
        let lines = Threshold::FULL;
        Ok(Self { lines, branches: None, sources: None, report: None, paths_from: None, relaxed: Vec::new() })
    }

    /// Requires this share of the branches, in per cent, and that branches were measured.
    ///
    /// # Errors
    /// When it is not 100: see [`branches_lowered`](Self::branches_lowered).
    pub fn branches(mut self, percent: f64) -> Result<Self, InvalidThreshold> {
        full(percent)?;
        self.branches = Some(Threshold::FULL);
        Ok(self)
    }

    /// Requires a smaller share of the lines, in per cent, for a reason and for a time.
    ///
    /// # Errors
    /// When it is not a percentage below 100.
    #[track_caller]
    pub fn lines_lowered(mut self, percent: f64, because: Justification) -> Result<Self, InvalidThreshold> {
        self.lines = lowered(percent)?;
        self.relaxed.push(Exception::in_pipeline(CoverageCode::LinesLowered, Scope::Any, because));
        Ok(self)
    }

    /// Requires a smaller share of the branches, in per cent, for a reason and for a time.
    ///
    /// # Errors
    /// When it is not a percentage below 100.
    #[track_caller]
    pub fn branches_lowered(mut self, percent: f64, because: Justification) -> Result<Self, InvalidThreshold> {
        self.branches = Some(lowered(percent)?);
        self.relaxed.push(Exception::in_pipeline(CoverageCode::BranchesLowered, Scope::Any, because));
        Ok(self)
    }

    /// Accepts what the gate finds in one file, relative to the workspace, as a comment above each place would: code that is left out
    /// or that cannot be measured (`COV-006` to `COV-008`). What is wrong above a place is not mended by it, and
    /// of it and a comment one is too many. What lowers a threshold
    /// has methods of its own.
    #[must_use]
    #[track_caller]
    pub fn accept(mut self, code: CoverageCode, file: impl Into<Utf8PathBuf>, because: Justification) -> Self {
        let scope = Scope::target(Target::file(file.into()));
        self.relaxed.push(Exception::in_pipeline(code, scope, because));
        self
    }

    /// The folder whose Python files have to be covered, relative to the workspace: those that a name says to be Python, and scripts
    /// without one.
    #[must_use]
    pub fn sources(mut self, folder: impl Into<Utf8PathBuf>) -> Self {
        self.sources = Some(folder.into());
        self
    }

    /// Reads this report, relative to the workspace: coverage.py JSON, Cobertura XML or LCOV. For a gate whose input is `()`.
    #[must_use]
    pub fn report(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.report = Some(path.into());
        self
    }

    /// The folder that the report's paths are relative to; without it, the one that holds the sources.
    #[must_use]
    pub fn paths_from(mut self, folder: impl Into<Utf8PathBuf>) -> Self {
        self.paths_from = Some(folder.into());
        self
    }
}

fn full(percent: f64) -> Result<(), InvalidThreshold> {
    match Percent::new(percent)? {
        Percent::FULL => Ok(()),
        low => Err(InvalidThreshold::Lowered(low)),
    }
}

fn lowered(percent: f64) -> Result<Threshold, InvalidThreshold> {
    match Percent::new(percent)? {
        Percent::FULL => Err(InvalidThreshold::NotLowered),
        low => Ok(Threshold::lowered(low)),
    }
}

/// What a gate looks at: what a test step measured, or the report that the gate itself names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoverageInput {
    /// The report that the gate names.
    OwnReport,
    /// What a test step measured.
    Measured(MeasuredCoverage),
    /// The test step measured nothing.
    NotMeasured,
}

impl From<()> for CoverageInput {
    fn from((): ()) -> Self {
        Self::OwnReport
    }
}

impl From<MeasuredCoverage> for CoverageInput {
    fn from(measured: MeasuredCoverage) -> Self {
        Self::Measured(measured)
    }
}

impl From<TestReport> for CoverageInput {
    fn from(tests: TestReport) -> Self {
        tests.coverage.map_or(Self::NotMeasured, Self::Measured)
    }
}

proof! {
    /// What a coverage gate saw.
    pub struct Coverage("coverage") {
        /// Statements executed, of all.
        lines: Ratio => &Ratio,
        /// Branches taken, of all; nothing where they were not measured.
        branches: Option<Ratio> => Option<&Ratio>,
        /// How many source files were judged.
        files: usize,
        /// The commit whose files were judged.
        commit: String => &str,
    }
}

impl Judged for Coverage {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

impl Step for CoverageGate {
    type Input = CoverageInput;
    type Output = Coverage;

    fn run(&self, cx: &Context, input: CoverageInput) -> Result<Outcome<Coverage>, StepError> {
        let sources = self.sources.as_deref().ok_or_else(|| {
            StepError::not_looked("the coverage gate does not know its sources", "add `.sources(folder)` to it")
        })?;
        let paths = python_sources(cx, sources)?;
        if paths.is_empty() {
            return Err(StepError::not_looked(
                format!("{sources} holds no Python file"),
                "correct the gate's `.sources(folder)`",
            ));
        }
        let mut texts = BTreeMap::new();
        for path in paths.keys() {
            let bytes = cx.read_file(path)?;
            texts.insert(path.clone(), bytes);
        }
        let (report, dir, syntax, entered) = match (input, &self.report) {
            (CoverageInput::Measured(measured), None) => {
                unchanged(&measured, &texts)?;
                let MeasuredCoverage { report, dir, sources, refused } = measured;
                texts.retain(|path, _| !refused.contains_key(path));
                let (syntax, entered) = sources
                    .into_iter()
                    .map(|(path, source)| ((path.clone(), source.syntax), (path, source.entered)))
                    .unzip();
                (report, dir, syntax, Some(entered))
            }
            (CoverageInput::OwnReport, Some(report)) => {
                let (report, dir) = self.read_own(cx, report, sources, texts.keys())?;
                let syntax = read_syntax(cx, None, &paths)?;
                let refused: BTreeSet<_> = texts.keys().filter(|path| !syntax.contains_key(*path)).cloned().collect();
                not_run(&report, &dir, cx.root(), &refused)?;
                texts.retain(|path, _| !refused.contains(path));
                (report, dir, syntax, None)
            }
            (CoverageInput::NotMeasured, _) => {
                return Err(StepError::not_looked(
                    "the tests measured no coverage",
                    "add `.with_coverage(package)` to them",
                ));
            }
            (CoverageInput::Measured(_), Some(report)) => {
                return Err(StepError::not_looked(
                    format!("the gate is given both the report of a test step and {report}"),
                    "give it one of them",
                ));
            }
            (CoverageInput::OwnReport, None) => {
                return Err(StepError::not_looked(
                    "the gate is given no report",
                    "wire it to a test step, or add `.report(path)` to it",
                ));
            }
        };
        let (root, entered) = (cx.root(), entered.as_ref());
        let measurement = Measurement { report: &report, dir: &dir, root, sources: &texts, syntax: &syntax, entered };
        let judged = judge(self, &measurement, |path| cx.path(path).is_file())?;
        self.outcome(cx, judged)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![git_tool()]
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.relaxed.clone()
    }

    fn claims(&self) -> Claims {
        Claims::none().reading_source()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

impl CoverageGate {
    fn outcome(&self, cx: &Context, judged: Judgement) -> Result<Outcome<Coverage>, StepError> {
        let Judgement { lines, branches, files, excluded_lines, files_outside, findings, exceptions } = judged;
        let headline = match branches {
            Some(branches) => format!("{lines} lines, {branches} branches"),
            None => format!("{lines} lines"),
        };
        let commit = cx.revision()?.commit.clone();
        let mut outcome = Outcome::of(Coverage { lines, branches, files, commit })
            .findings(findings)
            .exceptions(exceptions)
            .exceptions(self.relaxed.clone())
            .headline(headline)
            .fact("lines_percent", lines.percent())
            .fact("lines_covered", lines.covered)
            .fact("lines", lines.total);
        if let Some(branches) = branches {
            outcome = outcome
                .fact("branches_percent", branches.percent())
                .fact("branches_covered", branches.covered)
                .fact("branches", branches.total);
        }
        Ok(outcome
            .fact("files", files)
            .fact("files_outside_sources", files_outside)
            .fact("excluded_lines", excluded_lines))
    }

    fn read_own<'a>(
        &self,
        cx: &Context,
        report: &Utf8Path,
        sources: &Utf8Path,
        paths: impl Iterator<Item = &'a Utf8PathBuf>,
    ) -> Result<(CoverageReport, Utf8PathBuf), StepError> {
        let file = cx.path(report);
        let written = modified(&file)?;
        for path in paths {
            if modified(&cx.path(path))? > written {
                return Err(StepError::not_looked(
                    format!("the coverage report {report} is older than {path}"),
                    "run the tests again",
                ));
            }
        }
        cx.relies_on_file(&file);
        let bytes = files::read(&file, files::FILE_BYTES_MAX).map_err(StepError::io("reading", report))?;
        let read = read_coverage(&bytes).map_err(|error| {
            ReadError::new("the coverage report", error).at(Location::file(report)).help("run the tests again")
        })?;
        let holder = sources.parent().unwrap_or(Utf8Path::new(""));
        Ok((read, self.paths_from.clone().unwrap_or_else(|| holder.to_owned())))
    }
}

fn modified(path: &Utf8Path) -> Result<SystemTime, StepError> {
    fs::metadata(path).and_then(|data| data.modified()).map_err(StepError::io("looking at", path))
}

/// Checks that the sources are, byte for byte, those that were tested.
fn unchanged(measured: &MeasuredCoverage, texts: &BTreeMap<Utf8PathBuf, Vec<u8>>) -> Result<(), StepError> {
    let known = |path| measured.sources.get(path).map(|source| &source.sha256).or_else(|| measured.refused.get(path));
    let changed = texts.iter().find_map(|(path, bytes)| match known(path) {
        Some(sha256) if *sha256 == hex(&Sha256::digest(bytes)) => None,
        Some(_) => Some(format!("{path} was changed after the tests ran")),
        None => Some(format!("{path} was not there when the tests ran")),
    });
    match changed {
        Some(what) => Err(StepError::not_looked(what, "run the tests again")),
        None => Ok(()),
    }
}

/// Checks that a report knows none of the files that this Python refuses: it ran where that was another one.
fn not_run(
    report: &CoverageReport,
    dir: &Utf8Path,
    root: &Utf8Path,
    refused: &BTreeSet<Utf8PathBuf>,
) -> Result<(), StepError> {
    let mut listed = report.files.iter().flat_map(|file| candidate_paths(&file.path, &report.roots, dir, root));
    match listed.find(|path| refused.contains(path)) {
        Some(path) => Err(StepError::not_looked(
            format!("the report covers {path}, which the Python of this machine cannot read"),
            "put a python3 on PATH that is as new as the one that ran the tests",
        )),
        None => Ok(()),
    }
}
