use std::collections::{BTreeMap, BTreeSet};

use super::accounts;
use super::codes::ImageCode;
use crate::docker::{FileTree, Form, Kind, Node};
use crate::formats::ImageConfig;
use crate::formats::printable::printable;
use crate::model::{Finding, Severity, Target};

/// Set-user-ID and set-group-ID, as modes have them.
const SET_ID: u32 = 0o6000;
/// What keeps everybody from replacing others' files in a folder that everybody may write.
const STICKY: u32 = 0o1000;
/// Who has so many places of one kind mends them all at once.
const NAMED_MAX: usize = 200;
/// What runs as code, by the end of its name.
const CODE: &[&str] = &[
    "py", "pyc", "pth", "js", "mjs", "cjs", "rb", "php", "pl", "sh", "jar", "war", "class", "so", "lua", "ex", "beam",
    "wasm",
];
/// Programs that run code which they find by its name, without a version at their end.
const INTERPRETERS: &[&str] = &["python", "pypy", "node", "ruby", "perl", "php", "java", "gunicorn", "uwsgi", "flask"];
/// Folders of which the kernel or the engine gives each container its own.
const NOT_OF_THE_IMAGE: &[&str] = &["dev", "proc", "sys"];

/// What a file is allowed to do that it should not be: each place, with what is wrong there.
pub(super) fn judge(tree: &FileTree, config: &ImageConfig) -> Vec<Finding> {
    let mut found: BTreeMap<ImageCode, Vec<(String, String, Severity)>> = BTreeMap::new();
    let mut add = |code: ImageCode, path: &str, what: String, severity: Severity| {
        found.entry(code).or_default().push((path.to_owned(), what, severity));
    };
    let user = numbers(&config.user);
    for (path, node) in tree.iter() {
        if NOT_OF_THE_IMAGE.iter().any(|folder| path == *folder || path.starts_with(&format!("{folder}/")))
            && node.is_folder()
        {
            continue;
        }
        if let Some((what, severity)) = privilege(node) {
            add(ImageCode::Privileged, path, what, severity);
        }
        if let Some(what) = writable_by_all(node) {
            add(ImageCode::WorldWritable, path, what.to_owned(), Severity::High);
        }
        if matches!(node.kind, Kind::Device) {
            add(ImageCode::Device, path, "a device of the machine".to_owned(), Severity::High);
        }
    }
    for (path, what) in own_code(tree, config, user) {
        add(ImageCode::OwnCodeWritable, &path, what, Severity::Medium);
    }
    for (path, what) in accounts::judge(tree) {
        add(ImageCode::Account, &path, what, Severity::Critical);
    }
    found.into_iter().flat_map(|(code, places)| findings(code, places)).collect()
}

fn findings(code: ImageCode, places: Vec<(String, String, Severity)>) -> Vec<Finding> {
    let mut kept: Vec<(String, String, Severity, usize)> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for (path, what, severity) in places {
        // What is below a folder that is told goes with it.
        let above = ancestors(&path).find_map(|folder| index.get(folder)).copied();
        if let Some(above) = above {
            kept[above].3 += 1;
            continue;
        }
        index.insert(path.clone(), kept.len());
        kept.push((path, what, severity, 0));
    }
    let more = kept.len().saturating_sub(NAMED_MAX);
    let one = |(path, what, severity, below): (String, String, Severity, usize)| {
        let path = format!("/{}", printable(&path));
        let below = if below == 0 { String::new() } else { format!(", and {below} places below it") };
        Finding::new(code, format!("{path}: {what}{below}")).severity(severity).target(Target::Name(path))
    };
    let mut findings: Vec<_> = kept.into_iter().take(NAMED_MAX).map(one).collect();
    if more > 0 {
        findings.push(Finding::new(code, format!("{more} more places of this kind")));
    }
    findings
}

/// The folders that a path is in, the innermost first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (folder, _) = rest.rsplit_once('/')?;
        rest = folder;
        Some(folder)
    })
}

/// What a file gives to whoever runs it.
fn privilege(node: &Node) -> Option<(String, Severity)> {
    let content = node.content()?;
    if node.capabilities {
        return Some(("whoever runs it has capabilities of root".to_owned(), Severity::High));
    }
    // Without the right to run it, the bit means nothing to the kernel; it is one `chmod` away from meaning something.
    if node.mode & SET_ID == 0 {
        return None;
    }
    let whose = match (node.mode & 0o4000 != 0, node.user, node.group) {
        (true, 0, _) => "as root".to_owned(),
        (true, user, _) => format!("as user {user}"),
        (false, _, group) => format!("with group {group}"),
    };
    let severity = if content.size > 0 { Severity::High } else { Severity::Medium };
    Some((format!("runs {whose}, whoever starts it (mode {:04o})", node.mode), severity))
}

fn writable_by_all(node: &Node) -> Option<&'static str> {
    match node.kind {
        _ if node.mode & 0o002 == 0 => None,
        Kind::File(_) => Some("everybody may write it"),
        Kind::Folder if node.mode & STICKY == 0 => Some("everybody may put files into it and replace those of others"),
        Kind::Other => Some("everybody may write to it"),
        Kind::Folder | Kind::Link(_) | Kind::Device => None,
    }
}

/// The user and the group that the image runs as.
fn numbers(user: &str) -> Option<(u64, u64)> {
    let (user, group) = user.split_once(':').unwrap_or((user, "0"));
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// Code that the running application can change: what is broken into once stays broken into.
fn own_code(tree: &FileTree, config: &ImageConfig, user: Option<(u64, u64)>) -> Vec<(String, String)> {
    // Root may write everything, which is told as such; a user with a name is told too.
    let Some((user, group)) = user.filter(|(user, _)| *user != 0) else { return Vec::new() };
    let may_write = |node: &Node| {
        (node.user == user && node.mode & 0o200 != 0)
            || (node.user != user && node.group == group && node.mode & 0o020 != 0)
    };
    let mut found = BTreeMap::new();
    let program = config.program().first().and_then(|program| program_path(tree, config, program));
    for (path, node) in tree.iter().filter(|(_, node)| may_write(node)) {
        if node.is_folder() {
            continue;
        }
        if program.as_deref() == Some(path) {
            found.insert(path.to_owned(), "the program that the image starts may be written by the user it runs as");
        } else if is_code(path, node) {
            found.insert(path.to_owned(), "code that may be written by the user it runs as");
        }
    }
    // Whoever may write a folder may replace what is in it, whoever owns that; the sticky bit keeps nobody from adding to it.
    let may_add = |node: &Node| may_write(node) || node.mode & 0o002 != 0;
    let searched =
        ["PATH", "PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH", "CLASSPATH", "RUBYLIB", "PERL5LIB", "GEM_PATH"];
    let folders = searched.iter().filter_map(|name| config.variable(name)).flat_map(|folders| folders.split(':'));
    // An interpreter looks first where it is started, or where its script is.
    let started_in = Some(config.working_folder.as_str()).filter(|_| runs_a_script(config));
    let folders: BTreeSet<String> = folders
        .chain(started_in)
        .filter_map(|folder| tree.real_path(if folder.is_empty() { &config.working_folder } else { folder }))
        .filter(|folder| !folder.is_empty())
        .collect();
    for (path, node) in tree.iter().filter(|(_, node)| node.is_folder() && may_add(node)) {
        let is_searched = folders.contains(path);
        if !is_searched && !may_write(node) {
            continue;
        }
        let holds_code = || {
            let depth = path.len() + 1;
            tree.below(path).any(|(inside, node)| {
                !inside.get(depth..).is_some_and(|rest| rest.contains('/')) && is_code(inside, node)
            })
        };
        if is_searched || holds_code() {
            found.insert(path.to_owned(), "a folder of code that may be written by the user it runs as");
        }
    }
    found.into_iter().map(|(path, what)| (path, what.to_owned())).collect()
}

/// Whether an interpreter is started, which looks for code in the folder that it is started in.
fn runs_a_script(config: &ImageConfig) -> bool {
    let program = config.program();
    let name = program.first().and_then(|program| program.rsplit('/').next()).unwrap_or("");
    INTERPRETERS.iter().any(|interpreter| name.starts_with(interpreter))
}

fn is_code(path: &str, node: &Node) -> bool {
    let Some(content) = node.content() else { return false };
    let end = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
    end.is_some_and(|end| CODE.contains(&end)) || matches!(content.form, Form::Program(..) | Form::Script)
}

/// Where a program is that is named as it would be typed.
fn program_path(tree: &FileTree, config: &ImageConfig, program: &str) -> Option<String> {
    if program.starts_with('/') {
        return tree.real_path(program);
    }
    if program.contains('/') {
        return tree.real_path(&format!("{}/{program}", config.working_folder));
    }
    let folders = config.variable("PATH")?.split(':');
    folders.map(|folder| format!("{folder}/{program}")).find_map(|path| tree.resolve(&path).map(|(real, _)| real))
}
