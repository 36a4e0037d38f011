use std::ffi::OsString;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::model::Status;
use cicd_core::pipeline::Summary;
use xshell::{Shell, cmd};

static TURN: Mutex<()> = Mutex::new(());

/// A copy of this repository, committed, to be spoilt.
pub(crate) struct Checkout {
    pub(crate) shell: Shell,
    root: Utf8PathBuf,
    env: Vec<(&'static str, OsString)>,
    _folder: xshell::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Checkout {
    /// Copies every file that git knows or would add.
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let shell = Shell::new().expect("a shell");
        let folder = shell.create_temp_dir().expect("a temporary folder");
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        let from = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        shell.change_dir(&from);
        let files = cmd!(shell, "git ls-files --cached --others --exclude-standard").quiet().read().expect("git");
        for file in files.lines().filter(|file| from.join(file).exists()) {
            let to = root.join(file);
            fs::create_dir_all(to.parent().expect("below the root")).expect("made");
            fs::copy(from.join(file), to).expect("copied");
        }
        shell.change_dir(&root);
        let checkout = Self { shell, root, env: Vec::new(), _folder: folder, _turn: turn };
        cmd!(checkout.shell, "git init --quiet").quiet().run().expect("git");
        checkout.commit();
        checkout
    }

    /// Commits everything.
    pub(crate) fn commit(&self) {
        cmd!(self.shell, "git add --all").quiet().run().expect("git");
        let identity =
            ["-c", "user.name=scenario", "-c", "user.email=scenario@example.org", "-c", "commit.gpgsign=false"];
        cmd!(self.shell, "git {identity...} commit --quiet --allow-empty --message scenario")
            .quiet()
            .run()
            .expect("git");
    }

    pub(crate) fn path(&self, relative: &str) -> Utf8PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).expect("readable")
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        fs::write(self.path(relative), text).expect("written");
    }

    /// Replaces a text that must be there.
    pub(crate) fn replace(&self, relative: &str, from: &str, to: &str) {
        let text = self.read(relative);
        assert!(text.contains(from), "{relative} has no {from:?}: the scenario no longer fits the repository");
        self.write(relative, &text.replacen(from, to, 1));
    }

    /// Sets a variable for the run.
    pub(crate) fn env(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.env.push((name, value.into()));
    }

    /// Runs one step and what it needs, and asserts the exit code of the whole run.
    #[track_caller]
    pub(crate) fn ci(&self, step: &str, exit_code: i32) -> Summary {
        let (code, summary) = self.run(step);
        assert_eq!(code, exit_code, "\n{}", told(&summary));
        summary
    }

    /// Runs one step and gives what it came to.
    #[track_caller]
    pub(crate) fn status_of(&self, step: &str) -> Status {
        let (code, summary) = self.run(step);
        let report = summary.steps.iter().find(|report| report.name.as_str() == step);
        let status = report.expect("the step is in the pipeline").status;
        assert_eq!(code == 0, status.is_green(), "\n{}", told(&summary));
        status
    }

    /// Runs the whole pipeline.
    #[track_caller]
    pub(crate) fn whole(&self) -> (i32, Summary) {
        self.run_with(&[])
    }

    #[track_caller]
    fn run(&self, step: &str) -> (i32, Summary) {
        self.run_with(&["--only", step])
    }

    #[track_caller]
    fn run_with(&self, options: &[&str]) -> (i32, Summary) {
        let xtask = env!("CARGO_BIN_EXE_xtask");
        let mut command = cmd!(self.shell, "{xtask} ci {options...}").quiet().ignore_status();
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        let output = command.output().expect("it ran");
        let code = output.status.code().expect("no signal");
        let text = fs::read_to_string(self.path("target/ci/latest/summary.json"));
        let text = text.unwrap_or_else(|error| {
            panic!("no summary ({error}), exit code {code}:\n{}", String::from_utf8_lossy(&output.stderr))
        });
        (code, serde_json::from_str(&text).expect("a summary"))
    }
}

/// Asserts that `step` ended so, and that it names `code` among its findings where one is expected.
#[track_caller]
pub(crate) fn assert_step(summary: &Summary, step: &str, status: Status, code: Option<&str>) {
    let report = summary.steps.iter().find(|report| report.name.as_str() == step).expect("the step is in the pipeline");
    assert_eq!(report.status, status, "\n{}", told(summary));
    if let Some(code) = code {
        let named = report.findings.iter().any(|finding| finding.code.as_str() == code && finding.exception.is_none());
        assert!(named, "{step} does not name {code}:\n{}", told(summary));
    }
}

/// Every step of a run, for the message of a failed assertion.
pub(crate) fn told(summary: &Summary) -> String {
    let steps = summary.steps.iter().map(|report| {
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
        format!("{} {} {codes:?} {}", report.name, report.status, report.reason.as_deref().unwrap_or(""))
    });
    steps.collect::<Vec<_>>().join("\n")
}
