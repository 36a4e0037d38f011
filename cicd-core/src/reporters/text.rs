use std::fmt::Write as _;

use anstyle::{AnsiColor, Effects, Style};

use super::attempts::flaky;
use super::table::table;
pub use crate::formats::plain;
use crate::formats::{Diagnostic, Paint, harmless};
use crate::model::{Finding, Level, Severity, Status, StepName};
use crate::pipeline::{StepReport, Summary};

/// More findings of one step than this are counted, not shown; `summary.json` has them all.
const FINDINGS_SHOWN_MAX: usize = 20;

/// What stands before every line about a step.
const INDENT: &str = "  ";

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().effects(Effects::DIMMED);

pub(crate) fn style_of(status: Status) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match status {
        Status::Passed => colour(AnsiColor::Green),
        Status::Exempted | Status::Flaky => colour(AnsiColor::Yellow),
        Status::Failed | Status::Error => colour(AnsiColor::Red).bold(),
        Status::Blocked | Status::Cancelled => colour(AnsiColor::Magenta),
        Status::Skipped => DIM,
    }
}

/// The line that tells that another run holds the checkout.
pub(super) fn waits(holder: &str) -> String {
    format!("waiting   for another run to end: {holder}")
}

/// The line that tells of a step's end: how long it took, or why it was skipped.
pub(super) fn ended(step: &StepName, status: Status, duration_ms: u64, reason: Option<&str>) -> String {
    match reason.and_then(|reason| reason.lines().next()).filter(|_| status == Status::Skipped) {
        Some(reason) => format!("{status:9} {step}: {reason}"),
        None => format!("{status:9} {step} ({})", duration(duration_ms)),
    }
}

/// The end of a run, for a terminal `width` columns wide: the table, what is exempted or worth a warning, and last the steps
/// that are not green, unfolded. `command` is what the run was started with, such as `cargo xtask ci`.
///
/// The text has ANSI styles; a stream that is no terminal strips them.
#[must_use]
pub fn report(summary: &Summary, folder: &str, command: &str, width: usize) -> String {
    let mut text = table(&summary.steps, width);
    for (step, told) in summary.steps.iter().filter_map(|step| Some((step, flaky(step)?))) {
        let _ = writeln!(text, "{}", plain(&format!("flaky {}: {told}", step.name)));
    }
    text.push_str(&exempted(summary));
    text.push_str(&warnings(summary));
    for step in summary.steps.iter().filter(|step| is_unfolded(step)) {
        text.push('\n');
        text.push_str(&unfolded(step, folder, command, width));
    }
    let _ = write!(text, "\n{}\n{DIM}run folder{DIM:#} {folder}\n", verdict(summary));
    harmless(&text)
}

fn exempted(summary: &Summary) -> String {
    let mut text = String::new();
    for (step, finding) in findings(summary, |finding| finding.exception.is_some()) {
        if let Some(exception) = &finding.exception {
            let Finding { code, .. } = finding;
            let only = if exception.environments.is_every() {
                String::new()
            } else {
                format!(" in {} only", exception.environments)
            };
            let line = format!(
                "exempted {step}: {code}{only} until {} by {} ({}): {}",
                exception.expires, exception.owner, exception.location, exception.reason
            );
            let _ = writeln!(text, "{}", plain(&line));
        }
    }
    text
}

/// The end of a run, `width` columns wide, that is only worth a line when it is green: what is worth a warning, the steps that are not green, unfolded, and
/// the verdict.
#[must_use]
pub fn brief(summary: &Summary, folder: &str, command: &str, width: usize) -> String {
    let mut text = exempted(summary) + &warnings(summary);
    for step in summary.steps.iter().filter(|step| is_unfolded(step)) {
        text.push_str(&unfolded(step, folder, command, width));
        text.push('\n');
    }
    let _ = writeln!(text, "{}", verdict(summary));
    harmless(&text)
}

fn warnings(summary: &Summary) -> String {
    let mut text = String::new();
    for (step, finding) in findings(summary, |finding| finding.exception.is_none() && finding.level < Level::Deny) {
        let note = if finding.level == Level::BlockClearance { "warning, blocks clearance" } else { "warning" };
        let _ = writeln!(text, "{}", plain(&format!("{note}: {step}: {} {}", finding.code, finding.message)));
    }
    text
}

fn findings<'a>(
    summary: &'a Summary,
    wanted: impl Fn(&Finding) -> bool + Copy + 'a,
) -> impl Iterator<Item = (&'a str, &'a Finding)> {
    summary.steps.iter().flat_map(move |step| {
        step.findings.iter().filter(move |finding| wanted(finding)).map(|finding| (step.name.as_str(), finding))
    })
}

/// What is wrong with the exceptions of a step that was not started counts as well.
fn is_unfolded(step: &StepReport) -> bool {
    matches!(step.status, Status::Failed | Status::Error) || step.findings.iter().any(counts)
}

/// Whether a finding fails a step.
pub(super) fn counts(finding: &Finding) -> bool {
    finding.exception.is_none() && finding.level == Level::Deny
}

/// One step that is not green: every finding that counts, what to do, and how to run only this step again.
#[must_use]
pub fn details(step: &StepReport, folder: &str, command: &str, width: usize) -> String {
    harmless(&unfolded(step, folder, command, width))
}

fn unfolded(step: &StepReport, folder: &str, command: &str, width: usize) -> String {
    let style = style_of(step.status);
    let mut text = format!("{style}{} {}{style:#}\n", step.name, step.status);
    if let Some(reason) = &step.reason {
        indent(&mut text, "  ", reason);
    }
    let mut counting: Vec<_> = step.findings.iter().filter(|finding| counts(finding)).collect();
    counting.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in counting.iter().take(FINDINGS_SHOWN_MAX) {
        match quoted(finding, width) {
            Some(shown) => text.push_str(&shown),
            None => told(&mut text, finding),
        }
    }
    if counting.len() > FINDINGS_SHOWN_MAX {
        let _ = writeln!(text, "  and {} more in {folder}/summary.json", counting.len() - FINDINGS_SHOWN_MAX);
    }
    let _ = writeln!(text, "  {DIM}log{DIM:#}    {folder}/steps/{}/log.txt", step.name);
    let _ = writeln!(text, "  {DIM}again{DIM:#}  {command} --only {}", step.name);
    text
}

/// A finding with the line of source it is about and a caret under its place.
fn quoted(finding: &Finding, width: usize) -> Option<String> {
    finding.source_line.as_ref()?;
    let mut diagnostic = Diagnostic::quoting(finding)?;
    diagnostic.message = format!("{} ({})", diagnostic.message, severity(finding));
    let shown = diagnostic.render_within(Paint::Coloured, width.saturating_sub(INDENT.len()));
    Some(shown.lines().map(|line| format!("{INDENT}{line}\n")).collect())
}

/// A finding in words alone.
fn told(text: &mut String, finding: &Finding) {
    let place = finding.location.as_ref().map_or_else(String::new, |location| format!("  {location}"));
    let code = plain(finding.code.as_str());
    let _ = writeln!(text, "{INDENT}{BOLD}{code}{BOLD:#}  {}{}", severity(finding), plain(&place));
    indent(text, "    ", &finding.message);
    if let Some(help) = &finding.help {
        indent(text, "    ", &format!("fix: {help}"));
    }
}

fn severity(finding: &Finding) -> &'static str {
    if finding.severity == Severity::Unknown { "unrated" } else { finding.severity.as_str() }
}

fn indent(text: &mut String, by: &str, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{by}{}", plain(line));
    }
}

fn verdict(summary: &Summary) -> String {
    let style = style_of(summary.status);
    let counts: Vec<String> = [
        Status::Failed,
        Status::Error,
        Status::Blocked,
        Status::Cancelled,
        Status::Skipped,
        Status::Flaky,
        Status::Exempted,
        Status::Passed,
    ]
    .into_iter()
    .map(|status| (summary.steps.iter().filter(|step| step.status == status).count(), status))
    .filter(|(count, _)| *count > 0)
    .map(|(count, status)| format!("{count} {status}"))
    .collect();
    let partly = if summary.complete { "" } else { " (not the whole pipeline)" };
    format!(
        "{style}{} {}{style:#}: {} in {}{partly}",
        summary.pipeline,
        summary.status,
        counts.join(", "),
        duration(summary.duration_ms)
    )
}

/// A duration as people read it: `850 ms`, `12.3 s`, `4 min 05 s`.
#[must_use]
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..100_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::{Code, Location};

    fn failed(finding: Finding) -> StepReport {
        StepReport {
            name: crate::model::StepName::new("trivy").expect("a name"),
            status: Status::Failed,
            duration_ms: 1,
            reason: None,
            loaded_from: None,
            output_sha256: None,
            relied_on: None,
            attempts: Vec::new(),
            findings: vec![finding],
            exceptions: Vec::new(),
            facts: crate::model::Facts::new(),
            attachments: Vec::new(),
        }
    }

    fn shown(finding: Finding) -> String {
        anstream::adapter::strip_str(&details(&failed(finding), "run", "ci", 80)).to_string()
    }

    fn flaw(line: &str) -> Finding {
        let mut finding = Finding::with_code(Code::new("CVE-2023-32681"), "requests 2.30.0: known flaw PYSEC-2023-74")
            .severity(Severity::Unknown)
            .at(Location::line("flask-app/requirements.txt", 363))
            .help("upgrade requests to 2.31.0, and have the lock file written anew by the command that stands in its first line");
        finding.source_line = Some(line.to_owned());
        finding
    }

    #[test]
    fn a_finding_is_shown_with_its_line_and_a_caret() {
        expect![[r#"
            trivy failed
              error[CVE-2023-32681]: requests 2.30.0: known flaw PYSEC-2023-74 (unrated)
                 --> flask-app/requirements.txt:363:1
                  |
              363 | requests==2.30.0 \
                  | ^^^^^^^^^^^^^^^^^^
                  |
                  = help: upgrade requests to 2.31.0, and have the lock file written
                          anew by the command that stands in its first line
              log    run/steps/trivy/log.txt
              again  ci --only trivy
        "#]]
        .assert_eq(&shown(flaw("requests==2.30.0 \\")));
        let without_line = shown(Finding { source_line: None, ..flaw("") });
        assert!(without_line.contains("  CVE-2023-32681  unrated  flask-app/requirements.txt:363\n"), "{without_line}");
    }

    #[test]
    fn no_line_of_source_is_wider_than_the_terminal_or_steers_it() {
        let long = format!("{} here {}", "x".repeat(150), "y".repeat(150));
        let mut finding = flaw(&long);
        finding.location = Some(Location::column("a", 7, 152));
        let text = shown(finding);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("here") && text.contains("^^^^"), "{text}");
        let hostile = "\u{1b}[2J ##[error]x \u{202e}\u{7}";
        let text = shown(flaw(hostile));
        assert!(!text.contains(|c: char| c.is_control() && c != '\n') && !text.contains('\u{202e}'), "{text:?}");
        assert!(!text.contains("##["), "{text:?}");
        assert!(details(&failed(flaw("x")), "run", "ci", 80).contains("\u{1b}["), "no colour");
    }

    #[test]
    fn a_step_that_was_skipped_says_why_when_it_ends() {
        let name = StepName::new("clearance").expect("a name");
        assert_eq!(ended(&name, Status::Passed, 850, None), "passed    clearance (850 ms)");
        assert_eq!(ended(&name, Status::Failed, 850, Some("why")), "failed    clearance (850 ms)");
        assert_eq!(ended(&name, Status::Skipped, 0, Some("not cleared:\n more")), "skipped   clearance: not cleared:");
    }

    #[test]
    fn durations_are_read_easily() {
        for (ms, text) in [(7, "7 ms"), (12_345, "12.3 s"), (245_000, "4 min 05 s")] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn nothing_from_a_tool_steers_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mred\u{202e}"), "a\\u{1b}[31mred\\u{202e}");
        assert_eq!(plain("step | ##[error]x"), "step | # #[error]x");
        assert_eq!(plain("ünïcode is kept"), "ünïcode is kept");
    }

    #[test]
    fn what_a_red_step_warns_of_and_exempts_is_printed_as_for_any_other() {
        for status in [Status::Failed, Status::Error, Status::Skipped, Status::Blocked, Status::Passed] {
            let finding = |code: &'static str, level| Finding::with_code(Code::from_static(code), "seen").level(level);
            let mut exempted = finding("X-3", Level::Deny);
            exempted.exception = Some(crate::model::ExceptionRef {
                location: Location::line("a.py", 3),
                reason: "only tests reach it".to_owned(),
                owner: "@example/web".to_owned(),
                expires: jiff::civil::date(2027, 1, 1),
                environments: crate::model::Environments::only(["local"]).expect("a name"),
            });
            let mut step = failed(finding("X-1", Level::Warn));
            step.findings.extend([finding("X-2", Level::BlockClearance), exempted]);
            step.status = status;
            let text = include_str!("../../tests/data/summary/one-step.json");
            let mut summary: Summary = serde_json::from_str(text).expect("a summary");
            summary.steps = vec![step];
            let shown = report(&summary, "run", "ci", 80);
            for line in [
                "warning: trivy: X-1 seen",
                "warning, blocks clearance: trivy: X-2 seen",
                "exempted trivy: X-3 in local only until 2027-01-01 by @example/web (a.py:3): only tests reach it",
            ] {
                assert!(shown.contains(line), "{status}: {shown}");
            }
            assert!(brief(&summary, "run", "ci", 80).contains("warning: trivy: X-1 seen"), "{status}");
        }
    }
}
