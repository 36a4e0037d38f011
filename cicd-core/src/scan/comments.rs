use std::collections::HashMap;
use std::ops::RangeInclusive;

use camino::Utf8Path;

use super::{Hit, Scanner, Sources};
use crate::formats::Suppressions;
use crate::model::Finding;
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

/// What of one file was found, sorted by lines.
#[derive(Debug, Default)]
struct FileHits {
    /// First and last line, and the index of the hit.
    by_start: Vec<(u32, u32, usize)>,
    /// The largest last line so far, for each of them.
    last_max: Vec<u32>,
    by_statement: HashMap<u32, Vec<usize>>,
    all: Vec<usize>,
}

impl FileHits {
    fn in_lines(&self, lines: &RangeInclusive<u32>) -> Vec<usize> {
        let end = self.by_start.partition_point(|(start, ..)| start <= lines.end());
        let mut found: Vec<_> = (0..end)
            .rev()
            .take_while(|&at| self.last_max[at] >= *lines.start())
            .filter(|&at| self.by_start[at].1 >= *lines.start())
            .map(|at| self.by_start[at].2)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn of_statement(&self, line: u32) -> Vec<usize> {
        let mut found = self.in_lines(&(line..=line));
        found.extend(self.by_statement.get(&line).into_iter().flatten());
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn by_file(hits: &[Hit]) -> HashMap<&Utf8Path, FileHits> {
    let mut files: HashMap<&Utf8Path, FileHits> = HashMap::new();
    for (index, hit) in hits.iter().enumerate() {
        for (path, lines) in &hit.heard_in {
            let file = files.entry(path).or_default();
            file.by_start.push((*lines.start(), *lines.end(), index));
            if file.all.last() != Some(&index) {
                file.all.push(index);
            }
        }
        if let Some(line) = hit.statement {
            files.entry(&hit.path).or_default().by_statement.entry(line).or_default().push(index);
        }
    }
    for file in files.values_mut() {
        file.by_start.sort_unstable();
        let mut largest = 0;
        file.last_max = file
            .by_start
            .iter()
            .map(|(_, last, _)| {
                largest = largest.max(*last);
                largest
            })
            .collect();
    }
    files
}

/// Reads the comments of every source against what was found.
pub(super) fn gather<S: Scanner>(scanner: &S, sources: &Sources, hits: &[Hit]) -> Suppressions {
    let files = by_file(hits);
    let nothing = FileHits::default();
    let mut comments = Suppressions::default();
    for source in sources.iter() {
        let lines: Vec<_> = source.text.lines().collect();
        let pragmas = scanner.pragmas(&lines);
        if pragmas.is_empty() {
            continue;
        }
        let found = files.get(source.path.as_path()).unwrap_or(&nothing);
        let justified = hash_comments(&lines, scanner.comment_start());
        let justified: Vec<_> = justified.iter().map(String::as_str).collect();
        for Pragma { index, rules, reach } in pragmas {
            let lines = if justified.is_empty() { &lines } else { &justified };
            let comment = Suppression { path: &source.path, lines, index };
            let reached = match reach {
                Reach::Unseen(standing) => {
                    comments.judge_unseen(comment, *standing);
                    continue;
                }
                Reach::Refused(problem) => {
                    comments.refuse(comment, problem);
                    continue;
                }
                Reach::Lines(lines) => found.in_lines(&lines),
                Reach::Statement(line) => found.of_statement(line),
                Reach::File => found.all.clone(),
            };
            let named = reached.iter().filter_map(|&index| hits.get(index)).map(|hit| &hit.finding);
            let named = named.filter(|finding| rules.iter().any(|rule| finding.is_named(rule)));
            let targets: Vec<_> = named.filter_map(|finding| finding.target.clone()).collect();
            comments.judge(comment, &rules, &targets);
        }
    }
    comments
}

/// The lines with comments as justifications are read from; none where they are written so already.
fn hash_comments(lines: &[&str], start: &str) -> Vec<String> {
    if start == "#" {
        return Vec::new();
    }
    let hash = |line: &&str| match line.trim_start().strip_prefix(start) {
        Some(rest) => format!("#{rest}"),
        None => (*line).to_owned(),
    };
    lines.iter().map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;

    fn hit(lines: RangeInclusive<u32>, statement: Option<u32>) -> Hit {
        let finding = Finding::with_code(Code::from_static("X1"), "x");
        Hit::in_file(finding, "a".into()).heard_in("a".into(), lines).statement(statement)
    }

    #[test]
    fn a_comment_reaches_what_its_lines_share() {
        let hits = [hit(1..=9, None), hit(3..=3, Some(5)), hit(4..=6, None), hit(8..=8, None)];
        let files = by_file(&hits);
        let file = &files[Utf8Path::new("a")];
        assert_eq!(file.in_lines(&(3..=3)), [0, 1]);
        assert_eq!(file.in_lines(&(5..=8)), [0, 2, 3]);
        assert_eq!(file.in_lines(&(10..=20)), [0; 0]);
        assert_eq!(file.of_statement(5), [0, 1, 2]);
    }
}
