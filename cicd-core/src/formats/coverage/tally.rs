//! What a report lists of a file line by line, and how the tool that wrote it adds that up.

use std::collections::BTreeMap;

use super::report::by_line;
use super::{FileCoverage, Ratio};

/// One line as a report lists it. Tools that know functions list it once for each function that has code on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    /// How often it is listed.
    pub(super) listed: u64,
    /// How often of these it was executed.
    pub(super) hit: u64,
    /// Its ways out, those of each listing.
    pub(super) each: Ways,
    /// Its ways out, if it is one line whose listings are put together.
    pub(super) once: Ways,
}

/// Ways out of a line, and where those lead that were not taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways {
    pub(super) counts: Ratio,
    pub(super) missing: Vec<String>,
}

pub(super) type Lines = BTreeMap<u32, Line>;

/// What is counted, where a line is listed several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// Every listing: gcovr 8, Coverlet.
    Each,
    /// The line, which is covered if one of its listings is.
    Once,
    /// The line, which is covered if all of its listings are: for a report that does not say how it counts.
    Strict,
}

/// Counts that a report says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) total: Option<u64>,
    pub(super) covered: Option<u64>,
}

impl Said {
    /// The way of counting that gives what the report says; of several the one that gives the lower share.
    /// The error holds what was said, and what counting gives.
    pub(super) fn counting(self, what: &str, count: impl Fn(Counting) -> Ratio) -> Result<Counting, String> {
        if self.total.is_none() && self.covered.is_none() {
            return Ok(Counting::Strict);
        }
        let agrees = |counts: Ratio| {
            self.total.is_none_or(|said| said == counts.total) && self.covered.is_none_or(|said| said == counts.covered)
        };
        let share = |counts: Ratio| counts.covered as f64 / counts.total.max(1) as f64;
        let counted = [Counting::Each, Counting::Once].map(|counting| (counting, count(counting)));
        let agreeing = counted.iter().filter(|(_, counts)| agrees(*counts));
        let lowest = agreeing.min_by(|(_, one), (_, other)| share(*one).total_cmp(&share(*other)));
        lowest.map(|(counting, _)| *counting).ok_or_else(|| {
            let [(_, each), (_, once)] = counted;
            let shown = |total: Option<u64>, covered: Option<u64>| match (total, covered) {
                (Some(total), Some(covered)) => format!("{covered} of {total} {what} covered"),
                (Some(total), None) => format!("{total} {what}"),
                (None, covered) => format!("{} {what} covered", covered.unwrap_or(0)),
            };
            let counts = |counts: Ratio| shown(self.total.map(|_| counts.total), self.covered.map(|_| counts.covered));
            let once =
                if each == once { String::new() } else { format!(", or {} where a line counts once", counts(once)) };
            format!("its summary says {}, but its lines give {}{once}", shown(self.total, self.covered), counts(each))
        })
    }

    /// What is said, if it says of as many lines or more that more of them were missed.
    pub(super) fn lower_than(self, counted: Ratio) -> Option<Ratio> {
        let (total, covered) = (self.total?, self.covered?);
        let missed = total.checked_sub(covered)?;
        (total >= counted.total && covered <= counted.covered && missed > counted.total - counted.covered)
            .then_some(Ratio { covered, total })
    }
}

/// How many lines were executed, of how many.
pub(super) fn lines(lines: &Lines, counting: Counting) -> Ratio {
    let counts = lines.values().map(|line| match counting {
        Counting::Each => Ratio { covered: line.hit, total: line.listed },
        Counting::Once | Counting::Strict => Ratio { covered: u64::from(line.is_hit(counting)), total: 1 },
    });
    counts.fold(Ratio::default(), std::ops::Add::add)
}

/// How many ways out of lines were taken, of how many.
pub(super) fn ways(lines: &Lines, counting: Counting) -> Ratio {
    lines.values().map(|line| line.ways(counting).counts).fold(Ratio::default(), std::ops::Add::add)
}

impl Line {
    /// Puts another listing of the same line to it.
    pub(super) fn add(&mut self, other: Self) {
        let Self { listed, hit, each, once } = other;
        self.listed += listed;
        self.hit += hit;
        self.each.counts = self.each.counts + each.counts;
        self.each.missing.extend(each.missing);
        if self.once.counts.total == 0 || once.counts.covered > self.once.counts.covered {
            self.once = once;
        }
    }

    fn is_hit(&self, counting: Counting) -> bool {
        match counting {
            Counting::Once => self.hit > 0,
            // A line that did not run in one function has something that no test reached.
            Counting::Each | Counting::Strict => self.hit == self.listed,
        }
    }

    fn ways(&self, counting: Counting) -> &Ways {
        match counting {
            Counting::Once => &self.once,
            Counting::Each | Counting::Strict => &self.each,
        }
    }
}

/// The file, counted so.
pub(super) fn file(path: String, lines: Lines, of_lines: Counting, of_ways: Counting) -> FileCoverage {
    let mut file = FileCoverage { path, branches: ways(&lines, of_ways), ..FileCoverage::default() };
    let counts = self::lines(&lines, of_lines);
    let mut missing = Vec::new();
    for (number, line) in lines {
        if line.listed > 0 {
            if line.is_hit(of_lines) {
                file.covered_lines.insert(number);
            } else {
                file.missing_lines.insert(number);
            }
        }
        let Ways { counts, missing: to } = line.ways(of_ways).clone();
        if counts.total > 0 {
            file.branch_lines.insert(number, counts);
        }
        if counts.covered < counts.total {
            match to.is_empty() {
                true => missing.push((number, None)),
                false => missing.extend(to.into_iter().map(|to| (number, Some(to)))),
            }
        }
    }
    file.missing_branches = by_line(missing);
    file.said = (of_lines == Counting::Each && file.lines() != counts).then_some(counts);
    file
}
