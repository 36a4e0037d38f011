use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::chosen::{Chosen, Kind, Metadata};
use super::declared::{Declared, Home, files, not_run};
use super::settings::{Setting, of_configuration, of_manifest};
use crate::formats::printable::counted;
use crate::formats::rust_tests::rust_tests;
use crate::formats::{LibtestReport, NotPassed, Suppressions, read_libtest};
use crate::model::{Finding, Location, Severity, finding_codes};
use crate::policy::Suppression;
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Claims, Context, Outcome, ReadError, Step, StepError, git_tool};

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
        NotRun = "CARGO-004" {
            summary: "a Rust test of the source did not run",
            help: "let it be compiled and run, delete it, or justify it with `// reason:`, `// owner:` and `// expires:` on the lines above it",
            example: "#[cfg(any())] mod tests { #[test] fn adds() {} }",
        },
        Setting = "CARGO-005" {
            summary: "a setting keeps Rust tests from running, or puts another program in the place of their harness",
            help: "delete it, or justify it with `# reason:`, `# owner:` and `# expires:` on the lines above it",
            example: "[[test]] harness = false",
        },
    }
}

/// Tests of a Rust workspace take longer than other tools: they are compiled first.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Cargo's own configuration, below any folder from the workspace's root down to where cargo runs.
const CONFIGURATIONS: [&str; 2] = [".cargo/config.toml", ".cargo/config"];

/// Variables that put a program in the place of the test programs, on the machines that Rust tests run on.
const RUNNERS: [&str; 5] = [
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUNNER",
    "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
    "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER",
    "CARGO_TARGET_AARCH64_APPLE_DARWIN_RUNNER",
];

/// `cargo test`: the exit code decides, and a run without any test is no run.
///
/// The tests that the sources of the chosen targets declare are compared with those that ran: one that `cfg`, a feature, a macro or a
/// setting left out is a finding, and so are the settings that can do so, or that let another program say what passed. Comments with
/// reason, owner and expiry directly above exempt them.
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
        let command = Invocation::tool("cargo").arg("test").args(&self.args).deadline(DEADLINE);
        RUNNERS.into_iter().fold(command.env("CARGO_TERM_COLOR", "never"), Invocation::env_remove)
    }

    fn metadata(&self) -> Invocation {
        Invocation::tool("cargo").args(["metadata", "--no-deps", "--format-version", "1"])
    }
}

impl Step for CargoTest {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        let workspace = self.look(cx)?;
        let (report, outcome) = read(&cx.run(&self.command())?)?;
        Ok(workspace.judge(report, outcome))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ToolRequirement::new("cargo", ">=1.85").fix("install Rust with rustup"), git_tool()]
    }

    fn claims(&self) -> Claims {
        self.claims.clone()
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.metadata(), self.command()]
    }
}

/// What the files of a workspace say before its tests run.
#[derive(Default)]
struct Workspace {
    texts: BTreeMap<Utf8PathBuf, String>,
    declared: Vec<Declared>,
    settings: Vec<(Utf8PathBuf, Setting)>,
}

impl CargoTest {
    fn look(&self, cx: &Context) -> Result<Workspace, StepError> {
        let captured = cx.run_ok(&self.metadata())?;
        let metadata: Metadata = serde_json::from_slice(&captured.stdout)
            .map_err(|error| ReadError::new("the output of cargo metadata", error))?;
        let chosen = Chosen::read(&self.args);
        // Cargo names folders as the system does, behind links.
        let real = cx.root().canonicalize_utf8().map_err(StepError::io("looking at", cx.root()))?;
        let relative =
            |path: &Utf8Path| path.strip_prefix(&real).map_or_else(|_| cx.relative(path), Utf8Path::to_owned);
        let mut workspace = Workspace::default();
        let mut homes = Vec::new();
        for package in chosen.packages(&metadata) {
            let takes: Vec<Kind> = [Kind::Library, Kind::Program, Kind::Test]
                .into_iter()
                .filter(|kind| chosen.takes_kind(*kind))
                .collect();
            let manifest = relative(&package.manifest_path);
            let text = cx.read_text(&manifest)?;
            let found = of_manifest(&text, &takes, chosen.takes_docs())
                .map_err(|error| ReadError::new("a manifest", error).at(Location::file(&manifest)))?;
            workspace.settings.extend(found.into_iter().map(|setting| (manifest.clone(), setting)));
            workspace.texts.insert(manifest, text);
            homes.extend(
                package.targets.iter().map(|target| Home::of(target, relative(&target.src_path), chosen.takes(target))),
            );
        }
        for name in CONFIGURATIONS {
            let path = Utf8PathBuf::from(name);
            if cx.path(&path).exists() {
                let text = cx.read_text(&path)?;
                let found = of_configuration(&text)
                    .map_err(|error| ReadError::new("the configuration of cargo", error).at(Location::file(&path)))?;
                workspace.settings.extend(found.into_iter().map(|setting| (path.clone(), setting)));
                workspace.texts.insert(path, text);
            }
        }
        let sources: BTreeSet<_> = cx.source_files(Utf8Path::new(""), "rs")?.into_iter().collect();
        for (file, module) in files(&homes, &sources) {
            let text = cx.read_text(file)?;
            let found = rust_tests(&text);
            let what = "`no_main`: a program of its own says which tests passed".to_owned();
            workspace.settings.extend(found.no_main.map(|line| (file.to_owned(), Setting { what, line })));
            workspace.declared.extend(found.tests.into_iter().map(|test| {
                let name = if module.is_empty() { test.name } else { format!("{module}::{}", test.name) };
                Declared { name, file: file.to_owned(), line: test.line }
            }));
            workspace.texts.insert(file.to_owned(), text);
        }
        Ok(workspace)
    }
}

impl Workspace {
    /// The findings about what ran, beside those of the run itself.
    fn judge(self, report: LibtestReport, mut outcome: Outcome<()>) -> Outcome<()> {
        let Self { texts, declared, settings } = self;
        let mut comments = Suppressions::default();
        let mut found: BTreeMap<&Utf8Path, Vec<(usize, Finding)>> = BTreeMap::new();
        for (file, Setting { what, line }) in &settings {
            let finding = Finding::new(CargoTestCode::Setting, what.clone()).severity(Severity::Low);
            found.entry(file).or_default().push((*line, finding));
        }
        // After a failure cargo does not start the other programs.
        let compared = if report.failed == 0 { &declared[..] } else { &[] };
        for Declared { name, file, line } in not_run(compared, &report.named) {
            let finding = Finding::new(CargoTestCode::NotRun, format!("{name} did not run")).severity(Severity::Low);
            found.entry(file).or_default().push((*line, finding));
        }
        // Where an ignored test stands, only its source tells.
        let mut places: BTreeMap<&str, Vec<&Declared>> = BTreeMap::new();
        for test in declared.iter().rev() {
            places.entry(&test.name).or_default().push(test);
        }
        for test in report.not_passed {
            let place = places.get_mut(test.name.as_str()).filter(|_| test.is_ignored).and_then(Vec::pop);
            match place {
                Some(place) => {
                    found.entry(&place.file).or_default().push((place.line, finding(test).severity(Severity::Low)))
                }
                None => outcome.findings.push(finding(test)),
            }
        }
        for (file, findings) in found {
            let text = texts.get(file).map_or("", String::as_str);
            let plain: Vec<String> = text.lines().map(comment).collect();
            let lines: Vec<&str> = plain.iter().map(String::as_str).collect();
            for (index, finding) in findings {
                comments.judge_found(Suppression { path: file, lines: &lines, index }, &[], finding);
            }
        }
        let exceptions = comments.settle(&mut outcome.findings);
        outcome.exceptions(exceptions).fact("declared", declared.len())
    }
}

/// A comment of Rust as one that begins with `#`, where justifications are read.
fn comment(line: &str) -> String {
    let comment = line.trim_start().strip_prefix("//").filter(|rest| !rest.starts_with(['/', '!']));
    comment.map_or_else(|| line.to_owned(), |rest| format!("#{rest}"))
}

/// What the run says of itself. The tests that did not pass are still to be placed.
fn read(captured: &Captured) -> Result<(LibtestReport, Outcome<()>), ReadError> {
    let unreadable = |problem: String| ReadError::new("the output of cargo test", problem);
    let text = captured.stdout_text().map_err(|error| unreadable(error.to_string()))?;
    let report = read_libtest(text).map_err(|error| unreadable(error.to_string()))?;
    let (passed, failed) = (report.passed, report.failed);
    let named = report.not_passed.iter().filter(|test| !test.is_ignored).count() as u64;
    let mut findings = Vec::new();
    if report.filtered > 0 {
        let message = format!("{} not chosen", counted(report.filtered, "test"));
        findings.push(Finding::new(CargoTestCode::Filtered, message));
    }
    let told = passed + failed + report.ignored + report.measured;
    if report.begun > told {
        let problem = format!("its programs began {}, and told what came of {told}", counted(report.begun, "test"));
        return Err(unreadable(problem).help("find the test that ends its program"));
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
    let outcome = Outcome::of(())
        .findings(findings)
        .fact("tests", passed)
        .fact("failed", failed)
        .fact("ignored", report.ignored)
        .headline(headline);
    Ok((report, outcome))
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

    fn looked(exit: i32, text: &str) -> Result<Outcome<()>, ReadError> {
        let (report, outcome) = read(&Captured::recorded(Exit::Code(exit), text, ""))?;
        Ok(Workspace::default().judge(report, outcome))
    }

    #[test]
    fn failed_and_ignored_tests_are_findings() {
        let outcome = looked(101, RUN).expect("readable");
        let codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["CARGO-001", "CARGO-002"]);
    }

    #[test]
    fn tests_that_were_not_chosen_are_a_finding() {
        let run = |filtered| {
            let text = format!(
                "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; {filtered} filtered out; finished in 0s\n"
            );
            let outcome = looked(0, &text).expect("readable");
            outcome.findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>()
        };
        assert_eq!(run(0), Vec::<String>::new());
        assert_eq!(run(3), ["3 tests not chosen"]);
    }

    #[test]
    fn a_program_that_ended_early_did_not_pass() {
        let passed = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored;\n";
        assert!(looked(0, passed).is_ok());
        for early in ["running 2 tests\ntest b ... ok\n", "\nrunning 1 test\ntest b ... ", "running 3 tests\n"] {
            let error = looked(0, &format!("{passed}{early}")).expect_err(early).to_string();
            assert!(error.contains("told what came of 1"), "{error}");
        }
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
