use std::fs;

use camino::Utf8Path;

use super::findings::{Judgement, misconfiguration_aliases};
use super::sources::{Source, Sources};
use crate::formats::printable::printable;
use crate::formats::trivy_report::{Misconfiguration, TrivyReport};
use crate::model::by_key::ByKey;
use crate::model::{Code, Finding, Location};
use crate::policy::{Exception, Suppression};
use crate::process::Invocation;
use crate::step::{Context, ReadError, StepError};
use crate::trivy::{Neutral, VulnerabilityDatabase};

/// Rules about the image that is run: who it runs as and how its health is checked. They are asked of the last Dockerfile alone,
/// since the images of the others are never run.
const OF_THE_SHIPPED: [&str; 2] = ["DS-0002", "DS-0026"];

/// A word that begins with one of these is an instruction to Trivy, such as `trivy:ignore:DS-0002`: a list of keys and values in any
/// order, of which `ignore` makes it drop a finding without a trace in its report.
const PREFIXES: [&str; 2] = ["trivy:", "tfsec:"];
/// What stands for either in the copies that Trivy is given. It has as many letters, so that nothing moves.
const MASK: &str = "masked";
/// What Trivy passes over before such a word.
const SIGNS: [char; 3] = ['#', '/', '*'];

/// A Dockerfile in which Trivy has to find something, although every line of it asks for silence. It goes with the copies.
const CANARY: &str = "\
# trivy:ignore:*
# trivy:exp:2999-01-01:ignore:* tfsec:ignore:*
# trivy:a:b:ignore:DS-0001
FROM debian:latest
# tfsec:a:b:ignore:DS-0002
# trivy:ignore:DS-0002:exp:2999-01-01
USER root
";
const CANARY_RULES: [&str; 2] = ["DS-0001", "DS-0002"];
const CANARY_FILE: &str = "canary/Dockerfile";

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
    let copies = sources.0.iter().enumerate().map(|(index, source)| (name(index), masked(&source.text)));
    for (name, text) in copies.chain([(CANARY_FILE.to_owned(), masked(CANARY))]) {
        let copy = folder.join(name);
        let parent = copy.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(StepError::io("creating", parent))?;
        fs::write(&copy, text).map_err(StepError::io("writing", &copy))?;
    }
    let path = cx.path(cx.dir()).join("dockerfiles.json");
    let captured = cx.run_ok(&invocation(neutral, &database.cache_dir, &folder, &path))?;
    let report = TrivyReport::from_json(captured.report_bytes()?)
        .map_err(|error| ReadError::new("Trivy's report on the Dockerfiles", error).at(Location::file(&path)))?;
    hears(&report)?;
    judge(&report, sources, judgement)
}

/// Checks that Trivy found in the canary what is there.
fn hears(report: &TrivyReport) -> Result<(), StepError> {
    let canary = report.results.iter().filter(|result| result.target == CANARY_FILE);
    let found: Vec<_> = canary.flat_map(|result| &result.misconfigurations).filter(|one| one.is_failure()).collect();
    match CANARY_RULES.iter().find(|rule| !found.iter().any(|one| one.id == **rule)) {
        None => Ok(()),
        Some(rule) => Err(StepError::not_looked(
            format!("Trivy did not report {rule} in a Dockerfile that breaks it"),
            "report this with the version of Trivy: it may read comments that are not known here",
        )),
    }
}

/// The command line; `folder` holds the copies.
pub(super) fn invocation(neutral: &Neutral, cache_dir: &Utf8Path, folder: &Utf8Path, report: &Utf8Path) -> Invocation {
    neutral.scan(cache_dir, "filesystem", "misconfig", report).arg(folder)
}

fn name(index: usize) -> String {
    format!("{index}/Dockerfile")
}

/// The text in which no word is an instruction to Trivy.
fn masked(text: &str) -> String {
    let mut copy = text.to_owned();
    for line in text.split_inclusive('\n') {
        let start = line.as_ptr().addr() - text.as_ptr().addr();
        for (at, prefix) in instructions(line) {
            copy.replace_range(start + at..start + at + prefix.len(), MASK);
        }
    }
    copy
}

/// Where a line has words that are instructions to Trivy. An image of that name, such as `aquasec/trivy:1`, is none.
fn instructions(line: &str) -> impl Iterator<Item = (usize, &'static str)> {
    let begins = |at: usize| {
        let before = line[..at].trim_end_matches(SIGNS);
        before.is_empty() || before.ends_with(char::is_whitespace)
    };
    let found = PREFIXES.into_iter().flat_map(|prefix| line.match_indices(prefix).map(move |(at, _)| (at, prefix)));
    found.filter(move |(at, _)| begins(*at)).collect::<Vec<_>>().into_iter()
}

fn judge(report: &TrivyReport, sources: &Sources, judgement: &Judgement<'_>) -> Result<Checked, StepError> {
    let mut checked = Checked { files: sources.0.len(), ..Checked::default() };
    let results = report.results.iter().filter(|result| result.class == "config");
    let results: ByKey<_, _> = results.map(|result| (result.target.as_str(), result)).collect();
    for (index, source) in sources.0.iter().enumerate() {
        let result = results.of(name(index).as_str()).next().copied();
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

/// The lines that would have made Trivy drop something, and the rules that they name.
fn inline(source: &Source) -> Vec<(Place<'_>, Vec<String>)> {
    let rules = |line: &str| -> Vec<String> {
        let words = instructions(line).filter_map(|(at, prefix)| line[at + prefix.len()..].split_whitespace().next());
        let pairs = words.flat_map(|word| {
            let parts: Vec<&str> = word.split(':').collect();
            parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
        });
        let ignored = pairs.filter(|(key, _)| *key == "ignore").map(|(_, rule)| rule.split('[').next().unwrap_or(rule));
        ignored.map(str::to_owned).collect()
    };
    let lines = source.text.lines().enumerate().filter(|(_, line)| instructions(line).next().is_some());
    lines.map(|(index, line)| (Place { source, index }, rules(line))).collect()
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
    fn no_line_of_a_dockerfile_tells_trivy_to_be_silent() {
        for line in [
            "# trivy:ignore:DS-0029",
            "# trivy:exp:2099-01-01:ignore:DS-0029",
            "# trivy:a:b:ignore:DS-0029",
            "#trivy:ignore:DS-0029",
            "//*#tfsec:a:b:ignore:DS-0029",
            "# words trivy:ignore:DS-0001 tfsec:x:y:ignore:DS-0029[a=b]",
            "RUN x # trivy:ignore:DS-0029",
        ] {
            let text = format!("FROM a\n{line}\nRUN apt-get install curl\n");
            let copy = masked(&text);
            assert!(copy.lines().all(|line| instructions(line).next().is_none()), "{copy}");
            assert_eq!((copy.len(), copy.lines().count()), (text.len(), text.lines().count()), "nothing moves");
            let source = Source::parse("Dockerfile".into(), text).expect("readable");
            let found = inline(&source);
            let [(place, rules)] = found.as_slice() else { panic!("{line} is no instruction") };
            assert_eq!((place.index, rules.last().map(String::as_str)), (1, Some("DS-0029")), "{line}");
        }
        for text in ["FROM aquasec/trivy:0.5\n", "COPY --from=trivy:1 a b\n", "RUN not-trivy:ignore:x\n"] {
            assert_eq!(masked(text), text);
        }
    }
}
