use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use super::CoverageGate;
use super::excluded::{Measured, PRAGMA, plural};
use crate::formats::Suppressions;
use crate::formats::coverage::{CoverageReport, FileCoverage, Percent, Ratio, candidate_paths};
use crate::formats::python_syntax::PythonSyntax;
use crate::model::{Finding, Location, Severity, finding_codes};
use crate::policy::Exception;
use crate::step::{ReadError, StepError};

finding_codes! {
    /// What a coverage gate can find.
    pub enum CoverageCode {
        LinesBelow = "COV-001" {
            summary: "line coverage is below its threshold",
            help: "test the lines that are named, or delete them",
            example: "CoverageGate::lines(100.0) on a report with 9 of 10 lines",
        },
        BranchesBelow = "COV-002" {
            summary: "branch coverage is below its threshold",
            help: "test the ways that are named, or delete them",
            example: "an `if` whose condition is never false in any test",
        },
        SourceMissing = "COV-003" {
            summary: "a source file is not in the coverage report",
            help: "measure the whole package (`--cov=<package>`), and do not omit files in the configuration",
            example: "a module that no test imports, measured without `source`",
        },
        LinesLowered = "COV-004" {
            summary: "line coverage is below 100 %, which its lowered threshold allows",
            help: "test the missing lines, then remove the lowered threshold",
            example: "lines_lowered(95.0, …) on 97 % of the lines",
        },
        BranchesLowered = "COV-005" {
            summary: "branch coverage is below 100 %, which its lowered threshold allows",
            help: "test the missing branches, then remove the lowered threshold",
            example: "branches_lowered(90.0, …) on 93 % of the branches",
        },
        Excluded = "COV-006" {
            summary: "code is left out of the measurement by a pragma",
            help: "test it, or justify the pragma with reason, owner and expiry on the lines above it",
            example: "def debug():  # pragma: no cover",
        },
        ExcludedByConfiguration = "COV-007" {
            summary: "code of the source is not in the measurement",
            help: "measure without `exclude_also`, `exclude_lines`, `partial_also` or plugins, delete code that never runs, or justify it with reason, owner and expiry on the lines above it",
            example: "exclude_also = [\"def main\"]",
        },
        Unmeasurable = "COV-008" {
            summary: "whether code runs shows in no line and no branch",
            help: "test it, give it lines of its own, or justify it with reason, owner and expiry on the lines above it",
            example: "def unlock(): door.open()",
        },
    }
}

/// Of more files than this the worst are shown; the rest is counted.
const FILES_SHOWN_MAX: usize = 10;

/// A threshold, and whether it is a lowered one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Threshold {
    percent: Percent,
}

impl Threshold {
    pub(super) const FULL: Self = Self { percent: Percent::FULL };

    pub(super) fn lowered(percent: Percent) -> Self {
        Self { percent }
    }
}

/// A report, and the sources it has to cover.
pub(super) struct Measurement<'a> {
    pub(super) report: &'a CoverageReport,
    pub(super) dir: &'a Utf8Path,
    pub(super) root: &'a Utf8Path,
    pub(super) sources: &'a BTreeMap<Utf8PathBuf, Vec<u8>>,
    /// What each of them holds.
    pub(super) syntax: &'a BTreeMap<Utf8PathBuf, PythonSyntax>,
    /// The code of each of them that was entered, where that is known.
    pub(super) entered: Option<&'a BTreeMap<Utf8PathBuf, BTreeSet<(u32, u32)>>>,
}

/// What there is to say of a measurement.
#[derive(Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) lines: Ratio,
    pub(super) branches: Option<Ratio>,
    pub(super) files: usize,
    pub(super) files_outside: usize,
    pub(super) excluded_lines: usize,
    pub(super) findings: Vec<Finding>,
    pub(super) exceptions: Vec<Exception>,
}

pub(super) fn judge(
    gate: &CoverageGate,
    measurement: &Measurement<'_>,
    exists: impl Fn(&Utf8Path) -> bool,
) -> Result<Judgement, StepError> {
    let (listed, files_outside) = measurement.match_files(exists)?;
    let measures = listed.values().any(|file| file.lines().total > 0);
    let mut comments = Suppressions::accepting(&gate.relaxed);
    let counted = measurement.counted(&listed, gate.branches.is_some(), &mut comments)?;
    let files: Files<'_> = counted.iter().map(|(path, file)| (*path, file)).collect();
    let lines = files.values().map(|file| file.lines()).fold(Ratio::default(), std::ops::Add::add);
    if lines.total == 0 || !measures {
        return Err(StepError::not_looked(
            "the coverage report holds no statement of the sources",
            "check what the tests measure and the gate's `.sources(folder)`",
        ));
    }
    let branches = measurement
        .report
        .branches_measured
        .then(|| files.values().map(|file| file.branches).fold(Ratio::default(), std::ops::Add::add));
    let mut findings = measurement.absent(&listed);
    findings.extend(below(lines, gate.lines, CoverageCode::LinesBelow, CoverageCode::LinesLowered, "line"));
    if !lines.reaches(gate.lines.percent) {
        findings.extend(uncovered_lines(&files));
    }
    match (gate.branches, branches) {
        (Some(threshold), Some(ratio)) => {
            findings.extend(below(
                ratio,
                threshold,
                CoverageCode::BranchesBelow,
                CoverageCode::BranchesLowered,
                "branch",
            ));
            if !ratio.reaches(threshold.percent) {
                findings.extend(untaken_branches(&files));
            }
        }
        (Some(_), None) => {
            return Err(StepError::not_looked("the coverage report has no branches", "measure with `--cov-branch`"));
        }
        (None, _) => {}
    }
    let excluded_lines = files.values().map(|file| file.excluded_lines.len()).sum();
    let exceptions = comments.settle(&mut findings);
    Ok(Judgement { lines, branches, files: files.len(), files_outside, excluded_lines, findings, exceptions })
}

type Files<'a> = BTreeMap<&'a Utf8Path, &'a FileCoverage>;

impl Measurement<'_> {
    /// The report's files by their path in the workspace, as far as they are sources; and how many are not.
    fn match_files(&self, exists: impl Fn(&Utf8Path) -> bool) -> Result<(Files<'_>, usize), StepError> {
        let mut files = Files::new();
        let mut outside = 0;
        for file in &self.report.files {
            let candidates = candidate_paths(&file.path, &self.report.roots, self.dir, self.root);
            let known = candidates.iter().find_map(|path| self.sources.get_key_value(path.as_path()));
            let Some((path, bytes)) = known else {
                if !candidates.iter().any(|path| exists(path)) {
                    return Err(stale(format!("the coverage report covers {}, which does not exist", file.path)));
                }
                outside += 1;
                continue;
            };
            let lines_total = String::from_utf8_lossy(bytes).lines().count();
            let last = file.covered_lines.iter().chain(&file.missing_lines).max().copied().unwrap_or(0);
            if last as usize > lines_total {
                return Err(stale(format!("the coverage report knows line {last} of {path}, which has {lines_total}")));
            }
            if files.insert(path, file).is_some() {
                return Err(stale(format!("the coverage report lists {path} twice")));
            }
        }
        Ok((files, outside))
    }

    /// The report's files as they count: without what needs no measurement, or has somebody who answers for it.
    fn counted<'a>(
        &'a self,
        files: &Files<'a>,
        branches_required: bool,
        comments: &mut Suppressions,
    ) -> Result<BTreeMap<&'a Utf8Path, FileCoverage>, StepError> {
        let pragma = Regex::new(PRAGMA).map_err(|error| ReadError::new("the pattern of pragmas", error))?;
        let branches_required = branches_required && self.report.branches_measured;
        let mut counted = BTreeMap::new();
        for (path, bytes) in self.sources {
            let Some(syntax) = self.syntax.get(path) else {
                return Err(StepError::not_looked(format!("the syntax of {path} was not read"), "run the tests again"));
            };
            let text = String::from_utf8_lossy(bytes);
            let lines: Vec<&str> = text.lines().collect();
            let Some(&file) = files.get(path.as_path()) else { continue };
            let missed = file.said.map_or(0, |said| said.total.saturating_sub(said.covered));
            if file.said.is_some() && missed != file.missing_lines.len() as u64 {
                let what = format!("the coverage report counts {missed} missing lines of {path}, and lists others");
                return Err(StepError::not_looked(what, "write the report as JSON of coverage.py"));
            }
            let code = syntax.code_lines();
            if let Some(line) = file.missing_lines.iter().find(|line| !code.contains(line)) {
                return Err(stale(format!("the coverage report misses line {line} of {path}, where there is no code")));
            }
            let entered = self.entered.and_then(|entered| entered.get(path));
            let measured = Measured { path, lines: &lines, syntax, entered, branches_required };
            counted.insert(path.as_path(), measured.judge(file, &pragma, comments));
        }
        Ok(counted)
    }

    fn absent(&self, files: &Files<'_>) -> Vec<Finding> {
        let has_code = |path: &Utf8PathBuf| self.syntax.get(path).is_none_or(PythonSyntax::has_code);
        let absent = self.sources.keys().filter(|path| !files.contains_key(path.as_path()) && has_code(path));
        absent
            .map(|path| {
                Finding::new(CoverageCode::SourceMissing, format!("{path} is not in the coverage report"))
                    .at(Location::file(path))
            })
            .collect()
    }
}

fn stale(what: String) -> StepError {
    StepError::not_looked(what, "it was not measured on these sources; run the tests again")
}

/// The finding of a share below the norm, and the one of a share below its own threshold.
fn below(ratio: Ratio, threshold: Threshold, code: CoverageCode, tolerated: CoverageCode, what: &str) -> Vec<Finding> {
    let Threshold { percent } = threshold;
    let message =
        |limit: Percent| format!("{what} coverage is {ratio} ({} of {}), below {limit}", ratio.covered, ratio.total);
    let mut findings = Vec::new();
    if percent != Percent::FULL && !ratio.reaches(Percent::FULL) {
        findings.push(Finding::new(tolerated, message(Percent::FULL)).severity(Severity::Low));
    }
    if !ratio.reaches(percent) {
        findings.push(Finding::new(code, message(percent)));
    }
    findings
}

fn uncovered_lines(files: &Files<'_>) -> Vec<Finding> {
    let missing = |file: &FileCoverage| file.missing_lines.len();
    worst(files, missing)
        .map(|(path, file)| {
            let message = format!("{path}: {}", plural("line", &file.missing_lines, "not covered"));
            let first = file.missing_lines.first().copied().unwrap_or(1);
            Finding::new(CoverageCode::LinesBelow, message).at(Location::line(path, first))
        })
        .collect()
}

fn untaken_branches(files: &Files<'_>) -> Vec<Finding> {
    let missing = |file: &FileCoverage| file.missing_branches.len();
    worst(files, missing)
        .map(|(path, file)| {
            let ways: Vec<_> = file
                .missing_branches
                .iter()
                .map(|branch| match branch.to.as_slice() {
                    [] => format!("from line {}", branch.line),
                    to => format!("from line {} to {}", branch.line, to.join(" and ")),
                })
                .collect();
            let first = file.missing_branches.first().map_or(1, |branch| branch.line);
            Finding::new(CoverageCode::BranchesBelow, format!("{path}: never taken: {}", ways.join("; ")))
                .at(Location::line(path, first))
        })
        .collect()
}

fn worst<'a>(
    files: &'a Files<'_>,
    missing: impl Fn(&FileCoverage) -> usize,
) -> impl Iterator<Item = (&'a Utf8Path, &'a FileCoverage)> {
    let mut bad: Vec<_> =
        files.iter().map(|(path, file)| (*path, *file)).filter(|(_, file)| missing(file) > 0).collect();
    bad.sort_by_key(|(_, file)| std::cmp::Reverse(missing(file)));
    bad.into_iter().take(FILES_SHOWN_MAX)
}
