//! A small Python project in a repository of its own, for tests with the real pytest.
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use camino::Utf8Path;
use cicd_core::model::{Finding, Status};
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Policy, evaluate};
use cicd_core::python::Interpreter;
use cicd_core::step::{Outcome, Step, Workspace};
use cicd_core::steps::PythonEnv;

const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../flask-app/requirements-dev.txt");

/// What is shipped: every line and branch is tested.
pub(crate) const CART: &str = "\"\"\"A cart.\"\"\"\n\n\ndef total(prices: list[int], discount: int = 0) -> int:\n    \"\"\"Add up.\"\"\"\n    if discount:\n        return sum(prices) - discount\n    return sum(prices)\n";
/// Its tests.
pub(crate) const TESTS: &str = "\"\"\"Tests.\"\"\"\n\nfrom shop.cart import total\n\n\ndef test_total() -> None:\n    assert total([1, 2]) == 3\n\n\ndef test_discount() -> None:\n    assert total([1, 2], 1) == 2\n";
/// A test that fails.
pub(crate) const BAD: &str = "\n\ndef test_bad() -> None:\n    assert False\n";
/// Its settings.
pub(crate) const SETTINGS: &str = "[tool.pytest.ini_options]\npythonpath = [\".\"]\ntestpaths = [\"tests\"]\n";

/// The repository.
#[derive(Debug)]
pub(crate) struct Project(tempfile::TempDir);

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Came {
    /// It looked: its status, and what it found.
    To(Status, Vec<Finding>),
    /// It could not.
    ToNothing(String),
}

impl Came {
    pub(crate) fn is_green(&self) -> bool {
        matches!(self, Self::To(Status::Passed | Status::Exempted, _))
    }

    pub(crate) fn codes(&self) -> BTreeSet<String> {
        match self {
            Self::To(_, findings) => findings.iter().map(|one| one.code.to_string()).collect(),
            Self::ToNothing(_) => BTreeSet::new(),
        }
    }

    /// Everything that a person reads of it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::To(_, findings) => {
                let line = |one: &Finding| {
                    let place = one.location.as_ref().map_or_else(String::new, |place| format!(" @ {place}"));
                    format!("{} {}{place}\n", one.code, one.message)
                };
                findings.iter().map(line).collect()
            }
            Self::ToNothing(error) => error.clone(),
        }
    }
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a temporary folder"));
        project.write("app/shop/__init__.py", "\"\"\"A shop.\"\"\"\n");
        project.write("app/shop/cart.py", CART);
        project.write("app/tests/test_cart.py", TESTS);
        project.write("app/pyproject.toml", SETTINGS);
        project.write(".gitignore", "/target/\n");
        fs::copy(LOCK, project.path().join("requirements-dev.txt")).expect("the lock file");
        project.git(&["init", "--quiet"]);
        project.commit();
        project
    }

    /// A month from today, which no limit forbids.
    pub(crate) fn soon(&self) -> String {
        self.context("step", &[]).today().saturating_add(jiff::Span::new().days(31)).to_string()
    }

    /// A justification in comments.
    pub(crate) fn why(&self) -> String {
        format!(
            "# reason: the shop is being replaced this winter\n# owner: @example/shop\n# expires: {}\n",
            self.soon()
        )
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).expect("UTF-8")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
    }

    #[expect(clippy::disallowed_methods, reason = "a test prepares what the library will look at")]
    pub(crate) fn git(&self, args: &[&str]) {
        let output = Command::new("git").current_dir(self.path()).args(args).output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "x",
        ]);
    }

    /// The checkout as it was at first.
    pub(crate) fn reset(&self) {
        self.git(&["reset", "--quiet", "--hard"]);
        self.git(&["clean", "--quiet", "-fdx", "--exclude=target"]);
    }

    pub(crate) fn context(&self, step: &str, variables: &[(&str, &str)]) -> Alone {
        let workspace = Workspace::at(self.path());
        let mut outside = Outside::gather(&workspace, Vec::new()).expect("an environment");
        outside.environment.variables.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
        alone(&workspace, step, outside).expect("a context")
    }

    pub(crate) fn python(&self) -> Interpreter {
        PythonEnv::locked("requirements-dev.txt").run(&self.context("env", &[]), ()).expect("an environment").value
    }

    /// What a step finds, and its value.
    pub(crate) fn look<S: Step>(&self, step: &S, input: S::Input) -> (Came, Option<S::Output>) {
        let cx = self.context("step", &[]);
        match step.run(&cx, input) {
            Ok(Outcome { value, findings, exceptions, .. }) => {
                let verdict = evaluate(findings, &exceptions, &Policy::default(), cx.today());
                (Came::To(verdict.status, verdict.findings), Some(value))
            }
            Err(error) => (Came::ToNothing(error.to_string()), None),
        }
    }

    /// Runs a program of the environment.
    #[expect(clippy::disallowed_methods, reason = "a test prepares what the library will look at")]
    pub(crate) fn run(&self, python: &Interpreter, args: &[&str]) {
        let output = Command::new(python.path()).current_dir(self.path()).args(args).output().expect("python");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
