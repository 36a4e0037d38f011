use std::time::Duration;

use crate::formats::printable::counted;
use crate::formats::{NotPassed, read_libtest};
use crate::model::{Finding, finding_codes};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Claims, Context, Outcome, ReadError, Step, StepError};

finding_codes! {
    /// What `cargo test` can find.
    pub enum CargoTestCode {
        Failed = "CARGO-001" {
            summary: "a Rust test failed",
            help: "run the test alone with `cargo test NAME` and mend the code or the test",
            example: "#[test] fn wrong() { assert_eq!(1, 2) }",
        },
        Ignored = "CARGO-002" {
            summary: "a Rust test is ignored",
            help: "mend it or delete it; a test that never runs proves nothing",
            example: "#[test] #[ignore] fn skipped() {}",
        },
        Filtered = "CARGO-003" {
            summary: "Rust tests were not chosen",
            help: "choose whole test programs (`--lib`, `--test NAME`), and no tests by their names",
            example: "CargoTest::new([\"--lib\", \"parser::\"])",
        },
    }
}

/// Tests of a Rust workspace take longer than other tools: they are compiled first.
const DEADLINE: Duration = Duration::from_secs(1800);

/// `cargo test`: the exit code decides, and a run without any test is no run.
#[derive(Debug, Clone)]
pub struct CargoTest {
    args: Vec<String>,
    claims: Claims,
}

impl CargoTest {
    /// Tests chosen by these arguments, such as `["--workspace", "--lib"]`.
    #[must_use]
    pub fn new<const N: usize>(args: [&str; N]) -> Self {
        // Parallel cargo calls only wait for each other's lock on the target folder.
        Self { args: args.map(str::to_owned).to_vec(), claims: Claims::exclusive("cargo") }
    }

    /// Sets what it needs for itself while it runs; without it, no other cargo.
    #[must_use]
    pub fn claiming(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    fn command(&self) -> Invocation {
        Invocation::tool("cargo").arg("test").args(&self.args).deadline(DEADLINE).env("CARGO_TERM_COLOR", "never")
    }
}

impl Step for CargoTest {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        Ok(read(&cx.run(&self.command())?)?)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ToolRequirement::new("cargo", ">=1.85").fix("install Rust with rustup")]
    }

    fn claims(&self) -> Claims {
        self.claims.clone()
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.command()]
    }
}

fn read(captured: &Captured) -> Result<Outcome<()>, ReadError> {
    let unreadable = |problem: String| ReadError::new("the output of cargo test", problem);
    let text = captured.stdout_text().map_err(|error| unreadable(error.to_string()))?;
    let report = read_libtest(text).map_err(|error| unreadable(error.to_string()))?;
    let (passed, failed) = (report.passed, report.failed);
    let named = report.not_passed.iter().filter(|test| !test.is_ignored).count() as u64;
    let mut findings: Vec<Finding> = report.not_passed.into_iter().map(finding).collect();
    if report.filtered > 0 {
        let message = format!("{} not chosen", counted(report.filtered, "test"));
        findings.push(Finding::new(CargoTestCode::Filtered, message));
    }
    match captured.exit {
        Exit::Code(0) if passed == 0 => {
            Err(unreadable("no test was run".to_owned())
                .help("check the arguments: a run without tests proves nothing"))
        }
        Exit::Code(0) if failed == 0 => Ok(()),
        Exit::Code(_) if failed > 0 && named >= failed => Ok(()),
        exit => Err(unreadable(format!(
            "{exit} with {passed} passed and {failed} failed tests:\n{}",
            captured.stderr_text()
        ))),
    }?;
    let headline = counted(passed, "test");
    Ok(Outcome::of(())
        .findings(findings)
        .fact("tests", passed)
        .fact("failed", failed)
        .fact("ignored", report.ignored)
        .headline(headline))
}

fn finding(test: NotPassed) -> Finding {
    let mut finding = if test.is_ignored {
        Finding::new(CargoTestCode::Ignored, format!("{} is ignored", test.name))
    } else {
        let why = test.reason.map_or_else(String::new, |reason| format!(": {reason}"));
        Finding::new(CargoTestCode::Failed, format!("{} failed{why}", test.name))
    };
    finding.location = test.location;
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "running 3 tests\ntest a::one ... ok\ntest a::two ... FAILED\ntest a::three ... ignored\n\n\
                       test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn failed_and_ignored_tests_are_findings() {
        let outcome = read(&Captured::recorded(Exit::Code(101), RUN, "")).expect("readable");
        let codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["CARGO-001", "CARGO-002"]);
    }

    #[test]
    fn tests_that_were_not_chosen_are_a_finding() {
        let run = |filtered| {
            let text = format!(
                "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; {filtered} filtered out; finished in 0s\n"
            );
            let outcome = read(&Captured::recorded(Exit::Code(0), text, "")).expect("readable");
            outcome.findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>()
        };
        assert_eq!(run(0), Vec::<String>::new());
        assert_eq!(run(3), ["3 tests not chosen"]);
    }

    #[test]
    fn a_run_without_tests_or_that_did_not_compile_is_no_run() {
        let empty = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s\n";
        assert!(read(&Captured::recorded(Exit::Code(0), empty, "")).is_err());
        assert!(read(&Captured::recorded(Exit::Code(0), "", "")).is_err());
        let broken = read(&Captured::recorded(Exit::Code(101), "", "error[E0425]: cannot find value"))
            .expect_err("did not compile");
        assert!(broken.to_string().contains("E0425"), "{broken}");
        assert!(read(&Captured::recorded(Exit::Signal(9), RUN, "")).is_err());
        let unnamed = RUN.replace("test a::two", "printed by a process: test a::two");
        assert!(read(&Captured::recorded(Exit::Code(101), unnamed, "")).is_err(), "an ignored test is no failed one");
    }
}
