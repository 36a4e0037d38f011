//! `DockerBuild`, `IntermediateBuild` and `DevBuild` with a real engine.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod docker_support;
#[path = "docker_support/small_base.rs"]
mod small_base;

use std::sync::{Mutex, PoisonError};

use cicd_core::docker::{BaseOrigin, Bases, BuildRecipe, Fresh, Image, UnprovenBase, docker, inspect_image};
use cicd_core::formats::buildkit_log::BuildLog;
use cicd_core::formats::dockerfile::{Arguments, Dockerfile};
use cicd_core::model::{Fact, Level, Revision, Status};
use cicd_core::pipeline::{Outside, alone};
use cicd_core::policy::{Justification, Policy, evaluate};
use cicd_core::process::Secret;
use cicd_core::step::{Outcome, Step, StepError};
use cicd_core::steps::{DevBuild, DockerBuild, ImageCode};
use docker_support::{COMMIT, Sandbox};

const GOOD: &str = "\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS builder
RUN echo '#5 CACHED' && echo built > /made
FROM ${BASE_IMAGE}
ARG REVISION
RUN echo \"${REVISION}\" > /revision
COPY --from=builder /made /made
COPY app.txt /app.txt
USER 10001:10001
HEALTHCHECK CMD [\"/bin/cat\", \"/run/ready\"]
";

fn sandbox(dockerfile: &str) -> Sandbox {
    Sandbox::new(&[("app/Dockerfile", dockerfile), ("app/app.txt", "hello\n"), ("app/tests/test_app.py", "assert 1\n")])
}

/// Equal instructions of builds at the same time are carried out once, so these builds take turns.
static TURN: Mutex<()> = Mutex::new(());

fn build(
    sandbox: &mut Sandbox,
    step: DockerBuild,
    bases: impl Into<Bases>,
) -> Result<Outcome<Image<Fresh>>, StepError> {
    let name =
        format!("cicd-core-test-app-{}", sandbox.root.file_name().expect("a name").to_lowercase().replace('.', ""));
    let cx = sandbox.context("image");
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    step.image_name(name).run(&cx, bases.into())
}

fn application() -> DockerBuild {
    DockerBuild::context("app").base_arg("BASE_IMAGE").revision_arg("REVISION")
}

fn codes(outcome: &Outcome<Image<Fresh>>) -> Vec<String> {
    outcome.findings.iter().map(|finding| finding.code.to_string()).collect()
}

fn bases(image: &Image<Fresh>) -> Vec<(&str, &str, BaseOrigin)> {
    image.bases().iter().map(|base| (base.reference(), base.id(), base.origin())).collect()
}

fn justification() -> Justification {
    Justification::new("the example needs it to show the rule", "@example/platform", "2027-01-01").expect("valid")
}

#[test]
fn every_build_is_fresh_and_says_what_it_is() {
    let mut sandbox = sandbox(GOOD);
    let base = sandbox.base("fresh");
    let first = build(&mut sandbox, application(), base.clone()).expect("built");
    let second = build(&mut sandbox, application(), base.clone()).expect("built");
    for outcome in [&first, &second] {
        assert_eq!(outcome.facts.get("instructions_executed"), Some(&Fact::Int(4)));
        assert_eq!(codes(outcome), Vec::<String>::new());
        let image = &outcome.value;
        assert_eq!(image.labels()["org.opencontainers.image.revision"], COMMIT);
        assert_eq!((image.user(), image.commit()), ("10001:10001", COMMIT));
        assert_eq!(bases(image), [(base.reference.as_str(), base.id.as_str(), BaseOrigin::Unproven)]);
        assert!(image.name().contains(COMMIT) && image.size_bytes() > 1_000_000, "{image:?}");
        assert!(outcome.facts.headline().is_some_and(|line| line.len() <= 48));
    }
    assert_ne!(first.value.id(), second.value.id(), "a second build without a cache is another image");
}

#[test]
fn a_cached_build_is_no_proof() {
    let mut sandbox = sandbox(GOOD);
    let base = sandbox.base("cached");
    let recipe =
        BuildRecipe::context("app").base_arg("BASE_IMAGE").image_name("cicd-core-test-dev").revision_arg("REVISION");
    let cx = sandbox.context("dev");
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cached: Vec<_> = (0..2)
        .map(|_| {
            let outcome = DevBuild::new(recipe.clone()).run(&cx, base.clone().into()).expect("built");
            outcome.facts.get("instructions_cached").cloned()
        })
        .collect();
    assert_eq!(cached[1], Some(Fact::Int(4)));
    drop(turn);
    // The same Dockerfile right after, with a full cache beside it.
    let fresh = build(&mut sandbox, application(), base).expect("built");
    assert_eq!(fresh.facts.get("instructions_executed"), Some(&Fact::Int(4)));
}

#[test]
fn root_is_found_and_allowed_only_with_a_justification() {
    // The image knows no user by name, so the engine starts nothing as one.
    let by_name = &["IMG-001", "IMG-010"][..];
    for (user, expected) in [("USER root", by_name), ("USER 0:0", &["IMG-001"]), ("USER nobody", by_name)] {
        let mut sandbox = sandbox(&GOOD.replace("USER 10001:10001", user));
        let base = sandbox.base("root");
        let outcome = build(&mut sandbox, application(), base.clone()).expect("built");
        assert_eq!(codes(&outcome), expected, "{user}");
        let today = jiff::civil::date(2026, 11, 21);
        assert_eq!(evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), today).status, Status::Failed);
        if user == "USER 0:0" {
            let allowed = build(&mut sandbox, application().allow_root(justification()), base).expect("built");
            let verdict = evaluate(allowed.findings, &allowed.exceptions, &Policy::default(), today);
            assert_eq!(verdict.status, Status::Exempted);
            let place = &verdict.findings[0].exception.as_ref().expect("exempted").location;
            assert!(place.path.ends_with("tests/docker_build.rs"), "{place}");
        }
    }
}

#[test]
fn what_an_instruction_makes_of_code_and_of_variables_is_told() {
    let dockerfile = GOOD.replace(
        "COPY app.txt",
        "COPY tool.sh speed.so /opt/app/\nRUN echo 'import os' > /opt/app/evil.py && cat /bin/cat > /opt/app/cat && cat /opt/app/tool.sh > /bin/known\n\
         ENV PYTHONSTARTUP=/opt/app/evil.py PYTHONPATH=/opt/app\nCOPY app.txt",
    );
    let mut sandbox = sandbox(&dockerfile);
    sandbox.write("app/tool.sh", "#!/bin/sh\necho tracked\n");
    sandbox.write("app/speed.so", "\u{7f}ELF tracked");
    let base = sandbox.base("own-code");
    let told = |outcome: &Outcome<Image<Fresh>>| -> Vec<String> {
        let own = outcome.findings.iter().filter(|one| ["IMG-024", "IMG-025"].contains(&one.code.as_str()));
        own.map(|one| format!("{} {}", one.code, one.target.as_ref().expect("a target"))).collect()
    };
    let outcome = build(&mut sandbox, application(), base.clone()).expect("built");
    let all = [
        "IMG-024 PYTHONSTARTUP=/opt/app/evil.py",
        "IMG-024 PYTHONPATH=/opt/app",
        "IMG-025 /opt/app/cat",
        "IMG-025 /opt/app/evil.py",
        "IMG-025 /opt/app/speed.so",
    ];
    assert_eq!(told(&outcome), all);
    let copied = outcome.findings.iter().find(|one| one.message.contains("/opt/app/evil.py: ")).expect("told");
    assert!(copied.message.contains("(echo 'import os' > /opt/app/evil.py"), "{}", copied.message);

    let accepting = application().accept(ImageCode::OwnCode, "/opt/app/**", justification()).accept(
        ImageCode::Variable,
        "PYTHON*=/opt/app**",
        justification(),
    );
    let outcome = build(&mut sandbox, accepting, base).expect("built");
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21));
    let open: Vec<_> = verdict.findings.iter().filter(|one| one.exception.is_none()).map(|one| &one.message).collect();
    assert_eq!((verdict.status, open), (Status::Exempted, Vec::new()));
}

#[test]
fn shipped_tests_and_secrets_are_found_even_below_a_layer_that_deletes_them() {
    let secret = "the-secret-of-the-build-0123456789";
    let dockerfile = GOOD
        .replace(
            "COPY app.txt /app.txt",
            "COPY . /opt/app/\nRUN --mount=type=secret,id=token cat /run/secrets/token > /leak",
        )
        .replace("USER", "RUN : > /leak\nUSER");
    let mut sandbox = sandbox(&dockerfile);
    sandbox.write("token.txt", secret);
    sandbox.write("app/.env", "A=b\n");
    let base = sandbox.base("shipped");
    let step = application().secret_file("token", "token.txt");
    let outcome = build(&mut sandbox, step.clone(), base.clone()).expect("built");
    let shown: Vec<_> = outcome.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        shown,
        [
            "the build secret token is shipped: /leak",
            "a file of environment variables is shipped: /opt/app/.env",
            "tests are shipped: /opt/app/tests"
        ]
    );
    assert!(outcome.findings.iter().all(|finding| finding.level == Level::Deny));
    let allowed = step.allow_shipped_file("/opt/app/**", justification());
    let outcome = build(&mut sandbox, allowed, base).expect("built");
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21));
    assert_eq!(verdict.covered, [2]);
    assert_eq!(verdict.status, Status::Failed, "the leak is not among what is allowed");
}

#[test]
fn a_dirty_tree_blocks_the_clearance_and_nothing_else() {
    let mut sandbox = sandbox(GOOD);
    sandbox.dirty = true;
    let base = sandbox.base("dirty");
    let outcome = build(&mut sandbox, application(), base).expect("built");
    assert_eq!(codes(&outcome), ["IMG-006"]);
    assert_eq!(outcome.findings[0].level, Level::BlockClearance);
    assert!(outcome.value.dirty());
}

/// What an image holds in its application's folder, with modes and times.
fn listed(sandbox: &Sandbox, id: &str) -> String {
    let cx = sandbox.context("list");
    let created = cx.run_ok(&docker(["create", "--"]).arg(id).arg("/bin/cat")).expect("created");
    let container = created.stdout_text().expect("text").trim().to_owned();
    let copied = cx.run_ok(&docker(["cp"]).arg(format!("{container}:/opt/app")).arg("-"));
    cx.run_ok(&docker(["rm", "--force", "--"]).arg(&container)).expect("removed");
    let mut archive = tar::Archive::new(std::io::Cursor::new(copied.expect("copied").stdout));
    let lines = archive.entries().expect("an archive").map(|entry| {
        let entry = entry.expect("an entry");
        let header = entry.header();
        // The builder makes folders anew.
        let time = if header.entry_type().is_dir() { 0 } else { header.mtime().expect("a time") };
        let mode = header.mode().expect("a mode");
        format!("{mode:o} {time} {}\n", entry.path().expect("a path").display())
    });
    lines.collect()
}

#[test]
fn only_what_git_tracks_gets_into_an_image() {
    // Instructions that no other build of this machine has.
    let own = std::process::id();
    let dockerfile = GOOD
        .replace("COPY app.txt /app.txt", "COPY . /opt/app/\nCOPY app.txt /app.txt")
        .replace("> /revision", &format!("> /revision-{own}"))
        .replace("echo built", &format!("echo {own}"));
    let mut sandbox =
        Sandbox::new(&[("app/Dockerfile", &dockerfile), ("app/app.txt", "hello\n"), ("app/sub/a.py", "A = 1\n")]);
    let base = sandbox.base("tracked");
    drop(sandbox.context("commits"));
    // Ignored by rules that are in no commit, by a rule that ignores all, and tracked by nobody, in folders and by links too.
    sandbox.write(".git/info/exclude", "evil.py\n.hidden\n/app/.dockerignore\n");
    for path in ["app/evil.py", "app/sub/evil.py", "app/.hidden", "app/sub/.hidden/x.py"] {
        sandbox.write(path, "import subprocess\n");
    }
    sandbox.write("app/.dockerignore", "sub\n");
    std::os::unix::fs::symlink("/etc/passwd", sandbox.root.join("app/evil.py.link")).expect("linked");
    // As they lie, beside what is committed.
    let mut outside = Outside::gather(&sandbox.workspace(), Vec::new()).expect("a pipe");
    outside.revision = Ok(Revision { commit: COMMIT.to_owned(), dirty: false, differences: Vec::new() });
    let cx = alone(&sandbox.workspace(), "image", outside).expect("a context");
    let name = "cicd-core-test-tracked";
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut images = Vec::new();
    for umask in [0o022, 0o077] {
        // Modes and times of the checkout are those of whoever checked it out.
        let path = sandbox.root.join("app/sub/a.py");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666 & !umask)).expect("set");
        let file = std::fs::File::options().write(true).open(&path).expect("opened");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(umask)))
            .expect("set");
        let outcome = application().image_name(name).run(&cx, base.clone().into()).expect("built");
        images.push(listed(&sandbox, outcome.value.id()));
    }
    drop(turn);
    for name in ["evil", "hidden", "dockerignore"] {
        assert!(!images[0].contains(name), "{name}: {}", images[0]);
    }
    assert!(images[0].contains("a.py") && images[0].contains("app.txt"), "{}", images[0]);
    assert_eq!(images[0], images[1], "and it is the same whoever checked it out");
    let left: Vec<_> =
        cx.dir().read_dir_utf8().expect("there").flatten().map(|one| one.file_name().to_owned()).collect();
    assert!(left.iter().all(|name| !name.contains("context")), "{left:?}");

    // What changes between the gates and the build is not built.
    sandbox.write("app/sub/a.py", "A = 2\n");
    let error = application().image_name(name).run(&cx, base.into()).expect_err("changed");
    assert!(error.to_string().contains("app/sub/a.py changed while the run went on"), "{error}");
}

#[test]
fn a_base_that_is_another_image_by_now_is_an_error() {
    let mut sandbox = sandbox(GOOD);
    let base = sandbox.base("moved");
    let stale = UnprovenBase { id: format!("sha256:{}", "0".repeat(64)), ..base.clone() };
    let error = build(&mut sandbox, application(), stale).expect_err("moved");
    assert!(error.to_string().contains(&base.id), "{error}");
}

#[test]
fn a_base_that_moves_during_the_build_is_an_error() {
    // The build waits in its first instruction until the tag has been moved.
    let dockerfile =
        GOOD.replace("RUN echo '#5 CACHED'", "RUN i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done; echo");
    let mut sandbox = sandbox(&dockerfile);
    let base = sandbox.base("moving");
    let name = "cicd-core-test-moving-app";
    let cx = sandbox.context("mover");
    let building = sandbox.context("image");
    let reference = base.reference.clone();
    let log = building.dir().join("log.txt");
    let mover = std::thread::spawn(move || {
        for _ in 0..3000 {
            if std::fs::read_to_string(&log).is_ok_and(|text| text.contains("[builder 2/2] RUN")) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let moved = docker(["import", "--message", "moved", "-"]).arg(&reference).stdin(vec![0; 1024]);
        cx.run_ok(&moved).expect("imported");
    });
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let error = application().image_name(name).run(&building, base.clone().into()).expect_err("moved");
    drop(turn);
    mover.join().expect("moved");
    assert!(error.to_string().contains(&format!("was {}", base.id)), "{error}");
}

#[test]
fn images_without_a_base_are_built_and_their_bases_are_none() {
    let mut sandbox = sandbox("FROM scratch\nCOPY app.txt /app.txt\nUSER 1\n");
    let outcome = build(&mut sandbox, DockerBuild::context("app"), ()).expect("built");
    assert_eq!(codes(&outcome), ["IMG-007"]);
    assert_eq!(outcome.facts.get("base").map(ToString::to_string).as_deref(), Some("scratch"));
    assert!(outcome.value.bases().is_empty());
}

#[test]
fn a_base_that_the_dockerfile_names_itself_must_be_pinned() {
    let mut sandbox = sandbox("FROM scratch\n");
    let base = sandbox.base("unpinned");
    sandbox.write(
        "app/Dockerfile",
        &format!("FROM {}\nUSER 1\nHEALTHCHECK CMD [\"/bin/cat\", \"/run/ready\"]\n", base.reference),
    );
    let outcome = build(&mut sandbox, DockerBuild::context("app"), ()).expect("built");
    assert_eq!(codes(&outcome), ["IMG-003"]);
    assert_eq!(outcome.findings[0].location.as_ref().expect("a place").to_string(), "app/Dockerfile:1");
    assert_eq!(bases(&outcome.value), [(base.reference.as_str(), base.id.as_str(), BaseOrigin::Engine)]);
}

#[test]
fn an_intermediate_image_may_run_as_root_and_is_a_base_only() {
    let mut sandbox = sandbox("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo x > /x\n");
    let base = sandbox.base("deps");
    sandbox.write("app/app.Dockerfile", &GOOD.replace("echo built", "cat /x"));
    let name = "cicd-core-test-intermediate";
    let cx = sandbox.context("deps");
    let step = DockerBuild::context("app").base_arg("BASE_IMAGE").image_name(name).intermediate();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = step.run(&cx, base.into()).expect("built");
    drop(turn);
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    assert_eq!(outcome.value.origin(), BaseOrigin::Unproven, "it is no better known than what it is built on");
    let app = application().dockerfile("app/app.Dockerfile");
    let outcome = build(&mut sandbox, app, outcome.value.clone()).expect("built");
    assert_eq!(codes(&outcome), Vec::<String>::new());
}

#[test]
fn a_failing_instruction_is_named_with_what_it_printed() {
    let mut sandbox = sandbox(&GOOD.replace("COPY app.txt", "RUN echo no luck; exit 7\nCOPY app.txt"));
    let base = sandbox.base("failing");
    let StepError::Found(finding) = build(&mut sandbox, application(), base).expect_err("failed") else {
        panic!("a command of the Dockerfile that fails is a finding");
    };
    assert_eq!(finding.code.as_str(), "IMG-009");
    assert_eq!(finding.message, "`RUN echo no luck; exit 7` ended with exit code 7:\nno luck");
    assert_eq!(finding.location.expect("a place").to_string(), "app/Dockerfile:8");
}

#[test]
fn a_download_that_comes_from_the_builders_cache_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve_unchanged_file(stream);
        }
    });
    // The builder remembers downloads by address, and a port may come back.
    let name = jiff::Timestamp::now().as_nanosecond();
    let mut sandbox =
        sandbox(&format!("FROM scratch\nADD http://{address}/{name} /file\nUSER 1\nHEALTHCHECK CMD [\"/f\"]\n"));
    build(&mut sandbox, DockerBuild::context("app"), ()).expect("the first download is fresh");
    let error = build(&mut sandbox, DockerBuild::context("app"), ()).expect_err("cached").to_string();
    assert!(error.contains("taken from the builder's cache") && error.contains("RUN with a checksum"), "{error}");
}

fn serve_unchanged_file(mut stream: std::net::TcpStream) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let reader = BufReader::new(stream.try_clone().expect("a socket"));
    let lines: Vec<String> = reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let known = lines.iter().any(|line| line.to_ascii_lowercase().starts_with("if-none-match"));
    let body = if known || lines.first().is_some_and(|line| line.starts_with("HEAD")) { "" } else { "hello" };
    let status = if known { "304 Not Modified" } else { "200 OK" };
    let length = if known { 0 } else { 5 };
    let answer =
        format!("HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(answer.as_bytes());
}

#[test]
fn an_image_that_is_not_there_is_none_and_not_an_error() {
    let sandbox = sandbox(GOOD);
    let cx = sandbox.context("inspect");
    assert_eq!(inspect_image(&cx, "cicd-core-test-no-such-image:1").expect("an answer"), None);
}

#[test]
fn a_declared_secret_is_in_no_log_argument_or_layer_and_one_in_a_layer_is_found() {
    const CANARY: &str = "canary-0123456789";
    let dockerfile = |does: &str| {
        format!(
            "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN --mount=type=secret,id=index cat /run/secrets/index && {does}\nUSER 1\nHEALTHCHECK CMD [\"/bin/cat\", \"/run/ready\"]\n"
        )
    };
    for (does, expected) in [("echo used > /used", &[][..]), ("cat /run/secrets/index > /leaked", &["IMG-005"][..])] {
        let mut sandbox = sandbox(&dockerfile(does));
        let base = sandbox.base("secret");
        let mut outside = sandbox.outside();
        outside.environment.variables.insert("INDEX_TOKEN".into(), CANARY.into());
        let cx = alone(&sandbox.workspace(), "image", outside).expect("a context");
        let step = DockerBuild::context("app").image_name("cicd-core-test-secret").base_arg("BASE_IMAGE");
        let step = step.secret("index", Secret::env("INDEX_TOKEN"));
        assert!(step.explain()[0].to_string().contains("'id=index,src=<secret INDEX_TOKEN>'"), "{}", step.explain()[0]);
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = step.run(&cx, base.into()).expect("built");
        assert_eq!(codes(&outcome), expected);
        let log = std::fs::read_to_string(cx.dir().join("log.txt")).expect("a log");
        assert!(log.contains("--secret 'id=index,src=") || log.contains("--secret id=index,src="), "{log}");
        assert!(log.contains(" ***") && !log.contains(CANARY), "{log}");
        assert_eq!(std::fs::read_dir(cx.dir().join("secrets")).expect("it was made").count(), 0);
        let archive = cx.dir().join("image.tar");
        cx.run_ok(&docker(["image", "save", "--output"]).arg(&archive).arg("--").arg(outcome.value.id()))
            .expect("saved");
        let bytes = std::fs::read(&archive).expect("readable");
        let holds = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert_eq!(holds, !expected.is_empty(), "the layers are searched as they are");
    }
}

/// The same with instructions that no other build of this machine has.
fn of_this_test(name: &str) -> String {
    let own = format!("{name}-{}", std::process::id());
    GOOD.replace("> /revision", &format!("> /revision-{own}")).replace("echo built", &format!("echo {own}"))
}

#[test]
fn a_health_check_that_passes_where_nothing_runs_is_none() {
    let good = of_this_test("health");
    let mut sandbox = sandbox(&good);
    let base = sandbox.base("health");
    for check in [
        "CMD true",
        "CMD exit 0",
        "CMD :",
        "CMD echo ok",
        "CMD cat /run/ready || true",
        "CMD cat /run/ready; exit 0",
        "CMD [\"/bin/cat\", \"/app.txt\"]",
        "CMD kill -0 1",
        "CMD true\nUSER ghost",
        "CMD test -e /proc/1",
        "CMD test -e /sys/class/net/eth0",
        "CMD test $$ != 1",
    ] {
        let text = good.replace("CMD [\"/bin/cat\", \"/run/ready\"]", check);
        assert_ne!(text, good);
        sandbox.write("app/Dockerfile", &text);
        let outcome = build(&mut sandbox, application(), base.clone()).expect("built");
        let codes = codes(&outcome);
        assert!(codes.contains(&"IMG-010".to_owned()), "{check}: {codes:?}");
        assert_eq!(outcome.findings.iter().find(|it| it.code.as_str() == "IMG-010").expect("one").level, Level::Deny);
    }
    // None at all is no better, however it is written, until somebody answers for it.
    for check in ["HEALTHCHECK NONE\n", "LABEL a=b\n"] {
        sandbox.write("app/Dockerfile", &good.replace("HEALTHCHECK CMD [\"/bin/cat\", \"/run/ready\"]\n", check));
        let step = application().allow_no_health_check(justification());
        let outcome = build(&mut sandbox, step, base.clone()).expect("built");
        let found: Vec<_> = outcome.findings.iter().map(|it| (it.code.as_str().to_owned(), it.level)).collect();
        assert_eq!(found, [("IMG-007".to_owned(), Level::Deny)], "{check}");
        let verdict = |exceptions: &[cicd_core::policy::Exception]| {
            evaluate(outcome.findings.clone(), exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21)).status
        };
        assert_eq!((verdict(&[]), verdict(&outcome.exceptions)), (Status::Failed, Status::Exempted));
    }
}

/// What the builder of this machine takes for a frontend is one for this library too.
#[test]
fn a_frontend_that_the_builder_runs_is_an_image_of_the_dockerfile() {
    let sandbox = sandbox(GOOD);
    let cx = sandbox.context("frontends");
    for header in [
        "# syntax=127.0.0.1:9/none:1",
        "# a=b\n# syntax=127.0.0.1:9/none:1",
        "#!/bin/x\n# syntax=127.0.0.1:9/none:1",
        "# syntax=127.0.0.1:9/other:1\n# syntax=127.0.0.1:9/none:1",
        "# a b\n# syntax=127.0.0.1:9/none:1",
    ] {
        let text = format!("{header}\nFROM scratch\nCOPY app.txt /\n");
        sandbox.write("app/Dockerfile", &text);
        let call = docker(["build", "--progress", "plain", "--file"]).arg(sandbox.root.join("app/Dockerfile"));
        let call = call.arg(sandbox.root.join("app")).stderr_bytes_max(1 << 20);
        let captured = cx.run(&call).expect("an answer");
        let log = BuildLog::parse(&captured.stderr);
        let file = Dockerfile::parse(&text, &Arguments::new()).expect("readable");
        let known: Vec<_> = file.images.iter().map(|image| image.reference.as_str()).collect();
        for used in log.frontends() {
            assert!(known.contains(&used), "{header}: the builder runs {used}, and {known:?} are known");
        }
        assert_eq!(log.frontends().count(), usize::from(!captured.success()), "{header}: {}", captured.stderr_text());
    }
}

/// A system that was copied is not the one that it was copied from.
#[test]
fn a_flattened_system_is_compared_or_told() {
    let good = of_this_test("flat");
    let mut sandbox = sandbox(&good);
    let base = sandbox.base("flat");
    let own = std::process::id();
    let flat = format!(
        "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}} AS b\nRUN echo ID=debian > /etc-{own}\nCOPY os-release /etc/os-release\nFROM scratch\nCOPY --from=b / /\nUSER 1\nHEALTHCHECK CMD [\"/bin/cat\", \"/run/ready\"]\n"
    );
    sandbox.write("app/os-release", "ID=debian\nVERSION_ID=99\n");
    sandbox.write("app/Dockerfile", &flat);
    let step = DockerBuild::context("app").base_arg("BASE_IMAGE");
    let outcome = build(&mut sandbox, step, base).expect("built");
    // Its programs are of no package and of no base.
    let mut all = codes(&outcome);
    all.dedup();
    assert_eq!(all, ["IMG-017", "IMG-025"]);
    assert_eq!(outcome.findings[0].level, Level::BlockClearance);
}

#[test]
fn what_no_commit_tells_needs_a_justification() {
    let good = of_this_test("mounts");
    let text = good.replace("RUN echo", "RUN --mount=type=cache,target=/cache echo");
    let mut sandbox = sandbox(&text);
    let base = sandbox.base("mounts");
    let outcome = build(&mut sandbox, application(), base.clone()).expect("built");
    assert!(
        codes(&outcome).iter().all(|code| code == "IMG-023") && !outcome.findings.is_empty(),
        "{:?}",
        codes(&outcome)
    );
    let accepting = application().accept(ImageCode::Uncontrolled, "--mount=type=cache", justification());
    let outcome = build(&mut sandbox, accepting, base).expect("built");
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21));
    assert_eq!(verdict.status, Status::Exempted);
}

#[test]
fn what_an_image_may_do_is_found_and_allowed_only_with_a_justification() {
    let good = of_this_test("rights");
    let mut sandbox = sandbox(&good);
    let base = sandbox.base("rights");
    let rights = "ADD rights.tar /\nCOPY --chmod=777 app.txt /opt/app/app.txt\nCOPY --chown=10001:10001 app.txt /opt/own/own.py\nCOPY app.txt /root/.ssh/authorized_keys\nEXPOSE 80\nVOLUME /data\nCMD serve\n";
    let mut tar = tar::Builder::new(std::fs::File::create(sandbox.root.join("app/rights.tar")).expect("created"));
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o4755);
    header.set_size(2);
    tar.append_data(&mut header, "opt/su", &b"su"[..]).expect("written");
    tar.into_inner().expect("written");
    sandbox.write("app/Dockerfile", &good.replace("USER 10001:10001\n", &format!("{rights}USER 10001:10001\n")));
    let outcome = build(&mut sandbox, application(), base.clone()).expect("built");
    let shown: Vec<_> = outcome.findings.iter().map(|it| (it.code.to_string(), it.level)).collect();
    // What nobody tracks and anybody may execute is code of its own, and so is a text that is Python only here.
    let deny = ["IMG-011", "IMG-012", "IMG-013", "IMG-014"].map(|code| (code.to_owned(), Level::Deny));
    let warn = ["IMG-020", "IMG-021", "IMG-022"].map(|code| (code.to_owned(), Level::Warn));
    let own = ["IMG-025", "IMG-025"].map(|code| (code.to_owned(), Level::Deny));
    assert_eq!(shown, [&deny[..], &warn[..], &own[..]].concat());
    let accepting = application().accept(ImageCode::Privileged, "/opt/**", justification());
    let outcome = build(&mut sandbox, accepting, base).expect("built");
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21));
    let open: Vec<_> =
        verdict.findings.iter().filter(|it| it.exception.is_none()).map(|it| it.code.to_string()).collect();
    assert!(!open.contains(&"IMG-011".to_owned()) && open.contains(&"IMG-012".to_owned()), "{open:?}");
}
