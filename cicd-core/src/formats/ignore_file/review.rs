use std::collections::BTreeSet;

use super::entry::defect;
use super::{IgnoreCode, IgnoreFile};
use crate::model::{Finding, Target};
use crate::policy::{Exception, FindingsByName, Scope};

/// More places than these are counted, not named.
const NAMED_MAX: usize = 5;

/// What can be said of the entries of a file for vulnerabilities and files beside what the policy says of any exception: a version without the flaw exists and nothing
/// says why it is not taken, and an entry without a scope that hides more than one place.
#[must_use]
pub fn review_file(file: &IgnoreFile, found: &[Finding]) -> Vec<Finding> {
    let by_name = FindingsByName::new(found, &file.exceptions);
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

fn fix_exists(exception: &Exception, covered: &[&Finding]) -> Option<Finding> {
    let (fixed, version) = covered.iter().find_map(|finding| Some((finding, finding.fixed_in.as_ref()?)))?;
    let package = fixed.target.as_ref().map_or_else(String::new, |target| format!(" of {}", target.broad()));
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
        covered.iter().filter_map(|finding| finding.target.as_ref()).map(Target::broad).collect();
    (targets.len() > 1).then(|| {
        let key = if targets.iter().any(|target| matches!(target, Target::Package(_))) { "purl" } else { "path" };
        let scopes: Vec<_> = targets.iter().take(NAMED_MAX).map(|target| format!("`# {key}: {target}`")).collect();
        let message = format!("the entry for {} hides findings in {} places", exception.id, targets.len());
        let help = format!("keep of these what it is meant for, above the entry: {}", scopes.join(", "));
        defect(IgnoreCode::TooBroad, exception.location.clone(), message).help(help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ignore_file::read_plain;
    use crate::model::Code;

    fn entry(id: &str, expires: &str) -> String {
        format!("# reason: the affected parser is never used here\n# owner: @org/team\n{id} exp:{expires}\n")
    }

    fn flaw(target: &str, fixed_in: Option<&str>) -> Finding {
        let mut flaw = Finding::with_code(Code::new("CVE-2023-32681"), "m").target(Target::package(target));
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
}
