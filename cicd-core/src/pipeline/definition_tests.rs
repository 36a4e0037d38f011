//! Every setting of every step is in a run's definition, and the definition is the same in every process.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use super::definition;
use crate::docker::{BuildRecipe, Fresh, Image};
use crate::formats::file_kind::FileKind;
use crate::model::{Code, Severity};
use crate::pipeline::Pipeline;
use crate::policy::{Justification, Scope};
use crate::process::{Cancel, Discard, Invocation, Secret, execute};
use crate::python::{Interpreter, LockFile};
use crate::scan::Scanned;
use crate::step::{Claims, Cleared, CommandStep, Handle, Outcome, Retry, step_fn};
use crate::steps::*;
use crate::trivy::VulnerabilityDatabase;

/// A pipeline with everything that steps take.
struct Given {
    ci: Pipeline,
    image: Handle<Image<Fresh>>,
    database: Handle<VulnerabilityDatabase>,
    scan: Handle<ScanReport>,
    sast: Handle<Scanned>,
    python: Handle<Interpreter>,
    cleared: Handle<Cleared<Image<Fresh>>>,
}

fn given() -> Given {
    let mut ci = Pipeline::new("given");
    let image = ci.add("image", DockerBuild::context("app"), ());
    let database = ci.add("database", TrivyDatabase::official(), ());
    let scan = ci.add("scan", TrivyScan::new(), (&image, &database));
    let sast = ci.add("sast", Sast::bandit("."), ());
    let python = ci.add("python", PythonEnv::locked("requirements.txt"), ());
    let cleared = ci.clear(&image, &scan);
    Given { ci, image, database, scan, sast, python, cleared }
}

fn because() -> Justification {
    Justification::new("the vendor mends it in the next release", "@example/web", "2026-12-24").expect("valid")
}

/// The definitions of one step with each of its settings changed.
struct Seen {
    named: BTreeSet<String>,
    all: Vec<String>,
}

fn seen(add: impl Fn(&mut Given)) -> String {
    let mut given = given();
    add(&mut given);
    definition(&given.ci)
}

macro_rules! settings {
    ($seen:ident, $file:literal, |$given:ident| $inputs:expr, $base:expr, { $($setting:literal: $changed:expr,)* }) => {
        let base = seen(|$given| { $given.ci.add("x", $base, $inputs); });
        assert_eq!(base, seen(|$given| { $given.ci.add("x", $base, $inputs); }), "{}", $file);
        $(
            let changed = seen(|$given| { $given.ci.add("x", $changed, $inputs); });
            assert_ne!(base, changed, "{}: {}", $file, $setting);
            $seen.named.insert(format!("{}: {}", $file, $setting));
            $seen.all.push(changed);
        )*
        $seen.all.push(base);
    };
}

fn every_setting() -> Seen {
    let mut all = Seen { named: BTreeSet::new(), all: Vec::new() };
    let second = Duration::from_secs(1);

    let recipe = || BuildRecipe::context("app");
    settings!(all, "docker/build/recipe.rs", |_given| (), DockerBuild::recipe(recipe()), {
        "context": DockerBuild::recipe(BuildRecipe::context("b")),
        "dockerfile": DockerBuild::recipe(recipe().dockerfile("d")),
        "base_arg": DockerBuild::recipe(recipe().base_arg("B")),
        "build_arg": DockerBuild::recipe(recipe().build_arg("A", "b")),
        "revision_arg": DockerBuild::recipe(recipe().revision_arg("R")),
        "secret_file": DockerBuild::recipe(recipe().secret_file("s", "f")),
        "secret": DockerBuild::recipe(recipe().secret("s", Secret::env("S"))),
        "ca_bundle_secret": DockerBuild::recipe(recipe().ca_bundle_secret("ca")),
        "target": DockerBuild::recipe(recipe().target("t")),
        "platform": DockerBuild::recipe(recipe().platform("linux/arm64")),
        "image_name": DockerBuild::recipe(recipe().image_name("n")),
        "deadline": DockerBuild::recipe(recipe().deadline(second)),
    });
    let build = || DockerBuild::context("app");
    settings!(all, "steps/docker_build/step.rs", |_given| (), build(), {
        "context": DockerBuild::context("b"),
        "recipe": DockerBuild::recipe(recipe().target("t")),
        "dockerfile": build().dockerfile("d"),
        "base_arg": build().base_arg("B"),
        "build_arg": build().build_arg("A", "b"),
        "revision_arg": build().revision_arg("R"),
        "secret_file": build().secret_file("s", "f"),
        "secret": build().secret("s", Secret::env("S")),
        "ca_bundle_secret": build().ca_bundle_secret("ca"),
        "target": build().target("t"),
        "platform": build().platform("linux/arm64"),
        "image_name": build().image_name("n"),
        "deadline": build().deadline(second),
        "allow_root": build().allow_root(because()),
        "allow_no_health_check": build().allow_no_health_check(because()),
        "allow_unpinned_base": build().allow_unpinned_base(because()),
        "allow_shipped_file": build().allow_shipped_file("/x", because()),
        "accept": build().accept(ImageCode::Port, "80", because()),
        "intermediate": build().intermediate(),
    });
    settings!(all, "steps/dev_build.rs", |_given| (), DevBuild::new(recipe()), {
        "new": DevBuild::new(recipe().target("t")),
    });
    settings!(all, "steps/base_image/step.rs", |_given| (), PinnedBase::from_file("a.toml"), {
        "from_file": PinnedBase::from_file("b.toml"),
    });

    let test = || Pytest::in_dir("app");
    settings!(all, "steps/pytest/step.rs", |given| &given.python, test(), {
        "in_dir": Pytest::in_dir("b"),
        "with_coverage": test().with_coverage("p"),
        "at_least": test().at_least(9),
        "arg": test().arg("-x"),
        "leaving_out": test().leaving_out("app/tests", because()),
        "accept": test().accept(PytestCode::Skipped, "app/tests/a.py", because()),
    });
    let gate = || CoverageGate::lines(100.0).expect("a percentage");
    settings!(all, "steps/coverage_gate/gate.rs", |_given| (), gate(), {
        "lines": CoverageGate::lines(100.0).and_then(|it| it.branches(100.0)).expect("percentages"),
        "branches": gate().branches(100.0).expect("a percentage"),
        "lines_lowered": gate().lines_lowered(90.0, because()).expect("a percentage"),
        "branches_lowered": gate().branches_lowered(90.0, because()).expect("a percentage"),
        "accept": gate().accept(CoverageCode::Excluded, "app/a.py", because()),
        "sources": gate().sources("s"),
        "report": gate().report("r"),
        "paths_from": gate().paths_from("p"),
    });
    settings!(all, "steps/python_env.rs", |_given| (), PythonEnv::locked("a"), {
        "locked": PythonEnv::locked("b"),
        "python": PythonEnv::locked("a").python("3.12"),
    });
    settings!(all, "python/lock_file.rs", |_given| (), PythonEnv::locked("a"), {
        "at": PythonEnv::locked(LockFile::at("b")),
        "accept_option": PythonEnv::locked(LockFile::at("a").accept_option("--pre", because())),
    });
    settings!(all, "steps/cargo_test/step.rs", |_given| (), CargoTest::new(["--workspace"]), {
        "new": CargoTest::new(["--lib"]),
        "claiming": CargoTest::new(["--workspace"]).claiming(Claims::exclusive("c")),
    });
    let ready = Readiness::new;
    settings!(all, "steps/readiness/step.rs", |_given| (), ready(), {
        "containers_max": ready().containers_max(9),
        "disk_free_mib_min": ready().disk_free_mib_min(9),
        "port_free": ready().port_free(9),
    });
    settings!(all, "steps/push.rs", |given| &given.cleared, Push::to("a"), {
        "to": Push::to("b"),
        "login": Push::to("a").login("u", "PASSWORD"),
        "environment": Push::to("a").environment("staging"),
    });
    let source = SourceCheck::new;
    settings!(all, "steps/source_check.rs", |_given| (), source(), {
        "accept_ignored": source().accept_ignored("a", because()),
        "accept_turns": source().accept_turns("a", because()),
        "accept_unjudged": source().accept_unjudged(FileKind::Shell, because()),
        "accept_repository": source().accept_repository("a", because()),
    });
    settings!(all, "steps/exception_lint.rs", |_given| (), ExceptionLint::files(["a"]), {
        "files": ExceptionLint::files(["b"]),
    });
    let owners = || CodeOwners::file("a");
    settings!(all, "steps/code_owners/step.rs", |_given| (), owners(), {
        "file": CodeOwners::file("b"),
        "sensitive": owners().sensitive(["p"], "@t"),
        "known_owners": owners().known_owners(["@t"]),
        "exceptions_in": owners().exceptions_in(["f"]),
    });

    let scan = TrivyScan::new;
    settings!(all, "steps/trivy_scan/step.rs", |given| (&given.image, &given.database), scan(), {
        "accept_unjudged": scan().accept_unjudged("npm", because()),
        "ignore_file": scan().ignore_file("f"),
        "locked_requirements": scan().locked_requirements("f"),
        "built_from": scan().built_from(["d"]),
        "severity": scan().severity(Severity::Critical),
    });
    let database = TrivyDatabase::official;
    settings!(all, "steps/trivy_database.rs", |_given| (), database(), {
        "from_repositories": TrivyDatabase::from_repositories(["r"]),
        "offline": TrivyDatabase::offline("o"),
        "or_offline": database().or_offline("o"),
        "cache_dir": database().cache_dir("c"),
        "age_hours_max": database().age_hours_max(9),
        "accept_offline": database().accept_offline(because()),
    });
    let audit = || DependencyAudit::locked("a");
    settings!(all, "steps/dependency_audit/step.rs", |given| &given.scan, audit(), {
        "locked": DependencyAudit::locked("b"),
        "ignore_file": audit().ignore_file("f"),
        "severity": audit().severity(Severity::Critical),
        "second_opinion_required": audit().second_opinion_required(),
        "accept_one_source": audit().accept_one_source(because()),
    });
    let licenses = || LicenseCheck::approved("a");
    settings!(all, "steps/license_check/gate.rs", |given| &given.image, licenses(), {
        "approved": LicenseCheck::approved("b"),
        "locked_requirements": licenses().locked_requirements("f"),
        "accept": licenses().accept(LicenseCode::Foreign, "/x", because()),
        "accept_unjudged": licenses().accept_unjudged("deb", because()),
    });
    settings!(all, "steps/license_check/locked.rs", |_given| (), LockedLicenses::approved("a", "l"), {
        "approved": LockedLicenses::approved("a", "m"),
    });
    settings!(all, "steps/sbom/step.rs", |given| &given.image, Sbom::new(), {
        "accept_unlicensed": Sbom::new().accept_unlicensed("pkg:pypi/x", because()),
    });

    let dast = || Dast::on(["/"]);
    settings!(all, "steps/dast/builder.rs", |given| &given.image, dast().build().expect("valid"), {
        "form": dast().form("/", ["a"]).build().expect("valid"),
        "methods": dast().methods("/", ["POST"]).build().expect("valid"),
        "behind_tls": dast().behind_tls().build().expect("valid"),
        "allow": dast().allow(DastCode::Framing, "/", because()).build().expect("valid"),
        "exceptions_file": dast().exceptions_file("f").build().expect("valid"),
        "port": dast().port(9).build().expect("valid"),
        "env": dast().env("A", "b").build().expect("valid"),
        "ready_within": dast().ready_within(second).build().expect("valid"),
    });
    settings!(all, "steps/dast/step.rs", |given| &given.image, dast().build().expect("valid"), {
        "on": Dast::on(["/b"]).build().expect("valid"),
    });
    let load = || LoadTest::get("/").rate(9.0).during(second * 9).threshold("p(99)<100");
    settings!(all, "steps/load_test/builder.rs", |given| &given.image, load().build().expect("valid"), {
        "rate": load().rate(7.0).build().expect("valid"),
        "during": load().during(second * 7).build().expect("valid"),
        "warm_up": load().warm_up(second * 7).build().expect("valid"),
        "timeout": load().timeout(second * 7).build().expect("valid"),
        "connections_max": load().connections_max(7).build().expect("valid"),
        "threshold": load().threshold("p(50)<10").build().expect("valid"),
        "expect_status": load().expect_status(204).build().expect("valid"),
        "port": load().port(9).build().expect("valid"),
        "env": load().env("A", "b").build().expect("valid"),
        "memory_mib": load().memory_mib(99).build().expect("valid"),
        "ready_within": load().ready_within(second).build().expect("valid"),
    });
    settings!(all, "steps/load_test/step.rs", |given| &given.image, load().build().expect("valid"), {
        "get": LoadTest::get("/b").rate(9.0).during(second * 9).threshold("p(99)<100").build().expect("valid"),
    });
    let against = || load().against("127.0.0.1:9").expect("valid");
    settings!(all, "steps/load_test/builder.rs", |_given| (), against(), {
        "against": load().against("127.0.0.1:8").expect("valid"),
    });

    let elsewhere = |because| load().allow_remote(because).against("192.0.2.1:9").expect("valid");
    let other = || Justification::new("the staging machine waits for it", "@example/web", "2026-12-24").expect("valid");
    settings!(all, "steps/load_test/builder.rs", |_given| (), elsewhere(because()), {
        "allow_remote": elsewhere(other()),
    });

    settings!(all, "scan/step.rs", |_given| (), Hadolint::every_dockerfile(), {
        "leaving_out": Hadolint::every_dockerfile().leaving_out("f", because()),
        "of_last_commit": Hadolint::every_dockerfile().of_last_commit(),
    });
    settings!(all, "steps/hadolint.rs", |_given| (), Hadolint::files(["a"]), {
        "files": Hadolint::files(["b"]),
        "trusting_registries": Hadolint::files(["a"]).trusting_registries(["r"]),
    });
    settings!(all, "steps/ruff/step.rs", |_given| (), RuffLint::in_dir("a"), {
        "in_dir": RuffLint::in_dir("b"),
        "check": RuffFormat::check("a"),
    });
    settings!(all, "steps/rust_format/step.rs", |_given| (), RustFormat::edition("2021"), {
        "edition": RustFormat::edition("2024"),
    });
    settings!(all, "steps/sast/bandit.rs", |_given| (), Sast::bandit("a"), {
        "bandit": Sast::bandit("b"),
    });
    settings!(all, "steps/sast/semgrep.rs", |given| &given.sast, Sast::semgrep("a"), {
        "semgrep": Sast::semgrep("b"),
    });
    settings!(all, "steps/secret_scan/step.rs", |_given| (), SecretScan::new(), {
        "exceptions_file": SecretScan::new().exceptions_file("f"),
    });
    settings!(all, "steps/secret_scan/gitleaks.rs", |_given| (), Gitleaks::new(), {
        "exceptions_file": Gitleaks::new().exceptions_file("f"),
    });

    let command = || CommandStep::new(Invocation::tool("a"));
    settings!(all, "step/plain.rs", |_given| (), command(), {
        "new": CommandStep::new(Invocation::tool("a").arg("b")),
        "claiming": command().claiming(Claims::exclusive("c")),
        "effect": command().effect("e"),
        "environment": command().effect("e").environment("staging"),
        "resume_key": command().resume_key("k"),
    });
    let closure = || step_fn(|_, ()| Ok(Outcome::of(())));
    settings!(all, "step/plain.rs", |_given| (), closure(), {
        "accept": closure().accept(Code::from_static("X-1"), Scope::Any, because()),
    });
    all
}

/// What gives a step or changes one, by its file: everything public that has no `&self` and gives something to go on with.
fn settings_of(file: &Utf8Path, name: &str) -> BTreeSet<String> {
    let function = Regex::new(r"(?s)pub fn (\w+)(?:<[^(]*>)?\(([^{]*?)\)\s*->\s*([^{;]+?)\s*\{").expect("a pattern");
    let given =
        Regex::new(r"\b(Self|Semgrep|LoadTestBuilder|LoadAgainst|DastBuilder|EffectCommand|IntermediateBuild)\b")
            .expect("a pattern");
    let text = fs::read_to_string(file).expect("readable");
    let code = text.split("\n#[cfg(test)]").next().expect("a part");
    let found = function.captures_iter(code).filter(|found| {
        let takes = found[2].trim();
        given.is_match(&found[3]) && !takes.is_empty() && !takes.starts_with('&')
    });
    found.map(|found| format!("{name}: {}", &found[1])).collect()
}

/// What is no setting of a step, and why.
const NONE: &[(&str, &str)] = &[
    ("scan/step.rs: of", "takes the scanner, whose settings are in its own file"),
    ("steps/base_image/recipe.rs: parse", "reads a file of the repository when the step runs"),
];

#[test]
fn every_setting_of_every_step_is_in_the_definition() {
    let all = every_setting();
    let src = Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut open = vec![src.join("steps")];
    let mut files: Vec<Utf8PathBuf> =
        ["scan/step.rs", "step/plain.rs", "docker/build/recipe.rs", "python/lock_file.rs"]
            .map(|file| src.join(file))
            .to_vec();
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir_utf8().expect("a folder").flatten() {
            let path = entry.into_path();
            if path.is_dir() {
                open.push(path);
            } else if !path.file_name().is_some_and(|name| name.contains("tests")) {
                files.push(path);
            }
        }
    }
    let mut expected = BTreeSet::new();
    for file in &files {
        let name = file.strip_prefix(src).expect("below");
        expected.extend(settings_of(file, name.as_str()));
        let text = fs::read_to_string(file).expect("readable");
        // What a closure does is in the hash of the program.
        let by_hand = text.matches("Debug for ").count();
        let allowed = usize::from(name == "step/plain.rs");
        assert_eq!(by_hand, allowed, "{name}: what a setting is, is derived, so that none is forgotten");
    }
    expected.retain(|name| NONE.iter().all(|(none, _)| none != name));
    let missing: Vec<_> = expected.difference(&all.named).collect();
    assert!(missing.is_empty() && expected.len() > 90, "add these settings to the table: {missing:#?}");
    let unknown: Vec<_> = all.named.difference(&expected).collect();
    assert!(unknown.is_empty(), "these are no settings any more: {unknown:#?}");
}

#[test]
fn what_a_pipeline_says_of_its_steps_is_in_the_definition() {
    let number = || step_fn(|_, ()| Ok(Outcome::of(1_u32)));
    type Variant = fn(&mut Pipeline, &Handle<u32>, &Handle<u32>);
    let variants: [Variant; 14] = [
        |_, _, _| {},
        |ci, one, other| ci.after(other, one),
        |ci, one, _| ci.retry(one, Retry::times(2), because()),
        |ci, one, _| ci.retry(one, Retry::times(3), because()),
        |ci, one, _| ci.retry(one, Retry::times(2).delays(Duration::ZERO, Duration::ZERO), because()),
        |ci, _, _| ci.policy(crate::policy::Policy::default().owners(["@example/web"])),
        |ci, one, _| {
            ci.add("text", step_fn(|_, _: u32| Ok(Outcome::of(String::new()))), one);
        },
        |ci, _, other| {
            ci.add("text", step_fn(|_, _: u32| Ok(Outcome::of(String::new()))), other);
        },
        |ci, one, _| {
            ci.add("text", step_fn(|_, _: u32| Ok(Outcome::of(1_u64))), one);
        },
        |ci, one, _| {
            ci.add("text", step_fn(|_, _: u32| Ok(Outcome::of(1_u64))).effect("e"), one);
        },
        |ci, one, other| {
            ci.add("two", step_fn(|_, _: (u32, u32)| Ok(Outcome::of(()))), (one, other));
        },
        |ci, one, other| {
            ci.add("two", step_fn(|_, _: (u32, u32)| Ok(Outcome::of(()))), (other, one));
        },
        |ci, _, _| {
            let image = ci.add("image", DockerBuild::context("app"), ());
            let listed = ci.add("listed", Sbom::new(), &image);
            ci.clear(&image, &listed);
        },
        |ci, _, _| {
            let image = ci.add("image", DockerBuild::context("app"), ());
            let listed = ci.add("listed", Sbom::new(), &image);
            ci.clear_for("staging", &image, &listed);
        },
    ];
    let definitions = variants.iter().map(|change| {
        let mut ci = Pipeline::new("said");
        let (one, other) = (ci.add("one", number(), ()), ci.add("other", number(), ()));
        change(&mut ci, &one, &other);
        definition(&ci)
    });
    let definitions: BTreeSet<String> = definitions.collect();
    assert_eq!(definitions.len(), variants.len());
}

/// Set for the process that only says what it sees.
const SAY: &str = "CICD_CORE_SAY_DEFINITIONS";
const MARK: &str = "definitions: ";

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no context to ask")]
fn a_definition_is_the_same_in_every_process() {
    let here = every_setting().all.join(",");
    if std::env::var_os(SAY).is_some() {
        // Where the reader looks for it: the tests' own output is on the same stream.
        println!("\n{MARK}{here}");
        return;
    }
    let program = Utf8PathBuf::from_path_buf(std::env::current_exe().expect("this program")).expect("UTF-8");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let elsewhere = Utf8Path::from_path(elsewhere.path()).expect("UTF-8");
    let this = "pipeline::resume::definition_tests::a_definition_is_the_same_in_every_process";
    let call = Invocation::program(&program).args([this, "--exact", "--nocapture"]).dir(elsewhere);
    let call = call.env(SAY, "1").env("TMPDIR", elsewhere.as_str()).env("HOME", elsewhere.as_str()).env("LC_ALL", "C");
    let said = execute(&call, &program, &mut Discard, &Cancel::new().expect("descriptors")).expect("it ran");
    let text = said.stdout_text().expect("text");
    let there = text.lines().find_map(|line| line.strip_prefix(MARK)).expect("it says them");
    assert_eq!(there, here);
}
