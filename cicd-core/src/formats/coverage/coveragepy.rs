use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::report::by_line;
use super::{CoverageError, CoverageReport, FileCoverage, Ratio};

/// Reads the JSON report of [coverage.py](https://coverage.readthedocs.io), formats 2 and 3.
///
/// # Errors
/// When it is broken, of another format, contradicts itself or holds no statement.
pub fn read_coveragepy(bytes: &[u8]) -> Result<CoverageReport, CoverageError> {
    let malformed = |problem: String| CoverageError::Malformed { format: "coverage.py JSON", problem };
    let document: Document = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    if !(2..=3).contains(&document.meta.format) {
        return Err(malformed(format!("format {} is not known; formats 2 and 3 are", document.meta.format)));
    }
    let branches_measured = document.meta.branch_coverage;
    let files = document.files.0.into_iter().map(|(path, file)| file.read(path, branches_measured));
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

#[derive(Deserialize)]
struct Document {
    meta: Meta,
    files: Files,
    totals: Summary,
}

#[derive(Deserialize)]
struct Meta {
    format: u32,
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
    fn read(self, path: String, branches_measured: bool) -> Result<FileCoverage, CoverageError> {
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
            file.missing_branches = by_line(missing.into_iter().map(|(from, to)| {
                // A negative number is the entry or the exit of the function that starts on that line.
                let to = if to > 0 { format!("line {to}") } else { "the exit".to_owned() };
                (u32::try_from(from.unsigned_abs()).unwrap_or(u32::MAX), Some(to))
            }));
            file.agree("branches", self.summary.num_branches.unwrap_or(0), covered + missed)?;
            file.agree("covered branches", self.summary.covered_branches.unwrap_or(0), covered)?;
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
