use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::report::by_line;
use super::{CoverageError, CoverageReport, FileCoverage, Ratio};

/// The first version whose report tells which branches were taken.
const VERSION_MIN: (u32, u32) = (6, 5);
/// From this version on `executed_lines` holds statements alone; before, docstrings and lines that are left out as well.
const STATEMENTS_ALONE: (u32, u32) = (7, 13);

/// Reads the JSON report of [coverage.py](https://coverage.readthedocs.io) 6.5 and newer, formats 2 and 3 and the one before them.
///
/// # Errors
/// When it is broken, of another format, contradicts itself or holds no statement.
pub fn read_coveragepy(bytes: &[u8]) -> Result<CoverageReport, CoverageError> {
    let malformed = |problem: String| CoverageError::Malformed { format: "coverage.py JSON", problem };
    let Head { meta } = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let said = meta.version.as_deref().unwrap_or("without a version");
    // What names its format keeps to it.
    let version = version(said).or(meta.format.map(|_| STATEMENTS_ALONE));
    let version = version.ok_or_else(|| malformed(format!("its version {said:?} is none of coverage.py")))?;
    if version < VERSION_MIN {
        return Err(malformed(format!("coverage.py {said} does not tell enough; measure with 6.5 or newer")));
    }
    if let Some(format) = meta.format.filter(|format| !(2..=3).contains(format)) {
        return Err(malformed(format!("format {format} is not known; formats 2 and 3 are")));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let branches_measured = meta.branch_coverage;
    let exact = version >= STATEMENTS_ALONE;
    let files = document.files.0.into_iter().map(|(path, file)| file.read(path, branches_measured, exact));
    let report = CoverageReport {
        files: files.collect::<Result<_, _>>()?,
        branches_measured,
        roots: Vec::new(),
        // `meta.timestamp` has no time zone, so it does not say when.
        created_at: None,
    }
    .checked()?;
    agree_with_totals(&report, &document.totals)?;
    Ok(report)
}

fn agree_with_totals(report: &CoverageReport, totals: &Summary) -> Result<(), CoverageError> {
    let lines = report.lines();
    let whole = FileCoverage { path: "the whole report".to_owned(), ..FileCoverage::default() };
    whole.agree("statements", totals.num_statements, lines.total)?;
    whole.agree("covered lines", totals.covered_lines, lines.covered)?;
    if let Some(branches) = report.branches() {
        whole.agree("branches", totals.num_branches.unwrap_or(0), branches.total)?;
        whole.agree("covered branches", totals.covered_branches.unwrap_or(0), branches.covered)?;
    }
    Ok(())
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[derive(Deserialize)]
struct Head {
    meta: Meta,
}

#[derive(Deserialize)]
struct Document {
    files: Files,
    totals: Summary,
}

#[derive(Deserialize)]
struct Meta {
    format: Option<u32>,
    version: Option<String>,
    branch_coverage: bool,
}

#[derive(Deserialize)]
struct Summary {
    covered_lines: u64,
    num_statements: u64,
    missing_lines: u64,
    num_branches: Option<u64>,
    covered_branches: Option<u64>,
}

#[derive(Deserialize)]
struct File {
    executed_lines: BTreeSet<u32>,
    missing_lines: BTreeSet<u32>,
    excluded_lines: BTreeSet<u32>,
    summary: Summary,
    executed_branches: Option<Vec<(i64, i64)>>,
    missing_branches: Option<Vec<(i64, i64)>>,
}

impl File {
    fn read(self, path: String, branches_measured: bool, exact: bool) -> Result<FileCoverage, CoverageError> {
        let mut file = FileCoverage {
            path,
            covered_lines: self.executed_lines,
            missing_lines: self.missing_lines,
            excluded_lines: self.excluded_lines,
            ..FileCoverage::default()
        };
        if branches_measured {
            let (Some(taken), Some(missing)) = (self.executed_branches, self.missing_branches) else {
                let problem = "branches were measured, but it lists none".to_owned();
                return Err(CoverageError::Contradiction { file: file.path, problem });
            };
            let (covered, missed) = (taken.len() as u64, missing.len() as u64);
            file.branches = Ratio { covered, total: covered + missed };
            let from = |(from, _): &(i64, i64)| u32::try_from(from.unsigned_abs()).unwrap_or(u32::MAX);
            let ways = taken.iter().map(|way| (from(way), 1)).chain(missing.iter().map(|way| (from(way), 0)));
            for (line, covered) in ways {
                let known = file.branch_lines.entry(line).or_default();
                *known = *known + Ratio { covered, total: 1 };
            }
            file.missing_branches = by_line(missing.into_iter().map(|(from, to)| {
                // A negative number is the entry or the exit of the function that starts on that line.
                let to = if to > 0 { format!("line {to}") } else { "the exit".to_owned() };
                (u32::try_from(from.unsigned_abs()).unwrap_or(u32::MAX), Some(to))
            }));
            let said = self.summary.num_branches.unwrap_or(0);
            // Ways that a setting calls partial are counted, but listed neither as taken nor as missing.
            if said > covered + missed {
                let problem = format!(
                    "{} of its branches are listed neither as taken nor as missing: remove `partial_also` and \
                     `partial_branches` from the settings of coverage.py, or measure with the step",
                    said - covered - missed
                );
                return Err(CoverageError::Contradiction { file: file.path, problem });
            }
            file.agree("branches", said, covered + missed)?;
            file.agree("covered branches", self.summary.covered_branches.unwrap_or(0), covered)?;
        }
        let listed = file.covered_lines.len() as u64;
        if !exact {
            file.covered_lines = &file.covered_lines - &file.excluded_lines;
            file.covered_lines.remove(&0);
            let Summary { covered_lines: covered, num_statements: total, missing_lines: missing, .. } = self.summary;
            // What is listed beyond the statements is no statement; which lines that are, only the source tells.
            if covered < listed
                && covered <= file.covered_lines.len() as u64
                && covered.checked_add(missing) == Some(total)
            {
                file.said = Some(Ratio { covered, total });
            }
        }
        let lines = file.lines();
        file.agree("statements", self.summary.num_statements, lines.total)?;
        file.agree("covered lines", self.summary.covered_lines, lines.covered)?;
        file.agree("missing lines", self.summary.missing_lines, lines.total - lines.covered)?;
        file.checked()
    }
}

/// The files in their order; a map would let a second entry of one path replace the first unseen.
struct Files(Vec<(String, File)>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut files = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    files.push(entry);
                }
                Ok(Files(files))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
