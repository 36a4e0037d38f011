use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bolt::Bucket;
use super::{Advisory, AdvisoryList, BoltError, Ecosystem};
use crate::model::Severity;

/// Trivy looks for the advisories of an ecosystem in every bucket with the ecosystem's prefix; the rest is for people.
const BUCKET_PYPI: &str = "pip::PyPA Advisory Database";
/// The name that Trivy reports as the source of a severity.
const SOURCE_ID: &str = "pypa";

/// What Trivy keeps about one flaw in one package, gathered from every advisory about it.
#[derive(Debug, Default)]
struct Flaw<'a> {
    other_ids: Vec<&'a str>,
    patched: Vec<&'a str>,
    vulnerable: Vec<String>,
}

/// The bytes of a `trivy.db` that knows these advisories and nothing else.
///
/// The same lists give the same bytes. A CVE that a package has twice becomes one entry with all its ranges.
///
/// # Errors
/// When there is more than the file format holds; nothing is left out silently.
pub fn trivy_db(lists: &[AdvisoryList]) -> Result<Vec<u8>, BoltError> {
    let mut root = Bucket::default();
    let mut flaws: BTreeMap<(&str, String, &str), Flaw<'_>> = BTreeMap::new();
    let mut details: BTreeMap<&str, &Advisory> = BTreeMap::new();
    for list in lists {
        let bucket = match list.ecosystem {
            Ecosystem::PyPi => BUCKET_PYPI,
        };
        root.bucket("data-source").put(bucket, bytes(&json!({"ID": SOURCE_ID, "Name": list.source})));
        for advisory in &list.advisories {
            let id = advisory.primary_id();
            for package in advisory.spellings() {
                let flaw = flaws.entry((bucket, package, id)).or_default();
                advisory.other_ids().for_each(|other| push_new(&mut flaw.other_ids, other));
                for range in &advisory.ranges {
                    push_new(&mut flaw.vulnerable, range.constraint());
                    range.fixed.iter().for_each(|fixed| push_new(&mut flaw.patched, fixed));
                }
            }
            let detail = details.entry(id).or_insert(advisory);
            if detail.cvss.is_none() {
                *detail = advisory;
            }
        }
    }
    for ((bucket, package, id), Flaw { other_ids, patched, vulnerable }) in flaws {
        let value = json!({"VendorIDs": other_ids, "PatchedVersions": patched, "VulnerableVersions": vulnerable});
        root.bucket(bucket).bucket(&package).put(id, bytes(&value));
    }
    for (id, advisory) in details {
        root.bucket("vulnerability").put(id, bytes(&detail(advisory)));
    }
    root.into_file()
}

/// What Trivy keeps about one flaw, whatever the package.
fn detail(advisory: &Advisory) -> Value {
    let severity = advisory.severity();
    let mut detail = json!({
        "Severity": word(severity),
        "References": [format!("https://osv.dev/vulnerability/{}", advisory.id)],
        "LastModifiedDate": format!("{}T00:00:00Z", advisory.modified),
    });
    if let Some(published) = advisory.published {
        detail["PublishedDate"] = json!(format!("{published}T00:00:00Z"));
    }
    if let Some((vector, score)) = advisory.cvss.as_deref().zip(advisory.score()) {
        detail["VendorSeverity"] = json!({SOURCE_ID: number(severity)});
        detail["CVSS"] = json!({SOURCE_ID: {"V3Vector": vector, "V3Score": score}});
    }
    detail
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
        Severity::Unknown => "UNKNOWN",
    }
}

/// The numbers that Trivy gives its severities.
fn number(severity: Severity) -> u8 {
    match severity {
        Severity::Unknown => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../../../../ci/advisories/pypi.json");

    fn contains(file: &[u8], text: &str) -> bool {
        file.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn this_repository_s_advisories_make_a_database() {
        let list = AdvisoryList::from_json(LIST.as_bytes()).expect("a list");
        assert_eq!((list.advisories.len(), list.as_of.to_string().as_str()), (2650, "2024-10-10"));
        assert!(list.knows("flask", "CVE-2018-1000656"));
        let file = trivy_db(std::slice::from_ref(&list)).expect("fits");
        assert_eq!(file.len() % 4096, 0);
        assert!(contains(
            &file,
            r#"CVE-2023-32681{"VendorIDs":["PYSEC-2023-74","GHSA-j8r2-6x86-q33q"],"PatchedVersions":["2.31.0"],"VulnerableVersions":[">=2.3.0, <2.31.0"]}"#
        ));
        assert_eq!(file, trivy_db(&[list]).expect("fits"), "the same list must give the same bytes");
    }

    #[test]
    fn advisories_of_one_cve_are_merged() {
        let list = AdvisoryList::from_json(LIST.as_bytes()).expect("a list");
        let file = trivy_db(&[list]).expect("fits");
        assert!(contains(
            &file,
            r#"CVE-2021-42343{"VendorIDs":["PYSEC-2021-871","GHSA-hwqr-f3v9-hwxr","PYSEC-2021-872","GHSA-j8fq-86c5-5v2r"],"PatchedVersions":["2021.10.0"],"VulnerableVersions":["<2021.10.0"]}"#
        ));
    }
}
