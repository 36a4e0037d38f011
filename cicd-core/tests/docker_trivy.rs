//! `TrivyDatabase` and `TrivyScan` with a real Docker and a real Trivy, on images of a few kilobytes.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::docker::{ImageUnderTest, LABEL_RUN, docker, docker_tool};
use cicd_core::formats::trivy_db::{AdvisoryList, trivy_db};
use cicd_core::model::{Code, Fact, Status, Target};
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Justification, Policy, evaluate};
use cicd_core::process::{Cancel, Toolbox};
use cicd_core::step::{Outcome, Step, StepError, Workspace};
use cicd_core::steps::{ScanReport, TrivyDatabase, TrivyScan};
use cicd_core::trivy::VulnerabilityDatabase;

const ADVISORIES: &str = include_str!("../../ci/advisories/pypi.json");
const LOCKED: &str = "click==8.1.7\nflask==2.2.2\nwerkzeug==2.2.2\n";
/// What the advisories of this repository know about the locked packages.
const FLAWS: [&str; 4] = ["CVE-2023-23934", "CVE-2023-25577", "CVE-2023-30861", "CVE-2023-46136"];
/// A repository that cannot be reached from anywhere.
const UNREACHABLE: &str = "127.0.0.1:1/trivy-db:2";

/// Each of these hides findings from a Trivy that sees it; no test of this file may notice them.
const HOSTILE: [(&str, &str); 4] = [
    ("TRIVY_SEVERITY", "CRITICAL"),
    ("TRIVY_PKG_TYPES", "os"),
    ("TRIVY_SKIP_DIRS", "/usr,/app"),
    ("TRIVY_SCANNERS", "license"),
];

/// A workspace and a run in a temporary folder; the images that it builds are removed with it.
struct Bench {
    root: Utf8PathBuf,
    cx: Alone,
    images: Vec<String>,
    dockerfiles: Vec<Utf8PathBuf>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str) -> Self {
        Self::with_tools(name, |_, _| {})
    }

    /// `prepare` may put programs into a folder that is searched first; it is given that folder and the real Trivy.
    fn with_tools(name: &str, prepare: impl FnOnce(&Utf8Path, &Utf8Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().expect("a path")).expect("UTF-8");
        for dir in ["advisories", "bin", "run"] {
            fs::create_dir(root.join(dir)).expect("a folder");
        }
        fs::write(root.join("advisories/pypi.json"), ADVISORIES).expect("written");
        fs::write(root.join("requirements.txt"), LOCKED).expect("written");
        let variables = std::env::vars_os().chain(HOSTILE.map(|(name, value)| (name.into(), value.into())));
        let variables: std::collections::BTreeMap<_, _> = variables.collect();
        let path = variables.get(std::ffi::OsStr::new("PATH")).cloned().expect("a PATH");
        let trivy = Toolbox::new(&[], &path, &root).locate("trivy");
        prepare(&root.join("bin"), &trivy.expect("trivy is on PATH; `cargo xtask setup` installs it"));
        let mut outside = Outside::without_git(vec![root.join("bin")]).expect("descriptors");
        outside.environment.variables = variables;
        let cx = alone(&Workspace::at(&root), name, outside).expect("a context");
        Self { root, cx, images: Vec::new(), dockerfiles: Vec::new(), _folder: folder }
    }

    /// Builds an image of these files and nothing else.
    fn image(&mut self, files: &[(&str, &str)]) -> ImageUnderTest {
        let context = self.root.join(format!("context-{}", self.images.len()));
        // Two tests never share an image, so that one may remove its own while another scans.
        let own = [("test", self.cx.step().as_str())];
        for (path, text) in files.iter().chain(&own) {
            let path = context.join("rootfs").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("written");
        }
        fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY rootfs/ /\n").expect("written");
        self.cx.require(&docker_tool()).expect("docker");
        let label = format!("{LABEL_RUN}={}", self.cx.shared().id);
        let build = docker(["build", "--quiet", "--no-cache", "--label", &label, context.as_str()]);
        let built = self.cx.run_ok(&build).expect("an image");
        let id = built.stdout_text().expect("an id").trim().to_owned();
        self.images.push(id.clone());
        serde_json::from_value(serde_json::json!({
            "id": id, "name": "test:1", "size_bytes": 0, "user": "", "labels": {}, "platform": "linux/amd64",
            "commit": "", "dirty": false, "bases": [],
        }))
        .expect("an image")
    }

    fn database(&self) -> VulnerabilityDatabase {
        TrivyDatabase::offline("advisories").run(&self.cx, ()).expect("a database").value
    }

    fn scan(&self, image: &ImageUnderTest, database: &VulnerabilityDatabase) -> Result<Outcome<ScanReport>, StepError> {
        let mut scan = TrivyScan::new().locked_requirements("requirements.txt").built_from(&self.dockerfiles);
        if self.root.join("ignore").exists() {
            scan = scan.ignore_file("ignore");
        }
        scan.run(&self.cx, (image.clone(), database.clone()))
    }

    fn error(&self, image: &ImageUnderTest, database: &VulnerabilityDatabase) -> String {
        match self.scan(image, database) {
            Ok(outcome) => unreachable!("a verdict without proof: {:?}", outcome.facts),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for image in &self.images {
            if let Err(error) = self.cx.run_ok(&docker(["image", "rm", "--force", image])) {
                eprintln!("{image} was not removed: {error}");
            }
        }
    }
}

const METADATA: [(&str, &str); 3] = [
    (
        "usr/lib/python3/dist-packages/Flask-2.2.2.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: Flask\nVersion: 2.2.2\n\n",
    ),
    (
        "usr/lib/python3/dist-packages/Werkzeug-2.2.2.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: Werkzeug\nVersion: 2.2.2\n\n",
    ),
    (
        "usr/lib/python3/dist-packages/click-8.1.7.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: click\nVersion: 8.1.7\n\n",
    ),
];

/// An image that Trivy takes for Debian of this release, with the locked packages.
fn debian(release: &str) -> Vec<(&'static str, &str)> {
    let dpkg = "Package: base-files\nStatus: install ok installed\nPriority: required\nSection: admin\nMaintainer: Nobody <nobody@example.org>\nArchitecture: amd64\nVersion: 12.4\nDescription: files\n\n";
    let mut files = vec![("etc/debian_version", release), ("var/lib/dpkg/status", dpkg)];
    files.push(("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n"));
    files.extend(METADATA);
    files
}

fn codes(outcome: &Outcome<ScanReport>) -> Vec<&str> {
    let mut codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes
}

#[test]
fn flaws_are_found_then_exempted_by_complete_entries() {
    let mut bench = Bench::new("flaws");
    let image = bench.image(&debian("12.11"));
    let database = bench.database();
    // Neither of these may have any effect: the second would hide everything, the first all but critical flaws.
    fs::write(bench.root.join("trivy.yaml"), "severity: [CRITICAL]\n").expect("written");
    fs::write(bench.root.join(".trivyignore"), FLAWS.join("\n")).expect("written");
    let outcome = bench.scan(&image, &database).expect("a verdict");
    let mut expected = [&FLAWS[..], &["IGN-017", "IGN-017", "TRV-001"]].concat();
    expected.sort_unstable();
    assert_eq!(codes(&outcome), expected);
    assert_eq!(outcome.facts.headline(), Some("3 of 4 packages, 2 vulnerable"));
    assert_eq!(outcome.value.image(), image.id);
    let flask = outcome.findings.iter().find(|it| it.code == Code::new("CVE-2023-30861")).expect("the flaw");
    assert_eq!(flask.target, Some(Target::package("pkg:pypi/flask@2.2.2")));
    assert_eq!(flask.location.as_ref().expect("a place").to_string(), "requirements.txt:2");
    assert_eq!(
        evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), bench.cx.today()).status,
        Status::Failed
    );

    // Nobody has rated these flaws, so an entry may last as long as one for a critical flaw.
    let expires = bench.cx.today().checked_add(jiff::Span::new().days(20)).expect("a date");
    let entry = |id: &&str| {
        format!(
            "# reason: only reached by requests that we never make\n# owner: @org/security\n# expires: {expires}\n# fix-blocked-by: the release of our plugin\n{id}\n\n"
        )
    };
    fs::write(bench.root.join("ignore"), FLAWS.iter().map(entry).collect::<String>()).expect("written");
    let outcome = bench.scan(&image, &database).expect("a verdict");
    assert_eq!(outcome.facts.get("ignored"), Some(&Fact::Int(4)));
    assert_eq!(
        evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), bench.cx.today()).status,
        Status::Exempted
    );

    fs::write(bench.root.join("ignore"), FLAWS.join("\n")).expect("written");
    let outcome = bench.scan(&image, &database).expect("a verdict");
    assert!(outcome.exceptions.is_empty(), "bare entries allowed something");
    assert_eq!(evaluate(outcome.findings, &[], &Policy::default(), bench.cx.today()).status, Status::Failed);
}

#[test]
fn a_secret_in_the_image_is_found() {
    let mut bench = Bench::new("secret");
    // In two parts, so that no scanner takes this file for a leak.
    let key = ["AWS_ACCESS_KEY_ID=AKIA", "Q6FAKEFAKEFAKE37\n"].concat();
    let mut files = debian("12.11");
    files.push(("app/settings.env", &key));
    let image = bench.image(&files);
    let dockerfile = "FROM scratch\nCOPY rootfs/ /\n#trivy:ignore:DS-0002\n# trivy:a:b:ignore:* tfsec:exp:2999-01-01:ignore:DS-0002\nUSER root\nHEALTHCHECK CMD true\n";
    fs::write(bench.root.join("Dockerfile"), dockerfile).expect("written");
    bench.dockerfiles.push("Dockerfile".into());
    let outcome = bench.scan(&image, &bench.database()).expect("a verdict");
    let place = |code: &str| {
        let finding = outcome.findings.iter().find(|finding| finding.code.as_str() == code).expect(code);
        finding.location.as_ref().expect("a place").to_string()
    };
    assert_eq!(place("aws-access-key-id"), "Dockerfile:2", "the instruction that brought it in");
    assert_eq!(place("DS-0002"), "Dockerfile:5", "a comment hid it");
    assert_eq!(place("IGN-016"), "Dockerfile:3");
    assert_eq!(outcome.findings.iter().filter(|it| it.code.as_str() == "IGN-016").count(), 2, "one for each line");
    let secret = outcome.findings.iter().find(|it| it.code.as_str() == "aws-access-key-id").expect("the secret");
    assert_eq!(secret.target, Some(Target::file("/app/settings.env")));
    assert!(!format!("{secret:?}").contains("FAKE"), "the secret is shown: {secret:?}");
}

#[test]
fn an_image_that_cannot_be_judged_is_an_error() {
    let mut bench = Bench::new("images");
    let database = bench.database();
    let scratch = bench.image(&METADATA);
    assert!(bench.error(&scratch, &database).contains("recognised no operating system"));
    let end_of_life = bench.image(&debian("9.13"));
    assert!(bench.error(&end_of_life, &database).contains("end of life"));
    let no_dpkg: Vec<_> = debian("12.11").into_iter().filter(|(path, _)| !path.contains("dpkg")).collect();
    let no_dpkg = bench.image(&no_dpkg);
    assert!(bench.error(&no_dpkg, &database).contains("no operating-system package"));
    let no_flask: Vec<_> = debian("12.11").into_iter().filter(|(path, _)| !path.contains("Flask")).collect();
    let no_flask = bench.image(&no_flask);
    assert!(bench.error(&no_flask, &database).contains("flask 2.2.2 (line 2)"));
    let mut gone = no_flask.clone();
    gone.id = format!("sha256:{}", "0".repeat(64));
    assert!(bench.error(&gone, &database).contains("exit code 1"));
}

#[test]
fn a_database_that_knows_nothing_is_an_error() {
    let mut bench = Bench::new("databases");
    let image = bench.image(&debian("12.11"));
    let database = bench.database();
    let file = database.cache_dir().join("db/trivy.db");
    let whole = fs::read(&file).expect("a database");

    let mut list = AdvisoryList::from_json(ADVISORIES.as_bytes()).expect("a list");
    list.advisories.truncate(1);
    fs::write(&file, trivy_db(&[list]).expect("fits")).expect("written");
    let error = bench.error(&image, &database);
    assert!(error.contains("does not know CVE-2018-1000656 in flask 0.12: it is empty or broken"), "{error}");

    for broken in [&b""[..], &whole[..whole.len() / 2], &[0; 8192]] {
        fs::write(&file, broken).expect("written");
        bench.error(&image, &database);
    }
    fs::write(&file, &whole).expect("written");
    bench.scan(&image, &database).expect("the whole database works again");

    let metadata = database.cache_dir().join("db/metadata.json");
    let text = fs::read_to_string(&metadata).expect("metadata");
    fs::write(&metadata, text.replace("\"Version\":2", "\"Version\":1")).expect("written");
    assert!(bench.error(&image, &database).contains("schema 1"));
    fs::write(&metadata, text.replace("2024-10-10", "2024-10-11")).expect("written");
    assert!(bench.error(&image, &database).contains("is of 2024-10-11"));
    fs::remove_dir_all(database.cache_dir()).expect("removed");
    assert!(bench.error(&image, &database).contains("metadata.json"));
}

#[test]
fn without_a_download_the_database_is_made_and_says_so() {
    let bench = Bench::new("offline");
    let step = TrivyDatabase::from_repositories([UNREACHABLE]);
    let error = step.run(&bench.cx, ()).expect_err("nothing to fall back on");
    assert!(error.to_string().contains(UNREACHABLE), "{error}");

    let step = step.or_offline("advisories");
    let outcome = step.run(&bench.cx, ()).expect("a database");
    assert_eq!(outcome.findings[0].code.as_str(), "TDB-001");
    assert_eq!(outcome.facts.get("way"), Some(&Fact::Text("offline".to_owned())));
    assert!(outcome.facts.get("why_offline").is_some_and(|why| why.to_string().contains("connection refused")));
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), bench.cx.today());
    assert!(verdict.findings[0].exception.is_none());

    let soon = bench.cx.today().saturating_add(jiff::Span::new().days(31)).to_string();
    let justification = Justification::new("this machine has no way out to the internet", "@org/platform", &soon);
    let outcome = step.accept_offline(justification.expect("valid")).run(&bench.cx, ()).expect("a database");
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), bench.cx.today());
    let exception = verdict.findings[0].exception.as_ref().expect("accepted");
    assert!(exception.location.to_string().contains("docker_trivy.rs:"), "{}", exception.location);

    for (file, complaint) in [("[", "cannot be read"), ("{}", "cannot be read")] {
        fs::write(bench.root.join("advisories/pypi.json"), file).expect("written");
        let error = TrivyDatabase::offline("advisories").run(&bench.cx, ()).expect_err("not a list");
        assert!(error.to_string().contains(complaint), "{error}");
    }
    fs::remove_file(bench.root.join("advisories/pypi.json")).expect("removed");
    let error = TrivyDatabase::offline("advisories").run(&bench.cx, ()).expect_err("no list");
    assert!(error.to_string().contains("no list of advisories"), "{error}");
}

/// A Trivy that does its work and then changes the report on an image with `change`, a shell command with the report in `$out`.
fn meddling(change: &'static str) -> impl FnOnce(&Utf8Path, &Utf8Path) {
    move |bin, real| {
        let script = format!(
            "#!/bin/sh\n'{real}' \"$@\" || exit\nimage=no; previous=; out=\nfor word; do\n  [ \"$word\" = image ] && image=yes\n  \
             [ \"$previous\" = --output ] && out=$word\n  previous=$word\ndone\n[ $image = no ] || {{ {change}; }}\n"
        );
        program(&bin.join("trivy"), &script);
    }
}

fn program(path: &Utf8Path, script: &str) {
    fs::write(path, script).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn a_report_that_is_not_whole_or_not_ours_is_an_error() {
    for (name, change, complaint) in [
        ("truncated", "head -c 900 \"$out\" > \"$out.part\"; mv \"$out.part\" \"$out\"", "EOF"),
        ("nothing", ": > \"$out\"", "wrote no report"),
        ("deleted", "rm \"$out\"", "wrote no report"),
        ("twice", "cat \"$out\" \"$out\" > \"$out.twice\"; mv \"$out.twice\" \"$out\"", "trailing characters"),
        (
            "other-image",
            "sed -i 's/\"ImageID\": \"sha256:...../\"ImageID\": \"sha256:00000/' \"$out\"",
            "about sha256:00000",
        ),
        ("other-trivy", "sed -i 's/\"Version\": \"0[.]/\"Version\": \"9./' \"$out\"", "was written by Trivy 9."),
        ("killed", "kill -9 $$", "SIGKILL"),
        ("failed", "exit 1", "exit code 1"),
    ] {
        let mut bench = Bench::with_tools(name, meddling(change));
        let image = bench.image(&debian("12.11"));
        let error = bench.error(&image, &bench.database());
        assert!(error.contains(complaint), "{name}: {error}");
    }
}

#[test]
fn a_trivy_of_another_version_is_an_error() {
    let bench = Bench::with_tools("version", |bin, _| program(&bin.join("trivy"), "#!/bin/sh\necho Version: 0.50.0\n"));
    // The search goes on past it; with the real Trivy behind, that one is used.
    TrivyDatabase::offline("advisories").run(&bench.cx, ()).expect("the next Trivy on PATH");
    let only = Toolbox::new(&[bench.root.join("bin")], std::ffi::OsStr::new(""), &bench.root);
    let error = only.find(&cicd_core::trivy::trivy_tool(), &Cancel::new().expect("descriptors")).expect_err("too old");
    assert!(error.to_string().contains("0.50.0, but >=0.60, <0.80 is required"), "{error}");
}
