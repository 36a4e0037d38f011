//! What the folder of a run holds once secrets are taken out of it. Whatever comes later, from a thread that a step left for
//! example, was searched by nobody, and has to go again.

#![expect(clippy::disallowed_types, reason = "what a step leaves may have any name")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

use crate::files::Stamp;
use crate::formats::hex;

/// What everything in a folder is known by: a digest of each place with the stamp of what lies there.
pub(crate) type Contents = BTreeSet<String>;

/// What the runner writes into the folder when it was searched, without secrets.
const WRITTEN: [&str; 6] = ["events.ndjson", "summary.json", "junit.xml", "report.html", "results.sarif", "tools.json"];

/// The record and the reports, as the runner has written them.
pub(crate) fn written(run: &Utf8Path) -> io::Result<Contents> {
    let mut all = Contents::new();
    visit(run, |path, digest| {
        if path.parent() == Some(run.as_std_path())
            && path.file_name().is_some_and(|name| WRITTEN.iter().any(|ours| name == *ours))
        {
            all.insert(digest);
        }
        Ok(Entered::No)
    })?;
    Ok(all)
}

/// What is below a folder.
pub(super) fn contents(run: &Utf8Path) -> io::Result<Contents> {
    let mut all = Contents::new();
    visit(run, |_, digest| {
        all.insert(digest);
        Ok(Entered::Yes)
    })?;
    Ok(all)
}

/// Removes what is not in `known`, and gives how much it was.
pub(crate) fn remove_others(run: &Utf8Path, known: &Contents) -> io::Result<usize> {
    let mut removed = 0;
    visit(run, |path, digest| {
        if known.contains(&digest) {
            return Ok(Entered::Yes);
        }
        removed += 1;
        match fs::symlink_metadata(path)?.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
        Ok(Entered::No)
    })?;
    Ok(removed)
}

/// Whether what is in a folder is visited too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entered {
    Yes,
    No,
}

fn visit(run: &Utf8Path, mut each: impl FnMut(&Path, String) -> io::Result<Entered>) -> io::Result<()> {
    let mut open: Vec<PathBuf> = vec![run.into()];
    while let Some(folder) = open.pop() {
        let Some(entries) = there(fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let Some(found) = there(fs::symlink_metadata(&path))? else { continue };
            let is_folder = found.is_dir();
            // What comes into a folder changes its times, and has a digest of its own.
            let stamp = if is_folder { String::new() } else { Stamp::of(&found).to_string() };
            let below = path.strip_prefix(run).unwrap_or(&path).as_os_str().as_bytes();
            let digest = hex(&Sha256::new().chain_update(below).chain_update(b"\0").chain_update(stamp).finalize());
            if each(&path, digest)? == Entered::Yes && is_folder {
                open.push(path);
            }
        }
    }
    Ok(())
}

/// What was removed while it was looked at is not there.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_comes_later_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs::create_dir_all(run.join("steps/a/below")).expect("made");
        for file in ["steps/a/output.json", "steps/a/below/kept", "events.ndjson"] {
            fs::write(run.join(file), "known").expect("written");
        }
        let known = contents(run).expect("read");
        assert_eq!(known.len(), 6, "three files and three folders");
        assert_eq!(remove_others(run, &known).expect("nothing to do"), 0);

        for file in ["summary.json", "report.html"] {
            fs::write(run.join(file), "written by the runner").expect("written");
        }
        let known = [known, written(run).expect("read")].into_iter().flatten().collect();
        fs::write(run.join("late"), "a secret").expect("written");
        fs::write(run.join("abandoned"), "a secret").expect("written");
        fs::write(run.join("steps/a/below/kept"), "a secret").expect("written");
        fs::create_dir_all(run.join("steps/late/below")).expect("made");
        fs::write(run.join("steps/late/below/file"), "a secret").expect("written");
        symlink("a secret", run.join("steps/a/late")).expect("linked");
        assert_eq!(remove_others(run, &known).expect("removed"), 5);
        for path in ["late", "abandoned", "steps/a/below/kept", "steps/a/late", "steps/late"] {
            assert!(run.join(path).symlink_metadata().is_err(), "{path} is still there");
        }
        assert_eq!(contents(run).expect("read").len(), 7);
        assert!(run.join("report.html").exists() && run.join("steps/a/output.json").exists());
        assert_eq!(contents(&run.join("nowhere")).expect("nothing is there"), Contents::new());
    }
}
