use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use crate::files::{Entry, Folder, Kind, SEARCHED_BYTES_MAX, unfinished_name};
use crate::model::{Finding, Level, Severity, finding_codes};
use crate::process::{Cancel, Redactor};

finding_codes! {
    /// What can be said about what a step leaves.
    pub enum RunCode {
        Unsearched = "RUN-001" {
            summary: "something that a step left was removed because it could not be searched for secrets",
            help: "leave no pipes, sockets or devices in the step's folder, and nothing larger than 4 GiB in a run with secrets",
            example: "a core file of 20 GiB, or a named pipe, in target/ci/runs/<id>/steps/<name>",
        },
        LeftOut = "RUN-002" {
            summary: "a step found, or said, more than a record keeps",
            help: "narrow what the step looks at; what was cut decides nothing, and clearance waits where it might have",
            example: "300,000 findings of one step, of which 60,000 are kept",
        },
    }
}

/// What is said of a step when something was removed of what it left. It changes no verdict: nothing is judged by it any more.
pub(super) fn unsearched(what: String) -> Finding {
    Finding::new(RunCode::Unsearched, format!("removed, as secrets may be in it: {what}"))
        .severity(Severity::Low)
        .level(Level::Warn)
}

/// Files are read in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// So is what comes after so many bytes of one folder.
const FOLDER_BYTES_MAX: u64 = 8 << 30;
/// So is what is nested more deeply.
const DEPTH_MAX: usize = 64;
/// So is what has not been searched so long after the run was told to stop: it ends within five seconds.
const CANCELLED_PATIENCE: Duration = Duration::from_millis(500);
/// More are counted, not named.
const REMOVED_NAMED_MAX: usize = 20;

/// What was removed because it could not be searched for secrets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// Each with why, up to [`REMOVED_NAMED_MAX`].
    named: Vec<String>,
    more: usize,
}

impl Removed {
    /// All of it in one line, or nothing.
    pub(super) fn told(&self, redactor: &Redactor) -> Option<String> {
        let mut text = self.named.join(", ");
        if self.more > 0 {
            text = format!("{text} and {} more", self.more);
        }
        (!text.is_empty()).then(|| redactor.redact(&text).into_owned())
    }

    fn add(&mut self, name: &OsStr, why: &str) {
        if self.named.len() == REMOVED_NAMED_MAX {
            self.more += 1;
        } else {
            self.named.push(format!("{} ({why})", name.to_string_lossy()));
        }
    }
}

/// Takes the secrets out of every file below `folder`, and out of the names of files: reports that tools wrote themselves have
/// passed no redactor.
///
/// A file with a secret is replaced by a copy without, so that nothing is written to where it may have another name. Nothing
/// is followed out of the folder. What cannot be searched is removed.
///
/// # Errors
/// When something can be neither searched nor removed; the folder may still hold a secret then.
pub(super) fn scrub(folder: &Utf8Path, redactor: &Redactor, cancel: &Cancel) -> io::Result<Removed> {
    let mut scrubbing = Scrubbing { redactor, cancel, bytes: 0, until: None, removed: Removed::default() };
    if !redactor.knows_any() {
        return Ok(scrubbing.removed);
    }
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(scrubbing.removed) };
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let parent = match Folder::open(parent) {
        Err(error) if gone(&error) => return Ok(scrubbing.removed),
        parent => parent?,
    };
    match parent.entry(name) {
        Err(error) if gone(&error) => {}
        entry => scrubbing.entry(&parent, &entry?, 0)?,
    }
    Ok(scrubbing.removed)
}

struct Scrubbing<'a> {
    redactor: &'a Redactor,
    cancel: &'a Cancel,
    bytes: u64,
    /// When patience ends.
    until: Option<Instant>,
    removed: Removed,
}

impl Scrubbing<'_> {
    fn folder(&mut self, folder: &Folder, depth: usize) -> io::Result<()> {
        let mut number = 0;
        for mut entry in folder.entries()? {
            if self.redactor.revealed(entry.name.as_bytes()).is_some() {
                let name = unused_name(folder, &mut number)?;
                folder.rename(&entry.name, &name)?;
                entry.name = name.into();
            }
            self.entry(folder, &entry, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &Folder, entry: &Entry, depth: usize) -> io::Result<()> {
        let unsearched = match entry.kind {
            _ if self.is_late() => Some("the run was told to stop"),
            Kind::Other => Some("a named pipe, a socket or a device"),
            Kind::Link => {
                let target = folder.link_target(&entry.name)?;
                self.redactor.revealed(target.as_bytes()).map(|_| "a link to a secret")
            }
            Kind::Folder if depth == DEPTH_MAX => Some("nested too deeply"),
            Kind::Folder => return self.inside(folder, entry, depth),
            Kind::File if entry.bytes > SEARCHED_BYTES_MAX => Some("too large to be searched"),
            Kind::File if self.bytes + entry.bytes > FOLDER_BYTES_MAX => Some("too much to be searched"),
            Kind::File => match self.file(folder, entry) {
                Ok(unsearched) => unsearched,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(_) => Some("it cannot be read or written"),
            },
        };
        if let Some(why) = unsearched {
            folder.remove(&entry.name)?;
            self.removed.add(&entry.name, why);
        }
        Ok(())
    }

    /// Searches a folder, or removes one that cannot be read to its end.
    fn inside(&mut self, folder: &Folder, entry: &Entry, depth: usize) -> io::Result<()> {
        let opened =
            if entry.mode & 0o700 == 0o700 { Ok(()) } else { folder.set_mode(&entry.name, entry.mode | 0o700) };
        let searched =
            opened.and_then(|()| folder.child(&entry.name)).and_then(|inside| self.folder(&inside, depth + 1));
        match searched {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if depth > 0 => {
                folder.remove(&entry.name).map_err(|_| error)?;
                self.removed.add(&entry.name, "a folder that cannot be read");
                Ok(())
            }
            searched => searched,
        }
    }

    /// Searches a file, and puts a copy without secrets in its place if there are any. Gives why it is to be removed instead.
    fn file(&mut self, folder: &Folder, entry: &Entry) -> io::Result<Option<&'static str>> {
        let file = match folder.file(&entry.name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // Permissions belong to the file and not to its name, and the file may not be the run's.
                if entry.has_other_names {
                    return Ok(Some("it cannot be read"));
                }
                folder.set_mode(&entry.name, entry.mode | 0o600)?;
                folder.file(&entry.name)?
            }
            file => file?,
        };
        match self.copy(file, &mut io::sink())? {
            Copied::Clean => return Ok(None),
            Copied::Masked => {}
            Copied::Unfinished(why) => return Ok(Some(why)),
        }
        let unfinished = unfinished_name("scrubbed");
        // Who could run it still can, but not as somebody else.
        let mut copy = folder.create_new(unfinished.as_ref(), entry.mode & 0o777)?;
        let copied = folder.file(&entry.name).and_then(|file| self.copy(file, &mut copy));
        match copied {
            Ok(Copied::Clean | Copied::Masked) => folder.rename(&unfinished, &entry.name).map(|()| None),
            Ok(Copied::Unfinished(why)) => folder.remove_name(&unfinished).map(|()| Some(why)),
            // The original goes with it.
            Err(error) => folder.remove_name(&unfinished).and(Err(error)),
        }
    }

    fn copy(&mut self, mut file: File, out: &mut dyn io::Write) -> io::Result<Copied> {
        let mut stream = self.redactor.masking_stream();
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let mut bytes = 0;
        loop {
            piece.clear();
            let count = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            if count == 0 {
                break;
            }
            bytes += count as u64;
            self.bytes += count as u64;
            if bytes > SEARCHED_BYTES_MAX {
                return Ok(Copied::Unfinished("too large to be searched"));
            }
            if self.is_late() {
                return Ok(Copied::Unfinished("the run was told to stop"));
            }
            out.write_all(&stream.push(&piece))?;
        }
        out.write_all(&stream.finish())?;
        Ok(if stream.found_any() { Copied::Masked } else { Copied::Clean })
    }

    fn is_late(&mut self) -> bool {
        if self.until.is_none() && self.cancel.is_cancelled() {
            self.until = Some(Instant::now() + CANCELLED_PATIENCE);
        }
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

enum Copied {
    Clean,
    Masked,
    Unfinished(&'static str),
}

/// A name for what had one that shows a secret: the next number that is not taken.
fn unused_name(folder: &Folder, number: &mut u64) -> io::Result<String> {
    loop {
        *number += 1;
        let name = format!("redacted-{number}");
        match folder.entry(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
            found => found?,
        };
    }
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
