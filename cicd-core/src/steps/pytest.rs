use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::formats::coverage::{MeasuredCoverage, read_coverage};
use crate::formats::printable::counted;
use crate::formats::{JunitReport, TestCase, TestOutcome, hex, read_junit};
use crate::model::{Finding, Level, Location, Severity, finding_codes};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::python::{Interpreter, TestReport};
use crate::step::{Context, Outcome, ReadError, Step, StepError, git_tool};

finding_codes! {
    /// What a run of the tests can find.
    pub enum PytestCode {
        Failed = "PYT-001" {
            summary: "a test failed",
            help: "the step's log has all that the test said",
            example: "assert total([1, 2]) == 4",
        },
        Skipped = "PYT-002" {
            summary: "a test was skipped or is expected to fail, so it shows nothing",
            help: "make it run, or delete it",
            example: "pytest.skip(\"no network here\")",
        },
        TooFew = "PYT-003" {
            summary: "there are fewer tests than the pipeline requires",
            help: "bring the missing tests back; lower `at_least` only in a reviewed change",
            example: "Pytest::in_dir(…).at_least(140) with 139 tests",
        },
    }
}

/// A failure's message beyond this is not read by anybody in a table.
const MESSAGE_CHARS_MAX: usize = 300;

/// Runs the tests of a Python project with pytest, and measures their coverage.
///
/// A failed test is `PYT-001`. That a test was deleted shows in two ways: the coverage gate misses what only it ran, and
/// [`at_least`](Self::at_least) misses the test itself. Tests that run by another number than they are listed, no tests at
/// all, and every way in which pytest ends without having run them (exit codes 2 to 5) are errors.
#[derive(Debug, Clone)]
pub struct Pytest {
    dir: Utf8PathBuf,
    package: Option<String>,
    tests_min: usize,
    args: Vec<String>,
}

impl Pytest {
    /// The tests of the project in this folder, relative to the workspace.
    #[must_use]
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into(), package: None, tests_min: 1, args: Vec::new() }
    }

    /// Measures the line and branch coverage of this package or folder, relative to the project.
    #[must_use]
    pub fn with_coverage(mut self, package: impl Into<String>) -> Self {
        self.package = Some(package.into());
        self
    }

    /// Requires at least so many tests that ran and were not skipped.
    #[must_use]
    pub fn at_least(mut self, tests: usize) -> Self {
        self.tests_min = tests;
        self
    }

    /// Adds an argument for pytest, such as `tests/unit`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    fn invocation(&self, python: &Utf8Path, root: &Utf8Path, out: &Utf8Path) -> Invocation {
        let junit = out.join("junit.xml");
        let mut call = Invocation::program(python)
            .args(["-m", "pytest", "--color=no", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"])
            .arg(format!("--junitxml={junit}"))
            .dir(root.join(&self.dir))
            .report(junit)
            // Nothing from outside picks other tests, another configuration or other modules.
            .env_remove_prefix("PYTEST_")
            .env_remove_prefix("COVERAGE_")
            .env_remove("PYTHONPATH")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(package) = &self.package {
            call = call
                .arg(format!("--cov={package}"))
                .args(["--cov-branch", "--cov-fail-under=0", "--cov-report="])
                .arg(format!("--cov-report=json:{}", out.join("coverage.json")))
                .env("COVERAGE_FILE", out.join("coverage.sqlite"));
        }
        call.args(&self.args)
    }

    /// The meaning of what pytest left, coverage aside.
    fn read(&self, captured: &Captured) -> Result<Outcome<JunitReport>, StepError> {
        let code = match captured.exit {
            Exit::Code(code @ (0 | 1)) => code,
            Exit::Code(5) => {
                return Err(StepError::not_looked("pytest collected no test", "check the folder and its `testpaths`"));
            }
            exit => return Err(not_run(exit, captured)),
        };
        let report = read_junit(captured.report_bytes()?).map_err(|error| ReadError::new("the JUnit report", error))?;
        if report.cases.is_empty() {
            return Err(StepError::not_looked("pytest ran no test", "check the folder and its `testpaths`"));
        }
        let failures: Vec<_> = report.cases.iter().filter_map(|case| self.failure(case)).collect();
        if (code == 0) != failures.is_empty() {
            return Err(StepError::not_looked(
                format!("pytest ended with exit code {code}, but its report has {} failures", failures.len()),
                "see the step's log",
            ));
        }
        let skipped = report.cases.iter().filter_map(|case| self.skip(case));
        let counted = report.cases.len() - report.count(|outcome| matches!(outcome, TestOutcome::Skipped { .. }));
        let too_few = (counted < self.tests_min).then(|| {
            let message = format!("{counted} tests ran, fewer than the {} that are required", self.tests_min);
            Finding::new(PytestCode::TooFew, message).at(Location::file(&self.dir))
        });
        let findings: Vec<_> = failures.into_iter().chain(too_few).chain(skipped).collect();
        Ok(Outcome::of(report).findings(findings))
    }

    fn failure(&self, case: &TestCase) -> Option<Finding> {
        let (TestOutcome::Failed { message, detail } | TestOutcome::Broken { message, detail }) = &case.outcome else {
            return None;
        };
        let first = message.lines().next().unwrap_or("no message");
        let first: String = first.chars().take(MESSAGE_CHARS_MAX).collect();
        let place = failed_at(detail).map(|(file, line)| Location::line(self.dir.join(file), line));
        let finding = Finding::new(PytestCode::Failed, format!("{}: {first}", case.id())).target(case.id());
        Some(match place.or_else(|| self.place(case)) {
            Some(place) => finding.at(place),
            None => finding,
        })
    }

    fn skip(&self, case: &TestCase) -> Option<Finding> {
        let TestOutcome::Skipped { kind, reason } = &case.outcome else { return None };
        let what = if kind == "pytest.xfail" { "is expected to fail" } else { "was skipped" };
        let finding = Finding::new(PytestCode::Skipped, format!("{} {what}: {reason}", case.id()))
            .severity(Severity::Low)
            .level(Level::Warn)
            .target(case.id());
        Some(match self.place(case) {
            Some(place) => finding.at(place),
            None => finding,
        })
    }

    fn place(&self, case: &TestCase) -> Option<Location> {
        let path = self.dir.join(case.file.as_ref()?);
        Some(case.line.map_or_else(|| Location::file(&path), |line| Location::line(&path, line)))
    }
}

fn not_run(exit: Exit, captured: &Captured) -> StepError {
    let printed = String::from_utf8_lossy(&captured.stdout);
    let lines: Vec<_> = printed.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(12)..].join("\n");
    let why = match exit {
        Exit::Code(2) => "the tests could not be collected, or the run was interrupted",
        Exit::Code(3) => "pytest broke",
        Exit::Code(4) => "pytest does not understand its command line or configuration",
        _ => "pytest did not come to an end",
    };
    let stderr = captured.stderr_text();
    StepError::not_looked(format!("{why} ({exit}):\n{last}\n{stderr}"), "repair that and run the tests again")
}

/// The place in the last line of what pytest says of a failure, `tests/test_cart.py:11: AssertionError`.
fn failed_at(detail: &str) -> Option<(&str, u32)> {
    let mut parts = detail.trim_end().lines().next_back()?.splitn(3, ':');
    let (file, line) = (parts.next()?, parts.next()?);
    let relative = file.ends_with(".py") && !file.starts_with('/') && !file.contains(' ');
    relative.then_some(())?;
    Some((file, line.parse().ok()?))
}

impl Step for Pytest {
    type Input = Interpreter;
    type Output = TestReport;

    fn run(&self, cx: &Context, python: Interpreter) -> Result<Outcome<TestReport>, StepError> {
        // Hashed before the tests run: what is edited meanwhile must not count as tested.
        let sources = self.package.as_ref().map(|_| self.sources(cx)).transpose()?;
        let coverage_file = cx.dir().join("coverage.json");
        if coverage_file.exists() {
            fs::remove_file(&coverage_file).map_err(StepError::io("removing", &coverage_file))?;
        }
        let captured = cx.run(&self.invocation(&python.path, cx.root(), cx.dir()))?;
        let outcome = self.read(&captured)?;
        let mut attachments = vec![cx.dir().join("junit.xml")];
        let coverage = match sources {
            Some(sources) => {
                let bytes = fs::read(&coverage_file).map_err(StepError::io("reading", &coverage_file))?;
                let report = read_coverage(&bytes).map_err(|error| ReadError::new("the coverage report", error))?;
                attachments.push(coverage_file);
                Some(MeasuredCoverage { report, dir: self.dir.clone(), sources })
            }
            None => None,
        };
        let commit = cx.revision()?.commit.clone();
        let count = |fits: fn(&TestOutcome) -> bool| outcome.value.count(fits);
        let passed = count(|outcome| matches!(outcome, TestOutcome::Passed));
        let skipped = count(|outcome| matches!(outcome, TestOutcome::Skipped { .. }));
        let tests = outcome.value.cases.len();
        let failed = tests - passed - skipped;
        let headline = match (failed, skipped) {
            (0, 0) => format!("{} passed", counted(tests, "test")),
            (0, skipped) => format!("{} passed, {skipped} skipped", counted(passed, "test")),
            (failed, _) => format!("{failed} of {} failed", counted(tests, "test")),
        };
        let junit = cx.dir().join("junit.xml");
        let mut outcome = outcome
            .map(|_| TestReport { tests, passed, failed, skipped, junit, coverage, commit })
            .fact("tests", tests)
            .fact("passed", passed)
            .fact("failed", failed)
            .fact("skipped", skipped)
            .headline(headline);
        outcome.attachments = attachments;
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.invocation("<python of the environment>".into(), Utf8Path::new(""), "<step folder>".into())]
    }
}

impl Pytest {
    fn sources(&self, cx: &Context) -> Result<BTreeMap<Utf8PathBuf, String>, StepError> {
        let hash = |path: Utf8PathBuf| {
            let bytes = cx.read_file(&path)?;
            Ok((path, hex(&Sha256::digest(&bytes))))
        };
        cx.source_files(&self.dir, "py")?.into_iter().map(hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = include_bytes!("../../tests/data/python/junit-mixed.xml");
    const NONE: &[u8] = include_bytes!("../../tests/data/python/junit-no-tests.xml");
    const COLLECTION: &[u8] = include_bytes!("../../tests/data/python/junit-collection-error.xml");

    fn read(code: i32, junit: &[u8]) -> Result<Outcome<JunitReport>, StepError> {
        let captured =
            Captured::recorded(Exit::Code(code), "E   ModuleNotFoundError: nothing_there\n", "").with_report(junit);
        Pytest::in_dir("app").at_least(5).read(&captured)
    }

    fn passed(tests: usize) -> Vec<u8> {
        let case = |n| format!("<testcase classname='tests.test_a' name='t{n}' file='tests/test_a.py' line='{n}'/>");
        let cases: String = (0..tests).map(case).collect();
        format!("<testsuites><testsuite tests='{tests}' failures='0' errors='0' skipped='0'>{cases}</testsuite></testsuites>").into()
    }

    #[test]
    fn failures_are_named_with_their_place() {
        let outcome = read(1, MIXED).expect("looked");
        let line = |finding: &Finding| {
            format!(
                "{} {:?} {} @ {}",
                finding.code,
                finding.level,
                finding.message,
                finding.location.as_ref().expect("a place")
            )
        };
        let lines: Vec<_> = outcome.findings.iter().map(line).collect();
        expect_test::expect![[r#"
            PYT-001 Deny tests/test_cart.py::test_fails[prices0]: AssertionError: one is <not> two & #x1B[31mred#x1B[0m @ app/tests/test_cart.py:11
            PYT-001 Deny tests/test_cart.py::test_fails[prices1]: TypeError: unsupported operand type(s) for +: 'int' and 'str' @ app/shop/cart.py:13
            PYT-001 Deny tests/test_cart.py::test_error: failed on setup with "RuntimeError: set-up broke" @ app/tests/test_cart.py:25
            PYT-002 Warn tests/test_cart.py::test_skipped was skipped: no shop on sundays @ app/tests/test_cart.py:14
            PYT-002 Warn tests/test_cart.py::test_expected_failure is expected to fail: known @ app/tests/test_cart.py:18"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_deleted_test_is_noticed() {
        assert!(read(0, &passed(5)).expect("looked").findings.is_empty());
        let fewer = read(0, &passed(4)).expect("looked").findings;
        assert_eq!(fewer[0].code.as_str(), "PYT-003");
        assert_eq!(fewer[0].message, "4 tests ran, fewer than the 5 that are required");
    }

    #[test]
    fn tests_that_did_not_run_are_an_error_and_never_a_pass() {
        for (code, junit, problem) in [
            (2, COLLECTION, "could not be collected"),
            (3, MIXED, "pytest broke (exit code 3)"),
            (4, b"".as_slice(), "command line"),
            (5, NONE, "collected no test"),
            (0, NONE, "ran no test"),
            (0, MIXED, "exit code 0, but its report has 3 failures"),
            (0, b"", "wrote no report"),
            (0, b"<testsuites>", "the JUnit report cannot be read"),
            (139, MIXED, "did not come to an end"),
        ] {
            let error = read(code, junit).expect_err(problem).to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(read(1, &passed(5)).expect_err("a lie").to_string().contains("has 0 failures"));
        let killed = Captured::recorded(Exit::Signal(9), "", "").with_report(MIXED);
        assert!(Pytest::in_dir("app").read(&killed).expect_err("killed").to_string().contains("SIGKILL"));
        let no_report = Captured::recorded(Exit::Code(0), "", "");
        assert!(Pytest::in_dir("app").read(&no_report).is_err());
    }

    #[test]
    fn nothing_from_outside_chooses_the_tests() {
        let line = Pytest::in_dir("app").with_coverage("shop").explain()[0].to_string().replace('\'', "");
        for part in [
            "PYTHONPATH= ",
            "-m pytest",
            "-o junit_family=xunit1",
            "-p no:cacheprovider",
            "--cov=shop --cov-branch --cov-fail-under=0",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
