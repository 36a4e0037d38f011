//! What `cargo test` prints: the totals of each test program, and which tests failed, why and where.

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

static PROGRAM: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^running \d+ tests?$"));
static RESULT: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;"));
static NOT_PASSED: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^test (\S.*?)(?: - should panic)? \.\.\. (FAILED|ignored)\b"));
static OUTPUT: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^---- (\S.*) stdout ----$"));
static LIST: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^failures:$"));
static PANIC: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^thread '.*' (?:\(\d+\) )?panicked at (\S+?):(\d+):(\d+):$"));
static AFTER_MESSAGE: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)^(?:stack backtrace:|note: |thread '.*panicked at )"));

#[expect(clippy::expect_used, reason = "every pattern is a literal")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

/// Reads what `cargo test` wrote to its standard output.
///
/// # Errors
/// A total that is no number of this machine.
pub fn read_libtest(text: &str) -> Result<LibtestReport, std::num::ParseIntError> {
    let mut report = LibtestReport::default();
    for result in RESULT.captures_iter(text) {
        report.passed += result[1].parse::<u64>()?;
        report.failed += result[2].parse::<u64>()?;
        report.ignored += result[3].parse::<u64>()?;
    }
    // Two programs may each have a test of the same name.
    for program in PROGRAM.split(text) {
        report.not_passed.extend(NOT_PASSED.captures_iter(program).map(|line| not_passed(&line[1], &line[2], program)));
    }
    Ok(report)
}

fn not_passed(name: &str, how: &str, program: &str) -> NotPassed {
    let is_ignored = how == "ignored";
    let output = if is_ignored { None } else { output_of(name, program) };
    let (reason, location) = output.map_or((None, None), reason);
    NotPassed { name: name.to_owned(), is_ignored, reason, location }
}

/// What a failed test printed.
fn output_of<'a>(name: &str, program: &'a str) -> Option<&'a str> {
    let header = OUTPUT.captures_iter(program).find(|header| &header[1] == name)?;
    let output = program.get(header.get(0)?.end()..)?;
    let end = [&*OUTPUT, &*LIST].into_iter().filter_map(|next| next.find(output)).map(|found| found.start()).min();
    output.get(..end.unwrap_or(output.len()))
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
