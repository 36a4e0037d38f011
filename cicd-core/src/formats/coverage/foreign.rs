//! Reports that people take for ones that are read, and what to write instead.

use super::CoverageError;

/// How much of a report is searched for marks: they stand in its first entry.
const START_BYTES: usize = 4096;

/// What marks a report, whose it is, and what is read of the same tool.
const FOREIGN: [(&str, &str, &str); 10] = [
    ("\"gcovr/format_version\"", "JSON of gcovr", "Cobertura XML (`--cobertura`, before 5.1 `--xml`)"),
    ("\"gcovr/summary_format_version\"", "summary of gcovr", "Cobertura XML (`--cobertura`, before 5.1 `--xml`)"),
    ("\"gcovr/noncode\"", "JSON of gcovr", "Cobertura XML (`--cobertura`, before 5.1 `--xml`)"),
    ("\"statementMap\"", "JSON of istanbul", "LCOV or Cobertura XML (`coverageReporters: [\"lcov\", \"cobertura\"]`)"),
    (
        "\"branchesTrue\"",
        "summary of istanbul",
        "LCOV or Cobertura XML (`coverageReporters: [\"lcov\", \"cobertura\"]`)",
    ),
    ("llvm.coverage.json.export", "JSON of llvm-cov", "LCOV (`--lcov`) or Cobertura XML (`--cobertura`)"),
    (" clover=\"", "Clover XML", "Cobertura XML or LCOV"),
    ("<!DOCTYPE report PUBLIC \"-//JACOCO", "XML of JaCoCo", "Cobertura XML"),
    ("<CoverageSession", "XML of OpenCover", "Cobertura XML"),
    ("\nmode: ", "profile of Go", "Cobertura XML (gocover-cobertura) or LCOV (gcov2lcov)"),
];

/// Why this report is not read, if it is one of these.
pub(super) fn foreign(content: &[u8]) -> Option<CoverageError> {
    let start = content.get(..START_BYTES).unwrap_or(content);
    // A profile of Go begins with its mark.
    let start = [b"\n", start].concat();
    let has = |mark: &str| start.windows(mark.len()).any(|window| window == mark.as_bytes());
    let (_, tool, instead) = FOREIGN.into_iter().find(|(mark, _, _)| has(mark))?;
    Some(CoverageError::Foreign { tool, instead })
}
