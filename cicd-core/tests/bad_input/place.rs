use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::docker::ImageUnderTest;
use cicd_core::model::{Finding, Status};
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Policy, evaluate};
use cicd_core::step::{Clock, Step, Workspace};
use cicd_core::steps::{TrivyDatabase, TrivyScan};
use cicd_core::trivy::VulnerabilityDatabase;
use serde_json::Value;

/// The most memory that this program may take, all of its tests together.
const MEMORY_KIB_MAX: u64 = 512 << 10;

pub(crate) const REPORT: &str = include_str!("../data/trivy/debian-python-0.70.0.json");
const ADVISORIES: &str = include_str!("../../../ci/advisories/pypi.json");
const CANARY: &str = include_str!("../data/trivy/canary-0.70.0.json");
/// The one flaw that is left in the report.
pub(crate) const FLAW: &str = "CVE-2023-32681";
const IMAGE: &str = "sha256:dcf6c8e3cee370de832f7cf66708007c59d5e780bdef7a539ad4b91f9cf9dcfd";

/// What has to come of a row.
pub(crate) enum Expected {
    /// The step fails, and this is among the reasons.
    Failed(&'static str),
    /// There is no verdict, and this is said.
    Error(&'static str),
    /// The input is good after all.
    Green(Status),
}

pub(crate) use Expected::{Error, Failed, Green};

/// A workspace with a program in place of Trivy.
pub(crate) struct Place {
    pub(crate) root: Utf8PathBuf,
    pub(crate) cx: Alone,
    pub(crate) database: VulnerabilityDatabase,
    _folder: tempfile::TempDir,
}

impl Place {
    /// What the program does when it is to scan an image is `action`, in shell, with the report's place in `$out`.
    pub(crate) fn new(action: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().expect("a path")).expect("UTF-8");
        for dir in ["bin", "advisories"] {
            fs::create_dir_all(root.join(dir)).expect("a folder");
        }
        fs::write(root.join("canary.json"), CANARY).expect("written");
        fs::write(root.join("report.json"), one_flaw()).expect("written");
        let script = format!(
            "#!/bin/sh\nprevious=; out=; kind=image\nfor word; do\n  [ \"$word\" = --version ] && {{ echo Version: 0.70.0; exit; }}\n  \
             [ \"$word\" = filesystem ] && kind=canary\n  [ \"$previous\" = --output ] && out=$word\n  previous=$word\ndone\n\
             [ $kind = canary ] && exec cp '{root}/canary.json' \"$out\"\nreport='{root}/report.json'\n{action}\n"
        );
        let program = root.join("bin/trivy");
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        fs::write(root.join("advisories/pypi.json"), ADVISORIES).expect("written");
        let mut outside = Outside::without_git(vec![root.join("bin")]).expect("descriptors");
        outside.environment.clock = Clock::Fixed("2026-11-21T12:00:00Z".parse().expect("a time"));
        outside.revision = Err("no checkout".to_owned());
        let cx = alone(&Workspace::at(&root), "trivy", outside).expect("a context");
        let database = TrivyDatabase::offline("advisories").run(&cx, ()).expect("a database").value;
        Self { root, cx, database, _folder: folder }
    }

    /// The verdict and the findings that no exception allows, or the error.
    pub(crate) fn scan(&self, scan: &TrivyScan) -> Result<(Status, Vec<Finding>), String> {
        let image = ImageUnderTest::by_id(IMAGE).expect("an id");
        let outcome = scan.run(&self.cx, (image, self.database.clone())).map_err(|error| error.to_string())?;
        let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), self.cx.today());
        Ok((verdict.status, verdict.findings.into_iter().filter(|finding| finding.exception.is_none()).collect()))
    }

    /// Scans, and compares what comes of it.
    pub(crate) fn check(&self, name: &str, scan: &TrivyScan, expected: &Expected) {
        let seen = self.scan(scan);
        match (&seen, expected) {
            (Ok((status, open)), Failed(code)) => {
                assert_eq!(*status, Status::Failed, "{name}");
                let codes: Vec<_> = open.iter().map(|finding| finding.code.as_str()).collect();
                assert!(codes.contains(code), "{name}: {code} is not among {codes:?}");
            }
            (Ok((status, open)), Green(green)) => assert_eq!(status, green, "{name}: {open:?}"),
            (Err(error), Error(text)) => assert!(error.contains(text), "{name}: {error}"),
            (Ok((status, open)), Error(text)) => panic!("{name}: {status} instead of the error {text:?}: {open:?}"),
            (Err(error), _) => panic!("{name}: {error}"),
        }
        let shown = match seen {
            Ok((_, open)) => open.into_iter().flat_map(|it| [it.message, it.help.unwrap_or_default()]).collect(),
            Err(error) => vec![error],
        };
        for text in shown {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{name}: {text:?} steers a terminal");
        }
        let peak = peak_kib();
        assert!(peak < MEMORY_KIB_MAX, "{name}: {peak} KiB of memory were taken");
    }
}

/// The recorded report with one flaw left in it.
pub(crate) fn one_flaw() -> String {
    let mut report: Value = serde_json::from_str(REPORT).expect("a report");
    for result in report["Results"].as_array_mut().expect("results") {
        if let Some(flaws) = result["Vulnerabilities"].as_array_mut() {
            flaws.retain(|flaw| flaw["VulnerabilityID"] == FLAW);
        }
    }
    report.to_string()
}

/// The most memory that this process has had so far.
fn peak_kib() -> u64 {
    let status = fs::read_to_string(Utf8Path::new("/proc/self/status")).expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the line");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
