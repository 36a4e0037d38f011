use camino::Utf8Path;

use crate::model::{Event, Status};
use crate::pipeline::{Observer, Outside, Pipeline, RunError, RunOptions, Summary, run};
use crate::policy::{Exception, Justification, Origin, Policy};
use crate::process::Invocation;
use crate::step::{CommandStep, Handle, Workspace};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

fn problems(ci: &Pipeline) -> Vec<String> {
    ci.check().err().map_or_else(Vec::new, |error| error.problems.into_iter().map(|it| it.message).collect())
}

#[test]
fn a_command_that_is_known_to_publish_says_so() {
    let shell = |line: &str| Invocation::tool("sh").args(["-c", line]);
    let python = |text: &str| Invocation::tool("python3").args(["-c", text]);
    let docker = |args: &str| Invocation::tool("docker").args(args.split(' '));
    let publish = [
        docker("push x"),
        docker("--config here image push x"),
        Invocation::program("/usr/bin/docker").args(["buildx", "build", "--push", "."]),
        Invocation::tool("git").args(["-C", "there", "push", "origin"]),
        Invocation::tool("cargo").args(["publish", "--dry-run"]),
        Invocation::tool("kubectl").args(["--context", "prod", "--namespace", "shop", "apply", "-f", "y"]),
        Invocation::tool("git").args(["-c", "a=b", "-C", "x", "push"]),
        Invocation::tool("env").args(["A=b", "kubectl", "-n", "x", "apply", "-f", "y"]),
        shell("set -e; cd x && docker push x"),
        shell("(npm publish)"),
        // Words between, and options that say so.
        Invocation::tool("cargo").args(["+stable", "publish"]),
        Invocation::tool("cargo").args(["+nightly", "--config", "x", "publish"]),
        Invocation::tool("mvn").args(["-B", "clean", "deploy"]),
        Invocation::program("./gradlew").args(["clean", ":app:publishPlugins"]),
        docker("buildx build --output type=registry ."),
        docker("build -o type=image,push=true ."),
        docker("build --output=type=image,name=x,push=1 ."),
        docker("build -otype=registry ."),
        docker("buildx bake --push"),
        docker("buildx bake --set *.output=type=registry"),
        docker("build --cache-to type=registry,ref=x ."),
        docker("compose -f y build --push"),
        docker("compose push"),
        Invocation::tool("docker-compose").args(["build", "--push"]),
        Invocation::tool("buildctl").args(["build", "--output", "type=image,\"push=true\""]),
        // Operators without blanks, line ends, quotes.
        shell("true;docker push x"),
        shell("true&&docker push x"),
        shell("sleep 1&docker push x"),
        shell("true|docker push x"),
        shell("docker \\\n  push x"),
        shell("do\"ck\"er 'pu'sh x"),
        shell("\\docker push x"),
        shell("docker\tpush x"),
        shell("docker push x\ncat <<E\nit's\nE"),
        shell("if true; then\n  { cargo +stable publish; }\nfi"),
        // One in another.
        shell("x=$(docker push x)"),
        shell("echo \"$(docker push x)\""),
        shell("echo `docker push x`"),
        shell("bash -c 'docker push x'"),
        shell("bash -c \"sh -c \\\"docker push x\\\"\""),
        shell("eval 'docker push x'"),
        docker("run x sh -c").arg("git push"),
        // Variables, and what nobody can know.
        shell("D=docker; $D push x"),
        shell("D='docker'; ${D} push x"),
        shell("D=echo; D=docker; $D push x"),
        shell("A=docker; B=$A; $B push x"),
        shell("docker ${X:-push} x"),
        shell("docker${IFS}push${IFS}x"),
        shell("P=push; docker $P x"),
        shell("A=(docker push x); \"${A[@]}\""),
        shell("alias d='docker push'; d x"),
        shell("d() { docker \"$@\"; }; d push x"),
        shell("$(which docker) push x"),
        shell("$TOOL push x"),
        shell("docker $(cat what) x"),
        Invocation::tool("sh").args(["-c", "$D push x"]).env("D", "docker"),
        Invocation::tool("sh").args(["-c", "\"$@\"", "sh", "docker", "push", "x"]),
        shell("echo \"$($TOOL push x)\""),
        shell("A=b sudo -u x \"$TOOL\" push x"),
        shell("if true; then $TOOL push x; fi"),
        shell("ls | xargs -r \"$TOOL\" push"),
        shell("xargs -r -n 1 \"$TOOL\" push"),
        shell("xargs -n one \"$TOOL\" push"),
        shell("xargs -rn one \"$TOOL\" push"),
        shell("xargs -r docker push"),
        shell("sudo -E -u x \"$TOOL\" push"),
        shell("sudo -Eu x \"$TOOL\" push"),
        shell("xargs --max-procs some \"$TOOL\" push"),
        shell("aws $ARGS"),
        // What stands in braces, whether or not it is the value.
        shell("${GO:+docker push x}"),
        shell("X=1; unset X; ${X:-docker push x}"),
        shell("X=pull; unset X; docker ${X:-push} x"),
        shell("${X/y/docker push x}"),
        Invocation::tool("sh").stdin("echo '${'\ndocker push x\necho '}'\n"),
        Invocation::tool("node").args(["-e", "`${execSync(\"docker push x\")}`"]),
        // Which of several values it is.
        shell("D=docker; P=pull; P=push; $D $P x; D=echo"),
        shell("P=a; P=b; P=c; P=d; P=push; docker $P x"),
        // Given on standard input.
        Invocation::tool("sh").stdin("docker push x\n"),
        Invocation::tool("bash").arg("-s").stdin("set -e\nD=docker\n$D push x\n"),
        Invocation::tool("xargs").arg("docker").stdin("push x"),
        Invocation::tool("make").args(["-f", "-"]).stdin("D := docker\nall:\n\t@$(D) push x\n"),
        // Other languages.
        python("import os; os.system('docker push x')"),
        python("import subprocess\nsubprocess.run([\"docker\",\n  \"push\", \"x\"])"),
        python("import os\nd = \"docker\"\nos.system(d + \" push x\")"),
        python("import os; os.system('true\\ndocker push x')"),
        Invocation::tool("node").args(["-e", "require('child_process').execSync(`docker push x`)"]),
        Invocation::tool("perl").args(["-e", "system(\"docker\", \"push\", \"x\")"]),
    ];
    let harmless = [
        docker("run --rm x push"),
        docker("build --cache-from type=registry,ref=x ."),
        docker("build --push=false ."),
        docker("build --output type=local,dest=out ."),
        docker("compose up --build --detach"),
        docker("compose pull"),
        Invocation::tool("git").args(["diff", "--exit-code"]),
        Invocation::tool("cargo").args(["test", "publish"]),
        Invocation::tool("cargo").args(["+stable", "build", "--release"]),
        Invocation::tool("mvn").args(["-B", "clean", "verify"]),
        Invocation::tool("pytest").args(["-k", "push or publish"]),
        Invocation::tool("kubectl").args(["get", "pods"]).env("X", "apply"),
        shell("echo docker; git status && ls push"),
        shell("set -eu; for f in *.sh; do shellcheck \"$f\"; done"),
        shell("docker build -t \"x:$(git rev-parse HEAD)\" ."),
        shell("docker -H \"$H\" ps"),
        shell("curl \"$URL\" -o x"),
        shell("curl https://$HOST/health"),
        shell("cargo +$TOOLCHAIN test"),
        shell("cp -r \"$OUT\" publish"),
        shell("cp \"$A\" \"$B\" publish"),
        shell("ls \"$X\" upload"),
        Invocation::tool("bash").args(["-x", "deploy.sh"]).arg("$STAGE").arg("deploy"),
        shell("mkdir \"$D\" deploy"),
        shell("ls | xargs -r cp \"$D\" publish"),
        Invocation::tool("xargs").args(["-0", "-r", "cp", "$D", "publish"]),
        shell("xargs -0rt cp \"$D\" publish"),
        shell("xargs --null --no-run-if-empty mv \"$D\" upload"),
        shell("sudo -E cp \"$D\" deploy"),
        shell("env -i A=b cp \"$D\" publish"),
        shell("timeout --foreground 5 cp \"$D\" publish"),
        Invocation::tool("sh").stdin("cargo test\n"),
        python("print('push')"),
    ];
    for (expected, commands) in [(1, &publish[..]), (0, &harmless[..])] {
        for command in commands {
            let mut ci = Pipeline::new("commands");
            ci.command("command", command.clone());
            assert_eq!(problems(&ci).len(), expected, "{command}: {:?}", problems(&ci));
        }
    }
}

#[test]
fn a_push_is_found_behind_a_long_text() {
    for text in ["a=b=", "docker ", "$A$A ", "A=$A$A ", "'", "`", "$(", "docker=$docker ", "${", "a ", ",\n"] {
        let long = format!("{}\n;docker push x", text.repeat((64 << 10) / text.len()));
        let mut ci = Pipeline::new("long");
        ci.command("command", Invocation::tool("sh").stdin(long));
        assert_eq!(problems(&ci).len(), 1, "{text}");
    }
}

fn because(expires: &str) -> Justification {
    Justification::new("with --dry-run it is built and not uploaded", "@example/web", expires).expect("valid")
}

fn packed(ci: &mut Pipeline) -> Handle<()> {
    ci.command("packed", Invocation::tool("sh").args(["-c", "echo cargo publish"]))
}

fn run_all(ci: &Pipeline) -> Result<Summary, RunError> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let workspace = Workspace::at(Utf8Path::from_path(dir.path()).expect("UTF-8"));
    let outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
    run(ci, &workspace, outside, &RunOptions::default(), &mut Nobody)
}

/// The class: a command that changes nothing could only run by calling it an effect.
#[test]
fn a_command_that_changes_nothing_runs_with_somebody_who_answers_for_it() {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let ahead = today.saturating_add(jiff::Span::new().days(20)).to_string();
    let mut ci = Pipeline::new("harmless");
    packed(&mut ci);
    let said = problems(&ci);
    assert!(said.len() == 1 && said[0].contains("Pipeline::changes_nothing"), "{said:?}");

    let mut ci = Pipeline::new("harmless");
    let packed_ = packed(&mut ci);
    let line = line!() + 1;
    ci.changes_nothing(&packed_, because(&ahead));
    assert_eq!(problems(&ci), [""; 0]);
    let summary = run_all(&ci).expect("a run");
    let step = &summary.steps[0];
    assert_eq!((step.status, step.findings.len()), (Status::Exempted, 1), "it runs without being asked for");
    assert_eq!(step.findings[0].code.as_str(), "EFF-002");
    let Exception { origin, location, justification, .. } = &step.exceptions[0].exception;
    assert_eq!((*origin, location.line, justification.owner.as_str()), (Origin::Pipeline, Some(line), "@example/web"));

    // What the policy does not accept is refused before it runs.
    for (expires, owner, problem) in [
        ("2020-01-01", "@example/web", "expired on 2020-01-01"),
        ("2999-01-01", "@example/web", "at most"),
        (ahead.as_str(), "@example/other", "does not know"),
    ] {
        let mut ci = Pipeline::new("harmless");
        ci.policy(Policy::default().owners([if owner == "@example/web" { owner } else { "@example/platform" }]));
        let packed = packed(&mut ci);
        ci.changes_nothing(&packed, because(expires));
        let error = run_all(&ci).expect_err("refused").to_string();
        assert!(error.contains("packed changes nothing is not accepted") && error.contains(problem), "{error}");
    }

    // It is said once, of what needs it, and not of what has an effect.
    let mut ci = Pipeline::new("harmless");
    let packed = packed(&mut ci);
    ci.changes_nothing(&packed, because(&ahead));
    ci.changes_nothing(&packed, because(&ahead));
    let tested = ci.command("tested", Invocation::tool("cargo").arg("test"));
    ci.changes_nothing(&tested, because(&ahead));
    let shipped = ci.add("shipped", CommandStep::new(Invocation::tool("true")).effect("ship"), ());
    ci.nothing_to_clear(&shipped, because(&ahead));
    ci.changes_nothing(&shipped, because(&ahead));
    let mut other = Pipeline::new("other");
    other.command("tested", Invocation::tool("cargo").arg("test"));
    other.changes_nothing(&packed, because(&ahead));
    let found = [problems(&ci), problems(&other)].concat();
    let wrong =
        ["packed is said to change nothing already", "shipped says itself", "tested runs nothing", "another pipeline"];
    assert_eq!(found.len(), wrong.len(), "{found:?}");
    assert!(wrong.iter().all(|part| found.iter().any(|it| it.contains(part))), "{found:?}");
}
