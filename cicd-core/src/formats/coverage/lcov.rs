use std::collections::BTreeMap;

use super::tally::{self, Counting, Line, Lines, Said, Ways};
use super::{CoverageError, CoverageReport, FileCoverage, Ratio};

/// Reads an [LCOV](https://github.com/linux-test-project/lcov) tracefile.
///
/// A line or a branch that is listed several times counts as the record's own sums count it: each time (Coverlet), or once.
/// The format has no end mark, so a file that was cut between two records looks whole; the gate notices the missing sources.
///
/// # Errors
/// When it is broken, contradicts itself or holds no statement.
pub fn read_lcov(bytes: &[u8]) -> Result<CoverageReport, CoverageError> {
    let malformed = |problem: String| CoverageError::Malformed { format: "LCOV", problem };
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(format!("not UTF-8: {error}")))?;
    // llvm-cov ends with the mark alone.
    if !text.ends_with('\n') && !text.ends_with("\nend_of_record") {
        return Err(malformed("it ends in the middle of a line".to_owned()));
    }
    let mut files = Vec::new();
    let mut writer = Writer::Other;
    let mut record: Option<Record> = None;
    for (line, number) in text.lines().zip(1..) {
        let malformed = |problem: &str| malformed(format!("line {number}: {problem}: {line:?}"));
        let (key, value) = line.split_once(':').unwrap_or((line.trim_end(), ""));
        match (key, &mut record) {
            ("", _) => {}
            ("TN", None) => writer = Writer::named(value).map_err(&malformed)?,
            ("SF", None) => record = Some(Record::new(value)),
            ("SF", Some(_)) => return Err(malformed("the record before it has no end")),
            ("end_of_record", Some(_)) => files.extend(record.take().map(|record| record.finish(writer)).transpose()?),
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

/// Who wrote it, as far as that decides what is to be done where it contradicts itself.
#[derive(Clone, Copy)]
enum Writer {
    Gcovr,
    Other,
}

impl Writer {
    /// The writer of a test of this name; the error says what is wrong with everything that it writes.
    fn named(test: &str) -> Result<Self, &'static str> {
        match test.trim() {
            "GCOVR report" => {
                Err("gcovr before 8 counts lines that were left out: use 8 or newer, or its Cobertura XML")
            }
            "GCOVR_report" => Ok(Self::Gcovr),
            _ => Ok(Self::Other),
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Gcovr => {
                "gcovr counts a line for each of its functions, which LCOV cannot show: write Cobertura XML (`--cobertura`)"
            }
            Self::Other => "coverage.py before 7.8 writes such sums: use a newer one, or its JSON",
        }
    }
}

#[derive(Default)]
struct Record {
    path: String,
    lines: Lines,
    branches: BTreeMap<(u32, String, String), Branch>,
    branches_named: bool,
    summary: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Branch {
    listed: u64,
    taken: u64,
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
                self.lines.entry(line).or_default().add(Line {
                    listed: 1,
                    hit: u64::from(hits > 0),
                    ..Line::default()
                });
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
                let branch = self.branches.entry(way).or_default();
                branch.listed += 1;
                branch.taken += u64::from(taken);
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

    fn finish(self, writer: Writer) -> Result<(FileCoverage, bool), CoverageError> {
        let Self { path, mut lines, branches, branches_named, summary } = self;
        for ((line, _, name), Branch { listed, taken }) in branches {
            let named = name.strip_prefix("jump to ").map(str::to_owned);
            let line = lines.entry(line).or_default();
            let put = |ways: &mut Ways, counts: Ratio| {
                ways.counts = ways.counts + counts;
                ways.missing.extend(named.clone().filter(|_| counts.covered < counts.total));
            };
            put(&mut line.each, Ratio { covered: taken, total: listed });
            put(&mut line.once, Ratio { covered: taken.min(1), total: 1 });
        }
        let said = |total, covered| Said { total: summary.get(total).copied(), covered: summary.get(covered).copied() };
        let wrong = |problem: String| CoverageError::Contradiction {
            file: path.clone(),
            problem: format!("{problem}; {}", writer.help()),
        };
        let count = |counting| tally::lines(&lines, counting);
        let sums = said("LF", "LH");
        let (of_lines, sums) = match (sums.counting("lines", count), sums.lower_than(count(Counting::Once)), writer) {
            (Ok(counting), ..) => (counting, None),
            // llvm-cov counts a generic function by the best of its instances, and lists what any of them executed.
            (Err(_), Some(lower), Writer::Other) => (Counting::Strict, Some(lower)),
            (Err(problem), ..) => return Err(wrong(problem)),
        };
        let of_ways =
            said("BRF", "BRH").counting("branches", |counting| tally::ways(&lines, counting)).map_err(wrong)?;
        let file = tally::file(path, lines, of_lines, of_ways);
        Ok((FileCoverage { said: sums.or(file.said), ..file }.checked()?, branches_named))
    }
}
