use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use camino::Utf8Path;

use super::{Hit, Report, Scanner, Sources};
use crate::formats::Suppressions;
use crate::model::by_key::counting;
use crate::model::{Finding, Target};
use crate::policy::Suppression;

/// A comment that asks a tool to say nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Pragma {
    /// Its line, from 0.
    pub index: usize,
    /// The rules that it names; none for one that means all of them, which cannot be justified.
    pub rules: Vec<String>,
    /// What it speaks of.
    pub reach: Reach,
}

/// What a comment speaks of.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    /// What is found on these lines, from 1.
    Lines(RangeInclusive<u32>),
    /// What is found on this line, from 1, or in the statement whose comments belong there.
    Statement(u32),
    /// What is found in its file.
    File,
    /// Something that the tool cannot be kept from hiding, and does not report: the finding that stands for it.
    Unseen(Box<Finding>),
    /// Something that cannot be justified, and why.
    Refused(&'static str),
}

/// What of one file was found.
#[derive(Debug, Default)]
struct FileHits {
    in_lines: Spans,
    by_statement: HashMap<u32, Vec<usize>>,
    /// The names of what a comment may hide, and of what none may.
    heard: HashSet<String>,
    unheard: HashSet<String>,
    /// What is about another file, and may be hidden from this one.
    elsewhere: Vec<usize>,
}

impl FileHits {
    fn of_statement(&self, line: u32) -> BTreeSet<usize> {
        let mut found: BTreeSet<_> = self.in_lines.meeting(&(line..=line)).into_iter().collect();
        found.extend(self.by_statement.get(&line).into_iter().flatten());
        found
    }
}

/// Spans of lines, each with the index of a hit, to be asked which of them meet others: a search tree in an array.
#[derive(Debug, Default)]
struct Spans {
    /// First and last line, and the index; sorted.
    all: Vec<(u32, u32, usize)>,
    /// The largest last line of the sub-tree of which each is the root, which is the middle of its part of the array.
    last_max: Vec<u32>,
}

impl Spans {
    fn new(mut all: Vec<(u32, u32, usize)>) -> Self {
        all.sort_unstable();
        let mut last_max = vec![0; all.len()];
        Self::fill(&all, &mut last_max);
        Self { all, last_max }
    }

    fn fill(all: &[(u32, u32, usize)], last_max: &mut [u32]) -> u32 {
        let middle = all.len() / 2;
        let Some((_, last, _)) = all.get(middle) else { return 0 };
        let left = Self::fill(&all[..middle], &mut last_max[..middle]);
        let right = Self::fill(&all[middle + 1..], &mut last_max[middle + 1..]);
        last_max[middle] = left.max(right).max(*last);
        last_max[middle]
    }

    /// The indices of those that have a line in common with these.
    fn meeting(&self, lines: &RangeInclusive<u32>) -> Vec<usize> {
        let mut found = Vec::new();
        let mut parts = Vec::from([(0, self.all.len())]);
        while let Some((start, end)) = parts.pop() {
            counting::one();
            let middle = start + (end - start) / 2;
            let Some((first, last, index)) = self.all.get(middle).filter(|_| start < end) else { continue };
            if self.last_max[middle] < *lines.start() {
                continue;
            }
            parts.push((start, middle));
            if first <= lines.end() {
                parts.push((middle + 1, end));
                if last >= lines.start() {
                    found.push(*index);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn by_file(hits: &[Hit]) -> HashMap<&Utf8Path, FileHits> {
    let mut files: HashMap<&Utf8Path, FileHits> = HashMap::new();
    let mut spans: HashMap<&Utf8Path, Vec<(u32, u32, usize)>> = HashMap::new();
    for (index, hit) in hits.iter().enumerate() {
        counting::one();
        let own = files.entry(&hit.path).or_default();
        let is_heard = hit.statement.is_some() || hit.heard_in.iter().any(|(path, _)| *path == hit.path);
        let names = if is_heard { &mut own.heard } else { &mut own.unheard };
        names.extend(hit.names().map(str::to_owned));
        if let Some(line) = hit.statement {
            own.by_statement.entry(line).or_default().push(index);
        }
        for (path, lines) in &hit.heard_in {
            spans.entry(path).or_default().push((*lines.start(), *lines.end(), index));
            let file = files.entry(path).or_default();
            if *path != hit.path && file.elsewhere.last() != Some(&index) {
                file.elsewhere.push(index);
            }
        }
    }
    for (path, spans) in spans {
        files.entry(path).or_default().in_lines = Spans::new(spans);
    }
    files
}

/// Reads the comments of every source against what was found.
pub(super) fn gather<S: Scanner>(scanner: &S, sources: &Sources, report: &Report) -> Suppressions {
    let hits = &report.hits;
    let files = by_file(hits);
    let nothing = FileHits::default();
    let mut comments = Suppressions::default();
    for source in sources.iter() {
        let lines: Vec<_> = report.texts.get(&source.path).unwrap_or(&source.text).lines().collect();
        let pragmas = scanner.pragmas(&lines);
        if pragmas.is_empty() {
            continue;
        }
        let found = files.get(source.path.as_path()).unwrap_or(&nothing);
        let justified = hash_comments(&lines, scanner.comment_starts());
        let justified: Vec<_> = justified.iter().map(String::as_str).collect();
        for Pragma { index, rules, reach } in pragmas {
            let lines = if justified.is_empty() { &lines } else { &justified };
            let comment = Suppression { path: &source.path, lines, index };
            let rules: BTreeSet<String> = rules.into_iter().collect();
            let is_of_file = reach == Reach::File;
            let reached = match reach {
                Reach::Unseen(standing) => {
                    comments.judge_unseen(comment, *standing);
                    continue;
                }
                Reach::Refused(problem) => {
                    comments.refuse(comment, problem);
                    continue;
                }
                Reach::Lines(lines) => found.in_lines.meeting(&lines),
                Reach::Statement(line) => found.of_statement(line).into_iter().collect(),
                Reach::File if rules.iter().any(|rule| found.unheard.contains(rule)) => {
                    comments.refuse(comment, "it names what no comment can hide");
                    continue;
                }
                Reach::File => found.elsewhere.clone(),
            };
            let mut targets: BTreeMap<&str, BTreeSet<&Target>> = BTreeMap::new();
            for hit in reached.iter().filter_map(|&index| hits.get(index)) {
                counting::one();
                for name in hit.names().filter(|name| rules.contains(*name)) {
                    targets.entry(name).or_default().extend(&hit.finding.target);
                }
            }
            let file = Target::file(&source.path);
            let each = rules.iter().map(|rule| {
                let mut targets: Vec<Target> = targets.remove(rule.as_str()).into_iter().flatten().cloned().collect();
                // The whole file is one target, however much is found in it.
                targets.extend((is_of_file && found.heard.contains(rule)).then(|| file.clone()));
                (rule.clone(), targets)
            });
            comments.judge(comment, each.collect());
        }
    }
    comments
}

/// For each line the first one from it on that counts, by index: where a comment speaks of the next line, this is what that is.
pub(crate) fn first_from(lines: &[&str], counts: impl Fn(&str) -> bool) -> Vec<Option<usize>> {
    let mut next = None;
    let mut all: Vec<_> = lines
        .iter()
        .enumerate()
        .rev()
        .map(|(index, line)| {
            counting::one();
            if counts(line) {
                next = Some(index);
            }
            next
        })
        .collect();
    all.reverse();
    all
}

/// The lines with comments as justifications are read from; none where they are written so already.
fn hash_comments(lines: &[&str], starts: &[&str]) -> Vec<String> {
    if starts == ["#"] {
        return Vec::new();
    }
    let hash = |line: &&str| match starts.iter().find_map(|start| line.trim_start().strip_prefix(start)) {
        Some(rest) => format!("#{rest}"),
        None => (*line).to_owned(),
    };
    lines.iter().map(hash).collect()
}

#[cfg(test)]
mod tests;
