use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Content, FileTree, Form, System};

/// Where other languages' packages are told of, by the end of a path, and the word that package URLs use for them.
const PLACES: &[(&str, &str, &str)] = &[
    ("/specifications/", ".gemspec", "gem"),
    ("/vendor/composer/", "/installed.json", "composer"),
    ("/conda-meta/", ".json", "conda"),
    ("/", ".deps.json", "nuget"),
    ("library/", "/DESCRIPTION", "cran"),
    ("/auto/", "/.packlist", "cpan"),
    ("/rocks", ".rockspec", "luarocks"),
    ("/ebin/", ".app", "hex"),
    ("/.dart_tool/", "/package_config.json", "pub"),
];

/// A package of npm's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodePackage {
    /// Its name, with its scope.
    pub(crate) name: String,
    pub(crate) version: String,
}

/// How many packages of each kind an image holds, by the word that package URLs use for the kind; those of the system's own
/// packages count as one with them. Python's are counted by who reads them.
pub(crate) fn ecosystems(tree: &FileTree, system: &System) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for kind in &system.kinds {
        // Nothing here reads rpm's database, so that all there is to say is that there are packages.
        let packages = if system.packages.is_empty() { 1 } else { system.packages.len() };
        counts.insert(kind.word(), packages);
    }
    let mut add = |word: &'static str, count: usize| *counts.entry(word).or_insert(0) += count;
    // Each manifest is a package, whether it can be read or not.
    add("npm", tree.files().filter(|(path, ..)| is_manifest(path) && !system.owns(path)).count());
    for (path, _, content) in tree.files().filter(|(path, ..)| !system.owns(path)) {
        if let Some(word) = kind(path, content) {
            add(word, 1);
        }
    }
    counts.retain(|_, count| *count > 0);
    counts
}

fn kind(path: &str, content: &Content) -> Option<&'static str> {
    match &content.form {
        Form::Program(program, _) if program.go => return Some("golang"),
        Form::Program(program, _) if program.cargo => return Some("cargo"),
        _ => {}
    }
    if let Some(Ok(directory)) = content.form.archive() {
        let holds = |is: &dyn Fn(&str) -> bool| directory.names.iter().any(|name| is(name));
        if holds(&|name| name.ends_with(".class")) {
            return Some("maven");
        }
        // Yarn keeps packages as archives, and Node runs them from there.
        if holds(&is_manifest) {
            return Some("npm");
        }
    }
    if [".jar", ".war", ".ear"].iter().any(|end| path.ends_with(end)) {
        return Some("maven");
    }
    let rooted = format!("/{path}");
    let place = PLACES.iter().find(|(folder, end, _)| rooted.contains(folder) && rooted.ends_with(end));
    place.map(|(_, _, word)| *word)
}

/// The packages of npm's that lie in a `node_modules`.
pub(crate) fn node_packages(tree: &FileTree, system: &System) -> BTreeSet<NodePackage> {
    #[derive(Deserialize)]
    struct Manifest {
        name: Option<String>,
        version: Option<String>,
    }
    let manifests = tree.files().filter(|(path, ..)| is_manifest(path) && !system.owns(path));
    let packages = manifests.filter_map(|(path, ..)| {
        let folder = path.strip_suffix("/package.json")?;
        let in_modules = folder.rsplit_once("node_modules/").map_or(folder, |(_, name)| name).to_owned();
        let bytes = tree.kept(path)?.as_ref().ok()?;
        // Those without a version, or that nobody can read, are in the count of `ecosystems` alone.
        let manifest = serde_json::from_slice(bytes).unwrap_or(Manifest { name: None, version: None });
        let version = manifest.version.filter(|version| !version.is_empty())?;
        Some(NodePackage { name: manifest.name.filter(|name| !name.is_empty()).unwrap_or(in_modules), version })
    });
    packages.collect()
}

/// `node_modules/name/package.json` or `node_modules/@scope/name/package.json`.
fn is_manifest(path: &str) -> bool {
    let Some((_, inside)) = format!("/{path}").rsplit_once("/node_modules/").map(|(a, b)| (a.to_owned(), b.to_owned()))
    else {
        return false;
    };
    let parts: Vec<&str> = inside.split('/').collect();
    match parts.as_slice() {
        [name, "package.json"] => !name.starts_with('@'),
        [scope, _, "package.json"] => scope.starts_with('@'),
        _ => false,
    }
}
