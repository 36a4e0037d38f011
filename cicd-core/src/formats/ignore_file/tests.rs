use super::file::BYTES_MAX;
use super::*;
use crate::model::{Code, Finding, FindingCode as _, Location, Target};
use crate::policy::{Origin, Policy, Scope, evaluate};

/// A complete block; the entry that follows is on line 4.
const BLOCK: &str =
    "# reason: the affected parser is never given outside input\n# owner: @org/security\n# expires: 2027-01-01\n";

fn plain(text: &str) -> IgnoreFile {
    read_plain("i".into(), text.as_bytes())
}

fn yaml(text: &str) -> IgnoreFile {
    read_yaml("i.yaml".into(), text.as_bytes()).expect("readable")
}

/// What is wrong, as `CODE line:column`.
fn complaints(file: &IgnoreFile) -> Vec<String> {
    let mut seen = Vec::new();
    for finding in &file.findings {
        let at = finding.location.as_ref().expect("every finding has a place");
        assert!(finding.help.as_ref().is_some_and(|help| !help.is_empty()), "{finding:?} has no help");
        assert!(!finding.message.chars().any(char::is_control), "{finding:?}");
        seen.push(format!("{} {}:{}", finding.code, at.line.unwrap_or(0), at.column.unwrap_or(0)));
    }
    seen
}

#[test]
fn a_complete_entry_is_an_exception() {
    let file = plain(&format!(
        "# free text\n\n{BLOCK}# ticket: SEC-12\n# purl: pkg:pypi/requests\n  CVE-2023-32681 exp:2027-01-01\r\n"
    ));
    assert!(file.findings.is_empty(), "{:?}", file.findings);
    let [exception] = file.exceptions.as_slice() else { panic!("{:?}", file.exceptions) };
    assert_eq!(exception.id, "CVE-2023-32681");
    assert_eq!(exception.origin, Origin::IgnoreFile);
    assert_eq!(exception.location.to_string(), "i:8:3");
    assert_eq!(exception.scope, Scope::target(Target::package("pkg:pypi/requests")));
    assert_eq!(exception.justification.owner, "@org/security");
    assert_eq!(exception.justification.expires.to_string(), "2027-01-01");
}

#[test]
fn an_entry_for_the_second_opinion_is_kept_apart() {
    let file = plain(&format!("{BLOCK}# found-by: pip-audit\nPYSEC-2023-74\n\n{BLOCK}CVE-2023-32681\n"));
    let ids = |list: &[crate::policy::Exception]| list.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&file.exceptions), ids(&file.second_opinion)),
        (vec!["CVE-2023-32681".into()], vec!["PYSEC-2023-74".into()])
    );
    assert_eq!(complaints(&plain(&format!("{BLOCK}# found-by: somebody\nPYSEC-2023-74\n"))), ["IGN-011 4:13"]);
    assert_eq!(
        complaints(&plain(&format!("{BLOCK}# found-by: pip-audit\nPYSEC-2023-74\n\n{BLOCK}PYSEC-2023-74\n"))),
        ["IGN-007 10:1"]
    );
    let text = "vulnerabilities:\n- id: PYSEC-2023-74\n  statement: the affected parser is never given outside input\n  owner: '@org/security'\n  expired_at: 2027-01-01\n  found_by: pip-audit\n";
    let file = yaml(text);
    assert_eq!((complaints(&file), ids(&file.second_opinion)), (Vec::new(), vec!["PYSEC-2023-74".to_owned()]));
}

#[test]
fn harmless_spellings_are_no_findings() {
    let without_expiry = BLOCK.rsplit_once("# expires").expect("three lines").0;
    for text in [
        String::new(),
        "\n\n# nothing\n".to_owned(),
        format!("{BLOCK}CVE-2023-32681"),
        format!("{BLOCK}CVE-2023-32681\n").replace('\n', "\r\n"),
        format!("\u{FEFF}{BLOCK}CVE-2023-32681\n"),
        format!("{without_expiry}CVE-2023-32681 exp:2027-01-01\n"),
        format!("{without_expiry}CVE-2023-32681\texp:2024-02-29\n"),
        format!("{BLOCK}# https://example.org/advisory: see there\nGHSA-j8r2-6x86-q33q\n"),
    ] {
        assert_eq!(complaints(&plain(&text)), [""; 0], "{text:?}");
    }
}

/// Every way of writing a line that Trivy takes for something else, or that lacks something.
#[test]
fn every_defect_has_its_code_and_place() {
    let missing = ["IGN-001 1:1", "IGN-002 1:1", "IGN-003 1:1"].as_slice();
    let after = |line: &str| format!("{BLOCK}{line}\n");
    let cases: &[(String, &[&str])] = &[
        ("CVE-2023-32681".into(), missing),
        ("CVE-2023-32681 exp:2099-01-01".into(), &["IGN-001 1:1", "IGN-002 1:1"]),
        (after("CVE-2023-32681 any words"), &["IGN-009 4:16"]),
        (after("CVE-2023-32681 # reason"), &["IGN-009 4:16"]),
        (after("CVE-2023-32681 EXP:2027-01-01"), &["IGN-009 4:16"]),
        (after("CVE-2023-32681 expires:2027-01-01"), &["IGN-009 4:16"]),
        (after("CVE-2023-32681 exp:2027-01-02"), &["IGN-009 4:20"]),
        (after("CVE-2023-32681 exp:2027-01-01 exp:2027-01-02"), &["IGN-009 4:31"]),
        (after("CVE-2023-32681 exp: 2027-01-01"), &["IGN-009 4:21", "IGN-009 4:20", "IGN-003 4:20"]),
        (after("CVE-2023-32681 exp:2027-01-01T00:00:00Z"), &["IGN-009 4:20", "IGN-003 4:20"]),
        ("CVE-2023-32681 exp:2023-13-01".into(), &["IGN-001 1:1", "IGN-002 1:1", "IGN-003 1:20"]),
        ("CVE-2023-32681 exp:01/02/2099".into(), &["IGN-001 1:1", "IGN-002 1:1", "IGN-003 1:20"]),
        (BLOCK.replace("2027-01-01", "2023-02-29") + "CVE-2023-32681", &["IGN-003 3:12"]),
        (BLOCK.replace("2027-01-01", "20270101") + "CVE-2023-32681", &["IGN-003 3:12"]),
        (BLOCK.replace("@org/security", "somebody") + "CVE-2023-32681", &["IGN-002 2:10"]),
        (BLOCK.replace("@org/security", "@org/s\u{0435}curity") + "CVE-2023-32681", &["IGN-002 2:10"]),
        (BLOCK.replace("@org/security", "") + "CVE-2023-32681", &["IGN-002 4:1"]),
        (
            BLOCK.replace("the affected parser is never given outside input", "TODO") + "CVE-2023-32681",
            &["IGN-001 1:11"],
        ),
        (BLOCK.replace("outside input", "outside\u{202e} input") + "CVE-2023-32681", &["IGN-009 1:53"]),
        (format!("\u{FEFF}CVE-2023-32681\n{BLOCK}"), &["IGN-009 1:1", "IGN-001 1:2", "IGN-002 1:2", "IGN-003 1:2"]),
        (after("CVE-2023-32681\u{a0}"), &["IGN-009 4:15"]),
        (after("CVE\u{2011}2023\u{2011}32681"), &["IGN-009 4:4"]),
        (after("CVE-2023-\u{200b}32681"), &["IGN-009 4:10"]),
        (after("CVE-2023-32681\rCVE-2023-1"), &["IGN-009 4:15", "IGN-009 4:16"]),
        (after("CVE-2023-32681\0"), &["IGN-009 4:15"]),
        (after("cve-2023-32681"), &["IGN-009 4:1"]),
        (after("CVE-2023-32681,CVE-2023-1234"), &["IGN-009 4:1"]),
        (after("CVE-2023-*"), &["IGN-009 4:1"]),
        (after("*"), &["IGN-009 4:1"]),
        (after("CVE-23-32681"), &["IGN-008 4:1"]),
        (after("<<<<<<< HEAD"), &["IGN-009 4:9"]),
        (after("======="), &["IGN-008 4:1"]),
        (after("# purl: requests\nCVE-2023-32681"), &["IGN-008 4:9"]),
        (after("# path: app/a.env\nCVE-2023-32681"), &["IGN-011 4:9"]),
        (after("# purl: pkg:pypi/a\nDS-0002"), &["IGN-011 4:9"]),
        (after("# path: app/*.env\naws-access-key-id"), &["IGN-008 4:9"]),
        (after("# fix-blocked-by: later\nCVE-2023-32681"), &["IGN-012 4:19"]),
        (after("ds-0002"), &["IGN-009 4:1"]),
        (after("DS-2"), &["IGN-008 4:1"]),
        (after("# owner: @org/other\nCVE-2023-32681"), &["IGN-011 4:3"]),
        (BLOCK.replace("expires", "expire") + "CVE-2023-32681", &["IGN-011 3:3", "IGN-003 4:1"]),
        (BLOCK.replace("reason", "resaon") + "CVE-2023-32681", &["IGN-011 1:3", "IGN-001 4:1"]),
        (BLOCK.replace("expires", "until") + "CVE-2023-32681", &["IGN-011 3:3", "IGN-003 4:1"]),
        (after("\nCVE-2023-32681"), &["IGN-001 5:1", "IGN-002 5:1", "IGN-003 5:1"]),
        (after("CVE-2023-32681\nCVE-2023-1234"), &["IGN-001 5:1", "IGN-002 5:1", "IGN-003 5:1"]),
        (after("CVE-2023-32681") + &after("CVE-2023-32681"), &["IGN-007 8:1"]),
        (after("# purl: pkg:pypi/a\nCVE-2023-32681") + &after("CVE-2023-32681"), &["IGN-007 9:1"]),
        (after("CVE-2023-32681") + &"x".repeat(70_000), &["IGN-009 5:1", "IGN-001 5:1", "IGN-002 5:1", "IGN-003 5:1"]),
    ];
    for (text, expected) in cases {
        assert_eq!(complaints(&plain(text)), *expected, "{:?}", text.chars().take(300).collect::<String>());
    }
}

#[test]
fn a_block_above_two_entries_serves_the_first_only() {
    let file = plain(&format!("{BLOCK}CVE-2023-32681\nCVE-2023-1234\n"));
    assert_eq!(file.exceptions.len(), 1);
    assert!(
        file.findings[0].message.ends_with("the comments above belong to the entry on line 4"),
        "{:?}",
        file.findings
    );
    let file = plain(&format!("{BLOCK}\nCVE-2023-32681\n"));
    assert!(file.exceptions.is_empty());
    assert!(
        file.findings[0].message.ends_with("the comments above are cut off by the empty line 4"),
        "{:?}",
        file.findings
    );
}

#[test]
fn entries_for_different_packages_are_no_duplicates() {
    let one = |name: &str| format!("{BLOCK}# purl: pkg:pypi/{name}\nCVE-2023-32681\n");
    assert_eq!(plain(&(one("a") + &one("b"))).exceptions.len(), 2);
}

#[test]
fn a_file_that_is_not_text_allows_nothing() {
    let utf16: Vec<u8> = "\u{FEFF}CVE-2023-32681\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let file = read_plain("i".into(), &utf16);
    assert_eq!((complaints(&file), file.exceptions.len()), (vec!["IGN-009 1:0".to_owned()], 0));
    assert!(read("i".into(), &vec![b'\n'; BYTES_MAX + 1]).is_err());
}

#[test]
fn a_hundred_thousand_entries_are_judged() {
    let text: String = (0..100_000).map(|number| format!("{BLOCK}CVE-2023-{}\n", 100_000 + number)).collect();
    assert_eq!(plain(&text).exceptions.len(), 100_000);
}

const ENTRY: &str = "vulnerabilities:\n  - id: CVE-2023-32681\n    statement: the affected parser is never given outside input\n    owner: '@org/security'\n    expired_at: 2027-01-01\n    purls: [\"pkg:pypi/requests\"]\n";

const SECRET: &str = "secrets:\n  - id: aws-access-key-id\n    statement: the key of the vendor's own manual, which opens nothing\n    owner: '@org/security'\n    expired_at: 2027-01-01\n    paths: [\"/app/settings.env\"]\n";

#[test]
fn secrets_and_misconfigurations_are_scoped_by_file() {
    let file = yaml(SECRET);
    assert_eq!(complaints(&file), [""; 0]);
    assert_eq!(file.exceptions[0].scope, Scope::target(Target::file("/app/settings.env")));
    let file = plain(&format!("{BLOCK}# path: app/Dockerfile\nDS-0002\n"));
    assert_eq!(complaints(&file), [""; 0]);
    let reaches = |target: Target| file.exceptions[0].scope.reaches(Some(&target));
    assert!(reaches(Target::file("app/Dockerfile")) && reaches(Location::line("app/Dockerfile", 12).into()));
    assert!(
        ["app/Dockerfile.old", "app/Dockerfile:x", "app/Dockerfile:12", "other/app/Dockerfile"]
            .iter()
            .all(|other| !reaches(Target::file(other)))
    );
}

#[test]
fn why_a_fix_cannot_be_taken_belongs_to_its_entry() {
    let file = plain(&format!("{BLOCK}# fix-blocked-by: our plugin needs the old interface\nCVE-2023-32681\n"));
    assert_eq!(
        file.fix_blocked_by.get(&file.exceptions[0].location).map(String::as_str),
        Some("our plugin needs the old interface")
    );
}

#[test]
fn a_complete_yaml_entry_is_an_exception() {
    let file = yaml(ENTRY);
    assert!(file.findings.is_empty(), "{:?}", file.findings);
    let [exception] = file.exceptions.as_slice() else { panic!("{:?}", file.exceptions) };
    assert_eq!((exception.id.as_str(), exception.location.to_string().as_str()), ("CVE-2023-32681", "i.yaml:2:9"));
    assert_eq!(exception.scope, Scope::target(Target::package("pkg:pypi/requests")));
    assert_eq!(exception.justification.expires.to_string(), "2027-01-01");
    for nothing in ["", "# nothing\n", "vulnerabilities: []\n"] {
        assert_eq!(yaml(nothing), IgnoreFile::default(), "{nothing:?}");
    }
}

#[test]
fn every_yaml_defect_has_its_code_and_place() {
    let cases: &[(String, &[&str])] = &[
        ("vulnerabilities:\n  - id: CVE-2023-32681\n".into(), &["IGN-001 2:9", "IGN-002 2:9", "IGN-003 2:9"]),
        (ENTRY.replace("expired_at", "expire_at"), &["IGN-011 5:5", "IGN-003 2:9"]),
        (ENTRY.replace("vulnerabilities", "vulnerability"), &["IGN-011 1:1"]),
        (ENTRY.replace("2027-01-01", "\"2027-01-01\""), &["IGN-009 5:17"]),
        (ENTRY.replace("2027-01-01", "2027-01-01T00:00:00+02:00"), &["IGN-003 5:17"]),
        (ENTRY.replace("2027-01-01", "[2027]"), &["IGN-011 5:17", "IGN-003 2:9"]),
        (ENTRY.replace("CVE-2023-32681", "CVE_2023_32681"), &["IGN-008 2:9"]),
        (ENTRY.replace("id: CVE-2023-32681\n    ", ""), &["IGN-008 2:5"]),
        (ENTRY.replace("pkg:pypi/requests", "requests"), &["IGN-008 6:13"]),
        (ENTRY.replace("[\"pkg:pypi/requests\"]", "[]"), &["IGN-009 6:12"]),
        (ENTRY.replace("purls: [\"pkg:pypi/requests\"]", "paths: [\"a.env\"]"), &["IGN-011 6:13"]),
        (SECRET.replace("/app/settings.env", "/app/*"), &["IGN-008 6:13"]),
        (SECRET.replace("paths: [\"/app/settings.env\"]", "purls: [\"pkg:pypi/a\"]"), &["IGN-011 6:13"]),
        (SECRET.replace("secrets", "vulnerabilities"), &["IGN-009 2:9"]),
        (ENTRY.replace("vulnerabilities", "misconfigurations"), &["IGN-009 2:9"]),
        (format!("{ENTRY}    fix-blocked-by: soon\n"), &["IGN-012 7:21"]),
        (ENTRY.replace("outside", "out\u{200b}side"), &["IGN-009 3:54"]),
        (format!("{ENTRY}    owner: '@org/b'\n"), &["IGN-011 7:5"]),
    ];
    for (text, expected) in cases {
        assert_eq!(complaints(&yaml(text)), *expected, "{text}");
    }
}

#[test]
fn yaml_that_trivy_cannot_read_is_an_error() {
    for text in [
        "- id: x\n",
        "just text",
        "vulnerabilities: text\n",
        "vulnerabilities:\n\t- id: x\n",
        "a: [",
        "vulnerabilities: [1]\n",
    ] {
        assert!(read_yaml("i.yaml".into(), text.as_bytes()).is_err(), "{text:?} was accepted");
    }
    assert!(read_yaml("i.yaml".into(), format!("{ENTRY}---\n{ENTRY}").as_bytes()).is_err(), "two documents");
    assert!(read_yaml("i.yaml".into(), b"\xff\xfe").is_err());
}

/// Whatever the entries say, a flaw that none of them names is denied.
#[test]
fn an_entry_never_hides_what_it_does_not_name() {
    let ids = ["CVE-2023-32681", "CVE-2023-3268", "CVE-2023-326811", "GHSA-j8r2-6x86-q33q", "PYSEC-2023-74"];
    let today = "2026-11-21".parse().expect("a date");
    for listed in ids {
        for scope in
            ["", "# purl: pkg:pypi/requests\n", "# purl: pkg:pypi/requests@2.30.0\n", "# purl: pkg:pypi/other\n"]
        {
            let file = plain(&format!("{BLOCK}{scope}{listed}\n"));
            assert_eq!(file.exceptions.len(), 1);
            for found in ids {
                for purl in ["pkg:pypi/requests@2.30.0", "pkg:pypi/requests-mock@1.0", "pkg:deb/debian/requests@2"] {
                    let flaw = Finding::with_code(Code::new(found), "m").target(Target::package(purl));
                    let verdict = evaluate(vec![flaw], &file.exceptions, &Policy::default(), today);
                    let allowed = verdict.findings[0].exception.is_some();
                    let named = listed == found;
                    let reached = match scope {
                        "" => true,
                        scope if scope.contains("other") => false,
                        _ => purl == "pkg:pypi/requests@2.30.0",
                    };
                    assert_eq!(allowed, named && reached, "{listed} {scope:?} against {found} in {purl}");
                }
            }
        }
    }
}

#[test]
fn codes_are_unique_and_explained() {
    for code in IgnoreCode::ALL {
        let info = code.info();
        assert!(info.code.starts_with("IGN-") && !info.summary.is_empty() && !info.help.is_empty());
        assert_eq!(IgnoreCode::ALL.iter().filter(|other| other.info().code == info.code).count(), 1);
    }
}

#[test]
fn no_file_grows_faster_than_its_entries() {
    use crate::model::by_key::counting::is_linear;

    let block = "# reason: the parser is never given outside input\n# owner: @org/team\n";
    let read = |text: String, entries: usize| {
        let file = plain(&text);
        assert_eq!((file.exceptions.len(), file.findings.len()), (entries, 0));
    };
    // One identifier, each time for another package in another environment.
    is_linear("entries of one identifier", 12, |count| {
        let keys = |number: usize| format!("# purl: pkg:pypi/p{number}\n# environments: e{number}\n");
        let entry = |number: usize| format!("{block}{}CVE-2023-32681 exp:2027-01-01\n", keys(number));
        read((0..count).map(entry).collect(), count);
    });
}

#[test]
fn entries_of_one_identifier_overlap_by_what_they_reach_and_where() {
    let entry = |keys: &str| {
        format!(
            "# reason: the parser is never given outside input\n# owner: @org/team\n{keys}CVE-2023-32681 exp:2027-01-01\n"
        )
    };
    let (a, b) = ("# purl: pkg:pypi/a\n", "# purl: pkg:pypi/b\n");
    let (local, far) = ("# environments: local\n", "# environments: production, staging\n");
    for (one, other, twice) in [
        ("", "", true),
        ("", a, true),
        (a, "", true),
        (a, a, true),
        (a, b, false),
        (local, far, false),
        (local, local, true),
        (local, "", true),
        ("", far, true),
        (far, "# environments: local, staging\n", true),
    ] {
        let file = plain(&format!("{}{}", entry(one), entry(other)));
        let codes: Vec<_> = file.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, if twice { vec!["IGN-007"] } else { vec![] }, "{one:?} {other:?}");
    }
    // Of both: for another package in another environment.
    let both = |purl: &str, environment: &str| entry(&format!("{purl}{environment}"));
    let file = plain(&[both(a, local), both(a, far), both(b, local), both(a, local)].concat());
    assert_eq!(file.findings.len(), 1);
    assert!(file.findings[0].message.contains("i:"), "{}", file.findings[0].message);
}

#[test]
fn a_limit_that_cannot_be_read_makes_the_entry_void() {
    let entry = |value: &str| {
        format!(
            "# reason: the parser is never given outside input\n# owner: @org/team\n# environments:{value}\nCVE-2023-32681 exp:2027-01-01\n"
        )
    };
    for wrong in ["", " ", " ,", " local,", " *", " Production", " local production", " lo\u{0441}al", " local, local,"]
    {
        let file = plain(&entry(wrong));
        assert_eq!((file.exceptions.len(), file.findings.is_empty()), (0, false), "{wrong:?}");
    }
    let many: Vec<_> = (0..21).map(|number| format!("e{number}")).collect();
    assert!(plain(&entry(&format!(" {}", many.join(", ")))).exceptions.is_empty(), "a list of all");
    let yaml = |value: &str| {
        let text = format!(
            "vulnerabilities:\n  - id: CVE-2023-32681\n    statement: the parser is never given outside input\n    owner: '@org/team'\n    expired_at: 2027-01-01\n    {value}\n"
        );
        read_yaml("i.yaml".into(), text.as_bytes()).map_or(0, |file| file.exceptions.len())
    };
    assert_eq!(yaml("environments: [local]"), 1);
    for wrong in [
        "environments: local",
        "environments: []",
        "environments: ~",
        "environments: ['']",
        "environments: [[local]]",
        "environments: {local: yes}",
        "environment: [local]",
        "Environments: [local]",
        "environments: [local]\n    environments: [production]",
        "environments: &all [local]\n    <<: *all",
    ] {
        assert_eq!(yaml(wrong), 0, "{wrong:?}");
    }
}

/// The class: a limit that nobody reads makes an exception wider than its reader believes.
#[test]
fn a_limit_that_is_not_read_never_widens_an_entry() {
    let ok = format!("# Notes on it.\n{BLOCK}# see: https://example.com/advisory\nCVE-2023-32681\n");
    assert_eq!(complaints(&plain(&ok)), [""; 0]);
    for line in [
        "# \u{435}nvironments: local",
        "# evironments: local",
        "# only-in: local",
        "# valid-for: local",
        "# environments = local",
        "# environments local",
        "# environments\u{ff1a} local",
        "# - environments: local",
        "# for none but these environments: local",
        "# package: pkg:pypi/requests",
        "# pur1: pkg:pypi/requests",
        "# purl pkg:pypi/requests",
        "# paths: a.env",
    ] {
        for text in [format!("{line}\n{BLOCK}CVE-2023-32681\n"), format!("{BLOCK}{line}\nCVE-2023-32681\n")] {
            let file = plain(&text);
            assert_eq!(
                file.findings.first().map(|one| one.code.as_str()),
                Some("IGN-011"),
                "{line}: {:?}",
                file.findings
            );
        }
    }
    // Cut off from the entry by an empty line, or behind the last one.
    for limit in ["# environments: local", "# evironments: local", "# purl: pkg:pypi/requests", "# path: a"] {
        for text in [format!("{limit}\n\n{BLOCK}CVE-2023-32681\n"), format!("{BLOCK}CVE-2023-32681\n{limit}\n")] {
            let found = complaints(&plain(&text));
            assert!(found.len() == 1 && found[0].starts_with("IGN-011"), "{text}: {found:?}");
        }
    }
}
