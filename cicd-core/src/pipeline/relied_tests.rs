//! What a step came to is loaded only where all that it depended on is known and as it was.

use std::fmt;
use std::fs::{self, FileTimes};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::tests::{Place, why, wrong};
use crate::model::Finding;
use crate::pipeline::{Pipeline, Start};
use crate::process::{Captured, Invocation, Secret, SecretSource, ToolRequirement};
use crate::scan::{Report, Scan, Scanner, Selection, Sources};
use crate::step::{Author, CommandStep, Context, Outcome, Seal, Step, StepError, step_fn};
use crate::steps::{CargoTest, Hadolint, Pytest, PythonEnv};

/// Finds something where a number is over a limit that its debug form does not tell.
#[derive(Clone)]
struct Limited {
    limit: u32,
    key: Option<&'static str>,
}

impl fmt::Debug for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limited")
    }
}

fn over(limit: u32) -> Option<Finding> {
    (5 > limit).then(wrong)
}

impl Step for Limited {
    type Input = ();
    type Output = ();

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        Ok(Outcome::of(()).findings(over(self.limit)))
    }

    fn resume_key(&self) -> Option<String> {
        self.key.map(str::to_owned)
    }
}

#[test]
fn a_step_that_nobody_knows_whole_is_run_again() {
    type Add = fn(&mut Pipeline, u32);
    let unknown: [(&str, Add); 4] = [
        ("a closure", |ci, limit| {
            ci.add("it", step_fn(move |_, ()| Ok(Outcome::of(()).findings(over(limit)))), ());
        }),
        ("a function", |ci, limit| {
            fn fine(_: &Context, (): ()) -> Result<Outcome<()>, StepError> {
                Ok(Outcome::of(()))
            }
            fn bad(_: &Context, (): ()) -> Result<Outcome<()>, StepError> {
                Ok(Outcome::of(()).findings([wrong()]))
            }
            let chosen: fn(&Context, ()) -> Result<Outcome<()>, StepError> = if limit > 5 { fine } else { bad };
            ci.add("it", step_fn(chosen), ());
        }),
        ("a step that hides a setting", |ci, limit| {
            ci.add("it", Limited { limit, key: None }, ());
        }),
        // What a shell starts is found by itself.
        ("a command", |ci, _| {
            ci.command("it", Invocation::program("/bin/sh").args(["-c", "test ! -e target/bad"]));
        }),
    ];
    let place = Place::new();
    let pipeline = |add: Add, limit| {
        let mut ci = Pipeline::new("unknown");
        add(&mut ci, limit);
        ci
    };
    for (name, add) in unknown {
        assert_eq!(place.fresh(&pipeline(add, 10)).exit_code, 0, "{name}");
        fs::write(place.root().join("target/bad"), "").expect("written");
        let resumed = place.resumed(&pipeline(add, 1));
        assert!(why(&resumed, "it").is_some_and(|why| why.contains("resume_key")), "{name}");
        assert_eq!(resumed.exit_code, 1, "{name}");
        fs::remove_file(place.root().join("target/bad")).expect("removed");
    }

    // With a word for what was captured it is loaded, and another word is another pipeline.
    let known: [(&str, Add); 3] = [
        ("a closure", |ci, limit| {
            let step = step_fn(move |_, ()| Ok(Outcome::of(()).findings(over(limit))));
            ci.add("it", step.resume_key(limit.to_string()), ());
        }),
        ("a step", |ci, limit| {
            ci.add("it", Limited { limit, key: Some(if limit > 5 { "lenient" } else { "strict" }) }, ());
        }),
        ("a command", |ci, limit| {
            ci.add("it", CommandStep::new(Invocation::program("/bin/true")).resume_key(limit.to_string()), ());
        }),
    ];
    for (name, add) in known {
        place.fresh(&pipeline(add, 10));
        assert_eq!(why(&place.resumed(&pipeline(add, 10)), "it"), None, "{name}");
        let refused = place.go(&pipeline(add, 1), Start::Resume, &[]).expect_err(name).to_string();
        assert!(refused.contains("the pipeline is another one now"), "{name}: {refused}");
    }
}

/// Somebody's own scanner.
#[derive(Debug)]
struct Own;

impl Scanner for Own {
    type Input = ();
    type Layout = ();

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("own", "*")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::every_file()
    }

    fn lay_out(&self, _: &Context, _: &Sources) -> Result<(), StepError> {
        Ok(())
    }

    fn commands(&self, _: &Sources, (): &()) -> Vec<Invocation> {
        Vec::new()
    }

    fn read(&self, _: &Sources, (): &(), _: &[Captured]) -> Result<Report, StepError> {
        Ok(Report::proven_otherwise())
    }

    fn explain(&self) -> Vec<Invocation> {
        Vec::new()
    }
}

#[test]
fn what_runs_code_of_the_repository_or_of_anybody_is_not_known() {
    let mut ci = Pipeline::new("known");
    let python = ci.add("python", PythonEnv::locked("requirements.txt"), ());
    ci.add("lint", Hadolint::files(["Dockerfile"]), ());
    ci.add("pytest", Pytest::in_dir("app"), &python);
    ci.add("cargo", CargoTest::new(["--workspace"]), ());
    ci.add("own", Scan::of(Own), ());
    let known: Vec<_> = ci.nodes.iter().map(|node| (node.name.as_str(), node.job.known_by().is_ok())).collect();
    assert_eq!(known, [("python", true), ("lint", true), ("pytest", false), ("cargo", false), ("own", false)]);
}

/// A step as one of the library, which does this.
#[derive(Debug)]
struct Looks {
    how: fn(&Context) -> Result<(), StepError>,
    tools: &'static [&'static str],
    secrets: Vec<SecretSource>,
}

impl Step for Looks {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        (self.how)(cx).map(Outcome::of)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        self.tools.iter().map(|name| ToolRequirement::new(*name, "*")).collect()
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.secrets.clone()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// Where the tools of a place are: two folders, the first of them without.
fn folders(place: &Place) -> [Utf8PathBuf; 2] {
    ["first", "second"].map(|name| place.root().join("target").join(name))
}

fn script(path: &Utf8Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    // Not written into the file that another one may be running.
    let new = path.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("executable");
    fs::rename(new, path).expect("moved");
}

fn mytool(cx: &Context) -> Result<(), StepError> {
    cx.run_ok(&Invocation::tool("mytool")).map(drop)
}

#[test]
fn what_a_step_relied_on_is_as_it_was_or_it_is_run_again() {
    type How = fn(&Context) -> Result<(), StepError>;
    type Change = fn(&mut Place);
    /// What it is, what the step does and asks for, what changes then, and why it is run again.
    type Case = (&'static str, How, &'static [&'static str], Change, Option<&'static str>);
    let nothing: How = |_| Ok(());
    let asks: How = |cx| {
        let _ = cx.env("BAD");
        Ok(())
    };
    let own: How = |cx| cx.run_ok(&Invocation::program("target/second/mytool")).map(drop);
    let reads: How = |cx| cx.read_file("ignored.toml").map(drop);
    let reads_link: How = |cx| cx.read_file("link.toml").map(drop);
    let secret: How = |cx| cx.secret(Secret::file("ignored.toml")).map(drop);
    let printed: How = |cx| {
        let command = Invocation::program("/bin/echo").arg("0123456789");
        cx.secret(Secret::command("PRINTED", command)).map(drop)
    };
    let inherits: How = |cx| {
        let seen = cx.run_ok(&Invocation::tool("printenv"))?;
        let text = String::from_utf8_lossy(&seen.stdout).into_owned();
        match text.lines().find(|line| line.starts_with("SHLVL=") || line.starts_with("OLDPWD=")) {
            Some(line) => Err(StepError::not_looked(line, "it is not compared, and must not be seen")),
            None => Ok(()),
        }
    };
    let changes_it: How = |cx| {
        mytool(cx)?;
        script(&cx.path("target/second/mytool"), "#!/bin/sh\nexit 0 # changed\n");
        mytool(cx)
    };
    let same: Change = |_| {};
    let variable: Change = |place| place.variables.push(("BAD", "1"));
    let replaced: Change = |place| script(&folders(place)[1].join("mytool"), "#!/bin/sh\nexit 1\n");
    let backdated: Change = |place| {
        let file = folders(place)[1].join("mytool");
        let was = fs::metadata(&file).and_then(|found| found.modified()).expect("a time");
        script(&file, &fs::read_to_string(&file).expect("text").replace("exit 0", "exit 1"));
        let open = fs::File::options().write(true).open(&file).expect("opened");
        open.set_times(FileTimes::new().set_modified(was)).expect("set");
    };
    let before: Change = |place| script(&folders(place)[0].join("mytool"), "#!/bin/sh\nexit 1\n");
    let reader: Change = |place| script(&folders(place)[1].join("reader"), "#!/bin/sh\nexit 1\n");
    let unlisted: Change = |place| fs::write(place.root().join("ignored.toml"), "9876543210").expect("written");
    let cases: &[Case] = &[
        ("nothing", nothing, &[], same, None),
        ("nothing, another environment", nothing, &[], variable, None),
        ("a variable, another one", asks, &[], variable, Some("the environment")),
        ("a variable, unchanged", asks, &[], same, None),
        ("a program, unchanged", mytool, &[], same, None),
        ("a program, replaced", mytool, &[], replaced, Some("mytool was replaced")),
        ("a program, replaced and backdated", mytool, &[], backdated, Some("mytool was replaced")),
        ("a program, found elsewhere", mytool, &[], before, Some("another one is found before it")),
        ("a script, read by another program", mytool, &[], reader, Some("mytool was replaced")),
        ("a program, another environment", mytool, &[], variable, Some("the environment")),
        ("a file that is started, replaced", own, &[], replaced, Some("mytool was replaced")),
        ("a tool, unchanged", nothing, &["versioned"], same, None),
        (
            "a tool, of another version",
            nothing,
            &["versioned"],
            |place| script(&folders(place)[1].join("version"), "#!/bin/sh\necho 1.2.4\n"),
            Some("versioned is not the tool that it was"),
        ),
        ("a file that git does not list, unchanged", reads, &[], same, None),
        ("a file that git does not list", reads, &[], unlisted, Some("was written to")),
        ("what a listed link leads to, unchanged", reads_link, &[], same, None),
        ("what a listed link leads to", reads_link, &[], unlisted, Some("was written to")),
        ("a secret of a file", secret, &[], unlisted, Some("was written to")),
        ("a secret that is printed", printed, &[], same, Some("no record holds")),
        ("what every shell sets anew", inherits, &[], |place| place.variables.push(("SHLVL", "7")), None),
        ("a program that changes meanwhile", changes_it, &[], same, Some("was replaced while the step ran")),
    ];
    for (name, how, tools, change, words) in cases {
        let mut place = Place::new();
        place.tools = folders(&place).to_vec();
        place.variables.push(("OLDPWD", "/"));
        let second = &folders(&place)[1];
        script(&second.join("reader"), "#!/bin/sh\nexit 0\n");
        script(&second.join("mytool"), "#!/usr/bin/env reader\nexit 0\n");
        // What tells its version may be a link or a proxy: the file stays as it is.
        script(&second.join("version"), "#!/bin/sh\necho 1.2.3\n");
        script(&second.join("versioned"), "#!/bin/sh\nexec \"${0%ed}\"\n");
        fs::write(place.root().join("ignored.toml"), "0123456789").expect("written");
        std::os::unix::fs::symlink("ignored.toml", place.root().join("link.toml")).expect("linked");
        let mut ci = Pipeline::new("relied");
        ci.add("it", Looks { how: *how, tools, secrets: Vec::new() }, ());
        let first = place.fresh(&ci);
        assert_eq!(first.exit_code, 0, "{name}: {:?}", first.steps[0].reason);
        change(&mut place);
        let told = why(&place.resumed(&ci), "it");
        assert_eq!(told.is_some(), words.is_some(), "{name}: {told:?}");
        assert!(told.unwrap_or_default().contains(words.unwrap_or_default()), "{name}");
    }
}
