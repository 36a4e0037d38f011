//! What `cargo test` prints: the totals of each test program, and which tests failed, why and where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use camino::Utf8Path;
use regex::Regex;

use super::printable::printable;
use crate::model::Location;

/// What the test programs of one `cargo test` came to, together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LibtestReport {
    /// How many tests passed.
    pub passed: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were ignored.
    pub ignored: u64,
    /// How many were not chosen.
    pub filtered: u64,
    /// How many benchmarks were measured.
    pub measured: u64,
    /// How many the programs said they were about to run. More than the others together where a program ended early.
    pub begun: u64,
    /// The paths of the tests that the programs tell of, whatever came of them, without those of the documentation.
    pub named: Vec<String>,
    /// The tests that did not pass, in the order in which they ended.
    pub not_passed: Vec<NotPassed>,
}

/// A test that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPassed {
    /// Its path inside the test program.
    pub name: String,
    /// Whether it was not run at all.
    pub is_ignored: bool,
    /// What it said first when it failed, in one line.
    pub reason: Option<String>,
    /// Where it said it.
    pub location: Option<Location>,
}

static RESULT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?m)^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;(?: (\d+) measured; (\d+) filtered out;)?",
    )
});
static NOT_PASSED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?m)^test (\S.*?)(?: - should panic| - compile fail| - compile)? \.\.\. (FAILED|ignored)\b")
});
static RUNNING: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^running (\d+) tests?$"));
/// Wherever it stands in a line: what another process printed may come before it.
static NAMED: LazyLock<Regex> = LazyLock::new(|| compiled(r"test ([^\s,]+)(?: - should panic)? \.\.\. "));
static OUTPUTS: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^failures:\n\n---- "));
static OUTPUT: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^---- (\S.*) stdout ----$"));
static LIST: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^failures:\n((?:    .+\n)+)\ntest result: FAILED\. \d+ passed;"));
static PANIC: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^thread '.*' (?:\(\d+\) )?panicked at (\S.*?):(\d+):(\d+):$"));
static AFTER_MESSAGE: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^(?:stack backtrace:|note: |thread '.*panicked at )"));

#[expect(clippy::expect_used, reason = "every pattern is a literal")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

/// Reads what `cargo test` wrote to its standard output.
///
/// A test program that failed ends with what its failed tests printed, which may look like anything, and the list of their
/// names. The lines before may have the output of other processes in their midst; the list has not.
///
/// # Errors
/// A total of more tests than 32 bits count.
pub fn read_libtest(text: &str) -> Result<LibtestReport, std::num::ParseIntError> {
    let mut report = LibtestReport::default();
    let mut rest = text;
    // One program at a time: two may each have a test of the same name.
    while let Some((list, names)) = LIST.captures(rest).and_then(|list| Some((list.get(0)?, list.get(1)?))) {
        let (program, _) = rest.split_at(list.start());
        let (said, outputs) = program.split_at(OUTPUTS.find(program).map_or(program.len(), |found| found.start()));
        report.add(said, &failures(names.as_str(), outputs))?;
        rest = rest.split_at(names.end()).1;
    }
    report.add(rest, &BTreeMap::new())?;
    Ok(report)
}

impl LibtestReport {
    /// Adds what a program said itself, and the tests that its list of failures names.
    fn add(&mut self, said: &str, failures: &BTreeMap<&str, &str>) -> Result<(), std::num::ParseIntError> {
        // Of 32 bits each, so that no sum overflows.
        for result in RESULT.captures_iter(said) {
            self.passed += u64::from(result[1].parse::<u32>()?);
            self.failed += u64::from(result[2].parse::<u32>()?);
            self.ignored += u64::from(result[3].parse::<u32>()?);
            let more = |group| result.get(group).map_or("0", |count| count.as_str()).parse::<u32>();
            self.measured += u64::from(more(4)?);
            self.filtered += u64::from(more(5)?);
        }
        for count in RUNNING.captures_iter(said) {
            self.begun += u64::from(count[1].parse::<u32>()?);
        }
        self.named.extend(NAMED.captures_iter(said).map(|line| line[1].to_owned()));
        let mut unsaid = failures.clone();
        for (_, [name, how]) in NOT_PASSED.captures_iter(said).map(|line| line.extract()) {
            let output = if how == "ignored" { None } else { unsaid.remove(name) };
            self.not_passed.push(not_passed(name, how == "ignored", output));
        }
        self.not_passed.extend(unsaid.into_iter().map(|(name, output)| not_passed(name, false, Some(output))));
        Ok(())
    }
}

fn not_passed(name: &str, is_ignored: bool, output: Option<&str>) -> NotPassed {
    let (reason, location) = output.map_or((None, None), reason);
    NotPassed { name: name.to_owned(), is_ignored, reason, location }
}

/// The names of the tests that failed, each with what it printed.
fn failures<'a>(names: &'a str, outputs: &'a str) -> BTreeMap<&'a str, &'a str> {
    let mut all: BTreeMap<&str, &str> = names.lines().map(|name| (name.trim_start(), "")).collect();
    let mut seen = BTreeSet::new();
    let headers: Vec<_> = OUTPUT
        .captures_iter(outputs)
        .filter_map(|header| Some((header.get(1)?.as_str(), header.get(0)?.range())))
        .filter(|(name, _)| all.contains_key(name) && seen.insert(*name))
        .collect();
    let ends = headers.iter().skip(1).map(|(_, next)| next.start).chain([outputs.len()]);
    all.extend(
        headers.iter().zip(ends).filter_map(|((name, header), end)| Some((*name, outputs.get(header.end..end)?))),
    );
    all
}

/// The first panic is the cause of those that follow; a test that returns its error says so in its last line.
fn reason(output: &str) -> (Option<String>, Option<Location>) {
    let Some((place, message)) = PANIC.captures(output).and_then(|place| {
        let message = output.get(place.get(0)?.end()..)?;
        Some((place, message))
    }) else {
        return (output.lines().rev().find(|line| !line.trim().is_empty()).map(printable), None);
    };
    let end = AFTER_MESSAGE.find(message).map_or(message.len(), |found| found.start());
    let message = printable(message.get(..end).unwrap_or(message));
    // The program of a doc test is compiled in a temporary folder.
    let path = Some(Utf8Path::new(&place[1])).filter(|path| path.is_relative());
    let number = |group: usize| place[group].parse().ok();
    let location = path.and_then(|path| Some(Location::column(path, number(2)?, number(3)?)));
    (Some(message).filter(|message| !message.is_empty()), location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_tells_why_and_where() {
        let report = read_libtest(include_str!("../../tests/data/cargo/failures.txt")).expect("readable");
        assert_eq!((report.passed, report.failed, report.ignored), (1, 5, 1));
        let told: Vec<_> = report
            .not_passed
            .iter()
            .map(|test| {
                let place = test.location.as_ref().map(ToString::to_string);
                (test.name.as_str(), test.reason.as_deref().unwrap_or("-"), place.unwrap_or_else(|| "-".to_owned()))
            })
            .collect();
        let adds = "assertion `left == right` failed: the sum of two left: 2 right: 3";
        let place = |place: &str| place.to_owned();
        assert_eq!(
            told,
            [
                ("tests::does_not_panic", "note: test did not panic as expected at src/lib.rs:9:8", place("-")),
                ("tests::adds", adds, place("src/lib.rs:4:47")),
                ("tests::in_a_thread", "far away", place("src/lib.rs:16:46")),
                ("tests::skipped", "-", place("-")),
                ("tests::returns", "Error: \"no such thing\"", place("-")),
                ("src/lib.rs - doc (line 18)", "assertion `left == right` failed left: 1 right: 2", place("-")),
            ]
        );
    }

    /// As `cargo test --no-fail-fast` prints it with `RUST_TEST_THREADS=1`.
    #[test]
    fn what_a_test_prints_is_not_taken_for_what_cargo_says() {
        let report = read_libtest(include_str!("../../tests/data/cargo/imitations.txt")).expect("readable");
        assert_eq!((report.passed, report.failed, report.ignored), (0, 11, 1));
        let failed = report.not_passed.iter().filter(|test| !test.is_ignored);
        let told: Vec<_> = failed.map(|test| (test.name.as_str(), test.reason.as_deref().unwrap_or("-"))).collect();
        assert_eq!(
            told,
            [
                ("other", "real reason of other"),
                ("prints_failures", "assertion `left == right` failed: after the list left: 1 right: 2"),
                ("prints_header", "fake"),
                ("prints_running", "after running"),
                ("r#match", "multi line note: ---- x stdout ----"),
                ("result", "r"),
                ("sp", "nope"),
                ("a::child", "c"),
                ("src/lib.rs - (line 1)", "Test compiled successfully, but it's marked `compile_fail`."),
                ("src/lib.rs - (line 5)", "Couldn't compile the test."),
                ("src/lib.rs - (line 9)", "Test executable succeeded, but it's marked `should_panic`."),
            ]
        );
    }

    #[test]
    fn totals_that_no_run_has_are_an_error() {
        let total = format!("test result: ok. {} passed; 0 failed; 0 ignored;\n", u64::MAX);
        assert!(read_libtest(&total.repeat(2)).is_err());
    }

    #[test]
    fn tests_of_one_name_in_two_programs_keep_their_own_reasons() {
        let program = |place: &str, why: &str| {
            format!(
                "running 1 test\ntest a ... FAILED\n\nfailures:\n\n---- a stdout ----\n\nthread 'a' panicked at {place}:1:2:\n\
                 {why}\n\n\nfailures:\n    a\n\n\
                 test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
            )
        };
        let report = read_libtest(&(program("a.rs", "one") + &program("b.rs", "two"))).expect("readable");
        let reasons: Vec<_> = report.not_passed.iter().map(|test| test.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("one"), Some("two")]);
    }
}
