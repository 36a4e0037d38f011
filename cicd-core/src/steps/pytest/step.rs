use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::PytestCode;
use super::judge::{Counts, Judged, Source, Sources};
use super::measurement::{COVERAGE_FILE, COVERAGE_SETTINGS};
use super::options::{Options, options, second_file, settings_file, settings_places};
use super::record::{Record, read_record};
use crate::files::{self, FILE_BYTES_MAX, Folder};
use crate::formats::printable::counted;
use crate::formats::pytest_settings::{PYTEST_FILES, PytestSettings, read_pytest_settings};
use crate::formats::{Suppressions, hex, read_junit};
use crate::model::{Finding, Location, Target};
use crate::policy::{Exception, Justification, Scope};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::python::{Interpreter, TestReport, is_python, python_sources, read_syntax};
use crate::step::{Author, Claims, Context, Outcome, ReadError, Seal, Step, StepError, git_tool};

/// The program that runs pytest and records what happens.
const RECORDER: &str = concat!(include_str!("keeper.py"), "\n\n", include_str!("recorder.py"));
/// The part of it that has the key, the record and what is measured.
const KEEPER: &str = include_str!("keeper.py");
/// How Python is given it: no file holds it that code of the repository could rewrite.
pub(super) const START: &str =
    "import json, sys; order = json.load(sys.stdin); exec(compile(order.pop('program'), '<recorder>', 'exec'))";
/// Length of the key that binds a record to its run.
const KEY_BYTES: usize = 32;
/// Length of a name that nobody guesses.
const NAME_BYTES: usize = 16;

/// Runs the tests of a Python project with pytest, and measures their coverage.
///
/// Every test that the source holds has to be collected, to run and to pass. Which tests there are is read from the syntax of the
/// files that git knows; what was collected and what happened is recorded beneath pytest's hooks, in a record that the tests
/// cannot rewrite unseen, and compared with the JUnit report. So:
///
/// - a failed test is `PYT-001`, whatever a hook makes of its report;
/// - a test that is skipped, expected to fail or not run is `PYT-002` or `PYT-004`, and fails the step unless the lines directly
///   above it hold `# reason:`, `# owner:` and `# expires:`;
/// - hooks, plugins and code of the repository that reach into pytest are `PYT-005`, and settings that can hide a test `PYT-006`,
///   on the same terms; such a setting has no effect before it is justified.
///
/// That a test was deleted shows in two ways: the coverage gate misses what only it ran, and [`at_least`](Self::at_least) misses the
/// test itself. No tests at all, and every way in which pytest ends without having run them (exit codes 2 to 5), are errors.
#[derive(Debug, Clone)]
pub struct Pytest {
    pub(super) dir: Utf8PathBuf,
    package: Option<String>,
    tests_min: usize,
    args: Vec<String>,
    left_out: Vec<(Utf8PathBuf, Exception)>,
    accepted: Vec<Exception>,
}

impl Pytest {
    /// The tests of the project in this folder, relative to the workspace.
    #[must_use]
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        let (args, left_out, accepted) = (Vec::new(), Vec::new(), Vec::new());
        Self { dir: dir.into(), package: None, tests_min: 1, args, left_out, accepted }
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

    /// Adds an argument for pytest, such as `--timeout=60`. One that leaves tests out makes them findings.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Does not run the tests below this folder, relative to the workspace, for a reason and for a time.
    #[must_use]
    #[track_caller]
    pub fn leaving_out(mut self, folder: impl Into<Utf8PathBuf>, because: Justification) -> Self {
        let folder = folder.into();
        let scope = Scope::target(Target::file(&folder));
        self.left_out.push((folder, Exception::in_pipeline(PytestCode::NotRun, scope, because)));
        self
    }

    /// Accepts what is found in one file, relative to the workspace, as a comment above each place would: tests that do not count or do
    /// not run, code that reaches into pytest, and settings, which have their effect then (`PYT-002`, `PYT-004` to `PYT-006`). What
    /// is wrong above a place is not mended by it, and of it and a comment one is too many. A test that failed is nobody's to accept.
    #[must_use]
    #[track_caller]
    pub fn accept(mut self, code: PytestCode, file: impl Into<Utf8PathBuf>, because: Justification) -> Self {
        let scope = Scope::target(Target::file(file.into()));
        self.accepted.push(Exception::in_pipeline(code, scope, because));
        self
    }

    /// The folder of what is measured, relative to the workspace.
    fn package_dir(&self) -> Option<Utf8PathBuf> {
        let package = self.package.as_ref()?;
        let folder = if package.contains('/') { package.clone() } else { package.replace('.', "/") };
        Some(self.dir.join(folder))
    }

    fn recorder(&self, python: &Utf8Path, root: &Utf8Path, out: &Utf8Path, options: &[String]) -> Invocation {
        let pycache = format!("pycache_prefix={}", out.join("pycache"));
        Invocation::program(python)
            // Isolated: neither the folder nor the environment adds modules. Compiled files that lie about are not read.
            .args(["-I", "-B", "-X", &pycache, "-c", START])
            .args(options)
            .dir(root.join(&self.dir))
            // Nothing from outside picks other tests, another configuration or other modules.
            .env_remove_prefix("PYTEST_")
            .env_remove_prefix("COVERAGE_")
            .env_remove_prefix("PYTHON")
            .env("PYTHONDONTWRITEBYTECODE", "1")
    }

    fn arguments(&self, root: &Utf8Path, out: &Utf8Path, options: &Options) -> Vec<String> {
        let dir = root.join(&self.dir);
        let mut args: Vec<String> =
            ["--color=no", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"].map(str::to_owned).into();
        args.extend(["-c".to_owned(), out.join("settings.ini").into_string()]);
        args.extend([format!("--rootdir={dir}"), format!("--confcutdir={dir}")]);
        args.extend(options.args.iter().chain(&self.args).cloned());
        args
    }

    fn reporting(out: &Utf8Path) -> String {
        format!("--junitxml={}", out.join("junit.xml"))
    }
}

/// What the recorder is told on standard input: the key is neither an argument nor a variable, which tests could read.
#[derive(Serialize)]
struct Order<'a> {
    program: &'static str,
    keeper: &'static str,
    key: String,
    record: &'a Utf8Path,
    dir: &'a Utf8Path,
    root: &'a Utf8Path,
    measured: Option<Measured<'a>>,
    files: &'a [String],
}

/// What it measures.
#[derive(Serialize)]
struct Measured<'a> {
    package: &'a str,
    package_dir: Utf8PathBuf,
    settings: Utf8PathBuf,
}

/// Whether pytest came to an end with tests that it ran.
fn ended(captured: &Captured) -> Result<i32, StepError> {
    match captured.exit {
        Exit::Code(code @ (0 | 1)) => Ok(code),
        Exit::Code(5) => Err(no_test()),
        exit => Err(not_run(exit, captured)),
    }
}

fn no_test() -> StepError {
    StepError::not_looked("pytest collected no test", "check the folder: tests are in files such as tests/test_cart.py")
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

/// The record of one process, which ended as its process did.
pub(super) fn recorded(captured: &Captured, bytes: &[u8], key: &[u8]) -> Result<Record, StepError> {
    let code = ended(captured)?;
    let record = read_record(bytes, key).map_err(|error| {
        ReadError::new("the record of the tests", error)
            .help("see the step's log: the tests may have ended their process")
    })?;
    if record.code != code {
        let what = format!("pytest ended with {}, but its process with exit code {code}", record.code);
        return Err(StepError::not_looked(what, "see the step's log, and what runs when the process ends"));
    }
    Ok(record)
}

impl Step for Pytest {
    type Input = Interpreter;
    type Output = TestReport;

    fn run(&self, cx: &Context, python: Interpreter) -> Result<Outcome<TestReport>, StepError> {
        // Read before the tests run: what is edited meanwhile must not count as tested.
        let environment = python.environment()?;
        let sources = self.read_sources(cx, &python.path)?;
        let mut comments = Suppressions::accepting(&self.accepted);
        let options = self.options(cx, &mut comments)?;
        let files: Vec<String> = sources.test_files().map(|path| cx.path(path).into_string()).collect();
        if files.is_empty() {
            return Err(no_test());
        }
        // Once without running a test: no test has had a hand in what was collected. Both processes run code of the repository, and
        // what one leaves must not be what the next one runs: each has a folder of its own, which is made when the one before has
        // ended, and an environment that nobody has written to.
        let out = fresh_folder(cx, &options)?;
        let collect = ["--collect-only", "--quiet", "-p", "no:cov"].map(str::to_owned);
        let args = self.arguments(cx.root(), &out, &options);
        let collecting = self.recorder(&python.path, cx.root(), &out, &[args, collect.into()].concat());
        let Recorded { record: collected, .. } = self.process(cx, collecting, &out, &files, None)?;
        remove(&out)?;
        environment.check()?;
        let out = fresh_folder(cx, &options)?;
        let args = self.arguments(cx.root(), &out, &options);
        let running = self.recorder(&python.path, cx.root(), &out, &[args, vec![Self::reporting(&out)]].concat());
        let package = self.package.as_deref().zip(self.package_dir());
        let measured = package.map(|(package, folder)| {
            let (package_dir, settings) = (cx.path(&folder), out.join(COVERAGE_FILE));
            Measured { package, package_dir, settings }
        });
        let Recorded { captured, record: ran, bytes } = self.process(cx, running, &out, &files, measured)?;
        environment.check()?;
        let written = out.join("junit.xml");
        let junit_bytes = files::read(&written, FILE_BYTES_MAX).map_err(StepError::io("reading", &written))?;
        let report =
            read_junit(&junit_bytes, ran.subtests()).map_err(|error| ReadError::new("the JUnit report", error))?;

        let roots = [Some(cx.root().to_owned()), cx.root().canonicalize_utf8().ok()].into_iter().flatten().collect();
        let mut judged = Judged::new(&sources, roots, comments);
        judged.judge_process(&collected);
        judged.judge_process(&ran);
        sources.judge_marks(&mut judged);
        for path in judged.unknown_texts(&[&collected, &ran]) {
            // The parser may have refused what the tests made of it since.
            if sources.refused.contains_key(&path) || !is_python(cx, &path)? {
                judged.judge_text(path);
            }
        }
        let counts = judged.judge_tests(&collected, &ran, &report)?;
        if counts.failed + counts.not_run == 0 && ended(&captured)? != 0 {
            let what = "pytest ended with exit code 1, but no test failed";
            return Err(StepError::not_looked(what, "see the step's log"));
        }
        let Judged { mut findings, comments, .. } = judged;
        findings.extend(self.too_few(&counts));
        findings.extend(sources.left_out_findings()?);
        let exceptions = comments.settle(&mut findings);

        remove(&out)?;
        let coverage = match &self.package {
            Some(_) => Some(self.coverage(cx, &python.path, &fresh_folder(cx, &options)?, &ran, &sources)?),
            None => None,
        };
        let (coverage, coverage_bytes) = coverage.unzip();
        // What is kept is what was read.
        let kept =
            [("junit.xml", Some(junit_bytes)), ("record.ndjson", Some(bytes)), ("coverage.json", coverage_bytes)];
        let attachments = keep(cx, kept)?;
        let junit = cx.dir().join("junit.xml");
        let commit = cx.revision()?.commit.clone();
        let Counts { tests, passed, failed, skipped, .. } = counts;
        let mut outcome = Outcome::of(TestReport { tests, passed, failed, skipped, junit, coverage, commit })
            .findings(findings)
            .exceptions(exceptions)
            .exceptions(self.relaxations())
            .fact("tests", tests)
            .fact("passed", passed)
            .fact("failed", failed)
            .fact("skipped", skipped)
            .fact("not_run", counts.not_run)
            .headline(headline(&counts));
        outcome.attachments = attachments;
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        let (python, root, out) =
            ("<python of the environment>".into(), Utf8Path::new(""), Utf8Path::new("<step folder>"));
        let options = [self.arguments(root, out, &Options::default()), vec![Self::reporting(out)]].concat();
        let mut all = vec![self.recorder(python, root, out, &options)];
        all.extend(self.package.as_ref().map(|_| self.report(python, root, out)));
        all
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.left_out.iter().map(|(_, exception)| exception).chain(&self.accepted).cloned().collect()
    }

    fn claims(&self) -> Claims {
        Claims::none().reading_source().running_code()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

fn headline(counts: &Counts) -> String {
    let Counts { tests, passed, failed, skipped, not_run } = *counts;
    let rest = [(skipped, "skipped"), (not_run, "not run")];
    let rest: String =
        rest.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!(", {count} {how}")).collect();
    match failed {
        0 => format!("{} passed{rest}", counted(passed, "test")),
        failed => format!("{failed} of {} failed{rest}", counted(tests, "test")),
    }
}

/// Random bytes, in hex digits.
fn random<const N: usize>() -> Result<[u8; N], StepError> {
    let mut bytes = [0; N];
    let source = Utf8Path::new("/dev/urandom");
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(StepError::io("reading", source))?;
    Ok(bytes)
}

/// A folder for one process, of a name that nobody knew before, with the settings that it is given.
fn fresh_folder(cx: &Context, options: &Options) -> Result<Utf8PathBuf, StepError> {
    let path = cx.dir().join(format!("tests-{}", hex(&random::<NAME_BYTES>()?)));
    fs::DirBuilder::new().mode(0o700).create(&path).map_err(StepError::io("creating", &path))?;
    for (name, text) in [(COVERAGE_FILE, COVERAGE_SETTINGS), ("settings.ini", &settings_file(options))] {
        let file = path.join(name);
        fs::write(&file, text).map_err(StepError::io("writing", &file))?;
    }
    Ok(path)
}

pub(super) fn remove(folder: &Utf8Path) -> Result<(), StepError> {
    fs::remove_dir_all(folder).map_err(StepError::io("removing", folder))
}

/// Keeps what was read in the step's folder, whatever the tests have put there under these names.
fn keep<const N: usize>(cx: &Context, all: [(&str, Option<Vec<u8>>); N]) -> Result<Vec<Utf8PathBuf>, StepError> {
    let mut kept = Vec::new();
    let folder = Folder::open(cx.dir()).map_err(StepError::io("opening", cx.dir()))?;
    for (name, bytes) in all.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))) {
        let path = cx.dir().join(name);
        folder.replace(name, &bytes).map_err(StepError::io("writing", &path))?;
        kept.push(path);
    }
    Ok(kept)
}

/// What one process wrote down, and how it ended.
struct Recorded {
    captured: Captured,
    record: Record,
    bytes: Vec<u8>,
}

impl Pytest {
    fn too_few(&self, counts: &Counts) -> Option<Finding> {
        let ran = counts.passed + counts.failed;
        (ran < self.tests_min).then(|| {
            let message = format!("{ran} tests ran, fewer than the {} that are required", self.tests_min);
            Finding::new(PytestCode::TooFew, message).at(Location::file(&self.dir))
        })
    }

    fn read_sources(&self, cx: &Context, python: &Utf8Path) -> Result<Sources, StepError> {
        let paths = python_sources(cx, &self.dir)?;
        let mut syntax = read_syntax(cx, Some(python), &paths)?;
        let (mut files, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for path in paths.into_keys() {
            let bytes = cx.read_file(&path)?;
            let sha256 = hex(&Sha256::digest(&bytes));
            match syntax.remove(&path) {
                Some(syntax) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    files.insert(path, Source { text, sha256, syntax });
                }
                None => {
                    refused.insert(path, sha256);
                }
            }
        }
        let (package, left_out) = (self.package_dir(), self.left_out.clone());
        let listed = cx.repository_files()?.into_iter().collect();
        Ok(Sources { files, refused, dir: self.dir.clone(), package, listed, left_out })
    }

    /// The settings of the repository that the tests run with.
    fn options(&self, cx: &Context, comments: &mut Suppressions) -> Result<Options, StepError> {
        let tracked: BTreeSet<_> = cx.repository_files()?.into_iter().collect();
        let mut found: Option<(PytestSettings, String)> = None;
        for place in settings_places(&self.dir) {
            for path in PYTEST_FILES.iter().map(|name| place.join(name)).filter(|path| tracked.contains(path)) {
                let text = cx.read_text(&path)?;
                let read = read_pytest_settings(&path, &text)
                    .map_err(|error| ReadError::new("the settings of pytest", error).at(Location::file(&path)))?;
                match (&found, read) {
                    (None, Some(settings)) => found = Some((settings, text)),
                    (Some((first, text)), Some(second)) => second_file(first, &second, text, comments),
                    (_, None) => {}
                }
            }
            if found.is_some() {
                break;
            }
        }
        let Some((settings, text)) = found else { return Ok(Options::default()) };
        options(&settings, &text, cx.root(), comments)
            .map_err(|what| StepError::not_looked(what, "write it in one line"))
    }

    /// Runs the recorder once; what it wrote down.
    fn process(
        &self,
        cx: &Context,
        call: Invocation,
        out: &Utf8Path,
        files: &[String],
        measured: Option<Measured<'_>>,
    ) -> Result<Recorded, StepError> {
        let written = out.join("record.ndjson");
        let key = random::<KEY_BYTES>()?;
        let order = Order {
            program: RECORDER,
            keeper: KEEPER,
            key: hex(&key),
            record: &written,
            dir: &cx.path(&self.dir),
            root: cx.root(),
            measured,
            files,
        };
        let order = serde_json::to_vec(&order).map_err(|error| ReadError::new("the names of the tests", error))?;
        let captured = cx.run(&call.stdin(order).report(&written))?;
        ended(&captured)?;
        let record = recorded(&captured, captured.report_bytes()?, &key)?;
        let bytes = captured.report_bytes()?.to_vec();
        Ok(Recorded { captured, record, bytes })
    }
}
