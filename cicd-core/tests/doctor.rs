//! The doctor on this machine, and on one whose Docker engine does not answer.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use cicd_core::docker::docker_tool;
use cicd_core::doctor::{self, Inputs, Report, State};
use cicd_core::model::{ExitStatus, StepName};
use cicd_core::pipeline::Pipeline;
use cicd_core::process::{Cancel, Invocation, ToolRequirement, Toolbox};
use cicd_core::step::Workspace;

fn examine(path: &OsStr, tools: &[(&str, ToolRequirement)]) -> Report {
    examine_all(path, tools, &[])
}

fn examine_all(path: &OsStr, tools: &[(&str, ToolRequirement)], programs: &[(StepName, String)]) -> Report {
    let workspace = Workspace::at(env!("CARGO_MANIFEST_DIR"));
    let tools: Vec<_> =
        tools.iter().map(|(step, tool)| (StepName::new(*step).expect("a name"), tool.clone())).collect();
    doctor::check(Inputs {
        tools: &tools,
        programs,
        toolbox: &Toolbox::new(&[], path, workspace.root()),
        workspace: &workspace,
        provenance: Vec::new(),
        cancel: &Cancel::new().expect("descriptors"),
    })
}

fn this_machine() -> OsString {
    std::env::vars_os().find(|(name, _)| name == "PATH").expect("a PATH").1
}

fn state<'a>(report: &'a Report, name: &str) -> &'a State {
    &report.rows.iter().find(|row| row.name == name).expect(name).state
}

#[test]
fn every_problem_is_told_in_one_go() {
    let tools = [
        ("image", docker_tool()),
        ("scan", ToolRequirement::new("no-such-scanner", ">=1")),
        ("lint", ToolRequirement::new("sh-of-no-system", "*")),
        ("graph", ToolRequirement::new("git", ">=99")),
    ];
    let report = examine(&this_machine(), &tools);
    let problems: Vec<_> = report.problems().map(|row| format!("{} {:?}", row.name, row.needed_by)).collect();
    assert_eq!(problems, ["git [\"graph\"]", "no-such-scanner [\"scan\"]", "sh-of-no-system [\"lint\"]"]);
    assert_eq!(report.exit_status(), ExitStatus::Error);
    assert!(matches!(state(&report, "docker"), State::Fine { .. }), "{report:?}");
    assert!(matches!(state(&report, "docker engine"), State::Fine { .. }), "{report:?}");
    assert!(matches!(state(&report, "python3.11"), State::Fine { .. }), "{report:?}");
    assert!(report.render(80).contains("version: git (>=99), needed by graph"));
}

#[test]
fn whatever_a_command_starts_is_looked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plain = Utf8Path::from_path(folder.path()).expect("text").join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("written");
    let mut ci = Pipeline::new("commands");
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/target/no-such-program");
    for (step, program) in [
        ("shell", "/bin/sh"),
        ("absent", "/opt/none"),
        ("no-program", plain.as_str()),
        ("folder", "/tmp"),
        ("made", made),
        ("relative", "scripts/none"),
    ] {
        ci.command(step, Invocation::program(program));
    }
    ci.command("named", Invocation::tool("no-such-program"));
    ci.command("again", Invocation::program("/opt/none"));
    let report = examine_all(&this_machine(), &[], &ci.programs());
    let problems: Vec<_> = report.problems().map(|row| format!("{} {:?}", row.name, row.needed_by)).collect();
    let expected = [
        "/opt/none [\"absent\", \"again\"]".to_owned(),
        "/tmp [\"folder\"]".to_owned(),
        format!("{plain} [\"no-program\"]"),
        "no-such-program [\"named\"]".to_owned(),
    ];
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(problems), sorted(expected.to_vec()));
    assert!(matches!(state(&report, "/bin/sh"), State::Fine { .. }), "{report:?}");
    assert_eq!(report.exit_status(), ExitStatus::Error);
}

#[test]
fn docker_is_not_asked_for_where_no_step_needs_it() {
    let report = examine(&this_machine(), &[]);
    assert!(report.rows.iter().all(|row| !row.name.contains("docker")), "{report:?}");
}

#[test]
fn an_engine_that_does_not_answer_is_a_problem() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let docker = Utf8Path::from_path(folder.path()).expect("text").join("docker");
    let script = "#!/bin/sh\ncase $1 in\nversion|info) echo 'Cannot connect to the Docker daemon' >&2; exit 1 ;;\n*) echo 'Docker version 24.0.1, build 1' ;;\nesac\n";
    fs::write(&docker, script).expect("written");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("changed");
    let mut path = folder.path().as_os_str().to_owned();
    path.push(":");
    path.push(this_machine());
    let report = examine(&path, &[("image", docker_tool())]);
    assert!(matches!(state(&report, "docker"), State::Fine { .. }), "{report:?}");
    let State::Wrong { problem, .. } = state(&report, "docker engine") else { panic!("silent: {report:?}") };
    assert!(problem.contains("Cannot connect"), "{problem}");
    assert_eq!(report.exit_status(), ExitStatus::Error);
}
