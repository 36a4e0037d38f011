//! An `xtask` whose steps misbehave, each in its own way; the fault tests run it, one step at a time.

mod containers;
mod ends;
mod unwinds;

use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::Utf8PathBuf;
use cicd_core::cli::Cli;
use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::policy::{InvalidJustification, Justification};
use cicd_core::process::{Invocation, Secret, SecretSource, ToolRequirement};
use cicd_core::step::{Context, Outcome, Retry, Step, StepError, Workspace, step_fn};
use cicd_core::steps::{Pytest, PythonEnv};

/// Long enough for the program to be running and short enough for a test.
const SHORT: Duration = Duration::from_millis(400);

/// Starts a process that is not its child but its parent's, in a session of its own and without its pipes. A child of `clone`
/// goes on where its parent does, with another result.
const BROTHER: &str = "
import ctypes, os, platform, signal, time
clone, CLONE_PARENT = {'x86_64': 56, 'aarch64': 220}[platform.machine()], 0x8000
if ctypes.CDLL(None).syscall(clone, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0) == 0:
    os.setsid()
    os.closerange(0, 3)
    time.sleep(60)
else:
    time.sleep(0.2)
";

fn misbehave(args: &[&str]) -> Invocation {
    let own = std::env::current_exe().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
    Invocation::program(own.unwrap_or_default().with_file_name("misbehave")).args(args)
}

fn faults(_: &Workspace) -> Result<Pipeline, InvalidJustification> {
    let mut ci = Pipeline::new("faults");
    ci.command("fine", misbehave(&["exit", "0"]));
    ci.command("code", misbehave(&["exit", "7"]));
    ci.command("bash", Invocation::tool("bash").args(["script.sh"]));
    let python = ci.add("python-env", PythonEnv::locked("requirements-dev.txt"), ());
    ci.add("tests", Pytest::in_dir("app").at_least(1), &python);
    ci.command("signal", misbehave(&["raise", "6"]));
    ci.command("ignores-signals", misbehave(&["ignore-signals"]));
    ci.command("deadline", misbehave(&["ignore-signals"]).deadline(SHORT));
    ci.command("closes-output", misbehave(&["close-output"]).deadline(SHORT));
    ci.command("grandchild-pipe", misbehave(&["leave-grandchild"]));
    ci.command("grandchild-silent", misbehave(&["leave-silent-grandchild"]));
    ci.command("session-pipe", misbehave(&["leave-session"]));
    ci.command("session-silent", misbehave(&["leave-silent-session"]));
    ci.command("brother", Invocation::tool("python3").args(["-c", BROTHER]));
    ci.command("flood", misbehave(&["flood", "1024"]));
    ci.add("flood-beside-a-secret", Guarded(misbehave(&["flood", "1024"])), ());
    ci.command("one-line", misbehave(&["one-line", "1024"]));
    ci.command("hostile", misbehave(&["hostile"]));
    ci.command("reads-input", misbehave(&["read-input"]));
    ci.command("missing-program", Invocation::program("no/such/program"));
    ci.command("missing-tool", Invocation::tool("no-such-tool-anywhere"));
    ci.command("missing-dir", misbehave(&["exit", "0"]).dir("/no/such/folder"));
    ci.command("not-executable", Invocation::program("plain"));
    ci.command("wrong-format", Invocation::program("foreign"));
    ci.command("a-folder", Invocation::program("target"));
    ci.command("script", Invocation::program("script"));
    ci.command("nul-argument", misbehave(&["exit", "0"]).arg("a\0b"));
    ci.command("long-argument", misbehave(&["exit", "0"]).arg("x".repeat(3 << 20)));
    let soon = Duration::from_millis(20);
    ci.add("index", Patient(Retry::times(2).delays(soon, soon)), ());
    let day = Duration::from_secs(24 * 3600);
    ci.add("index-tomorrow", Patient(Retry::times(2).delays(day, day)), ());
    let started = AtomicBool::new(false);
    let moody = step_fn(move |cx, ()| {
        let args = if started.swap(true, Ordering::SeqCst) { ["exit", "0"] } else { ["raise", "6"] };
        cx.run_ok(&misbehave(&args))?;
        Ok(Outcome::of(()))
    });
    let moody = ci.add("moody", moody, ());
    // As far ahead as any policy allows, whenever this is run.
    let soon_enough = jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(60)).to_string();
    let because = Justification::new("it loses its socket at the first start", "@example/web", &soon_enough);
    ci.retry(&moody, Retry::times(1).delays(soon, soon), because?);
    ci.add("panics", step_fn(|_, ()| -> Result<Outcome<()>, StepError> { panics("boom") }), ());
    let stuck = step_fn(|_, ()| {
        std::thread::sleep(Duration::from_secs(60));
        Ok(Outcome::of(()))
    });
    ci.add("stuck", stuck, ());
    let plants = step_fn(|cx, ()| {
        for name in ["log.txt", "output.json", "left"] {
            cx.run_ok(&Invocation::tool("mkfifo").arg(cx.dir().join(name)))?;
        }
        cx.run_ok(&misbehave(&["say", "into the log"]))?;
        Ok(Outcome::of("the output".to_owned()))
    });
    ci.add("plants", plants, ());
    let report = step_fn(|cx, ()| {
        let report = cx.dir().join("report.json");
        cx.run_ok(&Invocation::tool("mkfifo").arg(&report).report(&report))?;
        Ok(Outcome::of(()))
    });
    ci.add("pipe-report", report, ());
    ci.add(
        "removes-folder",
        step_fn(|cx, ()| {
            let dir = cx.shared().dir.clone();
            std::fs::remove_dir_all(&dir).map_err(StepError::io("removing", dir))?;
            cx.run_ok(&misbehave(&["say", "still here"]))?;
            Ok(Outcome::of(()))
        }),
        (),
    );
    ends::add(&mut ci);
    let peak = Peak;
    let measured = step_fn(move |_, ()| {
        let _ = &peak;
        Ok(Outcome::of(()))
    });
    ci.add("measured", measured, ());
    Ok(ci)
}

/// A step that declares a secret, and that runs a command which prints no part of it.
#[derive(Debug)]
struct Guarded(Invocation);

impl Step for Guarded {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        cx.run_ok(&self.0)?;
        Ok(Outcome::of(()))
    }

    fn secrets(&self) -> Vec<SecretSource> {
        vec!["CANARY".into()]
    }
}

/// Writes down the peak of this process's memory when the pipeline that holds it goes, at the end of its run.
#[derive(Debug)]
struct Peak;

impl Drop for Peak {
    fn drop(&mut self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        let _ = std::fs::write("peak", peak);
    }
}

/// Python packages from an index, with delays of a test's own.
#[derive(Debug)]
struct Patient(Retry);

fn packages() -> PythonEnv {
    PythonEnv::locked("tiny.txt")
}

impl Step for Patient {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        Ok(packages().run(cx, ())?.map(|_| ()))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        packages().tools()
    }

    fn retry(&self) -> Retry {
        self.0
    }
}

#[expect(clippy::panic, reason = "a step that panics is what is being tested")]
fn panics(message: &str) -> Result<Outcome<()>, StepError> {
    panic!("{message}")
}

fn many(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("many");
    for number in 0..1000 {
        ci.command(&format!("step-{number}"), Invocation::program("/bin/true"));
    }
    Ok(ci)
}

/// Writes every form of the secret wherever a tool can.
fn every_form(cx: &Context) -> Result<(), StepError> {
    let script = include_str!("../../tests/data/forms.py");
    cx.run_ok(&Invocation::tool("python3").args(["-c", script, "show", cx.dir().as_str()]))?;
    Ok(())
}

/// A step with a secret that does one thing with it.
#[derive(Debug)]
struct WithSecret(fn(&Context, &Secret) -> Result<Outcome<String>, StepError>);

impl Step for WithSecret {
    type Input = ();
    type Output = String;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<String>, StepError> {
        let secret = cx.secret("CANARY")?;
        (self.0)(cx, &secret)
    }

    fn secrets(&self) -> Vec<SecretSource> {
        vec![Secret::env("CANARY"), Secret::file("canary-file"), Secret::command("printed", printing())]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![misbehave(&["print-variable", "CANARY"])]
    }
}

fn printing() -> Invocation {
    misbehave(&["print-variable", "CANARY_PRINTED"])
}

fn finding(message: &str) -> cicd_core::model::Finding {
    cicd_core::model::Finding::with_code(cicd_core::model::Code::from_static("X-1"), message)
        .help(message)
        .target(cicd_core::model::Target::name(message))
        .at(cicd_core::model::Location::file(message))
}

fn secrets(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("canary");
    ci.add(
        "shows-it",
        WithSecret(|cx, secret| {
            let value = secret.expose();
            cx.progress(value);
            cx.run_ok(&misbehave(&["print-variable", "CANARY"]))?;
            cx.run_ok(&misbehave(&["print-variable", "T"]).env_secret("T", secret))?;
            cx.run_ok(&misbehave(&["print-variable", "T"]).env("T", value))?;
            let encoded = format!("{{\"{}\": 1}}", value.replace('"', "\\\""));
            cx.run_ok(&misbehave(&["print-variable", "T"]).env("T", encoded))?;
            std::fs::write(cx.dir().join("report.json"), value).map_err(StepError::io("writing", "report.json"))?;
            let file = cx.secret_file(secret)?;
            let kept = std::fs::read_to_string(file.path()).map_err(StepError::io("reading", file.path()))?;
            cx.progress(format!("handed on: {}", kept == value));
            Ok(Outcome::of(kept).fact(value, value).headline(value))
        }),
        (),
    );
    ci.add("finds-it", WithSecret(|_, secret| Ok(Outcome::of(String::new()).findings([finding(secret.expose())]))), ());
    ci.add(
        "drips-it",
        // Byte by byte, and in the forms that other tools make of it.
        WithSecret(|cx, _| {
            let script = "for i in $(seq 0 $((${#CANARY} - 1))); do printf %s \"${CANARY:$i:1}\"; sleep 0.002; done; echo; printenv CANARY | base64 -w0; printf %s \"user:$CANARY\" | base64 -w0 >&2; cat canary-file >&2; echo $CANARY_PRINTED; exit 3";
            cx.run_ok(&Invocation::tool("bash").args(["-c", script]))?;
            Ok(Outcome::of(String::new()))
        }),
        (),
    );
    ci.add(
        "argument",
        WithSecret(|cx, secret| {
            cx.run_ok(&misbehave(&["say", secret.expose()]))?;
            Ok(Outcome::of(String::new()))
        }),
        (),
    );
    ci.add(
        "panics",
        WithSecret(|_, secret| {
            let value = secret.expose().to_owned();
            let thread = std::thread::spawn(move || panics(&value).map(|_| ()));
            let _ = thread.join();
            panics(secret.expose()).map(|outcome| outcome.map(|()| String::new()))
        }),
        (),
    );
    ci.add(
        "every-form",
        WithSecret(|cx, _| {
            every_form(cx)?;
            Ok(Outcome::of(String::new()))
        }),
        (),
    );
    ci.add(
        "every-form-stuck",
        WithSecret(|cx, _| {
            every_form(cx)?;
            std::thread::sleep(Duration::from_secs(60));
            Ok(Outcome::of(String::new()))
        }),
        (),
    );
    let undeclared = "sleep 0.3; echo \"inherited: ${CANARY-nothing} ${HOME+home}\"";
    ci.command("undeclared", Invocation::tool("bash").args(["-c", undeclared]));
    ci.add(
        "times-out",
        WithSecret(|cx, _| {
            let script = "echo $CANARY; echo $CANARY >&2; sleep 60";
            cx.run_ok(&Invocation::tool("bash").args(["-c", script]).deadline(SHORT))?;
            Ok(Outcome::of(String::new()))
        }),
        (),
    );
    Ok(ci)
}

fn explained(_: &Workspace) -> Result<Pipeline, GraphError> {
    let value = std::env::vars_os().find(|(name, _)| name == OsStr::new("CANARY")).map(|(_, value)| value);
    let mut ci = Pipeline::new("explained");
    ci.command("argument", misbehave(&["say"]).arg(value.unwrap_or_default()));
    ci.add("fine", WithSecret(|_, _| Ok(Outcome::of(String::new()))), ());
    Ok(ci)
}

fn main() -> ExitCode {
    Cli::new(faults)
        .pipeline("many", "Run a thousand steps", many)
        .pipeline("canary", "Run steps that show a secret", secrets)
        .pipeline("docker", "Run steps that need a Docker engine", containers::pipeline)
        .pipeline("explained", "Hold a secret in a command line", explained)
        .pipeline("waiting", "Wait for a secret that never comes", ends::waiting)
        .pipeline("unwinds", "Run steps that panic wherever code of a step can", unwinds::pipeline)
        .pipeline("unmade", "End the process before there is a pipeline", ends::unmade)
        .main()
}
