//! What is judged, with the real git: whatever git is told to overlook, and whatever lies beside what it tracks.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::formats::file_kind::FileKind;
use cicd_core::model::{Finding, Level};
use cicd_core::pipeline::{Outside, alone};
use cicd_core::policy::{Justification, Policy, evaluate};
use cicd_core::process::{Cancel, Captured, Discard, Invocation, Toolbox, execute};
use cicd_core::source::Source;
use cicd_core::step::{Outcome, Step as _, Workspace};
use cicd_core::steps::{SourceCheck, SourceChecked};

/// A repository with one commit: `app/a.py`, `app/run.sh`, `app/link`, `README` and rules that ignore what tools generate.
struct Repository {
    _folder: tempfile::TempDir,
    base: Utf8PathBuf,
    root: Utf8PathBuf,
}

fn toolbox(root: &Utf8Path) -> Toolbox {
    Outside::without_git(Vec::new()).expect("descriptors").toolbox(&Workspace::at(root))
}

fn git(root: &Utf8Path, args: &[&str]) -> String {
    let git = toolbox(root).locate("git").expect("git");
    // Nobody's own settings decide what is tested.
    let call = Invocation::tool("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"])
        .args(["-c", "protocol.file.allow=always", "-c", "maintenance.auto=false"])
        .args(args)
        .dir(root)
        .env_remove_prefix("GIT_")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    let captured = execute(&call, &git, &mut Discard, &Cancel::new().expect("descriptors"))
        .and_then(Captured::require_success)
        .expect("git");
    captured.stdout_text().expect("text").to_owned()
}

impl Repository {
    fn new() -> Self {
        let this = Self::empty();
        for (path, text) in [
            ("README", "read me\n"),
            ("app/a.py", "A = 1\n"),
            ("app/b.py", "B = 1\n"),
            ("app/run.sh", "#!/bin/sh\n"),
            (".gitignore", "/target/\n__pycache__/\n.venv/\n*.log\n.coverage\n"),
        ] {
            this.write(path, text);
        }
        fs::set_permissions(this.root.join("app/run.sh"), Permissions::from_mode(0o755)).expect("changed");
        symlink("a.py", this.root.join("app/link")).expect("linked");
        this.commit();
        this
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = Utf8Path::from_path(folder.path()).expect("UTF-8").canonicalize_utf8().expect("there");
        let root = base.join("repository");
        fs::create_dir(&root).expect("made");
        git(&root, &["init", "--quiet", "--initial-branch=main"]);
        Self { _folder: folder, base, root }
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.root, args)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", "m"]);
    }

    fn gather(&self) -> Result<Source, String> {
        Source::gather(&self.root, &toolbox(&self.root), &Cancel::new().expect("descriptors"))
    }

    fn source(&self) -> Source {
        self.gather().expect("a source")
    }

    /// Every difference from the commit, as people read it.
    fn differences(&self) -> Vec<String> {
        let source = self.source();
        assert_eq!(source.revision().expect("a commit").dirty, !source.differences().is_empty());
        source.differences().iter().map(ToString::to_string).collect()
    }

    /// That there is one difference, in this file, and that it says this.
    fn differs(&self, path: &str, words: &str) {
        let all = self.differences();
        assert!(all.len() == 1 && all[0].starts_with(path) && all[0].contains(words), "{path} {words}: {all:?}");
    }

    fn hidden(&self) -> Vec<String> {
        self.source().hidden().iter().map(|one| format!("{} ({})", one.path, one.rule)).collect()
    }

    fn files(&self) -> Vec<String> {
        self.source().files().iter().map(|file| file.path.to_string()).collect()
    }

    fn check(&self, step: &SourceCheck) -> Outcome<SourceChecked> {
        let workspace = Workspace::at(&self.root);
        let outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
        let cx = alone(&workspace, "source", outside).expect("a context");
        step.run(&cx, ()).expect("looked")
    }

    /// The size of everything in the repository's own folder, in bytes.
    fn stored_bytes(&self) -> u64 {
        fn size(folder: &Utf8Path) -> u64 {
            let entries = folder.read_dir_utf8().expect("a folder");
            let sizes = entries.map(|entry| {
                let entry = entry.expect("an entry");
                let found = entry.metadata().expect("there");
                if found.is_dir() { size(entry.path()) } else { found.len() }
            });
            sizes.sum()
        }
        size(&self.root.join(".git"))
    }
}

#[test]
fn a_checkout_as_committed_differs_in_nothing() {
    let repository = Repository::new();
    repository.write("target/debug/x.py", "import os\n");
    repository.write("app/__pycache__/a.cpython-311.pyc", "code");
    repository.write("app/.venv/lib/x.py", "import os\n");
    repository.write("app/.venv-more/lib/x.py", "import os\n");
    // Environments ignore themselves.
    repository.write("app/.venv-more/.gitignore", "*\n");
    repository.write("app/x.log", "x\n");
    assert_eq!(repository.differences(), [""; 0]);
    assert_eq!(repository.hidden(), [""; 0]);
    assert_eq!(repository.files(), [".gitignore", "README", "app/a.py", "app/b.py", "app/link", "app/run.sh"]);
    assert_eq!(repository.source().personal(), ["app/x.log"]);
}

#[test]
fn what_git_is_told_to_overlook_is_a_difference() {
    for (flag, words) in [("--skip-worktree", "skip-worktree"), ("--assume-unchanged", "assume-unchanged")] {
        let repository = Repository::new();
        repository.git(&["update-index", flag, "app/a.py"]);
        repository.differs("app/a.py", "told not to see changes");
        repository.write("app/a.py", "A = 2\n");
        assert_eq!(repository.git(&["status", "--porcelain"]), "");
        repository.differs("app/a.py", words);
    }
    // The stamps that git keeps say that nothing has changed.
    let repository = Repository::new();
    repository.git(&["config", "core.trustctime", "false"]);
    repository.git(&["config", "core.checkStat", "minimal"]);
    let path = repository.root.join("app/a.py");
    let then = fs::metadata(&path).expect("there").modified().expect("a time");
    let then = then - std::time::Duration::from_secs(60);
    let set = || {
        let file = fs::File::options().write(true).open(&path).expect("opened");
        file.set_modified(then).expect("set");
    };
    set();
    repository.git(&["update-index", "--refresh"]);
    fs::write(&path, "A = 2\n").expect("written");
    set();
    repository.differs("app/a.py", "bytes");
    // A monitor that claims to know that nothing changed.
    let repository = Repository::new();
    let monitor = repository.base.join("monitor");
    fs::write(&monitor, "#!/bin/sh\nprintf 'token\\0'\n").expect("written");
    fs::set_permissions(&monitor, Permissions::from_mode(0o755)).expect("changed");
    repository.git(&["config", "core.fsmonitor", monitor.as_str()]);
    repository.git(&["config", "core.untrackedCache", "true"]);
    repository.git(&["update-index", "--fsmonitor-valid", "app/a.py"]);
    repository.write("app/a.py", "A = 2\n");
    repository.write("app/new.py", "A = 2\n");
    let all = repository.differences();
    assert!(all.len() == 2 && all[0].starts_with("app/a.py") && all[1].starts_with("app/new.py"), "{all:?}");
    // A sparse checkout leaves files out.
    let repository = Repository::new();
    repository.git(&["sparse-checkout", "set", "--no-cone", "/README", "/.gitignore"]);
    assert_eq!(repository.differences().len(), 4);
    assert!(repository.differences().iter().all(|one| one.contains("not here") && one.contains("skip-worktree")));
}

#[test]
fn bytes_that_git_converts_are_a_difference() {
    let repository = Repository::new();
    repository.write("app/a.py", "A = 1\r\n");
    repository.git(&["config", "core.autocrlf", "true"]);
    repository.git(&["add", "app/a.py"]);
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    repository.differs("app/a.py", "line ends");
    // A filter that shows git what was committed, whatever lies there.
    let repository = Repository::new();
    repository.write(".git/info/attributes", "app/a.py filter=same\n");
    repository.git(&["config", "filter.same.clean", "printf 'A = 1\\n'"]);
    repository.write("app/a.py", "import os\n");
    repository.git(&["add", "app/a.py"]);
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    repository.differs("app/a.py", "filter");
    // Keywords.
    let repository = Repository::new();
    repository.write("app/a.py", "ID = '$Id$'\n");
    repository.commit();
    repository.write(".git/info/attributes", "*.py ident\n");
    fs::remove_file(repository.root.join("app/a.py")).expect("removed");
    repository.git(&["checkout", "--", "app/a.py"]);
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    repository.differs("app/a.py", "bytes");
    // An encoding of its own.
    let repository = Repository::new();
    repository.write(".git/info/attributes", "*.py working-tree-encoding=UTF-16LE\n");
    fs::remove_file(repository.root.join("app/a.py")).expect("removed");
    repository.git(&["checkout", "--", "app/a.py"]);
    repository.differs("app/a.py", "bytes");
}

#[test]
fn modes_links_and_kinds_that_git_is_told_to_ignore_are_differences() {
    let repository = Repository::new();
    repository.git(&["config", "core.fileMode", "false"]);
    fs::set_permissions(repository.root.join("app/a.py"), Permissions::from_mode(0o755)).expect("changed");
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    repository.differs("app/a.py", "executable");

    let repository = Repository::new();
    repository.git(&["config", "core.symlinks", "false"]);
    fs::remove_file(repository.root.join("app/link")).expect("removed");
    repository.write("app/link", "a.py");
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    repository.differs("app/link", "kind");

    // A link in place of a folder leads to other files with the same bytes, for now.
    let repository = Repository::new();
    let elsewhere = repository.base.join("elsewhere");
    fs::rename(repository.root.join("app"), &elsewhere).expect("moved");
    symlink(&elsewhere, repository.root.join("app")).expect("linked");
    let all = repository.differences();
    assert!(all.iter().any(|one| one.starts_with("app/a.py") && one.contains("not here")), "{all:?}");
    assert!(all.iter().any(|one| one.starts_with("app: ") && one.contains("not track")), "{all:?}");

    let repository = Repository::new();
    fs::remove_file(repository.root.join("app/a.py")).expect("removed");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        repository.root.join("app/a.py").as_std_path(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    repository.differs("app/a.py", "kind");
}

#[test]
fn a_commit_that_git_shows_otherwise_is_a_difference() {
    let repository = Repository::new();
    repository.write("app/a.py", "A = 2\n");
    repository.git(&["add", "app/a.py"]);
    let (head, tree) = (repository.git(&["rev-parse", "HEAD"]), repository.git(&["write-tree"]));
    let other = repository.git(&["commit-tree", "-m", "m", tree.trim()]);
    repository.git(&["replace", head.trim(), other.trim()]);
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    let all = repository.differences();
    assert!(all.iter().any(|one| one.starts_with("app/a.py") && one.contains("bytes")), "{all:?}");
    assert!(all.iter().any(|one| one.starts_with(".git/refs/replace/") && one.contains("git replace")), "{all:?}");
    // A replaced file.
    let repository = Repository::new();
    repository.write("other", "A = 2\n");
    let (old, new) = (repository.git(&["rev-parse", "HEAD:app/a.py"]), repository.git(&["hash-object", "-w", "other"]));
    fs::rename(repository.root.join("other"), repository.root.join("app/a.py")).expect("moved");
    repository.git(&["replace", old.trim(), new.trim()]);
    assert!(repository.differences().iter().any(|one| one.starts_with("app/a.py") && one.contains("bytes")));
    // Other parents.
    let repository = Repository::new();
    let head = repository.git(&["rev-parse", "HEAD"]);
    repository.write(".git/info/grafts", &head);
    repository.differs(".git/info/grafts", "grafts");
}

/// The name of a commit stands for its files only as long as every object on the way to them is what its name says.
#[test]
fn an_object_under_the_name_of_another_one_is_an_error() {
    for (of, changed) in [("HEAD:app", "app/a.py"), ("HEAD:app/deep", "app/deep/b.py"), ("HEAD", "app/a.py")] {
        let repository = Repository::new();
        repository.write("app/deep/b.py", "import os\n");
        repository.commit();
        let (innocent, good) = (repository.git(&["rev-parse", "HEAD"]), repository.git(&["rev-parse", of]));
        repository.write(changed, "import subprocess\n");
        repository.commit();
        let evil = repository.git(&["rev-parse", of]);
        repository.git(&["reset", "--quiet", "--soft", innocent.trim()]);
        let stored = |id: &str| repository.root.join(".git/objects").join(&id[..2]).join(id[2..].trim());
        fs::remove_file(stored(&good)).expect("removed");
        fs::copy(stored(&evil), stored(&good)).expect("in its place");
        let error = repository.gather().expect_err("another commit than it says");
        assert!(error.contains("is not what its name says"), "{of}: {error}");
    }
}

#[test]
fn what_is_in_the_index_alone_is_a_difference() {
    let repository = Repository::new();
    repository.write("app/new.py", "A = 2\n");
    repository.git(&["add", "--intent-to-add", "app/new.py"]);
    repository.differs("app/new.py", "not committed");
    repository.git(&["add", "app/new.py"]);
    repository.differs("app/new.py", "not committed");

    let repository = Repository::new();
    repository.git(&["rm", "--quiet", "--cached", "app/a.py"]);
    repository.differs("app/a.py", "the index has something else");
    assert!(repository.files().contains(&"app/a.py".to_owned()), "it is judged all the same");

    let repository = Repository::new();
    repository.write("app/a.py", "A = 2\n");
    repository.git(&["add", "app/a.py"]);
    repository.write("app/a.py", "A = 1\n");
    repository.differs("app/a.py", "the index has something else");

    let repository = Repository::new();
    fs::remove_file(repository.root.join("app/a.py")).expect("removed");
    repository.differs("app/a.py", "not here");
    assert!(!repository.files().contains(&"app/a.py".to_owned()));
}

#[test]
fn ignored_code_is_hidden_whatever_rule_ignores_it() {
    let excludes = |repository: &Repository| {
        let path = repository.base.join("excludes");
        repository.git(&["config", "core.excludesFile", path.as_str()]);
        path
    };
    for (place, text) in
        [(".git/info/exclude", "evil.py"), (".gitignore", "evil.py"), ("app/.gitignore", "/evil.py"), ("", "evil*")]
    {
        let repository = Repository::new();
        let path = if place.is_empty() { excludes(&repository) } else { repository.root.join(place) };
        fs::write(path, format!("{text}\n")).expect("written");
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "--quiet", "--allow-empty", "-m", "m"]);
        repository.write("app/evil.py", "import subprocess\n");
        assert_eq!(repository.git(&["status", "--porcelain"]), "");
        let hidden = repository.hidden();
        assert!(
            hidden.len() == 1 && hidden[0].starts_with("app/evil.py") && hidden[0].contains(text),
            "{place}: {hidden:?}"
        );
        assert!(!repository.files().contains(&"app/evil.py".to_owned()));
        let outcome = repository.check(&SourceCheck::new());
        let [finding, unjudged] = outcome.findings.as_slice() else { panic!("{:?}", outcome.findings) };
        assert_eq!((unjudged.code.as_str(), unjudged.level), ("SRC-006", Level::Warn));
        assert_eq!((finding.code.as_str(), finding.level), ("SRC-001", Level::Deny));
        assert_eq!(finding.location.as_ref().expect("a place").path, "app/evil.py");
    }
    // By case alone, where git is told that names have none.
    let repository = Repository::new();
    repository.git(&["config", "core.ignoreCase", "true"]);
    repository.write("app/A.py", "import subprocess\n");
    repository.differs("app/A.py", "not track");
}

#[test]
fn ignored_settings_folders_links_and_byte_code_are_hidden_too() {
    let repository = Repository::new();
    repository.write(".git/info/exclude", "*\n");
    for path in [
        "app/pytest.ini",
        "app/tests/conftest.py",
        "app/tests/target/test_x.py",
        "app/tool",
        "app/x.so",
        "app/a.pyc",
        "app/__pycache__/b.py",
        "app/.cargo/config.toml",
        "app/.coveragerc",
        "app/new\nline.py",
        "plugin.egg-info/entry_points.txt",
    ] {
        repository.write(path, "x\n");
    }
    symlink("/usr/lib", repository.root.join("app/lib")).expect("linked");
    repository.write("app/run.log", "#!/bin/sh\n");
    fs::set_permissions(repository.root.join("app/run.log"), Permissions::from_mode(0o755)).expect("changed");
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    let source = repository.source();
    let mut hidden: Vec<&str> = source.hidden().iter().map(|one| one.path.as_str()).collect();
    hidden.sort_unstable();
    assert_eq!(
        hidden,
        [
            "app/.cargo/config.toml",
            "app/.coveragerc",
            "app/__pycache__/b.py",
            "app/a.pyc",
            "app/lib",
            "app/new\nline.py",
            "app/pytest.ini",
            "app/run.log",
            "app/tests/conftest.py",
            "app/tests/target/test_x.py",
            "app/tool",
            "app/x.so",
            "plugin.egg-info/entry_points.txt",
        ]
    );
}

#[test]
fn what_is_accepted_is_accepted_by_path_and_for_a_while() {
    let repository = Repository::new();
    repository.write(".git/info/exclude", "/scratch/\nevil.py\n");
    repository.write("scratch/x.py", "x\n");
    repository.write("app/evil.py", "x\n");
    let justification =
        Justification::new("tried out here, never imported", "@example/team", "2027-01-01").expect("valid");
    let outcome = repository.check(&SourceCheck::new().accept_ignored("scratch", justification));
    let today = jiff::civil::date(2026, 11, 21);
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), today);
    let open: Vec<&Finding> = verdict.findings.iter().filter(|finding| finding.exception.is_none()).collect();
    let places = open.iter().map(|one| one.location.as_ref().expect("a place").path.as_str());
    // `app/run.sh` is told as what no step judges.
    assert_eq!(places.collect::<Vec<_>>(), ["app/evil.py", "app/run.sh"], "{open:?}");
    assert_eq!(verdict.findings.len(), 3);
}

#[test]
fn files_that_no_step_judges_are_told_by_kind() {
    let repository = Repository::new();
    for (path, text) in [
        ("start", "#!/usr/bin/env -S bash -e\n"),
        ("ci/a.bash", ""),
        ("ci/b.sh", ""),
        ("compose.yaml", "services: {}\n"),
        ("stack.yml", "services:\n  a:\n    image: b\n    privileged: true\n"),
        ("deploy/k8s.YAML", "apiVersion: v1\nkind: Pod\n"),
        ("deploy/main.tf", ""),
        (".gitlab-ci.yml", "test: {script: true}\n"),
        ("Jenkinsfile", ""),
    ] {
        repository.write(path, text);
    }
    repository.commit();
    let justification = Justification::new("shellcheck runs over them in another job", "@example/team", "2027-01-01");
    let step = SourceCheck::new().accept_unjudged(FileKind::Shell, justification.expect("valid"));
    let outcome = repository.check(&step);
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21));
    let shown = verdict.findings.iter().map(|one| (one.exception.is_some(), one.level, one.message.as_str()));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            (true, Level::Warn, "no step judges 4 shell scripts: app/run.sh, ci/a.bash, ci/b.sh and 1 more"),
            (false, Level::Warn, "no step judges 2 Compose files: compose.yaml, stack.yml"),
            (false, Level::Warn, "no step judges 1 Kubernetes manifest: deploy/k8s.YAML"),
            (false, Level::Warn, "no step judges 1 Terraform file: deploy/main.tf"),
            (false, Level::Warn, "no step judges 2 CI pipelines: .gitlab-ci.yml, Jenkinsfile"),
        ]
    );
}

#[test]
fn nothing_is_shown_in_another_order_than_it_is_read_in() {
    let repository = Repository::new();
    for (path, text) in [
        ("Dockerfile", "FROM a\n# \u{202E}b\nRUN c\n"),
        (".github/workflows/ci.yml", "on: push\n# \u{2066}x\u{2069}\n"),
        ("app/run", "#!/bin/sh\necho '\u{202B}'\n"),
        ("app/lib.rs", "// \u{202A}\u{202D}\u{202C}\n"),
        ("app/data.bin", "\u{1}\0\u{2067}"),
        ("app/a\u{2068}b.py", ""),
        ("locale/he.po", "msgid \"a\"\nmsgstr \"\u{2067}א\u{2069}\"\n"),
        ("app/shalom", "שלום, é, \\u202e, \u{200F}\n"),
    ] {
        repository.write(path, text);
    }
    fs::write(repository.root.join("app/code"), b"\xFF\xE2\x80\xAE").expect("written");
    symlink("\u{202E}yp.a", repository.root.join("app/other")).expect("linked");
    fs::remove_file(repository.root.join("app/b.py")).expect("removed");
    repository.git(&["add", "--all"]);
    repository.commit();
    let justification = Justification::new("words in Hebrew among signs", "@example/team", "2027-01-01");
    let step = SourceCheck::new().accept_turns("locale", justification.expect("valid"));
    let outcome = repository.check(&step);
    let today = jiff::civil::date(2026, 11, 21);
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), today);
    let found = |accepted: bool| {
        let those = verdict.findings.iter().filter(|one| one.exception.is_some() == accepted);
        let shown = those.map(|one| format!("{} {}", one.code, one.location.as_ref().expect("a place")));
        shown.collect::<std::collections::BTreeSet<_>>()
    };
    let expected = [
        "SRC-005 .github/workflows/ci.yml:2",
        "SRC-005 Dockerfile:2",
        "SRC-005 app/a\u{2068}b.py",
        "SRC-005 app/code:1",
        "SRC-005 app/data.bin:1",
        "SRC-005 app/lib.rs:1",
        "SRC-005 app/other:1",
        "SRC-005 app/run:2",
        "SRC-006 app/run",
    ];
    assert_eq!(found(false), expected.map(str::to_owned).into());
    assert_eq!(found(true), ["SRC-005 locale/he.po:2".to_owned()].into());
}

#[test]
fn files_of_other_repositories_are_told() {
    let module = Repository::new();
    let repository = Repository::new();
    repository.git(&["submodule", "--quiet", "add", module.root.as_str(), "module"]);
    repository.commit();
    repository.write("module/evil.py", "import os\n");
    let codes = |repository: &Repository| -> Vec<String> {
        let findings = repository.check(&SourceCheck::new()).findings;
        let shown = findings.iter().map(|one| {
            let path = one.location.as_ref().map_or("", |place| place.path.as_str());
            format!("{} {path} {}", one.code, one.level == Level::Deny)
        });
        shown.collect()
    };
    assert_eq!(codes(&repository), ["SRC-003 module true", "SRC-006 app/run.sh false"]);
    assert!(!repository.files().iter().any(|path| path.starts_with("module/")));

    let repository = Repository::new();
    let nested = repository.root.join("app/nested");
    fs::create_dir(&nested).expect("made");
    git(&nested, &["init", "--quiet"]);
    repository.write("app/nested/evil.py", "import os\n");
    assert_eq!(codes(&repository), ["SRC-003 app/nested true", "SRC-002 app/nested false", "SRC-006 app/run.sh false"]);
    repository.write(".git/info/exclude", "nested\n");
    assert_eq!(codes(&repository), ["SRC-003 app/nested true", "SRC-006 app/run.sh false"], "ignored as well");
    // A `.git` among tracked files makes git look away from what lies beside them.
    let repository = Repository::new();
    repository.write("app/.git", "gitdir: /nowhere\n");
    repository.write("app/evil.py", "import os\n");
    assert_eq!(codes(&repository), ["SRC-003 app true", "SRC-002 app/evil.py false", "SRC-006 app/run.sh false"]);
}

#[test]
fn looking_is_bounded_whatever_lies_beside() {
    let repository = Repository::new();
    let sparse = |path: &str| {
        let path = repository.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::File::create(path).and_then(|file| file.set_len(20 << 30)).expect("a sparse file");
    };
    sparse("huge.bin");
    sparse("app/a.py");
    repository.write("app/loop/x", "x\n");
    symlink("..", repository.root.join("app/loop/up")).expect("linked");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        repository.root.join("pipe").as_std_path(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let all = repository.differences();
    let places: Vec<&str> = all.iter().filter_map(|one| Some(one.split_once(": ")?.0)).collect();
    assert_eq!(places, ["app/a.py", "app/loop/up", "app/loop/x", "huge.bin", "pipe"]);
    let notes = repository.source().notes().join("; ");
    assert!(notes.contains("huge.bin (21475 MB) is known by its size"), "{notes}");
    let identity = repository.source().identity().to_owned();
    assert_eq!(repository.source().identity(), identity);
    repository.write("app/loop/x", "y\n");
    assert_ne!(repository.source().identity(), identity);
    // An untracked folder of generated files is not entered.
    let repository = Repository::new();
    repository.write(".gitignore", "");
    repository.commit();
    repository.write("target/x.py", "x\n");
    repository.differs("target", "not track");
    // More files than anybody has looked at.
    let repository = Repository::new();
    repository.write(".git/info/exclude", "/many/\n");
    for number in 0..10_001 {
        repository.write(&format!("many/{number}.py"), "");
    }
    assert_eq!(repository.hidden(), ["many (.git/info/exclude:1: /many/)"]);
    assert!(repository.source().notes().iter().any(|note| note.contains("more than 10000 ignored files")));
}

#[test]
fn nothing_goes_into_the_repository() {
    let repository = Repository::new();
    repository.write(".env", "PASSWORD=not-for-git\n");
    repository.write("big.bin", &"0123456789".repeat(500_000));
    repository.write("app/a.py", "A = 2\n");
    let workspace = Workspace::at(&repository.root);
    let before = repository.stored_bytes();
    for _ in 0..5 {
        Outside::gather(&workspace, Vec::new()).expect("descriptors").source.expect("a source");
        let outcome = repository.check(&SourceCheck::new());
        assert!(outcome.findings.iter().all(|finding| finding.level != Level::Deny));
    }
    assert_eq!(repository.stored_bytes(), before);
}

#[test]
fn forms_of_a_checkout_that_are_as_committed_stay_so() {
    let repository = Repository::new();
    // A worktree has a file in place of the folder `.git`.
    let tree = repository.base.join("tree");
    repository.git(&["worktree", "add", "--quiet", "--detach", tree.as_str()]);
    let worktree = Source::gather(&tree, &toolbox(&tree), &Cancel::new().expect("descriptors")).expect("a source");
    assert!(worktree.differences().is_empty(), "{:?}", worktree.differences());
    // A clone without history.
    let shallow = repository.base.join("shallow");
    git(&repository.base, &["clone", "--quiet", "--depth=1", &format!("file://{}", repository.root), "shallow"]);
    let shallow = Source::gather(&shallow, &toolbox(&shallow), &Cancel::new().expect("descriptors")).expect("a source");
    assert!(shallow.differences().is_empty() && shallow.notes().len() == 1, "{:?}", shallow.notes());
    // A folder of the repository as the workspace.
    let app = repository.root.join("app");
    let below = Source::gather(&app, &toolbox(&app), &Cancel::new().expect("descriptors")).expect("a source");
    let files: Vec<&str> = below.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["a.py", "b.py", "link", "run.sh"]);
    // Settings are read from above too, whatever is ignored there.
    repository.write(".git/info/exclude", "/conftest.py\n/.cargo\n/notes\n/app/hidden.py\n");
    for path in ["conftest.py", ".cargo/config.toml", "notes/a.py", "app/hidden.py"] {
        repository.write(path, "x\n");
    }
    let below = Source::gather(&app, &toolbox(&app), &Cancel::new().expect("descriptors")).expect("a source");
    let hidden: Vec<&str> = below.hidden().iter().map(|one| one.path.as_str()).collect();
    assert_eq!(hidden, [".cargo/config.toml", "conftest.py", "hidden.py"]);
    repository.write(".git/info/exclude", "");
    for path in ["conftest.py", ".cargo/config.toml", "notes/a.py", "app/hidden.py"] {
        fs::remove_file(repository.root.join(path)).expect("removed");
    }
    // Names by SHA-256.
    let hashed = repository.base.join("hashed");
    fs::create_dir(&hashed).expect("made");
    git(&hashed, &["init", "--quiet", "--object-format=sha256"]);
    fs::write(hashed.join("a"), "a\n").expect("written");
    git(&hashed, &["add", "--all"]);
    git(&hashed, &["commit", "--quiet", "-m", "m"]);
    let hashed = Source::gather(&hashed, &toolbox(&hashed), &Cancel::new().expect("descriptors")).expect("a source");
    assert!(hashed.differences().is_empty(), "{:?}", hashed.differences());
    // Names with anything but what is no text.
    repository.write("app/ü\n\"x\" \\.py", "x\n");
    repository.commit();
    assert!(repository.differences().is_empty());
    assert!(repository.files().contains(&"app/ü\n\"x\" \\.py".to_owned()));
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let repository = Repository::new();
    let elsewhere = repository.base.join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    repository.git(&["config", "core.worktree", elsewhere.as_str()]);
    let error = repository.gather().expect_err("another folder");
    assert!(error.contains("core.worktree"), "{error}");

    let repository = Repository::new();
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff.py");
    fs::write(repository.root.as_std_path().join(name), "x\n").expect("written");
    repository.differs("\\xff.py", "cannot be read");
    repository.git(&["add", "--all"]);
    let error = repository.gather().expect_err("no text");
    assert!(error.contains("\\xff.py") && error.contains("UTF-8"), "{error}");

    let empty = Repository::empty();
    empty.write("a.py", "x\n");
    let source = empty.source();
    assert!(source.revision().is_err_and(|why| why.contains("no commit yet")));
    assert_eq!(empty.files(), ["a.py"], "and is scanned all the same");
}
