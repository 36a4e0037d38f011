//! Pipelines that are wired wrongly do not compile; the same wired rightly do.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::str::FromStr;

use camino::Utf8Path;
use cicd_core::docker::{BaseImage, Cached, Fresh, Image};
use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::python::{Interpreter, TestReport};
use cicd_core::scan::Scanned;
use cicd_core::step::{Cleared, Judgement};
use cicd_core::steps::*;
use cicd_core::trivy::VulnerabilityDatabase;
use serde::de::DeserializeOwned;

#[test]
fn right_wiring_compiles() -> Result<(), GraphError> {
    let mut ci = Pipeline::new("right");
    let image = ci.add("image", DockerBuild::context("app"), ());
    let database = ci.add("database", TrivyDatabase::official(), ());
    let scanned = ci.add("scan", TrivyScan::new(), (&image, &database));
    let cleared = ci.clear(&image, &scanned);
    ci.add("push", Push::to("127.0.0.1:5000/app"), &cleared);
    ci.check()
}

#[test]
fn wrong_wiring_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/wiring/*.rs");
}

/// Does not compile where one of these types can be had of nothing, of text or of data, or gives its parts to be changed.
macro_rules! come_out_of_their_steps_alone {
    ($($type:ty,)+) => {
        $(const _: fn() = || {
            trait OnlyOne<A> {
                fn is_unambiguous() {}
            }
            struct Read;
            struct Defaulted;
            struct Parsed;
            struct Made<T>(T);
            struct Changed;
            impl<T: ?Sized> OnlyOne<()> for T {}
            impl<T: ?Sized + DeserializeOwned> OnlyOne<Read> for T {}
            impl<T: ?Sized + Default> OnlyOne<Defaulted> for T {}
            impl<T: ?Sized + FromStr> OnlyOne<Parsed> for T {}
            impl<T: ?Sized + TryFrom<String>> OnlyOne<Made<String>> for T {}
            impl<T: ?Sized + TryFrom<serde_json::Value>> OnlyOne<Made<serde_json::Value>> for T {}
            impl<T: ?Sized + TryFrom<()>> OnlyOne<Made<()>> for T {}
            impl<T: ?Sized + std::ops::DerefMut> OnlyOne<Changed> for T {}
            let _ = <$type as OnlyOne<_>>::is_unambiguous;
        };)+
        /// Every proof of the library, by name.
        const PROOFS: &[&str] = &[$(stringify!($type)),+];
    };
}

come_out_of_their_steps_alone! {
    Image<Fresh>,
    Image<Cached>,
    BaseImage,
    Cleared<Image<Fresh>>,
    Cleared<Pushed>,
    Judgement<()>,
    AuditReport,
    BillOfMaterials,
    Coverage,
    DastReport,
    ExceptionsRead,
    Interpreter,
    LicenseReport,
    LoadReport,
    LockedLicensesReport,
    OwnersChecked,
    Pushed,
    Ready,
    ScanReport,
    Scanned,
    SourceChecked,
    TestReport,
    VulnerabilityDatabase,
}

/// The text of every source file of the library, by its path.
fn sources(folder: &Utf8Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in folder.read_dir_utf8().expect("a folder").flatten() {
        let path = entry.into_path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension() == Some("rs") {
            all.push((path.to_string(), fs::read_to_string(&path).expect("readable")));
        }
    }
    all
}

#[test]
fn every_proof_is_declared_in_one_way_and_in_the_list_above() {
    // Those that `proof!` does not declare, as they have a type inside.
    let by_hand = [
        ("docker/image.rs", "Image"),
        ("docker/image.rs", "BaseImage"),
        ("step/judgement.rs", "Judgement"),
        ("step/cleared.rs", "Cleared"),
    ];
    let mut found: BTreeSet<String> = by_hand.iter().map(|(_, name)| (*name).to_owned()).collect();
    for (path, text) in sources(Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        for declared in text.split("proof! {").skip(1) {
            let name = declared.split("pub struct ").nth(1).and_then(|rest| rest.split('(').next());
            found.extend(name.filter(|name| name.chars().all(char::is_alphanumeric)).map(str::to_owned));
        }
        for claimed in text.split(" Proof for ").skip(1).filter(|_| !path.ends_with("step/proof.rs")) {
            let name = claimed.split(['<', ' ']).next().unwrap_or_default();
            assert!(
                by_hand.iter().any(|(_, known)| *known == name),
                "{path}: {name} is declared a proof without `proof!`"
            );
        }
        for (_, name) in by_hand.iter().filter(|(file, _)| path.ends_with(file)) {
            let Some((_, fields)) = text.split_once(&format!("pub struct {name}")) else { continue };
            if fields.starts_with(['<', ' ']) {
                let fields = fields.split("\n}").next().unwrap_or_default();
                assert!(!fields.contains("    pub "), "{path}: a field of {name} is public");
            }
        }
    }
    let listed: BTreeSet<String> =
        PROOFS.iter().map(|name| name.split('<').next().unwrap_or_default().trim().to_owned()).collect();
    assert_eq!(listed, found);
    assert!(found.len() > 18, "{found:?}");
}
