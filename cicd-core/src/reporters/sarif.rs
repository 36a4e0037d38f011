use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use camino::Utf8Path;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::codes;
use super::text::plain;
use crate::formats::hex;
use crate::model::{CodeInfo, Finding, Level, Location, Severity, Status, StepName, Target};
use crate::pipeline::{Pipeline, StepReport, Summary};

/// What GitHub takes in one file; it refuses a larger one. Bytes are packed with gzip, as they are uploaded.
const GITHUB: Bounds = Bounds { results: 25_000, runs: 20, packed_bytes: 10_000_000 };
/// Enough of a hash to tell the findings of a repository apart.
const FINGERPRINT_DIGITS: usize = 16;

/// Why there is no SARIF file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SarifError {
    /// More than GitHub takes in one file.
    #[error("{results} findings are more than the {max} that GitHub takes in a SARIF file; summary.json has them all")]
    TooMany {
        /// How many findings there are.
        results: usize,
        /// How many there may be.
        max: usize,
    },
    /// A longer file than GitHub takes.
    #[error("the SARIF file has {bytes} bytes packed, and GitHub takes {max}; summary.json has all findings")]
    TooLong {
        /// Its size with gzip.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A file that cannot be written.
    #[error("the SARIF file cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// The findings of a run as SARIF 2.1.0, within what GitHub's code scanning takes
/// (<https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>).
///
/// Every finding is a result, exempted ones with a suppression that says why, who and until when. One that is in no file of the
/// repository stands where its step was added to the pipeline. A step that could not look is a notification of the invocation,
/// which is then not successful: no results mean nothing there.
///
/// # Errors
/// When there is more than GitHub takes: a part of the findings would look like all of them.
pub fn sarif(summary: &Summary, pipeline: &Pipeline) -> Result<String, SarifError> {
    within(summary, pipeline, GITHUB)
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    results: usize,
    runs: usize,
    packed_bytes: usize,
}

fn within(summary: &Summary, pipeline: &Pipeline, bounds: Bounds) -> Result<String, SarifError> {
    let all: Vec<(&StepReport, &Finding)> =
        summary.steps.iter().flat_map(|step| step.findings.iter().map(move |finding| (step, finding))).collect();
    // A run without results says as well that it looked.
    let chunks: Vec<&[_]> = if all.is_empty() { vec![&[]] } else { all.chunks(bounds.results).collect() };
    if chunks.len() > bounds.runs {
        return Err(SarifError::TooMany { results: all.len(), max: bounds.results * bounds.runs });
    }
    let runs = chunks.iter().enumerate().map(|(index, chunk)| run(summary, pipeline, index + 1, chunk));
    let file = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": runs.collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&file).map_err(io::Error::from)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes())?;
    let bytes = packed.finish()?.len();
    if bytes > bounds.packed_bytes {
        return Err(SarifError::TooLong { bytes, max: bounds.packed_bytes });
    }
    Ok(text + "\n")
}

fn run(summary: &Summary, pipeline: &Pipeline, number: usize, all: &[(&StepReport, &Finding)]) -> Value {
    let ours: BTreeMap<&str, CodeInfo> = codes().into_iter().map(|info| (info.code, info)).collect();
    let mut rules: Vec<Rule> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (step, finding) in all {
        let index = *places.entry(finding.code.as_str()).or_insert_with(|| {
            rules.push(Rule::of(&step.name, finding, &ours));
            rules.len() - 1
        });
        rules[index].severity = rules[index].severity.max(finding.severity);
    }
    let added: BTreeMap<&StepName, Option<&Location>> =
        summary.steps.iter().map(|step| (&step.name, pipeline.place_of(&step.name))).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let results: Vec<Value> = all
        .iter()
        .map(|(step, finding)| {
            let identity = fingerprint(step, finding);
            let count = seen.entry(identity.clone()).and_modify(|count| *count += 1).or_insert(1);
            let mut result = result(step, finding, added.get(&step.name).copied().flatten());
            result["ruleIndex"] = json!(places.get(finding.code.as_str()));
            result["partialFingerprints"] = json!({ "primaryLocationLineHash": format!("{identity}:{count}") });
            result
        })
        .collect();
    // GitHub replaces an earlier upload of the same category.
    let category = if number == 1 { String::new() } else { format!("{number}/") };
    let looked = |step: &&StepReport| matches!(step.status, Status::Error | Status::Blocked | Status::Cancelled);
    let unseen: Vec<_> = summary.steps.iter().filter(looked).map(|step| notification(step, pipeline)).collect();
    let mut run = json!({
        "tool": { "driver": {
            "name": "cicd-core",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules.iter().map(Rule::to_json).collect::<Vec<_>>(),
        }},
        "automationDetails": { "id": format!("cicd-core/{}/{category}", summary.pipeline) },
        "invocations": [{
            "executionSuccessful": unseen.is_empty(),
            "exitCode": summary.exit_code,
            "startTimeUtc": summary.started_at.to_string(),
            "toolExecutionNotifications": unseen,
        }],
        "columnKind": "unicodeCodePoints",
        "results": results,
    });
    if let Some(commit) = &summary.commit {
        run["properties"] = json!({ "commit": commit, "dirty": summary.dirty, "run": summary.run });
    }
    run
}

struct Rule {
    id: String,
    summary: String,
    description: String,
    help: String,
    step: StepName,
    severity: Severity,
}

impl Rule {
    /// A code of ours is described by its table, a tool's rule by what the tool says where it was first found.
    fn of(step: &StepName, finding: &Finding, ours: &BTreeMap<&str, CodeInfo>) -> Self {
        let id = finding.code.to_string();
        let (summary, description, help) = match ours.get(id.as_str()) {
            Some(info) => {
                (info.summary.to_owned(), format!("{}; for example: {}", info.summary, info.example), info.help)
            }
            None => (format!("{id}, found by the step {step}"), worded(&finding.message, &id), "see the step's log"),
        };
        let help = finding.help.as_deref().filter(|help| !help.trim().is_empty()).unwrap_or(help).to_owned();
        Self { id, summary, description, help, step: step.clone(), severity: finding.severity }
    }

    fn to_json(&self) -> Value {
        // GitHub's bands: above 9 critical, from 7 high, from 4 medium. What nobody has rated counts as the worst.
        let score = match self.severity {
            Severity::Low => "2.0",
            Severity::Medium => "5.0",
            Severity::High => "8.0",
            Severity::Critical | Severity::Unknown => "9.5",
        };
        json!({
            "id": self.id,
            "shortDescription": { "text": plain(&self.summary) },
            "fullDescription": { "text": plain(&self.description) },
            "help": { "text": plain(&self.help) },
            "properties": { "security-severity": score, "tags": ["security", self.step] },
        })
    }
}

fn result(step: &StepReport, finding: &Finding, added: Option<&Location>) -> Value {
    let level = match finding.level {
        Level::Deny => "error",
        Level::BlockClearance => "warning",
        Level::Warn => "note",
    };
    let inside = finding.location.as_ref().filter(|location| is_inside(&location.path));
    let message = match (&finding.location, inside) {
        (Some(outside), None) => format!("{} (at {outside})", finding.message),
        _ => finding.message.clone(),
    };
    let location = inside.or(added).map(place).unwrap_or_else(|| place(&Location::file("Cargo.toml")));
    let mut result = json!({
        "ruleId": finding.code,
        "level": level,
        "message": { "text": worded(&plain(&message), finding.code.as_str()) },
        "locations": [location],
        "properties": { "step": step.name, "severity": finding.severity, "target": finding.target },
    });
    if let Some(exception) = &finding.exception {
        let only = match &exception.environments {
            every if every.is_every() => String::new(),
            some => format!(", in {some} only"),
        };
        let justification = format!("{} ({}, until {}{only})", exception.reason, exception.owner, exception.expires);
        let suppression = json!({
            "kind": "external",
            "status": "accepted",
            "justification": plain(&justification),
            "properties": { "owner": exception.owner, "expires": exception.expires },
        });
        result["suppressions"] = json!([suppression]);
        if is_inside(&exception.location.path) {
            result["suppressions"][0]["location"] = place(&exception.location);
        }
    }
    result
}

fn notification(step: &StepReport, pipeline: &Pipeline) -> Value {
    let reason = step.reason.as_deref().unwrap_or("no reason was told");
    let mut notification = json!({
        "level": "error",
        "message": { "text": plain(&format!("step {} {}: {reason}", step.name, step.status)) },
    });
    if let Some(added) = pipeline.place_of(&step.name).filter(|added| is_inside(&added.path)) {
        notification["locations"] = json!([place(added)]);
    }
    notification
}

/// The text, or the code where there is none: GitHub refuses empty ones.
fn worded(text: &str, code: &str) -> String {
    if text.trim().is_empty() { code.to_owned() } else { text.to_owned() }
}

/// Whether a path is one of the repository: GitHub refuses a file with any other.
fn is_inside(path: &Utf8Path) -> bool {
    !path.as_str().is_empty() && path.is_relative() && path.components().all(|part| part.as_str() != "..")
}

fn place(location: &Location) -> Value {
    let (line, column) = (location.line.unwrap_or(1).max(1), location.column.unwrap_or(1).max(1));
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&location.path), "uriBaseId": "%SRCROOT%" },
        "region": { "startLine": line, "startColumn": column, "endLine": line, "endColumn": column.saturating_add(1) },
    }})
}

fn uri(path: &Utf8Path) -> String {
    let mut uri = String::new();
    for byte in path.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// What stays the same when lines move and versions rise: the rule, the file, and what is affected but for its version.
fn fingerprint(step: &StepReport, finding: &Finding) -> String {
    let path = finding.location.as_ref().map_or("", |location| location.path.as_str());
    let target = match &finding.target {
        None => "",
        Some(Target::Package(purl)) => purl.package().trim_start_matches("pkg:"),
        // A place says no more than the path, which stands there already.
        Some(Target::Place(place)) if place.path == path => "",
        Some(Target::Secret { path: file, .. }) if file == path => "",
        Some(Target::Place(place)) => place.path.as_str(),
        Some(Target::Secret { sha256, .. }) => sha256,
        Some(Target::Route(name) | Target::Name(name)) => name,
    };
    let digest = Sha256::digest([step.name.as_str(), finding.code.as_str(), path, target].join("\0"));
    hex(&digest).chars().take(FINGERPRINT_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;
    use crate::reporters::example;

    fn read(findings: usize) -> Value {
        let (summary, pipeline) = example::run(findings);
        serde_json::from_str(&sarif(&summary, &pipeline).expect("a file")).expect("JSON")
    }

    #[test]
    fn every_result_has_what_github_requires() {
        let file = read(3);
        assert_eq!(file["version"], "2.1.0");
        let run = &file["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for rule in rules {
            for text in ["/id", "/shortDescription/text", "/fullDescription/text", "/help/text"] {
                let text = rule.pointer(text).and_then(Value::as_str);
                assert!(text.is_some_and(|text| !text.trim().is_empty()), "{rule}");
            }
        }
        let results = run["results"].as_array().expect("results");
        assert_eq!(results.len(), 5);
        let mut prints = Vec::new();
        for result in results {
            let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok()).expect("an index");
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(result["message"]["text"].as_str().is_some_and(|text| !text.trim().is_empty()), "{result}");
            let place = &result["locations"][0]["physicalLocation"];
            for field in ["startLine", "startColumn", "endLine", "endColumn"] {
                assert!(place["region"][field].as_u64().is_some_and(|number| number > 0), "{place}");
            }
            let uri = place["artifactLocation"]["uri"].as_str().expect("a uri");
            assert!(!uri.starts_with('/') && !uri.contains([':', ' ', '\\']), "{uri}");
            prints.push(result["partialFingerprints"]["primaryLocationLineHash"].clone());
        }
        prints.sort_by_key(Value::to_string);
        prints.dedup();
        assert_eq!(prints.len(), 5, "each its own");
    }

    #[test]
    fn places_exceptions_and_what_could_not_look_are_told() {
        let run = read(1)["runs"][0].clone();
        let results = run["results"].as_array().expect("results");
        let uri = |result: &Value| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone();
        assert_eq!(uri(&results[0]), "src/a%20b.py");
        assert!(uri(&results[1]).as_str().is_some_and(|uri| uri.ends_with("reporters/example.rs")), "{}", results[1]);
        assert!(results[1]["message"]["text"].as_str().is_some_and(|text| text.ends_with("(at /opt/app/x.py:3)")));
        let suppression = &results[2]["suppressions"][0];
        let justification = suppression["justification"].as_str().expect("one");
        assert!(justification.contains("no proxy") && justification.contains("@org/security, until 2027-01-01"));
        assert!(results[0].get("suppressions").is_none());
        let invocation = &run["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        let told = invocation["toolExecutionNotifications"][0]["message"]["text"].as_str().expect("a text");
        assert!(told.contains("cannot reach the database"), "{told}");
    }

    #[test]
    fn a_fingerprint_outlives_lines_and_versions_and_nothing_else() {
        let (summary, _) = example::run(1);
        let step = &summary.steps[0];
        let about = |target: Target, line| {
            let finding = Finding::with_code(Code::new("CVE-2023-32681"), "x").target(target);
            fingerprint(step, &finding.at(Location::line("requirements.txt", line)))
        };
        let package = |purl: &str, line| about(Target::package(purl), line);
        let place = |line| about(Location::line("requirements.txt", line).into(), line);
        let one = package("pkg:pypi/requests@2.30.0", 3);
        assert_eq!(one, package("pkg:pypi/requests@2.30.1", 9));
        assert_ne!(one, package("pkg:pypi/flask@2.30.0", 3));
        assert_eq!(place(3), place(4));
    }

    #[test]
    fn more_than_fits_one_run_goes_into_another_and_more_than_fits_a_file_is_an_error() {
        let (summary, pipeline) = example::run(4);
        let bounds = Bounds { results: 4, runs: 2, packed_bytes: 100_000 };
        let text = within(&summary, &pipeline, bounds).expect("two runs");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        let runs = file["runs"].as_array().expect("runs");
        let counts: Vec<_> = runs.iter().map(|run| run["results"].as_array().map(Vec::len)).collect();
        assert_eq!(counts, [Some(4), Some(2)]);
        assert_ne!(runs[0]["automationDetails"]["id"], runs[1]["automationDetails"]["id"]);
        let one = within(&summary, &pipeline, Bounds { runs: 1, ..bounds });
        assert!(matches!(one, Err(SarifError::TooMany { results: 6, max: 4 })), "{one:?}");
        let short = within(&summary, &pipeline, Bounds { packed_bytes: 100, ..bounds });
        assert!(matches!(short, Err(SarifError::TooLong { max: 100, .. })), "{short:?}");
    }
}
