use std::fs;

use cicd_core::model::Status;
use cicd_core::steps::TrivyScan;

use super::place::{Error, Expected, FLAW, Failed, Green, Place, one_flaw};

#[test]
fn tools() {
    let copy = "cp \"$report\" \"$out\"";
    let rows: [(&str, String, Expected); 12] = [
        ("as it should be", copy.to_owned(), Failed(FLAW)),
        ("to standard output as well", format!("cat \"$report\"; {copy}"), Failed(FLAW)),
        ("noise on both outputs", format!("echo '{{}}'; echo FATAL >&2; {copy}"), Failed(FLAW)),
        ("to standard output alone", "cat \"$report\"".to_owned(), Error("wrote no report")),
        ("success without a word", "true".to_owned(), Error("wrote no report")),
        ("a report and exit code 1", format!("{copy}; exit 1"), Error("exit code 1")),
        ("SIGTERM", format!("{copy}; kill -TERM $$"), Error("SIGTERM")),
        ("SIGKILL", format!("{copy}; kill -KILL $$"), Error("SIGKILL")),
        ("SIGSEGV", format!("{copy}; kill -SEGV $$"), Error("SIGSEGV")),
        ("asks a question", format!("read -r answer || {copy}"), Failed(FLAW)),
        ("needs a terminal", format!("[ -t 0 ] || exit 2; {copy}"), Error("exit code 2")),
        ("a folder in place of the report", "mkdir \"$out\"".to_owned(), Error("report")),
    ];
    for (name, action, expected) in rows {
        Place::new(&action).check(name, &TrivyScan::new(), &expected);
    }
}

/// The file of an earlier call is no report of this one.
#[test]
fn a_report_that_was_left_behind_is_not_read() {
    let place = Place::new("[ -e \"$report\" ] && exec cp \"$report\" \"$out\"\ntrue");
    place.check("the first call", &TrivyScan::new(), &Failed(FLAW));
    fs::remove_file(place.root.join("report.json")).expect("removed");
    place.check("a call that writes nothing", &TrivyScan::new(), &Error("wrote no report"));
}

/// A database that changed between the steps is none that was judged.
#[test]
fn databases() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    let clean = one_flaw().replace("\"Vulnerabilities\"", "\"Forgotten\"");
    fs::write(place.root.join("report.json"), clean).expect("written");
    place.check("as it should be", &TrivyScan::new(), &Green(Status::Passed));
    let metadata = place.database.cache_dir().join("db/metadata.json");
    let whole = fs::read_to_string(&metadata).expect("readable");
    for (name, text, complaint) in [
        ("schema 1", whole.replace("\"Version\":2", "\"Version\":1"), "schema 1"),
        ("schema 3", whole.replace("\"Version\":2", "\"Version\":3"), "schema 3"),
        ("another day", whole.replace("2024-10-10", "2024-10-11"), "is of 2024-10-11"),
        ("cut", whole[..whole.len() / 2].to_owned(), "EOF"),
        ("empty", String::new(), "EOF"),
    ] {
        fs::write(&metadata, text).expect("written");
        place.check(name, &TrivyScan::new(), &Error(complaint));
    }
    fs::write(&metadata, &whole).expect("written");
    fs::write(place.root.join("canary.json"), "{\"SchemaVersion\":2,\"ArtifactType\":\"filesystem\"}")
        .expect("written");
    place.check("knows nothing", &TrivyScan::new(), &Error("it is empty or broken"));
    fs::remove_file(&metadata).expect("removed");
    place.check("missing", &TrivyScan::new(), &Error("metadata.json"));
}
