use std::fs;

use camino::Utf8Path;

use super::findings::{Judgement, misconfiguration_aliases};
use super::sources::{Source, Sources};
use crate::formats::printable::printable;
use crate::formats::trivy_report::{Misconfiguration, TrivyReport};
use crate::model::{Code, Finding, Location};
use crate::policy::{Exception, Suppression};
use crate::process::Invocation;
use crate::step::{Context, ReadError, StepError};
use crate::trivy::{Neutral, VulnerabilityDatabase};

/// Rules about the image that is run: who it runs as and how its health is checked. They are asked of the last Dockerfile alone,
/// since the images of the others are never run.
const OF_THE_SHIPPED: [&str; 2] = ["DS-0002", "DS-0026"];

/// Comments with this word make Trivy drop a finding without a trace in its report.
const INLINE: &str = "trivy:ignore";
/// The word's older form, and what both are replaced by in the copies that Trivy is given.
const INLINE_OLD: &str = "tfsec:ignore";
const INLINE_MASKED: &str = "masked-here-";

/// What Trivy's rules say of Dockerfiles.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) findings: Vec<Finding>,
    pub(super) exceptions: Vec<Exception>,
    pub(super) files: usize,
}

/// Has Trivy judge copies of the Dockerfiles in which no comment can suppress anything, and judges those comments here.
///
/// # Errors
/// When Trivy did not look at each of them.
pub(super) fn check(
    cx: &Context,
    neutral: &Neutral,
    database: &VulnerabilityDatabase,
    sources: &Sources,
    judgement: &Judgement<'_>,
) -> Result<Checked, StepError> {
    if sources.0.is_empty() {
        return Ok(Checked::default());
    }
    let folder = cx.path(cx.dir()).join("dockerfiles");
    for (index, source) in sources.0.iter().enumerate() {
        let copy = folder.join(name(index));
        let parent = copy.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(StepError::io("creating", parent))?;
        fs::write(&copy, masked(&source.text)).map_err(StepError::io("writing", &copy))?;
    }
    let path = cx.path(cx.dir()).join("dockerfiles.json");
    let captured = cx.run_ok(&invocation(neutral, &database.cache_dir, &folder, &path))?;
    let report = TrivyReport::from_json(captured.report_bytes()?)
        .map_err(|error| ReadError::new("Trivy's report on the Dockerfiles", error).at(Location::file(&path)))?;
    judge(&report, sources, judgement)
}

/// The command line; `folder` holds the copies.
pub(super) fn invocation(neutral: &Neutral, cache_dir: &Utf8Path, folder: &Utf8Path, report: &Utf8Path) -> Invocation {
    neutral.scan(cache_dir, "filesystem", "misconfig", report).arg(folder)
}

fn name(index: usize) -> String {
    format!("{index}/Dockerfile")
}

fn masked(text: &str) -> String {
    text.replace(INLINE, INLINE_MASKED).replace(INLINE_OLD, INLINE_MASKED)
}

fn judge(report: &TrivyReport, sources: &Sources, judgement: &Judgement<'_>) -> Result<Checked, StepError> {
    let mut checked = Checked { files: sources.0.len(), ..Checked::default() };
    for (index, source) in sources.0.iter().enumerate() {
        let result = report.results.iter().find(|result| result.target == name(index) && result.class == "config");
        let result = result.filter(|result| result.rules_tried() > 0).ok_or_else(|| {
            StepError::not_looked(
                format!("Trivy tried no rule on {}", source.path()),
                "see whether `docker build` can read the file; Trivy's rules are built into it",
            )
        })?;
        let shipped = index + 1 == sources.0.len();
        let asked = |found: &&Misconfiguration| shipped || !OF_THE_SHIPPED.contains(&found.id.as_str());
        let found = result.misconfigurations.iter().filter(|found| found.is_failure()).filter(asked);
        let findings: Vec<_> = found.map(|found| misconfiguration(source, found, judgement)).collect();
        for (suppression, rules) in inline(source) {
            checked.take(suppression, &rules, &findings);
        }
        checked.findings.extend(findings);
    }
    Ok(checked)
}

fn misconfiguration(source: &Source, found: &Misconfiguration, judgement: &Judgement<'_>) -> Finding {
    let location = match found.cause.start_line {
        0 => Location::file(source.path()),
        line => Location::line(source.path(), line),
    };
    let mut finding = Finding::with_code(Code::new(printable(&found.id)), printable(&found.message))
        .severity(found.severity)
        .level(judgement.level(found.severity))
        .target(location.clone())
        .at(location);
    if !found.resolution.trim().is_empty() {
        finding = finding.help(printable(&found.resolution));
    }
    finding.aliases = misconfiguration_aliases(finding.code.as_str());
    finding
}

/// A comment that would have made Trivy drop something, and the rules it names.
type Inline = (usize, Vec<String>);

fn inline(source: &Source) -> Vec<(Place<'_>, Vec<String>)> {
    let comment = |(index, line): (usize, &str)| -> Option<Inline> {
        let words = line.split([' ', '\t', '#']);
        let rules: Vec<_> = words
            .filter_map(|word| word.strip_prefix(INLINE).or_else(|| word.strip_prefix(INLINE_OLD)))
            .filter_map(|rest| rest.strip_prefix(':')?.split(':').next())
            .map(str::to_owned)
            .collect();
        (line.contains(INLINE) || line.contains(INLINE_OLD)).then_some((index, rules))
    };
    let found = source.text.lines().enumerate().filter_map(comment);
    found.map(|(index, rules)| (Place { source, index }, rules)).collect()
}

/// A line of a Dockerfile, from 0.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    source: &'a Source,
    index: usize,
}

impl Checked {
    /// A comment reaches what was found in its own line and in the instruction below it; above the first instruction, also what is
    /// about the whole file.
    fn take(&mut self, place: Place<'_>, rules: &[String], findings: &[Finding]) {
        let Place { source, index } = place;
        let lines: Vec<&str> = source.text.lines().collect();
        let own = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let below = source.instruction_below(own);
        let on_top = source.instruction_below(0).is_none_or(|first| own < first);
        let reached = findings.iter().filter(|finding| {
            let line = finding.location.as_ref().and_then(|location| location.line);
            line.map_or(on_top, |line| line == own || Some(line) == below)
        });
        let targets: Vec<_> = reached.filter_map(|finding| finding.target.clone()).collect();
        let suppression = Suppression { path: source.path(), lines: &lines, index };
        match suppression.exceptions(rules, &targets) {
            Ok(exceptions) => self.exceptions.extend(exceptions),
            Err(finding) => self.findings.push(finding),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::model::{Severity, Status};
    use crate::policy::{Policy, evaluate};

    const REPORT: &str = include_str!("../../../tests/data/trivy/dockerfiles-0.70.0.json");
    const BASE: &str = "FROM debian:latest\nRUN apt-get install curl\n";
    const SHIPPED: &str = "FROM debian:12@sha256:0000000000000000000000000000000000000000000000000000000000000000\n# reason: the agent has to bind a port below 1024\n# owner: @example/platform\n# expires: 2027-01-01\n# trivy:ignore:DS-0002\nUSER root\n";

    fn look(report: &str, texts: &[&str]) -> Result<Checked, String> {
        let report = TrivyReport::from_json(report.as_bytes()).expect("a report");
        let parse =
            |(index, text): (usize, &&str)| Source::parse(format!("{index}.Dockerfile").into(), (*text).to_owned());
        let sources = Sources(texts.iter().enumerate().map(parse).collect::<Result<_, _>>().expect("readable"));
        let judgement = Judgement { threshold: Severity::Low, locked: None, sources: &Sources::default() };
        judge(&report, &sources, &judgement).map_err(|error| error.to_string())
    }

    fn verdict(checked: Checked) -> (Status, Vec<String>) {
        let verdict = evaluate(checked.findings, &checked.exceptions, &Policy::default(), date(2026, 11, 21));
        let open = verdict.findings.iter().filter(|finding| finding.exception.is_none());
        let shown = open.map(|finding| {
            format!("{} {}", finding.code, finding.target.as_ref().map_or_else(String::new, ToString::to_string))
        });
        (verdict.status, shown.collect())
    }

    #[test]
    fn dockerfiles_are_judged_and_the_image_rules_only_for_the_shipped_one() {
        let (status, open) = verdict(look(REPORT, &[BASE, BASE, SHIPPED]).expect("looked"));
        assert_eq!(status, Status::Failed);
        let of_base = ["DS-0001 0.Dockerfile:1", "DS-0021 0.Dockerfile:2", "DS-0029 0.Dockerfile:2"];
        assert_eq!(open, [&of_base[..], &["DS-0026 2.Dockerfile"]].concat(), "DS-0002 is justified");
    }

    #[test]
    fn a_comment_without_a_justification_hides_nothing() {
        let bare = SHIPPED.replace("# owner", "# own");
        let (_, open) = verdict(look(REPORT, &[BASE, BASE, &bare]).expect("looked"));
        assert!(open.contains(&"DS-0002 2.Dockerfile:6".to_owned()), "{open:?}");
        assert!(open.contains(&"IGN-016 2.Dockerfile:5".to_owned()), "{open:?}");
        let all = SHIPPED.replace("trivy:ignore:DS-0002", "trivy:ignore");
        let (_, open) = verdict(look(REPORT, &[BASE, BASE, &all]).expect("looked"));
        assert!(open.contains(&"IGN-016 2.Dockerfile:5".to_owned()), "{open:?}");
    }

    #[test]
    fn a_file_that_trivy_did_not_look_at_is_an_error() {
        for report in [
            REPORT.replace("\"0/Dockerfile\"", "\"9/Dockerfile\""),
            REPORT.replace("\"config\"", "\"secret\""),
            REPORT.replace("\"MisconfSummary\"", "\"Summary\""),
        ] {
            let error = look(&report, &[BASE, BASE, SHIPPED]).expect_err("no rule was tried");
            assert!(error.contains("tried no rule on 0.Dockerfile"), "{error}");
        }
        assert!(look(REPORT, &[BASE, BASE, BASE, SHIPPED]).is_err());
    }

    #[test]
    fn the_copies_have_no_word_that_suppresses() {
        for text in [SHIPPED, "#tfsec:ignore:*\nFROM a\n"] {
            let copy = masked(text);
            assert!(!copy.contains(INLINE) && !copy.contains(INLINE_OLD));
            assert_eq!((copy.len(), copy.lines().count()), (text.len(), text.lines().count()), "nothing moves");
        }
    }
}
