use jiff::civil::date;

use super::{annotations, brief, example, html, junit, report, sarif, step_summary};
use crate::model::{Code, Environments, ExceptionRef, Finding, Level, Location, Status};

/// A finding of each kind, with a word of its own; codes and words of letters alone, which no form writes otherwise.
fn findings(status: Status) -> Vec<(Finding, &'static str)> {
    let finding = |code: &'static str, word: &str, level| {
        Finding::with_code(Code::from_static(code), word).level(level).at(Location::line("a.py", 3))
    };
    let mut allowed = finding("XALLOWED", "tolerated", Level::Deny);
    allowed.exception = Some(ExceptionRef {
        location: Location::line("a.py", 2),
        reason: "only tests reach it".to_owned(),
        owner: "@example/web".to_owned(),
        expires: date(2027, 1, 1),
        environments: Environments::only(["laptop"]).expect("a name"),
    });
    let mut all = vec![
        (finding("XWARNED", "questionable", Level::Warn), "questionable"),
        (finding("XBLOCKS", "unjudged", Level::BlockClearance), "unjudged"),
        (allowed, "XALLOWED"),
    ];
    if !status.is_green() {
        // Also of a step that was not started: what is wrong with its exceptions.
        all.push((finding("XDENIED", "forbidden", Level::Deny), "forbidden"));
    }
    all
}

#[test]
fn what_is_known_of_a_step_is_said_in_every_form_whatever_its_status() {
    for status in [
        Status::Passed,
        Status::Exempted,
        Status::Flaky,
        Status::Failed,
        Status::Error,
        Status::Blocked,
        Status::Skipped,
        Status::Cancelled,
    ] {
        // With a reason, as a step has that could not look, and without one.
        for reason in [None, Some("cannot reach the database".to_owned())] {
            let (mut summary, pipeline) = example::run(0);
            summary.steps.truncate(1);
            let step = &mut summary.steps[0];
            (step.status, step.reason) = (status, reason);
            step.findings = findings(status).into_iter().map(|(finding, _)| finding).collect();
            let forms = [
                ("text", report(&summary, "run", "ci", 80)),
                ("brief text", brief(&summary, "run", "ci", 20)),
                ("annotations", annotations(&summary)),
                ("step summary", step_summary(&summary)),
                ("HTML", html(&summary)),
                ("JUnit", junit(&summary)),
                ("SARIF", sarif(&summary, &pipeline).expect("a file")),
            ];
            for (form, text) in forms {
                for (_, word) in findings(status) {
                    assert!(text.contains(word), "{form} of a step that is {status} lacks {word}: {text}");
                }
                assert!(text.contains("laptop"), "{form} of a step that is {status} lacks the environment: {text}");
            }
        }
    }
}
