//! What a run of the tests means: the tests of the source, those that were collected, those that ran, and what changed them.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::PytestCode;
use super::record::{Ended, Item, Named, Record};
use crate::formats::python_syntax::{MarkKind, PythonSyntax, TestFunction};
use crate::formats::{JunitReport, Suppressions, TestCase, TestOutcome};
use crate::model::{Finding, Location, Severity, Target};
use crate::policy::{Exception, Suppression};
use crate::step::StepError;

/// A failure's message beyond this is not read by anybody in a table.
const MESSAGE_CHARS_MAX: usize = 300;

/// A Python file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) text: String,
    pub(super) sha256: String,
    pub(super) syntax: PythonSyntax,
}

/// The Python files of a project, by path relative to the workspace.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    pub(super) files: BTreeMap<Utf8PathBuf, Source>,
    /// Files that look like Python and that its parser refuses, with their SHA-256.
    pub(super) refused: BTreeMap<Utf8PathBuf, String>,
    /// The folder of the project, relative to the workspace.
    pub(super) dir: Utf8PathBuf,
    /// The folder of what is measured, if anything is.
    pub(super) package: Option<Utf8PathBuf>,
    /// Every file of the workspace that is judged.
    pub(super) listed: BTreeSet<Utf8PathBuf>,
    /// Folders whose tests are not run, each with who answers for it.
    pub(super) left_out: Vec<(Utf8PathBuf, Exception)>,
}

/// How the tests ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) tests: usize,
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    pub(super) not_run: usize,
}

type Key = (Utf8PathBuf, Vec<String>);

impl Sources {
    fn is_left_out(&self, path: &Utf8Path) -> bool {
        self.left_out.iter().any(|(folder, _)| path.starts_with(folder))
    }

    /// Whether pytest takes a file for one with tests by its name.
    fn is_named_as_tests(path: &Utf8Path) -> bool {
        path.file_stem().is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
    }

    fn holds_tests(&self, path: &Utf8Path, source: &Source) -> bool {
        let is_shipped = self.package.as_ref().is_some_and(|package| path.starts_with(package));
        Self::is_named_as_tests(path) || (!is_shipped && !source.syntax.tests.is_empty())
    }

    /// The files whose tests have to run.
    pub(super) fn test_files(&self) -> impl Iterator<Item = &Utf8PathBuf> {
        let all = self.files.iter().filter(|(path, source)| self.holds_tests(path, source));
        all.map(|(path, _)| path).filter(|path| !self.is_left_out(path))
    }

    fn expected(&self) -> impl Iterator<Item = (&Utf8PathBuf, &TestFunction)> {
        let files = self.test_files().filter_map(|path| Some((path, self.files.get(path)?)));
        files.flat_map(|(path, source)| source.syntax.tests.iter().map(move |test| (path, test)))
    }

    /// The folders that are left out, with what is in them.
    pub(super) fn left_out_findings(&self) -> Result<Vec<Finding>, StepError> {
        let finding = |(folder, _): &(Utf8PathBuf, Exception)| {
            let inside = self.files.iter().filter(|(path, _)| path.starts_with(folder));
            let count: usize = inside.map(|(_, source)| source.syntax.tests.len()).sum();
            if count == 0 {
                let what = format!("{folder}, which is to be left out, holds no test");
                return Err(StepError::not_looked(what, "correct the step's folders"));
            }
            let message = format!("{count} tests of {folder} are not run");
            Ok(Finding::new(PytestCode::NotRun, message)
                .severity(Severity::Low)
                .target(Target::file(folder))
                .at(Location::file(folder)))
        };
        self.left_out.iter().map(finding).collect()
    }

    /// What the sources themselves hold that can change the tests.
    pub(super) fn judge_marks(&self, judged: &mut Judged<'_>) {
        for (path, source) in &self.files {
            let is_shipped = self.package.as_ref().is_some_and(|package| path.starts_with(package));
            for mark in source.syntax.marks.iter().filter(|mark| mark.kind.concerns_tests()) {
                // Code that is text is the coverage gate's where it is shipped.
                if is_shipped && mark.kind == MarkKind::String {
                    continue;
                }
                judged.interference(path, mark.line, &mark.what);
            }
        }
    }
}

/// Findings about places, each place once, and the comments that justify them.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    sources: &'a Sources,
    roots: Vec<Utf8PathBuf>,
    pub(super) comments: Suppressions,
    pub(super) findings: Vec<Finding>,
    seen: BTreeSet<(Utf8PathBuf, u32, String)>,
    lines: BTreeMap<&'a Utf8Path, Vec<&'a str>>,
}

impl<'a> Judged<'a> {
    /// `roots` are the names of the workspace, as paths of processes begin with one of them.
    pub(super) fn new(sources: &'a Sources, roots: Vec<Utf8PathBuf>, comments: Suppressions) -> Self {
        let lines =
            sources.files.iter().map(|(path, source)| (path.as_path(), source.text.lines().collect())).collect();
        Self { sources, roots, comments, findings: Vec::new(), seen: BTreeSet::new(), lines }
    }

    fn relative(&self, path: &str) -> Option<Utf8PathBuf> {
        let path = Utf8Path::new(path);
        self.roots.iter().find_map(|root| path.strip_prefix(root).ok()).map(Utf8Path::to_owned)
    }

    /// A finding on a line of a source, which comments above it or above one of `others` may justify.
    fn found(&mut self, path: &Utf8Path, line: u32, others: &[u32], finding: Finding) {
        if !self.seen.insert((path.to_owned(), line, finding.code.to_string())) {
            return;
        }
        let Some(lines) = self.lines.get(path) else {
            self.findings.push(finding.at(Location::line(path, line)));
            return;
        };
        let index = |line: u32| (line as usize).saturating_sub(1);
        let others: Vec<_> = others.iter().map(|&line| index(line)).collect();
        self.comments.judge_found(Suppression { path, lines, index: index(line) }, &others, finding);
    }

    fn interference(&mut self, path: &Utf8Path, line: u32, what: &str) {
        self.found(path, line, &[], Finding::new(PytestCode::Interference, what));
    }

    fn unplaced(&mut self, code: PytestCode, message: String) {
        self.findings.push(Finding::new(code, message));
    }

    /// Everything that a process of pytest says about what changed it.
    pub(super) fn judge_process(&mut self, record: &Record) {
        for Named { name, place } in &record.hooks {
            let what = format!("`{name}` is a hook of pytest");
            self.judge_named(place.as_ref(), what);
        }
        for Named { name, place } in &record.patched {
            let what = format!("`{name}` was replaced while the tests ran");
            self.judge_named(place.as_ref(), what);
        }
        for path in &record.loaded {
            let inside = self.relative(path);
            if inside.as_ref().is_some_and(|path| self.sources.listed.contains(path)) {
                continue;
            }
            let shown = inside.unwrap_or_else(|| path.into());
            let message = format!("{shown} is loaded as code, but is no file of the repository");
            if self.seen.insert((shown.clone(), 0, message.clone())) {
                let finding = Finding::new(PytestCode::Interference, message).at(Location::file(shown));
                self.findings.push(finding.help("add it to git, or delete it: nobody has reviewed it"));
            }
        }
    }

    /// Files of the repository that these processes ran as Python, beside the sources of the project.
    pub(super) fn unknown_texts(&self, records: &[&Record]) -> BTreeSet<Utf8PathBuf> {
        let all = records.iter().flat_map(|record| &record.texts).filter_map(|path| self.relative(path));
        all.filter(|path| self.sources.listed.contains(path) && !self.sources.files.contains_key(path)).collect()
    }

    /// One that nothing says to be Python: no step scans it, and no gate asks whether it is covered.
    pub(super) fn judge_text(&mut self, path: Utf8PathBuf) {
        let message = format!("{path} is run as Python, but no step knows that it is");
        let finding = Finding::new(PytestCode::Interference, message).at(Location::file(path));
        self.findings.push(finding.help("give it the extension .py: as it is called, nobody scans or measures it"));
    }

    fn judge_named(&mut self, place: Option<&(String, u32)>, what: String) {
        let inside = place.and_then(|(path, line)| Some((self.relative(path)?, *line)));
        match inside {
            Some((path, line)) => self.interference(&path, line, &what),
            None => {
                let from =
                    place.map_or_else(|| "code without a file".to_owned(), |(path, line)| format!("{path}:{line}"));
                let message = format!("{what}, by {from}");
                if self.seen.insert((Utf8PathBuf::new(), 0, message.clone())) {
                    self.unplaced(PytestCode::Interference, message);
                }
            }
        }
    }

    /// Compares the tests of the source with those that were collected, those that ran, and what is reported of them.
    ///
    /// # Errors
    /// When the JUnit report tells of other tests than those that ran.
    pub(super) fn judge_tests(
        &mut self,
        collected: &Record,
        ran: &Record,
        junit: &JunitReport,
    ) -> Result<Counts, StepError> {
        let mut by_test: BTreeMap<Key, Vec<&Item>> = BTreeMap::new();
        for item in &ran.items {
            let path = self.relative(&item.path).unwrap_or_else(|| item.path.as_str().into());
            by_test.entry((path, item.names.clone())).or_default().push(item);
        }
        let mut expected: BTreeMap<Key, Vec<&TestFunction>> = BTreeMap::new();
        for (path, test) in self.sources.expected() {
            expected.entry((path.clone(), test.names.clone())).or_default().push(test);
        }
        let skipped_files = self.judge_skipped_files(ran);
        let is_failure =
            |case: &&TestCase| matches!(case.outcome, TestOutcome::Failed { .. } | TestOutcome::Broken { .. });
        let failures: Failures<'_> =
            junit.cases.iter().filter(is_failure).rev().map(|case| (case.id(), case)).collect();
        let mut counts = Counts { tests: ran.items.len(), ..Counts::default() };
        // Each function that ran, by the place of its code: another one of its name is another test.
        let mut seen: BTreeSet<(&Utf8Path, u32)> = BTreeSet::new();
        for (key, items) in &by_test {
            let functions = expected.get(key).map_or(&[][..], Vec::as_slice);
            let mut groups: BTreeMap<Option<usize>, Vec<&Item>> = BTreeMap::new();
            for item in items {
                let own = functions.iter().position(|test| self.is_code_of(&key.0, test, item, ran));
                groups.entry(own).or_default().push(item);
            }
            for (own, items) in groups {
                let test = functions.get(own.unwrap_or(0)).copied();
                if let (None, Some(test), Some(item)) = (own, test, items.first()) {
                    let what = format!("{} runs other code than the source has there, or not to its end", item.id);
                    self.found(&key.0, test.first, &[test.keyword], Finding::new(PytestCode::Interference, what));
                }
                seen.extend(test.map(|test| (key.0.as_path(), test.first)));
                self.judge_items(&key.0, test, &items, ran, &failures, &mut counts);
            }
        }
        let ids: BTreeSet<&str> = ran.items.iter().map(|item| item.id.as_str()).collect();
        let mut unseen: Vec<(Utf8PathBuf, Option<&TestFunction>, String)> = Vec::new();
        for item in collected.items.iter().filter(|item| !ids.contains(item.id.as_str())) {
            let path = self.relative(&item.path).unwrap_or_else(|| item.path.as_str().into());
            let key = (path, item.names.clone());
            let test = expected.get(&key).and_then(|functions| functions.first().copied());
            unseen.push((key.0, test, format!("{} is collected, but not when the tests run", item.id)));
        }
        for ((path, names), functions) in expected.iter().filter(|(key, _)| !skipped_files.contains(&key.0)) {
            for test in functions.iter().filter(|test| !seen.contains(&(path.as_path(), test.first))) {
                let message = format!("{path}::{} is a test of the source, but is not run", names.join("::"));
                unseen.push((path.clone(), Some(test), message));
            }
        }
        counts.not_run += unseen.len();
        counts.tests += unseen.len();
        for (path, test, message) in unseen {
            let finding = Finding::new(PytestCode::NotRun, message);
            match test {
                Some(test) => self.found(&path, test.first, &[test.keyword], finding),
                None => self.findings.push(finding.at(Location::file(path))),
            }
        }
        agree(&counts, junit)?;
        Ok(counts)
    }

    fn judge_skipped_files(&mut self, ran: &Record) -> BTreeSet<Utf8PathBuf> {
        let mut files = BTreeSet::new();
        for one in ran.uncollected.iter().filter(|one| one.outcome == "skipped") {
            let path = self.sources.dir.join(one.id.split("::").next().unwrap_or(&one.id));
            let message = format!("{} was skipped as a whole: {}", one.id, one.why);
            let finding = Finding::new(PytestCode::Skipped, message).severity(Severity::Low);
            // What skipped it may stand in another file, where a comment of this one is not to be looked for.
            let is_own = one.path.as_deref().and_then(|place| self.relative(place)).is_some_and(|place| place == path);
            self.found(&path, one.line.filter(|_| is_own).unwrap_or(1), &[], finding);
            files.insert(path);
        }
        files
    }

    /// Judges the runs of one test function, one for each set of parameters.
    fn judge_items(
        &mut self,
        path: &Utf8Path,
        test: Option<&TestFunction>,
        items: &[&Item],
        ran: &Record,
        failures: &Failures<'_>,
        counts: &mut Counts,
    ) {
        let line = test.map_or(1, |test| test.first);
        let others: Vec<u32> = test.map(|test| test.keyword).into_iter().collect();
        let mut quiet: BTreeMap<&'static str, (Finding, Vec<u32>, usize)> = BTreeMap::new();
        for item in items {
            let mut note = |kind, code, message: String, place: Option<u32>| {
                let (_, places, count) = quiet
                    .entry(kind)
                    .or_insert_with(|| (Finding::new(code, message).severity(Severity::Low), others.clone(), 0));
                places.extend(place);
                *count += 1;
            };
            match ran.ended(&item.id) {
                Ended::Passed => counts.passed += 1,
                Ended::Failed { hidden } => {
                    counts.failed += 1;
                    let finding = failure(&self.sources.dir, item, path, line, failures, hidden);
                    self.findings.push(finding);
                }
                Ended::Skipped { place, why } => {
                    counts.skipped += 1;
                    let same = place.filter(|(file, _)| self.relative(file).as_deref() == Some(path));
                    let place = same.map(|(_, line)| line);
                    note("skipped", PytestCode::Skipped, format!("{} was skipped: {why}", item.id), place);
                }
                Ended::ExpectedFailure { why } => {
                    counts.skipped += 1;
                    note("expected", PytestCode::Skipped, format!("{} is expected to fail: {why}", item.id), None);
                }
                Ended::UnexpectedPass => {
                    counts.passed += 1;
                    let message = format!("{} is expected to fail, and passed", item.id);
                    note("unexpected", PytestCode::Skipped, message, None);
                }
                Ended::NotRun(why) => {
                    counts.not_run += 1;
                    note("not run", PytestCode::NotRun, format!("{}: {why}", item.id), None);
                }
            }
        }
        for (finding, places, count) in quiet.into_values() {
            let finding = match count {
                1 => finding,
                _ => Finding {
                    message: format!("{} (and {} more of its parameters)", finding.message, count - 1),
                    ..finding
                },
            };
            self.found(path, line, &places, finding);
        }
    }

    /// Whether an item is this function: what was collected, and what was called in the end.
    fn is_code_of(&self, path: &Utf8Path, test: &TestFunction, item: &Item, ran: &Record) -> bool {
        let called = ran.called.get(&item.id).map_or(&[][..], Vec::as_slice);
        called.iter().chain([&item.code]).all(|code| {
            code.as_ref().is_some_and(|(file, line)| {
                self.relative(file).as_deref() == Some(path) && (test.first..=test.keyword).contains(line)
            })
        })
    }
}

fn agree(counts: &Counts, junit: &JunitReport) -> Result<(), StepError> {
    let passed = junit.count(|outcome| matches!(outcome, TestOutcome::Passed));
    let skipped = junit.count(|outcome| matches!(outcome, TestOutcome::Skipped { .. }));
    let failed = junit.cases.len() - passed - skipped;
    // A failure that somebody hid from the report is found already; one that only the report knows is not of this run.
    if counts.failed > 0 || (failed == 0 && (counts.not_run > 0 || passed == counts.passed)) {
        return Ok(());
    }
    let Counts { passed: ran, failed: broke, skipped: left, .. } = counts;
    Err(StepError::not_looked(
        format!(
            "the JUnit report tells of {passed} passed, {failed} failed and {skipped} skipped tests, but {ran}, {broke} and {left} ran"
        ),
        "see the step's log, and what writes into its folder",
    ))
}

/// What the JUnit report says of the tests that failed, by their names.
type Failures<'a> = BTreeMap<String, &'a TestCase>;

fn failure(dir: &Utf8Path, item: &Item, path: &Utf8Path, line: u32, failures: &Failures<'_>, hidden: bool) -> Finding {
    let said = failures.get(&item.id);
    let (first, place) = match said.map(|case| &case.outcome) {
        Some(TestOutcome::Failed { message, detail } | TestOutcome::Broken { message, detail }) => {
            let place = failed_at(detail).map(|(file, line)| Location::line(dir.join(file), line));
            (message.lines().next().unwrap_or("no message").to_owned(), place)
        }
        _ if hidden => ("it failed, but is reported as if it had not".to_owned(), None),
        _ => ("no message".to_owned(), None),
    };
    let first: String = first.chars().take(MESSAGE_CHARS_MAX).collect();
    Finding::new(PytestCode::Failed, format!("{}: {first}", item.id))
        .target(Target::name(item.id.as_str()))
        .at(place.unwrap_or_else(|| Location::line(path, line)))
}

/// The place in the last line of what pytest says of a failure, `tests/test_cart.py:11: AssertionError`.
fn failed_at(detail: &str) -> Option<(&str, u32)> {
    let mut parts = detail.trim_end().lines().next_back()?.splitn(3, ':');
    let (file, line) = (parts.next()?, parts.next()?);
    let relative = file.ends_with(".py") && !file.starts_with('/') && !file.contains(' ');
    relative.then_some(())?;
    Some((file, line.parse().ok()?))
}
