//! Exit code 3: could not decide. Never 0, and never 1 alone.

use std::ffi::OsString;
use std::fs;

use cicd_core::model::Status;

use crate::checkout::{Checkout, assert_step};
use crate::tools::{Toolbox, real};

#[test]
fn trivy_is_not_installed() {
    let mut checkout = Checkout::new();
    Toolbox::without(&mut checkout, &["trivy"]);
    let summary = checkout.ci("trivy", 3);
    assert_step(&summary, "vulnerability-db", Status::Error, None);
}

#[test]
fn trivy_is_of_another_version() {
    let mut checkout = Checkout::new();
    let toolbox = Toolbox::without(&mut checkout, &["trivy"]);
    toolbox.put("trivy", "#!/bin/sh\necho 'Version: 0.40.0'\n");
    let summary = checkout.ci("trivy", 3);
    assert_step(&summary, "vulnerability-db", Status::Error, None);
    let reason = summary
        .steps
        .iter()
        .find(|step| step.name.as_str() == "vulnerability-db")
        .and_then(|step| step.reason.clone())
        .expect("a reason");
    assert!(reason.contains("0.40.0"), "{reason}");
}

#[test]
fn trivy_leaves_half_a_report() {
    let mut checkout = Checkout::new();
    let toolbox = Toolbox::without(&mut checkout, &["trivy"]);
    // The real program does all the work; then half of every report that it was asked for is cut off.
    let text = format!(
        "#!/bin/sh\n{} \"$@\" || exit $?\nwhile [ $# -gt 0 ]; do\n  if [ \"$1\" = --output ] || [ \"$1\" = -o ]; then\n    size=$(stat -c %s \"$2\")\n    truncate -s $((size / 2)) \"$2\"\n  fi\n  shift\ndone\n",
        real("trivy")
    );
    toolbox.put("trivy", &text);
    let summary = checkout.ci("trivy,sbom", 3);
    assert_step(&summary, "trivy", Status::Error, None);
    assert_step(&summary, "sbom", Status::Error, None);
}

#[test]
fn the_docker_daemon_does_not_answer() {
    let mut checkout = Checkout::new();
    let nowhere: OsString = format!("unix://{}", checkout.path("target/no-docker.sock")).into();
    checkout.env("DOCKER_HOST", nowhere);
    let summary = checkout.ci("image", 3);
    assert!(summary.steps.iter().any(|step| step.status == Status::Error));
}

#[test]
fn the_vulnerability_database_is_empty() {
    let checkout = Checkout::new();
    for file in fs::read_dir(checkout.path("ci/advisories")).expect("a folder").flatten() {
        if file.path().extension().is_some_and(|extension| extension == "json") {
            fs::write(file.path(), "{\"source\": \"nothing\", \"advisories\": []}\n").expect("written");
        }
    }
    let summary = checkout.ci("trivy", 3);
    assert_step(&summary, "vulnerability-db", Status::Error, None);
}

#[test]
fn the_image_is_made_from_scratch() {
    let checkout = Checkout::new();
    let dockerfile = "ARG DEPS_IMAGE\nFROM ${DEPS_IMAGE} AS dependencies\nFROM scratch\nARG REVISION\nCOPY VERSION.txt /VERSION.txt\nLABEL org.opencontainers.image.revision=\"${REVISION}\"\nUSER 10001:10001\nHEALTHCHECK CMD [\"/check\"]\n";
    checkout.write("flask-app/Dockerfile", dockerfile);
    checkout.commit();
    let summary = checkout.ci("trivy,sbom", 3);
    assert_step(&summary, "trivy", Status::Error, None);
    assert_step(&summary, "sbom", Status::Error, None);
}

#[test]
fn a_source_is_edited_after_its_tests() {
    let checkout = Checkout::new();
    let conftest = checkout.read("flask-app/tests/conftest.py");
    let edit = "\n\n@pytest.fixture(autouse=True, scope=\"session\")\ndef edit() -> Iterator[None]:\n    yield\n    with open(\"myapplication/views.py\", \"a\") as source:\n        source.write(\"# edited\\n\")\n";
    let import = "from collections.abc import Iterator\n\nimport pytest\n";
    checkout.write("flask-app/tests/conftest.py", &(conftest.replacen("import pytest\n", import, 1) + edit));
    checkout.commit();
    let summary = checkout.ci("coverage", 3);
    assert_step(&summary, "coverage", Status::Error, None);
}

#[test]
fn a_python_file_that_cannot_be_parsed() {
    let checkout = Checkout::new();
    checkout.write("flask-app/myapplication/broken.py", "def broken(:\n");
    checkout.commit();
    let summary = checkout.ci("sast", 3);
    assert_step(&summary, "sast", Status::Error, None);
}

#[test]
fn a_workflow_that_cannot_be_parsed() {
    let checkout = Checkout::new();
    checkout.write(".github/workflows/other.yml", "name: other\non: [\n");
    checkout.commit();
    let summary = checkout.ci("workflow-lint", 3);
    assert_step(&summary, "workflow-lint", Status::Error, None);
}

#[test]
fn a_workflow_that_checkov_passes_over() {
    let checkout = Checkout::new();
    let cancel = "cancel-in-progress: ${{ github.event_name == 'pull_request' }}";
    checkout.replace(".github/workflows/ci.yml", "cancel-in-progress: true", cancel);
    checkout.commit();
    let summary = checkout.ci("iac-scan", 3);
    assert_step(&summary, "iac-scan", Status::Error, None);
}

#[test]
fn an_exception_for_a_secret_that_cannot_be_read() {
    let checkout = Checkout::new();
    checkout.write("ci/exceptions.toml", "[[secret]]\nrule = \"private-key\"\n");
    checkout.commit();
    let summary = checkout.ci("secret-scan", 3);
    assert_step(&summary, "secret-scan", Status::Error, None);
}
