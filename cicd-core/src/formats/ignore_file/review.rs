use std::collections::{BTreeSet, HashMap};

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::entry::defect;
use super::{IgnoreCode, IgnoreFile};
use crate::formats::codeowners::CodeOwnersFile;
use crate::formats::{ExpiryLimits, closest};
use crate::model::{Finding, Level, Severity};
use crate::policy::{Exception, FindingsByName, Scope, expired};

/// How many days ahead an expiry is announced: time for one ordinary upgrade.
const ANNOUNCED_DAYS: i64 = 14;
/// More places than these are counted, not named.
const NAMED_MAX: usize = 5;

/// What can be said of complete entries only when it is known what was found: an expiry beyond what the severity allows, one flaw
/// listed under two names, and, as a warning, an expiry that is near.
#[must_use]
pub fn review(exceptions: &[Exception], found: &[Finding], limits: ExpiryLimits, today: Date) -> Vec<Finding> {
    let by_name = FindingsByName::new(found);
    let mut earlier: HashMap<usize, Vec<&Exception>> = HashMap::new();
    let mut review = Vec::new();
    for exception in exceptions {
        let covered: Vec<_> = by_name.covered_by(exception).collect();
        review.extend(too_far(exception, covered.iter().map(|(_, finding)| *finding), limits, today));
        review.extend(soon(exception, today));
        let others = covered.iter().filter_map(|(index, _)| earlier.get(index)).flatten();
        review.extend(listed_twice(exception, others.copied()));
        for (index, _) in covered {
            earlier.entry(index).or_default().push(exception);
        }
    }
    review
}

/// What can be said of complete entries before anything is scanned: that one has expired, is near its expiry, or expires later than
/// any severity allows.
#[must_use]
pub fn review_alone(exceptions: &[Exception], limits: ExpiryLimits, today: Date) -> Vec<Finding> {
    let days = limits.days_max(Severity::Low);
    let beyond_all = |exception: &Exception| {
        let last = today.checked_add(i64::from(days).days()).ok()?;
        let expires = exception.justification.expires;
        (expires > last).then(|| {
            let message = format!("the entry for {} expires on {expires}; {days} days are the most", exception.id);
            defect(IgnoreCode::ExpiryTooFar, exception.location.clone(), message)
                .help(format!("write {last} or earlier"))
        })
    };
    let each = exceptions.iter().flat_map(|one| [expired(one, today), beyond_all(one), soon(one, today)]);
    each.flatten().collect()
}

/// What can be said of the entries of a file for flaws and files, beyond [`review`]: a version without the flaw exists and nothing
/// says why it is not taken, and an entry without a scope that hides more than one place.
#[must_use]
pub fn review_file(file: &IgnoreFile, found: &[Finding]) -> Vec<Finding> {
    let by_name = FindingsByName::new(found);
    let mut review = Vec::new();
    for exception in &file.exceptions {
        let covered: Vec<_> = by_name.covered_by(exception).map(|(_, finding)| finding).collect();
        if !file.fix_blocked_by.contains_key(&exception.location) {
            review.extend(fix_exists(exception, &covered));
        }
        review.extend(too_broad(exception, &covered));
    }
    review
}

/// The exceptions whose owner CODEOWNERS does not name anywhere, which makes the owner a stranger or a slip of the pen.
#[must_use]
pub fn unknown_owners(exceptions: &[Exception], owners: &CodeOwnersFile) -> Vec<Finding> {
    let known: Vec<_> = owners.rules.iter().flat_map(|rule| &rule.owners).collect();
    let strangers = exceptions.iter().filter(|exception| {
        let owner = &exception.justification.owner;
        !known.iter().any(|known| known.is(owner))
    });
    let finding = |exception: &Exception| {
        let owner = &exception.justification.owner;
        let message = format!("{owner} answers for the entry for {}, but CODEOWNERS does not know them", exception.id);
        let finding = defect(IgnoreCode::UnknownOwner, exception.location.clone(), message);
        match closest(owner, known.iter().map(|known| known.as_str())) {
            Some(meant) => finding.help(format!("did you mean {meant}?")),
            None => finding,
        }
    };
    strangers.map(finding).collect()
}

fn fix_exists(exception: &Exception, covered: &[&Finding]) -> Option<Finding> {
    let (fixed, version) = covered.iter().find_map(|finding| Some((finding, finding.fixed_in.as_ref()?)))?;
    let package = fixed.target.as_deref().map_or_else(String::new, |target| format!(" of {}", unversioned(target)));
    let message =
        format!("{} is fixed in {version}{package}, and the entry does not say what is in the way", exception.id);
    let help =
        format!("upgrade to {version}, or write `# fix-blocked-by: why that cannot be done yet` above the entry");
    Some(defect(IgnoreCode::FixExists, exception.location.clone(), message).help(help))
}

fn too_broad(exception: &Exception, covered: &[&Finding]) -> Option<Finding> {
    if exception.scope != Scope::Any {
        return None;
    }
    let targets: BTreeSet<_> =
        covered.iter().filter_map(|finding| finding.target.as_deref()).map(unversioned).collect();
    (targets.len() > 1).then(|| {
        let key = if targets.iter().any(|target| target.starts_with("pkg:")) { "purl" } else { "path" };
        let scopes: Vec<_> = targets.iter().take(NAMED_MAX).map(|target| format!("`# {key}: {target}`")).collect();
        let message = format!("the entry for {} hides findings in {} places", exception.id, targets.len());
        let help = format!("keep of these what it is meant for, above the entry: {}", scopes.join(", "));
        defect(IgnoreCode::TooBroad, exception.location.clone(), message).help(help)
    })
}

/// A package URL without its version; anything else as it is.
fn unversioned(target: &str) -> &str {
    match target.strip_prefix("pkg:") {
        Some(_) => target.split(['@', '?']).next().unwrap_or(target),
        None => target,
    }
}

fn too_far<'a>(
    exception: &Exception,
    covered: impl Iterator<Item = &'a Finding>,
    limits: ExpiryLimits,
    today: Date,
) -> Option<Finding> {
    let strictest = covered.min_by_key(|finding| limits.days_max(finding.severity))?;
    let (severity, days) = (strictest.severity, limits.days_max(strictest.severity));
    let last = today.checked_add(i64::from(days).days()).ok()?;
    let expires = exception.justification.expires;
    (expires > last).then(|| {
        let message = format!(
            "the entry for {} expires on {expires}; {severity} flaws may be ignored for {days} days at most",
            exception.id
        );
        defect(IgnoreCode::ExpiryTooFar, exception.location.clone(), message).help(format!("write {last} or earlier"))
    })
}

fn soon(exception: &Exception, today: Date) -> Option<Finding> {
    let expires = exception.justification.expires;
    let announced = today.checked_add(ANNOUNCED_DAYS.days()).ok()?;
    (expires > today && expires <= announced).then(|| {
        let message = format!("the entry for {} expires on {expires}", exception.id);
        defect(IgnoreCode::ExpiresSoon, exception.location.clone(), message).level(Level::Warn).severity(Severity::Low)
    })
}

fn listed_twice<'a>(exception: &Exception, mut earlier: impl Iterator<Item = &'a Exception>) -> Option<Finding> {
    let other = earlier.find(|other| other.id != exception.id)?;
    let message = format!("{} is the flaw that {} already lists as {}", exception.id, other.location, other.id);
    Some(defect(IgnoreCode::ListedTwice, exception.location.clone(), message))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::formats::Limits;
    use crate::formats::ignore_file::read_plain;
    use crate::model::Code;

    const TODAY: Date = date(2026, 11, 21);

    fn codes(text: &str, severity: Severity) -> Vec<(String, String)> {
        let file = read_plain("i".into(), text.as_bytes());
        assert!(file.findings.is_empty(), "{:?}", file.findings);
        let mut flaw = Finding::with_code(Code::new("CVE-2023-32681"), "m").severity(severity);
        flaw.aliases = vec!["GHSA-j8r2-6x86-q33q".to_owned()];
        review(&file.exceptions, &[flaw], Limits::default().expiry, TODAY)
            .into_iter()
            .map(|finding| (finding.code.to_string(), finding.location.expect("a place").to_string()))
            .collect()
    }

    fn entry(id: &str, expires: &str) -> String {
        format!("# reason: the affected parser is never used here\n# owner: @org/team\n{id} exp:{expires}\n")
    }

    #[test]
    fn an_expiry_is_capped_by_severity() {
        for (severity, expires, capped) in [
            (Severity::Critical, "2026-12-21", false),
            (Severity::Critical, "2026-12-22", true),
            (Severity::High, "2027-02-19", false),
            (Severity::High, "2027-02-20", true),
            (Severity::Low, "2027-05-20", false),
            (Severity::Unknown, "2026-12-22", true),
            (Severity::Low, "9999-12-31", true),
        ] {
            let seen = codes(&entry("CVE-2023-32681", expires), severity);
            assert_eq!(!seen.is_empty(), capped, "{severity} {expires}: {seen:?}");
            assert!(seen.iter().all(|(code, place)| code == "IGN-005" && place == "i:3:1"));
        }
    }

    fn flaw(target: &str, fixed_in: Option<&str>) -> Finding {
        let mut flaw = Finding::with_code(Code::new("CVE-2023-32681"), "m").target(target);
        flaw.fixed_in = fixed_in.map(str::to_owned);
        flaw
    }

    fn of_file(text: &str, found: &[Finding]) -> Vec<(String, String)> {
        let file = read_plain("i".into(), text.as_bytes());
        let review = review_file(&file, found).into_iter();
        review.map(|finding| (finding.code.to_string(), finding.help.expect("a fix"))).collect()
    }

    #[test]
    fn a_flaw_with_a_fix_is_ignored_only_for_a_reason_of_its_own() {
        let plain = entry("CVE-2023-32681", "2027-01-01");
        let blocked = format!("# fix-blocked-by: our plugin needs the old interface\n{plain}");
        let requests = [flaw("pkg:pypi/requests@2.30.0", Some("2.31.0"))];
        let seen = of_file(&plain, &requests);
        assert_eq!(seen[0].0, "IGN-012");
        assert!(seen[0].1.starts_with("upgrade to 2.31.0, or write `# fix-blocked-by:"), "{seen:?}");
        assert!(of_file(&blocked, &requests).is_empty());
        assert!(of_file(&plain, &[flaw("pkg:pypi/requests@2.30.0", None)]).is_empty());
    }

    #[test]
    fn an_entry_for_more_than_one_place_has_to_name_them() {
        let two = [flaw("pkg:pypi/a@1", None), flaw("pkg:pypi/b@1", None)];
        let plain = entry("CVE-2023-32681", "2027-01-01");
        let seen = of_file(&plain, &two);
        assert_eq!(seen[0].0, "IGN-015");
        assert!(seen[0].1.ends_with("`# purl: pkg:pypi/a`, `# purl: pkg:pypi/b`"), "{seen:?}");
        assert!(of_file(&format!("# purl: pkg:pypi/a\n# purl: pkg:pypi/b\n{plain}"), &two).is_empty());
        assert!(of_file(&plain, &two[..1]).is_empty());
        assert!(of_file(&plain, &[flaw("pkg:pypi/a@1", None), flaw("pkg:pypi/a@2", None)]).is_empty(), "one package");
    }

    #[test]
    fn an_owner_that_codeowners_does_not_know_is_a_finding() {
        let owners = CodeOwnersFile::parse("CODEOWNERS".into(), "* @org/Team\n/ci/ @org/security\n");
        let text = entry("CVE-2023-32681", "2027-01-01");
        let exceptions = |owner: &str| read_plain("i".into(), text.replace("@org/team", owner).as_bytes()).exceptions;
        assert!(unknown_owners(&exceptions("@org/team"), &owners).is_empty());
        let findings = unknown_owners(&exceptions("@org/secruity"), &owners);
        assert_eq!(
            (findings[0].code.as_str(), findings[0].help.as_deref()),
            ("IGN-010", Some("did you mean @org/security?"))
        );
        assert_eq!(unknown_owners(&exceptions("@elsewhere/x"), &CodeOwnersFile::default()).len(), 1);
    }

    #[test]
    fn a_near_expiry_is_announced() {
        let seen = |expires| codes(&entry("CVE-2023-32681", expires), Severity::Low);
        assert_eq!(seen("2026-12-05"), [("IGN-014".to_owned(), "i:3:1".to_owned())]);
        assert!(seen("2026-12-06").is_empty());
        assert!(seen("2026-11-21").is_empty(), "what has expired is the policy's to say");
    }

    #[test]
    fn one_flaw_under_two_names_is_one_too_many() {
        let text = entry("CVE-2023-32681", "2027-01-01") + "\n" + &entry("GHSA-j8r2-6x86-q33q", "2027-01-01");
        assert_eq!(codes(&text, Severity::Low), [("IGN-013".to_owned(), "i:7:1".to_owned())]);
    }
}
