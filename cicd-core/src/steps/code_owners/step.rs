use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::OwnersCode;
use super::judge::{Expected, Judgement, judge};
use crate::formats::codeowners::{CodeOwnersFile, Pattern};
use crate::formats::printable::counted;
use crate::formats::{Paint, ignore_file, read_exceptions};
use crate::model::{Finding, Judged, Location, Subject};
use crate::policy::Exception;
use crate::process::ToolRequirement;
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError, git_tool, proof};

/// Where GitHub looks for the file, in this order; it reads the first.
const LOCATIONS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
/// From this size on GitHub ignores the file.
const FILE_BYTES_MAX: usize = 3_000_000;
/// Settings of tests, linters, scanners and builds, and what runs by itself beside them: whoever changes one of them can change what
/// is green. They are sensitive wherever they lie.
const SETTINGS: [&str; 68] = [
    "**/*.Dockerfile",
    "**/*.pth",
    "**/.bandit",
    "**/.cargo/**",
    "**/.checkov.yaml",
    "**/.checkov.yml",
    "**/.clippy.toml",
    "**/.config/nextest.toml",
    "**/.coveragerc",
    "**/.coveragerc.toml",
    "**/.dockerignore",
    "**/.flake8",
    "**/.gitattributes",
    "**/.gitlab-ci.yml",
    "**/.gitleaks.toml",
    "**/.gitleaksignore",
    "**/.gitmodules",
    "**/.hadolint.yaml",
    "**/.hadolint.yml",
    "**/.mypy.ini",
    "**/.npmrc",
    "**/.pre-commit-config.yaml",
    "**/.pylintrc",
    "**/.pytest.ini",
    "**/.pytest.toml",
    "**/.ruff.toml",
    "**/.rustfmt.toml",
    "**/.semgrep.yml",
    "**/.semgrepignore",
    "**/.trivyignore",
    "**/.trivyignore.yaml",
    "**/.yarnrc.yml",
    "**/.zizmor.yml",
    "**/CODEOWNERS",
    "**/Cargo.toml",
    "**/Containerfile",
    "**/Dockerfile",
    "**/Dockerfile.*",
    "**/Jenkinsfile",
    "**/build.rs",
    "**/clippy.toml",
    "**/cloudbuild.yaml",
    "**/conftest.py",
    "**/deny.toml",
    "**/hadolint.yaml",
    "**/jest.config.*",
    "**/mypy.ini",
    "**/noxfile.py",
    "**/package.json",
    "**/pyproject.toml",
    "**/pytest.ini",
    "**/pytest.toml",
    "**/ruff.toml",
    "**/rust-toolchain",
    "**/rust-toolchain.toml",
    "**/rustfmt.toml",
    "**/setup.cfg",
    "**/setup.py",
    "**/sitecustomize.py",
    "**/tox.ini",
    "**/trivy-secret.yaml",
    "**/trivy.yaml",
    "**/usercustomize.py",
    "**/uv.toml",
    "**/vitest.config.*",
    "**/zizmor.yml",
    "/.github/actions/**",
    "/.github/workflows/**",
];
/// The list of files without an owner, in the step's folder.
const UNOWNED_FILE: &str = "unowned.txt";

/// Checks who owns the files of the repository, as GitHub decides it.
///
/// ```
/// use cicd_core::steps::CodeOwners;
///
/// let owners = CodeOwners::file(".github/CODEOWNERS")
///     .sensitive(["ci/**", ".github/**", "**/Dockerfile"], "@example/security")
///     .known_owners(["@example/security", "@example/developers"])
///     .exceptions_in(["ci/.trivyignore"]);
/// ```
///
/// Settings of tests, linters, scanners and builds (`pyproject.toml`, `conftest.py`, `ruff.toml`, Dockerfiles, workflows and others)
/// are sensitive wherever they lie, by themselves; the first team that is named owns them.
///
/// Every file that git tracks, and new ones that it does not ignore, has to have an owner; sensitive ones the named team and nobody
/// else, since the approval of any one owner is enough.
#[derive(Debug, Clone)]
pub struct CodeOwners {
    file: Utf8PathBuf,
    sensitive: Vec<(Vec<String>, String)>,
    known: Vec<String>,
    exceptions_in: Vec<Utf8PathBuf>,
}

impl CodeOwners {
    /// The CODEOWNERS file, relative to the workspace.
    #[must_use]
    pub fn file(path: impl Into<Utf8PathBuf>) -> Self {
        Self { file: path.into(), sensitive: Vec::new(), known: Vec::new(), exceptions_in: Vec::new() }
    }

    /// Files whose changes only `team` may approve, by patterns as CODEOWNERS has them. A pattern that matches no file is an error.
    #[must_use]
    pub fn sensitive(mut self, patterns: impl IntoIterator<Item = impl Into<String>>, team: impl Into<String>) -> Self {
        self.sensitive.push((patterns.into_iter().map(Into::into).collect(), team.into()));
        self
    }

    /// Every owner there may be; any other is a mistake.
    #[must_use]
    pub fn known_owners(mut self, owners: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.known.extend(owners.into_iter().map(Into::into));
        self
    }

    /// Files with exceptions, `.trivyignore` or `exceptions.toml`: who answers for one has to own the file.
    #[must_use]
    pub fn exceptions_in(mut self, files: impl IntoIterator<Item = impl Into<Utf8PathBuf>>) -> Self {
        self.exceptions_in.extend(files.into_iter().map(Into::into));
        self
    }

    fn sensitive_patterns(&self) -> Result<Vec<(Vec<Pattern>, String)>, StepError> {
        let parse = |text: &String| {
            Pattern::parse(text).map_err(|error| {
                StepError::not_looked(format!("`{text}` is not a pattern: {error}"), "correct it in the step")
            })
        };
        let sensitive = self.sensitive.iter();
        sensitive.map(|(texts, team)| Ok((texts.iter().map(parse).collect::<Result<_, _>>()?, team.clone()))).collect()
    }

    /// The complete entries of the files with exceptions; what is wrong with the others, the steps that use them say.
    fn exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let mut exceptions = Vec::new();
        for path in &self.exceptions_in {
            let bytes = cx.read_file(path)?;
            let unreadable =
                |problem: String| ReadError::new("the file with exceptions", problem).at(Location::file(path));
            exceptions.extend(if path.extension() == Some("toml") {
                let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
                read_exceptions(path, &text).map_err(|error| unreadable(error.render(Paint::Plain)))?.all()
            } else {
                ignore_file::read(path, &bytes).map_err(|error| unreadable(error.to_string()))?.exceptions
            });
        }
        Ok(exceptions)
    }

    /// The text of the file, or that GitHub would not read it.
    fn read(&self, cx: &Context) -> Result<Result<String, Finding>, StepError> {
        let text = cx.read_text(&self.file)?;
        if text.len() >= FILE_BYTES_MAX {
            let message = format!("{} has {} bytes, so none of its rules holds", self.file, text.len());
            return Ok(Err(Finding::new(OwnersCode::TooLarge, message).at(Location::file(&self.file))));
        }
        Ok(Ok(text))
    }
}

proof! {
    /// Whose owners were checked.
    pub struct OwnersChecked("check of the code owners") {
        /// How many files.
        files: usize,
        /// How many of them have no owner.
        unowned: usize,
        /// The commit whose files they are.
        commit: String => &str,
    }
}

impl Judged for OwnersChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

impl Step for CodeOwners {
    type Input = ();
    type Output = OwnersChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<OwnersChecked>, StepError> {
        if !LOCATIONS.contains(&self.file.as_str()) {
            let what = format!("GitHub does not look for owners in {}", self.file);
            return Err(StepError::not_looked(what, format!("use one of {}", LOCATIONS.join(", "))));
        }
        let files = cx.repository_files()?;
        if !files.contains(&self.file) {
            let what = format!("{} is not a file of the repository", self.file);
            return Err(StepError::not_looked(what, "add it with git"));
        }
        let patterns = self.sensitive_patterns()?;
        let exceptions = self.exceptions(cx)?;
        let others = second_files(&self.file, &files);
        let (judgement, rules) = match self.read(cx)? {
            Ok(text) => {
                let owners = CodeOwnersFile::parse(&self.file, &text);
                let settings = settings_patterns()?;
                // Without a team nobody can be required; that such a file has an owner at all is required of every file.
                let team = self.sensitive.first().map(|(_, team)| team.as_str());
                let settings = team.map(|team| (settings.as_slice(), team));
                let expected = Expected { sensitive: &patterns, settings, known: &self.known, exceptions: &exceptions };
                (judge(&self.file, &owners, &files, &expected)?, owners.rules().len())
            }
            Err(finding) => (Judgement { findings: vec![finding], unowned: files.clone(), sensitive: 0 }, 0),
        };
        let Judgement { findings, unowned, sensitive } = judgement;
        let (count, unowned_count, problems) = (files.len(), unowned.len(), findings.len() + others.len());
        let headline = match problems {
            0 => format!("{} owned, {sensitive} sensitive", counted(count, "file")),
            _ => format!("{}, {} unowned", counted(problems, "finding"), counted(unowned_count, "file")),
        };
        let commit = cx.revision()?.commit.clone();
        let mut outcome = Outcome::of(OwnersChecked { files: count, unowned: unowned_count, commit })
            .findings(others)
            .findings(findings)
            .fact("files", count)
            .fact("unowned", unowned_count)
            .fact("sensitive", sensitive)
            .fact("rules", rules)
            .headline(headline);
        if !unowned.is_empty() {
            let path = cx.dir().join(UNOWNED_FILE);
            let list: String = unowned.iter().map(|file| format!("{file}\n")).collect();
            fs::write(&path, list).map_err(StepError::io("writing", &path))?;
            outcome.attachments.push(path);
        }
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![git_tool()]
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

fn settings_patterns() -> Result<Vec<Pattern>, StepError> {
    let parse = |text: &&str| {
        Pattern::parse(text)
            .map_err(|error| StepError::not_looked(format!("`{text}` is not a pattern: {error}"), "report it"))
    };
    SETTINGS.iter().map(parse).collect()
}

/// The other files that GitHub might read, or that people might take for the one it reads.
fn second_files(file: &Utf8Path, files: &[Utf8PathBuf]) -> Vec<Finding> {
    let is_other = |other: &&Utf8PathBuf| {
        *other != file && LOCATIONS.iter().any(|location| other.as_str().eq_ignore_ascii_case(location))
    };
    let read = LOCATIONS.iter().find(|location| files.iter().any(|file| file == **location));
    let message = |other: &Utf8PathBuf| {
        let read = read.map_or(file.as_str(), |read| *read);
        format!("there are {file} and {other}; GitHub reads {read} alone")
    };
    let found = files.iter().filter(is_other);
    found.map(|other| Finding::new(OwnersCode::SecondFile, message(other)).at(Location::file(other))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_tools_are_sensitive_without_being_named() {
        let patterns = settings_patterns().expect("patterns");
        let owners = CodeOwnersFile::parse(".github/CODEOWNERS".into(), "* @o/dev\n/.github/ @o/sec\n/ci/ @o/sec\n");
        let sensitive = [(vec![Pattern::parse("/ci/**").expect("a pattern")], "@o/sec".to_owned())];
        let settings = Some((patterns.as_slice(), "@o/sec"));
        let expected = Expected { sensitive: &sensitive, settings, known: &[], exceptions: &[] };
        let found = |file: &str| {
            let files = [".github/CODEOWNERS", "ci/a", "src/main.py", file].map(Utf8PathBuf::from);
            let judged = judge(".github/CODEOWNERS".into(), &owners, &files, &expected).expect("looked");
            judged.findings.iter().any(|one| one.code.as_str() == "CO-002" && one.message.contains(file))
        };
        for file in [
            "app/pyproject.toml",
            "pytest.ini",
            "app/.pytest.ini",
            "tox.ini",
            "a/b/setup.cfg",
            "app/tests/conftest.py",
            ".coveragerc",
            "ruff.toml",
            ".ruff.toml",
            ".bandit",
            ".semgrepignore",
            "rustfmt.toml",
            "x/clippy.toml",
            "deny.toml",
            ".hadolint.yaml",
            "trivy.yaml",
            "Dockerfile",
            "app/deps.Dockerfile",
            ".cargo/config.toml",
            "sitecustomize.py",
            ".gitattributes",
        ] {
            assert!(found(file), "{file}");
        }
        for file in ["app/main.py", "docs/pyproject.toml.md", ".github/workflows/ci.yml", "ci/pytest.ini"] {
            assert!(!found(file), "{file}");
        }
    }

    #[test]
    fn github_reads_one_file_of_several() {
        let files = ["CODEOWNERS", "docs/Codeowners", "src/CODEOWNERS"].map(Utf8PathBuf::from);
        let found = second_files("CODEOWNERS".into(), &files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code.as_str(), "CO-007");
        let files = [".github/CODEOWNERS", "CODEOWNERS"].map(Utf8PathBuf::from);
        let found = second_files("CODEOWNERS".into(), &files);
        assert!(found[0].message.ends_with("GitHub reads .github/CODEOWNERS alone"), "{}", found[0].message);
    }
}
