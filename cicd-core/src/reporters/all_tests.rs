use jiff::civil::date;

use super::{Lines, annotations, brief, example, html, junit, report, sarif, step_summary};
use crate::model::{Code, Environments, Event, EventKind, ExceptionRef, Finding, Level, Location, Status};
use crate::pipeline::Observer as _;

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

/// What CI systems obey: anywhere in a line, and at its start. The long word makes what stands behind it begin a line, at any width.
const COMMANDS: [&str; 6] = [
    "x ##vso[task.complete result=Succeeded;]",
    "x ###teamcity[buildStatus status='SUCCESS']",
    "::error::x",
    "x\n ::add-mask::x",
    "x\r::stop-commands::x\u{85}##[error]x",
    "wordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordword ::error::x ::error::x",
];

#[test]
fn no_text_steers_a_ci_system_in_any_form() {
    for text in COMMANDS {
        let (mut summary, _) = example::run(0);
        for (step, status) in
            summary.steps.iter_mut().zip([Status::Failed, Status::Error, Status::Skipped, Status::Passed])
        {
            (step.status, step.reason) = (status, (status != Status::Passed).then(|| text.to_owned()));
            step.facts.set_headline(text);
            let finding = || Finding::with_code(Code::new(text), text).at(Location::line(text, 3)).help(text);
            let quoted = Finding { source_line: Some(text.to_owned()), ..finding() };
            let exception = ExceptionRef {
                location: Location::line(text, 2),
                reason: text.to_owned(),
                owner: text.to_owned(),
                expires: date(2027, 1, 1),
                environments: Environments::default(),
            };
            let allowed = Finding { exception: Some(exception), ..finding() };
            step.findings = vec![quoted, finding(), allowed, finding().level(Level::Warn)];
        }
        let bare = |text: String| anstream::adapter::strip_str(&text).to_string();
        for width in [1, 20, 80, 200] {
            for shown in [bare(report(&summary, "run", "ci", width)), bare(brief(&summary, "run", "ci", width))] {
                assert!(!shown.contains("##"), "{width}: {shown}");
                assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{width}: {shown}");
            }
        }
        for line in annotations(&summary).lines() {
            assert!(line.starts_with("::") && !line.contains("##"), "{line}");
        }
        // SARIF has the codes of others as they are, for programs.
        for file in [step_summary(&summary), html(&summary), junit(&summary)] {
            assert!(!file.contains("##vso") && !file.contains("##team") && !file.contains("##["), "{file}");
        }
        let mut lines = Vec::new();
        let mut observer = Lines::new(&mut lines);
        for line in text.split('\n').map(str::to_owned) {
            let step = summary.steps[0].name.clone();
            let at = jiff::Timestamp::UNIX_EPOCH;
            observer.event(&Event { at, kind: EventKind::Progress { step: step.clone(), message: line.clone() } });
            observer.event(&Event { at, kind: EventKind::Output { step, line } });
        }
        let shown = String::from_utf8(lines).expect("text");
        assert!(!shown.contains("##") && !shown.lines().any(|line| line.trim_start().starts_with("::")), "{shown}");
    }
}
