use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::shown::lines;
use super::text::{duration, plain};
use crate::model::{Finding, Level, Severity, Status};
use crate::pipeline::{ExceptionReport, StepReport, Summary};

/// Opened from an artifact store on a telephone too; more findings than fit are counted, and `summary.json` has them.
const FINDINGS_BYTES_MAX: usize = 800 << 10;
/// The reason of a step may hold the last lines of a log.
const REASON_CHARS_MAX: usize = 4_000;
const STYLE: &str = include_str!("report.css");
/// The page shows text from tools. Should any of it be taken for a script or an address, it still is none.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The run as one HTML page that needs nothing else: no script, no network, light and dark, the status in words.
///
/// Exempted findings stand beside the others, each with who allows it, why, and until when.
#[must_use]
pub fn html(summary: &Summary) -> String {
    let mut budget = FINDINGS_BYTES_MAX;
    let details: Vec<Markup> = summary.steps.iter().filter_map(|step| details(step, &mut budget)).collect();
    let exceptions = summary.steps.iter().flat_map(|step| step.exceptions.iter().map(move |one| (step, one)));
    let exceptions = allowed(&exceptions.collect::<Vec<_>>(), &mut budget);
    markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                // Telephones make links of numbers, dates and addresses in text.
                meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no";
                title { (plain(&summary.pipeline)) " " (summary.status.as_str()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(summary))
                main {
                    h2 id="steps" { "Steps" }
                    (steps(summary))
                    @for step in &details { (step) }
                    (exceptions)
                }
            }
        }
    }
    .into_string()
}

fn head(summary: &Summary) -> Markup {
    let tree = match summary.dirty {
        Some(true) => ", with changes that are not committed",
        _ => "",
    };
    let started = summary.started_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    markup! {
        header {
            h1 { (plain(&summary.pipeline)) " " (status(summary.status)) }
            @if !summary.complete { p { strong { "Not the whole pipeline: " } "steps were left out by selection." } }
            p.soft {
                @if let Some(commit) = &summary.commit { "commit " code { (plain(commit)) } (tree) ", " }
                "run " code { (summary.run) } ", started " (started) ", took " (duration(summary.duration_ms))
                ", exit code " (summary.exit_code)
            }
        }
    }
}

/// The status by a sign and a word; the colour only repeats it.
fn status(status: Status) -> Markup {
    let sign = match status {
        Status::Passed => "✓",
        Status::Exempted => "◐",
        Status::Flaky => "↻",
        Status::Failed => "✗",
        Status::Error => "‼",
        Status::Blocked => "⊘",
        Status::Skipped => "–",
        Status::Cancelled => "■",
    };
    markup! { span.status.(status.as_str()) { span aria-hidden="true" { (sign) " " } (status.as_str()) } }
}

fn steps(summary: &Summary) -> Markup {
    markup! {
        div.wide {
            table {
                thead { tr { th { "step" } th { "status" } th { "time" } th { "what it tells" } } }
                tbody {
                    @for step in &summary.steps {
                        tr {
                            td.code.name {
                                @if is_told(step) { a href={ "#" (step.name) } { (step.name) } } @else { (step.name) }
                            }
                            td { (status(step.status)) }
                            td.number { @if step.duration_ms > 0 { (duration(step.duration_ms)) } }
                            td { (told(step)) }
                        }
                    }
                }
            }
        }
    }
}

fn told(step: &StepReport) -> Markup {
    let allowed = step.findings.iter().filter(|finding| finding.exception.is_some()).count();
    let text = match (&step.loaded_from, step.reason.as_deref().and_then(|reason| reason.lines().next())) {
        (Some(run), _) => format!("loaded from run {run}"),
        (None, Some(reason)) => reason.to_owned(),
        (None, None) => step.facts.headline().unwrap_or_default().to_owned(),
    };
    markup! {
        (plain(&text))
        @if !step.findings.is_empty() {
            p.soft { (step.findings.len()) @if step.findings.len() == 1 { " finding" } @else { " findings" } @if allowed > 0 { ", " (allowed) " of them allowed" } }
        }
    }
}

fn is_told(step: &StepReport) -> bool {
    !step.findings.is_empty() || matches!(step.status, Status::Failed | Status::Error)
}

/// What a step found, or why it could not look.
fn details(step: &StepReport, budget: &mut usize) -> Option<Markup> {
    if !is_told(step) {
        return None;
    }
    let mut findings: Vec<&Finding> = step.findings.iter().collect();
    findings.sort_by_key(|one| (one.exception.is_some(), std::cmp::Reverse((one.level, one.severity))));
    let rows = within(budget, findings.iter().map(|finding| row(finding)));
    let more = findings.len() - rows.len();
    let reason = step.reason.as_deref().map(|reason| reason.chars().take(REASON_CHARS_MAX).collect::<String>());
    Some(markup! {
        section {
            h2 id=(step.name) { (step.name) " " (status(step.status)) }
            @if let Some(reason) = reason { pre { (lines(&reason)) } }
            @if !rows.is_empty() {
                div.wide {
                    table {
                        thead { tr { th { "code" } th { "severity" } th { "place" } th { "finding" } } }
                        tbody { @for row in &rows { (row) } }
                    }
                }
            }
            @if more > 0 { p { "and " (more) " more, which are in summary.json: this page has a limit of size" } }
        }
    })
}

fn row(finding: &Finding) -> Markup {
    let severity = if finding.severity == Severity::Unknown { "unrated" } else { finding.severity.as_str() };
    let level = match finding.level {
        Level::Deny => None,
        Level::BlockClearance => Some("warning, blocks clearance"),
        Level::Warn => Some("warning"),
    };
    markup! {
        tr {
            td.code.name { (plain(finding.code.as_str())) }
            td { (severity) @if let Some(level) = level { p.soft { (level) } } }
            td.code.place { @if let Some(location) = &finding.location { (plain(&location.to_string())) } }
            td {
                p { (lines(&finding.message)) }
                @if let Some(help) = &finding.help { p.soft { "fix: " (lines(help)) } }
                @if let Some(exception) = &finding.exception {
                    div.allowed {
                        p {
                            strong { "allowed" } " until " (exception.expires) " by " (plain(&exception.owner))
                            @if !exception.environments.is_every() { " in " (exception.environments.to_string()) " only" }
                        }
                        p { (plain(&exception.reason)) }
                        p.soft.code { (plain(&exception.location.to_string())) }
                    }
                }
            }
        }
    }
}

/// As many rows as there is room for.
fn within(budget: &mut usize, rows: impl Iterator<Item = Markup>) -> Vec<Markup> {
    let fits = |row: &Markup| match budget.checked_sub(row.0.len()) {
        Some(left) => {
            *budget = left;
            true
        }
        None => false,
    };
    rows.take_while(fits).collect()
}

fn allowed(all: &[(&StepReport, &ExceptionReport)], budget: &mut usize) -> Markup {
    let rows = within(budget, all.iter().map(|(step, one)| exception(step, one)));
    let more = all.len() - rows.len();
    markup! {
        section {
            h2 id="exceptions" { "Exceptions" }
            @if all.is_empty() { p { "None: nothing is relaxed." } } @else {
                div.wide {
                    table {
                        thead { tr { th { "until" } th { "what" } th { "owner" } th { "covers" } th { "why" } } }
                        tbody { @for row in &rows { (row) } }
                    }
                }
            }
            @if more > 0 { p { "and " (more) " more, which are in summary.json: this page has a limit of size" } }
        }
    }
}

fn exception(step: &StepReport, report: &ExceptionReport) -> Markup {
    let ExceptionReport { exception, covers, undetermined } = report;
    let environments = &exception.justification.environments;
    markup! {
        tr {
            td { (exception.justification.expires) }
            td.code { (plain(&exception.id)) p.soft { (step.name) } }
            td { (plain(&exception.justification.owner)) }
            td.number { @if *undetermined { "not known" } @else { (covers) } }
            td {
                p { (plain(&exception.justification.reason)) }
                @if !environments.is_every() { p { "in " (environments.to_string()) " only" } }
                p.soft.code { (plain(&exception.location.to_string())) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporters::example;

    #[test]
    fn text_from_tools_is_text_and_exceptions_are_told() {
        let (summary, _) = example::run(1);
        let page = html(&summary);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'), "{page}");
        for told in [
            "passed",
            "failed",
            "error",
            "cannot reach the database",
            "until 2027-01-01 by @org/security",
            "no proxy is ever configured",
            "ci/.trivyignore:4",
            "Content-Security-Policy\" content=\"default-src &#39;none&#39;",
        ] {
            assert!(page.contains(told) || page.contains(&told.replace("&#39;", "'")), "{told} is not in {page}");
        }
        assert!(!page.contains("src=") && !page.contains("http:") && !page.contains("<link"), "nothing is fetched");
    }

    #[test]
    fn a_page_stays_small_and_says_what_it_leaves_out() {
        let page = html(&example::run(20_000).0);
        assert!(page.len() < 1 << 20, "{}", page.len());
        assert!(page.contains(" more, which are in summary.json"));
    }
}
