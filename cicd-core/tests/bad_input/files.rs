use std::fs;
use std::os::unix::fs::symlink;

use cicd_core::step::{Step as _, StepError};
use cicd_core::steps::{ExceptionLint, LockedLicenses, TrivyScan};

use super::place::Place;

/// What is in place of a file that a step is told to read, and how it has to be refused.
const ROWS: [(&str, &str); 7] = [
    ("missing", "No such file"),
    ("dangling", "No such file"),
    ("loop", "symbolic links"),
    ("outside", "outside of the workspace"),
    ("endless", "outside of the workspace"),
    ("folder", "it is not a file"),
    ("pipe", "it is not a file"),
];

/// One way to read a file of the workspace.
type Reader = fn(&Place, &str) -> Result<(), String>;

const READERS: [(&str, Reader); 4] = [
    ("an ignore file", |place, file| place.scan(&TrivyScan::new().ignore_file(file)).map(|_| ())),
    ("a file with exceptions", |place, file| {
        told(ExceptionLint::files([file.to_owned() + ".toml"]).run(&place.cx, ()))
    }),
    ("a list of licences", |place, file| told(LockedLicenses::approved(file, "good").run(&place.cx, ()))),
    ("a policy", |place, file| place.cx.shared().workspace.limits(file).map(|_| ()).map_err(|error| error.to_string())),
];

fn told<T>(result: Result<T, StepError>) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn what_is_no_file_is_refused_by_whoever_reads_it() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    let outside = tempfile::NamedTempFile::new().expect("a file");
    for ending in ["", ".toml"] {
        let at = |name: &str| place.root.join(format!("{name}{ending}"));
        fs::create_dir(at("folder")).expect("a folder");
        symlink("nowhere", at("dangling")).expect("a link");
        symlink(format!("loop{ending}"), at("loop")).expect("a link");
        symlink(outside.path(), at("outside")).expect("a link");
        symlink("/dev/zero", at("endless")).expect("a link");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe").as_std_path(), 0o600.into()).expect("a pipe");
    }
    for (reader, read) in READERS {
        for (name, expected) in ROWS {
            let error = read(&place, name).expect_err(&format!("{reader}, {name}: it was read"));
            assert!(error.contains(expected), "{reader}, {name}: {error}");
        }
    }
}

#[test]
fn a_link_inside_the_workspace_is_followed() {
    let place = Place::new("exec cp \"$report\" \"$out\"");
    fs::write(place.root.join("good.toml"), "").expect("written");
    symlink("good.toml", place.root.join("link.toml")).expect("a link");
    for file in ["good.toml", "link.toml"] {
        let result = ExceptionLint::files([file]).run(&place.cx, ());
        // It is no checkout, which is found out after the file was read.
        assert!(result.is_err_and(|error| error.to_string().contains("no checkout")), "{file}");
    }
}
