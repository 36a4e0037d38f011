use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::{Finding, Location, Target};
use crate::process::{Captured, Exit};

/// What a tool's exit code says beside its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitMeaning {
    /// 0 when nothing was found, and another code when something was.
    ZeroIsClean,
    /// Nothing about what was found.
    Unrelated,
}

/// One thing that a tool found, and where a comment that hides it may stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub(super) finding: Finding,
    /// The file that it is in.
    pub(super) path: Utf8PathBuf,
    /// Lines, from 1, whose comments reach it; none where no comment may.
    pub(super) heard_in: Vec<(Utf8PathBuf, RangeInclusive<u32>)>,
    /// The line, from 1, where a comment for the whole statement belongs.
    pub(super) statement: Option<u32>,
}

impl Hit {
    /// Something in a line, from 1, whose own comment may speak of it.
    #[must_use]
    pub fn in_line(finding: Finding, path: &Utf8Path, line: u32) -> Self {
        Self::in_file(finding.target(Location::line(path, line)).at(Location::line(path, line)), path)
            .heard_in(path, line..=line)
    }

    /// Something at a character, both from 1.
    #[must_use]
    pub fn at(finding: Finding, path: &Utf8Path, line: u32, column: u32) -> Self {
        let mut hit = Self::in_line(finding, path, line);
        hit.finding.location = Some(Location::column(path, line, column));
        hit
    }

    /// Something in a file, with the target and place that the finding has, which no comment reaches.
    #[must_use]
    pub fn in_file(finding: Finding, path: &Utf8Path) -> Self {
        Self { finding, path: path.to_owned(), heard_in: Vec::new(), statement: None }
    }

    /// The same, also reached by comments in these lines.
    #[must_use]
    pub fn heard_in(mut self, path: &Utf8Path, lines: RangeInclusive<u32>) -> Self {
        self.heard_in.push((path.to_owned(), lines));
        self
    }

    /// The same, reached by no comment.
    #[must_use]
    pub fn unheard(mut self) -> Self {
        self.heard_in.clear();
        self.statement = None;
        self
    }

    /// What a comment may call it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        [self.finding.code.as_str()].into_iter().chain(self.finding.aliases.iter().map(String::as_str))
    }

    /// What was found, and of what.
    pub(crate) fn about(&self) -> (&str, Option<&Target>) {
        (self.finding.code.as_str(), self.finding.target.as_ref())
    }

    /// What was found.
    #[must_use]
    pub fn into_finding(self) -> Finding {
        self.finding
    }

    /// The same, with the line where a comment for the whole statement belongs.
    #[must_use]
    pub fn statement(mut self, line: Option<u32>) -> Self {
        self.statement = line;
        self
    }
}

/// What a tool reported: what it found, and the proof that it looked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    pub(super) hits: Vec<Hit>,
    pub(super) seen: Option<BTreeSet<Utf8PathBuf>>,
    pub(super) follows: bool,
    pub(super) exits: Vec<(Exit, usize)>,
    pub(super) counts: Vec<(&'static str, u64)>,
    pub(super) proof: &'static str,
    pub(super) texts: BTreeMap<Utf8PathBuf, String>,
}

impl Report {
    /// A report that proves its look by naming these files.
    #[must_use]
    pub fn naming(files: impl IntoIterator<Item = impl Into<Utf8PathBuf>>) -> Self {
        Self { seen: Some(files.into_iter().map(Into::into).collect()), ..Self::default() }
    }

    /// A report that names no files; [`read`](super::Scanner::read) has another proof, such as a canary in each of them.
    #[must_use]
    pub fn proven_otherwise() -> Self {
        Self::default()
    }

    /// Adds what one command found.
    #[must_use]
    pub fn with(mut self, captured: &Captured, hits: Vec<Hit>) -> Self {
        self.exits.push((captured.exit, hits.len()));
        self.hits.extend(hits);
        self
    }

    /// The same report of a tool that goes on from the files it was given to others, such as the modules that they declare.
    #[must_use]
    pub fn follows_files(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Adds the text of a file that was not read before, where its comments count because something was found in it.
    #[must_use]
    pub fn text(mut self, path: Utf8PathBuf, text: String) -> Self {
        self.texts.insert(path, text);
        self
    }

    /// Adds a count worth telling, such as `check`, in the singular.
    #[must_use]
    pub fn count(mut self, noun: &'static str, count: u64) -> Self {
        self.counts.push((noun, count));
        self
    }

    /// How it was proven, for the line that the table shows.
    #[must_use]
    pub fn proof(mut self, proof: &'static str) -> Self {
        self.proof = proof;
        self
    }

    /// The same report, with what several commands found alike told once: one code at one place.
    #[must_use]
    pub fn unrepeated(mut self) -> Self {
        let mut told = BTreeSet::new();
        self.hits.retain(|hit| told.insert((hit.finding.code.clone(), hit.finding.location.clone())));
        self
    }
}
