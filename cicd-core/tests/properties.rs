//! What holds of every verdict, whatever was found and whatever is allowed.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::process::Command;

use cicd_core::formats::ignore_file::read_plain;
use cicd_core::model::{Code, Finding, Level, Location, Status, Target};
use cicd_core::policy::{Applies, Exception, Justification, Origin, Policy, Scope, Verdict, evaluate};
use cicd_core::step::Clock;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const TODAY: Date = date(2026, 11, 21);
const NAMES: [&str; 4] = ["CVE-2023-0001", "CVE-2023-0002", "GHSA-2222-2222-2222", "PYSEC-2023-3"];
const TARGETS: [&str; 5] =
    ["pkg:pypi/a@1.0", "pkg:pypi/a@2.0", "pkg:pypi/ab@1.0", "app/Dockerfile:3", "app/Dockerfile:31"];
const SCOPES: [&str; 5] = ["pkg:pypi/a", "pkg:pypi/a@1.0", "pkg:pypi", "app/Dockerfile", "app/Dockerfile:3"];

/// A package, a line of a file or a file, as it is written.
fn target_of(written: &str) -> Target {
    if written.starts_with("pkg:") {
        return Target::package(written);
    }
    match written.rsplit_once(':') {
        Some((path, line)) => Location::line(path, line.parse().expect("a line")).into(),
        None => Target::file(written),
    }
}

fn finding() -> impl Strategy<Value = Finding> {
    let level = select(vec![Level::Deny, Level::Deny, Level::BlockClearance, Level::Warn]);
    let target = proptest::option::of(select(&TARGETS[..]));
    (select(&NAMES[..]), subsequence(&NAMES[2..], 0..=2), target, level).prop_map(|(code, aliases, target, level)| {
        let mut finding = Finding::with_code(Code::new(code), "m").level(level);
        finding.aliases = aliases.into_iter().map(str::to_owned).collect();
        finding.target = target.map(target_of);
        finding
    })
}

fn exception() -> impl Strategy<Value = Exception> {
    let scope = prop_oneof![
        Just(Scope::Any),
        subsequence(&SCOPES[..], 1..=2)
            .prop_map(|targets| Scope::Targets(targets.into_iter().map(target_of).collect())),
    ];
    let expires = select(vec!["2020-01-01", "2026-11-21", "2026-11-22", "2027-01-01"]);
    let origin = select(vec![Origin::IgnoreFile, Origin::ExceptionsFile, Origin::Comment, Origin::Pipeline]);
    (select(&NAMES[..]), scope, expires, origin).prop_map(|(id, scope, expires, origin)| Exception {
        id: id.to_owned(),
        scope,
        justification: Justification::new("the affected parser is never used here", "@org/team", expires)
            .expect("valid"),
        origin,
        location: Location::line("i", 1),
        applies: Applies::Here,
    })
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    prop::collection::vec(finding(), 0..6)
}

fn exceptions() -> impl Strategy<Value = Vec<Exception>> {
    prop::collection::vec(exception(), 0..5)
}

/// The step's own findings that no exception allows, and that fail it.
fn open(verdict: &Verdict, count: usize) -> Vec<String> {
    let own = verdict.findings.iter().take(count);
    let denied = own.filter(|finding| finding.level == Level::Deny && finding.exception.is_none());
    let mut open: Vec<_> =
        denied.map(|finding| format!("{:?}", (&finding.code, &finding.aliases, &finding.target))).collect();
    open.sort();
    open
}

proptest! {
    /// An exception that nothing needed may come to be needed; but what was open stays open.
    #[test]
    fn another_finding_never_makes_an_open_one_pass(
        before in findings(), exceptions in exceptions(), added in finding(), at in any::<prop::sample::Index>()
    ) {
        let old = evaluate(before.clone(), &exceptions, &Policy::default(), TODAY);
        let mut after = before.clone();
        after.insert(at.index(before.len() + 1), added.clone());
        let new = evaluate(after, &exceptions, &Policy::default(), TODAY);
        let (old_open, new_open) = (open(&old, before.len()), open(&new, before.len() + 1));
        prop_assert!(old_open.iter().all(|finding| new_open.contains(finding)), "{old_open:?} {new_open:?}");
        if !old_open.is_empty() {
            prop_assert_eq!(new.status, Status::Failed);
        }
        if added.level == Level::Deny && !exceptions.iter().any(|exception| exception.covers(&added)) {
            prop_assert_eq!(new.status, Status::Failed);
        }
    }

    #[test]
    fn another_exception_never_hides_what_it_does_not_name(
        findings in findings(), before in exceptions(), added in exception(), at in any::<prop::sample::Index>()
    ) {
        let old = evaluate(findings.clone(), &before, &Policy::default(), TODAY);
        let mut after = before.clone();
        after.insert(at.index(before.len() + 1), added.clone());
        let new = evaluate(findings.clone(), &after, &Policy::default(), TODAY);
        for (index, finding) in findings.iter().enumerate() {
            let names = finding.is_named(&added.id) && added.scope.reaches(finding.target.as_ref());
            let (was, is) = (&old.findings[index].exception, &new.findings[index].exception);
            prop_assert!(was.is_none() || is.is_some(), "an exception took another one's effect away");
            if !names || added.justification.is_expired(TODAY) {
                prop_assert_eq!(was.is_some(), is.is_some());
            }
        }
    }

    /// No scope reaches a package or a file whose name only begins like the one it names.
    #[test]
    fn a_scope_ends_where_a_name_ends(scope in select(&SCOPES[..]), target in select(&TARGETS[..])) {
        let reaches = Scope::target(target_of(scope)).reaches(Some(&target_of(target)));
        let names: BTreeSet<_> = [target, target.split(['@', ':']).next().unwrap_or(target)].into();
        let package = target.rsplit_once('@').map(|(package, _)| package);
        let file = target.rsplit_once(':').filter(|_| !target.starts_with("pkg:")).map(|(file, _)| file);
        prop_assert_eq!(reaches, names.contains(scope) || package == Some(scope) || file == Some(scope));
    }

    #[test]
    fn the_order_of_findings_and_exceptions_does_not_matter(
        findings in findings(), exceptions in exceptions(), seed in any::<u64>()
    ) {
        let one = evaluate(findings.clone(), &exceptions, &Policy::default(), TODAY);
        let count = findings.len();
        let other = evaluate(shuffled(findings, seed), &shuffled(exceptions, seed / 7), &Policy::default(), TODAY);
        prop_assert_eq!(one.status, other.status);
        prop_assert_eq!(open(&one, count), open(&other, count));
        prop_assert_eq!(one.findings.len(), other.findings.len());
    }

    #[test]
    fn the_order_of_entries_in_a_file_does_not_matter(
        entries in prop::collection::vec((select(&NAMES[..]), select(vec!["2020-01-01", "2026-12-01"]), any::<bool>()), 0..5),
        findings in findings(), seed in any::<u64>()
    ) {
        let text = |entries: &[(&str, &str, bool)]| -> String {
            let entry = |(id, expires, complete): &(&str, &str, bool)| {
                let reason = if *complete { "# reason: the affected parser is never used here\n" } else { "" };
                format!("{reason}# owner: @org/team\n{id} exp:{expires}\n\n")
            };
            entries.iter().map(entry).collect()
        };
        // Of two entries for one flaw the first holds; which of two expiries that is, the order says.
        let distinct: BTreeSet<_> = entries.iter().map(|(id, _, _)| id).collect();
        prop_assume!(distinct.len() == entries.len());
        let judge = |text: String| {
            let file = read_plain("i".into(), text.as_bytes());
            let mut codes: Vec<_> = file.findings.iter().map(|finding| finding.code.to_string()).collect();
            codes.sort();
            let verdict = evaluate(findings.clone(), &file.exceptions, &Policy::default(), TODAY);
            (codes, verdict.status, open(&verdict, findings.len()))
        };
        prop_assert_eq!(judge(text(&entries)), judge(text(&shuffled(entries.clone(), seed))));
    }
}

/// The same items in an order that a number decides.
fn shuffled<T>(mut items: Vec<T>, mut seed: u64) -> Vec<T> {
    for end in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(seed >> 33).expect("31 bits") % (end + 1);
        items.swap(end, at);
    }
    items
}

/// Set for the copies of this program that judge under another time zone and locale.
const JUDGE_AROUND: &str = "CICD_CORE_TEST_JUDGE_AROUND";

/// The day ends everywhere when it ends in UTC: this program, started anew fourteen hours ahead, twelve behind and in a locale with
/// other letters and another calendar, comes to the same verdicts on entries that expire around now.
#[test]
#[expect(clippy::disallowed_methods, reason = "the environment is what is being tested")]
fn the_time_zone_and_the_locale_do_not_matter() {
    if let Ok(around) = std::env::var(JUDGE_AROUND) {
        println!("verdicts: {}", verdicts_around(around.parse().expect("a date")));
        return;
    }
    let around = Clock::System.today();
    let expected = format!("verdicts: {}", verdicts_around(around));
    assert!(expected.contains("failed") && expected.contains("exempted"), "{expected}");
    for (zone, locale) in
        [("UTC", "C"), ("Pacific/Kiritimati", "tr_TR.UTF-8"), ("Etc/GMT+12", "th_TH.UTF-8"), ("Nowhere/None", "xx")]
    {
        let output = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "the_time_zone_and_the_locale_do_not_matter", "--nocapture"])
            .env(JUDGE_AROUND, around.to_string())
            .envs([("TZ", zone), ("LC_ALL", locale), ("LANG", locale)])
            .output()
            .expect("started");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.lines().any(|line| line.ends_with(&expected)), "{zone} {locale}: {text}");
    }
}

/// What becomes of a flaw whose entry expires on each of the days around one.
fn verdicts_around(day: Date) -> String {
    let verdict = |offset: i64| {
        let expires = day.checked_add(jiff::Span::new().days(offset)).expect("a date");
        let entry = format!(
            "# reason: the affected parser is never used here\n# owner: @org/team\n{} exp:{expires}\n",
            NAMES[0]
        );
        let file = read_plain("i".into(), entry.as_bytes());
        let flaw = Finding::with_code(Code::new(NAMES[0]), "m");
        evaluate(vec![flaw], &file.exceptions, &Policy::default(), Clock::System.today()).status.to_string()
    };
    (-2..=2).map(verdict).collect::<Vec<_>>().join(" ")
}
