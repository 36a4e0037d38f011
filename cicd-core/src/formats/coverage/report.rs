use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::foreign::foreign;
use super::{Ratio, read_cobertura, read_coveragepy, read_lcov};

/// The largest report that is read: ten times that of a project of a million lines.
const REPORT_BYTES_MAX: usize = 256 << 20;

/// What a test run covered, whichever tool wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageReport {
    /// The files, by the path that the report gives them.
    pub files: Vec<FileCoverage>,
    /// Whether branches were measured at all.
    pub branches_measured: bool,
    /// Folders that the paths may be relative to, as Cobertura names them.
    pub roots: Vec<String>,
    /// When it says it was written, where it tells that with a time zone.
    pub created_at: Option<Timestamp>,
}

/// What was covered of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileCoverage {
    /// The path as the report has it.
    pub path: String,
    /// The lines with a statement that was executed.
    pub covered_lines: BTreeSet<u32>,
    /// The lines with a statement that was not executed.
    pub missing_lines: BTreeSet<u32>,
    /// The lines that were left out of the measurement, where the report tells.
    pub excluded_lines: BTreeSet<u32>,
    /// How many ways out of its conditions were taken, of how many.
    pub branches: Ratio,
    /// The ways out that were not taken.
    pub missing_branches: Vec<MissingBranch>,
    /// The same counts by the line that the ways start from, as far as the report tells.
    pub branch_lines: BTreeMap<u32, Ratio>,
    /// The tool's own counts, where they are not those of the lines: because `covered_lines` holds lines as well that are no
    /// statements (coverage.py before 7.13), or because a line counts for each function that has code on it.
    pub said: Option<Ratio>,
}

/// Ways out of a line that were never taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MissingBranch {
    /// The line, from 1.
    pub line: u32,
    /// Where it would have led, such as `line 15` or `the exit`; empty where the report does not tell.
    pub to: Vec<String>,
}

impl MissingBranch {
    /// The lines among the places that it would have led to.
    pub fn lines(&self) -> impl Iterator<Item = u32> {
        self.to.iter().filter_map(|to| to.strip_prefix("line ")?.parse().ok())
    }
}

impl FileCoverage {
    /// How many statements were executed, of how many.
    #[must_use]
    pub fn lines(&self) -> Ratio {
        let (covered, missing) = (self.covered_lines.len() as u64, self.missing_lines.len() as u64);
        if let Some(said) = self.said {
            return said;
        }
        Ratio { covered, total: covered + missing }
    }

    pub(super) fn checked(self) -> Result<Self, CoverageError> {
        let wrong = |problem: String| Err(CoverageError::Contradiction { file: self.path.clone(), problem });
        if let Some(line) = self.covered_lines.intersection(&self.missing_lines).next() {
            return wrong(format!("line {line} is both covered and missing"));
        }
        if self.covered_lines.contains(&0) || self.missing_lines.contains(&0) {
            let old = "line 0 does not exist; coverage.py before 6.5 and gcovr's `merge-use-line-0` write it: measure with \
                       6.5 or newer, or without that setting";
            return wrong(old.to_owned());
        }
        if self.branches.covered > self.branches.total {
            return wrong(format!("{} of {} branches are covered", self.branches.covered, self.branches.total));
        }
        Ok(self)
    }

    /// Compares a count of the report's own summary with the lines.
    pub(super) fn agree(&self, what: &str, said: u64, counted: u64) -> Result<(), CoverageError> {
        if said == counted {
            return Ok(());
        }
        let problem = format!("its summary says {said} {what}, but its lines give {counted}");
        Err(CoverageError::Contradiction { file: self.path.clone(), problem })
    }
}

impl CoverageReport {
    pub(super) fn checked(self) -> Result<Self, CoverageError> {
        let mut seen = BTreeSet::new();
        for file in &self.files {
            if !seen.insert(&file.path) {
                return Err(CoverageError::Contradiction {
                    file: file.path.clone(),
                    problem: "it is listed twice".to_owned(),
                });
            }
        }
        if self.lines().total == 0 {
            return Err(CoverageError::NothingMeasured { files: self.files.len() });
        }
        Ok(self)
    }

    /// How many statements of all files were executed, of how many.
    #[must_use]
    pub fn lines(&self) -> Ratio {
        self.files.iter().map(FileCoverage::lines).fold(Ratio::default(), std::ops::Add::add)
    }

    /// How many branches of all files were taken, of how many; nothing where they were not measured.
    #[must_use]
    pub fn branches(&self) -> Option<Ratio> {
        self.branches_measured
            .then(|| self.files.iter().map(|file| file.branches).fold(Ratio::default(), std::ops::Add::add))
    }
}

/// A coverage report that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoverageError {
    /// It has no content.
    #[error("it is empty")]
    Empty,
    /// It is longer than is read.
    #[error("it has {bytes} bytes, more than the {REPORT_BYTES_MAX} that are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is none of the known formats.
    #[error("it is neither coverage.py JSON nor Cobertura XML nor LCOV")]
    UnknownFormat,
    /// It is the report of a tool whose reports are read in other formats alone.
    #[error("it is the {tool}, which is not read; write {instead}")]
    Foreign {
        /// Whose it is.
        tool: &'static str,
        /// What is read of the same tool.
        instead: &'static str,
    },
    /// It is broken.
    #[error("it is not {format}: {problem}")]
    Malformed {
        /// What it was read as.
        format: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It says two things that cannot both be true.
    #[error("{file}: {problem}")]
    Contradiction {
        /// The file of which it says them, or the whole report.
        file: String,
        /// What they are.
        problem: String,
    },
    /// There is no statement in it.
    #[error("it lists {files} files without a single statement: nothing was measured")]
    NothingMeasured {
        /// How many files it lists.
        files: usize,
    },
}

/// Reads a report in whichever of the three formats it is written.
///
/// # Errors
/// When it is empty, broken, contradicts itself or holds no statement.
pub fn read_coverage(bytes: &[u8]) -> Result<CoverageReport, CoverageError> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(CoverageError::TooLong { bytes: bytes.len() });
    }
    let content = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if let Some(problem) = foreign(content) {
        return Err(problem);
    }
    match content {
        [] => Err(CoverageError::Empty),
        [b'{', ..] => read_coveragepy(content),
        [b'<', ..] => read_cobertura(content),
        [b'T', b'N', b':', ..] | [b'S', b'F', b':', ..] => read_lcov(content),
        _ => Err(CoverageError::UnknownFormat),
    }
}

/// Missing branches, by the line they start from, in the order of the lines.
pub(super) fn by_line(branches: impl IntoIterator<Item = (u32, Option<String>)>) -> Vec<MissingBranch> {
    let mut lines: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (line, to) in branches {
        lines.entry(line).or_default().extend(to);
    }
    lines.into_iter().map(|(line, to)| MissingBranch { line, to }).collect()
}

/// Lines as people write them: `12-15, 20`.
#[derive(Debug, Clone, Copy)]
pub struct LineRanges<'a>(pub &'a BTreeSet<u32>);

impl fmt::Display for LineRanges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = lines.next() {
            let mut last = first;
            while let Some(next) = lines.next_if(|&next| Some(next) == last.checked_add(1)) {
                last = next;
            }
            match last == first {
                true => write!(f, "{separator}{first}")?,
                false => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ", ";
        }
        Ok(())
    }
}
