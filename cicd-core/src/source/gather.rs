use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::blob::{Format, name_of, open_plain, read_name};
use super::committed::{Committed, Head, Indexed, SUBMODULE, index};
use super::folders::Folders;
use super::git::{Git, entries, line, told};
use super::kinds::Kind;
use super::walk::{self, Lying, Tracked};
use super::{Difference, Foreign, Hidden, SourceFile, Why};
use crate::formats::hex;
use crate::model::Revision;
use crate::process::{Cancel, Toolbox};

/// So many bytes of files that differ from the commit are read; further ones are known by their size, times and number.
const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;
/// Fewer files are read before a thread has started.
const FILES_A_THREAD_MIN: usize = 64;
/// A text beyond this is not asked for the ends of its lines.
const LINE_ENDS_BYTES_MAX: u64 = 1 << 20;
/// A list of what may be in a revision for people; the rest is counted.
const DIFFERENCES_NAMED_MAX: usize = 20;

/// What is judged, as it lies when it is gathered; see the [module](super).
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) format: Format,
    pub(super) committed_s: u64,
    commit: Option<String>,
    files: Vec<SourceFile>,
    differences: Vec<Difference>,
    hidden: Vec<Hidden>,
    foreign: Vec<Foreign>,
    personal: Vec<Utf8PathBuf>,
    notes: Vec<String>,
    identity: String,
    /// The folders on the way to the files.
    pub(super) folders: Arc<Folders>,
}

impl Source {
    /// Gathers it for the workspace at `root`.
    ///
    /// # Errors
    /// When that is in no git checkout, when git or the system do not answer, when git tracks a name that is not UTF-8, and when
    /// more than a hundred thousand untracked files lie there.
    pub fn gather(root: &Utf8Path, toolbox: &Toolbox, cancel: &Cancel) -> Result<Self, String> {
        let nearest = root.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
        let nearest = nearest.ok_or_else(|| format!("{root} is not in a git checkout"))?;
        let root = root.canonicalize_utf8().map_err(told(root))?;
        let top = nearest.canonicalize_utf8().map_err(told(nearest))?;
        let git = Git::find(&root, toolbox, cancel)?;
        let shown = git.ask(&["rev-parse", "--show-toplevel"])?;
        let shown = line(&shown)?;
        if Utf8Path::new(shown).canonicalize_utf8().ok().as_ref() != Some(&top) {
            return Err(format!("git takes {shown} for the files of the repository at {top}; unset its core.worktree"));
        }
        let common = git.ask(&["rev-parse", "--git-common-dir"])?;
        let common = root.join(line(&common)?);
        let git = git.at(&top);
        let head = Head::read(&git)?;
        let committed = head.as_ref().map_or_else(|| Ok(BTreeMap::new()), |head| head.files(&git))?;
        let indexed = index(&git)?;
        let format = Format::of(head.as_ref().map_or("", |head| &head.commit));
        let below = root.strip_prefix(&top).map_err(|_| format!("{root} is not below {top}"))?.to_owned();
        let mut gathering = Gathering {
            git: &git,
            top: &top,
            below: &below,
            format: if head.is_some() { format } else { Format::Sha1 },
            committed: &committed,
            indexed: &indexed,
            unread_bytes: UNCOMMITTED_BYTES_MAX,
            read: BTreeMap::new(),
            found: Found::default(),
        };
        gathering.look()?;
        gathering.redirections(&common)?;
        let (format, found) = (gathering.format, gathering.found);
        let identity = found.identity();
        let Found { mut files, mut differences, mut hidden, mut foreign, mut personal, mut notes } = found;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        differences.sort_by(|one, other| one.path.cmp(&other.path));
        hidden.sort_by(|one, other| one.path.cmp(&other.path));
        foreign.sort_by(|one, other| one.path.cmp(&other.path));
        personal.sort();
        // From here on: what was another one when it was read has other files, which are stamped.
        let folders = Arc::new(Folders::of(&root, files.iter().map(|file| file.path.as_path())));
        notes.extend(folders.note());
        let (commit, committed_s) = head.map_or((None, 0), |head| (Some(head.commit), head.committed_s));
        Ok(Self {
            format,
            committed_s,
            commit,
            files,
            differences,
            hidden,
            foreign,
            personal,
            notes,
            identity,
            folders,
        })
    }

    /// The commit, and whether anything differs from it.
    ///
    /// # Errors
    /// When there is no commit yet.
    pub fn revision(&self) -> Result<Revision, String> {
        let commit = self.commit.clone().ok_or("there is no commit yet")?;
        let named = self.differences.iter().take(DIFFERENCES_NAMED_MAX).map(ToString::to_string);
        Ok(Revision { commit, dirty: !self.differences.is_empty(), differences: named.collect() })
    }

    /// Every file of the workspace that is judged, sorted: tracked ones and untracked ones that no rule ignores, as they lie.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// In what the checkout differs from the commit; nothing is cleared while there is anything.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Ignored files of the workspace that tools read by themselves.
    #[must_use]
    pub fn hidden(&self) -> &[Hidden] {
        &self.hidden
    }

    /// Submodules and other repositories in the workspace.
    #[must_use]
    pub fn foreign(&self) -> &[Foreign] {
        &self.foreign
    }

    /// Ignored files of the workspace that only concern whoever keeps them.
    #[must_use]
    pub fn personal(&self) -> &[Utf8PathBuf] {
        &self.personal
    }

    /// What was looked at in another way than usual, and why.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A hash of all of it: what every file is called, of what kind it is and what is in it.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The kind and the content of every file, by its path: what tells which ones have changed since.
    #[must_use]
    pub fn listing(&self) -> BTreeMap<String, String> {
        let files =
            self.files.iter().map(|file| (file.path.to_string(), format!("{} {}", file.kind.mode(), file.content)));
        let hidden = self.hidden.iter().map(|hidden| (hidden.path.to_string(), "ignored".to_owned()));
        files.chain(hidden).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Found {
    files: Vec<SourceFile>,
    differences: Vec<Difference>,
    pub(super) hidden: Vec<Hidden>,
    foreign: Vec<Foreign>,
    pub(super) personal: Vec<Utf8PathBuf>,
    pub(super) notes: Vec<String>,
}

impl Found {
    fn identity(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.files.iter().map(|file| format!("{}\0{} {}", file.path, file.kind.mode(), file.content)));
        // An untracked file is on the list; an untracked folder of generated files is not looked into.
        let differences = self.differences.iter().filter(|one| one.why != Why::Untracked);
        lines.extend(differences.map(|one| format!("{}\0{:?}", one.path, one.why)));
        lines.extend(self.hidden.iter().map(|one| format!("{}\0ignored", one.path)));
        lines.extend(self.foreign.iter().map(|one| format!("{}\0foreign", one.path)));
        lines.sort();
        let mut hash = Sha256::new();
        for line in lines {
            hash.update(line);
            hash.update(b"\0\0");
        }
        hex(&hash.finalize())
    }
}

fn content_of(format: Format, path: &Utf8Path) -> io::Result<String> {
    let (mut file, metadata) = open_plain(path)?;
    read_name(format, &mut file, metadata.len(), &mut io::sink())
}

pub(super) struct Gathering<'a> {
    pub(super) git: &'a Git<'a>,
    pub(super) top: &'a Utf8Path,
    /// The workspace, below the top.
    pub(super) below: &'a Utf8Path,
    format: Format,
    committed: &'a BTreeMap<String, Committed>,
    indexed: &'a BTreeMap<String, Indexed>,
    /// How many bytes of files that differ from the commit may still be read.
    unread_bytes: u64,
    /// What is in the files that have the size of their commit.
    read: BTreeMap<String, io::Result<String>>,
    pub(super) found: Found,
}

impl Gathering<'_> {
    fn look(&mut self) -> Result<(), String> {
        let (committed, indexed) = (self.committed, self.indexed);
        let all = committed.iter().map(|(path, file)| (path.as_str(), &file.mode));
        let all = all.chain(indexed.iter().map(|(path, file)| (path.as_str(), &file.mode)));
        let (submodules, files): (Vec<_>, Vec<_>) = all.partition(|(_, mode)| *mode == SUBMODULE);
        let files: BTreeSet<&str> = files.into_iter().map(|(path, _)| path).collect();
        let submodules: BTreeSet<&str> = submodules.into_iter().map(|(path, _)| path).collect();
        let tracked = Tracked::new(files, submodules);
        let mut seen = walk::tracked_folders(self.top, &tracked);
        self.read = self.read_all(&seen.tracked);
        for path in &tracked.files {
            self.tracked(path, seen.tracked.get(*path));
        }
        for path in &tracked.submodules {
            self.submodule(path);
        }
        let beside = std::mem::take(&mut seen.beside);
        self.beside(beside, &tracked, &mut seen)?;
        for path in std::mem::take(&mut seen.nested) {
            self.foreign(&path, false);
        }
        for path in std::mem::take(&mut seen.unreadable) {
            self.differ(&path, Why::Unreadable);
        }
        Ok(())
    }

    /// Compares a tracked file with its commit.
    fn tracked(&mut self, path: &str, lying: Option<&Lying>) {
        let (committed, indexed) = (self.committed.get(path), self.indexed.get(path));
        let committed = committed.filter(|file| file.mode != SUBMODULE);
        let mut why = None;
        if let Some(lying) = lying {
            let content = self.content(path, lying, committed);
            why = committed.and_then(|committed| self.compare(path, lying, &content, committed));
            self.file(path, lying, content, true);
        } else if committed.is_some() {
            why = Some(Why::Missing);
        }
        let why = match (why, committed, indexed) {
            (_, _, Some(indexed)) if indexed.conflict => Some(Why::Conflict),
            (Some(why), ..) => Some(why),
            (None, None, _) => Some(Why::Added),
            (None, Some(_), None) => Some(Why::Staged),
            (None, Some(committed), Some(indexed))
                if (&committed.mode, &committed.id) != (&indexed.mode, &indexed.id) =>
            {
                Some(Why::Staged)
            }
            (None, Some(_), Some(indexed)) => indexed.overlooked.map(|_| Why::WouldBeOverlooked),
        };
        if let Some(why) = why {
            let path = self.shown(path);
            let overlooked = indexed.and_then(|indexed| indexed.overlooked);
            self.found.differences.push(Difference { overlooked, ..Difference::new(path, why) });
        }
    }

    fn compare(&self, path: &str, lying: &Lying, content: &io::Result<String>, committed: &Committed) -> Option<Why> {
        let wanted = match committed.mode.as_str() {
            "120000" => Kind::Link,
            "100755" => Kind::Executable,
            _ => Kind::Plain,
        };
        let is_file = |kind: Kind| matches!(kind, Kind::Plain | Kind::Executable);
        if lying.kind != wanted && !(is_file(lying.kind) && is_file(wanted)) {
            return Some(Why::Kind);
        }
        match content {
            Err(_) => Some(Why::Unreadable),
            Ok(content) if *content != committed.id => {
                let converted = lying.size_bytes <= LINE_ENDS_BYTES_MAX && self.only_line_ends(path, &committed.id);
                Some(if converted { Why::LineEnds } else { Why::Edited })
            }
            Ok(_) => (lying.kind != wanted).then_some(Why::Mode),
        }
    }

    /// Whether a file is like in the commit but for carriage returns.
    fn only_line_ends(&self, path: &str, id: &str) -> bool {
        let Ok((mut file, metadata)) = open_plain(&self.top.join(path)) else { return false };
        let mut bytes = Vec::new();
        if read_name(self.format, &mut file, metadata.len(), &mut bytes).is_err() {
            return false;
        }
        let mut lines = Vec::with_capacity(bytes.len());
        for (at, &byte) in bytes.iter().enumerate() {
            if byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
                lines.push(byte);
            }
        }
        name_of(self.format, &lines) == id
    }

    /// What is in a file. One of another size than in the commit is read as far as the budget allows: beyond that, a stamp tells it
    /// from a changed one.
    pub(super) fn content(&mut self, path: &str, lying: &Lying, committed: Option<&Committed>) -> io::Result<String> {
        if let Some(read) = self.read.remove(path) {
            return read;
        }
        let full = self.top.join(path);
        match lying.kind {
            Kind::Folder | Kind::Special => return Ok(lying.kind.mode().to_owned()),
            Kind::Link => return Ok(name_of(self.format, fs::read_link(full)?.as_os_str().as_encoded_bytes())),
            Kind::Plain | Kind::Executable => {}
        }
        if committed.and_then(|committed| committed.size_bytes) != Some(lying.size_bytes) {
            if lying.size_bytes > self.unread_bytes {
                let megabytes = lying.size_bytes.div_ceil(1_000_000);
                let path = self.shown(path);
                let note = format!("{path} ({megabytes} MB) is known by its size and time, its bytes were not read");
                self.found.notes.push(note);
                return Ok(format!("stamp-{}", lying.stamp));
            }
            self.unread_bytes -= lying.size_bytes;
        }
        content_of(self.format, &full)
    }

    /// Reads every tracked file that has the size of its commit, which most have, on as many threads as there are processors.
    fn read_all(&self, lying: &BTreeMap<String, Lying>) -> BTreeMap<String, io::Result<String>> {
        let is_plain = |lying: &Lying| matches!(lying.kind, Kind::Plain | Kind::Executable);
        let has_size = |(path, lying): &(&String, &Lying)| {
            let committed = self.committed.get(*path).and_then(|committed| committed.size_bytes);
            is_plain(lying) && committed == Some(lying.size_bytes)
        };
        let paths: Vec<&String> = lying.iter().filter(has_size).map(|(path, _)| path).collect();
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let read = |paths: &[&String]| -> Vec<(String, io::Result<String>)> {
            paths.iter().map(|path| ((*path).clone(), content_of(self.format, &self.top.join(path)))).collect()
        };
        let share = paths.len().div_ceil(threads).max(FILES_A_THREAD_MIN);
        thread::scope(|scope| {
            let started: Vec<_> = paths.chunks(share).map(|share| scope.spawn(move || read(share))).collect();
            // What a thread did not read is read by whoever asks for it.
            started.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
        })
    }

    fn submodule(&mut self, path: &str) {
        let committed = self.committed.get(path).map(|file| (&file.mode, &file.id));
        if committed != self.indexed.get(path).map(|file| (&file.mode, &file.id)) {
            self.differ(path, Why::Staged);
        }
        self.foreign(path, true);
    }

    fn foreign(&mut self, path: &str, is_submodule: bool) {
        if Utf8Path::new(path).starts_with(self.below) {
            let path = self.shown(path);
            self.found.foreign.push(Foreign { path, is_submodule });
        }
    }

    pub(super) fn differ(&mut self, path: &str, why: Why) {
        let path = self.shown(path);
        self.found.differences.push(Difference::new(path, why));
    }

    /// Puts a file of the workspace on the list.
    pub(super) fn file(&mut self, path: &str, lying: &Lying, content: io::Result<String>, tracked: bool) {
        let Ok(inside) = Utf8Path::new(path).strip_prefix(self.below) else { return };
        let Lying { kind, stamp, .. } = *lying;
        if kind == Kind::Folder {
            return;
        }
        // Who is to look at a file that cannot be read says so.
        let content = content.unwrap_or_else(|error| format!("unreadable: {error}"));
        self.found.files.push(SourceFile { path: inside.to_owned(), kind, content, stamp, tracked });
    }

    /// Relative to the workspace where it lies in it.
    pub(super) fn shown(&self, path: &str) -> Utf8PathBuf {
        let path = Utf8Path::new(path);
        path.strip_prefix(self.below).unwrap_or(path).to_owned()
    }

    /// What makes git show something else than what was committed.
    fn redirections(&mut self, common: &Utf8Path) -> Result<(), String> {
        let replaced = self.git.ask(&["for-each-ref", "--format=%(refname)%00", "refs/replace/"])?;
        for name in entries(&replaced) {
            let name = name?.trim();
            if !name.is_empty() {
                self.found.differences.push(Difference::new(format!(".git/{name}"), Why::Replaced));
            }
        }
        if common.join("info/grafts").metadata().is_ok_and(|file| file.len() > 0) {
            self.found.differences.push(Difference::new(".git/info/grafts", Why::Grafted));
        }
        if common.join("shallow").exists() {
            self.found.notes.push("the checkout is shallow: earlier commits are not there".to_owned());
        }
        Ok(())
    }
}
