use jiff::civil::{Date, date};

use super::DependencyAudit;
use super::flaws::{every_locked, merge};
use super::pip_audit::{Audited, IndexFlaw, Opinion, read, silence};
use crate::formats::ignore_file::read_plain;
use crate::formats::requirements::LockedRequirements;
use crate::model::by_key::counting;
use crate::model::{Severity, Status};
use crate::policy::{Justification, Policy, evaluate};
use crate::process::{Captured, Exit};
use crate::trivy::{KnownFlaw, ScanReport, ScannedPackage};

const TODAY: Date = date(2026, 11, 21);
const FOUND: &str = include_str!("../../../tests/data/pip-audit/found.json");
const CANARY: &str = include_str!("../../../tests/data/pip-audit/canary.json");
const CLEAN: &str = include_str!("../../../tests/data/pip-audit/clean.json");
const SKIPPED: &str = include_str!("../../../tests/data/pip-audit/skipped.json");
const UNREACHABLE: &str = include_str!("../../../tests/data/pip-audit/unreachable.stderr.txt");
const LOCK: &str = "click==8.1.7\nFlask==0.12 ; python_version > '3'\n";

fn recorded(code: i32, json: &str, log: &str) -> Captured {
    Captured::recorded(Exit::Code(code), json, log)
}

fn given(code: i32, json: &str) -> Opinion {
    Opinion::Given(read(&recorded(code, json, "")).expect("a report"))
}

/// A scan of an image with the locked packages; `flaws` are flask's.
fn scan(flaws: Vec<KnownFlaw>) -> ScanReport {
    let package =
        |name: &str, version: &str, flaws| ScannedPackage { name: name.into(), version: version.into(), flaws };
    ScanReport {
        image: format!("sha256:{}", "0".repeat(64)),
        trivy: "0.70.0".to_owned(),
        database: "official database".to_owned(),
        database_updated_at: "2026-11-21T00:00:00Z".parse().expect("a time"),
        os: "debian 12.11".to_owned(),
        packages: 2,
        packages_judged: 2,
        vulnerabilities: flaws.len(),
        python_judged: true,
        python: vec![package("click", "8.1.7", Vec::new()), package("flask", "0.12", flaws)],
    }
}

fn flaw(ids: &[&str], severity: Severity) -> KnownFlaw {
    KnownFlaw {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        severity,
        title: "python-flask: Denial of Service via crafted JSON file".to_owned(),
        fixed_version: "0.12.3, 0.13".to_owned(),
    }
}

/// The verdict, and every finding as `CODE status message`; or why there is none.
fn audit(
    step: &DependencyAudit,
    scan: ScanReport,
    opinion: Opinion,
    ledger: &str,
) -> Result<(Status, Vec<String>), String> {
    let locked = LockedRequirements::parse(LOCK).expect("a lock file");
    let ledger = read_plain("ignore".into(), ledger.as_bytes());
    let outcome = step.judge(scan, &locked, opinion, ledger).map_err(|error| error.to_string())?;
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), TODAY);
    let shown = verdict.findings.iter().map(|one| {
        let status = if one.exception.is_some() { "exempted" } else { "open" };
        format!("{} {status} {} {}", one.code, one.location.as_ref().expect("a place"), one.message)
    });
    Ok((verdict.status, shown.collect()))
}

fn step() -> DependencyAudit {
    DependencyAudit::locked("requirements.txt")
}

fn unavailable() -> Opinion {
    Opinion::NotAvailable("nobody there".to_owned())
}

#[test]
fn one_flaw_is_one_line_with_all_names_and_sources() {
    let known = flaw(&["CVE-2018-1000656", "GHSA-562c-5r94-xh97"], Severity::High);
    let (status, found) = audit(&step(), scan(vec![known]), given(1, FOUND), "").expect("looked");
    assert_eq!(status, Status::Failed);
    assert_eq!(
        found,
        ["CVE-2018-1000656 open requirements.txt:2 flask 0.12: python-flask: Denial of Service via crafted JSON file \
          (known to Trivy and pip-audit, also GHSA-562c-5r94-xh97, PYSEC-2018-66)"]
    );
    // Two names of Trivy's that only the index knows to be one flaw.
    let two = vec![flaw(&["CVE-2018-1000656"], Severity::Low), flaw(&["GHSA-562c-5r94-xh97"], Severity::High)];
    let (_, found) = audit(&step(), scan(two), given(1, FOUND), "").expect("looked");
    assert_eq!(found.len(), 1, "{found:?}");
    let other = vec![flaw(&["CVE-2099-0001"], Severity::Low)];
    assert_eq!(audit(&step(), scan(other), given(1, FOUND), "").expect("looked").1.len(), 2);
}

#[test]
fn what_only_the_index_knows_fails_the_step_too() {
    let (status, found) =
        audit(&step().severity(Severity::Critical), scan(Vec::new()), given(1, FOUND), "").expect("looked");
    assert_eq!(status, Status::Failed, "nobody has rated it, so it counts as the worst");
    assert!(
        found[0].starts_with("CVE-2018-1000656 open requirements.txt:2 flask 0.12: Flask is vulnerable"),
        "{found:?}"
    );
    assert!(found[0].contains("(known to pip-audit, also"), "{found:?}");
}

#[test]
fn one_ledger_serves_both() {
    let entry = |id: &str, more: &str| {
        format!("# reason: it takes no JSON from outside at all\n# owner: @org/security\n{more}{id} exp:2026-12-15\n\n")
    };
    let known = || vec![flaw(&["CVE-2018-1000656"], Severity::High)];
    let (status, _) = audit(&step(), scan(known()), given(1, FOUND), &entry("PYSEC-2018-66", "")).expect("looked");
    assert_eq!(status, Status::Exempted, "an entry allows the flaw under any of its names");
    let unused = entry("CVE-2018-1000656", "") + &entry("CVE-2099-0001", "");
    let (status, found) = audit(&step(), scan(known()), given(1, FOUND), &unused).expect("looked");
    assert_eq!((status, found.len()), (Status::Exempted, 1), "whether other entries are stale, the scan says");

    let second = entry("PYSEC-2018-66", "# found-by: pip-audit\n");
    let (status, _) = audit(&step(), scan(Vec::new()), given(1, FOUND), &second).expect("looked");
    assert_eq!(status, Status::Exempted);
    let clean =
        CLEAN.replace("}], \"fixes\"", "}, {\"name\": \"flask\", \"version\": \"0.12\", \"vulns\": []}], \"fixes\"");
    let (status, found) = audit(&step(), scan(Vec::new()), given(0, &clean), &second).expect("looked");
    assert_eq!((status, found.len()), (Status::Failed, 1));
    assert!(found[0].starts_with("IGN-006 open ignore:4:1"), "{found:?}");
    let (status, found) = audit(&step(), scan(Vec::new()), unavailable(), &second).expect("looked");
    assert_eq!((status, found.len()), (Status::Passed, 1), "nobody knows whether it is stale");
}

#[test]
fn without_the_index_nothing_is_cleared() {
    let (status, found) = audit(&step(), scan(Vec::new()), unavailable(), "").expect("looked");
    assert_eq!(status, Status::Passed);
    assert_eq!(found, ["AUD-001 open requirements.txt no second opinion on requirements.txt: nobody there"]);
    let error = audit(&step().second_opinion_required(), scan(Vec::new()), unavailable(), "").expect_err("required");
    assert!(error.contains("gives no second opinion (nobody there)"), "{error}");
    let justification = Justification::new("this network has no way to the index", "@org/security", "2027-01-01");
    let spared = step().accept_one_source(justification.expect("valid"));
    let (status, found) = audit(&spared, scan(Vec::new()), unavailable(), "").expect("looked");
    assert_eq!(status, Status::Exempted);
    assert!(found[0].starts_with("AUD-001 exempted"), "{found:?}");
}

#[test]
fn a_locked_package_that_was_not_audited_is_an_error() {
    let error = |scan, opinion| audit(&step(), scan, opinion, "").expect_err("not looked");
    assert!(
        error(scan(Vec::new()), given(0, CLEAN))
            .contains("requirements.txt:2: flask 0.12 was not audited by pip-audit")
    );
    let skipped =
        CLEAN.replace("}], \"fixes\"", "}, {\"name\": \"Flask\", \"skip_reason\": \"not\\nfound\"}], \"fixes\"");
    assert!(error(scan(Vec::new()), given(0, &skipped)).contains("by pip-audit: not found"));
    let other = FOUND.replace("\"0.12\"", "\"0.13\"");
    assert!(error(scan(Vec::new()), given(1, &other)).contains("by pip-audit: version 0.13 was"));
    let mut smaller = scan(Vec::new());
    smaller.python.remove(0);
    assert!(error(smaller, unavailable()).contains("click 8.1.7 was not audited by Trivy: it is not in the image"));
    let judged = |lock: &str| {
        let locked = LockedRequirements::parse(lock).expect("a lock file");
        every_locked("r.txt".into(), &locked, &scan(Vec::new()).python, None).map_err(|error| error.to_string())
    };
    assert_eq!(judged(LOCK), Ok(()));
    for marker in ["os_name == 'nt'", "python_version < '3.12'", "platform_machine == 'riscv64'"] {
        let error = judged(&format!("{LOCK}colorama==0.4.6 ; {marker}\n")).expect_err(marker);
        assert!(error.contains("r.txt:3: colorama 0.4.6 was not audited by Trivy"), "{error}");
    }
    let mut blind = scan(Vec::new());
    blind.python_judged = false;
    assert!(error(blind, given(1, FOUND)).contains("knows nothing about Python packages"));
}

#[test]
fn an_index_is_there_when_it_names_a_known_flaw() {
    let why = |code, json: &str, log: &str| silence(&recorded(code, json, log)).map_err(|error| error.to_string());
    assert_eq!(why(1, CANARY, ""), Ok(None));
    let skipped = why(0, SKIPPED, "No known vulnerabilities found\n").expect("an answer").expect("nobody there");
    assert!(skipped.contains("it looks nothing up") && !skipped.contains("flask"), "{skipped}");
    let unreachable = why(1, "", UNREACHABLE).expect("an answer").expect("nobody there");
    assert!(unreachable.starts_with("requests.exceptions.ConnectionError: "), "{unreachable}");
    let blocked = "ERROR:pip_audit._cli:Could not connect to the feed\nERROR:pip_audit._cli:Tip: your network may be blocking this service.\n";
    assert!(why(1, "", blocked).expect("an answer").expect("nobody there").contains("Could not connect"));
    let clean = CANARY.replace("CVE-2018-1000656", "CVE-2018-1000657");
    assert!(why(1, &clean, "").expect("an answer").expect("useless").contains("it names no flaws"));
    assert!(why(1, "", "Segmentation fault\n").expect_err("no answer").contains("Segmentation fault"));
    assert!(why(1, FOUND, "").expect_err("no answer").contains("2 packages instead of 1"));
    assert!(why(137, CANARY, "").is_err() && why(2, "", "usage: pip-audit\n").is_err());
}

#[test]
fn half_a_report_is_none() {
    for (code, whole) in [(1, FOUND), (0, CLEAN), (0, SKIPPED)] {
        let whole = whole.trim_end();
        assert!(read(&recorded(code, whole, "")).is_ok());
        assert!(read(&recorded(1 - code, whole, "")).is_err(), "the exit code says otherwise");
        for end in 0..whole.len() {
            assert!(read(&recorded(code, &whole[..end], "")).is_err(), "{end} bytes were accepted");
        }
    }
    for text in [
        "null",
        "[]",
        "{}",
        "{\"dependencies\": [{\"name\": \"x\"}]}",
        "{\"dependencies\": [{\"name\": \"x\", \"version\": \"1\", \"vulns\": [], \"skip_reason\": \"y\"}]}",
        "{\"dependencies\": [{\"name\": \"x\", \"version\": \"1\", \"vulns\": null}]}",
    ] {
        assert!(read(&recorded(0, text, "")).is_err(), "{text}");
    }
}

/// So many packages, each with a flaw that both sources know under different names.
fn many(count: usize) -> (LockedRequirements, Vec<ScannedPackage>, Vec<Audited>) {
    let names: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
    let lock: String = names.iter().map(|name| format!("{name}==1.0\n")).collect();
    let ids = |number: usize| [format!("CVE-2023-{number:06}"), format!("PYSEC-2023-{number}")];
    let scanned = |(number, name): (usize, &String)| ScannedPackage {
        name: name.clone(),
        version: "1.0".to_owned(),
        flaws: vec![flaw(&ids(number).each_ref().map(String::as_str), Severity::High)],
    };
    let audited = |(number, name): (usize, &String)| Audited {
        name: name.clone(),
        answer: Ok((
            "1.0.0".to_owned(),
            vec![IndexFlaw {
                id: ids(number)[1].clone(),
                aliases: Vec::new(),
                fix_versions: Vec::new(),
                description: String::new(),
            }],
        )),
    };
    (
        LockedRequirements::parse(&lock).expect("a lock file"),
        names.iter().enumerate().map(scanned).collect(),
        names.iter().enumerate().map(audited).collect(),
    )
}

#[test]
fn no_audit_grows_faster_than_its_packages() {
    counting::is_linear("packages that both sources know", 16, |count| {
        let (locked, scanned, audited) = many(count);
        every_locked("r.txt".into(), &locked, &scanned, Some(&audited)).expect("all of them");
        let merged = merge(&scanned, &audited);
        assert_eq!(merged.len(), count);
        let place = ("r.txt".into(), &locked);
        assert!(merged.iter().all(|one| one.finding(Severity::Low, place).location.is_some()));
    });
}

#[test]
fn no_audit_grows_faster_than_the_flaws_of_one_package() {
    counting::is_linear("flaws of one package, each with a name in common with the next", 32, |count| {
        let known = |number: usize| {
            flaw(&[&format!("CVE-2023-{number:06}"), &format!("CVE-2023-{:06}", number + 1)], Severity::Low)
        };
        // The last one first, so that each joins what is known already.
        let flaws = (0..count).rev().map(known).collect();
        let package = ScannedPackage { name: "flask".to_owned(), version: "0.12".to_owned(), flaws };
        assert_eq!(merge(&[package], &[]).len(), 1);
    });
    counting::is_linear("flaws of one package, none the same as another", 32, |count| {
        let flaws = (0..count).map(|number| flaw(&[&format!("CVE-2023-{number:06}")], Severity::Low)).collect();
        let package = ScannedPackage { name: "flask".to_owned(), version: "0.12".to_owned(), flaws };
        assert_eq!(merge(&[package], &[]).len(), count);
    });
}
