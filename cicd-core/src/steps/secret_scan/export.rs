use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::contents::unpack;
use crate::files;
use crate::scan::{Bench, Sources};
use crate::step::{Context, StepError};

/// Trivy holds a file in memory several times over. Text that people write is far smaller.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// All files together, as they lie on the disk while they are searched.
const ALL_BYTES_MAX: u64 = 512 << 20;
/// Each file is a finding of its own, as it carries a canary.
const FILES_MAX: usize = 50_000;

/// A secret that Trivy must find: the form of an access token. In two parts, so that this file holds none. A word stands before it,
/// as some rules swallow the blanks behind a secret and with them the start of what follows.
const CANARY_PARTS: [&str; 2] = ["canary gh", "p_k3J9vQz7XwB2mN5tR8yL1cF6hD4sA0pG2eUx"];
/// The rule that finds it, in Trivy and in gitleaks.
pub(super) const CANARY_RULE: &str = "github-pat";
/// What rules of gitleaks ask of a file's name. Every other copy has a name that says nothing.
const TELLING_NAMES: [&str; 8] = [".php", ".tf", ".hcl", ".yml", ".yaml", "nuget.config", ".p12", ".pfx"];

/// A file of the repository as it was laid out for a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exported {
    /// The file, relative to the repository.
    pub(super) path: Utf8PathBuf,
    /// Its name for the tool.
    pub(super) name: String,
    /// How many blank lines stand before its own text.
    pub(super) lead: u32,
    /// The last line, from 1, of its own text. What was unpacked of it follows, then its name.
    pub(super) own_lines: u32,
    /// The line, from 1, of the canary that was added to it, after its name.
    pub(super) canary_line: u32,
    /// What keeps it from being searched, such as `a zip archive`.
    pub(super) packed: Option<&'static str>,
}

/// Copies of the files that are searched, removed with this.
#[derive(Debug)]
pub(super) struct Copies {
    exported: Vec<Exported>,
    bench: Bench,
}

impl Copies {
    /// Lays out every source, behind so many blank lines.
    ///
    /// # Errors
    /// Files that are too large or too many, and what the system says.
    pub(super) fn of(cx: &Context, sources: &Sources, lead: u32) -> Result<Self, StepError> {
        // Copies of everything do not stay in the run's folder.
        let bench = Bench::new(cx)?;
        let tree = bench.make_folder("tree")?;
        let exported = export(cx.root(), &tree, sources.paths().map(Utf8Path::to_owned).collect(), lead)?;
        Ok(Self { exported, bench })
    }

    /// The folder that they are in, and nothing else.
    pub(super) fn tree(&self) -> Utf8PathBuf {
        self.bench.path("tree")
    }

    /// Which they are.
    pub(super) fn all(&self) -> &[Exported] {
        &self.exported
    }

    /// One of them, as the tool got it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn text(&self, file: &Exported) -> Result<Vec<u8>, StepError> {
        let copy = self.tree().join(&file.name);
        files::read(&copy, ALL_BYTES_MAX).map_err(StepError::io("reading", copy))
    }
}

/// Writes every file into `tree`, numbered, as text, with its name and a canary in its last lines.
///
/// Trivy and gitleaks pass over files by their names (tests, Markdown, lock files, pictures) and over those that look like programs,
/// and say nothing of it. So they are given neither names nor control characters, and have to find something in each of them.
fn export(root: &Utf8Path, tree: &Utf8Path, files: Vec<Utf8PathBuf>, lead: u32) -> Result<Vec<Exported>, StepError> {
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
        let (unpacked, packed) = unpack(&bytes, FILE_BYTES_MAX);
        all_bytes = all_bytes.saturating_add(unpacked.len() as u64);
        let (text, own_lines, canary_line) = laid_out(plain_text(bytes), &plain_text(unpacked), &path, lead);
        let lower = path.as_str().to_ascii_lowercase();
        let ending = TELLING_NAMES.into_iter().find(|ending| lower.ends_with(ending)).unwrap_or(".txt");
        let name = format!("{index:06}{ending}");
        fs::write(tree.join(&name), text).map_err(StepError::io("writing", tree.join(&name)))?;
        exported.push(Exported { path, name, lead, own_lines, canary_line, packed });
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
    files::read(file, FILE_BYTES_MAX).map_err(error())
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

/// A file's name in one line, also part by part: rules want a blank before a secret, not a slash or a dot.
fn named(path: &Utf8Path) -> Vec<u8> {
    let parts = path.as_str().split(['/', '.']).filter(|part| !part.is_empty());
    let line = [path.as_str()].into_iter().chain(path).chain(parts).collect::<Vec<_>>().join(" ");
    plain_text(line.into_bytes()).into_iter().map(|byte| if byte == b'\n' { b' ' } else { byte }).collect()
}

/// The text of a file behind blank lines, what was unpacked of it, its name and the canary; then the last line that is its own, and
/// the canary's line.
fn laid_out(own: Vec<u8>, unpacked: &[u8], path: &Utf8Path, lead: u32) -> (Vec<u8>, u32, u32) {
    let end_line = |text: &mut Vec<u8>| {
        if text.last().is_some_and(|&last| last != b'\n') {
            text.push(b'\n');
        }
        u32::try_from(text.iter().filter(|&&b| b == b'\n').count()).unwrap_or(u32::MAX)
    };
    let mut text = vec![b'\n'; lead as usize];
    text.extend(own);
    let own = end_line(&mut text);
    text.extend(unpacked);
    end_line(&mut text);
    text.extend(named(path));
    let name = end_line(&mut text);
    text.extend(CANARY_PARTS.concat().bytes());
    text.push(b'\n');
    (text, own, name.saturating_add(1))
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
            let (seen, own_lines, canary_line) = laid_out(plain_text(bytes.to_vec()), b"", "a/b.c".into(), 0);
            assert_eq!(String::from_utf8_lossy(&seen), format!("{text}a/b.c a b.c a b c\n{}\n", canary()), "{bytes:?}");
            assert_eq!((own_lines, canary_line), (line - 1, line + 1), "{bytes:?}");
            let (led, own_lines, canary_line) = laid_out(plain_text(bytes.to_vec()), b"", "a/b.c".into(), 1);
            assert_eq!((led, own_lines, canary_line), ([b"\n", &seen[..]].concat(), line, line + 2), "{bytes:?}");
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
        let exported = export(root, &tree, vec!["link".into(), "notes.md".into()], 0).expect("exported");
        let notes = Exported {
            path: "notes.md".into(),
            name: "000001.txt".to_owned(),
            lead: 0,
            own_lines: 1,
            canary_line: 3,
            packed: None,
        };
        assert_eq!(exported[1], notes);
        assert!(fs::read_to_string(tree.join("000000.txt")).expect("there").starts_with("no/where\n"));

        let large = fs::File::create(root.join("large")).expect("created");
        large.set_len(FILE_BYTES_MAX + 1).expect("a hole");
        let error = export(root, &tree, vec!["large".into()], 0).expect_err("too large").to_string();
        assert!(error.starts_with("large has 16777217 bytes"), "{error}");
        assert!(export(root, &tree, vec!["gone".into()], 0).is_err());
        assert!(export(root, &tree, vec!["x".into(); FILES_MAX + 1], 0).is_err());
    }
}
