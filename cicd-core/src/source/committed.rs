use std::collections::BTreeMap;

use super::Overlooked;
use super::blob::{Format, name_of_object};
use super::git::{Git, entries};

/// What `HEAD` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) commit: String,
    /// When it was committed, in seconds since 1970.
    pub(super) committed_s: u64,
    tree: String,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Committed {
    /// `100644`, `100755`, `120000` or, for a submodule, `160000`.
    pub(super) mode: String,
    pub(super) id: String,
    /// Unknown for a submodule, and where the object is missing.
    pub(super) size_bytes: Option<u64>,
}

/// A file of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indexed {
    pub(super) mode: String,
    pub(super) id: String,
    pub(super) overlooked: Option<Overlooked>,
    pub(super) conflict: bool,
}

/// The mode of a submodule.
pub(super) const SUBMODULE: &str = "160000";

impl Head {
    /// Nothing where there is no commit yet.
    pub(super) fn read(git: &Git<'_>) -> Result<Option<Self>, String> {
        let answer = git.ask_about(&["cat-file", "--batch"], b"HEAD\n".to_vec())?;
        // `HEAD missing`: there is no commit yet.
        if answer.ends_with(b" missing\n") {
            return Ok(None);
        }
        let mut objects = Objects(&answer);
        let (commit, bytes) = objects.next("commit")?;
        let text = String::from_utf8_lossy(bytes);
        let mut headers = text.lines().take_while(|line| !line.is_empty());
        let tree = headers.next().and_then(|line| line.strip_prefix("tree "));
        // `committer A <a@example.org> 1700000000 +0100`
        let committer = headers.find_map(|line| line.strip_prefix("committer "));
        let committed_s = committer.and_then(|line| line.rsplit(' ').nth(1)?.parse().ok());
        match (tree, committed_s) {
            (Some(tree), Some(committed_s)) => {
                Ok(Some(Self { commit: commit.to_owned(), committed_s, tree: tree.to_owned() }))
            }
            _ => Err(format!("the commit {commit} has no tree or no time")),
        }
    }

    /// Every file, by its path in the repository.
    pub(super) fn files(&self, git: &Git<'_>) -> Result<BTreeMap<String, Committed>, String> {
        let list = git.ask(&["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", &self.tree])?;
        let mut trees = vec![self.tree.as_str()];
        let mut files = BTreeMap::new();
        for entry in entries(&list) {
            let entry = entry?;
            let listed = parse_committed(entry).ok_or_else(|| format!("git lists {entry:?}, which cannot be read"))?;
            match listed {
                Listed::Tree(id) => trees.push(id),
                Listed::File(path, file) => {
                    files.insert(path.to_owned(), file);
                }
            }
        }
        check_trees(git, &trees)?;
        Ok(files)
    }
}

/// Git believes its own store: it does not look whether a folder's object is the one that it is called. Whoever can write into
/// `.git` would otherwise put other files under the name of a commit. (The files themselves are compared one by one.)
fn check_trees(git: &Git<'_>, trees: &[&str]) -> Result<(), String> {
    let answer = git.ask_about(&["cat-file", "--batch"], trees.join("\n").into_bytes())?;
    let mut objects = Objects(&answer);
    for tree in trees {
        let (id, _) = objects.next("tree")?;
        if id != *tree {
            return Err(format!("git answers with the tree {id} when it is asked for {tree}"));
        }
    }
    Ok(())
}

/// What `git cat-file --batch` answers with, one object after the other: `<id> <kind> <size>`, its bytes and a line end.
struct Objects<'a>(&'a [u8]);

impl<'a> Objects<'a> {
    /// The id and the bytes of the next one, which are compared with each other.
    fn next(&mut self, kind: &str) -> Result<(&'a str, &'a [u8]), String> {
        let unreadable = || format!("git does not show a {kind} that it lists; `git fsck` tells more");
        let end = self.0.iter().position(|&byte| byte == b'\n').ok_or_else(unreadable)?;
        let head = std::str::from_utf8(&self.0[..end]).map_err(|_| unreadable())?;
        let rest = &self.0[end + 1..];
        let (id, size) = head.split_once(&format!(" {kind} ")).ok_or_else(unreadable)?;
        let size: usize = size.parse().map_err(|_| unreadable())?;
        let (bytes, rest) = rest.split_at_checked(size).ok_or_else(unreadable)?;
        self.0 = rest.strip_prefix(b"\n").ok_or_else(unreadable)?;
        if name_of_object(Format::of(id), kind, bytes) != id {
            return Err(format!(
                "the {kind} {id} of this repository is not what its name says: somebody has changed its object store; \
                 clone it anew"
            ));
        }
        Ok((id, bytes))
    }
}

enum Listed<'a> {
    Tree(&'a str),
    File(&'a str, Committed),
}

/// `100644 blob <id>    <size>\t<path>`
fn parse_committed(entry: &str) -> Option<Listed<'_>> {
    let (head, path) = entry.split_once('\t')?;
    let mut words = head.split_ascii_whitespace();
    let (mode, kind, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if kind == "tree" {
        return Some(Listed::Tree(id));
    }
    Some(Listed::File(path, Committed { mode: mode.to_owned(), id: id.to_owned(), size_bytes: size.parse().ok() }))
}

/// Every file of the index, by its path in the repository.
pub(super) fn index(git: &Git<'_>) -> Result<BTreeMap<String, Indexed>, String> {
    let list = git.ask(&["ls-files", "-z", "--stage", "-v", "--full-name"])?;
    let mut files: BTreeMap<String, Indexed> = BTreeMap::new();
    for entry in entries(&list) {
        let entry = entry?;
        let (path, file) = parse_indexed(entry).ok_or_else(|| format!("git lists {entry:?}, which cannot be read"))?;
        files.insert(path, file);
    }
    Ok(files)
}

/// `H 100644 <id> 0\t<path>`
fn parse_indexed(entry: &str) -> Option<(String, Indexed)> {
    let (head, path) = entry.split_once('\t')?;
    let mut words = head.split(' ');
    let (tag, mode, id, stage) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let overlooked = match tag {
        tag if tag.eq_ignore_ascii_case("s") => Some(Overlooked::SkipWorktree),
        tag if tag.chars().all(|c| c.is_ascii_lowercase()) => Some(Overlooked::AssumeUnchanged),
        _ => None,
    };
    Some((path.to_owned(), Indexed { mode: mode.to_owned(), id: id.to_owned(), overlooked, conflict: stage != "0" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_of_the_index_say_what_git_overlooks() {
        let read = |tag: &str| parse_indexed(&format!("{tag} 100644 abc 0\ta b\tc")).expect("read");
        assert_eq!(read("H").0, "a b\tc");
        for (tag, overlooked) in [
            ("H", None),
            ("h", Some(Overlooked::AssumeUnchanged)),
            ("S", Some(Overlooked::SkipWorktree)),
            ("s", Some(Overlooked::SkipWorktree)),
            ("m", Some(Overlooked::AssumeUnchanged)),
        ] {
            assert_eq!(read(tag).1.overlooked, overlooked, "{tag}");
        }
    }
}
