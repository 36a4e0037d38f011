//! A crate outside the workspace that tries to get a green run by a forged proof, and fails: attempts that do not compile, and attempts
//! that do.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::process::{Cancel, Captured, Discard, Exit, Invocation, execute};

const CORE: &str = env!("CARGO_MANIFEST_DIR");
const MANIFEST: &str = "\
[package]
name = \"forged\"
version = \"0.1.0\"
edition = \"2024\"

[dependencies]
cicd-core = { path = \"CORE\", default-features = false }
another = { package = \"cicd-core\", path = \"another\", version = \"9.9.9\" }
serde = { version = \"1\", features = [\"derive\"] }
serde_json = \"1\"

[workspace]
";

/// What calls itself `cicd-core` too.
const ANOTHER: &str = "\
pub struct Cleared;
pub struct Handle<T>(std::marker::PhantomData<T>);
impl<T> Default for Handle<T> { fn default() -> Self { Self(std::marker::PhantomData) } }
";

/// The crate. The library is built once for it and for `tests/outside_crate.rs`.
struct Outside {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
}

fn call(program: &Utf8Path, invocation: &Invocation) -> Captured {
    execute(invocation, program, &mut Discard, &Cancel::new().expect("descriptors")).expect("it ran")
}

impl Outside {
    fn new(bins: &[(&str, Utf8PathBuf)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8").to_owned();
        fs::create_dir_all(root.join("src/bin")).expect("made");
        fs::create_dir_all(root.join("another/src")).expect("made");
        fs::write(root.join("Cargo.toml"), MANIFEST.replace("CORE", CORE)).expect("written");
        let another = "[package]\nname = \"cicd-core\"\nversion = \"9.9.9\"\nedition = \"2024\"\n";
        fs::write(root.join("another/Cargo.toml"), another).expect("written");
        fs::write(root.join("another/src/lib.rs"), ANOTHER).expect("written");
        fs::copy(Utf8Path::new(CORE).join("../Cargo.lock"), root.join("Cargo.lock")).expect("the same versions");
        for (name, source) in bins {
            fs::copy(source, root.join("src/bin").join(format!("{name}.rs"))).expect("copied");
        }
        Self { _dir: dir, root }
    }

    fn cargo(&self, args: &[&str]) -> Captured {
        let cargo = Utf8PathBuf::from(env!("CARGO"));
        let build = Invocation::program(&cargo).args(args).dir(&self.root).env("CARGO_TARGET_DIR", target());
        call(&cargo, &build)
    }

    fn git(&self, args: &[&str]) {
        let git = Utf8PathBuf::from_path_buf(which::which("git").expect("git is installed")).expect("UTF-8");
        let user = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "maintenance.auto=false"];
        assert!(call(&git, &Invocation::program(&git).args(user).args(args).dir(&self.root)).success());
    }

    /// Takes one way, and gives how that ended and what was shown.
    fn forge(&self, way: &str, args: &[&str]) -> (Exit, String) {
        let program = target().join("debug/forge");
        let ended = call(&program, &Invocation::program(&program).args(args).dir(&self.root).env("FORGE", way));
        (ended.exit, ended.stdout_text().expect("text").to_owned() + &ended.stderr_text())
    }
}

fn target() -> Utf8PathBuf {
    Utf8Path::new(CORE).join("../target/outside-crate")
}

/// Each attempt that is not to compile, named after what it does and the error that it is to end with.
fn attempts() -> Vec<(String, Utf8PathBuf)> {
    let folder = Utf8Path::new(CORE).join("tests/outside/refused");
    let files = folder.read_dir_utf8().expect("a folder").flatten().map(|entry| entry.into_path());
    files.filter_map(|file| Some((file.file_stem()?.to_owned(), file.clone()))).collect()
}

#[test]
fn what_forges_a_proof_does_not_compile() {
    let attempts = attempts();
    assert!(attempts.len() >= 20, "{attempts:?}");
    let bins: Vec<_> = attempts.iter().map(|(name, file)| (name.as_str(), file.clone())).collect();
    let outside = Outside::new(&bins);
    let built = outside.cargo(&["build", "--quiet", "--bins", "--keep-going", "--message-format", "json"]);
    assert!(!built.success());
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in built.stdout_text().expect("text").lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let message = &line["message"];
        let seen = (line["target"]["name"].as_str(), message["code"]["code"].as_str(), message["level"].as_str());
        if let (Some(name), Some(code), Some("error")) = seen {
            codes.entry(name.to_owned()).or_default().insert(code.to_owned());
        }
    }
    let ended_otherwise = |name: &str| {
        let code = name.rsplit('_').next().unwrap_or_default();
        codes.get(name).is_none_or(|codes| !codes.contains(code))
    };
    let wrong: Vec<_> =
        attempts.iter().filter(|(name, _)| ended_otherwise(name)).map(|(name, _)| (name, codes.get(name))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", built.stderr_text());
}

#[test]
fn what_forges_a_proof_and_compiles_is_not_green() {
    let outside = Outside::new(&[("forge", Utf8Path::new(CORE).join("tests/outside/forge.rs"))]);
    let built = outside.cargo(&["build", "--quiet", "--bins"]);
    assert!(built.success(), "{}", built.stderr_text());
    fs::write(outside.root.join(".gitignore"), "/target/\n").expect("written");
    for args in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "first"]] {
        outside.git(args);
    }

    // Refused before anything runs.
    let because = "the registry refuses its login this week";
    let refused: &[(&str, &[&str], &str)] = &[
        ("wrapper", &["ci"], "comes out of the library's own step alone"),
        ("kept-by-conversion", &["ci"], "the program itself makes that of a"),
        ("base-by-conversion", &["ci"], "the program itself makes that of a"),
        ("image-by-conversion", &["ci"], "the program itself makes that of a"),
        ("permit-by-conversion", &["ci", "--effect", "ship"], "no clearance among its inputs"),
        ("effect-without-clearance", &["ci", "--effect", "ship"], "no clearance among its inputs"),
        ("effect-in-a-shell", &["ci"], "which changes something elsewhere"),
        ("effect-after-a-clearance", &["ci", "--effect", "ship"], "no clearance among its inputs"),
        ("justified-for-ever", &["ci", "--effect", "ship"], "is not accepted"),
        ("skipped-effect", &["ci", "--effect", "ship", "--skip", "verdict", "--because", because], "would not run"),
    ];
    for (way, args, words) in refused {
        let (exit, text) = outside.forge(way, args);
        assert_eq!(exit, Exit::Code(2), "{way}: {text}");
        assert!(text.contains(words), "{way}: {text}");
        assert!(!outside.root.join("effect").exists(), "{way}");
    }

    // What a run left is edited before the next one resumes it: the step runs again, and says what it said.
    for way in ["edited", "edited-by-a-step"] {
        assert_eq!(outside.forge(way, &["ci"]).0, Exit::Code(1), "{way}");
        let saved = outside.root.join("target/ci/latest/steps/verdict/output.json");
        let text = fs::read_to_string(&saved).expect("saved");
        if way == "edited" {
            fs::write(&saved, text.replace("\"fine\": false", "\"fine\": true")).expect("written");
        } else {
            assert!(text.contains("\"fine\": true"), "the step has edited it: {text}");
        }
        let (exit, text) = outside.forge(way, &["ci", "--resume"]);
        assert_eq!(exit, Exit::Code(1), "{way}: {text}");
        assert!(text.contains("is not what was written then"), "{way}: {text}");
    }
}
