use std::collections::{BTreeMap, BTreeSet};

use super::codes::ImageCode;
use crate::docker::{FileTree, Form, Kind, Node, System, SystemKind, package_of_list};
use crate::formats::printable::printable;
use crate::formats::{DebianInstalled, ImageConfig};
use crate::model::{Finding, Level, Severity, Target};
use crate::step::ReadError;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'a> {
    /// The image that this one is laid upon, and how many layers it has; nothing where the engine does not keep it, or where the image
    /// begins with nothing and has packages all the same: they were copied from somewhere.
    pub(super) base: Option<(&'a FileTree, usize)>,
    /// The image.
    pub(super) tree: &'a FileTree,
    pub(super) config: &'a ImageConfig,
}

/// Where a system says what it is: by this, scanners choose whose advisories they ask.
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Folders of programs and libraries of the system; what is installed by hand has /usr/local and /opt.
const SYSTEM_FOLDERS: &[&str] = &[
    "bin/",
    "sbin/",
    "lib/",
    "lib32/",
    "lib64/",
    "libx32/",
    "usr/bin/",
    "usr/sbin/",
    "usr/lib/",
    "usr/lib32/",
    "usr/lib64/",
    "usr/libexec/",
];
/// Systems by the package manager that they cannot do without, by their names in os-release.
const MANAGERS: &[(SystemKind, &[&str])] = &[
    (SystemKind::Dpkg, &["debian", "ubuntu", "raspbian", "devuan", "kali", "linuxmint"]),
    (SystemKind::Apk, &["alpine", "wolfi", "chainguard", "postmarketos"]),
    (
        SystemKind::Rpm,
        &[
            "rhel",
            "centos",
            "rocky",
            "almalinux",
            "fedora",
            "ol",
            "amzn",
            "sles",
            "opensuse-leap",
            "opensuse-tumbleweed",
            "photon",
            "azurelinux",
            "mariner",
        ],
    ),
];
/// Places of one kind beyond these are counted.
const NAMED_MAX: usize = 20;

/// Compares what an image says of its system with the record of the image that it was built on, and with the files that are there.
///
/// # Errors
/// A database of packages that cannot be read.
pub(super) fn judge(compared: Compared<'_>) -> Result<Vec<Finding>, ReadError> {
    let Compared { base, tree, .. } = compared;
    let system = System::read(tree)?;
    let mut findings = identity(compared, &system);
    for (list, package) in &system.orphans {
        // dpkg keeps the list of a package of which only the settings are left.
        let left: Vec<_> = System::listed(tree, list)?
            .into_iter()
            .filter(|path| !path.starts_with("etc/") && !system.owns(path))
            .filter(|path| tree.get(path).is_some_and(|node| node.content().is_some()))
            .collect();
        if let Some(one) = left.first() {
            let message = format!(
                "{package} is not in the database of packages, but {} of its files are there, such as /{one}",
                left.len()
            );
            findings.push(database(&message, package));
        }
    }
    for package in &system.hidden {
        let message = format!("{package} is installed and marked to be removed, so that scanners pass over it");
        findings.push(database(&message, package));
    }
    if let Some((base_tree, base_layers)) = base {
        let before = System::read(base_tree)?;
        findings.extend(against_base(&before, &system, base_tree, tree, base_layers));
        findings.extend(changed(&before, &system, (base_tree, base_layers), tree));
        findings.extend(unowned(compared, &system, base_layers));
    } else {
        let message = "the image that its packages come from is not below it or not kept, so nothing says whether all of them are told of";
        findings.push(
            database(message, "base")
                .level(Level::BlockClearance)
                .severity(Severity::Medium)
                .help("start from that image instead of copying its files, and pull it first, by its digest"),
        );
    }
    Ok(findings)
}

/// Whether an image has a database of packages, which scanners believe.
///
/// # Errors
/// One that cannot be read.
pub(super) fn has_packages(tree: &FileTree) -> Result<bool, ReadError> {
    let system = System::read(tree)?;
    Ok(!system.kinds.is_empty() || !system.orphans.is_empty() || Identity::of(tree).is_some())
}

fn database(message: &str, target: &str) -> Finding {
    Finding::new(ImageCode::PackageDatabase, printable(message))
        .severity(Severity::Critical)
        .target(Target::Name(printable(target)))
}

/// What a system says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Identity {
    name: String,
    version: String,
    /// The older files that say the same, and their text up to the first dot.
    others: BTreeMap<String, String>,
}

impl Identity {
    fn of(tree: &FileTree) -> Option<Self> {
        const UNREADABLE: &str = "(not a file that can be read)";
        let texts = OS_RELEASE.iter().filter(|path| tree.get(path).is_some());
        let texts: Vec<_> = texts
            .map(|path| (*path, tree.text(path).map_or([UNREADABLE.to_owned(), String::new()], |text| named(&text))))
            .collect();
        let older = tree.below("etc").map(|(path, _)| path).filter(|path| {
            let is_told = path.ends_with("-release") || path.ends_with("_version");
            is_told && !path.trim_start_matches("etc/").contains('/') && !OS_RELEASE.contains(path)
        });
        let older = older.map(|path| {
            let text = tree.text(path).unwrap_or_else(|| UNREADABLE.to_owned());
            // What follows the first dot changes with every point release.
            (path.to_owned(), text.split('.').next().unwrap_or("").trim().to_owned())
        });
        let release = texts.iter().map(|(path, [name, version])| ((*path).to_owned(), format!("{name} {version}")));
        let others: BTreeMap<String, String> = older.chain(release).collect();
        let [name, version] = texts.first().map_or([String::new(), String::new()], |(_, both)| both.clone());
        (!others.is_empty()).then_some(Self { name, version, others })
    }
}

/// `ID` and `VERSION_ID` of an os-release.
fn named(text: &str) -> [String; 2] {
    ["ID", "VERSION_ID"].map(|key| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        value.map_or_else(String::new, |value| value.trim().trim_matches(['"', '\'']).to_owned())
    })
}

fn identity(compared: Compared<'_>, system: &System) -> Vec<Finding> {
    let finding = |message: String| {
        Finding::new(ImageCode::SystemIdentity, printable(&message))
            .severity(Severity::Critical)
            .target(Target::Name("/etc/os-release".to_owned()))
    };
    let own = Identity::of(compared.tree);
    let before = compared.base.and_then(|(tree, _)| Identity::of(tree));
    let mut findings = Vec::new();
    match (&before, &own) {
        (Some(before), Some(own)) => {
            if (&before.name, &before.version) != (&own.name, &own.version) {
                let show = |it: &Identity| {
                    format!("{} {}", if it.name.is_empty() { "(no name)" } else { &it.name }, it.version)
                };
                findings.push(finding(format!("the image says it is {}, its base is {}", show(own), show(before))));
            }
            for (path, text) in &own.others {
                if before.others.get(path).is_some_and(|known| known != text) || !before.others.contains_key(path) {
                    findings.push(finding(format!("/{path} is not what the base says")));
                }
            }
            for path in before.others.keys().filter(|path| !own.others.contains_key(*path)) {
                findings.push(finding(format!("/{path} of the base is gone")));
            }
        }
        (Some(_), None) => findings.push(finding("the image does not say which system it is any more".to_owned())),
        (None, _) => {}
    }
    if let Some(own) = own {
        let wanted = MANAGERS.iter().find(|(_, names)| names.contains(&own.name.to_ascii_lowercase().as_str()));
        if let Some((kind, _)) = wanted
            && !system.kinds.is_empty()
            && !system.kinds.contains(kind)
        {
            let kinds: Vec<_> = system.kinds.iter().map(|kind| kind.word()).collect();
            let message = format!(
                "the image says it is {}, which has {} packages, but holds {} packages",
                own.name,
                kind.word(),
                kinds.join(" and ")
            );
            findings.push(finding(message));
        }
    }
    if system.kinds.len() > 1 {
        let kinds: Vec<_> = system.kinds.iter().map(|kind| kind.word()).collect();
        findings.push(finding(format!(
            "the image has databases of {} packages, and a scanner reads one of them",
            kinds.join(" and ")
        )));
    }
    findings
}

/// The packages of the base that the image's database does not know any more, in this version, while their files are still there.
fn against_base(
    before: &System,
    now: &System,
    base_tree: &FileTree,
    tree: &FileTree,
    base_layers: usize,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let gone: Vec<&DebianInstalled> = before.packages.difference(&now.packages).collect();
    let names: BTreeSet<&str> = gone.iter().map(|package| package.name.as_str()).collect();
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, package) in before.owners.iter().filter(|(_, package)| names.contains(package.as_str())) {
        // What is the base's very file is not what another version has put there. Settings outlive their package.
        let is_the_same = !path.starts_with("etc/")
            && tree
                .get(path)
                .and_then(Node::content)
                .is_some_and(|content| content.layer < base_layers && content.size > 0);
        if is_the_same {
            files.entry(package).or_default().push(path);
        }
    }
    let versions: BTreeMap<(&str, &str), &str> =
        now.packages.iter().map(|one| ((one.name.as_str(), one.architecture.as_str()), one.version.as_str())).collect();
    for package in gone {
        // Files that have moved on to another package, or that two versions have alike, say nothing alone.
        let left = files.get(package.name.as_str()).map_or(&[][..], Vec::as_slice);
        let claimed =
            left.iter().filter(|path| now.owners.get(**path).is_some_and(|owner| *owner != package.name)).count();
        if left.len() > claimed {
            let version = versions.get(&(package.name.as_str(), package.architecture.as_str()));
            let says = version.map_or_else(
                || "is not in the database any more".to_owned(),
                |version| format!("is {version} by the database"),
            );
            let message = format!(
                "{} {says}, but {} files of {} from the base are there, such as /{}",
                package.name,
                left.len() - claimed,
                package.version,
                left[0]
            );
            findings.push(database(&message, &package.name));
        }
    }
    for kind in before.kinds.difference(&now.kinds) {
        findings.push(database(&format!("the base's database of {} packages is gone", kind.word()), kind.word()));
    }
    let installed: BTreeSet<&str> = now.packages.iter().map(|package| package.name.as_str()).collect();
    // Whose files are whose is said by lists that a build can write too: those of packages that stay must stay.
    for (path, node) in base_tree.below("var/lib/dpkg/info").filter(|(path, _)| path.ends_with(".list")) {
        let package = package_of_list(path);
        let stays = !names.contains(package) && installed.contains(package);
        let same = tree.get(path).and_then(Node::content).map(|content| content.sha256)
            == node.content().map(|content| content.sha256);
        if stays && !same {
            findings.push(database(&format!("the list of files of {package} is not the base's any more"), package));
        }
    }
    findings
}

/// Where files of an image are state, settings or somebody's own, and change.
const STATE: &[&str] =
    &["etc/", "var/", "tmp/", "run/", "root/", "home/", "dev/", "proc/", "sys/", "lib/apk/db/", "usr/lib/apk/db/"];
/// Lists that are written anew when a package is installed; none of them is code.
const GENERATED: &[&str] =
    &[".cache", "/locale-archive", "/info/dir", "/gschemas.compiled", "/.uuid", "/installed-files", "/rpmdb.sqlite"];

/// Files of the base and of packages that are not what was installed. Of the base only state may differ, what another version of a
/// package has brought, and lists of what is installed.
fn changed(
    before: &System,
    now: &System,
    (base_tree, base_layers): (&FileTree, usize),
    tree: &FileTree,
) -> Vec<Finding> {
    let mut changed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut unowned: Vec<&str> = Vec::new();
    let other: BTreeSet<&str> = now.packages.difference(&before.packages).map(|one| one.name.as_str()).collect();
    for (path, _, known) in base_tree.files().filter(|(path, ..)| !is_state(path)) {
        // Whatever the path leads to by now is what programs get.
        let Some((_, node)) = tree.resolve(path) else { continue };
        if node.content().is_some_and(|content| content.sha256 == known.sha256) {
            continue;
        }
        match now.owners.get(path) {
            Some(package) if other.contains(package.as_str()) => {}
            Some(package) => changed.entry(package).or_default().push(path),
            // What a system says it is, is compared as such.
            None if OS_RELEASE.contains(&path) => {}
            None if is_generated(path, node) || is_of_python_package(path) => {}
            None => unowned.push(path),
        }
    }
    let lists: BTreeMap<&str, usize> = tree
        .below("var/lib/dpkg/info")
        .filter(|(path, _)| path.ends_with(".list"))
        .filter_map(|(path, node)| {
            // Another version may have the base's very list; whoever touches a list writes the same again.
            let layer = Some(node.content()?.layer).filter(|layer| *layer >= base_layers).unwrap_or(node.layer);
            Some((package_of_list(path), layer))
        })
        .collect();
    let installed = now.owners.iter().filter(|(path, package)| other.contains(package.as_str()) && !is_state(path));
    for (path, package) in installed {
        let is_changed = match (tree.get(path).map(|node| &node.kind), now.sums.get(path)) {
            // The checksum stands for a file.
            (Some(Kind::File(content)), Some(expected)) => content.sum.as_ref().is_some_and(|sum| sum != expected),
            // Of apk's, links have one as well.
            (Some(_), Some(_)) => now.kinds.contains(&SystemKind::Dpkg),
            // Without one: the list of files was written when the files were.
            (Some(Kind::File(content)), None) => {
                lists.get(package.as_str()).is_some_and(|layer| content.layer > *layer)
            }
            _ => false,
        };
        if is_changed {
            changed.entry(package).or_default().push(path);
        }
    }
    let finding = |path: &str, what: String| {
        let path = format!("/{}", printable(path));
        let message = format!("{path}{what}");
        Finding::new(ImageCode::SystemChanged, message).severity(Severity::Critical).target(Target::Name(path))
    };
    let of_packages = changed.into_iter().map(|(package, files)| {
        let more = if files.len() > 1 { format!(" and {} more", files.len() - 1) } else { String::new() };
        finding(files[0], format!("{more} of {} changed after the package was installed", printable(package)))
    });
    let named = unowned.iter().take(NAMED_MAX).map(|path| finding(path, " is not what the base has".to_owned()));
    let mut findings: Vec<_> = of_packages.chain(named).collect();
    if let Some(more) = unowned.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        findings.push(Finding::new(ImageCode::SystemChanged, format!("{more} more files are not what the base has")));
    }
    findings
}

/// Whether a file may differ from what was installed.
pub(super) fn is_state(path: &str) -> bool {
    STATE.iter().any(|folder| path.starts_with(folder))
}

fn is_generated(path: &str, node: &Node) -> bool {
    let Some(content) = node.content() else { return false };
    let is_list = path.starts_with("usr/share/mime/") || GENERATED.iter().any(|end| path.ends_with(end));
    // Which source compiled Python belongs to is compared where packages are.
    let is_compiled = path.ends_with(".pyc") && path.contains("/__pycache__/");
    content.form == Form::Other && (is_list || is_compiled)
}

/// Whether a file is where Python's packages are: each is compared with its own record by the licence check.
fn is_of_python_package(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "site-packages" | "dist-packages"))
}

/// Whether a file is code in a standard library of Python's that the base has brought: what lies there comes before what is installed.
fn is_in_standard_library(base_tree: &FileTree, path: &str) -> bool {
    let is_code = [".py", ".pyc", ".so"].iter().any(|end| path.ends_with(end)) && !path.contains("/__pycache__/");
    let library = path.match_indices("/lib/python3").find_map(|(at, _)| {
        let start = at + "/lib/".len();
        path[start..].find('/').map(|end| &path[..start + end])
    });
    is_code
        && !is_of_python_package(path)
        && library.is_some_and(|folder| base_tree.get(&format!("{folder}/os.py")).is_some())
}

/// Programs and libraries in the system's folders that no package has brought and no instruction has named.
fn unowned(compared: Compared<'_>, system: &System, base_layers: usize) -> Vec<Finding> {
    let Compared { tree, config, base } = compared;
    let mut found = Vec::new();
    for (path, node, content) in tree.files() {
        let in_library =
            base.is_some_and(|(base_tree, _)| base_tree.get(path).is_none() && is_in_standard_library(base_tree, path));
        if in_library && content.layer >= base_layers && !system.owns(path) {
            found.push(path);
            continue;
        }
        let in_system = !system.owners.is_empty() && SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder));
        let runs =
            matches!(content.form, Form::Program(..)) || (content.form == Form::Script && node.mode & 0o111 != 0);
        if !in_system || !runs || content.layer < base_layers || system.owns(path) {
            continue;
        }
        let named = config.made_by.get(content.layer).is_some_and(|made| is_named(made, path));
        if !named {
            found.push(path);
        }
    }
    let more = found.len().saturating_sub(NAMED_MAX);
    let finding = |path: &&str| {
        let path = format!("/{}", printable(path));
        Finding::new(ImageCode::Unowned, format!("{path} belongs to no package, and no instruction names it"))
            .severity(Severity::High)
            .target(Target::Name(path))
    };
    let mut findings: Vec<_> = found.iter().take(NAMED_MAX).map(finding).collect();
    if more > 0 {
        findings.push(Finding::new(ImageCode::Unowned, format!("{more} more programs belong to no package")));
    }
    findings
}

/// Whether an instruction names a file, or a folder of its own that it is in.
fn is_named(instruction: &str, path: &str) -> bool {
    let rooted = format!("/{path}");
    let mut part = rooted.as_str();
    loop {
        let at_end =
            |rest: &str| rest.is_empty() || !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let mut rest = instruction;
        while let Some(at) = rest.find(part) {
            rest = &rest[at + part.len()..];
            if at_end(rest) {
                return true;
            }
        }
        let Some((folder, _)) = part.rsplit_once('/') else { return false };
        // A folder that every system has names nothing.
        if folder.is_empty()
            || SYSTEM_FOLDERS.iter().any(|system| system.trim_end_matches('/') == folder.trim_start_matches('/'))
        {
            return false;
        }
        part = folder;
    }
}
