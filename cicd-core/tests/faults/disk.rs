//! A full disk is never a verdict, whichever program meets it: with real file systems that are full.

#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../support/project.rs"]
mod project;

use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::model::Status;
use cicd_core::pipeline::{StepReport, latest_summary};
use cicd_core::step::Workspace;
use project::{Project, TESTS};

use crate::support::program;

/// A file system of its own, which goes with this value.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new(options: &str) -> Self {
        let disk = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let path = disk.path();
        disk.system("mount", &["-t", "tmpfs", "-o", options, "none", path.as_str()]);
        disk
    }

    fn path(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).expect("UTF-8").to_owned()
    }

    fn system(&self, program: &str, args: &[&str]) {
        let status = Command::new(program).args(args).status().expect("util-linux is installed");
        assert!(status.success(), "{program} {args:?}: this needs root");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let path = self.path();
        self.system("umount", &["--lazy", path.as_str()]);
    }
}

/// How a step ends while TMPDIR is this folder.
fn end(step: &str, root: &Utf8Path, temporary: &Utf8Path) -> StepReport {
    let mut command = Command::new(program("faulty"));
    command.args(["ci", "--only", step]).current_dir(root).env("TMPDIR", temporary);
    let output = command.stdin(Stdio::null()).output().expect("started");
    let summary = latest_summary(&Workspace::at(root), "ci");
    let mut steps = summary.into_iter().flat_map(|summary| summary.steps);
    let report = steps.find(|report| report.name.as_str() == step);
    assert!(report.is_some(), "no report: {}", String::from_utf8_lossy(&output.stderr));
    report.expect("just looked at")
}

#[test]
fn tests_that_find_no_room_are_no_verdict() {
    let project = Project::new();
    let no_room = "\n\ndef test_writes() -> None:\n    import tempfile\n\n    with tempfile.TemporaryFile() as file:\n        file.write(b\"x\" * 1_000_000)\n";
    let silent = "\n\ndef test_writes() -> None:\n    import os, tempfile\n\n    path = tempfile.mkdtemp() + \"/big\"\n    try:\n        open(path, \"wb\", buffering=0).write(b\"x\" * 1_000_000)\n        wrote = os.path.getsize(path) == 1_000_000\n    except OSError:\n        wrote = False\n    assert wrote\n";
    let inodes = "\n\ndef test_writes(tmp_path) -> None:\n    for number in range(1_000):\n        (tmp_path / str(number)).touch()\n";
    for (options, test) in [("size=256k", silent), ("size=16m,nr_inodes=100", inodes)] {
        project
            .write("app/tests/test_cart.py", &format!("{TESTS}{no_room}{}", test.replace("test_writes", "test_more")));
        project.commit();
        let disk = Disk::new(options);
        let report = end("tests", project.path(), &disk.path());
        let reason = report.reason.as_deref().unwrap_or_default();
        assert_eq!(report.status, Status::Error, "{test}: {report:?}");
        assert!(reason.contains("no verdict, as a disk was full: "), "{reason}");
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert!(codes.contains(&"PYT-001"), "what was found is shown all the same: {codes:?}");
    }
    let roomy = tempfile::tempdir().expect("a temporary folder");
    let report = end("tests", project.path(), Utf8Path::from_path(roomy.path()).expect("UTF-8"));
    assert_eq!(report.status, Status::Passed, "{report:?}");
}

#[test]
fn a_command_that_finds_no_room_is_no_verdict() {
    let project = Project::new();
    let disk = Disk::new("size=64k");
    let inodes = Disk::new("nr_inodes=10");
    let fill = "dd if=/dev/zero of=\"$TMPDIR/big\" bs=1M count=1";
    for (line, folder, expected) in [
        (fill, &disk, Status::Error),
        (&format!("{fill} 2>/dev/null"), &disk, Status::Error),
        (&format!("{fill} 2>&1 || rm \"$TMPDIR/big\"; exit 1"), &disk, Status::Error),
        ("for i in {1..20}; do : > \"$TMPDIR/$i\" 2>/dev/null || exit 1; done", &inodes, Status::Error),
        // A command that passes has found room enough for what it does.
        (&format!("{fill}; true"), &disk, Status::Passed),
    ] {
        project.write("script.sh", line);
        let report = end("bash", project.path(), &folder.path());
        assert_eq!(report.status, expected, "{line}: {:?}", report.reason);
    }
    let roomy = tempfile::tempdir().expect("a temporary folder");
    let roomy = Utf8Path::from_path(roomy.path()).expect("UTF-8");
    project.write("script.sh", "exit 1");
    assert_eq!(end("bash", project.path(), roomy).status, Status::Failed, "with room, a failure is one");
}
