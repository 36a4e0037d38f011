//! The bill of materials of a real image, by the real Trivy.
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::process::Command;

use camino::Utf8Path;
use cicd_core::docker::ImageUnderTest;
use cicd_core::model::Status;
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Justification, Policy, evaluate};
use cicd_core::step::{Outcome, Step as _, StepError, Workspace};
use cicd_core::steps::{BillOfMaterials, Sbom};

const STATUS: &str = "Package: libc6\nStatus: install ok installed\nMaintainer: m <m@example.org>\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\nDescription: x\n\nPackage: login\nStatus: install ok installed\nMaintainer: m <m@example.org>\nArchitecture: amd64\nVersion: 1:4.13+dfsg1-1\nDescription: x\n\n";
const DEBIAN: [(&str, &str); 3] = [
    ("etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"),
    ("etc/debian_version", "12.11\n"),
    ("var/lib/dpkg/status", STATUS),
];
const LICENSED: (&str, &str) =
    ("app/one-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1.0\nLicense: MIT\n");

/// An image that is removed at the end.
struct Bench {
    root: tempfile::TempDir,
    image: String,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let archive = root.path().join("image.tar");
        let mut builder = tar::Builder::new(fs::File::create(&archive).expect("created"));
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, path, text.as_bytes()).expect("added");
        }
        builder.finish().expect("finished");
        let image = docker(&["import", archive.to_str().expect("UTF-8")]).trim().to_owned();
        Self { root, image }
    }

    fn context(&self, step: &str, epoch: &str) -> Alone {
        let workspace = Workspace::at(Utf8Path::from_path(self.root.path()).expect("UTF-8"));
        let mut outside = Outside::gather(&workspace, Vec::new()).expect("an environment");
        outside.environment.variables.insert("SOURCE_DATE_EPOCH".into(), epoch.into());
        outside.environment.variables.insert("TRIVY_FORMAT".into(), "table".into());
        alone(&workspace, step, outside).expect("a context")
    }

    fn image(&self) -> ImageUnderTest {
        let text = format!(
            r#"{{"id":"{}","name":"registry.example.org/shop:test","size_bytes":1,"user":"10001","labels":{{}},"platform":"linux/amd64","commit":"{}","dirty":false,"bases":[]}}"#,
            self.image,
            "0".repeat(40)
        );
        serde_json::from_str(&text).expect("an image as a run folder has it")
    }

    fn run(&self, sbom: &Sbom, step: &str) -> Result<Outcome<BillOfMaterials>, StepError> {
        sbom.run(&self.context(step, "1700000000"), self.image())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.image]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test prepares what the library will look at")]
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker");
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    let bench = Bench::new(&[&DEBIAN[..], &[LICENSED]].concat());
    let run = |step: &str| {
        let bill = bench.run(&Sbom::new(), step).expect("looked").value;
        assert_eq!(bill.packages(), 3);
        assert!(bill.cyclonedx().ends_with(format!("steps/{step}/shop.cdx.json")), "{}", bill.cyclonedx());
        [bill.cyclonedx(), bill.spdx()].map(|path| fs::read_to_string(path).expect("written"))
    };
    let first = run("one");
    // The engine knows the image by another name now, which is not a part of it.
    docker(&["image", "tag", &bench.image, "cicd-core-sbom-test:again"]);
    let second = run("two");
    docker(&["image", "rm", "cicd-core-sbom-test:again"]);
    assert_eq!(first, second);
    for text in first {
        assert!(text.contains("2023-11-14T22:13:20Z") && text.contains(&bench.image), "{text}");
        assert!(text.contains("pkg:deb/debian/login@4.13%2Bdfsg1-1?arch=amd64&distro=debian-12.11&epoch=1"), "{text}");
    }
}

#[test]
fn a_package_without_a_licence_fails_it_unless_somebody_answers_for_it() {
    let silent = ("app/two-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: two\nVersion: 2.0\n");
    let bench = Bench::new(&[&DEBIAN[..], &[LICENSED, silent]].concat());
    let verdict = |sbom: &Sbom, step: &str| {
        let Outcome { findings, exceptions, .. } = bench.run(sbom, step).expect("looked");
        let verdict = evaluate(findings, &exceptions, &Policy::default(), "2026-11-21".parse().expect("a date"));
        let targets = verdict
            .findings
            .iter()
            .map(|one| format!("{} {}", one.code, one.target.as_ref().map_or_else(String::new, ToString::to_string)));
        (verdict.status, targets.collect::<Vec<_>>())
    };
    let found = vec!["SBOM-001 pkg:pypi/two@2.0".to_owned()];
    assert_eq!(verdict(&Sbom::new(), "one"), (Status::Failed, found.clone()));
    let why = Justification::new("written by the same team, which grants all rights", "@example/legal", "2027-01-01");
    let accepting = Sbom::new().accept_unlicensed("pkg:pypi/two", why.expect("valid"));
    assert_eq!(verdict(&accepting, "two"), (Status::Exempted, found));
}

#[test]
fn an_image_whose_packages_nobody_can_list_is_an_error() {
    let without_dpkg = Bench::new(&[DEBIAN[0], DEBIAN[1], LICENSED]);
    let error = without_dpkg.run(&Sbom::new(), "one").expect_err("no packages");
    assert!(error.to_string().contains("no database of dpkg's"), "{error}");

    // A package that is to be removed and has not been is installed; Trivy passes over it.
    let status = STATUS.replace("Package: login\nStatus: install", "Package: login\nStatus: deinstall");
    let bench = Bench::new(&[DEBIAN[0], DEBIAN[1], ("var/lib/dpkg/status", &status), LICENSED]);
    let error = bench.run(&Sbom::new(), "one").expect_err("not complete");
    assert!(error.to_string().contains("lacks packages of the image: login 1:4.13+dfsg1-1 (amd64)"), "{error}");

    let image = bench.image();
    let error = Sbom::new().run(&bench.context("two", "yesterday"), image).expect_err("no time");
    assert!(error.to_string().contains("SOURCE_DATE_EPOCH"), "{error}");
}
