//! What of a source needs no measurement, and who answers for the rest that has none: told from the source, line by line.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use regex::Regex;

use super::CoverageCode;
use crate::formats::Suppressions;
use crate::formats::coverage::{FileCoverage, LineRanges, Ratio};
use crate::formats::python_syntax::{Block, Deferred, Free, Mark, MarkKind, PythonSyntax, Statement};
use crate::model::{Finding, Severity};
use crate::policy::Suppression;

/// What coverage.py leaves out by a comment, and its sibling for branches.
pub(super) const PRAGMA: &str = r"(?i)#\s*pragma[:\s]?\s*no\s*(cover|branch)";

/// A source and what was measured of it.
pub(super) struct Measured<'a> {
    pub(super) path: &'a Utf8Path,
    pub(super) lines: &'a [&'a str],
    pub(super) syntax: &'a PythonSyntax,
    /// The code of it that was entered, where that is known.
    pub(super) entered: Option<&'a BTreeSet<(u32, u32)>>,
    pub(super) branches_required: bool,
}

/// Lines and the ways out of lines that are not counted.
#[derive(Default)]
struct LeftOut {
    /// Nothing of these lines counts.
    lines: BTreeSet<u32>,
    /// The ways out of these lines do not count.
    ways: BTreeSet<u32>,
    /// Pragmas speak of these lines, justified or not: what is wrong with them is said of the pragma.
    said: BTreeSet<u32>,
}

impl Measured<'_> {
    /// The file as it counts, without what needs no measurement and what somebody answers for. The rest that has none is a finding.
    pub(super) fn judge(&self, file: &FileCoverage, pragma: &Regex, comments: &mut Suppressions) -> FileCoverage {
        let mut left = LeftOut::default();
        let heads = self.heads();
        for block in self.syntax.blocks.iter().filter(|block| block.free.is_some()) {
            left.lines.extend((block.first..=block.last).filter(|line| !heads.contains(line)));
            if block.free == Some(Free::Types) {
                left.lines.extend(block.head_first..=block.head_last);
            }
        }
        self.pragmas(pragma, comments, &mut left);
        self.marks(comments);
        if let Some(entered) = self.entered {
            self.deferred(entered, file, comments, &left);
        }
        let measured: BTreeSet<u32> = &file.covered_lines | &file.missing_lines;
        self.unmeasured(file, &measured, comments, &mut left);
        if self.branches_required {
            self.unmeasured_ways(file, &measured, comments, &mut left);
        }
        self.counted(file, &left)
    }

    /// The lines on which statements begin that do something: a `def` evaluates its defaults and annotations. Whatever else stands
    /// there, they count.
    fn heads(&self) -> BTreeSet<u32> {
        let all = self.syntax.statements.iter().filter(|one| !one.inert);
        all.flat_map(|one| one.first..=one.head.max(one.first)).collect()
    }

    fn place(&self, line: u32) -> Suppression<'_> {
        Suppression { path: self.path, lines: self.lines, index: (line as usize).saturating_sub(1) }
    }

    fn pragmas(&self, pragma: &Regex, comments: &mut Suppressions, left: &mut LeftOut) {
        for (text, line) in self.lines.iter().zip(1..) {
            let Some(found) = pragma.captures(text) else { continue };
            let finding = Finding::new(CoverageCode::Excluded, "this code is left out of the measurement");
            let finding = finding.severity(Severity::Low);
            let place = self.place(line);
            let justified = comments.judge_unseen(place, finding);
            let region = self.region(line);
            if found.get(1).is_some_and(|what| what.as_str().eq_ignore_ascii_case("branch")) {
                left.said.insert(line);
                left.ways.extend(justified.then_some(line));
                continue;
            }
            if justified {
                left.lines.extend(&region);
            }
            left.said.extend(region);
        }
    }

    /// The lines that a pragma on this one speaks of: the blocks that it opens, or its statement.
    fn region(&self, line: u32) -> BTreeSet<u32> {
        let opened = self.syntax.blocks.iter().filter(|block| (block.head_first..=block.head_last).contains(&line));
        let mut region: BTreeSet<u32> =
            opened.flat_map(|block| (block.head_first..=block.head_last).chain(block.first..=block.last)).collect();
        if region.is_empty() {
            let around = self.syntax.statements.iter().filter(|one| (one.first..=one.last).contains(&line));
            if let Some(one) = around.min_by_key(|one| one.last - one.first) {
                region.extend(one.first..=one.last);
            }
        }
        region
    }

    /// What no line or branch shows.
    fn marks(&self, comments: &mut Suppressions) {
        let is_known = |mark: &&Mark| mark.kind == MarkKind::Lambda && self.entered.is_some();
        for mark in self.syntax.marks.iter().filter(|mark| mark.kind.concerns_coverage() && !is_known(mark)) {
            comments.judge_found(self.place(mark.line), &[], self.unmeasurable(&mark.what));
        }
    }

    fn unmeasurable(&self, what: &str) -> Finding {
        Finding::new(CoverageCode::Unmeasurable, format!("{}: {what}", self.path)).severity(Severity::Low)
    }

    /// Code whose body ran, unless it was other code that begins on its line: what is entered is told by that line alone.
    fn not_alone(&self, line: u32, what: &str) -> Finding {
        let (beside, help) = match line {
            1 => ("the module itself begins there", "begin the file with a docstring, so that this gets another line"),
            _ => (
                "so begin others of its lambdas, comprehensions, generators and classes",
                "give each a line of its own, or make it a function that has a name (`def`)",
            ),
        };
        let told = format!("this {what} is not alone on its line: {beside}, and which of them ran is not told");
        self.unmeasurable(&told).help(help)
    }

    /// Lambdas and generator expressions whose own code was not entered, on lines that ran.
    fn deferred(
        &self,
        entered: &BTreeSet<(u32, u32)>,
        file: &FileCoverage,
        comments: &mut Suppressions,
        left: &LeftOut,
    ) {
        let heads = self.syntax.statements.iter().map(|one| one.first..=one.head.max(one.first));
        let missing: BTreeSet<u32> =
            heads.filter(|head| head.clone().any(|line| file.missing_lines.contains(&line))).flatten().collect();
        let is_said = |line| missing.contains(line) || left.lines.contains(line) || left.said.contains(line);
        let mut lines = BTreeMap::new();
        for Deferred { first, last, what, alone } in self.syntax.deferred.iter().filter(|one| !is_said(&one.first)) {
            let ran = entered.range((*first, *first)..=(*first, *last)).next().is_some();
            if !ran {
                lines.insert(*first, self.unmeasurable(&format!("the body of this {what} never ran")));
            } else if !alone {
                lines.entry(*first).or_insert_with(|| self.not_alone(*first, what));
            }
        }
        for (line, finding) in lines {
            comments.judge_found(self.place(line), &[], finding);
        }
    }

    /// Statements that the report does not count, and lines that it says are left out.
    fn unmeasured(
        &self,
        file: &FileCoverage,
        measured: &BTreeSet<u32>,
        comments: &mut Suppressions,
        left: &mut LeftOut,
    ) {
        let mut idle: BTreeSet<u32> = BTreeSet::new();
        let mut code: BTreeSet<u32> = BTreeSet::new();
        let mut absent: BTreeSet<u32> = BTreeSet::new();
        for one in &self.syntax.statements {
            let lines = if one.inert && one.head == one.last { &mut idle } else { &mut code };
            lines.extend(one.first..=one.head.max(one.first));
            if !one.inert && !(one.first..=one.head.max(one.first)).any(|line| measured.contains(&line)) {
                absent.extend(one.first..=one.last);
            }
        }
        absent.extend(file.excluded_lines.iter().filter(|line| code.contains(line)));
        let settled: BTreeSet<u32> = &left.lines | &left.said;
        let absent: BTreeSet<u32> = absent.difference(&settled).filter(|line| !idle.contains(line)).copied().collect();
        for run in runs(&absent) {
            let first = run.first().copied().unwrap_or(1);
            let last = run.last().copied().unwrap_or(first);
            let defined = |one: &&Statement| !one.name.is_empty() && (first..=last).contains(&one.first);
            let names: Vec<_> = self.syntax.statements.iter().filter(defined).map(|one| one.name.as_str()).collect();
            let names = if names.is_empty() { String::new() } else { format!(", among them {}", names.join(", ")) };
            let message = format!("{}: {}{names}", self.path, plural("line", &run, "left out"));
            let finding = Finding::new(CoverageCode::ExcludedByConfiguration, message).severity(Severity::Low);
            if comments.judge_found(self.place(first), &[], finding) {
                left.lines.extend(run);
            }
        }
    }

    /// Conditions whose two ways the report does not count.
    fn unmeasured_ways(
        &self,
        file: &FileCoverage,
        measured: &BTreeSet<u32>,
        comments: &mut Suppressions,
        left: &mut LeftOut,
    ) {
        for one in self.syntax.statements.iter().filter(|one| one.ways > 0) {
            let head = one.first..=one.head.max(one.first);
            let is_measured = head.clone().any(|line| measured.contains(&line));
            let ways: u64 = head.clone().filter_map(|line| file.branch_lines.get(&line)).map(|ways| ways.total).sum();
            // A way into a block that is left out is none.
            let is_said = |line| left.said.contains(&line) || left.lines.contains(&line) || left.ways.contains(&line);
            let leads_out = || {
                let inside = |block: &&Block| block.head_first >= one.first && block.last <= one.last;
                let opened = self.syntax.blocks.iter().filter(inside);
                opened.flat_map(|block| [block.head_first, block.first]).any(is_said)
            };
            let on_one_line = one.head < one.first || one.first == one.last;
            if is_measured && ways < u64::from(one.ways) && !on_one_line && !head.clone().any(is_said) && !leads_out() {
                let message = format!("{}: the ways out of line {} are left out", self.path, one.first);
                let finding = Finding::new(CoverageCode::ExcludedByConfiguration, message).severity(Severity::Low);
                comments.judge_found(self.place(one.first), &[], finding);
            }
        }
    }

    /// The file without what is left out.
    fn counted(&self, file: &FileCoverage, left: &LeftOut) -> FileCoverage {
        let heads = self.heads();
        let docs = self.syntax.statements.iter().filter(|one| one.inert && one.kind == "Expr");
        let docs: BTreeSet<u32> =
            docs.flat_map(|one| one.first..=one.last).filter(|line| !heads.contains(line)).collect();
        let counts = |lines: &BTreeSet<u32>| -> BTreeSet<u32> {
            lines.iter().filter(|line| !left.lines.contains(line) && !docs.contains(line)).copied().collect()
        };
        let mut counted = FileCoverage {
            path: file.path.clone(),
            covered_lines: counts(&file.covered_lines),
            missing_lines: counts(&file.missing_lines),
            excluded_lines: left.lines.clone(),
            ..FileCoverage::default()
        };
        let mut dropped: BTreeSet<u32> = BTreeSet::new();
        let mut into: BTreeMap<u32, u64> = BTreeMap::new();
        for branch in &file.missing_branches {
            let out = branch.lines().filter(|to| left.lines.contains(to)).count() as u64;
            *into.entry(branch.line).or_default() += out;
        }
        for (&line, &ways) in &file.branch_lines {
            if left.lines.contains(&line) || left.ways.contains(&line) {
                dropped.insert(line);
                continue;
            }
            let into = into.get(&line).copied().unwrap_or(0);
            let total = ways.total.saturating_sub(into);
            // A line with one way out decides nothing.
            if into > 0 && total < 2 {
                dropped.insert(line);
                continue;
            }
            let covered = ways.covered.min(total);
            counted.branch_lines.insert(line, Ratio { covered, total });
            counted.branches = counted.branches + Ratio { covered, total };
        }
        for branch in file.missing_branches.iter().filter(|branch| !dropped.contains(&branch.line)) {
            let mut branch = branch.clone();
            let is_out = |to: &String| {
                to.strip_prefix("line ").and_then(|to| to.parse().ok()).is_some_and(|to: u32| left.lines.contains(&to))
            };
            let whole = branch.to.len();
            branch.to.retain(|to| !is_out(to));
            if !branch.to.is_empty() || whole == 0 {
                counted.missing_branches.push(branch);
            }
        }
        counted
    }
}

pub(super) fn plural(noun: &str, lines: &BTreeSet<u32>, what: &str) -> String {
    let ranges = LineRanges(lines);
    if lines.len() == 1 { format!("{noun} {ranges} is {what}") } else { format!("{noun}s {ranges} are {what}") }
}

/// Lines that follow each other, together.
fn runs(lines: &BTreeSet<u32>) -> Vec<BTreeSet<u32>> {
    let mut runs: Vec<BTreeSet<u32>> = Vec::new();
    for &line in lines.iter().filter(|&&line| line > 0) {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|&last| last + 1 == line) => {
                run.insert(line);
            }
            _ => runs.push(BTreeSet::from([line])),
        }
    }
    runs
}
