//! Settings that keep tests from being run, or that put another program in the place of the test harness.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::chosen::Kind;

/// What cargo's own configuration may say without a word: where it fetches from, how it prints, where it builds. The rest may change
/// which code is compiled, or who runs it.
const HARMLESS: [&str; 14] = [
    "alias",
    "net",
    "http",
    "registry",
    "registries",
    "source",
    "term",
    "cargo-new",
    "install",
    "cache",
    "doc",
    "future-incompat-report",
    "credential-alias",
    "profile",
];

/// The same of its table `build`.
const HARMLESS_BUILD: [&str; 5] = ["jobs", "target-dir", "build-dir", "incremental", "dep-info-basedir"];

/// A setting: what it does, and its line from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) what: String,
    pub(super) line: usize,
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<PackageTable>,
    lib: Option<TargetTable>,
    #[serde(default)]
    bin: Vec<TargetTable>,
    #[serde(default)]
    test: Vec<TargetTable>,
}

#[derive(Deserialize)]
struct PackageTable {
    autotests: Option<Spanned<bool>>,
    autobins: Option<Spanned<bool>>,
    autolib: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
struct TargetTable {
    harness: Option<Spanned<bool>>,
    test: Option<Spanned<bool>>,
    doctest: Option<Spanned<bool>>,
}

/// What a manifest says of targets of these kinds, and whether examples in the documentation are to be run.
///
/// # Errors
/// When it is no manifest.
pub(super) fn of_manifest(text: &str, kinds: &[Kind], docs: bool) -> Result<Vec<Setting>, toml::de::Error> {
    let manifest: Manifest = toml::from_str(text)?;
    let mut found = Vec::new();
    let mut off = |flag: &Option<Spanned<bool>>, what: &str| {
        let flag = flag.as_ref().filter(|flag| !*flag.get_ref());
        found.extend(flag.map(|flag| Setting { what: what.to_owned(), line: line_of(text, flag.span().start) }));
    };
    if let Some(package) = &manifest.package {
        for (kind, flag, name) in [
            (Kind::Test, &package.autotests, "autotests"),
            (Kind::Program, &package.autobins, "autobins"),
            (Kind::Library, &package.autolib, "autolib"),
        ] {
            if kinds.contains(&kind) {
                off(flag, &format!("`{name} = false`: files with tests are no targets unless they are named"));
            }
        }
    }
    let of_kind = [
        (Kind::Library, manifest.lib.iter().collect::<Vec<_>>()),
        (Kind::Program, manifest.bin.iter().collect()),
        (Kind::Test, manifest.test.iter().collect()),
    ];
    for (kind, tables) in of_kind {
        for table in tables {
            if kinds.contains(&kind) {
                off(&table.harness, "`harness = false`: a program of its own says which tests passed");
                off(&table.test, "`test = false`: its tests are not run");
            }
            if docs && kind == Kind::Library {
                off(&table.doctest, "`doctest = false`: the examples of its documentation are not run");
            }
        }
    }
    Ok(found)
}

/// What a configuration of cargo says that may change which tests are compiled, or who runs them.
///
/// # Errors
/// When it is no TOML.
pub(super) fn of_configuration(text: &str) -> Result<Vec<Setting>, toml::de::Error> {
    let all: BTreeMap<Spanned<String>, toml::Value> = toml::from_str(text)?;
    let mut found = Vec::new();
    for (key, value) in all {
        let name = key.get_ref().as_str();
        if HARMLESS.contains(&name) {
            continue;
        }
        let inside = value.as_table().into_iter().flat_map(|table| table.keys().map(String::as_str));
        let inside: Vec<_> = inside.filter(|key| !HARMLESS_BUILD.contains(key)).collect();
        if name == "build" && inside.is_empty() {
            continue;
        }
        let names = if inside.is_empty() { String::new() } else { format!(" ({})", inside.join(", ")) };
        let what = format!("`{name}`{names} may change what is compiled as a test, or what runs it");
        found.push(Setting { what, line: line_of(text, key.span().start) });
    }
    Ok(found)
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(0, |before| before.matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: Result<Vec<Setting>, toml::de::Error>) -> Vec<(String, usize)> {
        let word = |what: String| what.split('`').nth(1).unwrap_or("").to_owned();
        found.expect("TOML").into_iter().map(|one| (word(one.what), one.line)).collect()
    }

    #[test]
    fn settings_that_keep_tests_from_running_are_found_however_they_are_written() {
        let all = [Kind::Library, Kind::Program, Kind::Test];
        for (text, expected, line) in [
            ("[package]\nautotests = false\n", "autotests = false", 1),
            ("package.autobins = false\n", "autobins = false", 0),
            ("package = { autolib = false }\n", "autolib = false", 0),
            ("[lib]\nname = \"a\"\ntest = false\n", "test = false", 2),
            ("[lib]\n\"doctest\" = false\n", "doctest = false", 1),
            ("lib.harness = false\n", "harness = false", 0),
            ("[[test]]\nname = \"a\"\n\n[[test]]\nname = \"b\"\nharness = false\n", "harness = false", 5),
            ("test = [{ name = \"a\", harness = false }]\n", "harness = false", 0),
            ("[[bin]]\nname = \"a\"\ntest=false\n", "test = false", 2),
        ] {
            assert_eq!(shown(of_manifest(text, &all, true)), [(expected.to_owned(), line)], "{text}");
            assert_eq!(shown(of_manifest(text, &[], false)), [], "{text}");
        }
        assert_eq!(
            shown(of_manifest("[lib]\ntest = true\n[[example]]\nname = \"a\"\nharness = false\n", &all, true)),
            []
        );
    }

    #[test]
    fn a_configuration_of_cargo_may_say_only_what_is_known_to_be_harmless() {
        for (text, expected, line) in [
            ("[target.x86_64-unknown-linux-gnu]\nrunner = \"true\"\n", "target", 0),
            ("[net]\nretry = 2\n\n[target.'cfg(all())']\nrunner = [\"sh\", \"-c\", \"true\"]\n", "target", 3),
            ("target.\"cfg(unix)\".runner = \"true\"\n", "target", 0),
            ("[build]\njobs = 2\nrustflags = [\"--cfg\", \"quiet\"]\n", "build", 0),
            ("build.rustc-wrapper = \"./rustc\"\n", "build", 0),
            ("[env]\nQUIET = \"1\"\n", "env", 0),
            ("[unstable]\nx = true\n", "unstable", 0),
            ("include = [\"other.toml\"]\n", "include", 0),
            ("[patch.crates-io]\na = { path = \"b\" }\n", "patch", 0),
        ] {
            assert_eq!(shown(of_configuration(text)), [(expected.to_owned(), line)], "{text}");
        }
        assert_eq!(shown(of_configuration("[alias]\nx = \"run\"\n[build]\njobs = 2\n[term]\nquiet = true\n")), []);
        assert!(of_configuration("[target\n").is_err());
    }
}
