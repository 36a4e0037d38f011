//! Runs `faulty`, an `xtask` whose steps misbehave, in a folder of its own, and looks at everything that it leaves.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::pipeline::{Summary, latest_summary};
use cicd_core::step::Workspace;

/// What dies with its group needs a moment to be gone from the table of processes.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn program(name: &str) -> Utf8PathBuf {
    let test = Utf8PathBuf::from_path_buf(std::env::current_exe().expect("this test's own path")).expect("UTF-8");
    let program = test.ancestors().nth(2).expect("target/debug").join("examples").join(name);
    assert!(program.exists(), "{program} is missing: `cargo build --examples` makes it, as a plain `cargo test` does");
    program
}

/// A checkout in a temporary folder.
pub(crate) struct Place {
    _folder: tempfile::TempDir,
    pub(crate) root: Utf8PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::of(tempfile::tempdir().expect("a temporary folder"))
    }

    /// One that other users reach too, where the folder for temporary files is that of a run, into which only its owner looks.
    pub(crate) fn open_to_all() -> Self {
        let temporary = Utf8PathBuf::from_path_buf(std::env::temp_dir()).expect("UTF-8");
        let is_open = |folder: &&Utf8Path| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o007 == 0o007);
        let open = temporary.ancestors().filter(is_open).last().expect("a folder for temporary files of everybody");
        Self::of(tempfile::tempdir_in(open).expect("a temporary folder"))
    }

    fn of(folder: tempfile::TempDir) -> Self {
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8").canonicalize_utf8().expect("a path");
        fs::write(root.join("Cargo.toml"), "[workspace]\n").expect("written");
        Self { _folder: folder, root }
    }

    /// The program with these arguments, its own environment reduced to `PATH`, and no input.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("faulty"));
        command.args(args).current_dir(&self.root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("started")
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
    }

    pub(crate) fn summary(&self, area: &str) -> Option<Summary> {
        latest_summary(&Workspace::at(&self.root), area)
    }

    /// The status of a step in the last run, as the report words it.
    pub(crate) fn status(&self, area: &str, step: &str) -> String {
        let summary = self.summary(area);
        let report = summary.iter().flat_map(|summary| &summary.steps).find(|report| report.name.as_str() == step);
        report.map_or_else(|| "no report".to_owned(), |report| report.status.to_string())
    }

    pub(crate) fn reason(&self, area: &str, step: &str) -> String {
        let summary = self.summary(area);
        let mut steps = summary.iter().flat_map(|summary| &summary.steps);
        steps.find(|report| report.name.as_str() == step).and_then(|report| report.reason.clone()).unwrap_or_default()
    }

    /// The codes of what a step found.
    pub(crate) fn findings(&self, area: &str, step: &str) -> Vec<String> {
        let summary = self.summary(area);
        let steps = summary.iter().flat_map(|summary| &summary.steps).filter(|report| report.name.as_str() == step);
        steps.flat_map(|report| &report.findings).map(|finding| finding.code.to_string()).collect()
    }

    pub(crate) fn log(&self, step: &str) -> Vec<u8> {
        let path = self.root.join("target/ci/latest/steps").join(step).join("log.txt");
        fs::read(&path).map_err(|error| format!("{path}: {error}")).expect("a log")
    }

    /// The processes that were started for this folder and are still there after a moment.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > until {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn processes(&self) -> Vec<String> {
        let root = self.root.as_str().as_bytes();
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").expect("a table of processes").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let marked = environment
                .split(|&byte| byte == 0)
                .any(|entry| entry.starts_with(b"CICD_CORE_PROCESS=") && contains(entry, root));
            if marked {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                left.push(format!("{pid}: {}", String::from_utf8_lossy(&line).replace('\0', " ")));
            }
        }
        left
    }
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The exit code, as a shell tells it.
pub(crate) fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// What a fault came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: String,
    pub(crate) exit: i32,
    /// Anything else that is not as it must be.
    pub(crate) wrong: Vec<String>,
    pub(crate) left: usize,
    /// The containers, networks and volumes that are left, where an engine was at hand.
    pub(crate) containers: Option<usize>,
}

impl Seen {
    pub(crate) fn new(place: &Place, status: impl Into<String>, exit: i32) -> Self {
        let left = place.left_over();
        Self { status: status.into(), exit, wrong: left.clone(), left: left.len(), containers: None }
    }

    pub(crate) fn require(mut self, holds: bool, what: &str) -> Self {
        if !holds {
            self.wrong.push(what.to_owned());
        }
        self
    }
}

/// One row of the table: a fault, and what must come of it.
pub(crate) struct Fault<S = Place> {
    pub(crate) name: &'static str,
    pub(crate) status: &'static str,
    pub(crate) exit: i32,
    pub(crate) run: fn(&S) -> Seen,
}

/// Makes every fault happen, prints the table, and fails when any row is not as it must be.
pub(crate) fn table<S>(title: &str, faults: &[Fault<S>], scene: impl Fn() -> S) {
    let mut text = format!(
        "\n{title}\n{:48} {:22} {:11} {:>9} {:>10} {:>7}\n",
        "fault", "status", "exit code", "processes", "containers", "time"
    );
    let mut wrong = Vec::new();
    for fault in faults {
        let scene = scene();
        let started = Instant::now();
        let seen = (fault.run)(&scene);
        let time = started.elapsed().as_secs_f32();
        let none_left = seen.containers.is_none_or(|count| count == 0);
        let matches = seen.status == fault.status && seen.exit == fault.exit && seen.wrong.is_empty() && none_left;
        let shown =
            |expected: String, seen: String| if expected == seen { seen } else { format!("{seen}, not {expected}") };
        text.push_str(&format!(
            "{:48} {:22} {:11} {:>9} {:>10} {time:>6.1}s{}\n",
            fault.name,
            shown(fault.status.to_owned(), seen.status.clone()),
            shown(fault.exit.to_string(), seen.exit.to_string()),
            seen.left,
            seen.containers.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            if matches { "" } else { "  WRONG" }
        ));
        if !matches {
            wrong.push(format!("{}: {seen:?}", fault.name));
        }
    }
    println!("{text}{} faults, {} wrong", faults.len(), wrong.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
