//! The reports that other systems read, each of which fails alone.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use camino::Utf8Path;

use super::Output;
use crate::pipeline::{Pipeline, Summary};
use crate::reporters::{annotations, html, junit, sarif, step_summary};
use crate::setup;
use crate::step::Workspace;

/// What the reports of a run are made of.
pub(super) struct Reports<'a> {
    pub(super) summary: &'a Summary,
    pub(super) pipeline: &'a Pipeline,
    pub(super) workspace: &'a Workspace,
    pub(super) variables: &'a BTreeMap<OsString, OsString>,
    pub(super) folder: &'a Utf8Path,
}

type Made = Result<String, Box<dyn Error>>;

impl Reports<'_> {
    /// Writes every report, whatever becomes of the others, and gives what could not be written and why.
    pub(super) fn write_all(&self, on_github: bool) -> Vec<String> {
        let Self { summary, pipeline, workspace, variables, folder } = self;
        let files: [(&str, &dyn Fn() -> Made); 4] = [
            ("report.html", &|| Ok(html(summary))),
            ("results.sarif", &|| Ok(sarif(summary, pipeline)?)),
            ("junit.xml", &|| Ok(junit(summary))),
            ("tools.json", &|| Ok(serde_json::to_string_pretty(&setup::provenance(variables, workspace)?)?)),
        ];
        let mut lost: Vec<String> = files
            .into_iter()
            .filter_map(|(name, make)| {
                let written = made(make).and_then(|text| whole(folder, name, &text).map_err(|error| error.to_string()));
                written.err().map(|why| format!("{name} could not be written: {why}"))
            })
            .collect();
        if on_github {
            match made(&|| Ok(annotations(summary))) {
                Ok(text) => Output.hand_over(&text),
                Err(why) => lost.push(format!("the annotations could not be made: {why}")),
            }
        }
        if let Some(path) = variables.get(OsStr::new("GITHUB_STEP_SUMMARY")).filter(|path| !path.is_empty()) {
            let written = made(&|| Ok(step_summary(summary)))
                .and_then(|text| append(path, &text).map_err(|error| error.to_string()));
            lost.extend(written.err().map(|why| format!("the step summary could not be written: {why}")));
        }
        lost
    }
}

/// What a report says. One that panics is lost like any other that cannot be made.
fn made(make: &dyn Fn() -> Made) -> Result<String, String> {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(made) => made.map_err(|error| error.to_string()),
        Err(_) => Err("making it panicked".to_owned()),
    }
}

/// Writes a file all or not at all: half a report would be read as one.
fn whole(folder: &Utf8Path, name: &str, text: &str) -> io::Result<()> {
    let partial = folder.join(format!("{name}.partial"));
    let write = || -> io::Result<()> {
        // New, so that nothing is followed or waited for that a step may have left here.
        let mut file = OpenOptions::new().write(true).create_new(true).open(&partial)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&partial, folder.join(name))
    };
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write().inspect_err(|_| {
        // The error that is told is the one that matters; what is left is not taken for a report.
        let _ = fs::remove_file(&partial);
    })
}

/// Adds to a file of the CI system, if it is one: writing into a pipe that nobody reads never ends.
fn append(path: &OsStr, text: &str) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(data) if !data.is_file() => return Err(io::Error::other(format!("{} is no ordinary file", path.display()))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_whole_or_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        whole(folder, "a.xml", "<a/>").expect("written");
        assert_eq!(fs::read_to_string(folder.join("a.xml")).expect("there"), "<a/>");
        // What a step may have left in the way.
        std::os::unix::fs::symlink("/dev/full", folder.join("b.xml.partial")).expect("a link");
        whole(folder, "b.xml", "<b/>").expect("written beside it");
        assert!(fs::symlink_metadata(folder.join("b.xml")).expect("there").is_file());
        fs::create_dir(folder.join("c.xml")).expect("a folder");
        assert!(whole(folder, "c.xml", "<c/>").is_err() && !folder.join("c.xml.partial").exists());
        assert!(whole(&folder.join("nowhere"), "d.xml", "").is_err());
    }

    #[test]
    fn one_report_that_cannot_be_made_is_told_and_no_other() {
        assert_eq!(made(&|| Ok("text".to_owned())), Ok("text".to_owned()));
        assert_eq!(made(&|| Err("too long".into())), Err("too long".to_owned()));
        assert!(append(OsStr::new("/dev/full"), "x").expect_err("no file").to_string().contains("no ordinary file"));
    }
}
