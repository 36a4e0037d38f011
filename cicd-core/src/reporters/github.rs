use std::fmt::Write as _;

use super::attempts::flaky;
use super::shown::{cut, lines};
use super::text::{counts, duration, plain};
use crate::model::{ExceptionRef, Finding, Level, Status};
use crate::pipeline::{StepReport, Summary};

/// GitHub shows at most this many annotations of each level of one workflow step and drops the rest unseen.
const ANNOTATIONS_MAX: usize = 10;
/// GitHub drops a whole step summary beyond 1 MiB; some of it is left for what other tools add.
const SUMMARY_BYTES_MAX: usize = 900 << 10;
/// A text of a tool beyond this is an article, and may be the whole of a log.
const TEXT_CHARS_MAX: usize = 1_000;

/// Workflow commands that annotate what fails: one for each step first, then one for each finding with a place; as warnings,
/// the steps that are flaky and what is worth one, and as notices what is allowed, whatever became of its step. Within GitHub's limit, the rest counted in the last one.
#[must_use]
pub fn annotations(summary: &Summary) -> String {
    let is_red =
        |step: &&StepReport| matches!(step.status, Status::Failed | Status::Error) || step.findings.iter().any(counts);
    let red = || summary.steps.iter().filter(is_red);
    let steps = red().map(|step| {
        let first =
            step.reason.clone().filter(|_| matches!(step.status, Status::Failed | Status::Error)).or_else(|| {
                counting(&step.findings).next().map(|finding| format!("{} {}", finding.code, finding.message))
            });
        format!(
            "::error title={}::{}",
            property(&format!("{} {}", step.name, step.status)),
            data(&first.unwrap_or_default())
        )
    });
    let places = red().flat_map(|step| counting(&step.findings));
    let places = places
        .filter(|finding| finding.location.is_some())
        .map(|finding| annotation("error", finding, &finding.message));
    let flaky = summary.steps.iter().filter_map(|step| {
        let told = flaky(step)?;
        Some(format!("::warning title={}::{}", property(&format!("{} flaky", step.name)), data(&told)))
    });
    let all = || summary.steps.iter().flat_map(|step| &step.findings);
    let warned = all().filter(|finding| finding.exception.is_none() && finding.level < Level::Deny);
    let warned = warned.map(|finding| annotation("warning", finding, &finding.message));
    let allowed = all().filter_map(|finding| {
        let exception = finding.exception.as_ref()?;
        let until = format!("{} (allowed until {})", finding.message, until(exception));
        Some(annotation("notice", finding, &until))
    });
    limited(&steps.chain(places).collect::<Vec<_>>(), "error")
        + &limited(&flaky.chain(warned).collect::<Vec<_>>(), "warning")
        + &limited(&allowed.collect::<Vec<_>>(), "notice")
}

fn annotation(level: &str, finding: &Finding, message: &str) -> String {
    let place = finding.location.as_ref().map_or_else(String::new, |location| {
        let line = location.line.map_or_else(String::new, |line| format!(",line={line}"));
        let column = location.column.map_or_else(String::new, |column| format!(",col={column}"));
        format!("file={}{line}{column},", property(location.path.as_str()))
    });
    format!("::{level} {place}title={}::{}", property(finding.code.as_str()), data(message))
}

/// Until when, by whom and where a finding is allowed.
fn until(exception: &ExceptionRef) -> String {
    let ExceptionRef { expires, owner, environments, .. } = exception;
    let only = if environments.is_every() { String::new() } else { format!(" in {environments} only") };
    format!("{expires} by {owner}{only}")
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
    findings.iter().filter(|finding| counts(finding))
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
        let row = format!("| {} | {} | {time} | {facts} |\n", step.name, step.status);
        if text.len() + row.len() > SUMMARY_BYTES_MAX / 2 {
            text.push_str("\nMore steps are in the run folder: this summary is at the size that GitHub shows.\n");
            break;
        }
        text.push_str(&row);
    }
    let findings = summary.steps.iter().flat_map(|step| step.findings.iter().map(move |finding| (step, finding)));
    for (number, (step, finding)) in findings.enumerate() {
        if number == 0 {
            text.push_str(
                "\n| step | code | severity | place | finding | allowed until |\n|---|---|---|---|---|---|\n",
            );
        }
        let place = finding.location.as_ref().map(ToString::to_string).unwrap_or_default();
        let until = finding.exception.as_ref().map(until).unwrap_or_default();
        let row = format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            step.name,
            cell(finding.code.as_str()),
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

/// Text from a tool as it may stand in a cell of a table of Markdown: as code, which GitHub makes no mentions, references and
/// links of, and with every sign spelled as a reference to its character, which no reader of Markdown or HTML takes for more than that.
fn cell(text: &str) -> String {
    // Cut first: it may be the whole of a log.
    let text = cut(text, TEXT_CHARS_MAX);
    let text = plain(&text);
    if text.trim().is_empty() {
        return String::new();
    }
    let mut shown = "<code>".to_owned();
    for c in text.chars() {
        match c {
            ' ' | ',' => shown.push(c),
            // By itself: beside what stands around it, this is an address to some.
            '@' => shown.push_str("<span>&#64;</span>"),
            c if c.is_alphanumeric() => shown.push(c),
            c => {
                let _ = write!(shown, "&#{};", u32::from(c));
            }
        }
    }
    shown + "</code>"
}

/// Text from a tool as the data of a workflow command: its lines kept in GitHub's own form, everything else that steers made visible.
fn data(text: &str) -> String {
    lines(&cut(text, TEXT_CHARS_MAX)).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Code, Facts, Location, RunId, StepName};
    use crate::pipeline::SCHEMA_VERSION;

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
            output_sha256: None,
            relied_on: None,
            attempts: Vec::new(),
        };
        Summary {
            schema_version: SCHEMA_VERSION,
            pipeline: "p".to_owned(),
            run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
            status: Status::Failed,
            exit_code: 1,
            reason: None,
            complete: true,
            commit: None,
            dirty: None,
            tree: None,
            definition: String::new(),
            program: None,
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
        let mut long = failed(20_000);
        long.steps[0].reason = Some("[x](".repeat(1 << 16));
        long.steps[0].findings.truncate(1_000);
        long.steps = vec![long.steps[0].clone(); 300];
        assert!(step_summary(&long).len() < 1 << 20);
        assert!(annotations(&long).len() < 1 << 20);
    }

    /// What somebody may plant in a file name, a package or the message of a tool, who wants more than to be read.
    const HOSTILE: [&str; 16] = [
        "![x](https://evil.example/pixel.png)",
        "[click](https://evil.example)",
        "https://evil.example www.evil.example <https://evil.example>",
        "<img src=//evil.example/x><script>alert(1)</script><!-- ",
        "@org/team @someone a@evil.example",
        "a | b |\n|---|---|\n| c |",
        "\n\n# Heading\n\n- list\n> quote",
        "\n::error::injected\r\n::add-mask::x\u{85}::stop-commands::y",
        "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{ad}",
        "\u{9b}2J\u{1b}[2J\u{7}\u{0}",
        "`code` ``` ~~~ **bold** _it_ ~~gone~~ $x$ :smile:",
        "org/repo#1 #12 GH-12 0123456789abcdef0123456789abcdef01234567",
        "\\| \\\\| &lt;b&gt; &#60;b&#62;",
        "[ref]: https://evil.example \"t\" [^1]",
        "\u{2028}::error::x\u{2029}##[error]x",
        "</code></td></tr></table><a href=\"javascript:x\">y</a>",
    ];

    fn hostile(text: &str) -> Summary {
        let mut summary = failed(0);
        summary.pipeline = text.to_owned();
        let step = &mut summary.steps[0];
        step.reason = Some(text.to_owned());
        step.facts.set_headline(text);
        let path = text.replace('\0', "");
        step.findings = vec![
            Finding::with_code(Code::new(text), text)
                .at(Location::line(path, 3))
                .help(text)
                .target(crate::model::Target::name(text)),
            Finding::with_code(Code::from_static("X-1"), text),
        ];
        summary
    }

    #[test]
    fn no_text_steers_an_annotation() {
        for text in HOSTILE {
            let told = annotations(&hostile(text));
            for line in told.lines() {
                assert!(line.starts_with("::error ") && line.matches("::error ").count() == 1, "{line:?}");
                assert!(!line.chars().any(crate::formats::printable::steers), "{line:?}");
                // Nothing ends the properties before their end.
                let (properties, _) = line["::error ".len()..].split_once("::").expect("data");
                assert!(properties.split(',').all(|one| one.matches('=').count() >= 1), "{line:?}");
            }
            assert_eq!(told.lines().count(), 2, "{told:?}");
        }
    }

    #[test]
    fn no_text_is_more_than_text_in_the_step_summary() {
        let innocent = step_summary(&hostile("text"));
        for text in HOSTILE {
            let told = step_summary(&hostile(text));
            assert_eq!(told.lines().count(), innocent.lines().count(), "{told}");
            for (line, innocent) in told.lines().zip(innocent.lines()) {
                assert_eq!(line.matches('|').count(), innocent.matches('|').count(), "{line}");
                assert!(!line.chars().any(crate::formats::printable::steers), "{line:?}");
                // Beside our own words, letters, digits and references to characters are all there is.
                let bare = line.replace("<code>", "").replace("</code>", "").replace("<span>&#64;</span>", "");
                let signs = ['<', '>', '[', ']', '(', ')', '!', '@', '`', '*', '_', '~', '\\', '$', '/', '.'];
                assert!(!bare.contains(signs) && !bare.contains("www."), "{bare}");
                assert!(!bare.trim_start_matches("## ").replace("&#", "").contains('#'), "{bare}");
            }
        }
    }
}
