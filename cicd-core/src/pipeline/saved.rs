//! The one saved form of an output: what `--resume` loads, and what another machine would.
//!
//! `output.json` is a label and a value. The label says which run made it of what, and for which step; the record of that run says
//! the sha256 of both. A value is loaded where the record and the label say what is expected, to the letter, and nowhere else.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::bounds::OUTPUT_BYTES_MAX;
use crate::files::Folder;
use crate::formats::hex;
use crate::model::{RunId, StepName};
use crate::step::LoadError;

/// The file of an output in its step's folder.
pub(super) const OUTPUT_FILE: &str = "output.json";

/// What is written for a step without an output, which leaves no file.
const NOTHING: &str = "null";

/// Raised whenever a label says something else than before.
const VERSION: u32 = 1;

/// A label has a few names and hashes.
const LABEL_BYTES_MAX: usize = 16 << 10;

/// What an output was made of, and by which run. A value that was loaded is of another run, and says of which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Origin {
    /// The run that made it.
    pub(super) run: RunId,
    /// The commit that was checked out.
    pub(super) commit: Option<String>,
    /// The hash of every file as it was.
    pub(super) tree: Option<String>,
    /// The hash of the pipeline, with every setting of every step.
    pub(super) definition: String,
    /// The sha256 of the program, which is all that closures are known by.
    pub(super) program: Option<String>,
}

/// What is written above a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    version: u32,
    step: String,
    kind: String,
    origin: Origin,
}

/// Why an output is not loaded; the step runs again.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLoaded {
    #[error("needs {0}, which runs again")]
    Needs(StepName),
    #[error("{0}")]
    Unknown(&'static str),
    #[error("{0}")]
    Changed(String),
    #[error("{0}")]
    Withdrawn(String),
    #[error("run {0} is more than a day old, or of the future")]
    Old(RunId),
    #[error("nothing of its output was kept: it holds a secret, or it was saved by an earlier version")]
    NotKept,
    #[error("{OUTPUT_FILE} of run {0} cannot be read: {1}")]
    Unreadable(RunId, io::Error),
    #[error("{OUTPUT_FILE} of run {0} is not what was written then")]
    Altered(RunId),
    #[error("{OUTPUT_FILE} is not of this {0}")]
    Foreign(&'static str),
    #[error(transparent)]
    Value(#[from] LoadError),
}

impl Label {
    pub(super) fn of(origin: &Origin, step: &StepName, kind: String) -> Self {
        Self { version: VERSION, step: step.to_string(), kind, origin: origin.clone() }
    }

    fn head(&self) -> Result<String, serde_json::Error> {
        Ok(format!("{{\"saved\":{},\n\"value\":", serde_json::to_string(self)?))
    }

    /// The text of the file for a value.
    pub(super) fn seal(&self, value: &str) -> Result<Sealed, serde_json::Error> {
        let text = format!("{}{value}{END}", self.head()?);
        Ok(Sealed { sha256: hex(&Sha256::digest(&text)), is_nothing: value == NOTHING, text })
    }

    /// The value that a step left under this label in its folder, which has this hash in the record.
    pub(super) fn open(&self, step: io::Result<Folder>, sha256: &str) -> Result<String, NotLoaded> {
        let run = || self.origin.run.clone();
        let bytes_max = (OUTPUT_BYTES_MAX + LABEL_BYTES_MAX) as u64;
        let bytes = match step.and_then(|step| step.read(OUTPUT_FILE, bytes_max)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let nothing = self.seal(NOTHING).map_err(LoadError::from)?;
                if nothing.sha256 != sha256 {
                    return Err(NotLoaded::Unreadable(run(), error));
                }
                nothing.text.into_bytes()
            }
            bytes => bytes.map_err(|error| NotLoaded::Unreadable(run(), error))?,
        };
        if hex(&Sha256::digest(&bytes)) != sha256 {
            return Err(NotLoaded::Altered(run()));
        }
        let text = String::from_utf8(bytes).map_err(|_| NotLoaded::Altered(run()))?;
        let head = self.head().map_err(LoadError::from)?;
        let value = text.strip_prefix(&head).and_then(|rest| rest.strip_suffix(END));
        value.map(str::to_owned).ok_or_else(|| NotLoaded::Foreign(self.difference(&text)))
    }

    /// In what the label of a text differs from this one.
    fn difference(&self, text: &str) -> &'static str {
        let label = text.strip_prefix("{\"saved\":").and_then(|rest| rest.split_once(",\n"));
        let Some(Ok(other)) = label.map(|(label, _)| serde_json::from_str::<Self>(label)) else { return "version" };
        let (ours, theirs) = (&self.origin, &other.origin);
        let differs = [
            (self.version == other.version, "version"),
            (self.step == other.step, "step"),
            (self.kind == other.kind, "kind"),
            (ours.program == theirs.program, "program"),
            (ours.definition == theirs.definition, "pipeline"),
            (ours.commit == theirs.commit, "commit"),
            (ours.tree == theirs.tree, "tree"),
        ];
        differs.into_iter().find(|(same, _)| !same).map_or("run", |(_, what)| what)
    }
}

/// What stands below a value.
const END: &str = "}\n";

/// An output under its label.
pub(super) struct Sealed {
    pub(super) text: String,
    pub(super) sha256: String,
    is_nothing: bool,
}

impl Sealed {
    /// Writes it into its step's folder; a step without an output leaves no file.
    pub(super) fn write(&self, folder: impl FnOnce() -> io::Result<Folder>) -> io::Result<()> {
        if self.is_nothing {
            return Ok(());
        }
        // The step may have left anything under this name, or in place of its folder.
        io::Write::write_all(&mut folder()?.create(OUTPUT_FILE)?, self.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    fn origin() -> Origin {
        let text = |text: &str| Some(text.to_owned());
        let run = RunId::new(jiff::Timestamp::UNIX_EPOCH, 1);
        Origin { run, commit: text("c"), tree: text("t"), definition: "d".to_owned(), program: text("p") }
    }

    fn label(step: &str, kind: &str, change: impl FnOnce(&mut Origin)) -> Label {
        let mut origin = origin();
        change(&mut origin);
        Label::of(&origin, &StepName::new(step).expect("a name"), kind.to_owned())
    }

    #[test]
    fn an_output_is_of_one_run_step_kind_tree_pipeline_and_program() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = || Folder::open(Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let expected = label("scan", "proof scan", |_| {});
        let value = "{\n  \"a\": \"}\"\n}";
        let sealed = expected.seal(value).expect("text");
        sealed.write(folder).expect("written");
        assert_eq!(expected.open(folder(), &sealed.sha256).expect("the same"), value);
        assert!(serde_json::from_str::<serde_json::Value>(&sealed.text).is_ok(), "{}", sealed.text);

        let other = |text: &str| Some(text.to_owned());
        let cases = [
            ("step", label("scan-2", "proof scan", |_| {})),
            ("kind", label("scan", "data scan", |_| {})),
            ("run", label("scan", "proof scan", |it| it.run = RunId::new(jiff::Timestamp::UNIX_EPOCH, 2))),
            ("commit", label("scan", "proof scan", |it| it.commit = None)),
            ("tree", label("scan", "proof scan", |it| it.tree = other("u"))),
            ("pipeline", label("scan", "proof scan", |it| it.definition = "e".to_owned())),
            ("program", label("scan", "proof scan", |it| it.program = other("q"))),
            ("version", Label { version: VERSION + 1, ..expected.clone() }),
        ];
        for (what, label) in cases {
            let sealed = label.seal(value).expect("text");
            sealed.write(folder).expect("written");
            let error = expected.open(folder(), &sealed.sha256).expect_err(what).to_string();
            assert_eq!(error, format!("output.json is not of this {what}"));
        }
        // What is no label at all, and a value that hides one.
        for text in
            ["null", "", "{\"saved\":{},\n\"value\":1}\n", &format!(" {}", expected.seal("1").expect("text").text)]
        {
            std::fs::write(dir.path().join(OUTPUT_FILE), text).expect("written");
            let sha256 = hex(&Sha256::digest(text));
            assert!(matches!(expected.open(folder(), &sha256), Err(NotLoaded::Foreign(_))), "{text}");
        }
    }
}
