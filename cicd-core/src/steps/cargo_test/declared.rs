//! The tests that the sources of the chosen targets declare, and which of them ran.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::chosen::{Kind, Target};

/// A test that a source declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    /// Its path as the test program names it, if its modules lie where Rust looks for them.
    pub(super) name: String,
    pub(super) file: Utf8PathBuf,
    /// From 0.
    pub(super) line: usize,
}

/// Where the modules of a target lie: below a folder, and its root by itself.
#[derive(Debug)]
pub(super) struct Home {
    root: Utf8PathBuf,
    folder: Utf8PathBuf,
    pub(super) is_chosen: bool,
}

impl Home {
    pub(super) fn of(target: &Target, root: Utf8PathBuf, is_chosen: bool) -> Self {
        let parent = root.parent().unwrap_or(Utf8Path::new("")).to_owned();
        let stem = root.file_stem().unwrap_or("");
        let is_one_of_many =
            !matches!(target.kind(), Kind::Library | Kind::Program) || parent.file_name() == Some("bin");
        let folder = if is_one_of_many && !matches!(stem, "main" | "mod") { parent.join(stem) } else { parent };
        Self { root, folder, is_chosen }
    }
}

/// The files of the chosen targets, each with the path of its module: a file belongs to the target whose root it is, or to that whose
/// folder is nearest. A library and a program of one folder share its files.
pub(super) fn files<'a>(homes: &[Home], sources: &'a BTreeSet<Utf8PathBuf>) -> Vec<(&'a Utf8Path, String)> {
    let mut roots: BTreeMap<&Utf8Path, bool> = BTreeMap::new();
    let mut folders: BTreeMap<&Utf8Path, bool> = BTreeMap::new();
    for home in homes {
        *roots.entry(&home.root).or_default() |= home.is_chosen;
        *folders.entry(&home.folder).or_default() |= home.is_chosen;
    }
    let chosen = |file: &&'a Utf8PathBuf| {
        if let Some(is_chosen) = roots.get(file.as_path()) {
            return is_chosen.then(|| (file.as_path(), String::new()));
        }
        let folder = file.ancestors().skip(1).find(|folder| folders.contains_key(folder))?;
        let module = file.strip_prefix(folder).ok()?.with_extension("");
        let module = if module.file_name() == Some("mod") { module.parent()?.to_owned() } else { module };
        let path: Vec<&str> = module.components().map(|part| part.as_str()).collect();
        folders.get(folder).copied().unwrap_or(false).then(|| (file.as_path(), path.join("::")))
    };
    sources.iter().filter_map(|file| chosen(&file)).collect()
}

/// The declared tests that no program told of. A test is known by its path; where `#[path]` or a macro gives it another one, by its
/// name, once for each that is told of under a path that nobody declares.
pub(super) fn not_run<'a>(declared: &'a [Declared], ran: &[String]) -> Vec<&'a Declared> {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for name in ran {
        *told.entry(name).or_default() += 1;
    }
    let known: BTreeSet<&str> = declared.iter().map(|test| test.name.as_str()).collect();
    let mut cases: BTreeSet<&str> = BTreeSet::new();
    let mut elsewhere: BTreeMap<&str, usize> = BTreeMap::new();
    for (&name, &times) in told.iter().filter(|(name, _)| !known.contains(*name)) {
        match name.rsplit_once("::").filter(|(around, _)| known.contains(around)) {
            // A case of a test that has parameters.
            Some((around, _)) => drop(cases.insert(around)),
            None => *elsewhere.entry(last(name)).or_default() += times,
        }
    }
    let take = |count: Option<&mut usize>| {
        let count = count.filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    };
    let is_told = |test: &&Declared| !cases.contains(test.name.as_str()) && !take(told.get_mut(test.name.as_str()));
    let unmatched: Vec<_> = declared.iter().filter(is_told).collect();
    unmatched.into_iter().filter(|test| !take(elsewhere.get_mut(last(&test.name)))).collect()
}

fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(names: &[&str]) -> Vec<Declared> {
        let one = |name: &&str| Declared { name: (*name).to_owned(), file: "src/lib.rs".into(), line: 0 };
        names.iter().map(one).collect()
    }

    fn missing(names: &[&str], ran: &[&str]) -> Vec<String> {
        let ran: Vec<String> = ran.iter().map(|name| (*name).to_owned()).collect();
        not_run(&declared(names), &ran).into_iter().map(|test| test.name.clone()).collect()
    }

    #[test]
    fn a_declared_test_that_no_program_tells_of_did_not_run() {
        assert_eq!(missing(&["a::x", "b::x"], &["a::x", "b::x"]), [""; 0]);
        assert_eq!(missing(&["a::x", "b::x"], &["a::x"]), ["b::x"]);
        // Told of twice, as by a library and a program that share a file: no other test ran by that.
        assert_eq!(missing(&["a::x", "b::x"], &["a::x", "a::x"]), ["b::x"]);
        assert_eq!(missing(&["x", "x"], &["x"]), ["x"]);
        // Under a path that nobody declares, once for each.
        assert_eq!(missing(&["a::x", "b::x"], &["a::x", "elsewhere::x"]), [""; 0]);
        assert_eq!(missing(&["a::x", "b::x", "c::x"], &["a::x", "elsewhere::x"]), ["c::x"]);
        // Cases.
        assert_eq!(missing(&["a::x", "b::x"], &["a::x::case_1", "a::x::case_2"]), ["b::x"]);
        assert_eq!(missing(&["x"], &[]), ["x"]);
    }

    #[test]
    fn a_file_belongs_to_the_target_that_is_nearest() {
        let home = |root: &str, folder: &str, is_chosen| Home { root: root.into(), folder: folder.into(), is_chosen };
        let sources = [
            "src/a/b.rs",
            "src/a/mod.rs",
            "src/bin/till.rs",
            "src/lib.rs",
            "src/main.rs",
            "tests/one.rs",
            "tests/one/part.rs",
            "tests/two/main.rs",
            "tests/two/x.rs",
        ];
        let sources: BTreeSet<Utf8PathBuf> = sources.into_iter().map(Utf8PathBuf::from).collect();
        let homes = [
            home("src/lib.rs", "src", true),
            home("src/main.rs", "src", false),
            home("src/bin/till.rs", "src/bin/till", false),
            home("tests/one.rs", "tests/one", true),
            home("tests/two/main.rs", "tests/two", false),
        ];
        let found: Vec<_> =
            files(&homes, &sources).into_iter().map(|(file, module)| format!("{file} {module}")).collect();
        assert_eq!(
            found,
            ["src/a/b.rs a::b", "src/a/mod.rs a", "src/lib.rs ", "tests/one/part.rs part", "tests/one.rs "]
        );
    }
}
