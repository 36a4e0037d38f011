//! Files that are other ones for a while, as code that a run tests could make them.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use super::*;
use crate::docker::{Fresh, Image};
use crate::model::{Code, Event, Level};
use crate::pipeline::resume::tests::{Built, Place};
use crate::pipeline::{Observer, Outside, Pipeline, RunOptions, Start, Summary, run};
use crate::process::{Cancel, Captured, Discard, Invocation, execute};
use crate::step::{Cleared, Judgement, Outcome, Workspace, step_fn};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

fn git(root: &Utf8Path, args: &[&str]) {
    let git = Outside::without_git(Vec::new()).expect("descriptors").toolbox(&Workspace::at(root));
    let git = git.locate("git").expect("git");
    let call =
        Invocation::tool("git").args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args).dir(root);
    let call =
        call.env_remove_prefix("GIT_").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let ended = execute(&call, &git, &mut Discard, &Cancel::new().expect("descriptors"));
    ended.and_then(Captured::require_success).expect("git");
}

/// A run in a checkout in which one step changes files, and a later one reads `list`.
fn with(change: fn(&Utf8Path)) -> Summary {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
    git(root, &["init", "--quiet"]);
    fs::create_dir(root.join("app")).expect("made");
    for (path, text) in [("list", "nothing\n"), ("app/a.py", "A = 1\n"), (".gitignore", "/target/\n")] {
        fs::write(root.join(path), text).expect("written");
    }
    git(root, &["add", "--all"]);
    git(root, &["commit", "--quiet", "--message", "x"]);
    let workspace = Workspace::at(root);
    let outside = Outside::gather(&workspace, Vec::new()).expect("an environment");
    // The clock of files may be coarser than two changes of one.
    let stamp = || crate::files::Stamp::read(&root.join("list")).expect("stamped").changed_ns();
    let probe = root.join("target");
    fs::create_dir(&probe).expect("made");
    let now = || {
        fs::write(probe.join("probe"), "").expect("written");
        crate::files::Stamp::read(&probe.join("probe")).expect("stamped").changed_ns()
    };
    while now() == stamp() {}
    let mut ci = Pipeline::new("changing");
    let changing = step_fn(move |cx, ()| {
        change(cx.root());
        Ok(Outcome::of(1_u32))
    });
    let changing = ci.add("changing", changing, ());
    let reading = step_fn(|cx, _: u32| cx.read_text("list").map(|_| Outcome::of(())));
    ci.add("reading", reading, &changing);
    let options = RunOptions { jobs: NonZeroUsize::MIN, ..RunOptions::default() };
    run(&ci, &workspace, outside, &options, &mut Nobody).expect("a run")
}

#[test]
fn a_run_in_which_a_file_was_another_one_for_a_while_is_an_error() {
    assert_eq!(with(|_| ()).exit_code, 0);
    assert_eq!(with(|root| fs::write(root.join("target/new"), "").expect("written")).exit_code, 0);
    type Change = fn(&Utf8Path);
    let changes: [(&str, Change); 4] = [
        ("app/a.py", |root| {
            fs::write(root.join("app/a.py"), "A = 2\n").expect("written");
            fs::write(root.join("app/a.py"), "A = 1\n").expect("written");
        }),
        ("app/a.py", |root| {
            fs::rename(root.join("app/a.py"), root.join("target/a.py")).expect("moved");
            fs::rename(root.join("target/a.py"), root.join("app/a.py")).expect("moved back");
        }),
        ("app/a.py", |root| fs::remove_file(root.join("app/a.py")).expect("removed")),
        ("list", |root| {
            let times = fs::metadata(root.join("list")).expect("there").modified().expect("a time");
            fs::write(root.join("list"), "nothing\n").expect("written");
            let open = fs::File::options().write(true).open(root.join("list")).expect("opened");
            open.set_modified(times).expect("set");
        }),
    ];
    for (path, change) in changes {
        let summary = with(change);
        let last = summary.steps.last().expect("steps");
        assert_eq!((summary.exit_code, last.name.as_str(), last.status), (3, NAME, Status::Error));
        let reason = last.reason.as_deref().unwrap_or("");
        assert!(reason.starts_with(&format!("{path} was written to or moved while the run went on")), "{reason}");
    }
}

#[test]
fn a_run_in_which_a_folder_was_another_one_for_a_while_is_an_error() {
    /// Shows another folder in this place, and then the first one again.
    fn swap(folder: &Utf8Path, away: &Utf8Path) {
        fs::rename(folder, away).expect("moved");
        fs::create_dir(folder).expect("made");
        fs::write(folder.join("a.py"), "A = 2\n").expect("written");
        fs::remove_dir_all(folder).expect("removed");
        fs::rename(away, folder).expect("moved back");
    }
    type Change = fn(&Utf8Path);
    let changes: [Change; 3] = [
        |root| swap(&root.join("app"), &root.join("target/app")),
        // What comes and goes in it would explain why it changed.
        |root| {
            swap(&root.join("app"), &root.join("target/app"));
            fs::write(root.join("app/new"), "").expect("written");
            fs::remove_file(root.join("app/new")).expect("removed");
        },
        |root| {
            let other = root.join("target/other");
            fs::create_dir(&other).expect("made");
            for _ in 0..2 {
                let (flags, cwd) = (rustix::fs::RenameFlags::EXCHANGE, rustix::fs::CWD);
                rustix::fs::renameat_with(cwd, other.as_str(), cwd, root.join("app").as_str(), flags)
                    .expect("exchanged");
            }
        },
    ];
    for change in changes {
        let summary = with(change);
        let last = summary.steps.last().expect("steps");
        assert_eq!((summary.exit_code, last.name.as_str(), last.status), (3, NAME, Status::Error));
        let reason = last.reason.as_deref().unwrap_or("");
        assert!(reason.contains("/app was written to or moved while the run went on"), "{reason}");
    }
    // What comes and goes in folders is no such thing, nor is a folder that nothing of the source is in.
    let harmless: [Change; 2] = [
        |root| {
            fs::create_dir(root.join("app/__pycache__")).expect("made");
            fs::remove_dir(root.join("app/__pycache__")).expect("removed");
        },
        |root| {
            fs::create_dir(root.join("target/one")).expect("made");
            fs::rename(root.join("target/one"), root.join("target/two")).expect("moved");
        },
    ];
    for change in harmless {
        assert_eq!(with(change).exit_code, 0);
    }

    // The workspace itself, and what it lies in.
    let folder = tempfile::tempdir().expect("a folder");
    let all = Utf8Path::from_path(folder.path()).expect("UTF-8").canonicalize_utf8().expect("a place");
    let root = all.join("up/work");
    fs::create_dir_all(&root).expect("made");
    git(&root, &["init", "--quiet"]);
    fs::write(root.join("a.py"), "A = 1\n").expect("written");
    git(&root, &["add", "--all"]);
    for place in [root.as_path(), &all.join("up")] {
        let source = Outside::gather(&Workspace::at(&root), Vec::new()).expect("descriptors").source.expect("listed");
        assert_eq!(source.written_since(&root), [""; 0]);
        swap(place, &all.join("away"));
        assert_eq!(source.written_since(&root), [place]);
    }
}

#[test]
fn what_a_step_reads_is_what_was_gathered() {
    let changes: [fn(&Utf8Path); 3] = [
        |root| fs::write(root.join("list"), "everything\n").expect("written"),
        |root| {
            fs::write(root.join("app/other"), "everything\n").expect("written");
            fs::remove_file(root.join("list")).expect("removed");
            std::os::unix::fs::symlink("app/other", root.join("list")).expect("linked");
        },
        |root| fs::write(root.join("list"), "").expect("written"),
    ];
    for change in changes {
        let summary = with(change);
        let reading = summary.steps.iter().find(|report| report.name.as_str() == "reading").expect("it ran");
        assert_eq!(reading.status, Status::Error);
        let reason = reading.reason.as_deref().unwrap_or("");
        assert!(reason.contains("list changed while the run went on"), "{reason}");
    }
}

/// A clearance and an effect after a gate that finds this; nothing else of the pipeline looks at the source.
fn clearing(found: Option<Level>) -> Pipeline {
    let mut ci = Pipeline::new("clearing");
    let image = ci.add("image", Built, ());
    let gate = step_fn(move |_, image: Image<Fresh>| {
        let finding = found.map(|level| Finding::with_code(Code::from_static("X-1"), "wrong").level(level));
        Ok(Outcome::of(Judgement::of(&image, ())).findings(finding))
    });
    let gate = ci.add("gate", gate, &image);
    let cleared = ci.clear(&image, &gate);
    let ship = step_fn(|_, _: Cleared<Image<Fresh>>| Ok(Outcome::of(())));
    ci.add("ship", ship.effect("ship"), &cleared);
    ci
}

/// What the clearance came to and found, and what became of the effect.
fn cleared(place: &Place, found: Option<Level>) -> (Status, Vec<(String, Option<String>)>, Status) {
    let summary = place.go(&clearing(found), Start::Fresh, &["ship"]).expect("a run");
    let step = |name: &str| summary.steps.iter().find(|step| step.name.as_str() == name).expect("a step");
    let found = step("clearance")
        .findings
        .iter()
        .map(|finding| (finding.code.to_string(), finding.location.as_ref().map(|location| location.path.to_string())));
    assert_eq!(summary.exit_code == 0, step("ship").status == Status::Passed);
    (step("clearance").status, found.collect(), step("ship").status)
}

#[test]
fn a_checkout_that_is_not_its_commit_is_never_cleared() {
    assert_eq!(cleared(&Place::new(), None), (Status::Passed, Vec::new(), Status::Passed));
    type Change = fn(&Utf8Path);
    let write = |path: &Utf8Path| fs::write(path, "other\n").expect("written");
    let changes: [(&str, &str, Change); 9] = [
        ("ignored by a tracked rule", "ignored.toml", |root| {
            fs::write(root.join("ignored.toml"), "").expect("written")
        }),
        ("ignored by a rule of this clone", "hidden.py", |root| {
            fs::write(root.join(".git/info/exclude"), "hidden.py\n").expect("written");
            fs::write(root.join("hidden.py"), "").expect("written");
        }),
        ("a repository of its own", "vendor", |root| {
            fs::create_dir(root.join("vendor")).expect("made");
            git(&root.join("vendor"), &["init", "--quiet"]);
            fs::write(root.join("vendor/a.py"), "").expect("written");
        }),
        ("edited", "listed.toml", |root| fs::write(root.join("listed.toml"), "other\n").expect("written")),
        ("edited, and git looks away", "listed.toml", |root| {
            git(root, &["update-index", "--skip-worktree", "listed.toml"]);
            fs::write(root.join("listed.toml"), "other\n").expect("written");
        }),
        ("removed, and git takes it for unchanged", "listed.toml", |root| {
            git(root, &["update-index", "--assume-unchanged", "listed.toml"]);
            fs::remove_file(root.join("listed.toml")).expect("removed");
        }),
        ("of another mode, which git does not heed", "listed.toml", |root| {
            git(root, &["config", "core.fileMode", "false"]);
            fs::set_permissions(root.join("listed.toml"), fs::Permissions::from_mode(0o755)).expect("changed");
        }),
        ("staged only", "listed.toml", |root| {
            fs::write(root.join("listed.toml"), "other\n").expect("written");
            git(root, &["add", "listed.toml"]);
            fs::write(root.join("listed.toml"), "").expect("written");
        }),
        ("not tracked", "new.py", |root| fs::write(root.join("new.py"), "").expect("written")),
    ];
    for (what, path, change) in changes {
        let place = Place::new();
        change(place.root());
        let expected = (Status::Failed, vec![("CLR-004".to_owned(), Some(path.to_owned()))], Status::Blocked);
        assert_eq!(cleared(&place, None), expected, "{what}");
    }
    let place = Place::new();
    (0..DIFFERENCES_NAMED_MAX + 3).for_each(|number| write(&place.root().join(format!("new-{number:02}"))));
    let (status, found, _) = cleared(&place, None);
    assert_eq!((status, found.len()), (Status::Failed, DIFFERENCES_NAMED_MAX + 1), "the rest is counted");
}

#[test]
fn what_a_gate_leaves_open_is_never_cleared() {
    let blocked = |code: &str| (Status::Failed, vec![(code.to_owned(), None)], Status::Blocked);
    assert_eq!(cleared(&Place::new(), Some(Level::BlockClearance)), blocked("CLR-001"));
    assert_eq!(cleared(&Place::new(), Some(Level::Deny)), (Status::Blocked, Vec::new(), Status::Blocked));
    assert_eq!(cleared(&Place::new(), Some(Level::Warn)), (Status::Passed, Vec::new(), Status::Passed));
}
