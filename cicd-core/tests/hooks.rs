//! The hook with the real git: what it sees in every way to commit, and that it changes nothing.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::process::{Cancel, Captured, Discard, Exit, Invocation, execute};
use serde::Deserialize;
use tempfile::TempDir;

/// What the hook's step has seen.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Seen {
    files: BTreeMap<String, String>,
    changed: Vec<String>,
    git: Vec<String>,
}

/// A repository with the hook installed, and a `cargo` that starts `examples/hooked.rs`.
struct Repository {
    /// Keeps the folder.
    _folder: TempDir,
    base: Utf8PathBuf,
    root: Utf8PathBuf,
}

impl Repository {
    fn without_hook() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = Utf8Path::from_path(folder.path()).expect("UTF-8").canonicalize_utf8().expect("there");
        let root = base.join("repository");
        for dir in ["home", "bin", "tmp", "repository"] {
            fs::create_dir(base.join(dir)).expect("made");
        }
        let test = std::env::current_exe().expect("this program");
        let hooked = test.ancestors().nth(2).expect("target/debug").join("examples/hooked");
        assert!(hooked.exists(), "run `cargo build --package cicd-core --examples` first");
        let cargo = base.join("bin/cargo");
        fs::write(&cargo, format!("#!/bin/sh\nshift\nexec '{}' \"$@\"\n", hooked.display())).expect("written");
        fs::set_permissions(&cargo, Permissions::from_mode(0o755)).expect("executable");
        let this = Self { _folder: folder, base, root };
        this.git(["init", "--quiet", "--initial-branch=main"]);
        this.write(".gitignore", "/target/\n");
        this
    }

    fn new() -> Self {
        let this = Self::without_hook();
        assert_eq!(this.cargo(&["hooks", "install"]).exit, Exit::Code(0));
        this
    }

    fn call(&self, dir: &Utf8Path, program: &str, args: &[&str]) -> Captured {
        let path = inherited_path();
        let program = which::which_in(program, Some(format!("{}:{path}", self.base.join("bin"))), dir).expect("there");
        let program = Utf8PathBuf::from_path_buf(program).expect("UTF-8");
        let mut call = Invocation::program(&program).args(args).dir(dir).stderr_bytes_max(1 << 20);
        let home = self.base.join("home");
        for (name, value) in [
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", home.as_str()),
            ("TMPDIR", self.base.join("tmp").as_str()),
            ("PATH", &format!("{}:{path}", self.base.join("bin"))),
            ("HOOKED_RECORD", self.base.join("record.json").as_str()),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@example.org"),
            ("GIT_EDITOR", "true"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            call = call.env(name, value);
        }
        execute(&call, &program, &mut Discard, &Cancel::new().expect("descriptors")).expect("it ran")
    }

    fn git<const N: usize>(&self, args: [&str; N]) -> String {
        let captured = self.call(&self.root, "git", &args);
        assert!(captured.success(), "{args:?}: {}", captured.stderr_text());
        captured.stdout_text().expect("text").to_owned()
    }

    fn cargo(&self, args: &[&str]) -> Captured {
        self.call(&self.root, "cargo", &[&["xtask"], args].concat())
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// Commits, and gives what the hook saw if it ran.
    fn commit(&self, args: &[&str]) -> (Captured, Option<Seen>) {
        self.commit_in(&self.root, args)
    }

    fn commit_in(&self, dir: &Utf8Path, args: &[&str]) -> (Captured, Option<Seen>) {
        let record = self.base.join("record.json");
        let _ = fs::remove_file(&record);
        let captured = self.call(dir, "git", &[&["commit", "--quiet", "-m", "m"], args].concat());
        let left: Vec<_> = self.base.join("tmp").read_dir_utf8().expect("there").collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        (captured, fs::read_to_string(record).ok().map(|text| serde_json::from_str(&text).expect("a record")))
    }

    /// Commits, and gives what the hook saw; the commit is exactly that.
    fn committed(&self, args: &[&str]) -> Seen {
        let (captured, seen) = self.commit(args);
        assert!(captured.success(), "{}", captured.stderr_text());
        let seen = seen.expect("the hook ran");
        let mut names: Vec<_> = self
            .git(["ls-tree", "-r", "-z", "HEAD"])
            .split('\0')
            .filter(|entry| !entry.is_empty() && !entry.starts_with("160000"))
            .filter_map(|entry| Some(entry.split_once('\t')?.1.to_owned()))
            .collect();
        names.sort();
        assert_eq!(seen.files.keys().cloned().collect::<Vec<_>>(), names);
        assert!(
            seen.git.iter().all(|line| !line.starts_with("GIT_DIR") && !line.starts_with("GIT_INDEX_FILE")),
            "{:?}",
            seen.git
        );
        seen
    }

    fn state(&self) -> (String, String) {
        (self.git(["status", "--porcelain", "-z"]), self.git(["ls-files", "--stage", "-z"]))
    }
}

#[expect(clippy::disallowed_methods, reason = "where git is")]
fn inherited_path() -> String {
    std::env::var("PATH").expect("a PATH")
}

fn names(seen: &Seen) -> Vec<&str> {
    seen.changed.iter().map(String::as_str).collect()
}

#[test]
fn the_first_commit_and_an_empty_one_are_judged() {
    let repository = Repository::new();
    repository.git(["add", "."]);
    let seen = repository.committed(&[]);
    assert_eq!(names(&seen), [".gitignore"], "without a parent, every file is new");
    assert!(repository.committed(&["--allow-empty"]).changed.is_empty());
    let bare = Repository::new();
    assert!(bare.committed(&["--allow-empty"]).files.is_empty(), "there is not even an index");
}

#[test]
fn what_is_staged_is_judged_and_not_what_lies_beside_it() {
    let repository = Repository::new();
    repository.write("a.txt", "BAD\n");
    repository.git(["add", "."]);
    repository.write("a.txt", "good\n");
    repository.write("new.txt", "BAD too, but not staged\n");
    let before = repository.state();
    let (refused, _) = repository.commit(&[]);
    assert_eq!(refused.exit, Exit::Code(1));
    let told = format!("{}{}", refused.stdout_text().expect("text"), refused.stderr_text());
    assert!(told.contains("BAD-1") && told.contains("a.txt:1"), "{told}");
    assert!(told.contains("cargo xtask hooks run --only words") && told.contains("--no-verify"), "{told}");
    assert_eq!(repository.state(), before, "nothing was changed");

    repository.git(["add", "a.txt"]);
    repository.write("a.txt", "BAD again\n");
    let seen = repository.committed(&[]);
    assert_eq!(seen.files["a.txt"], "good\n");
    assert_eq!(fs::read_to_string(repository.root.join("a.txt")).expect("there"), "BAD again\n");
}

#[test]
fn deleted_renamed_linked_and_strangely_named_files_are_seen_as_they_will_be() {
    let repository = Repository::new();
    for (path, text) in [("gone.txt", "1"), ("old.txt", "2"), ("a b/ü\n\"x\".txt", "3"), ("bom.txt", "\u{feff}4\r\n")]
    {
        repository.write(path, text);
    }
    repository.write(".gitattributes", "* text=auto eol=crlf\n*.txt filter=missing\n");
    repository.git(["add", "."]);
    let seen = repository.committed(&[]);
    assert_eq!(seen.files["a b/ü\n\"x\".txt"], "3");
    assert!(names(&seen).contains(&"a b/ü\n\"x\".txt"));
    assert_eq!(seen.files["bom.txt"], "\u{feff}4\n", "as it is committed");

    repository.git(["rm", "--quiet", "gone.txt"]);
    repository.git(["mv", "old.txt", "new.txt"]);
    symlink("/etc/hostname", repository.root.join("link")).expect("linked");
    repository.write("intended.txt", "BAD, but only intended\n");
    repository.git(["add", "link"]);
    repository.git(["add", "--intent-to-add", "intended.txt"]);
    let seen = repository.committed(&[]);
    assert_eq!(seen.files["link"], "-> /etc/hostname");
    assert_eq!(names(&seen), ["link", "new.txt"]);
}

#[test]
fn all_ways_to_name_what_is_committed_are_understood() {
    let repository = Repository::new();
    repository.write("a.txt", "1\n");
    repository.write("b.txt", "1\n");
    repository.git(["add", "."]);
    repository.committed(&[]);

    repository.write("a.txt", "2\n");
    repository.write("b.txt", "2\n");
    let seen = repository.committed(&["a.txt"]);
    assert_eq!((seen.files["a.txt"].as_str(), seen.files["b.txt"].as_str()), ("2\n", "1\n"));
    let seen = repository.committed(&["--all"]);
    assert_eq!(names(&seen), ["b.txt"]);
    repository.write("b.txt", "3\n");
    repository.git(["add", "."]);
    assert_eq!(names(&repository.committed(&["--amend"])), ["b.txt"]);

    repository.write("b.txt", "BAD\n");
    let (refused, _) = repository.commit(&["b.txt"]);
    assert_eq!(refused.exit, Exit::Code(1));
    assert_eq!(repository.git(["diff", "--cached", "--name-only"]), "", "the index is as it was");
    let (forced, seen) = repository.commit(&["--all", "--no-verify"]);
    assert!(forced.success() && seen.is_none());
}

#[test]
fn modules_merges_worktrees_and_other_forms_of_the_index_are_understood() {
    let module = Repository::without_hook();
    module.git(["add", "."]);
    module.git(["commit", "--quiet", "-m", "m"]);
    let repository = Repository::new();
    repository.write("a.txt", "1\n");
    repository.git(["add", "."]);
    repository.git(["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", module.root.as_str(), "module"]);
    let seen = repository.committed(&[]);
    assert_eq!(names(&seen), [".gitignore", ".gitmodules", "a.txt"]);

    repository.git(["switch", "--quiet", "--create", "side"]);
    repository.write("side.txt", "1\n");
    repository.write("a.txt", "side\n");
    repository.git(["add", "."]);
    repository.committed(&[]);
    repository.git(["switch", "--quiet", "main"]);
    repository.write("a.txt", "main\n");
    repository.committed(&["--all"]);
    assert_eq!(repository.call(&repository.root, "git", &["merge", "--quiet", "side"]).exit, Exit::Code(1));
    let conflict = repository.cargo(&["hooks", "run"]);
    assert_eq!(conflict.exit, Exit::Code(3), "a conflict cannot be looked at");
    assert!(conflict.stderr_text().contains("cannot be laid out"), "{}", conflict.stderr_text());
    repository.write("a.txt", "both\n");
    repository.git(["add", "a.txt"]);
    assert_eq!(names(&repository.committed(&[])), ["a.txt", "side.txt"]);

    let tree = repository.base.join("tree");
    repository.git(["worktree", "add", "--quiet", "--detach", tree.as_str()]);
    fs::write(tree.join("a.txt"), "in the worktree\n").expect("written");
    let (captured, seen) = repository.commit_in(&tree, &["--all"]);
    assert!(captured.success(), "{}", captured.stderr_text());
    assert_eq!(seen.expect("the hook ran").files["a.txt"], "in the worktree\n");

    repository.git(["update-index", "--split-index"]);
    repository.git(["config", "core.fsmonitor", "false"]);
    repository.write("a.txt", "split\n");
    assert_eq!(repository.committed(&["--all"]).files["a.txt"], "split\n");
    repository.git(["sparse-checkout", "set", "--sparse-index", "nothing"]);
    assert!(!repository.root.join("module").join("x").exists());
    repository.write("nothing/b.txt", "sparse\n");
    repository.git(["add", "nothing"]);
    assert_eq!(names(&repository.committed(&[])), ["nothing/b.txt"], "and every other file was seen as well");
}

#[test]
fn nothing_that_is_only_staged_goes_into_the_repository() {
    let repository = Repository::new();
    repository.write("deep/er/a.txt", "1\n");
    repository.git(["add", "."]);
    let stored = || repository.git(["count-objects", "-v"]);
    let before = stored();
    assert!(repository.cargo(&["hooks", "run"]).success());
    assert_eq!(stored(), before);
}

#[test]
fn what_could_not_look_refuses_the_commit() {
    let repository = Repository::new();
    repository.write("unreadable", "");
    repository.git(["add", "."]);
    let (refused, _) = repository.commit(&[]);
    assert_eq!(refused.exit, Exit::Code(1), "git's own code for a hook that refuses");
    let alone = repository.cargo(&["hooks", "run"]);
    assert_eq!(alone.exit, Exit::Code(3));
    assert!(alone.stdout_text().expect("text").contains("unreadable cannot be read"));
    assert!(alone.stderr_text().contains("--no-verify"));
    let usage = repository.cargo(&["hooks", "run", "--only", "wrods"]);
    assert_eq!(usage.exit, Exit::Code(2));
    let alone = repository.cargo(&["hooks", "run", "--only", "only-here"]);
    assert_eq!(alone.exit, Exit::Code(2), "a check that ci does not make");
    assert!(alone.stderr_text().contains("--no-verify would leave it out"), "{}", alone.stderr_text());
}

#[test]
fn installing_twice_is_installing_once_and_foreign_hooks_stay() {
    let repository = Repository::without_hook();
    let hook = repository.root.join(".git/hooks/pre-commit");
    let cargo = |args: &[&str]| {
        let captured = repository.cargo(args);
        (captured.exit, format!("{}{}", captured.stdout_text().expect("text"), captured.stderr_text()))
    };
    assert_eq!(cargo(&["hooks", "uninstall"]).0, Exit::Code(0));
    assert_eq!(cargo(&["hooks", "install"]).0, Exit::Code(0));
    let script = fs::read_to_string(&hook).expect("written");
    fs::set_permissions(&hook, Permissions::from_mode(0o644)).expect("changed");
    assert_eq!(cargo(&["hooks", "install"]).0, Exit::Code(0));
    assert_eq!(fs::read_to_string(&hook).expect("there"), script);
    assert_eq!(fs::metadata(&hook).expect("there").permissions().mode() & 0o777, 0o755);
    assert_eq!(cargo(&["hooks", "uninstall"]).0, Exit::Code(0));
    assert!(!hook.exists());

    let changed = script.replace("exec ", "exec nice ");
    for (text, told) in [
        (Some("#!/bin/sh\nmake lint\n"), "add the line `cargo xtask hooks run || exit`"),
        (Some("#!/bin/sh\n# File generated by pre-commit: https://pre-commit.com\n"), "pass_filenames: false"),
        (Some(changed.as_str()), "was changed since it was installed"),
        (None, "there is a hook in"),
    ] {
        match text {
            Some(text) => fs::write(&hook, text).expect("written"),
            None => symlink("/nowhere", &hook).expect("linked"),
        }
        for command in ["install", "uninstall"] {
            let (exit, said) = cargo(&["hooks", command]);
            assert_eq!(exit, Exit::Code(2), "{said}");
            assert!(said.contains(hook.as_str()) && (command == "uninstall" || said.contains(told)), "{said}");
        }
        assert_eq!(fs::read_to_string(&hook).ok().as_deref(), text);
        fs::remove_file(&hook).expect("removed");
    }

    repository.git(["config", "core.hooksPath", ".husky/_"]);
    let (exit, text) = cargo(&["hooks", "install"]);
    assert_eq!(exit, Exit::Code(2));
    assert!(text.contains("core.hooksPath in .git/config") && text.contains("to .husky/pre-commit by hand"), "{text}");
    assert!(!hook.exists());
    repository.git(["config", "core.hooksPath", ".git/hooks"]);
    assert_eq!(cargo(&["hooks", "install"]).0, Exit::Code(0), "this is where they are anyway");
}

#[test]
fn a_workspace_below_the_top_has_its_hook_too() {
    let repository = Repository::without_hook();
    repository.write("it's rust/Cargo.toml", "[workspace]\n");
    repository.write("it's rust/a.txt", "1\n");
    repository.write("b.txt", "1\n");
    repository.git(["add", "."]);
    let below = repository.root.join("it's rust");
    assert_eq!(repository.call(&below, "cargo", &["xtask", "hooks", "install"]).exit, Exit::Code(0));
    let (captured, seen) = repository.commit(&[]);
    assert!(captured.success(), "{}", captured.stderr_text());
    let seen = seen.expect("the hook ran");
    assert_eq!(seen.files.keys().collect::<Vec<_>>(), ["Cargo.toml", "a.txt"]);
    repository.write("it's rust/a.txt", "BAD\n");
    let (refused, _) = repository.commit(&["--", "it's rust/a.txt"]);
    assert_eq!(refused.exit, Exit::Code(1), "{}", refused.stderr_text());
}
