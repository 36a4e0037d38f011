//! Nothing in a Rust workspace keeps a test from running unseen: with the real cargo.
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::process::Command;

use camino::Utf8Path;
use cicd_core::model::Status;
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::policy::{Policy, evaluate};
use cicd_core::step::{Step, Workspace};
use cicd_core::steps::CargoTest;

const MANIFEST: &str =
    "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[features]\nextra = []\n\n[workspace]\n";
const LIB: &str =
    "//! A shop.\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(1 + 1, 2);\n    }\n}\n";

struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Self {
        let shop = Self(tempfile::tempdir().expect("a temporary folder"));
        shop.write("Cargo.toml", MANIFEST);
        shop.write("src/lib.rs", LIB);
        shop.write("tests/sums.rs", "#[test]\nfn sums() {}\n");
        shop.write(".gitignore", "/target/\n/Cargo.lock\n");
        shop.git(&["init", "--quiet"]);
        shop.commit();
        shop
    }

    fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).expect("UTF-8")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[expect(clippy::disallowed_methods, reason = "a test prepares what the library will look at")]
    fn git(&self, args: &[&str]) {
        let output = Command::new("git").current_dir(self.root()).args(args).output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        self.git(&[&who[..], &["commit", "--quiet", "--message", "x"]].concat());
    }

    fn context(&self) -> Alone {
        let workspace = Workspace::at(self.root());
        let outside = Outside::gather(&workspace, Vec::new()).expect("an environment");
        alone(&workspace, "tests", outside).expect("a context")
    }

    /// The status and what was found, or the error.
    fn look(&self, step: &CargoTest) -> Result<(Status, Vec<String>), String> {
        let cx = self.context();
        let outcome = step.run(&cx, ()).map_err(|error| error.to_string())?;
        let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), cx.today());
        let line = |finding: &cicd_core::model::Finding| {
            let place = finding.location.as_ref().map_or_else(String::new, |place| format!(" @ {place}"));
            let message = finding.message.split(" (").next().unwrap_or("");
            format!("{} {message}{place}", finding.code)
        };
        Ok((verdict.status, verdict.findings.iter().map(line).collect()))
    }
}

#[test]
fn a_test_that_the_source_declares_and_no_program_runs_is_a_finding() {
    let shop = Shop::new();
    assert_eq!(shop.look(&CargoTest::new(["--tests"])), Ok((Status::Passed, Vec::new())));
    let hidden = "    #[test]\n    fn adds() {\n        panic!(\"never run\");\n    }\n}\n";
    let lib = [
        LIB,
        &format!("\n#[cfg(any())]\nmod never {{\n{hidden}"),
        &format!("\n#[cfg(all(test, feature = \"extra\"))]\nmod extra {{\n{hidden}"),
        &format!("\n#[cfg(all(test, not(quiet)))]\nmod loud {{\n{hidden}"),
        "\nmacro_rules! swallow {\n    ($($all:tt)*) => {};\n}\n",
        &format!("swallow! {{\nmod swallowed {{\n{hidden}}}\n"),
        "\n#[test]\n#[ignore = \"later\"]\nfn ignored() {}\n",
        "\n#[cfg_attr(any(), test)]\nfn conditional() {}\n",
    ];
    shop.write("src/lib.rs", &lib.concat());
    shop.write("src/forgotten.rs", "#[test]\nfn in_no_module() {}\n");
    shop.write("build.rs", "fn main() {\n    println!(\"cargo::rustc-cfg=quiet\");\n    println!(\"cargo::rustc-check-cfg=cfg(quiet)\");\n}\n");
    shop.write("tests/gated.rs", "#![cfg(feature = \"extra\")]\n\n#[test]\nfn gated() {}\n");
    shop.write("tests/needing.rs", "#[test]\nfn needing() {}\n");
    let manifest = format!("{MANIFEST}\n[[test]]\nname = \"needing\"\nrequired-features = [\"extra\"]\n");
    shop.write("Cargo.toml", &manifest);
    let (status, found) = shop.look(&CargoTest::new(["--tests"])).expect("looked");
    assert_eq!(status, Status::Failed);
    let expected = [
        "CARGO-004 in_no_module did not run",
        "CARGO-004 never::adds did not run",
        "CARGO-004 extra::adds did not run",
        "CARGO-004 loud::adds did not run",
        "CARGO-004 swallowed::adds did not run",
        "CARGO-002 ignored is ignored @ src/lib.rs",
        "CARGO-004 conditional did not run",
        "CARGO-004 gated did not run @ tests/gated.rs:3",
        "CARGO-004 needing did not run @ tests/needing.rs:1",
    ];
    for expected in expected {
        let expected = expected.replace("in_no_module", "forgotten::in_no_module");
        assert!(found.iter().any(|found| found.starts_with(&expected)), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");

    let soon = shop.context().today().saturating_add(jiff::Span::new().days(31));
    let why =
        format!("// reason: the till is being replaced this winter\n// owner: @example/shop\n// expires: {soon}\n");
    shop.git(&["checkout", "--quiet", "."]);
    shop.git(&["clean", "--quiet", "-fd"]);
    shop.write("Cargo.toml", &manifest);
    shop.write("tests/needing.rs", &format!("{why}#[test]\nfn needing() {{}}\n"));
    let (status, found) = shop.look(&CargoTest::new(["--tests"])).expect("looked");
    assert_eq!(
        (status, found),
        (Status::Exempted, vec!["CARGO-004 needing did not run @ tests/needing.rs:4".to_owned()])
    );
}

#[test]
fn a_program_in_the_place_of_the_test_harness_is_a_finding() {
    let shop = Shop::new();
    let fake = "running 1 test\\ntest sums ... ok\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out;\\n";
    shop.write(
        "tests/sums.rs",
        &format!("// #[test] fn sums() {{ panic!() }}\nfn main() {{\n    print!(\"{fake}\");\n}}\n"),
    );
    shop.write("Cargo.toml", &format!("{MANIFEST}\n[[test]]\nname = \"sums\"\nharness = false\n"));
    let (status, found) = shop.look(&CargoTest::new(["--tests"])).expect("looked");
    assert_eq!(
        (status, &found[..]),
        (
            Status::Failed,
            &["CARGO-005 `harness = false`: a program of its own says which tests passed @ Cargo.toml:13".to_owned()][..]
        )
    );

    shop.git(&["checkout", "--quiet", "."]);
    shop.write("runner.sh", &format!("#!/bin/sh\nprintf '{fake}'\n"));
    shop.write(".cargo/config.toml", "[target.'cfg(all())']\nrunner = [\"sh\", \"runner.sh\"]\n");
    let (status, found) = shop.look(&CargoTest::new(["--tests"])).expect("looked");
    assert_eq!(status, Status::Failed);
    assert!(
        found.iter().any(|found| found.starts_with("CARGO-005 `target`") && found.ends_with("@ .cargo/config.toml:1")),
        "{found:#?}"
    );
    assert!(found.iter().any(|found| found.starts_with("CARGO-004 tests::adds did not run")), "{found:#?}");

    shop.git(&["clean", "--quiet", "-fd"]);
    shop.write("tests/sums.rs", "#[test]\nfn sums() {}\n\n#[test]\nfn leaves() {\n    std::process::exit(0);\n}\n");
    let error = shop.look(&CargoTest::new(["--tests"])).expect_err("a program ended early");
    assert!(error.contains("its programs began 3 tests"), "{error}");
    let main = "#![no_main]\n\n#[unsafe(no_mangle)]\npub extern \"C\" fn main() -> i32 {\n    0\n}\n\n#[test]\nfn sums() {\n    panic!();\n}\n";
    shop.write("tests/sums.rs", main);
    let (status, found) = shop.look(&CargoTest::new(["--tests"])).expect("looked");
    assert_eq!(status, Status::Failed);
    assert!(found.iter().any(|found| found.starts_with("CARGO-005 `no_main`")), "{found:#?}");
    assert!(found.iter().any(|found| found.starts_with("CARGO-004 sums did not run")), "{found:#?}");
}
