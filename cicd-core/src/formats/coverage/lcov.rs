use std::collections::BTreeMap;

use super::report::by_line;
use super::{CoverageError, CoverageReport, FileCoverage, Ratio};

/// Reads an [LCOV](https://github.com/linux-test-project/lcov) tracefile.
///
/// The format has no end mark, so a file that was cut between two records looks whole; the gate notices the missing sources.
///
/// # Errors
/// When it is broken, contradicts itself or holds no statement.
pub fn read_lcov(bytes: &[u8]) -> Result<CoverageReport, CoverageError> {
    let malformed = |problem: String| CoverageError::Malformed { format: "LCOV", problem };
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(format!("not UTF-8: {error}")))?;
    if !text.ends_with('\n') {
        return Err(malformed("it ends in the middle of a line".to_owned()));
    }
    let mut files = Vec::new();
    let mut record: Option<Record> = None;
    for (line, number) in text.lines().zip(1..) {
        let malformed = |problem: &str| malformed(format!("line {number}: {problem}: {line:?}"));
        let (key, value) = line.split_once(':').unwrap_or((line.trim_end(), ""));
        match (key, &mut record) {
            ("", _) | ("TN", None) => {}
            ("SF", None) => record = Some(Record::new(value)),
            ("SF", Some(_)) => return Err(malformed("the record before it has no end")),
            ("end_of_record", Some(_)) => files.extend(record.take().map(Record::finish).transpose()?),
            (_, Some(open)) => open.see(key, value).ok_or_else(|| malformed("not an entry"))?,
            (_, None) => return Err(malformed("an entry outside of a record")),
        }
    }
    if record.is_some() {
        return Err(malformed("it ends in the middle of a record".to_owned()));
    }
    let branches_measured = files.iter().any(|(_, branches)| *branches);
    let files = files.into_iter().map(|(file, _)| file).collect();
    CoverageReport { files, branches_measured, roots: Vec::new(), created_at: None }.checked()
}

#[derive(Default)]
struct Record {
    path: String,
    lines: BTreeMap<u32, bool>,
    branches: BTreeMap<(u32, String, String), bool>,
    branches_named: bool,
    summary: BTreeMap<&'static str, u64>,
}

impl Record {
    fn new(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    fn see(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "DA" => {
                let mut parts = value.split(',');
                let (line, hits) = (parts.next()?.parse().ok()?, parts.next()?.parse::<u64>().ok()?);
                *self.lines.entry(line).or_default() |= hits > 0;
            }
            "BRDA" => {
                // The branch's name may hold commas itself.
                let (line, rest) = value.split_once(',')?;
                let (block, rest) = rest.split_once(',')?;
                let (branch, taken) = rest.rsplit_once(',')?;
                let taken = match taken {
                    "-" => false,
                    count => count.parse::<u64>().ok()? > 0,
                };
                self.branches_named = true;
                let way = (line.parse().ok()?, block.to_owned(), branch.to_owned());
                *self.branches.entry(way).or_default() |= taken;
            }
            "LF" => self.summarise("LF", value)?,
            "LH" => self.summarise("LH", value)?,
            "BRF" => {
                self.branches_named = true;
                self.summarise("BRF", value)?;
            }
            "BRH" => self.summarise("BRH", value)?,
            // Functions say nothing that the lines do not.
            "FN" | "FNDA" | "FNF" | "FNH" | "FNL" | "FNA" | "VER" => {}
            _ => return None,
        }
        Some(())
    }

    fn summarise(&mut self, key: &'static str, value: &str) -> Option<()> {
        self.summary.insert(key, value.trim().parse().ok()?);
        Some(())
    }

    fn finish(self) -> Result<(FileCoverage, bool), CoverageError> {
        let mut file = FileCoverage { path: self.path, ..FileCoverage::default() };
        for (line, hit) in self.lines {
            if hit {
                file.covered_lines.insert(line)
            } else {
                file.missing_lines.insert(line)
            };
        }
        let covered = self.branches.values().filter(|taken| **taken).count() as u64;
        file.branches = Ratio { covered, total: self.branches.len() as u64 };
        for ((line, _, _), taken) in &self.branches {
            let known = file.branch_lines.entry(*line).or_default();
            *known = *known + Ratio { covered: u64::from(*taken), total: 1 };
        }
        let missing = self.branches.into_iter().filter(|(_, taken)| !taken);
        file.missing_branches = by_line(missing.map(|((line, _, branch), _)| {
            let named = branch.strip_prefix("jump to ").map(str::to_owned);
            (line, named)
        }));
        let lines = file.lines();
        let counted =
            [("LF", lines.total), ("LH", lines.covered), ("BRF", file.branches.total), ("BRH", file.branches.covered)];
        for (key, counted) in counted {
            if let Some(said) = self.summary.get(key).filter(|said| **said != counted) {
                let problem = format!(
                    "its {key} says {said}, but its lines give {counted}; coverage.py before 7.8 writes such sums: use a \
                     newer one, or its JSON"
                );
                return Err(CoverageError::Contradiction { file: file.path, problem });
            }
        }
        Ok((file.checked()?, self.branches_named))
    }
}
