use std::fs;

use cicd_core::model::Status;
use cicd_core::steps::TrivyScan;

use super::place::{Error, Expected, FLAW, Failed, Green, Place};

/// A complete block; an entry is to follow.
const BLOCK: &str = "# reason: the affected parser is never given outside input\n# owner: @org/security\n# fix-blocked-by: the next release of our plugin\n";
const YAML: &str = "vulnerabilities:\n  - id: CVE-2023-32681\n    statement: the affected parser is never given outside input\n    owner: '@org/security'\n    fix-blocked-by: the next release of our plugin\n    expired_at: 2026-12-15\n";

fn scan(file: &str) -> TrivyScan {
    TrivyScan::new().ignore_file(file)
}

fn check(place: &Place, file: &str, rows: &[(&str, Vec<u8>, Expected)]) {
    for (name, bytes, expected) in rows {
        fs::write(place.root.join(file), bytes).expect("written");
        place.check(name, &scan(file), expected);
    }
}

#[test]
fn plain_ignore_files() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    let good = format!("{BLOCK}{FLAW} exp:2026-12-15");
    let after = |line: &str| format!("{BLOCK}{line}\n").into_bytes();
    let dated = |date: &str| after(&format!("{FLAW} {date}"));
    let of = |text: &str| text.as_bytes().to_vec();
    let block = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to).into_bytes()
    };
    let many = |count: usize| {
        let other = |number| format!("{BLOCK}CVE-2020-{} exp:2026-12-15\n\n", 10_000 + number);
        (0..count).map(other).collect::<String>().into_bytes()
    };
    let rows = [
        ("a good entry", of(&good), Green(Status::Exempted)),
        ("CRLF, no final newline", block("\n", "\r\n"), Green(Status::Exempted)),
        ("another name of the flaw", after("GHSA-j8r2-6x86-q33q exp:2026-12-15"), Green(Status::Exempted)),
        ("the last day of the month", dated("exp:2026-11-30"), Green(Status::Exempted)),
        ("nothing", of(""), Failed(FLAW)),
        ("bare", of(FLAW), Failed("IGN-001")),
        ("without an expiry", of(&format!("{BLOCK}{FLAW}")), Failed("IGN-003")),
        ("words after it", dated("exp:2026-12-15 see the ticket"), Failed("IGN-009")),
        ("a reason after it", dated("# reason"), Failed("IGN-009")),
        ("expires today", dated("exp:2026-11-21"), Failed("IGN-004")),
        ("expired", dated("exp:2020-01-01"), Failed("IGN-004")),
        ("29 February of no leap year", dated("exp:2023-02-29"), Failed("IGN-003")),
        ("29 February", dated("exp:2024-02-29"), Failed("IGN-004")),
        ("the year 0000", dated("exp:0000-01-01"), Failed("IGN-004")),
        ("the year 9999", dated("exp:9999-12-31"), Failed("IGN-005")),
        ("the year 10000", dated("exp:10000-01-01"), Failed("IGN-003")),
        ("a time of day", dated("exp:2026-12-15T23:59:00Z"), Failed("IGN-003")),
        ("month 13", dated("exp:2023-13-01"), Failed("IGN-003")),
        ("a date with slashes", dated("exp:01/02/2099"), Failed("IGN-003")),
        ("EXP in capitals", dated("EXP:2026-12-15"), Failed("IGN-009")),
        ("expires on the line", dated("expires:2026-12-15"), Failed("IGN-009")),
        ("a blank before the date", dated("exp: 2026-12-15"), Failed("IGN-009")),
        ("two dates", dated("exp:2026-12-15 exp:2026-12-16"), Failed("IGN-009")),
        ("two dates that differ", block("# owner", "# expires: 2026-12-16\n# owner"), Failed("IGN-009")),
        ("a byte order mark", of(&format!("\u{feff}{FLAW} exp:2026-12-15")), Failed("IGN-009")),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect(), Failed("IGN-009")),
        ("carriage returns alone", block("\n", "\r"), Failed(FLAW)),
        ("a carriage return in it", after(&format!("{FLAW}\rCVE-2020-1000 exp:2026-12-15")), Failed("IGN-009")),
        ("a blank that does not break", after(&format!("{FLAW}\u{a0}exp:2026-12-15")), Failed("IGN-009")),
        ("a space of no width", after("CVE-2023-\u{200b}32681 exp:2026-12-15"), Failed("IGN-009")),
        ("hyphens that do not break", after("CVE\u{2011}2023\u{2011}32681 exp:2026-12-15"), Failed("IGN-009")),
        ("small letters", after("cve-2023-32681 exp:2026-12-15"), Failed("IGN-009")),
        ("a list", after("CVE-2023-32681,CVE-2020-1000 exp:2026-12-15"), Failed("IGN-009")),
        ("a pattern", after("CVE-2023-* exp:2026-12-15"), Failed("IGN-009")),
        ("everything", after("* exp:2026-12-15"), Failed("IGN-009")),
        ("NUL bytes", after(&format!("{FLAW}\0 exp:2026-12-15")), Failed("IGN-009")),
        ("not UTF-8", [good.as_bytes(), b"\n\xff\xfe\n"].concat(), Failed("IGN-009")),
        ("a line of 70,000 bytes", [after(&"x".repeat(70_000)), of(&good)].concat(), Failed("IGN-009")),
        ("twice", of(&format!("{good}\n\n{good}")), Failed("IGN-007")),
        ("two names of one flaw", of(&format!("{good}\n\n{}", good.replace(FLAW, "PYSEC-2023-74"))), Failed("IGN-013")),
        (
            "twice, one expired",
            of(&format!("{good}\n\n{}", good.replace("2026-12-15", "2020-01-01"))),
            Failed("IGN-007"),
        ),
        ("a block apart", of(&format!("{BLOCK}\n{FLAW} exp:2026-12-15")), Failed("IGN-001")),
        ("two entries below one block", of(&format!("{good}\nCVE-2020-1000 exp:2026-12-15")), Failed("IGN-001")),
        ("a reason of blanks", block("the affected parser is never given outside input", "   "), Failed("IGN-001")),
        ("a reason of nothing", block("the affected parser", &"\u{200b}".repeat(30)), Failed("IGN-009")),
        ("a reason turned round", block("the affected", "the \u{202e}affected"), Failed("IGN-009")),
        ("a placeholder", block("the affected parser is never given outside input", "TODO"), Failed("IGN-001")),
        ("an owner with a foreign letter", block("@org/security", "@org/s\u{435}curity"), Failed("IGN-002")),
        ("a mistyped key", block("# reason", "# raeson"), Failed("IGN-011")),
        ("for another package", block("# owner", "# purl: pkg:pypi/flask\n# owner"), Failed("IGN-006")),
        ("a fix that is not taken", block("# fix-blocked-by", "# see"), Failed("IGN-012")),
        ("conflict markers", of(&format!("<<<<<<< HEAD\n{good}\n=======\n>>>>>>> other\n")), Failed("IGN-009")),
        ("escape sequences", after("\u{1b}[2J\u{1b}]0;x\u{7} exp:2026-12-15"), Failed("IGN-009")),
        ("10 MB of one letter", b"x\n".repeat(5 << 20), Failed("IGN-008")),
        ("10 MB without a line end", vec![b'x'; 10 << 20], Failed("IGN-009")),
        ("one entry too many", [many(100_000), of(&good)].concat(), Failed("IGN-009")),
        ("17 MB", vec![b'#'; 17 << 20], Error("more than the")),
    ];
    check(&place, "ignore", &rows);
}

#[test]
fn yaml_ignore_files() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    let of = |text: &str| text.as_bytes().to_vec();
    let with = |from: &str, to: &str| {
        assert!(YAML.contains(from), "{from}");
        YAML.replace(from, to).into_bytes()
    };
    let rows = [
        ("a good entry", of(YAML), Green(Status::Exempted)),
        ("a byte order mark", of(&format!("\u{feff}{YAML}")), Green(Status::Exempted)),
        ("nothing", of(""), Failed(FLAW)),
        ("a mistyped expiry", with("expired_at", "expire_at"), Failed("IGN-011")),
        ("a mistyped section", with("vulnerabilities", "vulnerability"), Failed("IGN-011")),
        ("the section of secrets", with("vulnerabilities", "secrets"), Failed("IGN-009")),
        ("a date in quotation marks", with("2026-12-15", "\"2026-12-15\""), Failed("IGN-009")),
        ("a date that is none", with("2026-12-15", "2026-13-15"), Failed("IGN-003")),
        ("a time with an offset", with("2026-12-15", "2026-12-15T00:00:00+02:00"), Failed("IGN-003")),
        ("expired", with("2026-12-15", "2020-01-01"), Failed("IGN-004")),
        ("a key twice", of(&format!("{YAML}    owner: '@org/other'\n")), Failed("IGN-011")),
        ("a section twice", of(&format!("{YAML}{YAML}")), Failed("IGN-011")),
        ("no identifier", with("id: CVE-2023-32681\n    ", ""), Failed("IGN-008")),
        ("no package URL", of(&format!("{YAML}    purls: [requests]\n")), Failed("IGN-008")),
        ("no packages", of(&format!("{YAML}    purls: []\n")), Failed("IGN-009")),
        ("a pattern of files", of(&format!("{YAML}    paths: ['**']\n")), Failed("IGN-011")),
        ("a tab", with("  - id", "\t- id"), Error("ignore file")),
        ("a list at the top", of("- id: CVE-2023-32681\n"), Error("ignore file")),
        ("two documents", of(&format!("{YAML}---\n{YAML}")), Error("ignore file")),
        ("not UTF-8", b"\xff\xfe".to_vec(), Error("ignore file")),
        ("100,000 brackets", b"[".repeat(100_000), Error("ignore file")),
        ("a billion laughs", billion_laughs(), Error("ignore file")),
    ];
    check(&place, "ignore.yaml", &rows);
}

/// Nine levels of lists, each with nine references to the one before.
fn billion_laughs() -> Vec<u8> {
    let level = |number: u32| {
        let items = vec![format!("*a{}", number - 1); 9].join(", ");
        format!("a{number}: &a{number} [{items}]\n")
    };
    let levels: String = (1..=9).map(level).collect();
    format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{levels}vulnerabilities: *a9\n").into_bytes()
}
