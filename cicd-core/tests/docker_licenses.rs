//! The licence check on a real image: two real wheels' metadata on top of nothing, imported into the engine.
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::docker::ImageUnderTest;
use cicd_core::formats::write_approved;
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Policy, evaluate};
use cicd_core::step::{Step as _, Workspace};
use cicd_core::steps::{LicenseCheck, propose_licenses};
use sha2::{Digest as _, Sha256};

const LIST: &str = "ci/approved_dependencies.csv";

/// A repository with a list of approved packages, and an image that is removed at the end.
struct Bench {
    root: tempfile::TempDir,
    image: String,
}

impl Bench {
    fn new(packages: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut bench = Self { image: String::new(), root };
        run("git", &["init", "--quiet", bench.path().as_str()]);
        let git = ["-C", bench.path().as_str(), "-c", "user.name=t", "-c", "user.email=t@example.com"];
        run("git", &[&git[..], &["commit", "--quiet", "--allow-empty", "--message", "first"]].concat());
        fs::create_dir_all(bench.path().join("ci")).expect("made");
        let archive = bench.path().join("image.tar");
        let mut builder = tar::Builder::new(fs::File::create(&archive).expect("created"));
        let data = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/licenses");
        for package in packages {
            let name = format!("{package}.dist-info");
            builder.append_dir_all(format!("opt/site-packages/{name}"), data.join(&name)).expect("added");
            let record = record(&data, &name);
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(record.len() as u64);
            let path = format!("opt/site-packages/{name}/RECORD");
            builder.append_data(&mut header, path, record.as_bytes()).expect("added");
        }
        builder.append_path_with_name(data.join("README.md"), "README.md").expect("added");
        builder.finish().expect("finished");
        let imported = run("docker", &["import", archive.as_str()]);
        bench.image = imported.trim().to_owned();
        bench
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.root.path()).expect("UTF-8")
    }

    fn context(&self, step: &str) -> Alone {
        let workspace = Workspace::at(self.path());
        alone(&workspace, step, Outside::gather(&workspace, Vec::new()).expect("an environment")).expect("a context")
    }

    fn image(&self) -> ImageUnderTest {
        let text = format!(
            r#"{{"id":"{}","name":"licences:test","size_bytes":1,"user":"10001","labels":{{}},"platform":"linux/amd64","commit":"{}","dirty":false,"bases":[]}}"#,
            self.image,
            "0".repeat(40)
        );
        serde_json::from_str(&text).expect("an image as a run folder has it")
    }

    /// Writes the list as somebody would who reviewed every row of the proposal.
    fn approve(&self, spdx: &str) {
        let mut rows = propose_licenses(&self.context("propose"), &self.image, LIST.into()).expect("a proposal");
        for row in &mut rows {
            row.spdx = spdx.to_owned();
            row.approval = Some(("@example/legal".to_owned(), "2026-11-01".parse().expect("a date")));
            row.reason = "reviewed, without conditions of use".to_owned();
        }
        fs::write(self.path().join(LIST), write_approved(&rows)).expect("written");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !self.image.is_empty() {
            run("docker", &["image", "rm", "--force", &self.image]);
        }
    }
}

/// The list of a package's files, as an installer writes it.
fn record(data: &Utf8Path, name: &str) -> String {
    let mut lines = String::new();
    for entry in fs::read_dir(data.join(name)).expect("a folder") {
        let path = entry.expect("a file").path();
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(fs::read(&path).expect("readable")));
        let file = path.file_name().expect("a name").to_str().expect("UTF-8");
        lines.push_str(&format!("{name}/{file},sha256={digest},\n"));
    }
    lines + &format!("{name}/RECORD,,\n")
}

#[expect(clippy::disallowed_methods, reason = "a test prepares what the library will look at")]
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect(program);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn containers_of(cx: &Alone) -> String {
    run("docker", &["ps", "--all", "--quiet", "--filter", &format!("label=dev.cicd-core.run={}", cx.shared().id)])
}

fn check(bench: &Bench, gate: &LicenseCheck) -> (String, Vec<String>) {
    let cx = bench.context("licenses");
    let outcome = gate.run(&cx, bench.image()).expect("looked");
    assert_eq!(containers_of(&cx), "", "the container is gone");
    assert!(!cx.dir().join("rootfs.tar").exists(), "the archive is gone");
    let headline = outcome.facts.headline().expect("a headline").to_owned();
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), cx.today());
    (headline, verdict.findings.iter().map(|finding| finding.code.to_string()).collect())
}

#[test]
fn what_ships_is_compared_with_what_was_approved() {
    let old = Bench::new(&["filelock-3.8.1"]);
    old.approve("Unlicense");
    let gate = LicenseCheck::approved(LIST);
    assert_eq!(check(&old, &gate), ("1 package, all approved".to_owned(), Vec::new()));

    let new = Bench::new(&["filelock-3.8.2", "markupsafe-3.0.4"]);
    fs::copy(old.path().join(LIST), new.path().join(LIST)).expect("the list of before");
    let (headline, mut codes) = check(&new, &gate);
    codes.sort();
    assert_eq!(headline, "2 packages, 2 not approved");
    assert_eq!(codes, ["LIC-001", "LIC-002", "LIC-008"], "LIC-008: the recording leaves out markupsafe's licence file");

    fs::write(new.path().join("requirements.txt"), "filelock==3.8.1\n").expect("written");
    let (_, codes) = check(&new, &gate.locked_requirements("requirements.txt"));
    assert_eq!(codes.iter().filter(|code| *code == "LIC-009").count(), 2);
}

#[test]
fn an_image_without_packages_and_a_broken_list_are_errors() {
    let bench = Bench::new(&[]);
    fs::write(bench.path().join(LIST), write_approved(&[])).expect("written");
    let cx = bench.context("licenses");
    let error = LicenseCheck::approved(LIST).run(&cx, bench.image()).expect_err("nothing to judge").to_string();
    assert!(error.contains("the image holds no Python package"), "{error}");
    assert_eq!(containers_of(&cx), "", "the container is gone after an error too");

    fs::write(bench.path().join(LIST), "name,vresion\n").expect("written");
    let cx = bench.context("licenses");
    let error = LicenseCheck::approved(LIST).run(&cx, bench.image()).expect_err("broken").to_string();
    assert!(error.starts_with("ci/approved_dependencies.csv:1:6: "), "{error}");
    let missing = LicenseCheck::approved(Utf8PathBuf::from("ci/none.csv")).run(&cx, bench.image());
    assert!(missing.expect_err("no list").to_string().contains("ci/none.csv"));
}

#[test]
fn an_image_that_is_not_there_is_an_error() {
    let bench = Bench::new(&["filelock-3.8.1"]);
    bench.approve("Unlicense");
    let mut image = bench.image();
    image.id = format!("sha256:{}", "0".repeat(64));
    let cx = bench.context("licenses");
    assert!(LicenseCheck::approved(LIST).run(&cx, image).is_err());
}
