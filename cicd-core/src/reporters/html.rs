use std::fmt::Display;

use super::shown::{escaped, lines};
use super::text::{duration, plain};
use crate::formats::printable::counted;
use crate::model::{Environments, Finding, Level, Severity, Status};
use crate::pipeline::{ExceptionReport, StepReport, Summary};

/// Opened from an artifact store on a telephone too; more findings than fit are counted, and `summary.json` has them.
const FINDINGS_BYTES_MAX: usize = 800 << 10;
/// The reason of a step may hold the last lines of a log.
const REASON_CHARS_MAX: usize = 4_000;

/// The page shows text from tools. Should any of it be taken for a script or an address, its policy still lets it be none. Telephones
/// make links of numbers, dates and addresses in text.
const HEAD: &str = concat!(
    "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    "<meta name=\"format-detection\" content=\"telephone=no, date=no, address=no, email=no, url=no\"><title>",
);
const STYLE: &str = concat!("</title><style>", include_str!("report.css"), "</style></head><body>");

/// HTML as it grows. What is written as it is stands in this file; every value is escaped, in text and in attributes alike.
#[derive(Default)]
struct Html(String);

impl Html {
    fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    fn text(mut self, value: impl Display) -> Self {
        self.0.push_str(&escaped(&value.to_string()));
        self
    }

    /// Where an exception holds, unless that is everywhere.
    fn only_in(self, before: &'static str, environments: &Environments) -> Self {
        self.when(!environments.is_every(), |html| html.raw(before).text(environments).raw(" only"))
    }

    fn add(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    fn all(self, parts: &[Self]) -> Self {
        parts.iter().fold(self, Self::add)
    }

    fn some<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    /// Adds nothing where it does not hold.
    fn when(self, holds: bool, add: impl FnOnce(Self) -> Self) -> Self {
        self.some(holds.then_some(()), |html, ()| add(html))
    }
}

/// The run as one HTML page that needs nothing else: no script, no network, light and dark, the status in words.
///
/// Exempted findings stand beside the others, each with who allows it, why, and until when.
#[must_use]
pub fn html(summary: &Summary) -> String {
    let mut budget = FINDINGS_BYTES_MAX;
    let details: Vec<Html> = summary.steps.iter().filter_map(|step| details(step, &mut budget)).collect();
    let exceptions = summary.steps.iter().flat_map(|step| step.exceptions.iter().map(move |one| (step, one)));
    let exceptions = allowed(&exceptions.collect::<Vec<_>>(), &mut budget);
    let page = Html::default().raw(HEAD).text(plain(&summary.pipeline)).raw(" ").text(summary.status);
    let page = header(page.raw(STYLE), summary).raw("<main><h2 id=\"steps\">Steps</h2>");
    steps(page, summary).all(&details).add(&exceptions).raw("</main></body></html>").0
}

fn header(html: Html, summary: &Summary) -> Html {
    let tree = if summary.dirty == Some(true) { ", with changes that are not committed, " } else { ", " };
    let left_out = "<p><strong>Not the whole pipeline: </strong>steps were left out by selection.</p>";
    status(html.raw("<header><h1>").text(plain(&summary.pipeline)).raw(" "), summary.status)
        .raw("</h1>")
        .when(!summary.complete, |html| html.raw(left_out))
        .raw("<p class=\"soft\">")
        .some(summary.commit.as_deref(), |html, commit| {
            html.raw("commit <code>").text(plain(commit)).raw("</code>").raw(tree)
        })
        .raw("run <code>")
        .text(&summary.run)
        .raw("</code>, started ")
        .text(summary.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"))
        .raw(", took ")
        .text(duration(summary.duration_ms))
        .raw(", exit code ")
        .text(summary.exit_code)
        .raw("</p></header>")
}

/// The status by a sign and a word; the colour only repeats it.
fn status(html: Html, status: Status) -> Html {
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
    let html = html.raw("<span class=\"status ").text(status).raw("\"><span aria-hidden=\"true\">").raw(sign);
    html.raw(" </span>").text(status).raw("</span>")
}

fn steps(html: Html, summary: &Summary) -> Html {
    let html = html.raw(
        "<div class=\"wide\"><table><thead><tr><th>step</th><th>status</th><th>time</th><th>what it tells</th></tr></thead><tbody>",
    );
    let row = |html: Html, step: &StepReport| {
        let name = html.raw("<tr><td class=\"code name\">");
        let name = match is_told(step) {
            true => name.raw("<a href=\"#").text(&step.name).raw("\">").text(&step.name).raw("</a>"),
            false => name.text(&step.name),
        };
        let time = status(name.raw("</td><td>"), step.status).raw("</td><td class=\"number\">");
        let time = time.when(step.duration_ms > 0, |html| html.text(duration(step.duration_ms)));
        told(time.raw("</td><td>"), step).raw("</td></tr>")
    };
    summary.steps.iter().fold(html, row).raw("</tbody></table></div>")
}

fn told(html: Html, step: &StepReport) -> Html {
    let allowed = step.findings.iter().filter(|finding| finding.exception.is_some()).count();
    let text = match (&step.loaded_from, step.reason.as_deref().and_then(|reason| reason.lines().next())) {
        (Some(run), _) => format!("loaded from run {run}"),
        (None, Some(reason)) => reason.to_owned(),
        (None, None) => step.facts.headline().unwrap_or_default().to_owned(),
    };
    html.text(plain(&text)).when(!step.findings.is_empty(), |html| {
        html.raw("<p class=\"soft\">")
            .text(counted(step.findings.len(), "finding"))
            .when(allowed > 0, |html| html.raw(", ").text(allowed).raw(" of them allowed"))
            .raw("</p>")
    })
}

fn is_told(step: &StepReport) -> bool {
    !step.findings.is_empty() || matches!(step.status, Status::Failed | Status::Error)
}

/// What a step found, or why it could not look.
fn details(step: &StepReport, budget: &mut usize) -> Option<Html> {
    if !is_told(step) {
        return None;
    }
    let mut findings: Vec<&Finding> = step.findings.iter().collect();
    findings.sort_by_key(|one| (one.exception.is_some(), std::cmp::Reverse((one.level, one.severity))));
    let rows = within(budget, findings.iter().map(|finding| row(finding)));
    let more = findings.len() - rows.len();
    let reason = step.reason.as_deref().map(|reason| reason.chars().take(REASON_CHARS_MAX).collect::<String>());
    let html = Html::default().raw("<section><h2 id=\"").text(&step.name).raw("\">").text(&step.name).raw(" ");
    let html = status(html, step.status)
        .raw("</h2>")
        .some(reason, |html, reason| html.raw("<pre>").text(lines(&reason)).raw("</pre>"))
        .when(!rows.is_empty(), |html| {
            html.raw(
                "<div class=\"wide\"><table><thead><tr><th>code</th><th>severity</th><th>place</th><th>finding</th>",
            )
            .raw("</tr></thead><tbody>")
            .all(&rows)
            .raw("</tbody></table></div>")
        });
    Some(and_more(html, more).raw("</section>"))
}

fn row(finding: &Finding) -> Html {
    let severity = if finding.severity == Severity::Unknown { "unrated" } else { finding.severity.as_str() };
    let level = match finding.level {
        Level::Deny => None,
        Level::BlockClearance => Some("<p class=\"soft\">warning, blocks clearance</p>"),
        Level::Warn => Some("<p class=\"soft\">warning</p>"),
    };
    Html::default()
        .raw("<tr><td class=\"code name\">")
        .text(plain(finding.code.as_str()))
        .raw("</td><td>")
        .raw(severity)
        .some(level, Html::raw)
        .raw("</td><td class=\"code place\">")
        .some(finding.location.as_ref(), |html, location| html.text(plain(&location.to_string())))
        .raw("</td><td><p>")
        .text(lines(&finding.message))
        .raw("</p>")
        .some(finding.help.as_deref(), |html, help| html.raw("<p class=\"soft\">fix: ").text(lines(help)).raw("</p>"))
        .some(finding.exception.as_ref(), |html, exception| {
            html.raw("<div class=\"allowed\"><p><strong>allowed</strong> until ")
                .text(exception.expires)
                .raw(" by ")
                .text(plain(&exception.owner))
                .only_in(" in ", &exception.environments)
                .raw("</p><p>")
                .text(plain(&exception.reason))
                .raw("</p><p class=\"soft code\">")
                .text(plain(&exception.location.to_string()))
                .raw("</p></div>")
        })
        .raw("</td></tr>")
}

/// As many rows as there is room for.
fn within(budget: &mut usize, rows: impl Iterator<Item = Html>) -> Vec<Html> {
    let fits = |row: &Html| match budget.checked_sub(row.0.len()) {
        Some(left) => {
            *budget = left;
            true
        }
        None => false,
    };
    rows.take_while(fits).collect()
}

fn and_more(html: Html, more: usize) -> Html {
    html.when(more > 0, |html| {
        html.raw("<p>and ").text(more).raw(" more, which are in summary.json: this page has a limit of size</p>")
    })
}

fn allowed(all: &[(&StepReport, &ExceptionReport)], budget: &mut usize) -> Html {
    let rows = within(budget, all.iter().map(|(step, one)| exception(step, one)));
    let more = all.len() - rows.len();
    let html = Html::default().raw("<section><h2 id=\"exceptions\">Exceptions</h2>");
    let html = match all.is_empty() {
        true => html.raw("<p>None: nothing is relaxed.</p>"),
        false => html
            .raw("<div class=\"wide\"><table><thead><tr><th>until</th><th>what</th><th>owner</th><th>covers</th><th>why</th>")
            .raw("</tr></thead><tbody>")
            .all(&rows)
            .raw("</tbody></table></div>"),
    };
    and_more(html, more).raw("</section>")
}

fn exception(step: &StepReport, report: &ExceptionReport) -> Html {
    let ExceptionReport { exception, covers, undetermined } = report;
    let environments = &exception.justification.environments;
    let html = Html::default()
        .raw("<tr><td>")
        .text(exception.justification.expires)
        .raw("</td><td class=\"code\">")
        .text(plain(&exception.id))
        .raw("<p class=\"soft\">")
        .text(&step.name)
        .raw("</p></td><td>")
        .text(plain(&exception.justification.owner))
        .raw("</td><td class=\"number\">");
    let html = if *undetermined { html.raw("not known") } else { html.text(covers) };
    html.raw("</td><td><p>")
        .text(plain(&exception.justification.reason))
        .raw("</p>")
        .when(!environments.is_every(), |html| html.raw("<p>").only_in("in ", environments).raw("</p>"))
        .raw("<p class=\"soft code\">")
        .text(plain(&exception.location.to_string()))
        .raw("</p></td></tr>")
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
