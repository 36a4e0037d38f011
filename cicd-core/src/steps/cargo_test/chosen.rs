//! Which targets the arguments of `cargo test` choose.

use camino::Utf8PathBuf;
use serde::Deserialize;

/// Options of cargo whose value is an argument of its own.
const WITH_VALUE: [&str; 13] = [
    "--features",
    "-F",
    "--target",
    "--target-dir",
    "--manifest-path",
    "--profile",
    "--jobs",
    "-j",
    "--color",
    "--config",
    "--message-format",
    "-Z",
    "-C",
];

/// What `cargo metadata` says of a workspace, as far as tests need it.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_default_members: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) manifest_path: Utf8PathBuf,
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    kind: Vec<String>,
    pub(super) name: String,
    pub(super) src_path: Utf8PathBuf,
}

/// What kind of program a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Library,
    Program,
    Test,
    Other,
}

impl Target {
    pub(super) fn kind(&self) -> Kind {
        match self.kind.first().map(String::as_str) {
            Some("bin") => Kind::Program,
            Some("test") => Kind::Test,
            Some("example" | "bench" | "custom-build") | None => Kind::Other,
            Some(_) => Kind::Library,
        }
    }
}

/// The packages and targets that arguments name.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    packages: Vec<String>,
    excluded: Vec<String>,
    workspace: bool,
    targets: Vec<(Kind, Option<String>)>,
    docs: bool,
}

impl Chosen {
    pub(super) fn read(args: &[String]) -> Self {
        let mut chosen = Self::default();
        let mut args = args.iter().map(String::as_str).take_while(|arg| *arg != "--");
        while let Some(arg) = args.next() {
            let (name, inline) =
                arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value.to_owned())));
            let mut value = || inline.clone().or_else(|| args.next().map(str::to_owned));
            match name {
                "-p" | "--package" => chosen.packages.extend(value()),
                "--exclude" => chosen.excluded.extend(value()),
                "--workspace" | "--all" => chosen.workspace = true,
                "--lib" => chosen.targets.push((Kind::Library, None)),
                "--bins" => chosen.targets.push((Kind::Program, None)),
                "--bin" => chosen.targets.push((Kind::Program, value())),
                "--tests" => chosen.targets.extend([Kind::Library, Kind::Program, Kind::Test].map(|kind| (kind, None))),
                "--test" => chosen.targets.push((Kind::Test, value())),
                "--example" | "--bench" => chosen.targets.extend(value().map(|name| (Kind::Other, Some(name)))),
                "--examples" | "--benches" => chosen.targets.push((Kind::Other, Some(String::new()))),
                "--doc" => chosen.docs = true,
                name if WITH_VALUE.contains(&name) => drop(value()),
                _ => {}
            }
        }
        chosen
    }

    pub(super) fn packages<'a>(&self, metadata: &'a Metadata) -> Vec<&'a Package> {
        let of = |ids: &[String], package: &Package| ids.contains(&package.id);
        let chosen = |package: &&Package| {
            let named = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &package.name));
            if !self.packages.is_empty() {
                // A package may be named by its folder or version too; what is not understood chooses, so that nothing is left out.
                return named(&self.packages)
                    || self.packages.iter().any(|pattern| pattern.contains(['@', '#', '/', ':']));
            }
            if self.workspace {
                return of(&metadata.workspace_members, package) && !named(&self.excluded);
            }
            of(&metadata.workspace_default_members, package)
        };
        metadata.packages.iter().filter(chosen).collect()
    }

    /// Whether the tests of this target are chosen.
    pub(super) fn takes(&self, target: &Target) -> bool {
        let kind = target.kind();
        if self.targets.is_empty() {
            return !self.docs && kind != Kind::Other;
        }
        kind != Kind::Other
            && self.targets.iter().any(|(wanted, name)| {
                *wanted == kind && name.as_ref().is_none_or(|pattern| matches(pattern, &target.name))
            })
    }

    /// Whether tests of targets of this kind are chosen.
    pub(super) fn takes_kind(&self, kind: Kind) -> bool {
        match self.targets.is_empty() {
            true => !self.docs,
            false => self.targets.iter().any(|(wanted, _)| *wanted == kind),
        }
    }

    /// Whether examples in the documentation are chosen.
    pub(super) fn takes_docs(&self) -> bool {
        self.docs || self.targets.is_empty()
    }
}

/// Whether a name is one that a pattern of cargo means: `*` for any text, `?` for any letter.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.contains('[') {
        return true;
    }
    let pattern = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    regex::Regex::new(&format!("^{pattern}$")).is_ok_and(|pattern| pattern.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"id": "a", "name": "shop", "manifest_path": "/src/shop/Cargo.toml", "targets": [
            {"kind": ["lib"], "name": "shop", "src_path": "/src/shop/src/lib.rs"},
            {"kind": ["bin"], "name": "till", "src_path": "/src/shop/src/main.rs"},
            {"kind": ["test"], "name": "sums", "src_path": "/src/shop/tests/sums.rs"},
            {"kind": ["example"], "name": "show", "src_path": "/src/shop/examples/show.rs"}]},
        {"id": "b", "name": "stock", "manifest_path": "/src/stock/Cargo.toml", "targets": [
            {"kind": ["proc-macro"], "name": "stock", "src_path": "/src/stock/src/lib.rs"}]}],
        "workspace_members": ["a", "b"], "workspace_default_members": ["a"]}"#;

    fn chosen(args: &[&str]) -> Vec<String> {
        let metadata: Metadata = serde_json::from_str(METADATA).expect("metadata");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let chosen = Chosen::read(&args);
        let targets = chosen.packages(&metadata).into_iter().flat_map(|package| &package.targets);
        targets
            .filter(|target| chosen.takes(target))
            .map(|target| format!("{:?} {}", target.kind(), target.name))
            .collect()
    }

    #[test]
    fn the_targets_are_those_that_cargo_tests() {
        let all = ["Library shop", "Program till", "Test sums"];
        assert_eq!(chosen(&[]), all);
        assert_eq!(chosen(&["--features", "--lib"]), all);
        assert_eq!(chosen(&["--", "--lib"]), all);
        assert_eq!(chosen(&["--workspace", "--lib"]), ["Library shop", "Library stock"]);
        assert_eq!(chosen(&["--workspace", "--exclude", "sh*", "--lib"]), ["Library stock"]);
        assert_eq!(chosen(&["-p", "stock"]), ["Library stock"]);
        assert_eq!(chosen(&["--package=shop", "--test", "*"]), ["Test sums"]);
        assert_eq!(chosen(&["--bins", "--test=other"]), ["Program till"]);
        assert_eq!(chosen(&["--doc"]), [""; 0]);
        assert_eq!(chosen(&["--examples"]), [""; 0]);
        assert_eq!(chosen(&["--tests"]), all);
    }
}
