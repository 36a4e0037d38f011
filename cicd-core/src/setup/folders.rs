use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use camino::Utf8PathBuf;
use semver::Version;

use super::provenance::Provenance;
use super::{
    MANIFEST_PATH, Platform, PythonEnvironment, PythonLibrary, PythonPackage, Release, SetupError, Sha256,
    ToolsManifest, files,
};
use crate::process::Guard;
use crate::step::Workspace;

/// The form of what is recorded of a set: another one needs another folder, so that programs of both forms live side by side.
const FORM: u32 = 2;
/// How many digits of a set's sum stand in the name of its folder: enough that two sets never meet.
const ID_DIGITS: usize = 16;

/// The folders with the programs that setup has installed for this workspace's manifest; the
/// [`Toolbox`](crate::process::Toolbox) looks in them first. A set that is not completely installed is left out, and without
/// a manifest there are none.
///
/// # Errors
/// When the manifest cannot be used.
pub fn tool_folders(
    variables: &BTreeMap<OsString, OsString>,
    workspace: &Workspace,
) -> Result<Vec<Utf8PathBuf>, SetupError> {
    Ok(installed(variables, workspace)?.into_iter().map(|(set, _)| set.bin()).collect())
}

/// Where the installed tools came from: what `doctor` shows and a run records.
///
/// # Errors
/// When the manifest or a record cannot be used.
pub fn provenance(
    variables: &BTreeMap<OsString, OsString>,
    workspace: &Workspace,
) -> Result<Vec<Provenance>, SetupError> {
    Ok(installed(variables, workspace)?.into_iter().map(|(_, provenance)| provenance).collect())
}

/// The checks of the installed tools, each set by itself: what a run uses is what was installed.
///
/// # Errors
/// When the manifest or a record cannot be used.
pub fn guards(variables: &BTreeMap<OsString, OsString>, workspace: &Workspace) -> Result<Vec<Guard>, SetupError> {
    let guard = |(set, record): (ToolSet, Provenance)| {
        let folder = set.folder.clone();
        let program = |(name, version): (&str, &Version)| (set.bin().join(name), version.clone());
        let programs = set.programs().into_iter().map(program).collect();
        Guard::new(&folder, programs, move || files::verify(&set.folder, &record))
    };
    Ok(installed(variables, workspace)?.into_iter().map(guard).collect())
}

fn installed(
    variables: &BTreeMap<OsString, OsString>,
    workspace: &Workspace,
) -> Result<Vec<(ToolSet, Provenance)>, SetupError> {
    let manifest = match read_manifest(workspace) {
        Err(SetupError::ManifestMissing(_)) => return Ok(Vec::new()),
        manifest => manifest?,
    };
    let root = tools_root(variables, workspace)?;
    let mut installed = Vec::new();
    for set in tool_sets(&manifest, Platform::current(), &root) {
        if let Some(provenance) = Provenance::read(&set.folder)? {
            installed.push((set, provenance));
        }
    }
    Ok(installed)
}

/// The workspace's manifest.
///
/// # Errors
/// When it is missing or cannot be used.
pub fn read_manifest(workspace: &Workspace) -> Result<ToolsManifest, SetupError> {
    let text = workspace.read_text(MANIFEST_PATH).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SetupError::ManifestMissing(workspace.path(MANIFEST_PATH)),
        _ => SetupError::io("reading", workspace.path(MANIFEST_PATH))(error),
    })?;
    Ok(ToolsManifest::parse(MANIFEST_PATH.into(), &text)?)
}

/// The per-user folder that tools are installed into: `$CICD_TOOLS_DIR`, else `cicd-core/tools` in `$XDG_CACHE_HOME` or
/// `~/.cache`, else `target/ci-tools` in the workspace.
///
/// # Errors
/// When the variable that decides is not UTF-8.
pub fn tools_root(variables: &BTreeMap<OsString, OsString>, workspace: &Workspace) -> Result<Utf8PathBuf, SetupError> {
    let folder = |name: &'static str| match variables.get(OsStr::new(name)) {
        Some(value) if !value.is_empty() => {
            value.to_str().map(|text| Some(Utf8PathBuf::from(text))).ok_or(SetupError::VariableNotText(name))
        }
        _ => Ok(None),
    };
    if let Some(chosen) = folder("CICD_TOOLS_DIR")? {
        return Ok(workspace.path(chosen));
    }
    // A relative cache folder is to be ignored, says the XDG base directory specification.
    if let Some(cache) = folder("XDG_CACHE_HOME")?.filter(|cache| cache.is_absolute()) {
        return Ok(cache.join("cicd-core/tools"));
    }
    Ok(match folder("HOME")?.filter(|home| home.is_absolute()) {
        Some(home) => home.join(".cache/cicd-core/tools"),
        None => workspace.path("target/ci-tools"),
    })
}

/// Tools that are installed together into one folder, whose name changes with everything that is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolSet {
    /// Its folder.
    pub folder: Utf8PathBuf,
    /// What it holds.
    pub content: Content,
}

/// What a set of tools holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Python packages in a virtual environment of this version of Python.
    Python {
        /// The interpreter's major and minor version.
        python: (u32, u32),
        /// The packages.
        packages: Vec<PythonPackage>,
        /// What those need beside themselves.
        libraries: Vec<PythonLibrary>,
    },
    /// One program of a release archive, or of its fallback package.
    Release {
        /// The interpreter for the fallback.
        python: (u32, u32),
        /// The release.
        release: Release,
    },
}

impl ToolSet {
    /// The folder with its programs.
    #[must_use]
    pub fn bin(&self) -> Utf8PathBuf {
        self.folder.join("bin")
    }

    /// Whether the manifest pins files of all its programs for a platform.
    #[must_use]
    pub fn is_pinned_for(&self, platform: Option<Platform>) -> bool {
        let Some(platform) = platform else { return false };
        let has_wheel =
            |sha256: &BTreeMap<Platform, Vec<Sha256>>| sha256.get(&platform).is_some_and(|sums| !sums.is_empty());
        match &self.content {
            Content::Python { packages, libraries, .. } => {
                packages.iter().all(|package| has_wheel(&package.sha256))
                    && libraries.iter().all(|library| has_wheel(&library.sha256))
            }
            Content::Release { release, .. } => {
                release.archives.contains_key(&platform)
                    || release.fallback.as_ref().is_some_and(|package| has_wheel(&package.sha256))
            }
        }
    }

    /// Its programs and the versions they tell.
    #[must_use]
    pub fn programs(&self) -> Vec<(&str, &Version)> {
        match &self.content {
            Content::Python { packages, .. } => {
                packages.iter().map(|package| (package.program.as_str(), &package.program_version)).collect()
            }
            Content::Release { release, .. } => vec![(release.program.as_str(), &release.version)],
        }
    }
}

/// The sets that a manifest asks for on a platform.
#[must_use]
pub fn tool_sets(manifest: &ToolsManifest, platform: Option<Platform>, root: &Utf8PathBuf) -> Vec<ToolSet> {
    let python = manifest.python;
    let folder = |name: &str, pinned: &str| {
        let platform = platform.map_or_else(|| "other".to_owned(), |platform| platform.to_string());
        let sum = Sha256::of(format!("form {FORM}\n{platform}\npython {}.{}\n{pinned}", python.0, python.1).as_bytes());
        root.join(format!("{name}-{}", &sum.as_str()[..ID_DIGITS]))
    };
    let mut sets = Vec::new();
    let environments = manifest.environments.iter().filter(|environment| !environment.packages.is_empty());
    sets.extend(environments.cloned().map(|PythonEnvironment { name, packages, libraries }| ToolSet {
        folder: folder(&name, &pinned(&packages, &libraries)),
        content: Content::Python { python, packages, libraries },
    }));
    sets.extend(manifest.releases.iter().cloned().map(|release| {
        let mut pinned = format!("{} {}\n", release.program, release.version);
        for (platform, archive) in &release.archives {
            pinned.push_str(&format!("{platform} {} {}\n", archive.url, archive.sha256));
        }
        pinned.push_str(&requirements(release.fallback.as_slice(), &[]));
        ToolSet { folder: folder(&release.program, &pinned), content: Content::Release { python, release } }
    }));
    sets
}

/// All that makes a set of packages another one.
fn pinned(packages: &[PythonPackage], libraries: &[PythonLibrary]) -> String {
    let mut text = requirements(packages, libraries);
    for (package, inside) in packages.iter().filter_map(|package| Some((package, package.inside.as_ref()?))) {
        text.push_str(&format!("{} is {inside}\n", package.program));
    }
    text
}

/// A requirements file that pins these packages by version and by the sums of their wheels.
#[must_use]
pub fn requirements(packages: &[PythonPackage], libraries: &[PythonLibrary]) -> String {
    let packages = packages.iter().map(|package| (&package.name, &package.version, &package.sha256));
    let libraries = libraries.iter().map(|library| (&library.name, &library.version, &library.sha256));
    let mut text = String::new();
    for (name, version, sha256) in packages.chain(libraries) {
        text.push_str(&format!("{name}=={version}"));
        for sum in sha256.values().flatten() {
            text.push_str(&format!(" \\\n    --hash=sha256:{sum}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const MANIFEST: &str = include_str!("../../tests/data/setup/tools.toml");

    fn root_for(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        tools_root(&variables, &Workspace::at("/work space")).expect("text").into_string()
    }

    #[test]
    fn the_tools_folder_is_the_users_own_cache() {
        let home = ("HOME", "/home/me");
        assert_eq!(root_for(&[home]), "/home/me/.cache/cicd-core/tools");
        assert_eq!(root_for(&[home, ("XDG_CACHE_HOME", "/cache")]), "/cache/cicd-core/tools");
        assert_eq!(root_for(&[home, ("XDG_CACHE_HOME", "cache")]), "/home/me/.cache/cicd-core/tools");
        assert_eq!(root_for(&[home, ("CICD_TOOLS_DIR", "/opt/my tools")]), "/opt/my tools");
        assert_eq!(root_for(&[home, ("CICD_TOOLS_DIR", "tools")]), "/work space/tools");
        assert_eq!(root_for(&[home, ("CICD_TOOLS_DIR", "")]), "/home/me/.cache/cicd-core/tools");
        assert_eq!(root_for(&[]), "/work space/target/ci-tools");
    }

    #[test]
    fn a_variable_that_is_not_text_is_told() {
        use std::os::unix::ffi::OsStringExt as _;
        let variables = BTreeMap::from([("CICD_TOOLS_DIR".into(), OsString::from_vec(vec![0xff]))]);
        let error = tools_root(&variables, &Workspace::at("/w")).expect_err("not text");
        assert!(error.to_string().contains("CICD_TOOLS_DIR"), "{error}");
    }

    #[test]
    fn every_pin_changes_the_folder() {
        let root = Utf8PathBuf::from("/tools");
        let sets = |text: &str, platform| {
            let manifest = ToolsManifest::parse(MANIFEST_PATH.into(), text).expect("valid");
            tool_sets(&manifest, Some(platform), &root).into_iter().map(|set| set.folder).collect::<Vec<_>>()
        };
        let here = sets(MANIFEST, Platform::LinuxX86_64);
        assert_eq!(here, sets(MANIFEST, Platform::LinuxX86_64));
        let starts = ["/tools/python-", "/tools/pip-audit-", "/tools/trivy-"];
        assert_eq!(here.len(), starts.len());
        assert!(here.iter().zip(starts).all(|(folder, start)| folder.as_str().starts_with(start)), "{here:?}");
        for (index, changed) in [
            (0, MANIFEST.replace("0.17.5", "0.17.6")),
            (0, MANIFEST.replace("40ca8afa", "00000000")),
            (0, MANIFEST.replace("\"3.11\"", "\"3.12\"")),
            (0, MANIFEST.replace("version = \"6.0.3\"", "version = \"6.0.4\"")),
            (1, MANIFEST.replace("\"2.10.1\"", "\"2.10.2\"")),
            (1, MANIFEST.replace("\"5.0\"", "\"5.1\"")),
            (2, MANIFEST.replace("8b4376d5", "00000000")),
            (2, MANIFEST.replace("0.70.0.1", "0.70.0.2")),
        ] {
            assert_ne!(here[index], sets(&changed, Platform::LinuxX86_64)[index], "{changed}");
        }
        assert_ne!(here[0], sets(MANIFEST, Platform::LinuxAarch64)[0]);
    }

    #[test]
    fn requirements_name_every_hash() {
        let manifest = ToolsManifest::parse(MANIFEST_PATH.into(), MANIFEST).expect("valid");
        expect![[r#"
            uv==0.13.8 \
                --hash=sha256:e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984 \
                --hash=sha256:29451c60f5e8b07403e0a175d5229efc36b0289b34143ff4aaa499a5dd52553a \
                --hash=sha256:0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d \
                --hash=sha256:5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203
        "#]]
        .assert_eq(&requirements(&manifest.environments[0].packages[..1], &[]));
    }
}
