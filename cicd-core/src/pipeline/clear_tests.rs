use camino::Utf8Path;

use super::*;
use crate::formats::ignore_file::{read_plain, read_yaml};
use crate::formats::{Suppressions, read_exceptions};
use crate::model::{Code, Location, Status, Target};
use crate::pipeline::resume::tests::{Built, Place};
use crate::pipeline::{Pipeline, Start, Summary};
use crate::policy::{Exception, Justification, Origin, Policy, Scope, Suppression};
use crate::step::{Judgement, Step, step_fn};

/// A gate that finds something, and the exception for it, as it was read from where it is written down.
#[derive(Debug)]
struct Gate {
    finding: Finding,
    exceptions: Vec<Exception>,
}

impl Step for Gate {
    type Input = Image<Fresh>;
    type Output = Judgement<()>;

    fn run(&self, _: &Context, image: Image<Fresh>) -> Result<Outcome<Judgement<()>>, StepError> {
        let outcome = Outcome::of(Judgement::of(&image, ()));
        Ok(outcome.findings([self.finding.clone()]).exceptions(self.exceptions.clone()))
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.exceptions.iter().filter(|one| one.origin == Origin::Pipeline).cloned().collect()
    }
}

const REASON: &str = "the affected parser is never given outside input";
const OWNER: &str = "@example/web";
const EXPIRES: &str = "2026-12-20";

/// A finding, and what each kind of place says of it, limited to these environments or not.
fn written(environments: Option<&[&str]>) -> Vec<(&'static str, Finding, Vec<Exception>)> {
    let flaw = Finding::with_code(Code::from_static("CVE-2023-32681"), "vulnerable");
    let flaw = flaw.target(Target::package("pkg:pypi/requests@2.30.0"));
    let names = environments.map(|names| names.join(", "));
    let line = |before: &str, after: &str| {
        names.as_ref().map_or_else(String::new, |names| format!("{before}{names}{after}\n"))
    };
    let above = format!("# reason: {REASON}\n# owner: {OWNER}\n# expires: {EXPIRES}\n{}", line("# environments: ", ""));
    let plain = read_plain("i".into(), format!("{above}CVE-2023-32681\n").as_bytes());
    let yaml = format!(
        "vulnerabilities:\n  - id: CVE-2023-32681\n    statement: {REASON}\n    owner: '{OWNER}'\n    expired_at: {EXPIRES}\n{}",
        line("    environments: [", "]")
    );
    let yaml = read_yaml("i.yaml".into(), yaml.as_bytes()).expect("YAML");
    let quoted = names.as_ref().map_or_else(String::new, |names| {
        let names: Vec<_> = names.split(", ").map(|name| format!("{name:?}")).collect();
        format!("environments = [{}]\n", names.join(", "))
    });
    let toml = format!(
        "[[dast]]\ncode = \"DAST-006\"\nroute = \"/status\"\nreason = {REASON:?}\nowner = {OWNER:?}\nexpires = {EXPIRES:?}\n{quoted}"
    );
    let toml = read_exceptions("e.toml".into(), &toml).expect("TOML");
    let code = format!("{above}load(data)  # nosec B301");
    let lines: Vec<&str> = code.lines().collect();
    let comment = Suppression { path: Utf8Path::new("a.py"), lines: &lines, index: lines.len() - 1 };
    let place = comment.location();
    let mut comments = Suppressions::default();
    comments.judge(comment, vec![("B301".to_owned(), vec![place.clone().into()])]);
    let comments = comments.settle(&mut Vec::new());
    let because = Justification::new(REASON, OWNER, EXPIRES).expect("valid");
    let because = environments.map_or(Ok(because.clone()), |names| because.only_in(names)).expect("names");
    assert_eq!((plain.findings, yaml.findings), (Vec::new(), Vec::new()));
    let header = Finding::with_code(Code::from_static("DAST-006"), "no header").target(Target::route("/status"));
    let unsafe_call = Finding::with_code(Code::from_static("B301"), "pickle").target(Location::clone(&place));
    vec![
        ("plain ignore file", flaw.clone(), plain.exceptions),
        ("YAML ignore file", flaw.clone(), yaml.exceptions),
        ("exceptions file", header, toml.dast),
        ("comment", unsafe_call, comments),
        ("pipeline", flaw, vec![Exception::in_pipeline(Code::from_static("CVE-2023-32681"), Scope::Any, because)]),
    ]
}

/// A pipeline that clears one image for two environments, each with an effect of its own.
fn pipeline(finding: &Finding, exceptions: &[Exception], policy: Policy) -> Pipeline {
    let mut ci = Pipeline::new("environments");
    ci.policy(policy);
    let image = ci.add("image", Built, ());
    let gate = ci.add("gate", Gate { finding: finding.clone(), exceptions: exceptions.to_vec() }, &image);
    for (environment, effect) in [("local", "try"), ("production", "ship")] {
        let cleared = ci.clear_for(environment, &image, &gate);
        let step = step_fn(move |_, cleared: Cleared<Image<Fresh>>| {
            assert_eq!(cleared.environment(), environment);
            Ok(Outcome::of(()))
        });
        ci.add(effect, step.effect(effect).environment(environment), &cleared);
    }
    ci
}

fn statuses(summary: &Summary) -> Vec<(&str, Status)> {
    summary.steps.iter().skip(1).map(|step| (step.name.as_str(), step.status)).collect()
}

#[test]
fn what_is_accepted_for_one_environment_has_no_effect_in_another() {
    use Status::{Blocked, Exempted, Failed, Passed};

    let place = Place::new();
    for (environments, local, production) in [
        (None, (Passed, Passed), (Passed, Passed)),
        (Some(&["local"][..]), (Passed, Passed), (Failed, Blocked)),
        (Some(&["production"][..]), (Failed, Blocked), (Passed, Passed)),
        (Some(&["local", "production"][..]), (Passed, Passed), (Passed, Passed)),
    ] {
        for (origin, finding, exceptions) in written(environments) {
            assert_eq!(exceptions.len(), 1, "{origin}");
            let ci = pipeline(&finding, &exceptions, Policy::default());
            let summary = place.go(&ci, Start::Fresh, &["try", "ship"]).expect("a run");
            let expected = [
                ("gate", Exempted),
                ("clearance", local.0),
                ("try", local.1),
                ("clearance-2", production.0),
                ("ship", production.1),
            ];
            assert_eq!(statuses(&summary), expected, "{origin} {environments:?}");
            // Without its effect asked for, a clearance is held back and says why.
            if production.0 == Failed {
                let summary = place.go(&ci, Start::Fresh, &["try"]).expect("a run");
                let held = summary.steps.iter().find(|step| step.name.as_str() == "clearance-2").expect("a step");
                let why = held.reason.as_deref().unwrap_or_default();
                assert!(why.contains("accepted in local only, not in production"), "{origin}: {why}");
                assert_eq!(summary.exit_code, 0, "{origin}");
            }
        }
    }
}

#[test]
fn an_environment_that_nobody_knows_is_a_slip_of_the_pen() {
    let place = Place::new();
    for (name, help) in [("prodction", "did you mean `production`?"), ("prod", "name one of local, production")] {
        for (origin, finding, exceptions) in written(Some(&[name])) {
            for policy in [Policy::default(), Policy::default().environments(["local", "production"])] {
                let ci = pipeline(&finding, &exceptions, policy);
                let gate = &place.go(&ci, Start::Fresh, &[]).expect("a run").steps[1];
                let codes: Vec<_> = gate.findings.iter().map(|finding| finding.code.as_str()).collect();
                assert_eq!((gate.status, codes.last().copied()), (Status::Failed, Some("EXC-009")), "{origin}");
                assert!(gate.findings[0].exception.is_none(), "{origin}: it allows nothing");
                assert_eq!(gate.findings.last().and_then(|finding| finding.help.as_deref()), Some(help), "{origin}");
            }
            // Who writes it into the policy knows it, and a pipeline may clear for no other.
            let policy = Policy::default().environments([name, "local", "production"]);
            let summary = place.go(&pipeline(&finding, &exceptions, policy), Start::Fresh, &[]).expect("a run");
            assert_eq!(summary.steps[1].status, Status::Exempted, "{origin}");
            let policy = Policy::default().environments([name, "local"]);
            let error = pipeline(&finding, &exceptions, policy).check().expect_err("unknown").to_string();
            assert!(error.contains("clears for production, an environment that its policy does not know"), "{error}");
        }
    }
}
