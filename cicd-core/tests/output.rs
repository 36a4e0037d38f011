//! What the command line says, to readers who cannot hear it all: a full disk, a reader who leaves, a spoilt report.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::process::{Cancel, Captured, Discard, Exit, Invocation, execute};
use cicd_core::setup::{Platform, read_manifest, tool_sets};
use cicd_core::step::Workspace;
use tempfile::TempDir;

/// A checkout, and the program of `examples/sabotaged.rs`.
struct Checkout {
    /// Keeps the folder.
    _folder: TempDir,
    root: Utf8PathBuf,
    program: Utf8PathBuf,
}

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8").canonicalize_utf8().expect("there");
        let test = Utf8PathBuf::from_path_buf(std::env::current_exe().expect("this program")).expect("UTF-8");
        let program = test.ancestors().nth(2).expect("target/debug").join("examples/sabotaged");
        assert!(program.exists(), "run `cargo build --package cicd-core --examples` first");
        let this = Self { _folder: folder, root, program };
        for dir in ["home", "tmp", "tools"] {
            fs::create_dir(this.root.join(dir)).expect("made");
        }
        fs::write(this.root.join("Cargo.toml"), "[workspace]\n").expect("written");
        this.shell("git init --quiet && git add Cargo.toml && git -c user.name=a -c user.email=a@b commit -qm a", &[]);
        this
    }

    /// Runs a line of shell in which `$xtask` is the program.
    fn shell(&self, line: &str, variables: &[(&str, &str)]) -> Captured {
        let mut call = Invocation::program("/bin/sh").args(["-c", line]).dir(&self.root).stderr_bytes_max(1 << 20);
        let tools = self.root.join("tools");
        let own = [
            ("HOME", self.root.join("home")),
            ("TMPDIR", self.root.join("tmp")),
            ("CICD_TOOLS_DIR", tools),
            ("xtask", self.program.clone()),
        ];
        for (name, value) in own.iter().map(|(name, value)| (*name, value.as_str())).chain(variables.iter().copied()) {
            call = call.env(name, value);
        }
        for absent in ["CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"] {
            if !variables.iter().any(|(name, _)| *name == absent) {
                call = call.env_remove(absent);
            }
        }
        execute(&call, "/bin/sh".into(), &mut Discard, &Cancel::new().expect("descriptors")).expect("it ran")
    }

    fn reports(&self) -> Vec<&'static str> {
        let folder = self.root.join("target/ci/latest");
        let there = |name: &&str| folder.join(name).is_file();
        ["report.html", "results.sarif", "junit.xml", "tools.json"].into_iter().filter(there).collect()
    }
}

#[test]
fn whoever_writes_to_standard_output_says_when_it_cannot() {
    let checkout = Checkout::new();
    assert_eq!(checkout.shell("$xtask ci", &[]).exit, Exit::Code(0));
    for command in [
        "",
        "--help",
        "ci --help",
        "plan",
        "plan --format json",
        "plan --format dot",
        "exceptions",
        "exceptions --format csv",
        "exceptions --format json",
        "codes",
        "codes --markdown",
        "completions bash",
        "ci --explain",
        "ci",
    ] {
        let heard = checkout.shell(&format!("$xtask {command}"), &[]);
        assert_eq!(heard.exit, Exit::Code(0), "{command}: {}", heard.stderr_text());
        let full = checkout.shell(&format!("$xtask {command} > /dev/full"), &[]);
        assert_eq!(full.exit, Exit::Code(3), "{command}: {}", full.stderr_text());
        assert!(full.stderr_text().contains("error: standard output cannot be written"), "{}", full.stderr_text());
        // A reader who has read enough is no error, and neither is one who was never there.
        for quiet in
            [format!("($xtask {command}; echo $? > code) | true"), format!("$xtask {command} >&-; echo $? > code")]
        {
            let left = checkout.shell(&quiet, &[]);
            assert_eq!(fs::read_to_string(checkout.root.join("code")).expect("a code"), "0\n", "{quiet}");
            assert!(!left.stderr_text().contains("error"), "{quiet}: {}", left.stderr_text());
        }
    }
    // Whether this machine has everything that doctor asks for, such as room on its disk, is not what is tried here.
    let full = checkout.shell("$xtask doctor > /dev/full", &[]);
    assert_eq!(full.exit, Exit::Code(3), "{}", full.stderr_text());
    assert!(full.stderr_text().contains("error: standard output cannot be written"), "{}", full.stderr_text());
    // What is wrong for another reason keeps its own code.
    assert_eq!(checkout.shell("$xtask nosuch > /dev/full", &[]).exit, Exit::Code(2));
}

#[test]
fn each_report_fails_alone_and_counts() {
    let all = ["report.html", "results.sarif", "junit.xml", "tools.json"];
    for (sabotage, lost) in [
        ("", ""),
        ("report.html", "report.html"),
        ("results.sarif", "results.sarif"),
        ("junit.xml", "junit.xml"),
        ("full", "junit.xml"),
        ("tools.json", "tools.json"),
        ("pipe", "tools.json"),
        ("endless", "tools.json"),
    ] {
        let checkout = Checkout::new();
        fs::create_dir(checkout.root.join("ci")).expect("made");
        let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ci/tools.toml")).expect("there");
        fs::write(checkout.root.join("ci/tools.toml"), manifest).expect("written");
        let workspace = Workspace::at(&checkout.root);
        let manifest = read_manifest(&workspace).expect("a manifest");
        let set = tool_sets(&manifest, Platform::current(), &checkout.root.join("tools")).remove(0).folder;
        fs::create_dir_all(&set).expect("made");
        let summary = checkout.root.join("summary.md");
        let variables = [
            ("SABOTAGE", sabotage),
            ("RECORD", set.join("provenance.json").as_str()),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_STEP_SUMMARY", summary.as_str()),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let run = checkout.shell("$xtask ci", &variables);
        let told = run.stderr_text();
        assert_eq!(run.exit, Exit::Code(if lost.is_empty() { 0 } else { 3 }), "{sabotage}: {told}");
        assert_eq!(told.contains(&format!("{lost} could not be written")), !lost.is_empty(), "{sabotage}: {told}");
        let written = checkout.reports();
        assert_eq!(written, all.into_iter().filter(|name| *name != lost).collect::<Vec<_>>(), "{sabotage}: {told}");
        assert!(fs::read_to_string(&summary).expect("the step summary").contains("sabotaged"), "{sabotage}");
        // What a step left in place of a record is not waited for by whoever comes later either.
        for command in ["ci", "doctor"].into_iter().filter(|_| lost == "tools.json") {
            let later = checkout.shell(&format!("$xtask {command}"), &variables);
            assert!(matches!(later.exit, Exit::Code(2 | 3)), "{sabotage}, {command}: {}", later.stderr_text());
            assert!(later.stderr_text().contains("provenance.json"), "{sabotage}: {}", later.stderr_text());
        }
    }
}

#[test]
fn a_step_summary_that_is_no_file_is_not_waited_for() {
    let checkout = Checkout::new();
    checkout.shell("mkfifo pipe", &[]);
    for place in ["pipe", "tmp", "/dev/full"] {
        let run = checkout.shell("$xtask ci", &[("GITHUB_STEP_SUMMARY", place)]);
        assert_eq!(run.exit, Exit::Code(3), "{place}: {}", run.stderr_text());
        assert!(run.stderr_text().contains("the step summary could not be written"), "{}", run.stderr_text());
        assert_eq!(checkout.reports().len(), 4);
    }
}

#[test]
fn no_terminal_and_no_locale_changes_what_is_said() {
    let checkout = Checkout::new();
    let plain = |captured: &Captured| captured.stdout.clone();
    let usual = checkout.shell("$xtask plan; $xtask codes", &[]);
    assert!(usual.success() && !plain(&usual).contains(&0x1b));
    for variables in [
        [("TERM", "dumb"), ("LC_ALL", "C")],
        [("NO_COLOR", "1"), ("LC_ALL", "de_DE.ISO-8859-1")],
        [("COLUMNS", "20"), ("LANG", "no_such_locale")],
        [("TERM", ""), ("LANG", "")],
    ] {
        let odd = checkout.shell("$xtask plan; $xtask codes", &variables);
        assert_eq!(plain(&odd), plain(&usual), "{variables:?}");
        let run = checkout.shell("$xtask ci", &variables);
        assert!(run.success() && !plain(&run).contains(&0x1b), "{variables:?}");
    }
}

/// The class: text of others that a CI system obeys, on any way to its log.
#[test]
fn nothing_that_is_said_steers_a_ci_system() {
    let checkout = Checkout::new();
    let words = "x ##vso[task.complete result=Succeeded;]\n ::add-mask::x\r::error::y ###teamcity[a]\n\u{1b}[8mz";
    for (command, code, how) in [
        ("ci", 1, "finding"),
        ("ci --verbose", 3, "error"),
        ("ci", 3, "path"),
        ("ci", 3, "panic"),
        ("ci", 0, "panic of a thread"),
        ("ci --only \"$WORDS\"", 2, ""),
        ("ci --only \"$WORDS\" --color always", 2, ""),
        ("\"$WORDS\"", 2, ""),
        ("exceptions --as-of \"$WORDS\"", 2, ""),
        ("exceptions", 0, ""),
        ("setup --yes", 2, ""),
    ] {
        let run = checkout.shell(&format!("$xtask {command} 2>&1"), &[("SABOTAGE", how), ("WORDS", words)]);
        let shown = String::from_utf8(run.stdout.clone()).expect("text");
        assert_eq!(run.exit, Exit::Code(code), "{command}: {shown}");
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert!(!shown.contains("##"), "{command}: {shown}");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{command}: {shown}");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{command}: {shown:?}");
    }
}
