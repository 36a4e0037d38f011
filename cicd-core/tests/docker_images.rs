//! What becomes of the images of earlier runs, with a real engine.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod docker_support;

use std::collections::BTreeSet;
use std::fs;

use cicd_core::docker::{LABEL_BUILT_IN, LABEL_CHECKOUT, checkout_id, docker};
use cicd_core::model::{Event, EventKind, Fact};
use cicd_core::pipeline::{Observer, Pipeline, Retention, RunOptions, Start, Summary, run};
use cicd_core::steps::DockerBuild;
use docker_support::Sandbox;

/// Collects what is told beside the steps.
#[derive(Default)]
struct Told(Vec<String>);

impl Observer for Told {
    fn event(&mut self, event: &Event) {
        if let EventKind::Progress { step, message } = &event.kind
            && step.as_str() == "earlier-images"
        {
            self.0.push(message.clone());
        }
    }
}

/// Two images, one on the other; `words` make them this test's own.
fn checkout(words: &str) -> Sandbox {
    let own = format!("{words} {}\n", std::process::id());
    Sandbox::new(&[
        ("app/deps.Dockerfile", "FROM scratch\nCOPY deps.txt /\n"),
        ("app/Dockerfile", "ARG DEPS\nFROM ${DEPS}\nCOPY app.txt /\n"),
        ("app/deps.txt", &own),
        ("app/app.txt", &own),
    ])
}

fn pipeline(retention: Option<Retention>) -> Pipeline {
    let mut ci = Pipeline::new("images");
    if let Some(retention) = retention {
        ci.retention(retention);
    }
    let app = || DockerBuild::context("app");
    let deps = app().dockerfile("app/deps.Dockerfile").image_name("cicd-core-test-deps").intermediate();
    let deps = ci.add("deps", deps, ());
    ci.add("image", app().base_arg("DEPS").image_name("cicd-core-test-earlier").intermediate(), &deps);
    ci
}

fn run_in(sandbox: &Sandbox, ci: &Pipeline, start: Start) -> (Summary, Vec<String>) {
    let mut told = Told::default();
    let options = RunOptions { start, ..RunOptions::default() };
    let summary = run(ci, &sandbox.workspace(), sandbox.outside(), &options, &mut told).expect("a run");
    assert_eq!(summary.exit_code, 0, "{:?}", summary.steps);
    (summary, told.0)
}

fn image(summary: &Summary) -> String {
    let step = summary.steps.iter().find(|step| step.name.as_str() == "image").expect("the step");
    step.facts.get("image").map(Fact::to_string).expect("its name")
}

/// The names of what the engine has of a checkout, and the runs that built it.
fn left(sandbox: &Sandbox) -> (Vec<String>, BTreeSet<String>) {
    let cx = sandbox.context("left");
    let checkout = checkout_id(&sandbox.root).expect("there");
    let list = docker(["image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "--filter"]);
    let listed = cx.run_ok(&list.arg(format!("label={LABEL_CHECKOUT}={checkout}"))).expect("listed");
    let mut names = Vec::new();
    let mut runs = BTreeSet::new();
    for line in listed.stdout_text().expect("UTF-8").lines() {
        let (name, id) = line.split_once(' ').expect("a name and an id");
        names.push(name.to_owned());
        let label = format!("{{{{index .Config.Labels \"{LABEL_BUILT_IN}\"}}}}");
        let inspect = docker(["image", "inspect", "--format"]).arg(label).arg(id);
        let run = cx.run_ok(&inspect).expect("inspected").stdout_text().expect("UTF-8").trim().to_owned();
        runs.insert(run);
    }
    // The engine lists them by their age, of which it tells seconds.
    names.sort();
    (names, runs)
}

#[test]
fn images_of_earlier_runs_go_with_their_runs_and_what_is_others_stays() {
    // The same commit, the same names, the same files.
    let mut ours = checkout("earlier");
    let theirs = checkout("earlier");
    let ci = pipeline(None);
    let (their_run, _) = run_in(&theirs, &ci, Start::Fresh);
    let (first, told) = run_in(&ours, &ci, Start::Fresh);
    assert_eq!(told, Vec::<String>::new());
    assert_ne!(image(&first), image(&their_run), "no checkout takes the name of another one's image");

    let cx = ours.context("others");
    let container = format!("cicd-core-test-user-{}", std::process::id());
    cx.run_ok(&docker(["create", "--name", &container, &image(&first), "/none"])).expect("made");
    let kept = format!("cicd-core-test-kept:{}", std::process::id());
    let (second, _) = run_in(&ours, &ci, Start::Fresh);
    cx.run_ok(&docker(["tag", &image(&second), &kept])).expect("named");
    ours.write("on-ours/Dockerfile", &format!("FROM {}\nLABEL a=b\n", image(&second)));
    let built = cx.run_ok(&docker(["build", "--quiet", ours.root.join("on-ours").as_str()])).expect("built");
    let built_on = built.stdout_text().expect("UTF-8").trim().to_owned();
    ours.removes(&built_on);
    fs::remove_dir_all(ours.root.join("on-ours")).expect("removed");

    let mut told = Vec::new();
    let mut last = second.clone();
    for _ in 3..=5 {
        let (summary, lines) = run_in(&ours, &ci, Start::Fresh);
        told.extend(lines);
        last = summary;
    }
    let (names, runs) = left(&ours);
    cx.run_ok(&docker(["rm", "--force", &container])).expect("removed");
    // Two images of each of three runs; one for its container, one under another name, one that is built on ours.
    assert_eq!((names.len(), runs.len()), (9, 5), "{names:?}");
    assert!(names.contains(&image(&first)) && names.contains(&kept) && names.contains(&image(&last)), "{names:?}");
    assert!(!names.contains(&image(&second)), "{names:?}");
    let says = |name: &str, word: &str| told.iter().any(|line| line.starts_with(name) && line.contains(word));
    assert!(says(&image(&first), "stays: ") && says(&image(&second), &format!("stays as {kept}")), "{told:?}");
    cx.run_ok(&docker(["image", "inspect", &built_on])).expect("what others build on ours is theirs");
    assert_eq!(left(&theirs).0.len(), 2, "another checkout's images are not touched");

    // Now that no container needs it, it goes as well.
    run_in(&ours, &ci, Start::Fresh);
    assert!(!left(&ours).0.contains(&image(&first)));
}

#[test]
fn how_many_runs_and_images_are_kept_is_a_setting() {
    let sandbox = checkout("setting");
    let ci = pipeline(Some(Retention::default().runs(2).images_of_runs(1)));
    let runs: Vec<_> = (0..4).map(|_| run_in(&sandbox, &ci, Start::Fresh).0).collect();
    let (names, built_in) = left(&sandbox);
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(built_in, BTreeSet::from([runs[3].run.to_string()]));
    let folders = fs::read_dir(sandbox.root.join("target/ci/runs")).expect("runs").count();
    assert!((2..=3).contains(&folders), "{folders} runs are kept");

    // What is resumed takes over an image, however old.
    let (_, told) = run_in(&sandbox, &ci, Start::Resume);
    assert_eq!((told, left(&sandbox).0), (Vec::new(), names));
}

#[test]
fn an_image_is_named_after_its_repository() {
    let sandbox = Sandbox::new(&[("Dockerfile", "FROM scratch\nCOPY .gitignore /\n")]);
    let mut ci = Pipeline::new("names");
    ci.add("image", DockerBuild::context(".").intermediate(), ());
    let (summary, _) = run_in(&sandbox, &ci, Start::Fresh);
    let folder = sandbox.root.file_name().expect("a name").trim_start_matches('.').to_lowercase();
    let checkout = checkout_id(&sandbox.root).expect("there");
    assert!(image(&summary).starts_with(&format!("{folder}-{checkout}:")), "{}", image(&summary));
}
