use std::fmt::Write as _;

use super::attempts::flaky;
use super::text::{duration, plain};
use crate::model::{Finding, Level, Status};
use crate::pipeline::Summary;

/// GitHub shows at most this many annotations of each level of one workflow step and drops the rest unseen.
const ANNOTATIONS_MAX: usize = 10;
/// GitHub drops a whole step summary beyond 1 MiB; some of it is left for what other tools add.
const SUMMARY_BYTES_MAX: usize = 900 << 10;

/// Workflow commands that annotate what fails: one for each step first, then one for each finding with a place; and as warnings,
/// the steps that are flaky. Within GitHub's limit, the rest counted in the last one.
#[must_use]
pub fn annotations(summary: &Summary) -> String {
    let red = || summary.steps.iter().filter(|step| matches!(step.status, Status::Failed | Status::Error));
    let steps = red().map(|step| {
        let first = step
            .reason
            .clone()
            .or_else(|| counting(&step.findings).next().map(|finding| format!("{} {}", finding.code, finding.message)));
        format!(
            "::error title={}::{}",
            property(&format!("{} {}", step.name, step.status)),
            data(&first.unwrap_or_default())
        )
    });
    let places = red().flat_map(|step| counting(&step.findings)).filter_map(|finding| {
        let location = finding.location.as_ref()?;
        let line = location.line.map_or_else(String::new, |line| format!(",line={line}"));
        let column = location.column.map_or_else(String::new, |column| format!(",col={column}"));
        Some(format!(
            "::error file={}{line}{column},title={}::{}",
            property(location.path.as_str()),
            property(finding.code.as_str()),
            data(&finding.message)
        ))
    });
    let warnings = summary.steps.iter().filter_map(|step| {
        let told = flaky(step)?;
        Some(format!("::warning title={}::{}", property(&format!("{} flaky", step.name)), data(&told)))
    });
    limited(&steps.chain(places).collect::<Vec<_>>(), "error") + &limited(&warnings.collect::<Vec<_>>(), "warning")
}

/// GitHub counts the annotations of each level by themselves.
fn limited(all: &[String], level: &str) -> String {
    let mut text = String::new();
    let shown = if all.len() > ANNOTATIONS_MAX { ANNOTATIONS_MAX - 1 } else { all.len() };
    for line in &all[..shown] {
        let _ = writeln!(text, "{line}");
    }
    if all.len() > shown {
        let more = all.len() - shown;
        let _ = writeln!(text, "::{level} title=more::and {more} more; see the step summary and the run folder");
    }
    text
}

fn counting(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.exception.is_none() && finding.level == Level::Deny)
}

/// The run as Markdown for `GITHUB_STEP_SUMMARY`, cut between lines to stay within GitHub's limit.
#[must_use]
pub fn step_summary(summary: &Summary) -> String {
    let mut text = format!(
        "## {} {}\n\n| step | status | time | facts |\n|---|---|---:|---|\n",
        cell(&summary.pipeline),
        summary.status
    );
    for step in &summary.steps {
        let first = step.reason.as_deref().and_then(|reason| reason.lines().next()).or(step.facts.headline());
        let facts: Vec<String> = flaky(step).into_iter().chain(first.map(str::to_owned)).collect();
        let (time, facts) = (duration(step.duration_ms), cell(&facts.join("; ")));
        let _ = writeln!(text, "| {} | {} | {time} | {facts} |", step.name, step.status);
    }
    let findings = summary.steps.iter().flat_map(|step| step.findings.iter().map(move |finding| (step, finding)));
    for (number, (step, finding)) in findings.enumerate() {
        if number == 0 {
            text.push_str(
                "\n| step | code | severity | place | finding | allowed until |\n|---|---|---|---|---|---|\n",
            );
        }
        let place = finding.location.as_ref().map(ToString::to_string).unwrap_or_default();
        let until = finding
            .exception
            .as_ref()
            .map(|exception| format!("{} by {}", exception.expires, exception.owner))
            .unwrap_or_default();
        let row = format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            step.name,
            finding.code,
            finding.severity,
            cell(&place),
            cell(&finding.message),
            cell(&until)
        );
        if text.len() + row.len() > SUMMARY_BYTES_MAX {
            text.push_str("\nMore findings are in the run folder: this summary is at the size that GitHub shows.\n");
            break;
        }
        text.push_str(&row);
    }
    text
}

fn cell(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('`', "\\`")
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Code, Facts, Location, RunId, StepName};
    use crate::pipeline::{SCHEMA_VERSION, StepReport};

    fn failed(findings: usize) -> Summary {
        let finding = |number: usize| {
            Finding::with_code(Code::from_static("X-1"), format!("bad\n::error::{number}"))
                .at(Location::line("a,b.py", 3))
        };
        let step = StepReport {
            name: StepName::new("scan").expect("a name"),
            status: Status::Failed,
            duration_ms: 1,
            reason: None,
            findings: (0..findings).map(finding).collect(),
            facts: Facts::new(),
            attachments: Vec::new(),
            exceptions: Vec::new(),
            loaded_from: None,
            attempts: Vec::new(),
        };
        Summary {
            schema_version: SCHEMA_VERSION,
            pipeline: "p".to_owned(),
            run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
            status: Status::Failed,
            exit_code: 1,
            complete: true,
            commit: None,
            dirty: None,
            tree: None,
            definition: String::new(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            duration_ms: 1,
            steps: vec![step],
        }
    }

    #[test]
    fn annotations_stay_within_the_limit_and_cannot_be_injected() {
        let text = annotations(&failed(30));
        assert_eq!(text.lines().count(), ANNOTATIONS_MAX);
        assert!(text.lines().all(|line| line.starts_with("::error ")));
        assert!(text.contains("file=a%2Cb.py,line=3"), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.contains("and 22 more")), "{text}");
    }

    #[test]
    fn the_step_summary_stays_within_the_limit() {
        assert!(step_summary(&failed(20_000)).len() < 1 << 20);
    }
}
