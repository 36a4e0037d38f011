use std::fs;

use cicd_core::model::Status;
use cicd_core::steps::TrivyScan;

use super::place::{Error, Expected, FLAW, Failed, Green, Place, REPORT, one_flaw};

/// A report is cut after every so many bytes.
const CUT_BYTES: usize = 1 << 10;

#[test]
fn reports() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    let whole = one_flaw();
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replacen(from, to, 1)
    };
    let lone = |text: &str| text.to_owned();
    let flaws = whole.find(",\"Vulnerabilities\":").expect("the flaws");
    let end = flaws + whole[flaws..].find("}]}").expect("their end") + 2;
    let none = format!("{}{}", &whole[..flaws], &whole[end..]);
    let null = format!("{},\"Vulnerabilities\":null{}", &whole[..flaws], &whole[end..]);
    let mut cut: Vec<_> = (CUT_BYTES..whole.len()).step_by(CUT_BYTES).collect();
    cut.push(whole.len() - 1);
    for at in cut {
        fs::write(place.root.join("report.json"), &whole.as_bytes()[..at]).expect("written");
        place.check(&format!("cut after {at} bytes"), &TrivyScan::new(), &Error("EOF"));
    }
    let escapes = "\"Title\":\"\\u001b[2J\\n::error::x\\n##[command]\\u202e\",\"VulnerabilityID\"";
    let rows: Vec<(&str, String, Expected)> = vec![
        ("without a flaw", none, Green(Status::Passed)),
        ("flaws that are null", null, Green(Status::Passed)),
        ("as it is", whole.clone(), Failed(FLAW)),
        ("0 bytes", lone(""), Error("wrote no report")),
        ("blanks", lone(" \n"), Error("EOF")),
        ("null", lone("null"), Error("not a complete Trivy report")),
        ("a list", lone("[]"), Error("not a complete Trivy report")),
        ("an empty object", lone("{}"), Error("missing field")),
        ("the schema alone", lone("{\"SchemaVersion\":2}"), Error("missing field")),
        ("no results", with("\"Results\"", "\"Others\""), Error("no operating-system package")),
        ("trailing words", format!("{whole}x"), Error("trailing characters")),
        ("two documents", format!("{whole}{whole}"), Error("trailing characters")),
        ("schema 1", with("\"SchemaVersion\":2", "\"SchemaVersion\":1"), Error("schema version 1")),
        ("schema 3", with("\"SchemaVersion\":2", "\"SchemaVersion\":3"), Error("schema version 3")),
        ("schema in quotation marks", with("\"SchemaVersion\":2", "\"SchemaVersion\":\"2\""), Error("invalid type")),
        (
            "a key twice",
            with("\"SchemaVersion\":2", "\"SchemaVersion\":2,\"SchemaVersion\":2"),
            Error("duplicate field"),
        ),
        ("results twice", with("\"Results\":", "\"Results\":[],\"Results\":"), Error("duplicate field")),
        ("a version as a number", with("\"2.30.0\"", "2.3"), Error("invalid type")),
        ("an unknown severity", with("\"UNKNOWN\"", "\"HARMLESS\""), Failed(FLAW)),
        ("no severity", with("\"Severity\":\"UNKNOWN\"", "\"Other\":1"), Failed(FLAW)),
        ("an unknown class", with("\"lang-pkgs\"", "\"new-pkgs\""), Failed(FLAW)),
        ("an unknown status", with("\"Status\":\"fixed\"", "\"Status\":\"forgiven\""), Failed(FLAW)),
        ("an unknown field", with("\"Results\"", "\"New\":{\"a\":[null]},\"Results\""), Failed(FLAW)),
        (
            "deep nesting of what is not read",
            with("\"Results\"", &format!("\"New\":{}{},\"Results\"", "[".repeat(10_000), "]".repeat(10_000))),
            Failed(FLAW),
        ),
        ("a lone surrogate", with("\"requests\"", "\"\\ud800\""), Error("hex escape")),
        ("escapes and commands in a title", with("\"VulnerabilityID\"", escapes), Failed(FLAW)),
        (
            "suppressed by Trivy",
            with("\"Class\":\"lang-pkgs\"", "\"Class\":\"lang-pkgs\",\"ExperimentalModifiedFindings\":[{}]"),
            Error("suppressed 1"),
        ),
        ("another image", whole.replace("sha256:dcf6", "sha256:dcf7"), Error("about sha256:dcf7")),
        ("of a folder", with("container_image", "filesystem"), Error("not about image")),
        (
            "of another Trivy",
            with("\"Version\":\"0.70.0\"", "\"Version\":\"0.69.4\""),
            Error("written by Trivy 0.69.4"),
        ),
        ("no system", with("\"OS\"", "\"Os\""), Error("recognised no operating system")),
        ("an unknown system", with("\"Family\":\"debian\"", "\"Family\":\"nixos\""), Error("no advisories")),
        ("a system past its end", with("\"Name\":\"12.11\"", "\"Name\":\"12.11\",\"EOSL\":true"), Error("end of life")),
    ];
    for (name, report, expected) in rows {
        fs::write(place.root.join("report.json"), report).expect("written");
        place.check(name, &TrivyScan::new(), &expected);
    }
    let mut bytes = whole.into_bytes();
    let name = bytes.windows(8).position(|window| window == b"requests").expect("a name");
    bytes[name] = 0xff;
    fs::write(place.root.join("report.json"), bytes).expect("written");
    place.check("not UTF-8", &TrivyScan::new(), &Error("not a complete Trivy report"));
}

/// What Trivy was given to say cannot lead out of the image it is about.
#[test]
fn a_path_out_of_the_image_is_text_and_nothing_else() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    let secret = "\"Results\": [{\"Target\": \"../../../../etc/passwd\", \"Class\": \"secret\", \"Secrets\": [{\"RuleID\": \"private-key\", \"StartLine\": 1}]},";
    fs::write(place.root.join("report.json"), REPORT.replacen("\"Results\": [", secret, 1)).expect("written");
    place.check("a path out of the image", &TrivyScan::new(), &Failed("private-key"));
}
