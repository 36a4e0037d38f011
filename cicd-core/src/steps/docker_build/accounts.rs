use crate::docker::{FileTree, Kind, Node};
use crate::formats::printable::printable;

/// Groups whose members are as good as root, or read what only root may.
const GROUPS_OF_ROOT: &[&str] = &["root", "sudo", "wheel", "admin", "shadow", "disk", "docker", "adm"];
/// Where users, their passwords and their groups are told.
const DATABASES: [&str; 3] = ["etc/passwd", "etc/shadow", "etc/group"];
/// Folders of files by which users become others.
const RULES: [&str; 2] = ["etc/pam.d", "etc/sudoers.d"];

/// Ways to become another user: each place, with what is wrong there.
pub(super) fn judge(tree: &FileTree) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> =
        tree.iter().filter_map(|(path, node)| Some((path.to_owned(), by_name(path, node)?.to_owned()))).collect();
    // Behind a link, all of it would lie where nobody looks.
    for folder in ["etc", RULES[0], RULES[1]] {
        if tree.get(folder).is_some_and(|node| !node.is_folder()) {
            found.push((
                folder.to_owned(),
                "users and rules are looked for elsewhere, where nobody reads them".to_owned(),
            ));
        }
    }
    let [users, passwords, groups] = DATABASES;
    let mut add = |path: &str, what: String| found.push((path.to_owned(), what));
    each_line(tree, users, &mut add, user);
    each_line(tree, passwords, &mut add, password);
    each_line(tree, groups, &mut add, group);
    let rules: Vec<&str> = tree.below(RULES[0]).filter(|(_, node)| !node.is_folder()).map(|(path, _)| path).collect();
    for path in rules {
        match lines(tree, path) {
            Err(problem) => add(path, problem),
            Ok(lines) if lines.iter().map(String::as_str).any(opens) => {
                add(RULES[0], format!("{} lets users become others without a password", printable(path)));
            }
            Ok(_) => {}
        }
    }
    found
}

/// The lines of a file, as the image's programs read them. What is not there has none; what cannot be read may say anything.
fn lines(tree: &FileTree, path: &str) -> Result<Vec<String>, String> {
    match tree.get(path) {
        None => Ok(Vec::new()),
        Some(Node { kind: Kind::File(_), .. }) => match tree.text(path) {
            Some(text) => Ok(text.lines().map(str::to_owned).collect()),
            None => Err("it cannot be read: it is the second name of another file, or too large".to_owned()),
        },
        Some(_) => Err("it is no file of its own, so what programs find there cannot be read".to_owned()),
    }
}

fn each_line(tree: &FileTree, path: &str, add: &mut impl FnMut(&str, String), judge: impl Fn(&[&str]) -> Vec<String>) {
    match lines(tree, path) {
        Err(problem) => add(path, problem),
        Ok(lines) => {
            for line in lines {
                judge(&line.split(':').collect::<Vec<_>>()).into_iter().for_each(|what| add(path, what));
            }
        }
    }
}

fn user(fields: &[&str]) -> Vec<String> {
    let [name, password, number, ..] = fields else { return Vec::new() };
    let name = printable(name);
    let mut found = Vec::new();
    match plain(number) {
        Some(0) if name != "root" => found.push(format!("{name} is root by another name")),
        Some(_) => {}
        None => found.push(format!("the number of {name} is {}, which programs may read as 0", printable(number))),
    }
    if password.is_empty() {
        found.push(format!("{name} needs no password"));
    }
    found
}

fn password(fields: &[&str]) -> Vec<String> {
    match fields {
        [name, "", ..] => vec![format!("{} needs no password", printable(name))],
        _ => Vec::new(),
    }
}

fn group(fields: &[&str]) -> Vec<String> {
    let [name, _, number, members] = fields else { return Vec::new() };
    let name = printable(name);
    let mut found = Vec::new();
    if plain(number).is_none() {
        found.push(format!("the number of the group {name} is {}, which programs may read as 0", printable(number)));
    }
    let is_root = GROUPS_OF_ROOT.contains(&name.as_str()) || plain(number).is_none_or(|number| number == 0);
    let others: Vec<_> = members.split(',').filter(|member| !member.is_empty() && *member != "root").collect();
    if is_root && !others.is_empty() {
        found.push(format!("{} belong to {name}", printable(&others.join(", "))));
    }
    found
}

/// The number of a user as every program reads it: digits alone, and no more than 32 bits. Blanks and signs before it, and anything
/// behind it, give one number to some and 0 to others.
fn plain(number: &str) -> Option<u32> {
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
}

/// Ways to become somebody else, by the name of the file alone. A link is as good as the file that it leads to.
fn by_name(path: &str, node: &Node) -> Option<&'static str> {
    match &node.kind {
        Kind::File(content) if content.size > 0 => {}
        Kind::Link(_) => {}
        _ => return None,
    }
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        ".ssh" if matches!(node.kind, Kind::Link(_)) => Some("keys of those who may log in are elsewhere"),
        _ if folder.ends_with(".ssh") && name.starts_with("authorized_keys") => Some("who has the key may log in"),
        ".rhosts" | ".shosts" | "hosts.equiv" => Some("whoever comes from the machines that it names may log in"),
        "ld.so.preload" if folder == "etc" => Some("its libraries are loaded into every program"),
        _ if path == "etc/sudoers" || path == "etc/doas.conf" => Some("rules by which users become root"),
        _ if folder == RULES[1] && name != "README" => Some("rules by which users become root"),
        _ => None,
    }
}

/// A rule of PAM's by which nobody is asked for a password.
fn opens(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    !line.trim_start().starts_with('#')
        && words.first().is_some_and(|word| word.trim_start_matches('-') == "auth")
        && words.get(1).is_some_and(|word| *word == "sufficient")
        && (words.contains(&"pam_permit.so") || (words.contains(&"pam_wheel.so") && words.contains(&"trust")))
}
