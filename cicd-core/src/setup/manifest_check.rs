//! The manifest as text, and the checks that make it a [`ToolsManifest`].

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use camino::{Utf8Component, Utf8PathBuf};
use semver::Version;
use serde::Deserialize;
use toml::Spanned;

use super::manifest::SHARED_ENVIRONMENT;
use super::{
    Archive, DebianPackage, Platform, PythonEnvironment, PythonLibrary, PythonPackage, Release, Sha256, ToolsManifest,
};
use crate::formats::{ConfigError, Problems, RawConfig};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    python: RawPython,
    #[serde(default)]
    release: Vec<RawRelease>,
    debian: Option<RawDebian>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPython {
    version: Spanned<String>,
    #[serde(default)]
    package: Vec<RawPackage>,
    #[serde(default)]
    library: Vec<RawLibrary>,
    #[serde(default)]
    environment: Vec<RawEnvironment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvironment {
    name: Spanned<String>,
    package: Vec<RawPackage>,
    #[serde(default)]
    library: Vec<RawLibrary>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLibrary {
    name: Spanned<String>,
    version: Spanned<String>,
    sha256: BTreeMap<Platform, Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    name: Spanned<String>,
    version: Spanned<String>,
    program: Spanned<String>,
    inside: Option<Spanned<Utf8PathBuf>>,
    sha256: BTreeMap<Platform, Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelease {
    program: Spanned<String>,
    version: Spanned<String>,
    archive: BTreeMap<Platform, RawArchive>,
    fallback: Option<RawFallback>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArchive {
    url: Spanned<String>,
    sha256: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFallback {
    name: Spanned<String>,
    version: Spanned<String>,
    sha256: BTreeMap<Platform, Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDebian {
    engine: Option<RawDebianPackage>,
    #[serde(default)]
    packages: Vec<RawDebianPackage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDebianPackage {
    name: Spanned<String>,
    program: Spanned<String>,
}

impl RawConfig for RawManifest {
    type Valid = ToolsManifest;

    fn validate(self, problems: Problems<'_>) -> Result<ToolsManifest, ConfigError> {
        let mut check = Check { problems, programs: BTreeSet::new(), folders: BTreeSet::new() };
        let python = check.python(&self.python.version);
        let mut environments = vec![PythonEnvironment {
            name: SHARED_ENVIRONMENT.to_owned(),
            packages: self.python.package.iter().map(|raw| check.package(raw)).collect(),
            libraries: self.python.library.iter().map(|raw| check.library(raw)).collect(),
        }];
        environments.extend(self.python.environment.iter().map(|raw| check.environment(raw)));
        let releases = self.release.iter().map(|raw| check.release(raw)).collect();
        let (engine, debian) = match &self.debian {
            Some(raw) => (
                raw.engine.as_ref().map(|raw| check.debian(raw)),
                raw.packages.iter().map(|raw| check.debian(raw)).collect(),
            ),
            None => (None, Vec::new()),
        };
        check.problems.finish(ToolsManifest { python, environments, releases, engine, debian })
    }
}

/// Checks values one by one. A value that is refused is replaced by an empty one: the problem that was added keeps the
/// manifest from being used.
struct Check<'a> {
    problems: Problems<'a>,
    programs: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Check<'_> {
    fn python(&mut self, raw: &Spanned<String>) -> (u32, u32) {
        let version = raw.get_ref().split_once('.').and_then(|(major, minor)| {
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            (major == 3).then_some((major, minor))
        });
        version.unwrap_or_else(|| {
            self.problems
                .add(raw.span(), format!("{:?} is not a version of Python", raw.get_ref()))
                .help("write the major and minor version, such as \"3.11\"");
            (0, 0)
        })
    }

    fn environment(&mut self, raw: &RawEnvironment) -> PythonEnvironment {
        let name = self.package_name(&raw.name);
        if name == SHARED_ENVIRONMENT || !self.folders.insert(name.clone()) {
            self.problems
                .add(raw.name.span(), format!("there is another environment {name}"))
                .help("give each environment a name of its own");
        }
        PythonEnvironment {
            name,
            packages: raw.package.iter().map(|raw| self.package(raw)).collect(),
            libraries: raw.library.iter().map(|raw| self.library(raw)).collect(),
        }
    }

    fn package(&mut self, raw: &RawPackage) -> PythonPackage {
        PythonPackage {
            name: self.package_name(&raw.name),
            version: raw.version.get_ref().clone(),
            program: self.program(&raw.program),
            inside: raw.inside.as_ref().map(|raw| self.inside(raw)),
            program_version: self.program_version(&raw.version),
            sha256: self.sums(&raw.name, &raw.sha256),
        }
    }

    fn library(&mut self, raw: &RawLibrary) -> PythonLibrary {
        PythonLibrary {
            name: self.package_name(&raw.name),
            version: self.python_version(&raw.version),
            sha256: self.sums(&raw.name, &raw.sha256),
        }
    }

    fn release(&mut self, raw: &RawRelease) -> Release {
        let (program, version) = (self.program(&raw.program), self.version(&raw.version));
        let archives = raw.archive.iter().map(|(&platform, raw)| (platform, self.archive(raw))).collect();
        let fallback = raw.fallback.as_ref().map(|raw| {
            let package_version = self.python_version(&raw.version);
            PythonPackage {
                name: self.package_name(&raw.name),
                version: package_version,
                program: program.clone(),
                inside: None,
                program_version: version.clone(),
                sha256: self.sums(&raw.name, &raw.sha256),
            }
        });
        Release { program, version, archives, fallback }
    }

    fn archive(&mut self, raw: &RawArchive) -> Archive {
        let url = raw.url.get_ref();
        let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
        if !url.starts_with("https://") || !url.ends_with(".tar.gz") || !plain {
            self.problems
                .add(raw.url.span(), format!("{url:?} is not the address of an archive"))
                .help("write an https:// address that ends in .tar.gz");
        }
        Archive { url: url.clone(), sha256: self.sum(&raw.sha256) }
    }

    fn debian(&mut self, raw: &RawDebianPackage) -> DebianPackage {
        DebianPackage { name: self.package_name(&raw.name), program: self.program(&raw.program) }
    }

    /// Names go onto command lines and into a requirements file: letters, digits and the marks that registries allow.
    fn package_name(&mut self, raw: &Spanned<String>) -> String {
        let name = raw.get_ref();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
        if !plain || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            self.problems
                .add(raw.span(), format!("{name:?} is not the name of a package"))
                .help("use letters, digits, dots, dashes and underscores, beginning with a letter or digit");
        }
        name.clone()
    }

    fn inside(&mut self, raw: &Spanned<Utf8PathBuf>) -> Utf8PathBuf {
        let path = raw.get_ref();
        let is_plain = |part| matches!(part, Utf8Component::Normal(_));
        if path.as_str().is_empty() || !path.components().all(is_plain) {
            self.problems
                .add(raw.span(), format!("{path:?} leads out of the package"))
                .help("write where the program is below site-packages");
        }
        path.clone()
    }

    fn program(&mut self, raw: &Spanned<String>) -> String {
        let program = raw.get_ref();
        let plain = program.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
        if !plain || !program.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            self.problems
                .add(raw.span(), format!("{program:?} is not the name of a program"))
                .help("write the file's name, without a folder");
        } else if !self.programs.insert(program.clone()) {
            self.problems
                .add(raw.span(), format!("the program {program} is named twice"))
                .help("keep one of the two: which of them would run is chance");
        }
        program.clone()
    }

    fn version(&mut self, raw: &Spanned<String>) -> Version {
        Version::parse(raw.get_ref()).unwrap_or_else(|_| {
            self.problems
                .add(raw.span(), format!("{:?} is not an exact version", raw.get_ref()))
                .help("write three numbers, such as \"1.2.3\"");
            Version::new(0, 0, 0)
        })
    }

    /// What the program of a package tells: the package's version, but for how often the same program was packaged (`.post3`).
    fn program_version(&mut self, raw: &Spanned<String>) -> Version {
        let again = raw.get_ref().parse::<pep440_rs::Version>().ok().filter(|version| {
            version.is_post() && !version.any_prerelease() && !version.is_local() && version.epoch() == 0
        });
        match again.as_ref().map(|version| version.release().to_vec()).as_deref() {
            Some(&[major, minor, patch]) => Version::new(major, minor, patch),
            _ => self.version(raw),
        }
    }

    fn python_version(&mut self, raw: &Spanned<String>) -> String {
        if pep440_rs::Version::from_str(raw.get_ref()).is_err() {
            self.problems
                .add(raw.span(), format!("{:?} is not a version of a Python package", raw.get_ref()))
                .help("write the exact version, such as \"0.70.0.1\"");
        }
        raw.get_ref().clone()
    }

    fn sums(
        &mut self,
        package: &Spanned<String>,
        raw: &BTreeMap<Platform, Vec<Spanned<String>>>,
    ) -> BTreeMap<Platform, Vec<Sha256>> {
        if raw.values().all(Vec::is_empty) {
            self.problems
                .add(package.span(), format!("{} has no sha256", package.get_ref()))
                .help("list the sha256 of its wheels; a package without one is never installed");
        }
        raw.iter().map(|(&platform, sums)| (platform, sums.iter().map(|sum| self.sum(sum)).collect())).collect()
    }

    fn sum(&mut self, raw: &Spanned<String>) -> Sha256 {
        let digits = raw.get_ref();
        let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != 64 || !hexadecimal {
            self.problems
                .add(raw.span(), "this is not a sha256")
                .help("write 64 lower-case hexadecimal digits, as sha256sum prints them");
        }
        Sha256::from_digits(digits)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::formats::Paint;
    use crate::setup::MANIFEST_PATH;

    fn check(text: &str, expected: Expect) {
        let shown = match ToolsManifest::parse(MANIFEST_PATH.into(), text) {
            Ok(manifest) => format!("{manifest:#?}"),
            Err(error) => error.render(Paint::Plain),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn this_repositorys_manifest_pins_every_tool_for_both_platforms() {
        let text = include_str!("../../../ci/tools.toml");
        let manifest = ToolsManifest::parse(MANIFEST_PATH.into(), text).expect("valid");
        assert_eq!(manifest.python, (3, 11));
        let names: Vec<_> = manifest.environments.iter().map(|environment| environment.name.as_str()).collect();
        assert!(names[0] == "python" && names.len() > 1, "{names:?}");
        for PythonEnvironment { packages, libraries, .. } in &manifest.environments {
            let packages = packages.iter().map(|package| (&package.name, &package.sha256));
            let libraries = libraries.iter().map(|library| (&library.name, &library.sha256));
            for (name, sha256) in packages.chain(libraries) {
                for platform in [Platform::LinuxX86_64, Platform::LinuxAarch64] {
                    assert!(!sha256[&platform].is_empty(), "{name} for {platform}");
                }
            }
        }
        let trivy = manifest.releases.iter().find(|release| release.program == "trivy").expect("trivy");
        assert!(trivy.archives.contains_key(&Platform::LinuxX86_64) && trivy.fallback.is_some());
        assert_eq!(manifest.engine.expect("an engine").name, "docker.io");
    }

    #[test]
    fn a_program_that_is_packaged_again_tells_its_own_version() {
        let sum = "0".repeat(64);
        let parse = |version: &str| {
            let package =
                format!("name = \"a\"\nversion = \"{version}\"\nprogram = \"a\"\nsha256.linux-x86_64 = [\"{sum}\"]");
            let text = format!("[python]\nversion = \"3.11\"\n\n[[python.package]]\n{package}\n");
            let manifest = ToolsManifest::parse(MANIFEST_PATH.into(), &text).ok()?;
            let package = manifest.environments.first()?.packages.first()?.clone();
            Some((package.version, package.program_version.to_string()))
        };
        let pair = |package: &str, program: &str| Some((package.to_owned(), program.to_owned()));
        assert_eq!(parse("8.30.1.post3"), pair("8.30.1.post3", "8.30.1"));
        assert_eq!(parse("8.30.1"), pair("8.30.1", "8.30.1"));
        for bad in
            ["8.30.post3", "8.30.1.2.post3", "8.30.1rc1.post3", "1!8.30.1.post3", "8.30.1.post3+x", "8.30.1.post3.dev1"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn slips_are_refused_with_what_to_write() {
        check(
            "[python]\nversoin = '3.11'\n",
            expect![[r#"
            error: unknown key `versoin`
             --> ci/tools.toml:2:1
              |
            2 | versoin = '3.11'
              | ^^^^^^^
              |
              = help: did you mean `version`?"#]],
        );
        check(
            "[python]\nversion = '3.11'\n[[python.package]]\nname = 'x'\n",
            expect![[r#"
            error: the key `version` is missing
             --> ci/tools.toml:3:1
              |
            3 | [[python.package]]
              | ^^^^^^^^^^^^^^^^^^
              |
              = help: add a line `version = …`"#]],
        );
        check(
            "[python]\nversion = '3.11'\n[[python.package]]\nname = 'x'\nversion = '1.0.0'\nprogram = 'x'\nsha256.linux-x86-64 = []\n",
            expect![[r#"
                error: unknown value `linux-x86-64`
                 --> ci/tools.toml:7:8
                  |
                7 | sha256.linux-x86-64 = []
                  |        ^^^^^^^^^^^^
                  |
                  = help: did you mean `linux-x86_64`?"#]],
        );
    }

    #[test]
    fn every_wrong_value_is_told() {
        check(
            r#"
                [python]
                version = "2"
                [[python.package]]
                name = "x --index-url=evil"
                version = "1"
                program = "../x"
                sha256.linux-x86_64 = ["ABC"]
                [[python.library]]
                name = "l"
                version = "six"
                sha256 = {}
                [[python.environment]]
                name = "python"
                package = []
                [[release]]
                program = "y"
                version = "1.0.0"
                archive.linux-x86_64 = { url = "http://example.org/y.zip", sha256 = "" }
                fallback = { name = "y", version = "one", sha256 = {} }
                [debian]
                packages = [{ name = "-y", program = "y" }]
            "#,
            expect![[r#"
                error: "2" is not a version of Python
                 --> ci/tools.toml:3:27
                  |
                3 |                 version = "2"
                  |                           ^^^
                  |
                  = help: write the major and minor version, such as "3.11"

                error: "x --index-url=evil" is not the name of a package
                 --> ci/tools.toml:5:24
                  |
                5 |                 name = "x --index-url=evil"
                  |                        ^^^^^^^^^^^^^^^^^^^^
                  |
                  = help: use letters, digits, dots, dashes and underscores, beginning with a letter or digit

                error: "../x" is not the name of a program
                 --> ci/tools.toml:7:27
                  |
                7 |                 program = "../x"
                  |                           ^^^^^^
                  |
                  = help: write the file's name, without a folder

                error: "1" is not an exact version
                 --> ci/tools.toml:6:27
                  |
                6 |                 version = "1"
                  |                           ^^^
                  |
                  = help: write three numbers, such as "1.2.3"

                error: this is not a sha256
                 --> ci/tools.toml:8:40
                  |
                8 |                 sha256.linux-x86_64 = ["ABC"]
                  |                                        ^^^^^
                  |
                  = help: write 64 lower-case hexadecimal digits, as sha256sum prints them

                error: "six" is not a version of a Python package
                  --> ci/tools.toml:11:27
                   |
                11 |                 version = "six"
                   |                           ^^^^^
                   |
                   = help: write the exact version, such as "0.70.0.1"

                error: l has no sha256
                  --> ci/tools.toml:10:24
                   |
                10 |                 name = "l"
                   |                        ^^^
                   |
                   = help: list the sha256 of its wheels; a package without one is never installed

                error: there is another environment python
                  --> ci/tools.toml:14:24
                   |
                14 |                 name = "python"
                   |                        ^^^^^^^^
                   |
                   = help: give each environment a name of its own

                error: "http://example.org/y.zip" is not the address of an archive
                  --> ci/tools.toml:19:48
                   |
                19 |                 archive.linux-x86_64 = { url = "http://example.org/y.zip", sha256 = "" }
                   |                                                ^^^^^^^^^^^^^^^^^^^^^^^^^^
                   |
                   = help: write an https:// address that ends in .tar.gz

                error: this is not a sha256
                  --> ci/tools.toml:19:85
                   |
                19 |                 archive.linux-x86_64 = { url = "http://example.org/y.zip", sha256 = "" }
                   |                                                                                     ^^
                   |
                   = help: write 64 lower-case hexadecimal digits, as sha256sum prints them

                error: "one" is not a version of a Python package
                  --> ci/tools.toml:20:52
                   |
                20 |                 fallback = { name = "y", version = "one", sha256 = {} }
                   |                                                    ^^^^^
                   |
                   = help: write the exact version, such as "0.70.0.1"

                error: y has no sha256
                  --> ci/tools.toml:20:37
                   |
                20 |                 fallback = { name = "y", version = "one", sha256 = {} }
                   |                                     ^^^
                   |
                   = help: list the sha256 of its wheels; a package without one is never installed

                error: "-y" is not the name of a package
                  --> ci/tools.toml:22:38
                   |
                22 |                 packages = [{ name = "-y", program = "y" }]
                   |                                      ^^^^
                   |
                   = help: use letters, digits, dots, dashes and underscores, beginning with a letter or digit

                error: the program y is named twice
                  --> ci/tools.toml:22:54
                   |
                22 |                 packages = [{ name = "-y", program = "y" }]
                   |                                                      ^^^
                   |
                   = help: keep one of the two: which of them would run is chance"#]],
        );
    }
}
