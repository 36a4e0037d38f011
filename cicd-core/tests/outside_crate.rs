//! A crate outside the workspace defines a step of its own and gets the whole command line.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::process::{Cancel, Captured, Discard, Invocation, execute};

const SOURCE: &str = include_str!("outside/xtask.rs");

fn cargo(dir: &Utf8Path, args: &[&str]) -> Captured {
    let target = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/outside-crate");
    let cargo = Utf8PathBuf::from(env!("CARGO"));
    let call = Invocation::program(&cargo).args(args).dir(dir).env("CARGO_TARGET_DIR", target);
    execute(&call, &cargo, &mut Discard, &Cancel::new().expect("descriptors")).expect("cargo ran")
}

#[test]
fn a_step_takes_fewer_than_15_lines() {
    let step = SOURCE
        .split("// The step begins here.\n")
        .nth(1)
        .and_then(|rest| rest.split("// The step ends here.").next())
        .expect("the markers");
    let lines = step.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines < 15, "{lines} lines");
}

#[test]
fn another_repository_gets_the_whole_command_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = Utf8Path::from_path(dir.path()).expect("UTF-8");
    let core = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\ncicd-core = {{ path = {core:?}, default-features = false }}\n\n[workspace]\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest).expect("written");
    fs::copy(Utf8Path::new(core).join("../Cargo.lock"), dir.join("Cargo.lock")).expect("the same versions");
    fs::create_dir(dir.join("src")).expect("made");
    fs::write(dir.join("src/main.rs"), SOURCE).expect("written");

    fs::write(dir.join("script.sh"), "echo fine\n").expect("written");
    let green = cargo(dir, &["run", "--quiet", "--", "ci"]);
    assert!(green.success(), "{}", green.stderr_text());
    assert!(green.stdout_text().expect("text").contains("outside passed: 1 passed"));

    fs::write(dir.join("script.sh"), "if then\n").expect("written");
    let red = cargo(dir, &["run", "--quiet", "--", "ci"]);
    assert_eq!(red.exit, cicd_core::process::Exit::Code(1));
    assert!(red.stdout_text().expect("text").contains("SH-001"), "the finding is shown");

    let usage = cargo(dir, &["run", "--quiet", "--", "ci", "--only", "shell-sintax"]);
    assert_eq!(usage.exit, cicd_core::process::Exit::Code(2));
    assert!(usage.stderr_text().contains("did you mean \"shell-syntax\"?"), "{}", usage.stderr_text());
}
