//! What is left to do after debootstrap, until the folder is what a published slim image is.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::PackagesRecipe;
use crate::files::{self, FEW_LINES_BYTES_MAX};
use crate::step::{ReadError, StepError};

/// Documentation that a container never shows. The `copyright` files stay: they are the licences.
const EXCLUDES: &str = "\
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
";

/// Folders whose files are documentation or left over from the making, all of them.
const EMPTIED: &[&str] = &[
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/log",
];

/// Files that tell of the machine the image was made on.
const REMOVED: &[&str] = &["etc/resolv.conf", "etc/hostname", "etc/machine-id", "var/lib/dbus/machine-id"];

/// Names the security updates: debootstrap alone writes the release as it was first published.
pub(super) fn name_updates(root: &Utf8Path, recipe: &PackagesRecipe) -> Result<(), StepError> {
    let path = root.join("etc/apt/sources.list");
    let written = files::read_text(&path, FEW_LINES_BYTES_MAX).map_err(StepError::io("reading", &path))?;
    let sources = sources(&written, &recipe.suite)
        .ok_or_else(|| ReadError::new("the sources.list that debootstrap wrote", format!("it is {written:?}")))?;
    write(&path, &sources)?;
    write(&root.join("etc/dpkg/dpkg.cfg.d/slim"), EXCLUDES)
}

/// The release, its updates and its security updates, from the one line that debootstrap writes.
fn sources(written: &str, suite: &str) -> Option<String> {
    let mut words = written.lines().find(|line| line.starts_with("deb "))?.split_whitespace().skip(1);
    let mirror = words.next().filter(|mirror| mirror.contains("://"))?.trim_end_matches('/');
    (words.next()? == suite).then(|| {
        format!(
            "deb {mirror} {suite} main\ndeb {mirror} {suite}-updates main\ndeb {mirror}-security {suite}-security main\n"
        )
    })
}

/// Removes documentation, caches and what tells of this machine.
pub(super) fn slim(root: &Utf8Path) -> Result<(), StepError> {
    for folder in EMPTIED {
        empty(&root.join(folder))?;
    }
    let documents = root.join("usr/share/doc");
    for file in files_below(&documents)? {
        if file.file_name() != Some("copyright") {
            fs::remove_file(&file).map_err(StepError::io("removing", &file))?;
        }
    }
    for file in REMOVED {
        let file = root.join(file);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StepError::io("removing", file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes everything in a folder but the folder itself and its folders, which packages expect.
fn empty(folder: &Utf8Path) -> Result<(), StepError> {
    for file in files_below(folder)? {
        fs::remove_file(&file).map_err(StepError::io("removing", &file))?;
    }
    Ok(())
}

/// Everything below a folder that is no folder; links are not followed.
fn files_below(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StepError> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match folder.read_dir_utf8() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(StepError::io("listing", &folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(StepError::io("listing", &folder))?;
            let is_folder = entry.file_type().map_err(StepError::io("listing", &folder))?.is_dir();
            if is_folder { open.push(entry.into_path()) } else { files.push(entry.into_path()) }
        }
    }
    Ok(files)
}

fn write(path: &Utf8Path, text: &str) -> Result<(), StepError> {
    fs::write(path, text).map_err(StepError::io("writing", path))
}

/// The mount points below `root` in the text of `/proc/self/mountinfo`, the innermost first. A maker of root file systems that
/// was stopped may leave the machine's own `/dev` mounted there, which must not be deleted with the folder.
pub(super) fn mounts_below(mountinfo: &str, root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut mounts: Vec<Utf8PathBuf> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|escaped| Utf8PathBuf::from(unescaped(escaped)))
        .filter(|mount| mount.starts_with(root))
        .collect();
    mounts.sort();
    mounts.reverse();
    mounts
}

/// The kernel writes blanks and backslashes in paths as `\040` and so on.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_updates_are_named_beside_the_release() {
        let written = "deb http://mirror.example.org/debian/ bookworm main\n";
        assert_eq!(
            sources(written, "bookworm").expect("readable"),
            "deb http://mirror.example.org/debian bookworm main\n\
             deb http://mirror.example.org/debian bookworm-updates main\n\
             deb http://mirror.example.org/debian-security bookworm-security main\n"
        );
        for other in
            ["", "deb", "deb http://x", "deb http://x trixie main", "deb x bookworm main", "# deb http://x bookworm"]
        {
            assert_eq!(sources(other, "bookworm"), None, "{other:?}");
        }
    }

    #[test]
    fn documentation_goes_and_licences_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8");
        let files = [
            "usr/share/doc/a/copyright",
            "usr/share/doc/a/changelog.gz",
            "usr/share/man/man1/a.1",
            "etc/hostname",
            "bin/a",
        ];
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            fs::write(path, "x").expect("written");
        }
        slim(root).expect("slimmed");
        let mut left: Vec<_> = files_below(root).expect("listed");
        left.sort();
        assert_eq!(left, ["bin/a", "usr/share/doc/a/copyright"].map(|file| root.join(file)));
        assert!(root.join("usr/share/man/man1").is_dir());
    }

    #[test]
    fn what_is_mounted_inside_is_seen() {
        let table = "22 1 0:21 / /proc rw - proc proc rw\n36 1 0:5 / /srv/a\\040b/root/dev rw - devtmpfs udev rw\n37 36 0:6 / /srv/a\\040b/root/dev/pts rw - devpts x rw\n38 1 0:7 / /srv/a\\040b/rootfs rw - tmpfs x rw\n";
        assert_eq!(
            mounts_below(table, Utf8Path::new("/srv/a b/root")),
            ["/srv/a b/root/dev/pts", "/srv/a b/root/dev"].map(Utf8PathBuf::from)
        );
        assert!(mounts_below(table, Utf8Path::new("/home")).is_empty());
    }
}
