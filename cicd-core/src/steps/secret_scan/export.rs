use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::step::StepError;

/// Trivy holds a file in memory several times over. Text that people write is far smaller.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// All files together, as they lie on the disk while they are searched.
const ALL_BYTES_MAX: u64 = 512 << 20;
/// Each file is a finding of its own, as it carries a canary.
const FILES_MAX: usize = 50_000;

/// A secret that Trivy must find: the form of an access token. In two parts, so that this file holds none. A word stands before it,
/// as some rules swallow the blanks behind a secret and with them the start of what follows.
const CANARY_PARTS: [&str; 2] = ["canary gh", "p_k3J9vQz7XwB2mN5tR8yL1cF6hD4sA0pG2eUx"];
/// The rule that finds it.
pub(super) const CANARY_RULE: &str = "github-pat";

/// A file of the repository as it was laid out for Trivy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exported {
    /// The file, relative to the repository.
    pub(super) path: Utf8PathBuf,
    /// Its name for Trivy.
    pub(super) name: String,
    /// The line, from 1, of the canary that was added to it.
    pub(super) canary_line: u32,
}

/// Writes every file into `tree`, numbered, as text, and with a canary in its last line.
///
/// Trivy passes over files by their names (tests, Markdown, lock files, pictures) and over those that look like programs, and says
/// nothing of it. So it is given neither names nor control characters, and has to find something in each of them.
///
/// # Errors
/// Files that are too large or too many, and what the system says.
pub(super) fn export(root: &Utf8Path, tree: &Utf8Path, files: Vec<Utf8PathBuf>) -> Result<Vec<Exported>, StepError> {
    if files.len() > FILES_MAX {
        let what = format!("{} files are more than the {FILES_MAX} that are searched", files.len());
        return Err(StepError::not_looked(what, "leave folders out, with a justification"));
    }
    let mut all_bytes = 0_u64;
    let mut exported = Vec::new();
    for (index, path) in files.into_iter().enumerate() {
        let bytes = content(&root.join(&path), &path)?;
        all_bytes = all_bytes.saturating_add(bytes.len() as u64);
        if all_bytes > ALL_BYTES_MAX {
            let what = format!("the files have more than the {ALL_BYTES_MAX} bytes that are searched");
            return Err(StepError::not_looked(what, "leave folders out, with a justification"));
        }
        let (text, canary_line) = with_canary(plain_text(bytes));
        let name = format!("{index:06}.txt");
        fs::write(tree.join(&name), text).map_err(StepError::io("writing", tree.join(&name)))?;
        exported.push(Exported { path, name, canary_line });
    }
    Ok(exported)
}

/// What git keeps of a file: of a symbolic link, where it points.
fn content(file: &Utf8Path, shown: &Utf8Path) -> Result<Vec<u8>, StepError> {
    let error = || StepError::io("reading", shown);
    let metadata = fs::symlink_metadata(file).map_err(error())?;
    if metadata.is_symlink() {
        return Ok(fs::read_link(file).map_err(error())?.as_os_str().as_bytes().to_vec());
    }
    if !metadata.is_file() {
        return Err(error()(io::Error::other("it is neither a file nor a link")));
    }
    if metadata.len() > FILE_BYTES_MAX {
        let what = format!("{shown} has {} bytes, more than the {FILE_BYTES_MAX} that are searched", metadata.len());
        return Err(StepError::not_looked(what, "leave it out, with a justification"));
    }
    fs::read(file).map_err(error())
}

/// The bytes without those by which Trivy tells programs from texts; lines stay where they are. UTF-16 becomes UTF-8.
fn plain_text(bytes: Vec<u8>) -> Vec<u8> {
    let wide = |to_u16: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| to_u16([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units).into_bytes()
    };
    let mut text = match bytes.get(..2) {
        Some([0xFF, 0xFE]) => wide(u16::from_le_bytes),
        Some([0xFE, 0xFF]) => wide(u16::from_be_bytes),
        _ => bytes,
    };
    for byte in &mut text {
        if byte.is_ascii_control() && !matches!(*byte, b'\t' | b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    text
}

fn with_canary(mut text: Vec<u8>) -> (Vec<u8>, u32) {
    if text.last().is_some_and(|&last| last != b'\n') {
        text.push(b'\n');
    }
    let line = text.iter().filter(|&&b| b == b'\n').count() + 1;
    text.extend(CANARY_PARTS.concat().bytes());
    text.push(b'\n');
    (text, u32::try_from(line).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary() -> String {
        CANARY_PARTS.concat()
    }

    #[test]
    fn every_kind_of_file_becomes_text_with_a_canary() {
        for (bytes, text, line) in [
            (&b""[..], "", 1),
            (b"a", "a\n", 2),
            (b"a\r\nb\n", "a\r\nb\n", 3),
            (b"\x7fELF\0\0key\n\x01", " ELF  key\n \n", 3),
            (b"\xFF\xFEk\0\n\0", "\u{feff}k\n", 2),
            (b"\xFE\xFF\0k\0\n", "\u{feff}k\n", 2),
            (b"\xFF\xFEk", "\u{feff}\n", 2),
        ] {
            let (seen, canary_line) = with_canary(plain_text(bytes.to_vec()));
            assert_eq!(String::from_utf8_lossy(&seen), format!("{text}{}\n", canary()), "{bytes:?}");
            assert_eq!(canary_line, line, "{bytes:?}");
        }
    }

    #[test]
    fn files_are_numbered_and_links_are_their_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let tree = root.join("tree");
        fs::create_dir(&tree).expect("made");
        fs::write(root.join("notes.md"), "x\n").expect("written");
        std::os::unix::fs::symlink("no/where", root.join("link")).expect("linked");
        let exported = export(root, &tree, vec!["link".into(), "notes.md".into()]).expect("exported");
        assert_eq!(exported[1], Exported { path: "notes.md".into(), name: "000001.txt".to_owned(), canary_line: 2 });
        assert!(fs::read_to_string(tree.join("000000.txt")).expect("there").starts_with("no/where\n"));

        let large = fs::File::create(root.join("large")).expect("created");
        large.set_len(FILE_BYTES_MAX + 1).expect("a hole");
        let error = export(root, &tree, vec!["large".into()]).expect_err("too large").to_string();
        assert!(error.starts_with("large has 16777217 bytes"), "{error}");
        assert!(export(root, &tree, vec!["gone".into()]).is_err());
        assert!(export(root, &tree, vec!["x".into(); FILES_MAX + 1]).is_err());
    }
}
