use super::*;
use crate::model::Severity;

const REPORTS: [&str; 2] = [
    include_str!("../../../tests/data/trivy/debian-python-0.70.0.json"),
    include_str!("../../../tests/data/trivy/debian-python-0.76.0.json"),
];

fn read(text: &str) -> Result<TrivyReport, TrivyReportError> {
    TrivyReport::from_json(text.as_bytes())
}

#[test]
fn reports_of_both_versions_say_the_same() {
    let [old, new] = REPORTS.map(|text| read(text).expect("a report"));
    assert_eq!((old.version.as_deref(), new.version.as_deref()), (Some("0.70.0"), Some("0.76.0")));
    for report in [old, new] {
        let os = report.os.as_ref().expect("an operating system");
        assert_eq!((os.family.as_str(), os.name.as_str(), os.end_of_life), ("debian", "12.11", false));
        assert_eq!((report.os_packages().count(), report.packages_of("python-pkg").count()), (1, 4));
        let seen: Vec<_> = report.vulnerabilities().map(|it| (it.id.as_str(), it.severity)).collect();
        assert_eq!(
            seen,
            [
                ("CVE-2023-30861", Severity::Unknown),
                ("CVE-2023-46136", Severity::High),
                ("CVE-2023-23934", Severity::Unknown),
                ("CVE-2023-25577", Severity::Unknown),
                ("CVE-2023-32681", Severity::Unknown),
            ]
        );
        let first = report.vulnerabilities().next().expect("a flaw");
        assert_eq!(first.identifier.purl.as_deref(), Some("pkg:pypi/flask@2.2.2"));
        assert_eq!(first.other_ids, ["PYSEC-2023-62", "GHSA-m2qf-hxjv-5gpq"]);
    }
}

#[test]
fn an_image_without_anything_is_a_report_without_results() {
    let report = read(include_str!("../../../tests/data/trivy/scratch-0.70.0.json")).expect("a report");
    assert!(report.os.is_none() && report.results.is_empty());
}

#[test]
fn a_report_cut_anywhere_is_no_report() {
    let whole = REPORTS[0].trim_end();
    for end in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        assert!(read(&whole[..end]).is_err(), "{end} bytes were accepted");
    }
}

#[test]
fn what_is_not_one_report_is_refused() {
    let whole = REPORTS[0];
    let deep = format!("{}\"Extra\": {}1{} }}", &whole[..2], "[".repeat(200), "]".repeat(200));
    for text in [
        "null",
        "[]",
        "{}",
        r#"{"SchemaVersion": 2}"#,
        &whole.replacen("\"SchemaVersion\": 2", "\"SchemaVersion\": 1", 1),
        &whole.replacen("\"SchemaVersion\": 2", "\"SchemaVersion\": 3", 1),
        &whole.replacen("\"SchemaVersion\": 2", "\"SchemaVersion\": \"2\"", 1),
        &whole.replacen("\"SchemaVersion\": 2", "\"SchemaVersion\": 2, \"SchemaVersion\": 2", 1),
        &whole.replacen("\"VulnerabilityID\"", "\"VulnerabilityId\"", 1),
        &whole.replacen("\"2.2.2\"", "222", 1),
        &whole.replacen("\"Flask\"", "\"\\ud800\"", 1),
        &format!("{whole}{whole}"),
        &format!("{whole}x"),
        &deep,
    ] {
        assert!(read(text).is_err(), "{} was accepted", &text[..text.len().min(60)]);
    }
    let mut bytes = whole.as_bytes().to_vec();
    let name = whole.find("Flask").expect("a name");
    bytes[name] = 0xFF;
    assert!(TrivyReport::from_json(&bytes).is_err(), "invalid UTF-8 was accepted");
}

#[test]
fn what_a_later_version_may_write_does_no_harm() {
    let text = REPORTS[0]
        .replacen("\"SchemaVersion\": 2", "\"SchemaVersion\": 2, \"New\": {\"a\": [null]}", 1)
        .replacen("\"lang-pkgs\"", "\"brand-new\"", 1)
        .replace("\"HIGH\"", "\"CATASTROPHIC\"");
    let report = read(&text).expect("a report");
    assert_eq!(report.vulnerabilities().count(), 5);
    assert!(report.vulnerabilities().all(|it| it.severity == Severity::Unknown));
    for results in ["\"Results\": null", "\"Other\": []"] {
        let start = REPORTS[0].find("\"Results\"").expect("results");
        let report = read(&format!("{}{results}}}", &REPORTS[0][..start])).expect("a report");
        assert!(report.results.is_empty());
    }
}

#[test]
fn what_trivy_suppresses_by_itself_is_counted() {
    let text = REPORTS[0].replacen(
        "\"Class\": \"lang-pkgs\"",
        "\"Class\": \"lang-pkgs\", \"ExperimentalModifiedFindings\": [{\"Status\": \"ignored\"}]",
        1,
    );
    assert_eq!(read(&text).expect("a report").results.iter().map(|it| it.suppressed).sum::<usize>(), 1);
}
