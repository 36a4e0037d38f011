use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::OwnersCode;
use crate::formats::codeowners::{CodeOwnersFile, DefectKind, Owner, Pattern, Patterns, Rule};
use crate::model::{Finding, Location, Severity};
use crate::policy::Exception;
use crate::step::StepError;

/// Files beyond these are counted, not named.
const NAMED_MAX: usize = 5;

/// Who should own what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Sensitive files, and who alone may approve their changes.
    pub(super) sensitive: &'a [(Vec<Pattern>, String)],
    /// Settings of tools, which are sensitive wherever they lie, and who alone may approve their changes.
    pub(super) settings: Option<(&'a [Pattern], &'a str)>,
    /// Every owner there may be; empty for any.
    pub(super) known: &'a [String],
    /// The exceptions that are written down in files of the repository.
    pub(super) exceptions: &'a [Exception],
}

/// What there is to say about a CODEOWNERS file and the files of its repository.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) findings: Vec<Finding>,
    pub(super) unowned: Vec<Utf8PathBuf>,
    /// How many files were found to be sensitive.
    pub(super) sensitive: usize,
}

/// Judges the owners of `files`.
///
/// # Errors
/// When a sensitive pattern matches no file: it would check nothing.
pub(super) fn judge(
    path: &Utf8Path,
    owners: &CodeOwnersFile,
    files: &[Utf8PathBuf],
    expected: &Expected<'_>,
) -> Result<Judgement, StepError> {
    let mut findings: Vec<Finding> = owners
        .defects
        .iter()
        .map(|defect| {
            let code = match defect.kind {
                DefectKind::Syntax => OwnersCode::Syntax,
                DefectKind::Owner => OwnersCode::NotAnOwner,
                DefectKind::Ghost => OwnersCode::Ghost,
            };
            Finding::new(code, defect.message.as_str()).at(defect.location.clone())
        })
        .collect();
    let known: BTreeSet<_> = expected.known.iter().map(|owner| owner.to_ascii_lowercase()).collect();
    for rule in owners.rules() {
        for owner in &rule.owners {
            if !known.is_empty() && !known.contains(&owner.as_str().to_ascii_lowercase()) {
                let message = format!("{owner} is not among the known owners");
                findings.push(Finding::new(OwnersCode::NotAnOwner, message).at(rule.location.clone()));
            }
        }
    }
    findings.extend(useless_rules(owners, files));
    let unowned: Vec<_> = files.iter().filter(|file| owners.owners_of(file).is_empty()).cloned().collect();
    if !unowned.is_empty() {
        let message = format!("{} of {} files have no owner: {}", unowned.len(), files.len(), named(&unowned));
        findings.push(Finding::new(OwnersCode::Unowned, message).at(Location::file(path)));
    }
    let mut sensitive = 0;
    let mut named: BTreeSet<&Utf8PathBuf> = BTreeSet::new();
    for (patterns, team) in expected.sensitive {
        let chosen = Chosen::of(patterns, files);
        if let Some(idle) = chosen.idle {
            let what = format!("the sensitive pattern `{}` matches no file", idle.as_str());
            return Err(StepError::not_looked(what, "correct it in the step: it protects nothing"));
        }
        named.extend(&chosen.files);
        let (count, elsewhere) = sensitive_elsewhere(path, owners, &chosen.files, team);
        sensitive += count;
        findings.extend(elsewhere);
    }
    if let Some((patterns, team)) = expected.settings {
        let mut chosen = Chosen::of(patterns, files).files;
        chosen.retain(|file| !named.contains(file));
        let (count, elsewhere) = sensitive_elsewhere(path, owners, &chosen, team);
        sensitive += count;
        findings.extend(elsewhere);
    }
    findings.extend(expected.exceptions.iter().filter_map(|exception| foreign(owners, exception)));
    Ok(Judgement { findings, unowned, sensitive })
}

/// The files that some patterns match.
struct Chosen<'a> {
    files: Vec<&'a Utf8PathBuf>,
    /// The first pattern that matches none.
    idle: Option<&'a Pattern>,
}

impl<'a> Chosen<'a> {
    fn of(patterns: &'a [Pattern], files: &'a [Utf8PathBuf]) -> Self {
        let all = Patterns::new(patterns);
        let mut met: BTreeSet<usize> = BTreeSet::new();
        let is_chosen = |file: &&Utf8PathBuf| {
            let ends = all.matching(file);
            met.extend(&ends);
            !ends.is_empty()
        };
        let files = files.iter().filter(is_chosen).collect();
        let is_met = |place: usize| all.end_of(place).is_some_and(|end| met.contains(&end));
        let idle = patterns.iter().enumerate().find(|(place, _)| !is_met(*place)).map(|(_, pattern)| pattern);
        Self { files, idle }
    }
}

fn named(files: &[Utf8PathBuf]) -> String {
    let names: Vec<_> = files.iter().take(NAMED_MAX).map(|file| file.as_str()).collect();
    match files.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Rules that are in the way of others, or do nothing.
fn useless_rules(owners: &CodeOwnersFile, files: &[Utf8PathBuf]) -> Vec<Finding> {
    let patterns = owners.patterns();
    // Of patterns that say the same the last one decides.
    let mut matched = vec![0_usize; patterns.ends()];
    let mut decided: BTreeSet<usize> = BTreeSet::new();
    for file in files {
        patterns.matching(file).into_iter().for_each(|end| matched[end] += 1);
        decided.extend(patterns.last_matching(file));
    }
    let mut findings = Vec::new();
    for (index, rule) in owners.rules().iter().enumerate() {
        let matched = patterns.end_of(index).map_or(0, |end| matched[end]);
        let pattern = rule.pattern.as_str();
        let found =
            |code, message: String| Finding::new(code, message).severity(Severity::Medium).at(rule.location.clone());
        if rule.pattern.is_catch_all() {
            // It stands for the files to come as well, and so is never useless.
            if index > 0 {
                let message = format!("`{pattern}` overrides the {index} rules above it");
                findings.push(found(OwnersCode::CatchAllNotFirst, message));
            }
        } else if matched == 0 {
            findings.push(found(OwnersCode::Dead, format!("`{pattern}` matches no file")));
        } else if !decided.contains(&index) {
            findings.push(found(
                OwnersCode::Shadowed,
                format!("later rules decide about all {matched} files of `{pattern}`"),
            ));
        }
    }
    findings
}

/// How many files are sensitive, and one finding for each rule that gives some of them to others.
fn sensitive_elsewhere(
    path: &Utf8Path,
    owners: &CodeOwnersFile,
    sensitive: &[&Utf8PathBuf],
    team: &str,
) -> (usize, Vec<Finding>) {
    // By the place of the rule that decides; files without one come first.
    let mut elsewhere: BTreeMap<Option<&Location>, (Option<&Rule>, Vec<Utf8PathBuf>)> = BTreeMap::new();
    for &file in sensitive {
        let rule = owners.rule_for(file);
        let owners = rule.map_or(&[][..], |rule| &rule.owners);
        if owners.is_empty() || !owners.iter().all(|owner| owner.is(team)) {
            let entry = elsewhere.entry(rule.map(|rule| &rule.location)).or_insert((rule, Vec::new()));
            entry.1.push(file.clone());
        }
    }
    let finding = |(rule, files): (Option<&Rule>, Vec<Utf8PathBuf>)| {
        let who = match rule {
            Some(rule) if !rule.owners.is_empty() => {
                let others: Vec<_> = rule.owners.iter().filter(|owner| !owner.is(team)).map(Owner::as_str).collect();
                format!("{} may approve changes of", others.join(" and "))
            }
            _ => "nobody has to approve changes of".to_owned(),
        };
        let message = format!("{who} {}, where only {team} should", named(&files));
        let location = rule.map_or_else(|| Location::file(path), |rule| rule.location.clone());
        Finding::new(OwnersCode::SensitiveElsewhere, message).at(location)
    };
    (sensitive.len(), elsewhere.into_values().map(finding).collect())
}

fn foreign(owners: &CodeOwnersFile, exception: &Exception) -> Option<Finding> {
    let Exception { id, justification, location, .. } = exception;
    let effective = owners.owners_of(&location.path);
    if effective.iter().any(|owner| owner.is(&justification.owner)) {
        return None;
    }
    let whose = match effective {
        [] => "nobody".to_owned(),
        some => some.iter().map(Owner::as_str).collect::<Vec<_>>().join(" and "),
    };
    let message = format!("{} answers for the exception for {id}, but {whose} owns the file", justification.owner);
    Some(Finding::new(OwnersCode::ForeignIgnoreOwner, message).severity(Severity::Medium).at(location.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ignore_file::read_plain;

    const FILES: [&str; 6] =
        [".github/CODEOWNERS", "Dockerfile", "app/main.py", "ci/.trivyignore", "ci/tools.toml", "docs/a.md"];
    const GOOD: &str = "* @o/dev\n/.github/ @o/sec\n/ci/ @o/sec\n/Dockerfile @o/sec\n/docs/ @o/docs\n";

    fn look(text: &str, sensitive: &[&str], known: &[&str], ignored: &str) -> Result<Judgement, StepError> {
        let owners = CodeOwnersFile::parse(".github/CODEOWNERS".into(), text);
        let patterns = sensitive.iter().map(|pattern| Pattern::parse(pattern).expect("a pattern")).collect();
        let known: Vec<_> = known.iter().map(|owner| (*owner).to_owned()).collect();
        let exceptions = read_plain("ci/.trivyignore".into(), ignored.as_bytes()).exceptions;
        let sensitive = [(patterns, "@o/sec".to_owned())];
        let expected = Expected { sensitive: &sensitive, settings: None, known: &known, exceptions: &exceptions };
        judge(".github/CODEOWNERS".into(), &owners, &FILES.map(Utf8PathBuf::from), &expected)
    }

    const SENSITIVE: [&str; 3] = ["ci/**", ".github/**", "**/Dockerfile"];

    fn found(text: &str) -> Vec<String> {
        let judgement = look(text, &SENSITIVE, &[], "").expect("looked");
        let shown =
            |one: &Finding| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0));
        judgement.findings.iter().map(shown).collect()
    }

    #[test]
    fn each_defect_has_its_code() {
        assert!(found(GOOD).is_empty());
        assert_eq!(look(GOOD, &SENSITIVE, &[], "").expect("looked").sensitive, 4);
        for (from, to, codes) in [
            ("* @o/dev\n", "", &["CO-001 0"][..]),
            ("/docs/ @o/docs", "/docs/", &["CO-001 0"]),
            ("/ci/ @o/sec\n", "", &["CO-002 1"]),
            ("/ci/ @o/sec\n", "/ci/ @o/sec @o/dev\n", &["CO-002 3"]),
            ("/docs/ @o/docs\n", "/docs/ @o/docs\n*.toml @o/dev\n", &["CO-002 6"]),
            ("/ci/ @o/sec\n", "/ci/\n", &["CO-001 0", "CO-002 3"]),
            ("/docs/ @o/docs\n", "/docs/ @o/docs\n/docs/a.md @o/dev\n", &["CO-003 5"]),
            ("/docs/ @o/docs\n", "/dokcs/ @o/docs\n", &["CO-004 5"]),
            ("/docs/ @o/docs\n", "!docs @o/docs\n", &["CO-005 5"]),
            ("/docs/ @o/docs\n", "/docs/ @o/docs\r\n", &["CO-005 5"]),
            ("/docs/ @o/docs\n", "/docs/ @o/docs docs\n", &["CO-006 5"]),
            ("/docs/ @o/docs\n", "/docs/ @o/docs @ghost\n", &["CO-010 5"]),
        ] {
            assert_eq!(found(&GOOD.replacen(from, to, 1)), codes, "{to:?}");
        }
        let below = found("/ci/ @o/sec\n* @o/sec\n");
        assert_eq!(below, ["CO-003 1", "CO-009 2"]);
    }

    /// Rules, files, owners and exceptions in one number: no file is tried on every rule.
    #[test]
    fn long_lists_of_rules_and_files_are_joined_not_searched() {
        use crate::model::by_key::counting::is_linear;

        let judged = |rules: String, count: usize, sensitive: &[&str]| {
            let owners = CodeOwnersFile::parse("CODEOWNERS".into(), &rules);
            let files: Vec<_> = (0..count).map(|number| format!("d{number}/a.e{number}").into()).collect();
            let patterns = sensitive.iter().map(|pattern| Pattern::parse(pattern).expect("a pattern")).collect();
            let known: Vec<_> = (0..count).map(|number| format!("@o/T{number}")).collect();
            let sensitive = [(patterns, "@o/t0".to_owned())];
            let expected = Expected { sensitive: &sensitive, settings: None, known: &known, exceptions: &[] };
            judge("CODEOWNERS".into(), &owners, &files, &expected).expect("looked")
        };
        let rules = |count: usize, rule: &dyn Fn(usize) -> String| -> String {
            (0..count).map(|number| format!("{} @o/t{number}\n", rule(number))).collect()
        };
        let each = |number: usize| match number % 4 {
            0 => format!("/d{number}/"),
            1 => format!("*.e{number}"),
            2 => format!("d{number}"),
            _ => format!("**/d{number}/**"),
        };
        is_linear("a rule for each file", 60, |count| {
            let judgement = judged(rules(count, &each), count, &["*.e0"]);
            assert_eq!((judgement.findings.len(), judgement.unowned.len()), (0, 0));
        });
        is_linear("one rule said again and again", 60, |count| {
            let judgement = judged(rules(count, &|_| "/*/*".to_owned()), count, &["**"]);
            assert_eq!(judgement.findings.len(), count, "shadowed but for the last, and sensitive elsewhere");
        });
        let tried = judged(rules(1_500, &|number| format!("d{number}?")), 10_000, &["**"]);
        let left_out = tried.findings.iter().filter(|one| one.code.as_str() == "CO-005").count();
        assert_eq!(left_out, 500, "what has to be tried has a limit");
    }

    #[test]
    fn owners_may_be_limited_to_those_that_are_known() {
        assert!(look(GOOD, &SENSITIVE, &["@O/Dev", "@o/sec", "@o/docs"], "").expect("looked").findings.is_empty());
        let findings = look(GOOD, &SENSITIVE, &["@o/dev", "@o/sec"], "").expect("looked").findings;
        assert_eq!(findings[0].message, "@o/docs is not among the known owners");
        assert_eq!(findings[0].code.as_str(), "CO-006");
    }

    #[test]
    fn the_owner_of_an_exception_owns_its_file() {
        let entry = |owner| {
            format!(
                "# reason: the affected parser is never used here\n# owner: {owner}\nCVE-2023-32681 exp:2027-01-01\n"
            )
        };
        assert!(look(GOOD, &SENSITIVE, &[], &entry("@o/sec")).expect("looked").findings.is_empty());
        let findings = look(GOOD, &SENSITIVE, &[], &entry("@o/dev")).expect("looked").findings;
        assert_eq!(findings[0].code.as_str(), "CO-011");
        assert_eq!(
            findings[0].message,
            "@o/dev answers for the exception for CVE-2023-32681, but @o/sec owns the file"
        );
        assert_eq!(findings[0].location.as_ref().expect("a place").to_string(), "ci/.trivyignore:3:1");
    }

    #[test]
    fn a_sensitive_pattern_that_protects_nothing_is_an_error() {
        let error = look(GOOD, &["ci/**", "xtaks/**"], &[], "").expect_err("idle").to_string();
        assert!(error.contains("`xtaks/**` matches no file"), "{error}");
    }
}
