//! Exit code 1: looked, and found something.

use cicd_core::model::Status;
use xshell::cmd;

use crate::checkout::{Checkout, assert_step};

/// Adds a package with a known flaw to the lock, the way a developer would.
fn add_requests(checkout: &Checkout) {
    let requirements = checkout.read("flask-app/requirements.in");
    checkout.write("flask-app/requirements.in", &format!("{requirements}requests==2.30.0\n"));
    let uv = cicd_core_uv();
    let _app = checkout.shell.push_dir("flask-app");
    cmd!(
        checkout.shell,
        "{uv} pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --output-file requirements.txt requirements.in"
    )
    .quiet()
    .run()
    .expect("uv locks");
}

/// The uv that `cargo xtask setup` installed.
fn cicd_core_uv() -> camino::Utf8PathBuf {
    let workspace = cicd_core::step::Workspace::at(camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let variables = std::env::vars_os().collect();
    let folders = cicd_core::setup::tool_folders(&variables, &workspace).expect("a manifest");
    folders.into_iter().map(|folder| folder.join("uv")).find(|uv| uv.exists()).expect("`cargo xtask setup` installs uv")
}

#[test]
fn a_vulnerable_package_and_the_wrong_ways_to_ignore_it() {
    let checkout = Checkout::new();
    add_requests(&checkout);
    checkout.commit();
    let summary = checkout.ci("trivy", 1);
    assert_step(&summary, "trivy", Status::Failed, Some("CVE-2023-32681"));

    checkout.write("ci/.trivyignore", "CVE-2023-32681\n");
    checkout.commit();
    let summary = checkout.ci("trivy", 1);
    assert_step(&summary, "trivy", Status::Failed, Some("IGN-001"));
    assert_step(&summary, "trivy", Status::Failed, Some("CVE-2023-32681"));

    let expired = "# reason: no proxy is ever configured for this service\n# owner: @cicd-core/security\nCVE-2023-32681 exp:2024-01-01\n";
    checkout.write("ci/.trivyignore", expired);
    checkout.commit();
    let summary = checkout.ci("trivy", 1);
    assert_step(&summary, "trivy", Status::Failed, Some("IGN-004"));
}

#[test]
fn an_ignore_entry_for_a_flaw_that_is_not_there() {
    let checkout = Checkout::new();
    let stale = "# reason: no proxy is ever configured for this service\n# owner: @cicd-core/security\nCVE-2023-32681 exp:2099-01-01\n";
    checkout.write("ci/.trivyignore", stale);
    checkout.commit();
    let summary = checkout.ci("trivy", 1);
    assert_step(&summary, "trivy", Status::Failed, Some("IGN-006"));
}

#[test]
fn a_dependency_that_is_not_approved() {
    let checkout = Checkout::new();
    let approved = checkout.read("ci/approved_dependencies.csv");
    let without: Vec<&str> = approved.lines().filter(|line| !line.starts_with("werkzeug,")).collect();
    assert!(without.len() < approved.lines().count(), "werkzeug is no longer on the list");
    checkout.write("ci/approved_dependencies.csv", &(without.join("\n") + "\n"));
    checkout.commit();
    let summary = checkout.ci("licenses", 1);
    assert_step(&summary, "licenses", Status::Failed, Some("LIC-001"));
}

#[test]
fn a_deleted_test() {
    let checkout = Checkout::new();
    let tests = checkout.read("flask-app/tests/test_probe.py");
    let first = tests.find("\ndef test_").expect("a test");
    let next = tests[first + 1..].find("\ndef test_").map_or(tests.len(), |at| first + 1 + at);
    checkout.write("flask-app/tests/test_probe.py", &(tests[..first].to_owned() + &tests[next..]));
    checkout.commit();
    let summary = checkout.ci("coverage", 1);
    assert_step(&summary, "unit-tests", Status::Failed, Some("PYT-003"));
}

#[test]
fn an_endpoint_that_sleeps() {
    let checkout = Checkout::new();
    let body = "    def healthcheck() -> Response:\n";
    let slow = format!("{body}        __import__(\"time\").sleep(0.5)\n");
    checkout.replace("flask-app/myapplication/views.py", body, &slow);
    checkout.commit();
    let summary = checkout.ci("load", 1);
    assert_step(&summary, "load", Status::Failed, Some("LOAD-001"));
}

#[test]
fn an_image_that_runs_as_root() {
    let checkout = Checkout::new();
    checkout.replace("flask-app/Dockerfile", "USER 10001:10001", "USER root");
    checkout.commit();
    let summary = checkout.ci("image", 1);
    assert_step(&summary, "image", Status::Failed, Some("IMG-001"));
}

#[test]
fn a_workflow_with_an_action_that_is_not_pinned() {
    let checkout = Checkout::new();
    let pinned = "actions/setup-python@a309ff8b426b58ec0e2a45f0f869d46889d02405";
    checkout.replace(".github/workflows/ci.yml", pinned, "actions/setup-python@v6");
    checkout.commit();
    let summary = checkout.ci("workflow-lint", 1);
    assert_step(&summary, "workflow-lint", Status::Failed, Some("unpinned-uses"));
}

#[test]
fn a_dockerfile_whose_exception_gives_no_reason() {
    let checkout = Checkout::new();
    checkout.replace("flask-app/Dockerfile", "# reason: DEPS_IMAGE is", "# DEPS_IMAGE is");
    checkout.commit();
    let summary = checkout.ci("iac-scan", 1);
    assert_step(&summary, "iac-scan", Status::Failed, Some("CKV_DOCKER_7"));
    assert_step(&summary, "iac-scan", Status::Failed, Some("IGN-016"));
}

#[test]
fn python_that_runs_what_it_is_told() {
    let checkout = Checkout::new();
    let views = checkout.read("flask-app/myapplication/views.py");
    checkout.write(
        "flask-app/myapplication/views.py",
        &format!("{views}\n\ndef run(text):\n    return eval(text)  # nosec\n"),
    );
    checkout.commit();
    let summary = checkout.ci("sast", 1);
    assert_step(&summary, "sast", Status::Failed, Some("B307"));
    assert_step(&summary, "sast", Status::Failed, Some("IGN-016"));
}

#[test]
fn a_secret_in_a_test() {
    let checkout = Checkout::new();
    let key = ["AK", "IAT5YVN3WQ8KXLB2MD"].concat();
    let tests = checkout.read("flask-app/tests/test_probe.py");
    checkout.write("flask-app/tests/test_probe.py", &format!("{tests}\nKEY = \"{key}\"\n"));
    checkout.commit();
    let summary = checkout.ci("secret-scan", 1);
    assert_step(&summary, "secret-scan", Status::Failed, Some("aws-access-key-id"));
}

#[test]
fn a_rule_that_gives_the_policy_to_somebody_else() {
    let checkout = Checkout::new();
    let owners = checkout.read(".github/CODEOWNERS");
    checkout.write(".github/CODEOWNERS", &format!("{owners}*.toml @cicd-core/maintainers\n"));
    checkout.commit();
    let summary = checkout.ci("code-owners", 1);
    assert_step(&summary, "code-owners", Status::Failed, Some("CO-002"));
}

#[test]
fn a_dockerfile_that_hadolint_refuses() {
    let checkout = Checkout::new();
    checkout.replace("flask-app/Dockerfile", "WORKDIR /opt/app", "WORKDIR opt/app");
    checkout.commit();
    let summary = checkout.ci("dockerfile-lint", 1);
    assert_step(&summary, "dockerfile-lint", Status::Failed, Some("DL3000"));
}

#[test]
fn a_file_that_git_is_told_to_ignore_is_named() {
    let checkout = Checkout::new();
    let summary = checkout.ci("source", 0);
    // Scripts of the shell are judged by nobody, which somebody answers for.
    assert_step(&summary, "source", Status::Exempted, None);
    for (rules, path) in [
        (".git/info/exclude", "flask-app/myapplication/debug.py"),
        ("flask-app/.gitignore", "flask-app/tests/conftest_more.py"),
        (".git/info/exclude", "flask-app/pytest.ini"),
    ] {
        let name = path.rsplit('/').next().expect("a name");
        let kept = checkout.read(rules);
        checkout.write(rules, &format!("{kept}{name}\n"));
        checkout.commit();
        checkout.write(path, "import subprocess\nsubprocess.run(\"x\", shell=True)\n");
        let summary = checkout.ci("source", 1);
        assert_step(&summary, "source", Status::Failed, Some("SRC-001"));
        assert!(summary.steps.iter().flat_map(|step| &step.findings).any(|finding| finding.message.contains(path)));
        std::fs::remove_file(checkout.path(path)).expect("removed");
    }
}
