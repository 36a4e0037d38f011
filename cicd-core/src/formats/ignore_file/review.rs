use jiff::ToSpan as _;
use jiff::civil::Date;

use super::IgnoreCode;
use super::entry::defect;
use crate::formats::ExpiryLimits;
use crate::model::{Finding, Level, Severity};
use crate::policy::{Exception, expired};

/// How many days ahead an expiry is announced: time for one ordinary upgrade.
const ANNOUNCED_DAYS: i64 = 14;

/// What can be said of complete entries only when it is known what was found: an expiry beyond what the severity allows, one flaw
/// listed under two names, and, as a warning, an expiry that is near.
#[must_use]
pub fn review(exceptions: &[Exception], found: &[Finding], limits: ExpiryLimits, today: Date) -> Vec<Finding> {
    let mut review = Vec::new();
    for (index, exception) in exceptions.iter().enumerate() {
        let covered: Vec<_> = found.iter().filter(|finding| exception.covers(finding)).collect();
        review.extend(too_far(exception, &covered, limits, today));
        review.extend(soon(exception, today));
        review.extend(listed_twice(exception, &exceptions[..index], &covered));
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

fn too_far(exception: &Exception, covered: &[&Finding], limits: ExpiryLimits, today: Date) -> Option<Finding> {
    let strictest = covered.iter().min_by_key(|finding| limits.days_max(finding.severity))?;
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

fn listed_twice(exception: &Exception, earlier: &[Exception], covered: &[&Finding]) -> Option<Finding> {
    let other =
        earlier.iter().find(|other| other.id != exception.id && covered.iter().any(|finding| other.covers(finding)))?;
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
