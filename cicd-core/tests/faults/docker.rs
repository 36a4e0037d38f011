//! What can go wrong with the Docker engine and with containers, with a real engine of the test's own.

use std::cell::{Ref, RefCell, RefMut};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use cicd_core::docker::{LABEL_CHECKOUT, LABEL_OWNER, LABEL_RUN, owner};
use cicd_core::model::RunId;
use rustix::process::{Pid, Signal, kill_process};

use crate::engine::Engine;
use crate::support::{Fault, Place, Seen, code, contains, program, table};

/// CI systems kill everything some seconds after the first signal.
const INTERRUPTED_MAX: Duration = Duration::from_secs(5);
/// The engine has ten seconds to answer; a client that waits for it gets two more to end.
const SILENCE_MAX: Duration = Duration::from_secs(13);
/// How often the runner is killed at a random moment.
const KILLS: u32 = 10;
/// A run with two containers and a network is well under way by then.
const KILLED_WITHIN_MS: u32 = 2500;
/// How often a measurement is tried that comes to nothing.
const ATTEMPTS: usize = 3;
const BASE: &str = "faults-base:1";

/// A checkout, and the engine that all of them share.
struct Scene {
    place: Place,
    engine: Rc<RefCell<Engine>>,
}

impl Scene {
    fn new(engine: &Rc<RefCell<Engine>>) -> Self {
        let scene = Self { place: Place::new(), engine: Rc::clone(engine) };
        let id = scene.engine().docker(&["image", "inspect", "--format", "{{.Id}}", BASE]);
        scene.serve(&id);
        scene.write("base", &format!("{BASE} {id}"));
        scene.write("advisories/pypi.json", include_str!("../../../ci/advisories/pypi.json"));
        scene.write("slow/Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN sleep 60\n");
        scene.write("quick/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
        scene.write(".gitignore", "target\n");
        for args in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message", "all"]] {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=tests", "-c", "user.email=tests@example.org"]).args(args);
            assert!(git.current_dir(&scene.place.root).status().expect("git is installed").success());
        }
        scene
    }

    fn engine(&self) -> Ref<'_, Engine> {
        self.engine.borrow()
    }

    fn engine_mut(&self) -> RefMut<'_, Engine> {
        self.engine.borrow_mut()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.place.root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// Has the steps use this image.
    fn serve(&self, id: &str) {
        let image = serde_json::json!({
            "id": id, "name": "faults:1", "size_bytes": 1, "user": "10001", "labels": {}, "platform": "linux/amd64",
            "commit": "0123456789abcdef0123456789abcdef01234567", "dirty": false, "bases": [],
        });
        self.write("image.json", &image.to_string());
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.engine().command(&program("faulty"));
        command.args([&["docker"], args].concat()).current_dir(&self.place.root);
        // What a test puts there goes before the real tools.
        let path = std::env::var("PATH").expect("a PATH");
        command.env("PATH", format!("{}/bin:{path}", self.place.root));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, step: &str) -> Output {
        self.command(&["--only", step]).output().expect("started")
    }

    /// Runs steps of which one measures. On a machine that others use too a measurement may come to nothing, and says so; a valid
    /// one is never repeated.
    fn measure(&self, steps: &[&str]) -> Output {
        let run = || self.command(&[&["--only"], steps].concat()).output().expect("started");
        let mut output = run();
        for _ in 1..ATTEMPTS {
            if self.place.reason("ci-other", "load").contains("invalid measurement") {
                output = run();
            }
        }
        output
    }

    fn start(&self, step: &str) -> Child {
        self.command(&["--only", step]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
    }

    /// Waits until the run that was just started has put this into its events or into the log of a step.
    fn wait_for(&self, text: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        let runs = self.place.root.join("target/ci-other/runs");
        let written = || {
            let run = fs::read_dir(&runs).ok()?.flatten().map(|run| run.path()).max()?;
            let steps = fs::read_dir(run.join("steps")).into_iter().flatten().flatten();
            let files = steps.map(|step| step.path().join("log.txt")).chain([run.join("events.ndjson")]);
            let holds = |file| fs::read(file).is_ok_and(|bytes| contains(&bytes, text.as_bytes()));
            Some(files.into_iter().any(holds))
        };
        while written() != Some(true) {
            assert!(Instant::now() < until, "{text:?} was not seen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How a step ended, what it must have told, and what is left in the engine at once.
    fn seen(&self, step: &str, exit: i32, parts: &[&str]) -> Seen {
        let reason = self.place.reason("ci-other", step);
        let mut seen = Seen::new(&self.place, self.place.status("ci-other", step), exit);
        seen.containers = Some(self.engine().labelled());
        parts
            .iter()
            .fold(seen, |seen, part| seen.require(reason.contains(part), &format!("not told {part:?}: {reason}")))
    }

    /// The same where the engine was harmed: what is left then is what the next run leaves, once the engine is well again.
    fn seen_by_the_next_run(&self, step: &str, exit: i32, parts: &[&str]) -> Seen {
        let (status, reason) = (self.place.status("ci-other", step), self.place.reason("ci-other", step));
        self.engine_mut().recover();
        let next = code(self.run("readiness").status);
        let mut seen = self.seen("readiness", exit, &[]);
        seen.status = status;
        let seen = seen.require(next == 0, &format!("the next run ended with {next}"));
        parts
            .iter()
            .fold(seen, |seen, part| seen.require(reason.contains(part), &format!("not told {part:?}: {reason}")))
    }
}

/// Sends the engine a signal as soon as a run has come so far.
fn disturbed(scene: &Scene, step: &str, moment: &str, signal: Signal, parts: &[&str]) -> Seen {
    let mut child = scene.start(step);
    scene.wait_for(moment);
    scene.engine().signal(signal);
    let exit = code(child.wait().expect("it ends"));
    scene.seen_by_the_next_run(step, exit, parts)
}

/// The engine is in this state before anything starts.
fn not_ready(scene: &Scene, signal: Signal, parts: &[&str]) -> Seen {
    scene.engine().signal(signal);
    let started = Instant::now();
    let exit = code(scene.run("load").status);
    let took = started.elapsed();
    let blocked = scene.place.status("ci-other", "load");
    let seen = scene.seen_by_the_next_run("readiness", exit, parts);
    seen.require(took < SILENCE_MAX, &format!("it took {took:?}"))
        .require(blocked == "blocked", &format!("the load was {blocked}"))
}

fn interrupted(scene: &Scene, step: &str, moment: &str, signal: Signal) -> Seen {
    let mut child = scene.start(step);
    scene.wait_for(moment);
    let started = Instant::now();
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    kill_process(pid, signal).expect("it runs");
    let exit = code(child.wait().expect("it ends"));
    let took = started.elapsed();
    println!("{step} ended {took:.1?} after the signal");
    let status = scene.place.summary("ci-other").map_or("no report".to_owned(), |summary| summary.status.to_string());
    let mut seen = Seen::new(&scene.place, status, exit);
    seen.containers = Some(scene.engine().labelled());
    seen.require(took < INTERRUPTED_MAX, &format!("it took {took:?}"))
}

/// The engine is stuck while the run is interrupted: there is nothing to be done about its containers but to say so.
fn interrupted_while_stuck(scene: &Scene) -> Seen {
    let mut child = scene.start("hold");
    scene.wait_for("misbehave ignore-signals");
    scene.engine().signal(Signal::STOP);
    let started = Instant::now();
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::INT).expect("it runs");
    let exit = code(child.wait().expect("it ends"));
    let took = started.elapsed();
    println!("with a stuck engine it ended {took:.1?} after the signal");
    let runs = fs::read_dir(scene.place.root.join("target/ci-other/runs")).expect("runs").flatten();
    let summary = fs::read_to_string(runs.map(|run| run.path()).max().expect("a run").join("summary.json"));
    let marked = summary.is_ok_and(|text| text.contains("\"status\": \"cancelled\""));
    let mut seen = scene.seen_by_the_next_run("hold", exit, &[]);
    seen.status = if marked { "cancelled" } else { "no report" }.to_owned();
    seen.require(took < INTERRUPTED_MAX, &format!("it took {took:?}"))
}

/// Trivy's own call of the engine comes when the engine has just died.
fn killed_under_trivy(scene: &Scene) -> Seen {
    let path = std::env::var_os("PATH").expect("a PATH");
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("trivy"));
    let real = places.find(|place| place.exists()).expect("trivy is on PATH; `cargo xtask setup` installs it");
    let daemon = scene.engine().daemon().expect("it runs").as_raw_nonzero();
    let line = format!("case \"$*\" in *--image-src*) kill -KILL {daemon};; esac\nexec {} \"$@\"\n", real.display());
    scene.write("bin/trivy", &format!("#!/bin/sh\n{line}"));
    let trivy = scene.place.root.join("bin/trivy");
    fs::set_permissions(trivy, fs::Permissions::from_mode(0o755)).expect("changed");
    let exit = code(scene.run("scan").status);
    while scene.engine().daemon().is_some() {
        std::thread::sleep(Duration::from_millis(20));
    }
    scene.seen_by_the_next_run("scan", exit, &["trivy", "docker"])
}

fn serving(scene: &Scene, words: &str, step: &str, parts: &[&str]) -> Seen {
    let id = scene.engine().image("faults-other:1", words);
    scene.serve(&id);
    let exit = code(scene.measure(&[step]).status);
    let seen = scene.seen(step, exit, parts);
    if step != "load-removed" {
        scene.engine().docker(&["image", "rm", "--force", &id]);
    }
    seen
}

fn port_taken(scene: &Scene) -> Seen {
    let held = scene.engine().docker(&["run", "--detach", "--name", "foreign", "--publish", "127.0.0.1::8080", BASE]);
    let shown = scene.engine().docker(&["port", "foreign", "8080/tcp"]);
    scene.write("port", shown.rsplit(':').next().expect("a port"));
    let exit = code(scene.run("readiness-port").status);
    let seen = scene.seen("readiness-port", exit, &["READY-005: port ", " is taken by the container foreign"]);
    scene.engine().docker(&["rm", "--force", &held]);
    seen
}

fn crowded(scene: &Scene) -> Seen {
    // As if another checkout of this machine had them.
    let labels = [
        format!("{LABEL_RUN}={}", RunId::new(jiff::Timestamp::now(), std::process::id())),
        format!("{LABEL_OWNER}={}", owner()),
    ];
    let run = ["run", "--detach", "--label", &labels[0], "--label", &labels[1], BASE];
    let others = [(); 4].map(|()| scene.engine().docker(&run));
    let exit = code(scene.run("load").status);
    let blocked = scene.place.status("ci-other", "load");
    let left = scene.engine().labelled();
    for other in &others {
        scene.engine().docker(&["rm", "--force", other]);
    }
    scene
        .seen("readiness", exit, &["READY-001: 4 app containers run, at most 3 may"])
        .require(left == others.len(), "containers of a run that goes on were touched")
        .require(blocked == "blocked", &format!("the load was {blocked}"))
}

/// Everything with the label goes, of whatever run; everything without it stays.
fn forced(scene: &Scene) -> Seen {
    let engine = scene.engine();
    let values = [
        RunId::new(jiff::Timestamp::now(), std::process::id()).to_string(),
        RunId::new(jiff::Timestamp::now(), i32::MAX as u32).to_string(),
        "mine".to_owned(),
    ];
    for (number, value) in values.iter().enumerate() {
        let (label, name) = (format!("{LABEL_RUN}={value}"), format!("labelled-{number}"));
        engine.docker(&["network", "create", "--label", &label, &name]);
        engine.docker(&["volume", "create", "--label", &label, &name]);
        let mount = format!("{name}:/data");
        engine.docker(&["run", "--detach", "--label", &label, "--network", &name, "--volume", &mount, BASE]);
    }
    let image = format!("LABEL {LABEL_RUN}={}", values[0]);
    scene.write("tmp.tar", "");
    let tar = scene.place.root.join("tmp.tar");
    fs::write(&tar, [0; 10240]).expect("an empty archive");
    engine.docker(&["import", "--change", &image, tar.as_str(), "labelled:1"]);
    engine.docker(&["tag", "labelled:1", "labelled:2"]);
    engine.docker(&["import", tar.as_str(), "foreign:1"]);
    engine.docker(&["network", "create", "foreign"]);
    engine.docker(&["volume", "create", "foreign"]);
    engine.docker(&["run", "--detach", "--name", "foreign", "--network", "foreign", "--volume", "foreign:/data", BASE]);
    let before = engine.labelled();

    let output = scene.command(&["--only", "readiness", "--force-reset"]).output().expect("started");

    let survives = |args: &[&str]| engine.has(args);
    let kept = [
        survives(&["container", "inspect", "foreign"]),
        survives(&["network", "inspect", "foreign"]),
        survives(&["volume", "inspect", "foreign"]),
        survives(&["image", "inspect", "foreign:1"]),
        engine.docker(&["inspect", "--format", "{{.State.Running}}", "foreign"]) == "true",
    ];
    engine.docker(&["rm", "--force", "foreign"]);
    engine.docker(&["network", "rm", "foreign"]);
    engine.docker(&["volume", "rm", "foreign"]);
    engine.docker(&["image", "rm", "foreign:1"]);
    let told = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains("force-reset: removed the "))
        .count();
    let told_all = told == 11;
    scene
        .seen("readiness", code(output.status), &[])
        .require(before == 11, &format!("{before} things were there"))
        .require(kept == [true; 5], &format!("something without the label was touched: {kept:?}"))
        .require(
            told_all,
            &format!("{told} of 11 were told: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat())),
        )
}

/// Kills the runner at moments that differ from run to run, then looks at what the next run makes of it.
fn killed(scene: &Scene) -> Seen {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let mut met = 0;
    for round in 0..KILLS {
        let mut child = scene.start("hold");
        let moment =
            (seed.wrapping_mul(2_654_435_761).wrapping_add(round.wrapping_mul(0x9E37_79B9)) >> 8) % KILLED_WITHIN_MS;
        // Each moment later than the one before, and the last one when everything runs.
        std::thread::sleep(Duration::from_millis(u64::from((moment + round * KILLED_WITHIN_MS / KILLS) / 2)));
        if round + 1 == KILLS {
            scene.wait_for("misbehave ignore-signals");
        }
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        met += scene.engine().labelled();
    }
    let exit = code(scene.run("readiness").status);
    let runs = fs::read_dir(scene.place.root.join("target/ci-other/runs")).expect("runs").flatten();
    let begun = |run: &fs::DirEntry| fs::metadata(run.path().join("events.ndjson")).is_ok_and(|file| file.len() > 0);
    let unmarked = runs.filter(begun).filter(|run| !run.path().join("summary.json").exists()).count();
    scene
        .seen("readiness", exit, &[])
        .require(met > 0, "no run was killed that had containers")
        .require(unmarked == 0, &format!("{unmarked} interrupted runs are not marked"))
}

/// Kills the runner when it has built an image, then looks whether the next run removes it.
fn killed_after_a_build(scene: &Scene) -> Seen {
    let mut child = scene.start("linger");
    scene.wait_for("misbehave ignore-signals");
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    let filter = format!("label={LABEL_CHECKOUT}");
    let images = || scene.engine().docker(&["image", "ls", "--quiet", "--filter", &filter]).lines().count();
    let built = images();
    let exit = code(scene.run("readiness").status);
    let left = images();
    scene
        .seen("readiness", exit, &[])
        .require(built == 1, &format!("the killed run had built {built} images"))
        .require(left == 0, &format!("{left} images of the killed run are left"))
}

const FAULTS: &[Fault<Scene>] = &[
    Fault {
        name: "nothing",
        status: "passed",
        exit: 0,
        run: |scene| {
            let output = scene.measure(&["load", "scan"]);
            let scan = scene.place.status("ci-other", "scan");
            let why = scene.place.reason("ci-other", "scan");
            scene.seen("load", code(output.status), &[]).require(scan == "passed", &format!("the scan: {scan} {why}"))
        },
    },
    Fault {
        name: "container is never healthy",
        status: "error",
        exit: 3,
        run: |scene| {
            scene.write("patience", "5");
            serving(scene, r#", "silent""#, "load", &["is not ready after 5 s", "listening on"])
        },
    },
    Fault {
        name: "container ends before it is ready",
        status: "error",
        exit: 3,
        run: |scene| serving(scene, r#", "exit", "3""#, "load", &["ended before it was ready", "exit code 3"]),
    },
    Fault {
        name: "container ends after it was ready",
        status: "failed",
        exit: 1,
        run: |scene| {
            let seen = serving(scene, r#", "end-after", "40""#, "load", &[]);
            let found = scene.place.findings("ci-other", "load");
            let reason = scene.place.reason("ci-other", "load");
            seen.require(found.contains(&"LOAD-003".to_owned()), &format!("it found {found:?}: {reason}"))
        },
    },
    Fault {
        name: "image is removed between two steps",
        status: "error",
        exit: 3,
        run: |scene| serving(scene, "", "load-removed", &["No such image"]),
    },
    Fault { name: "port that a step needs is taken", status: "error", exit: 3, run: port_taken },
    Fault { name: "four app containers of other runs", status: "error", exit: 3, run: crowded },
    Fault {
        name: "disk has too little room",
        status: "error",
        exit: 3,
        run: |scene| {
            let exit = code(scene.run("readiness-disk").status);
            scene.seen("readiness-disk", exit, &["READY-002: ", " MiB are free at "])
        },
    },
    Fault {
        name: "SIGINT, containers ignore SIGTERM",
        status: "cancelled",
        exit: 130,
        run: |scene| interrupted(scene, "hold", "misbehave ignore-signals", Signal::INT),
    },
    Fault {
        name: "SIGTERM during a load test",
        status: "cancelled",
        exit: 143,
        run: |scene| interrupted(scene, "load", "requests/s for", Signal::TERM),
    },
    Fault {
        name: "SIGTERM during a build",
        status: "cancelled",
        exit: 143,
        run: |scene| interrupted(scene, "build", "RUN sleep 60", Signal::TERM),
    },
    Fault { name: "SIGKILL at 10 random moments, then a run", status: "passed", exit: 0, run: killed },
    Fault { name: "SIGKILL after a build, then a run", status: "passed", exit: 0, run: killed_after_a_build },
    Fault { name: "--force-reset among things of others", status: "passed", exit: 0, run: forced },
    // Last: an engine that starts after a killed one may give a new container the address of one that is on its way out.
    Fault {
        name: "engine is killed during a build",
        status: "error",
        exit: 3,
        run: |scene| disturbed(scene, "build", "RUN sleep 60", Signal::KILL, &["docker build"]),
    },
    Fault { name: "engine is killed during a scan", status: "error", exit: 3, run: killed_under_trivy },
    Fault {
        name: "engine is killed during a load test",
        status: "error",
        exit: 3,
        run: |scene| disturbed(scene, "load", "requests/s for", Signal::KILL, &["docker inspect"]),
    },
];

/// Dead or stopped: a stopped engine takes what it is asked and stays silent.
const STUCK: &[Fault<Scene>] = &[
    Fault {
        name: "engine is dead before the run",
        status: "error",
        exit: 3,
        run: |scene| {
            not_ready(scene, Signal::KILL, &["Docker engine does not answer: Cannot connect", "systemctl start docker"])
        },
    },
    Fault {
        name: "engine accepts and never answers (SIGSTOP)",
        status: "error",
        exit: 3,
        run: |scene| not_ready(scene, Signal::STOP, &["the Docker engine did not answer within 10 s", "restart it"]),
    },
    Fault {
        name: "engine stops answering during a build",
        status: "error",
        exit: 3,
        run: |scene| {
            let told = ["the Docker engine did not answer within 10 s while it was asked to", "docker build"];
            disturbed(scene, "build", "RUN sleep 60", Signal::STOP, &told)
        },
    },
    Fault {
        name: "engine stops answering during a load test",
        status: "error",
        exit: 3,
        run: |scene| disturbed(scene, "load", "requests/s for", Signal::STOP, &["timed out after 10 s"]),
    },
    Fault {
        name: "SIGINT while the engine does not answer",
        status: "cancelled",
        exit: 130,
        run: interrupted_while_stuck,
    },
];

/// Builds with an instruction that meets a full disk of the engine's.
fn without_room(scene: &Scene, instruction: &str) -> Seen {
    scene.write("slow/Dockerfile", &format!("ARG BASE\nFROM ${{BASE}}\n{instruction}\n"));
    let exit = code(scene.run("build").status);
    let told: &[&str] = if exit == 1 { &[] } else { &["no verdict, as a disk was full: ", "free some space"] };
    scene.seen("build", exit, told)
}

/// The engine's disk is small, in bytes and in files.
const FULL: &[Fault<Scene>] = &[
    Fault {
        name: "a command fails, and there is room",
        status: "failed",
        exit: 1,
        run: |scene| without_room(scene, "RUN exit 7"),
    },
    Fault {
        name: "a command fails as the disk is full",
        status: "error",
        exit: 3,
        run: |scene| without_room(scene, "RUN dd if=/dev/zero of=/big bs=1000000"),
    },
    Fault {
        name: "it fails without a word",
        status: "error",
        exit: 3,
        run: |scene| without_room(scene, "RUN dd if=/dev/zero of=/big bs=1000000 2>/dev/null || { sleep 1; exit 4; }"),
    },
    Fault {
        name: "it calls it an I/O error",
        status: "error",
        exit: 3,
        run: |scene| without_room(scene, "RUN dd if=/dev/zero of=/big bs=1000000 2>/dev/null; echo x > /more"),
    },
    Fault {
        name: "no more files fit",
        status: "error",
        exit: 3,
        run: |scene| without_room(scene, "RUN i=0; while : > /file-$i; do i=$((i + 1)); done; exit 5"),
    },
];

#[test]
fn a_full_disk_of_the_engine_is_no_verdict() {
    let engine = Engine::start_on("full", Some("size=64m,nr_inodes=4000"));
    engine.image(BASE, "");
    let engine = Rc::new(RefCell::new(engine));
    table("a Docker engine whose disk is full", FULL, || Scene::new(&engine));
}

#[test]
fn engines_and_containers_that_misbehave() {
    std::thread::scope(|scope| {
        // These wait most of the time, for an engine of their own.
        let stuck = scope.spawn(|| suffer("faults of a Docker engine that does not answer", "stuck", STUCK));
        suffer("faults of Docker", "well", FAULTS);
        stuck.join().expect("every row is as it must be");
    });
}

fn suffer(title: &str, name: &str, faults: &[Fault<Scene>]) {
    let engine = Engine::start(name);
    engine.image(BASE, "");
    let engine = Rc::new(RefCell::new(engine));
    table(title, faults, || Scene::new(&engine));
}
