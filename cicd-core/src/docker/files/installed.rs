use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::{Content, Distribution, FileTree, Kind, Node, SearchFolder, System, file_name_in_archive};
use crate::formats::python_bytecode::{Claim, claim, source_of};
use crate::formats::read_python_record;

/// What Python can import, by the end of its name.
const CODE: &[&str] = &["py", "pyc", "pyd", "pyw", "so", "pth"];
/// Where packages are, by the folder's name.
pub(super) const SITE_NAMES: &[&str] = &["site-packages", "dist-packages"];
/// What Python runs whenever it starts, if it finds it.
const STARTUP: &[&str] = &["sitecustomize", "usercustomize"];
/// Where a package keeps copies of others.
const BUNDLES: &[&str] = &["_vendor", "_vendored", "_vendored_packages", "vendor", "vendored", "extern", "third_party"];
/// The files of a record that need no hash: itself, and its signatures.
const WITHOUT_HASH: &[&str] = &["RECORD", "RECORD.jws", "RECORD.p7s"];
/// Files beyond these are counted, not named.
const NAMED_MAX: usize = 3;

/// Code that is not what its package says, or that no package says anything of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stray {
    /// Where it is, from `/`.
    pub(crate) path: String,
    pub(crate) kind: StrayKind,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StrayKind {
    /// A package without a record of its files.
    NoRecord,
    /// A file of a package that is not what the record says.
    Changed,
    /// Code of no package where packages are.
    Foreign,
    /// An archive that Python can import from.
    Archive,
    /// What Python runs when it starts, of no package.
    Startup,
    /// Compiled code that does not belong to its source.
    Bytecode,
    /// Copies of other packages inside a package.
    Bundle,
}

/// Compares every file of every package with what was recorded when it was installed, and looks for code that no package has
/// recorded: in the folders that packages are in, and in those that `PYTHONPATH` puts before them.
pub(crate) fn strays(
    tree: &FileTree,
    system: &System,
    distributions: &[Distribution],
    search: &[SearchFolder],
) -> Vec<Stray> {
    let mut look = Look::new(tree, system);
    look.records(distributions);
    look.sites(distributions, search);
    look.everywhere();
    look.bundles();
    look.strays()
}

/// The files that Python packages have recorded and that are what was recorded, by their real paths.
pub(crate) fn recorded(tree: &FileTree, system: &System, distributions: &[Distribution]) -> BTreeSet<String> {
    let mut look = Look::new(tree, system);
    look.records(distributions);
    look.intact
}

struct Look<'a> {
    tree: &'a FileTree,
    system: &'a System,
    /// The files that a package has recorded, by their real paths.
    claimed: BTreeSet<String>,
    /// Those of them that have the bytes that were recorded.
    intact: BTreeSet<String>,
    /// By kind and the path that stands for all of them: why, and each file.
    found: BTreeMap<(StrayKind, String), (String, Vec<String>)>,
}

impl<'a> Look<'a> {
    fn new(tree: &'a FileTree, system: &'a System) -> Self {
        Self { tree, system, claimed: BTreeSet::new(), intact: BTreeSet::new(), found: BTreeMap::new() }
    }

    fn records(&mut self, distributions: &[Distribution]) {
        for one in distributions.iter().filter(|one| one.folder.extension() != Some("egg-link")) {
            self.record(&one.folder);
        }
    }

    fn add(&mut self, kind: StrayKind, group: &str, file: &str, why: impl Into<String>) {
        let (_, files) = self.found.entry((kind, group.to_owned())).or_insert_with(|| (why.into(), Vec::new()));
        files.push(file.to_owned());
    }

    fn record(&mut self, folder: &Utf8Path) {
        let site = folder.parent().map_or("", Utf8Path::as_str);
        let path = folder.join("RECORD");
        let record = match self.tree.kept(path.as_str()) {
            Some(Ok(bytes)) => read_python_record(bytes).map_err(|error| error.to_string()),
            Some(Err(problem)) => Err(problem.clone()),
            None => Err("there is none".to_owned()),
        };
        let record = match record {
            Ok(record) => record,
            Err(problem) => {
                let why = format!("its files cannot be compared with its RECORD: {problem}");
                self.add(StrayKind::NoRecord, folder.as_str(), folder.as_str(), why);
                return;
            }
        };
        for file in record {
            let path = beside(site, &file.path);
            let Some(real) = self.tree.real_path(&path) else { continue };
            let content = self.tree.get(&real).and_then(Node::content);
            let group = folder.as_str();
            match (content, file.sha256) {
                // Programs are put elsewhere than modules, and one that is not there cannot be run.
                (None, _) if file.path.starts_with("../") || file.path.starts_with("bin/") => {}
                (None, Some(_)) => self.add(StrayKind::Changed, group, &path, "files of its RECORD are missing"),
                (None, None) => {}
                (Some(content), Some(expected)) if content.sha256 == expected => {
                    self.intact.insert(real.clone());
                }
                (Some(_), Some(_)) => {
                    self.add(StrayKind::Changed, group, &path, "files are not what its RECORD says");
                }
                (Some(_), None) if !needs_no_hash(&file.path) => {
                    self.add(StrayKind::Changed, group, &path, "files are not what its RECORD says");
                }
                (Some(_), None) => {}
            }
            // A link is recorded by its own name.
            self.claimed.insert(path);
            self.claimed.insert(real);
        }
    }

    /// Whether somebody answers for a file.
    fn is_known(&self, path: &str) -> bool {
        self.claimed.contains(path) || self.system.owns(path)
    }

    /// Everything in the folders that packages are in.
    fn sites(&mut self, distributions: &[Distribution], search: &[SearchFolder]) {
        let tree = self.tree;
        let of_packages = distributions.iter().map(|one| one.folder.parent().map_or("", Utf8Path::as_str));
        let by_name = tree.iter().filter(|(path, node)| {
            node.is_folder() && path.rsplit('/').next().is_some_and(|name| SITE_NAMES.contains(&name))
        });
        // What else is searched holds data and programs too.
        let mut sites: BTreeMap<&str, bool> = search.iter().map(|folder| (folder.real.as_str(), true)).collect();
        sites.extend(of_packages.chain(by_name.map(|(path, _)| path)).map(|site| (site, site.is_empty())));
        let mut seen = BTreeSet::new();
        // The innermost folder first, so that a package is named by the folder that it is in.
        for (site, code_alone) in sites.into_iter().rev() {
            for (path, node) in tree.below(site) {
                let is_code_or_data = matches!(node.kind, Kind::File(_) | Kind::Link(_));
                if !is_code_or_data || !seen.insert(path) || self.is_known(path) || is_compiled(path) {
                    continue;
                }
                // An archive and what runs at the start are told as such.
                let is_told = node.content().is_some_and(|content| importable(content).is_some()) || is_startup(path);
                if is_told || (code_alone && !is_code(path)) {
                    continue;
                }
                let inside = path.get(site.len()..).unwrap_or(path).trim_start_matches('/');
                let first = inside.split('/').next().unwrap_or(inside);
                let group = beside(site, first);
                self.add(StrayKind::Foreign, &group, path, "no package has recorded what is in the packages' folder");
            }
        }
        // The standard library of a system whose packages are known.
        if !self.system.owners.is_empty() {
            for (path, _) in tree.below("usr/lib") {
                let inside = path.strip_prefix("usr/lib/python3").and_then(|rest| rest.split_once('/'));
                let Some((version, _)) = inside else { continue };
                let is_version = version.is_empty() || version.starts_with('.');
                if is_version && is_code(path) && !is_compiled(path) && !self.is_known(path) && seen.insert(path) {
                    self.add(StrayKind::Foreign, path, path, "no package of the system has it");
                }
            }
        }
    }

    /// What Python may be led to from any folder.
    fn everywhere(&mut self) {
        let tree = self.tree;
        for (path, node) in tree.iter() {
            if !self.system.owns(path)
                && let Some(content) = node.content()
                && let Some(why) = importable(content)
            {
                self.add(StrayKind::Archive, path, path, why);
            }
            // Compiled code that belongs to its source is judged by that.
            let is_cached = path.rsplit('/').nth(1) == Some("__pycache__");
            if is_compiled(path) && !self.system.owns(path) && (is_cached || !is_startup(path)) {
                if let Some(why) = self.bytecode(path, node) {
                    let group = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    self.add(StrayKind::Bytecode, group, path, why);
                }
            } else if is_startup(path) && !path.ends_with(".pth") && !self.is_known(path) {
                let known = tree.real_path(path).is_some_and(|real| self.is_known(&real));
                if !known {
                    self.add(
                        StrayKind::Startup,
                        path,
                        path,
                        "Python runs it whenever it starts, and no package has recorded it",
                    );
                }
            } else if path.ends_with(".pth") && !self.system.owns(path) {
                self.path_file(path);
            }
        }
    }

    /// A `.pth` file: lines that are run, and folders that are imported from.
    fn path_file(&mut self, path: &str) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let lines = match self.tree.kept(path) {
            Some(Ok(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => {
                self.add(StrayKind::Startup, path, path, "Python follows it whenever it starts, and it cannot be read");
                return;
            }
        };
        for line in
            lines.split(ENDS_OF_LINES).map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if line.starts_with("import ") || line.starts_with("import\t") {
                if !self.is_known(path) {
                    self.add(
                        StrayKind::Startup,
                        path,
                        path,
                        "Python runs its lines whenever it starts, and no package has recorded it",
                    );
                }
                continue;
            }
            let target = if line.starts_with('/') { beside("", line) } else { beside(folder, line) };
            let outside = target != folder && !target.starts_with(&format!("{folder}/"));
            if outside || !self.is_known(path) {
                let why = format!("it has Python import from {}", crate::formats::printable::printable(line));
                self.add(StrayKind::Startup, path, path, why);
            }
        }
    }

    /// Folders in which a package keeps copies of others. One that tells of them in dist-infos of their own is judged by those.
    fn bundles(&mut self) {
        let mut folders: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for path in self.claimed.iter().filter(|path| self.tree.get(path).is_some()) {
            let Some(end) = bundle_end(path) else { continue };
            let (folder, inside) = path.split_at(end);
            let (one, told) = folders.entry(folder.to_owned()).or_insert_with(|| (path.clone(), false));
            *told |= inside.contains(".dist-info/");
            if one.as_str() > path.as_str() {
                path.clone_into(one);
            }
        }
        for (folder, (one, told)) in folders {
            if !told && !self.system.owns(&one) {
                let why = "copies of other packages, which nobody sees by their names";
                self.add(StrayKind::Bundle, &folder, &one, why);
            }
        }
    }

    fn bytecode(&self, path: &str, node: &Node) -> Option<String> {
        let Some(content) = node.content() else { return Some("compiled code behind a link".to_owned()) };
        let Some(source) = source_of(path) else {
            return Some("compiled code that Python imports without a source".to_owned());
        };
        let Some((_, source)) = self.tree.resolve(&source) else {
            return Some("compiled code without a source".to_owned());
        };
        let Some(text) = source.content() else { return Some("compiled code without a source".to_owned()) };
        let belongs = match claim(&content.head) {
            None => false,
            #[expect(clippy::cast_possible_truncation, reason = "the file holds the lower 32 bits")]
            Some(Claim::Time { modified_s, size }) => {
                modified_s == source.modified_s as u32 && size == text.size as u32
            }
            Some(Claim::Hash(hash)) => self.tree.source_hashes(text).is_some_and(|known| known.contains(&hash)),
        };
        (!belongs).then(|| "compiled code that does not belong to its source".to_owned())
    }

    fn strays(self) -> Vec<Stray> {
        let stray = |((kind, group), (why, files)): ((StrayKind, String), (String, Vec<String>))| {
            let inside = |file: &String| file.strip_prefix(&format!("{group}/")).map_or(file.clone(), str::to_owned);
            let alone = files.len() == 1 && files[0] == group;
            let named: Vec<_> = files.iter().take(NAMED_MAX).map(inside).collect();
            let more = files.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let list = if alone { String::new() } else { format!(" ({}{more})", named.join(", ")) };
            let message = crate::formats::printable::printable(&format!("/{group}: {why}{list}"));
            Stray { path: format!("/{group}"), kind, message }
        };
        self.found.into_iter().map(stray).collect()
    }
}

/// Where Python ends the lines of a `.pth` file.
const ENDS_OF_LINES: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Why Python, or whoever unpacks it, can take code from a file that no scanner looks into; nothing if it cannot.
fn importable(content: &Content) -> Option<String> {
    let names = match content.form.archive()? {
        Ok(directory) => &directory.names,
        Err(problem) => return Some(format!("an archive that cannot be looked into: {problem}")),
    };
    let metadata = names
        .iter()
        .any(|name| name.contains(".dist-info/") || name.contains(".egg-info/") || name.starts_with("EGG-INFO/"));
    if metadata {
        return Some("an archive with a Python package, which no scanner looks into".to_owned());
    }
    if names.iter().any(|name| is_code(name)) {
        return Some("an archive with Python code, which no scanner looks into".to_owned());
    }
    // A jar is Java's, and Trivy looks into it.
    if names.iter().any(|name| name.ends_with(".class")) {
        return None;
    }
    let nested = names.iter().any(|name| {
        [".whl", ".zip", ".egg", ".pyz", ".jar"].iter().any(|end| name.to_ascii_lowercase().ends_with(end))
    });
    nested.then(|| "an archive with archives in it, which nobody looks into".to_owned())
}

/// Where the name of a folder ends in which a package keeps copies of others, if a Python source lies in one.
fn bundle_end(path: &str) -> Option<usize> {
    let is_source = path.ends_with(".py") && !path.ends_with("/__init__.py");
    let mut end = 0;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        end += part.len();
        if parts.peek().is_some() && BUNDLES.contains(&part) {
            return (is_source || path.contains(".dist-info/")).then_some(end);
        }
        end += 1;
    }
    None
}

fn needs_no_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    WITHOUT_HASH.contains(&name) || is_compiled(path)
}

fn is_compiled(path: &str) -> bool {
    Utf8Path::new(path).extension() == Some("pyc")
}

fn is_startup(path: &str) -> bool {
    // A module is named by what stands before the first dot; a package of modules by its folder.
    let module = |part: &str| STARTUP.contains(&part.split('.').next().unwrap_or(part));
    let mut parts = path.rsplit('/');
    let (name, folder) = (parts.next().unwrap_or(path), parts.next().unwrap_or(""));
    let is_package = STARTUP.contains(&folder) && name.starts_with("__init__.");
    path.ends_with(".pth") || ((is_code(path)) && (module(name) || is_package))
}

fn is_code(path: &str) -> bool {
    let path = Utf8Path::new(path);
    path.extension().is_some_and(|end| CODE.contains(&end))
        || path.file_name().is_some_and(|name| name.contains(".so."))
}

/// A path of a record, seen from the folder of its package, as paths are written in a tree.
fn beside(folder: &str, path: &str) -> String {
    let start = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    // What a record writes plainly may hold a backslash.
    if path.contains('\\') && path.starts_with('/') {
        file_name_in_archive(parts.join("/").as_bytes())
    } else {
        parts.join("/")
    }
}
