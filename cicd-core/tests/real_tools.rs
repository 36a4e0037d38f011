//! The steps around Python and Dockerfiles with the real tools. A tool that is missing makes a test fail.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;

use camino::Utf8Path;

use cicd_core::model::{Event, Finding, Status};
use cicd_core::pipeline::{Observer, Outside, Pipeline, RunOptions, run};
use cicd_core::policy::Justification;
use cicd_core::step::{Step, Workspace};
use cicd_core::steps::{
    CodeOwners, CoverageGate, Gitleaks, Hadolint, IacScan, Pytest, PythonEnv, RuffFormat, RuffLint, RustFormat, Sast,
    SecretScan, WorkflowLint,
};

#[path = "support/repository.rs"]
mod repository;

use repository::{CART, Repository, TESTS};

#[path = "real_tools/formatted.rs"]
mod formatted;

#[test]
fn tests_run_in_a_locked_environment_and_their_coverage_is_judged() {
    let repository = Repository::new();
    let env = PythonEnv::locked("requirements-dev.txt");
    let python = env.run(&repository.context("env"), ()).expect("an environment").value;
    assert_eq!(python.packages(), 15);

    let tests = Pytest::in_dir("app").with_coverage("shop").at_least(2);
    let run = || tests.run(&repository.context("tests"), python.clone()).expect("looked");
    let report = run().value;
    assert_eq!((report.tests(), report.passed(), report.failed()), (2, 2, 0));
    let gate = CoverageGate::lines(100.0).and_then(|gate| gate.branches(100.0)).expect("full").sources("app/shop");
    assert_eq!(repository.look(&gate, report.clone().into()), (Status::Passed, Vec::new()));

    // An edit after the tests ran: the report is of other sources.
    repository.write("app/shop/cart.py", &CART.replace("- discount", "- discount - 0"));
    assert!(
        repository.error(&gate, report.clone().into()).contains("app/shop/cart.py was changed after the tests ran")
    );
    repository.write("app/shop/cart.py", CART);
    repository.write("app/shop/new.py", "\"\"\"New.\"\"\"\n\nANSWER = 42\n");
    assert!(repository.error(&gate, report.into()).contains("app/shop/new.py was not there when the tests ran"));

    // A file that nothing imports counts as missing, not as nothing.
    let (status, codes) = repository.look(&gate, run().value.into());
    assert_eq!((status, codes), (Status::Failed, vec!["COV-001".to_owned(), "COV-001".to_owned()]));
    fs::remove_file(repository.path().join("app/shop/new.py")).expect("removed");

    // A deleted test is noticed twice.
    let one = TESTS.split("\n\n\ndef test_discount").next().expect("the first test");
    repository.write("app/tests/test_cart.py", &format!("{one}\n"));
    let outcome = run();
    assert_eq!(outcome.findings.iter().map(|one| one.code.to_string()).collect::<Vec<_>>(), ["PYT-003"]);
    assert_eq!(repository.look(&gate, outcome.value.into()).1, ["COV-001", "COV-001", "COV-002", "COV-002"]);

    repository.write("app/tests/test_cart.py", &TESTS.replace("== 3", "== 4"));
    assert_eq!(repository.look(&tests, python.clone()), (Status::Failed, vec!["PYT-001".to_owned()]));
    repository.write("app/tests/test_cart.py", "import nothing_there\n");
    assert!(repository.error(&tests, python.clone()).contains("could not be collected"));
    fs::remove_file(repository.path().join("app/tests/test_cart.py")).expect("removed");
    assert!(repository.error(&tests, python).contains("collected no test"));
}

#[test]
fn a_lowered_threshold_is_among_the_exceptions_of_a_run() {
    let repository = Repository::new();
    let report = "SF:shop/__init__.py\nend_of_record\nSF:shop/cart.py\nDA:4,1\nDA:6,1\nDA:7,1\nDA:8,0\nend_of_record\n";
    repository.write("coverage.lcov", report);
    let soon = repository.soon();
    let because = Justification::new("the cart is being rewritten this spring", "@example/shop", &soon);
    let gate = CoverageGate::lines(100.0).and_then(|gate| gate.lines_lowered(70.0, because.expect("valid")));
    let gate = gate.expect("lowered").sources("app/shop").report("coverage.lcov");
    let mut ci = Pipeline::new("lowered");
    ci.add("coverage", gate, ());
    let workspace = Workspace::at(repository.path());
    let outside = Outside::gather(&workspace, Vec::new()).expect("an environment");
    let summary = run(&ci, &workspace, outside, &RunOptions::default(), &mut Unseen).expect("a run");
    let step = &summary.steps[0];
    assert_eq!((step.status, step.exceptions.len()), (Status::Exempted, 1));
    let listed = &step.exceptions[0];
    assert_eq!((listed.exception.justification.owner.as_str(), listed.covers), ("@example/shop", 1));
}

struct Unseen;

impl Observer for Unseen {
    fn event(&mut self, _: &Event) {}
}

#[test]
fn a_report_from_before_the_last_edit_is_an_error() {
    let repository = Repository::new();
    let report = "SF:shop/__init__.py\nend_of_record\nSF:shop/cart.py\nDA:4,1\nDA:6,1\nDA:7,1\nDA:8,1\nend_of_record\n";
    repository.write("coverage.lcov", report);
    let gate = CoverageGate::lines(100.0).expect("full").sources("app/shop").report("coverage.lcov");
    assert_eq!(repository.look(&gate, ().into()), (Status::Passed, Vec::new()));
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let source = fs::File::options().append(true).open(repository.path().join("app/shop/cart.py")).expect("open");
    source.set_modified(later).expect("dated");
    assert!(repository.error(&gate, ().into()).contains("coverage.lcov is older than app/shop/cart.py"));
    repository.write("coverage.lcov", "SF:shop/cart.py\n");
    assert!(repository.error(&gate.report("none.lcov"), ().into()).contains("none.lcov"));
}

#[test]
fn a_lock_file_without_hashes_or_with_a_wrong_one_is_an_error() {
    let repository = Repository::new();
    repository.write("open.txt", "iniconfig==2.3.1\n");
    assert!(
        repository
            .error(&PythonEnv::locked("open.txt"), ())
            .contains("open.txt:1: the lock file cannot be read: iniconfig has no hash")
    );
    repository.write("wrong.txt", &format!("iniconfig==2.3.1 --hash=sha256:{}\n", "0".repeat(64)));
    assert!(repository.error(&PythonEnv::locked("wrong.txt"), ()).contains("uv"));
}

#[test]
fn ruff_checks_every_file_or_fails() {
    let repository = Repository::new();
    let (lint, format) = (RuffLint::in_dir("app"), RuffFormat::check("app"));
    assert_eq!(repository.look(&lint, ()), (Status::Passed, Vec::new()));
    assert_eq!(repository.look(&format, ()), (Status::Passed, Vec::new()));
    repository.write("app/shop/bad.py", "import os\n\nx = [1,2 ]\n");
    assert_eq!(repository.look(&lint, ()), (Status::Failed, vec!["F401".to_owned()]));
    assert_eq!(repository.look(&format, ()), (Status::Failed, vec!["unformatted".to_owned()]));
    repository.write("app/ruff.toml", "exclude = [\"bad.py\"]\nforce-exclude = true\nextension = { py = \"ipynb\" }\n");
    assert_eq!(repository.look(&lint, ()), (Status::Failed, vec!["F401".to_owned()]));
    assert_eq!(repository.look(&format, ()), (Status::Failed, vec!["unformatted".to_owned()]));
    assert!(repository.error(&RuffLint::in_dir("nowhere"), ()).contains("nowhere"));
    // Too deep for ruff's stack.
    fs::remove_file(repository.path().join("app/ruff.toml")).expect("removed");
    repository.write("app/shop/deep.py", &format!("X = {}1\n", "not ".repeat(100_000)));
    for error in [repository.error(&lint, ()), repository.error(&format, ())] {
        assert!(error.contains("app/shop/deep.py:1"), "{error}");
    }
}

#[test]
fn ruff_is_kept_from_comments_and_those_it_obeys_anyway_are_findings() {
    let repository = Repository::new();
    let (lint, format) = (RuffLint::in_dir("app"), RuffFormat::check("app"));
    let look = |text: &str| {
        repository.write("app/shop/quiet.py", text);
        let codes = repository.look(&lint, ()).1;
        (codes, repository.look(&format, ()).1)
    };
    for hidden in [
        "import os  # noqa: F401\n",
        "import os  # ruff: ignore[F401]\n",
        "# ruff: noqa: F401\nimport os\n",
        "# flake8: noqa: F401\nimport os\n",
        "# ruff: file-ignore[F401]\nimport os\n",
        "# ruff: disable[F401]\nimport os\n# ruff: enable[F401]\n",
    ] {
        assert_eq!(look(hidden), (vec!["F401".to_owned(), "IGN-016".to_owned()], Vec::new()), "{hidden}");
    }
    let above =
        "# reason: the table is read more easily in columns\n# owner: @example/platform\n# expires: 2999-01-01\n";
    let codes = vec!["RUFF-001".to_owned(), "EXC-004".to_owned()];
    assert_eq!(look(&format!("{above}# fmt: off\nx  =  1\n# fmt: on\n")), (Vec::new(), codes.clone()));
    assert_eq!(look(&format!("{above}# isort: skip_file\n")), (codes, Vec::new()));
}

#[test]
fn hadolint_takes_no_configuration_that_it_was_not_given() {
    let repository = Repository::new();
    let step = Hadolint::files(["Dockerfile"]);
    repository.write("Dockerfile", "FROM debian:12\nUSER 10001\n");
    assert_eq!(repository.look(&step, ()), (Status::Passed, Vec::new()));
    let bad = "FROM debian:latest\n# hadolint ignore=DL3003\nRUN cd /tmp \\\n    && true\nUSER 10001\n";
    repository.write("Dockerfile", bad);
    repository.write(".hadolint.yaml", "ignored: [DL3003, DL3007]\n");
    assert_eq!(repository.look(&step, ()).1, ["DL3007", "DL3003", "IGN-016", "IGN-017"]);
    let above = "# reason: the folder is only for this one line\n# owner: @example/platform\n# expires: 2999-01-01\n";
    repository.write("Dockerfile", &bad.replace("latest", "12").replace("# hadolint", &format!("{above}# hadolint")));
    assert_eq!(
        repository.look(&step, ()),
        (Status::Failed, vec!["DL3003".to_owned(), "IGN-017".to_owned(), "EXC-004".to_owned()])
    );
    let trusting = step.clone().trusting_registries(["registry.example.org"]);
    assert_eq!(repository.look(&trusting, ()).1, ["DL3026", "DL3003", "IGN-017", "EXC-004"]);

    repository.write("Dockerfile", "FRM debian\n");
    assert!(repository.error(&step, ()).starts_with("Dockerfile:1:1: the Dockerfile cannot be read"));
    repository.write("Dockerfile", "# nothing\n");
    assert!(repository.error(&step, ()).contains("Dockerfile holds no instruction"));
    repository.write("Dockerfile", bad);
    assert!(repository.error(&Hadolint::files(["none"]), ()).contains("none"));
    // Every Dockerfile is looked at, and a named one whatever its name is.
    repository.write("ci/release", "FROM debian:latest\nRUN true\n");
    repository.write("notes", "FROM debian:12\nnot an instruction\n");
    let mut codes = repository.look(&Hadolint::every_dockerfile(), ()).1;
    codes.sort();
    assert_eq!(codes, ["DL3003", "DL3007", "DL3007", "IGN-016", "IGN-017"]);
    assert!(repository.error(&Hadolint::files(["notes"]), ()).starts_with("notes:2:1: the Dockerfile cannot be read"));
    let because =
        Justification::new("an example that must fail", "@example/platform", &repository.soon()).expect("valid");
    let less = Hadolint::every_dockerfile().leaving_out("ci", because);
    assert_eq!(repository.look(&less, ()).1, ["DL3007", "DL3003", "IGN-016", "SCN-001", "IGN-017"]);
    for path in ["Dockerfile", "ci/release"] {
        fs::remove_file(repository.path().join(path)).expect("removed");
    }
    assert!(repository.error(&Hadolint::every_dockerfile(), ()).contains("there is no Dockerfile to look at"));
}

#[test]
fn python_is_scanned_wherever_it_lies() {
    let repository = Repository::new();
    let call = "import subprocess\n\nsubprocess.run(\"ls \" + input(), shell=True)\n";
    let method = "class A:\n    def run(self):\n        import subprocess\n\n        subprocess.run(\"ls \" + input(), shell=True)\n\n\nA().run()\n";
    let indented = "if True:\n    import subprocess\n\n    subprocess.run(\"ls \" + input(), shell=True)\n";
    let files = [
        ("job_a", format!("print(\"hi\")\n{call}")),
        ("job_b", indented.to_owned()),
        ("job_d", method.to_owned()),
        ("job_e", format!("{}{call}", "# a history\n".repeat(100_000))),
        ("job.task", call.to_owned()),
        ("job.py ", call.to_owned()),
        ("theme.txt", call.to_owned()),
        ("theme.py.txt", call.to_owned()),
        ("job.toml", call.to_owned()),
        ("job.md", call.to_owned()),
        ("job.ipynb", call.to_owned()),
        ("job.a:b,c", call.to_owned()),
        ("job.js", call.to_owned()),
    ];
    for (name, text) in &files {
        repository.write(&format!("app/shop/{name}"), text);
    }
    repository.commit();
    let mut all: BTreeSet<String> = files.iter().map(|(name, _)| format!("app/shop/{name}")).collect();
    let found = |findings: &[Finding], rules: &[&str]| -> BTreeSet<String> {
        let those = findings.iter().filter(|one| rules.contains(&one.code.as_str()));
        those.filter_map(|one| Some(one.location.as_ref()?.path.to_string())).collect()
    };
    let step = Sast::bandit("app");
    assert_eq!(found(&repository.verdict(&step, ()).findings, &["B602"]), all);
    // Ruff does not look at these, which is said.
    let (lint, format) = (RuffLint::in_dir("app"), RuffFormat::check("app"));
    for path in ["app/shop/job.md", "app/shop/job.toml"] {
        let (of_lint, of_format) = (repository.error(&lint, ()), repository.error(&format, ()));
        assert!(of_lint.contains(path) && of_format.contains(path), "{of_lint} {of_format}");
        fs::remove_file(repository.path().join(path)).expect("removed");
        all.remove(path);
    }
    assert_eq!(found(&repository.verdict(&lint, ()).findings, &["S602"]), all);
    for (name, text) in files.iter().filter(|(name, _)| all.contains(&format!("app/shop/{name}"))) {
        repository.write(&format!("app/shop/{name}"), &text.replace("input()", "input( )"));
    }
    assert_eq!(found(&repository.verdict(&format, ()).findings, &["unformatted"]), all);
    // Neither tool has a rule for this one, but it is looked at.
    repository.write("app/shop/job_f", "__import__(\"os\").system(\"ls \" + input())\n");
    let searched = Sast::bandit("app").run(&repository.context("sast"), ()).expect("looked").value;
    assert!(searched.paths().any(|path| path == "app/shop/job_f"));
}

const WORKFLOW: &str = "name: good\non: push\npermissions: {}\nconcurrency:\n  group: good\n  cancel-in-progress: true\njobs:\n  a:\n    name: a\n    runs-on: ubuntu-24.04\n    timeout-minutes: 5\n    steps:\n      - run: echo hello\n";

#[test]
fn zizmor_looks_at_every_workflow_or_fails() {
    let repository = Repository::new();
    let step = WorkflowLint::new();
    assert!(repository.error(&step, ()).contains("no workflow"));
    repository.write(".github/workflows/good.yml", WORKFLOW);
    assert_eq!(repository.look(&step, ()), (Status::Passed, Vec::new()));

    let action = "      - uses: example/tool@v1 # zizmor: ignore[unpinned-uses] reviewed\n";
    repository.write(".github/workflows/bad.yml", &format!("{WORKFLOW}{action}"));
    repository.write("zizmor.yml", "rules:\n  unpinned-uses:\n    disable: true\n");
    assert_eq!(repository.look(&step, ()).1, ["unpinned-uses", "IGN-016", "IGN-017"]);
    let above = "      # reason: the vendor signs this tag and we watch it\n      # owner: @example/platform\n      # expires: 2999-01-01\n";
    repository.write(".github/workflows/bad.yml", &format!("{WORKFLOW}{above}{action}"));
    // It is exempted, but for far longer than a finding of this severity may be.
    assert_eq!(repository.look(&step, ()).1, ["unpinned-uses", "IGN-017", "EXC-004"]);

    fs::remove_file(repository.path().join(".github/workflows/bad.yml")).expect("removed");
    for (path, right) in [
        (".github/workflows/Bad.YML", ".github/workflows/Bad.yml"),
        ("tools/ACTION.yml", "tools/action.yml"),
        (".github/dependabot.Yaml", ".github/dependabot.yaml"),
    ] {
        repository.write(path, WORKFLOW);
        let error = repository.error(&step, ());
        assert!(error.contains(path) && error.contains(&format!("name it {right}")), "{error}");
        fs::remove_file(repository.path().join(path)).expect("removed");
    }
    for broken in ["name: x\non: [\n", "hello: 1\n", ""] {
        repository.write(".github/workflows/bad.yml", broken);
        let error = repository.error(&step, ());
        assert!(error.contains("bad.yml") && error.contains("zizmor"), "{error}");
    }
}

#[test]
fn bandit_looks_at_every_file_or_fails() {
    let repository = Repository::new();
    let because =
        || Justification::new("tests assert what they show", "@example/shop", &repository.soon()).expect("valid");
    let step = Sast::bandit("app").leaving_out("app/tests", because());
    assert_eq!(repository.look(&step, ()), (Status::Exempted, vec!["SCN-001".to_owned()]));
    assert_eq!(repository.look(&Sast::bandit("app"), ()).1, ["B101", "B101"]);

    repository.write("app/shop/bad.py", "import pickle  # nosec\n\nX = pickle.loads(b\"\")\n");
    repository.write(".bandit", "[bandit]\nskips = B301,B403\nexclude = app\n");
    repository.write("app/shop/.bandit", "[bandit]\nskips = B301,B403\n");
    repository.write("app/pyproject.toml", "[tool.bandit]\nskips = [\"B301\", \"B403\"]\nexclude_dirs = [\"shop\"]\n");
    let mut codes = repository.look(&step, ()).1;
    codes.sort();
    assert_eq!(codes, ["B301", "B403", "IGN-016", "IGN-017", "IGN-017", "IGN-017", "SCN-001"]);

    repository.write("app/shop/bad.py", "def x(:\n");
    assert!(repository.error(&step, ()).starts_with("app/shop/bad.py: the Python file cannot be read: syntax error"));
    assert!(repository.error(&Sast::bandit("nowhere"), ()).contains("there is no Python file of nowhere to look at"));
    assert!(
        repository.error(&step.leaving_out("app/test", because()), ()).contains("app/test, which is to be left out")
    );
}

#[test]
fn rules_of_the_repository_find_their_examples_or_nothing_is_proven() {
    let repository = Repository::new();
    let rules = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/semgrep");
    for entry in rules.read_dir_utf8().expect("rules") {
        let path = entry.expect("a file").into_path();
        let name = path.file_name().expect("a name");
        repository.write(&format!("ci/semgrep/{name}"), &fs::read_to_string(&path).expect("text"));
    }
    // Neither may hide anything.
    repository.write(".semgrepignore", "*.py\napp/\n");
    repository.write(".gitignore", "target/\n");
    repository.write("app/shop/bad.py", "import os\n\nos.system(\"sync\")  # nosemgrep\n");
    repository.commit();
    let searched = || Sast::bandit("app").run(&repository.context("sast"), ()).expect("looked").value;
    let step = Sast::semgrep("ci/semgrep");
    let found = repository.look(&step, searched());
    assert_eq!(found, (Status::Failed, ["shell-command", "IGN-016", "IGN-017"].map(str::to_owned).to_vec()));
    // A script without an extension is Python by its first line.
    repository.write("app/shop/bad.py", "");
    repository.write("app/tool", "#!/usr/bin/env -S python3 -u\nimport os\n\nos.system(\"sync\")\n");
    assert_eq!(repository.look(&step, searched()).1, ["shell-command", "IGN-017"]);
    // Neither bandit nor ruff has a rule for this.
    repository.write("app/tool", "__import__(\"os\").system(\"ls \" + input())\n");
    assert_eq!(repository.look(&step, searched()).1, ["shell-command", "IGN-017"]);
    fs::remove_file(repository.path().join("app/tool")).expect("removed");
    assert_eq!(repository.look(&step, searched()), (Status::Passed, vec!["IGN-017".to_owned()]));

    let rule = repository.path().join("ci/semgrep/shell-command.yaml");
    let text = fs::read_to_string(&rule).expect("text");
    fs::write(&rule, text.replace("os.popen(...)", "os.nothing(...)")).expect("written");
    let error = repository.error(&step, searched());
    assert!(error.contains("did not find shell-command in line 11"), "{error}");
}

#[test]
fn secrets_are_found_in_files_that_trivy_passes_over() {
    let repository = Repository::new();
    let step = SecretScan::new();
    repository.write("empty", "");
    assert_eq!(repository.look(&step, ()), (Status::Passed, Vec::new()));
    let key = ["AK", "IAT5YVN3WQ8KXLB2MD"].concat();
    repository.write("trivy-secret.yaml", "disable-rules: [aws-access-key-id, github-pat]\n");
    repository.write("trivy.yaml", "scan:\n  scanners: [vuln]\n");
    for (index, path) in
        ["tests/a.py", "b.md", "package-lock.json", "c.png", "vendor/d", "node_modules/e"].iter().enumerate()
    {
        repository.write(path, &format!("\u{1}\0{index}\n{key}"));
    }
    let wide: Vec<u8> = format!("\u{feff}key={key} \r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(repository.path().join("f.ps1"), wide).expect("written");
    std::os::unix::fs::symlink(format!("/tmp/ {key} /x"), repository.path().join("link")).expect("linked");
    // In a name, and in what is compressed; a zip cannot be looked into.
    repository.write(&format!("keys/{key}.txt"), "");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, format!("a\nb {key}\n").as_bytes()).expect("packed");
    fs::write(repository.path().join("g.sql.gz"), gzip.finish().expect("packed")).expect("written");
    fs::write(repository.path().join("h.zip"), b"PK\x03\x04 and more").expect("written");
    repository.commit();
    let (status, mut codes) = repository.look(&step, ());
    codes.sort_by_key(|code| code == "SEC-002");
    let mut expected = vec!["aws-access-key-id".to_owned(); 10];
    expected.extend(["IGN-017", "IGN-017", "SEC-002"].map(str::to_owned));
    assert_eq!((status, codes), (Status::Failed, expected));

    let because = Justification::new("recorded answers of a public server", "@example/platform", &repository.soon());
    let less = step.clone().leaving_out("vendor", because.expect("valid"));
    let (_, codes) = repository.look(&less, ());
    assert_eq!(codes.iter().filter(|code| *code == "SEC-001").count(), 1, "{codes:?}");
    assert_eq!(codes.len(), 13);
    repository.write("exceptions.toml", "[[secrets]]\n");
    assert!(repository.error(&step.exceptions_file("exceptions.toml"), ()).contains("unknown key `secrets`"));
}

/// A token that gitleaks knows, in two parts so that this file holds none.
const TOKEN: [&str; 2] = ["gh", "p_Zk3J9vQz7XwB2mN5tR8yL1cF6hD4sA0pG2eU"];

#[test]
fn secrets_are_found_in_files_that_gitleaks_passes_over() {
    let repository = Repository::new();
    let (step, token) = (Gitleaks::new(), TOKEN.concat());
    repository.write("empty", "");
    assert_eq!(repository.look(&step, ()), (Status::Passed, Vec::new()));
    // What it would take as settings, and what would hide all of it.
    repository.write(".gitleaks.toml", "[[rules]]\nid = \"none\"\nregex = 'nothing'\n");
    repository.write("app/.gitleaksignore", "a.py:github-pat:1\n");
    let passed_over = [
        "a.png",
        "go.sum",
        "package-lock.json",
        "node_modules/b",
        "x-1.0.dist-info/METADATA",
        "gitleaks.toml",
        "d.exe",
    ];
    for path in passed_over {
        repository.write(path, &format!("MZ\0\u{1}\n{token}"));
    }
    repository.write("e.pdf", &format!("%PDF-1.7\n{token}\n"));
    let wide: Vec<u8> = format!("\u{feff}{token} \r\n").encode_utf16().flat_map(u16::to_be_bytes).collect();
    fs::write(repository.path().join("f.ps1"), wide).expect("written");
    std::os::unix::fs::symlink(format!("/tmp/ {token} /x"), repository.path().join("link")).expect("linked");
    repository.write(&format!("keys/{token}.txt"), "");
    let encoded = ["Z2hwX1prM0o5dlF6", "N1h3QjJtTjV0Ujh5TDFjRjZoRDRzQTBwRzJlVQ=="].concat();
    repository.write("encoded", &format!("blob: {encoded}\n"));
    let word = ["cGFzc3dv", "cmQxMjNhYmM="].concat();
    repository.write("nested/secret.yaml", &format!("apiVersion: v1\nkind: Secret\ndata:\n  password: {word}\n"));
    repository.commit();
    let (status, mut codes) = repository.look(&step, ());
    codes.sort();
    let mut expected = vec!["IGN-017"; 2];
    // A PDF may hold more than what can be read of it.
    expected.push("SEC-002");
    expected.push("gitleaks/generic-api-key");
    expected.extend(["gitleaks/github-pat"; 12]);
    expected.push("gitleaks/kubernetes-secret-yaml");
    assert_eq!((status, codes), (Status::Failed, expected.into_iter().map(str::to_owned).collect::<Vec<_>>()));

    // Nothing that the step leaves shows it.
    let cx = repository.context("step");
    step.run(&cx, ()).expect("looked");
    for entry in fs::read_dir(cx.path(cx.dir())).expect("the step's folder") {
        let path = entry.expect("an entry").path();
        let bytes = if path.is_file() { fs::read(&path).expect("read") } else { Vec::new() };
        assert!(!String::from_utf8_lossy(&bytes).contains(&token[4..]), "{}", path.display());
    }
}

#[test]
fn a_comment_that_allows_a_secret_needs_somebody_who_answers_for_it() {
    let repository = Repository::new();
    let (token, soon) = (TOKEN.concat(), repository.soon());
    let allow = ["gitleaks", ":allow"].concat();
    let key = |comment: &str, rules: &str| format!("let key = \"{token}\"; {comment} {allow}{rules}\n");
    let expires = format!("expires: {soon}");
    let because = |comment: &str| {
        let lines = ["reason: a key of the manual, which opens nothing", "owner: @example/security", &expires];
        lines.map(|line| format!("{comment} {line}\n")).concat()
    };
    let mut cases: Vec<(String, &[&str])> = vec![
        (key("#", ""), &["IGN-016", "open"]),
        (key("#", " github-pat"), &["IGN-016", "open"]),
        (because("#") + &key("#", ""), &["IGN-016", "open"]),
        (because("#") + "\n" + &key("#", " github-pat"), &["IGN-016", "open"]),
        (because("#") + &key("#", " aws-access-token"), &["EXC-002", "open"]),
        (because("#").replace(&soon, "2024-01-01") + &key("#", " github-pat"), &["EXC-001", "open"]),
        // What is written about such comments is none.
        (format!("write `{allow}` behind it\n"), &[]),
    ];
    cases.extend(
        ["#", "//", "--", ";"].map(|comment| (because(comment) + &key(comment, " github-pat"), &["exempted"][..])),
    );
    for (index, (text, _)) in cases.iter().enumerate() {
        repository.write(&format!("src/{index}"), text);
    }
    let verdict = repository.verdict(&Gitleaks::new(), ());
    for (index, (text, expected)) in cases.iter().enumerate() {
        let path = format!("src/{index}");
        let here = verdict.findings.iter().filter(|one| one.location.as_ref().is_some_and(|at| at.path == path));
        let mut seen: Vec<_> = here
            .map(|one| match (one.code.as_str(), &one.exception) {
                ("gitleaks/github-pat", Some(_)) => "exempted",
                ("gitleaks/github-pat", None) => "open",
                (other, _) => other,
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, *expected, "{text}");
    }
}

#[test]
fn of_the_last_commit_only_what_it_changed_is_searched_and_formatted() {
    let repository = Repository::new();
    let (secrets, format) = (SecretScan::new().of_last_commit(), RustFormat::edition("2024"));
    repository.write("key.txt", &format!("{}\n", ["AK", "IAT5YVN3WQ8KXLB2MD"].concat()));
    repository.write("bad.rs", "fn  main(){}\n");
    repository.commit();
    let key = vec!["aws-access-key-id".to_owned()];
    assert_eq!(repository.look(&secrets, ()), (Status::Failed, key));
    assert_eq!(repository.look(&format.clone().of_last_commit(), ()), (Status::Failed, vec!["rustfmt".to_owned()]));

    // An exception for a file that is not searched is not missed.
    let entry = "[[secret]]\nrule = \"aws-access-key-id\"\npath = \"key.txt\"\nsha256 = \"";
    let rest = "\"\nreason = \"the key of a manual, which opens nothing\"\nowner = \"@example/security\"\nexpires = \"2999-01-15\"\n";
    repository.write("exceptions.toml", &format!("{entry}{}{rest}", "0".repeat(64)));
    repository.commit();
    let secrets = secrets.exceptions_file("exceptions.toml");
    assert_eq!(repository.look(&secrets, ()), (Status::Passed, Vec::new()));
    assert_eq!(repository.look(&format.clone().of_last_commit(), ()), (Status::Passed, Vec::new()));
    assert_eq!(repository.look(&format, ()).1, ["rustfmt"]);
    repository.write("rustfmt.toml", "disable_all_formatting = true\n");
    assert!(repository.error(&format, ()).contains("rustfmt.toml has `disable_all_formatting`"));
}

#[test]
fn owners_are_judged_as_github_does() {
    let repository = Repository::new();
    let step = CodeOwners::file(".github/CODEOWNERS").sensitive(["app/pyproject.toml"], "@example/security");
    assert!(repository.error(&step, ()).contains(".github/CODEOWNERS is not a file of the repository"));
    let owned = "* @example/developers\n/app/pyproject.toml @example/security\n";
    repository.write(".github/CODEOWNERS", owned);
    assert_eq!(repository.look(&step, ()).1, ["CO-002"], "the file itself decides who is asked");
    repository.write(".github/CODEOWNERS", &format!("{owned}/.github/ @example/security\n"));
    assert_eq!(repository.look(&step, ()), (Status::Passed, Vec::new()));
    repository.write("CODEOWNERS", "* @example/developers\n");
    repository.write(".github/CODEOWNERS", "/app/ @example/developers\n");
    assert_eq!(repository.look(&step, ()).1, ["CO-007", "CO-001", "CO-002", "CO-002"]);
    repository.write(".github/CODEOWNERS", &"# a comment that fills the file\n".repeat(100_000));
    assert_eq!(repository.look(&step, ()).1, ["CO-007", "CO-008"]);
    assert!(repository.error(&CodeOwners::file("ci/CODEOWNERS"), ()).contains("GitHub does not look"));
}

#[test]
fn dockerfiles_and_workflows_are_scanned_whatever_the_repository_says() {
    let repository = Repository::new();
    let scan = IacScan::checkov();
    repository.write("app/Dockerfile", "FROM debian:12\nCMD [\"sh\"]\n# checkov:skip=CKV_DOCKER_3:nobody said why\n");
    repository.write(".checkov.yaml", "skip-check: [CKV_DOCKER_2, CKV_DOCKER_3]\n");
    let (status, mut codes) = repository.look(&scan, ());
    codes.sort();
    assert_eq!(
        (status, codes),
        (Status::Failed, ["CKV_DOCKER_2", "CKV_DOCKER_3", "IGN-016", "IGN-017"].map(str::to_owned).to_vec())
    );

    // GitHub runs such a workflow, and checkov's schema refuses it.
    let workflow = include_str!("data/zizmor/good.yml");
    let workflow = workflow.replace("cancel-in-progress: true", "cancel-in-progress: ${{ github.ref == 'x' }}");
    repository.write(".github/workflows/ci.yml", &workflow);
    let error = repository.error(&scan, ());
    assert!(error.contains("1 of 2 infrastructure files, among them .github/workflows/ci.yml"), "{error}");
}
