//! A repository with a little Python, for steps to judge.

use std::fs;
use std::process::Command;

use camino::Utf8Path;
use cicd_core::model::Status;
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Policy, Verdict, evaluate};
use cicd_core::step::{Outcome, Step, StepError, Workspace};

const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../flask-app/requirements-dev.txt");
pub(crate) const CART: &str = "\"\"\"A cart.\"\"\"\n\n\ndef total(prices: list[int], discount: int = 0) -> int:\n    \"\"\"Add up.\"\"\"\n    if discount:\n        return sum(prices) - discount\n    return sum(prices)\n";
pub(crate) const TESTS: &str = "\"\"\"Tests.\"\"\"\n\nfrom shop.cart import total\n\n\ndef test_total() -> None:\n    assert total([1, 2]) == 3\n\n\ndef test_discount() -> None:\n    assert total([1, 2], 1) == 2\n";

pub(crate) struct Repository(tempfile::TempDir);

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self(tempfile::tempdir().expect("a temporary folder"));
        repository.write("app/shop/__init__.py", "\"\"\"A shop.\"\"\"\n");
        repository.write("app/shop/cart.py", CART);
        repository.write("app/tests/test_cart.py", TESTS);
        repository.write("app/pyproject.toml", "[tool.pytest.ini_options]\npythonpath = [\".\"]\ntestpaths = [\"tests\"]\n\n[tool.coverage.run]\nrelative_files = true\n");
        fs::copy(LOCK, repository.path().join("requirements-dev.txt")).expect("the lock file");
        repository.git(&["init", "--quiet"]);
        repository.commit();
        repository
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).expect("UTF-8")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[expect(clippy::disallowed_methods, reason = "a test prepares what the library will look at")]
    pub(crate) fn git(&self, args: &[&str]) {
        let output = Command::new("git").current_dir(self.path()).args(args).output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "x"]);
    }

    pub(crate) fn context(&self, step: &str) -> Alone {
        let workspace = Workspace::at(self.path());
        alone(&workspace, step, Outside::gather(&workspace, Vec::new()).expect("an environment")).expect("a context")
    }

    /// A month from today: no limit forbids it, and it is not announced as near.
    pub(crate) fn soon(&self) -> String {
        self.context("today").today().saturating_add(jiff::Span::new().days(31)).to_string()
    }

    /// The codes of what a step found, and its verdict.
    pub(crate) fn look<S: Step>(&self, step: &S, input: S::Input) -> (Status, Vec<String>) {
        let verdict = self.verdict(step, input);
        (verdict.status, verdict.findings.iter().map(|finding| finding.code.to_string()).collect())
    }

    /// What is said of what a step found.
    pub(crate) fn verdict<S: Step>(&self, step: &S, input: S::Input) -> Verdict {
        let cx = self.context("step");
        let Outcome { findings, exceptions, .. } = step.run(&cx, input).unwrap_or_else(|error| panic!("{error}"));
        evaluate(findings, &exceptions, &Policy::default(), cx.today())
    }

    pub(crate) fn error<S: Step>(&self, step: &S, input: S::Input) -> String {
        let result: Result<Outcome<S::Output>, StepError> = step.run(&self.context("step"), input);
        match result {
            Ok(_) => panic!("it looked"),
            Err(error) => error.to_string(),
        }
    }
}
