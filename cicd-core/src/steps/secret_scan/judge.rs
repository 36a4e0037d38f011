use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::export::{CANARY_RULE, Exported};
use super::searcher::Searcher;
use crate::formats::hex;
use crate::formats::printable::printable;
use crate::formats::trivy_report::{FoundSecret, TrivyReport};
use crate::model::by_key::ByKey;
use crate::model::{Code, Finding, Location, Severity, Target, finding_codes};
use crate::scan::Hit;
use crate::step::{ReadError, StepError};

finding_codes! {
    /// What the search for secrets can find beside secrets, which are named by Trivy's rule.
    pub enum SecretCode {
        LeftOut = "SEC-001" {
            summary: "files are not searched for secrets",
            help: "search them, or shorten what is left out",
            example: ".leaving_out(\"fixtures\", justification)",
        },
        Packed = "SEC-002" {
            summary: "a file is compressed or no text, so that it cannot be searched for secrets",
            help: "keep what is in it as text in UTF-8, or leave the file out with a justification; a picture must hold no text, profile or comment",
            example: "backup.zip in the repository",
        },
    }
}

/// What a tool took for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The rule that found it.
    pub(super) rule: String,
    /// What it is, such as `AWS Access Key ID`.
    pub(super) title: String,
    pub(super) severity: Severity,
    /// Its first and last line in the copy, from 1.
    pub(super) lines: (u32, u32),
}

/// The secrets of Trivy's report, by the names of the copies.
pub(super) fn of_trivy(report: &TrivyReport, trivy: &semver::Version) -> Result<Vec<(String, Found)>, StepError> {
    let unreadable = |problem: String| StepError::from(ReadError::new("Trivy's report", problem));
    if report.artifact_type != "filesystem" {
        return Err(unreadable(format!("it is about a {}, not about files", printable(&report.artifact_type))));
    }
    if let Some(wrote) = report.version.as_deref().filter(|wrote| wrote.trim_start_matches('v') != trivy.to_string()) {
        return Err(unreadable(format!("it was written by Trivy {}, but {trivy} was run", printable(wrote))));
    }
    if report.results.iter().any(|result| result.suppressed > 0) {
        return Err(unreadable("Trivy suppressed findings, although it was given nothing to ignore".to_owned()));
    }
    let found = |secret: &FoundSecret| Found {
        rule: secret.rule.clone(),
        title: printable(&secret.title),
        severity: secret.severity,
        lines: (secret.start_line, secret.end_line),
    };
    let each = report.results.iter().flat_map(|result| result.secrets.iter().map(|one| (&result.target, one)));
    Ok(each.map(|(copy, secret)| (copy.clone(), found(secret))).collect())
}

/// What is found, if it shows that the tool has looked at each of these files. `read` gives a copy as it was exported, once
/// for each that has a secret.
pub(super) fn hits(
    searcher: Searcher,
    found: &[(String, Found)],
    exported: &[Exported],
    mut read: impl FnMut(&Exported) -> Result<Vec<u8>, StepError>,
) -> Result<Vec<Hit>, StepError> {
    let tool = searcher.name();
    let given: BTreeSet<&str> = exported.iter().map(|file| file.name.as_str()).collect();
    if let Some((foreign, _)) = found.iter().find(|(copy, _)| !given.contains(copy.as_str())) {
        let problem = format!("it names {:?}, which {tool} was not given", printable(foreign));
        return Err(ReadError::new(format!("{tool}'s report"), problem).into());
    }
    let found: ByKey<&str, &Found> = found.iter().map(|(copy, one)| (copy.as_str(), one)).collect();
    let is_canary = |file: &Exported, one: &Found| one.rule == CANARY_RULE && one.lines.0 == file.canary_line;
    let silent = |file: &&Exported| !found.of(file.name.as_str()).any(|one| is_canary(file, one));
    let silent: Vec<_> = exported.iter().filter(silent).collect();
    if let [first, ..] = silent.as_slice() {
        return Err(StepError::not_looked(
            format!("{tool} did not look at {} of {} files, among them {}", silent.len(), exported.len(), first.path),
            "every file carries a known secret while it is searched, and this one's was not found; see the step's log",
        ));
    }
    let mut hits = Vec::new();
    for file in exported {
        if let Some(what) = file.packed {
            let message = format!("{} is {what}, so that what is in it is not searched", file.path);
            let target = Target::Place(Location::file(&file.path));
            let finding = Finding::new(SecretCode::Packed, message).target(target).at(Location::file(&file.path));
            hits.push(Hit::in_file(finding, &file.path));
        }
        let secrets: Vec<_> = found.of(file.name.as_str()).filter(|one| !is_canary(file, one)).collect();
        if !secrets.is_empty() {
            let text = read(file)?;
            let lines: Vec<_> = text.split(|&b| b == b'\n').collect();
            // What a file holds as it lies is not told again of what was unpacked of it.
            let (own, unpacked): (Vec<_>, Vec<_>) =
                secrets.into_iter().partition(|secret| secret.lines.0 <= file.own_lines);
            let own: Vec<_> = own.into_iter().map(|secret| hit(searcher, file, secret, &lines)).collect();
            let told: BTreeSet<_> = own.iter().map(Hit::about).collect();
            let unpacked = unpacked.into_iter().map(|secret| hit(searcher, file, secret, &lines));
            let unpacked: Vec<_> = unpacked.filter(|hit| !told.contains(&hit.about())).collect();
            hits.extend(own.into_iter().chain(unpacked));
        }
    }
    Ok(hits)
}

fn hit(searcher: Searcher, file: &Exported, secret: &Found, lines: &[&[u8]]) -> Hit {
    let first = secret.lines.0.max(1);
    let last = secret.lines.1.max(first);
    let mut hasher = Sha256::new();
    for line in lines.iter().take(last as usize).skip(first as usize - 1) {
        hasher.update(line.trim_ascii_end());
        hasher.update(b"\n");
    }
    let sha256 = hex(&hasher.finalize());
    let (rule, path) = (searcher.code(&printable(&secret.rule)), &file.path);
    let own = (first > file.lead && first <= file.own_lines).then(|| first - file.lead);
    let (place, location) = match own {
        Some(line) => (format!("in {path}"), Location::line(path, line)),
        None if first.saturating_add(1) == file.canary_line => (format!("in the name of {path}"), Location::file(path)),
        None => (format!("in what is compressed in {path}"), Location::file(path)),
    };
    let finding = Finding::with_code(Code::new(rule.as_str()), format!("{} {place}", secret.title))
        .severity(secret.severity)
        .target(Target::Secret { path: path.to_owned(), sha256: sha256.clone() })
        .at(location)
        .of_a_secret()
        .help(format!(
            "revoke it, then take it out of the history too; if it opens nothing, write it down: rule = \"{rule}\", path = \"{path}\", sha256 = \"{sha256}\""
        ));
    let hit = Hit::in_file(finding, path);
    match own {
        Some(line) => hit.heard_in(path, line..=line),
        None => hit,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::formats::read_exceptions;
    use crate::model::Status;
    use crate::policy::{Policy, evaluate};

    const REPORT: &str = include_str!("../../../tests/data/trivy/secrets-0.70.0.json");
    /// As `export` wrote the files of the recorded scan, but for their canaries.
    const LEAK: &str = "# settings\nkey = \"the secret\"\n";

    fn exported() -> Vec<Exported> {
        let file = |path: &str, name: &str, canary_line| Exported {
            path: path.into(),
            name: name.to_owned(),
            lead: 0,
            own_lines: canary_line - 1,
            canary_line,
            packed: None,
        };
        vec![file("a.py", "000000.txt", 2), file("tests/settings.md", "000001.txt", 3), file("b.png", "000002.txt", 1)]
    }

    fn look(text: &str, exported: &[Exported]) -> Result<Vec<Finding>, String> {
        let report = TrivyReport::from_json(text.as_bytes()).map_err(|error| error.to_string())?;
        let trivy = semver::Version::new(0, 70, 0);
        let hits =
            of_trivy(&report, &trivy).and_then(|found| hits(Searcher::Trivy, &found, exported, |_| Ok(LEAK.into())));
        let hits = hits.map_err(|error| error.to_string())?;
        Ok(hits.into_iter().map(Hit::into_finding).collect())
    }

    #[test]
    fn a_secret_is_found_and_canaries_are_not_shown() {
        let findings = look(REPORT, &exported()).expect("looked");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code.as_str(), "aws-access-key-id");
        assert_eq!(findings[0].location.as_ref().expect("a place").to_string(), "tests/settings.md:2");
        assert_eq!(findings[0].message, "AWS Access Key ID in tests/settings.md");
    }

    #[test]
    fn an_exception_names_the_text_of_the_secret() {
        let findings = look(REPORT, &exported()).expect("looked");
        let help = findings[0].help.clone().expect("help");
        let (_, entry) = help.split_once("down: ").expect("an entry");
        let rest = "\nreason = \"the key of a manual, which opens nothing\"\nowner = \"@example/security\"\nexpires = \"2026-12-15\"\n";
        let entry = format!("[[secret]]\n{}{rest}", entry.replace(", ", "\n"));
        let verdict = |entry: &str| {
            let exceptions = read_exceptions("ci/exceptions.toml".into(), entry).expect("valid").secrets;
            let verdict = evaluate(findings.clone(), &exceptions, &Policy::default(), date(2026, 11, 21));
            (verdict.status, verdict.findings.last().map(|one| one.code.to_string()))
        };
        assert_eq!(verdict(&entry), (Status::Exempted, Some("aws-access-key-id".to_owned())));
        let (_, digest) = entry.split_once("sha256 = \"").expect("a sum");
        let other = entry.replace(&digest[..64], &"0".repeat(64));
        assert_eq!(verdict(&other), (Status::Failed, Some("EXC-002".to_owned())));
        assert_eq!(verdict(&entry.replace("settings.md", "b.md")), (Status::Failed, Some("EXC-002".to_owned())));
        assert_eq!(verdict(&entry.replace("2026", "2025")), (Status::Failed, Some("EXC-001".to_owned())));
    }

    #[test]
    fn a_file_without_its_canary_was_not_looked_at() {
        let mut more = exported();
        more.push(Exported { path: "c.bin".into(), name: "000003.txt".to_owned(), ..more[0].clone() });
        assert!(look(REPORT, &more).expect_err("no canary").contains("did not look at 1 of 4 files, among them c.bin"));
        more.truncate(2);
        assert!(look(REPORT, &more).expect_err("foreign").contains("it names \"000002.txt\""));
        let mut moved = exported();
        moved[0].canary_line = 7;
        assert!(look(REPORT, &moved).expect_err("elsewhere").contains("among them a.py"));
        for (from, to) in [
            ("github-pat", "other-rule"),
            ("\"filesystem\"", "\"repository\""),
            ("\"Version\": \"0.70.0\"", "\"Version\": \"0.60.0\""),
            ("\"Results\"", "\"Nothing\""),
            ("\"Class\": \"secret\"", "\"Class\": \"secret\", \"ExperimentalModifiedFindings\": [{}]"),
        ] {
            assert!(REPORT.contains(from), "{from}");
            assert!(look(&REPORT.replace(from, to), &exported()).is_err(), "{to}");
        }
        for cut in [0, 2, REPORT.len() / 2, REPORT.len() - 3] {
            assert!(look(&REPORT[..cut], &exported()).is_err(), "{cut}");
        }
    }
}
