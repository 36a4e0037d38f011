//! Code in an image that is of no package and not of the commit: what an instruction has written, copied from elsewhere or compiled, and
//! what git tracks and nobody can read.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::codes::ImageCode;
use super::shipped::FilePattern;
use super::system::is_state;
use crate::docker::{FileTree, LayerFile, Node, Part, System, Tracked, read_distributions, recorded};
use crate::formats::ImageConfig;
use crate::formats::file_kind::{FileKind, kinds, kinds_of_start};
use crate::formats::printable::printable;
use crate::formats::python_bytecode::source_of;
use crate::model::{Finding, Location, Severity, Target};
use crate::step::{ReadError, StepError};

/// Who has so many places of one kind mends them all at once.
const NAMED_MAX: usize = 200;
/// So much of an instruction tells which one it is.
const INSTRUCTION_CHARS_MAX: usize = 80;
/// Any permission to execute.
const EXECUTABLE: u32 = 0o111;
/// How programs and libraries of Linux begin.
const ELF: &[u8] = b"\x7fELF";
/// What no scanner of sources reads, by the end of its name.
const COMPILED: &[&str] = &["pyc", "pyd", "so"];
/// A name that says nothing: what a file holds can be run under any.
const NAMELESS: &str = "nameless";
/// What Python follows whenever it starts.
const PATH_FILE: &str = "pth";
/// What dpkg runs when it installs or removes a package, by the end of its name; in no package's list of files.
const OF_DPKG: &[&str] = &["preinst", "postinst", "prerm", "postrm", "config"];
const DPKG_FOLDER: &str = "var/lib/dpkg/info/";

/// Which files of an image's own layers are code by what they hold, whatever their names, and of which kinds.
#[derive(Debug)]
pub(super) struct Code {
    base_layers: usize,
    by_content: BTreeMap<String, Vec<FileKind>>,
}

impl Code {
    pub(super) fn new(base_layers: usize) -> Self {
        Self { base_layers, by_content: BTreeMap::new() }
    }

    /// Looks at one file of a layer, or at a part of it.
    pub(super) fn file(&mut self, file: &LayerFile<'_>) {
        if file.layer < self.base_layers || file.part == Part::Later || compiled(file.path, file.bytes) {
            return;
        }
        // A name says that a file is code, and never that it is none.
        let by_content = match file.part {
            Part::Whole => kinds(NAMELESS.into(), file.bytes),
            Part::First | Part::Later => kinds_of_start(NAMELESS.into(), file.bytes),
        };
        let mut found = kinds(file.path.into(), b"");
        found.extend(by_content);
        found.retain(|kind| matches!(kind, FileKind::Python | FileKind::Shell));
        if found.is_empty() {
            self.by_content.remove(file.path);
        } else {
            self.by_content.insert(file.path.to_owned(), found);
        }
    }

    fn of(&self, path: &str, node: &Node, head: &[u8]) -> Option<CodeKind> {
        if compiled(path, head) {
            return Some(CodeKind::Compiled);
        }
        // What has no first line that names an interpreter, a shell runs.
        let is_started = head.starts_with(b"#!") || node.mode & EXECUTABLE != 0;
        let is_text = is_started || is_path_file(path) || self.by_content.contains_key(path);
        is_text.then_some(CodeKind::Text)
    }

    /// Whether scanners have looked at this text where it lies in the repository, as what it is here. The same text may be none of their
    /// business there, under the name of another language say; under such a name it may lie here too, as no program takes it for code by
    /// that. What Python follows at its start no scanner knows by its name.
    fn was_scanned(&self, path: &str, tracked: &Tracked) -> bool {
        let path = Utf8Path::new(path);
        if is_path_file(path.as_str()) {
            return tracked.is_each_of(&[FileKind::Python]);
        }
        tracked.is_named_like(path) || tracked.is_each_of(self.by_content.get(path.as_str()).map_or(&[], Vec::as_slice))
    }
}

fn is_path_file(path: &str) -> bool {
    Utf8Path::new(path).extension() == Some(PATH_FILE)
}

/// Whether a file is code that no scanner of sources reads: a program, or by its name a library or compiled Python. `libx.so.1` is one, and
/// `ld.so.cache` is not.
fn compiled(path: &str, head: &[u8]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let has_version =
        name.split_once(".so.").is_some_and(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    head.starts_with(ELF) || has_version || Utf8Path::new(name).extension().is_some_and(|end| COMPILED.contains(&end))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeKind {
    /// Scanners of sources read it where it lies in the repository.
    Text,
    /// Nobody reads it.
    Compiled,
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shipped<'a> {
    pub(super) base: &'a FileTree,
    pub(super) base_layers: usize,
    pub(super) tree: &'a FileTree,
    pub(super) config: &'a ImageConfig,
    pub(super) dockerfile: &'a Utf8Path,
    /// What is accepted, by path.
    pub(super) accepted: &'a [FilePattern],
}

/// Every file of the image that is code, and that neither its base, a package nor the commit has.
///
/// `context` gives the files of such sizes that git tracks for this build, by the digest of their bytes.
///
/// # Errors
/// A database of packages, or a file of the context, that cannot be read.
pub(super) fn judge(
    shipped: Shipped<'_>,
    code: &Code,
    context: impl FnOnce(&BTreeSet<u64>) -> Result<BTreeMap<[u8; 32], Tracked>, StepError>,
) -> Result<Vec<Finding>, StepError> {
    let Shipped { base, base_layers, tree, config, dockerfile, accepted } = shipped;
    let known = Known::read(base, tree)?;
    let files = tree.files().filter(|(path, _, content)| content.size > 0 && !known.answers_for(path));
    let open: Vec<_> = files
        .filter_map(|(path, node, content)| Some((path, node, content, code.of(path, node, &content.head)?)))
        .collect();
    let texts = open.iter().filter(|(.., kind)| *kind == CodeKind::Text);
    let sizes: BTreeSet<u64> = texts.map(|(_, _, content, _)| content.size).collect();
    let tracked = if sizes.is_empty() { BTreeMap::new() } else { context(&sizes)? };

    let mut allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut more = 0;
    for (path, node, content, kind) in open {
        let twin = tracked.get(&content.sha256).filter(|_| kind == CodeKind::Text);
        if twin.is_some_and(|twin| code.was_scanned(path, twin)) {
            continue;
        }
        let rooted = format!("/{}", printable(path));
        if let Some(pattern) = accepted.iter().find(|pattern| pattern.matches(&rooted)) {
            allowed.entry(&pattern.text).or_default().push(path);
            continue;
        }
        if findings.len() == NAMED_MAX {
            more += 1;
            continue;
        }
        let what = match kind {
            CodeKind::Text if twin.is_some() => {
                "code that git tracks as something else, where nothing takes it for code"
            }
            CodeKind::Text => "code that git does not track",
            CodeKind::Compiled => "compiled code, which nobody can read",
        };
        // A second name of a file of the base's has its content, and a layer of its own.
        let layer = if content.layer < base_layers { node.layer } else { content.layer };
        let message = format!("{rooted}: {what}, of no package, from {}", origin(config, layer));
        let finding = Finding::new(ImageCode::OwnCode, message).severity(Severity::High);
        findings.push(finding.at(Location::file(dockerfile)).target(Target::Name(rooted)));
    }
    if more > 0 {
        findings.push(Finding::new(ImageCode::OwnCode, format!("{more} more files of this kind")));
    }
    // One for all that a pattern accepts: there may be thousands.
    findings.extend(allowed.into_iter().map(|(pattern, paths)| {
        let message = format!("/{} and {} more files are code of no package", printable(paths[0]), paths.len() - 1);
        Finding::new(ImageCode::OwnCode, message).severity(Severity::High).target(Target::name(pattern))
    }));
    Ok(findings)
}

fn origin(config: &ImageConfig, layer: usize) -> String {
    match config.made_by.get(layer) {
        Some(made) => {
            // Before a command stand the build's arguments and the shell.
            let made = made.split_once("/bin/sh -c ").map_or(made.as_str(), |(_, command)| command);
            let words: String = made.chars().take(INSTRUCTION_CHARS_MAX).collect();
            format!("layer {} ({})", layer + 1, printable(&words))
        }
        None => format!("layer {}", layer + 1),
    }
}

/// What others answer for.
struct Known<'a> {
    base: &'a FileTree,
    tree: &'a FileTree,
    system: System,
    /// The packages of the system that the base does not have, or not in this version.
    new: BTreeSet<String>,
    /// The files of Python's packages that are what was recorded.
    recorded: BTreeSet<String>,
}

impl<'a> Known<'a> {
    fn read(base: &'a FileTree, tree: &'a FileTree) -> Result<Self, ReadError> {
        let (before, system) = (System::read(base)?, System::read(tree)?);
        let new = system.packages.difference(&before.packages).map(|package| package.name.clone()).collect();
        let mut distributions = read_distributions(tree, &system);
        // A record that was changed after the package was installed says what somebody wants it to say.
        distributions.retain(|one| {
            let record = one.folder.join("RECORD");
            base.get(record.as_str()).is_none() || is_same(base, tree, record.as_str())
        });
        let recorded = recorded(tree, &system, &distributions);
        Ok(Self { base, tree, system, new, recorded })
    }

    fn answers_for(&self, path: &str) -> bool {
        if self.is_known(path) {
            return true;
        }
        // Whether it belongs to its source, the licence check compares.
        let source = source_of(path).and_then(|source| self.tree.real_path(&source));
        source.is_some_and(|source| self.tree.get(&source).is_some() && self.is_known(&source))
    }

    fn is_known(&self, path: &str) -> bool {
        is_same(self.base, self.tree, path) || self.is_of_system(path) || self.recorded.contains(path)
    }

    fn is_of_system(&self, path: &str) -> bool {
        if let Some(owner) = self.system.owners.get(path) {
            // Whether a package's files are what it has brought is compared elsewhere, but for settings.
            return self.new.contains(owner) || !is_state(path);
        }
        let script = path.strip_prefix(DPKG_FOLDER).and_then(|name| name.rsplit_once('.'));
        script.is_some_and(|(name, end)| {
            OF_DPKG.contains(&end) && self.new.contains(name.split(':').next().unwrap_or(name))
        })
    }
}

/// Whether a file is the base's, at its place.
fn is_same(base: &FileTree, tree: &FileTree, path: &str) -> bool {
    let sha256 = |tree: &FileTree| tree.get(path).and_then(Node::content).map(|content| content.sha256);
    sha256(base).is_some_and(|known| sha256(tree) == Some(known))
}
