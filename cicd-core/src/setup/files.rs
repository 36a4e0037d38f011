#![expect(clippy::disallowed_types, reason = "the files of a tool may have names that are not UTF-8")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use camino::Utf8Path;

use super::install::file_sha256;
use super::provenance::{FILE as RECORD, Provenance};
use super::{SetupError, Sha256};
use crate::files::read_text;

/// The list of a set's files, in a form like that of `sha256sum`.
pub(super) const LIST: &str = "files.sha256";
/// A list of a hundred thousand files has some 15 MB.
const LIST_BYTES_MAX: u64 = 64 << 20;
/// Any permission to execute.
const EXECUTABLE: u32 = 0o111;
/// Altered files beyond these are counted, not named.
const NAMED_MAX: usize = 3;

/// Writes down every file of a set as it is now, and gives the sum of the list.
pub(super) fn write_list(folder: &Utf8Path) -> Result<Sha256, SetupError> {
    let list = listed(&files(folder)?);
    let path = folder.join(LIST);
    fs::write(&path, &list).map_err(SetupError::io("writing", &path))?;
    Ok(Sha256::of(list.as_bytes()))
}

/// Checks that a set is what was installed: every file, link and permission to execute, and none beside them.
///
/// The record lies beside the tools. It shows what was altered by accident, or by whoever did not know of it; who may write both may
/// write both.
///
/// # Errors
/// What differs.
pub(super) fn verify(folder: &Utf8Path, record: &Provenance) -> Result<(), String> {
    let path = folder.join(LIST);
    let list = read_text(&path, LIST_BYTES_MAX).map_err(|error| format!("{path} cannot be read: {error}"))?;
    if Sha256::of(list.as_bytes()) != record.files_sha256 {
        return Err(format!("{path} is not the list that was written when it was installed"));
    }
    let now = listed(&files(folder).map_err(|error| error.to_string())?);
    if now == list {
        return Ok(());
    }
    let by_path = |text: &'_ str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.split_once("  "));
        lines.map(|(what, path)| (path.to_owned(), what.to_owned())).collect()
    };
    let (was, is) = (by_path(&list), by_path(&now));
    let gone = was.keys().filter(|path| !is.contains_key(*path)).map(|path| format!("{path} is missing"));
    let other = is.iter().filter_map(|(path, what)| match was.get(path) {
        None => Some(format!("{path} was added")),
        Some(before) if before != what => Some(format!("{path} was changed")),
        Some(_) => None,
    });
    let all: Vec<_> = other.chain(gone).collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(format!("since it was installed, {}{more}", all[..all.len().min(NAMED_MAX)].join(", ")))
}

/// One line a file: what it is, two blanks, its path. A path of more than one line is shown so that it stays one.
fn listed(files: &BTreeMap<PathBuf, String>) -> String {
    let mut list = String::new();
    for (path, what) in files {
        let _ = writeln!(list, "{what}  {}", path.to_string_lossy().escape_debug());
    }
    list
}

fn files(folder: &Utf8Path) -> Result<BTreeMap<PathBuf, String>, SetupError> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.as_std_path().to_owned()];
    while let Some(current) = open.pop() {
        let failed = |error: io::Error| SetupError::io("reading", current.to_string_lossy().as_ref())(error);
        for entry in fs::read_dir(&current).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let inside = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            if inside == Path::new(RECORD) || inside == Path::new(LIST) {
                continue;
            }
            let data = fs::symlink_metadata(&path).map_err(failed)?;
            let what = if data.is_dir() {
                open.push(path);
                continue;
            } else if data.is_symlink() {
                format!("-> {}", fs::read_link(&path).map_err(failed)?.to_string_lossy().escape_debug())
            } else if data.is_file() {
                let executable = if data.mode() & EXECUTABLE == 0 { "" } else { " executable" };
                format!("{}{executable}", file_sha256(&path)?)
            } else {
                // A pipe or a device: looked at, never opened.
                "no file".to_owned()
            };
            all.insert(inside, what);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    type Change = fn(&Utf8Path);

    #[test]
    fn nothing_of_an_installed_tool_is_altered_unseen() {
        let write = |path: &Utf8Path, text: &str| fs::write(path, text).expect("written");
        let changes: [(&str, &str, Change); 14] = [
            ("nothing", "", |_| ()),
            ("program", "bin/tool was changed", |folder| {
                fs::write(folder.join("bin/tool"), "#!/bin/sh\nexit 0\n").expect("x")
            }),
            ("same size", "lib/a.py was changed", |folder| fs::write(folder.join("lib/a.py"), "2").expect("x")),
            ("compiled", "lib/a.pyc was changed", |folder| fs::write(folder.join("lib/a.pyc"), "evil").expect("x")),
            ("added", "lib/sitecustomize.py was added", |folder| {
                fs::write(folder.join("lib/sitecustomize.py"), "").expect("x");
            }),
            ("shadow", "bin/git was added", |folder| symlink("/bin/true", folder.join("bin/git")).expect("x")),
            ("removed", "lib/a.py is missing", |folder| fs::remove_file(folder.join("lib/a.py")).expect("x")),
            ("link", "bin/python was changed", |folder| {
                fs::remove_file(folder.join("bin/python")).expect("x");
                symlink("/tmp/evil", folder.join("bin/python")).expect("x");
            }),
            ("link for file", "lib/a.py was changed", |folder| {
                fs::rename(folder.join("lib/a.py"), folder.with_extension("moved")).expect("x");
                symlink(folder.with_extension("moved"), folder.join("lib/a.py")).expect("x");
            }),
            ("executable", "lib/a.py was changed", |folder| {
                fs::set_permissions(folder.join("lib/a.py"), fs::Permissions::from_mode(0o755)).expect("x");
            }),
            ("list", "is not the list", |folder| {
                fs::write(folder.join("lib/a.py"), "2").expect("x");
                write_list(folder).expect("x");
            }),
            ("no list", "cannot be read", |folder| fs::remove_file(folder.join(LIST)).expect("x")),
            ("a pipe as list", "a named pipe", |folder| {
                fs::remove_file(folder.join(LIST)).expect("x");
                rustix::fs::mkfifoat(rustix::fs::CWD, folder.join(LIST).as_str(), 0o600.into()).expect("x");
            }),
            ("an endless list", "a device", |folder| {
                fs::remove_file(folder.join(LIST)).expect("x");
                symlink("/dev/zero", folder.join(LIST)).expect("x");
            }),
        ];
        for (name, told, change) in changes {
            let parent = tempfile::tempdir().expect("a folder");
            let folder = Utf8Path::from_path(parent.path()).expect("UTF-8").join("set");
            fs::create_dir_all(folder.join("bin")).expect("made");
            fs::create_dir_all(folder.join("lib")).expect("made");
            write(&folder.join("bin/tool"), "#!/bin/sh\n");
            write(&folder.join("lib/a.py"), "1");
            write(&folder.join("lib/a.pyc"), "code");
            symlink("/usr/bin/python3", folder.join("bin/python")).expect("a link");
            let sum = write_list(&folder).expect("listed");
            let record = Provenance::new(&folder, sum, Vec::new());
            change(&folder);
            match verify(&folder, &record) {
                Ok(()) => assert_eq!(told, "", "{name}"),
                Err(why) => assert!(!told.is_empty() && why.contains(told), "{name}: {why}"),
            }
        }
    }
}
