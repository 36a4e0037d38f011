use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::files::{self, FILE_BYTES_MAX};
use crate::formats::printable::{counted, printable};
use crate::formats::requirements::{LockedPackage, normalized_name};
use crate::formats::{read_python_record, same_version};
use crate::model::Location;
use crate::policy::Exception;
use crate::process::{Invocation, ProcessError, ToolRequirement};
use crate::python::{Environment, Interpreter, LockFile};
use crate::step::{Author, Claims, Context, Outcome, ReadError, Retry, Seal, Step, StepError};

/// Makes a fresh virtual environment in the step's folder, with exactly the packages of a lock file, each checked against its
/// hashes, and each of its files against the package's own record. Nothing is built: a package without a wheel is refused.
///
/// Whether it worked is not taken from uv's word: what is installed is listed and compared with the lock file, both ways.
#[derive(Debug, Clone)]
pub struct PythonEnv {
    lock: LockFile,
    python: String,
}

impl PythonEnv {
    /// An environment from this lock file, relative to the workspace, as `uv pip compile --generate-hashes` writes it.
    #[must_use]
    pub fn locked(lock: impl Into<LockFile>) -> Self {
        Self { lock: lock.into(), python: "3.11".to_owned() }
    }

    /// The Python that it is for, `3.11` unless told otherwise.
    #[must_use]
    pub fn python(mut self, version: impl Into<String>) -> Self {
        self.python = version.into();
        self
    }

    fn create(&self, venv: &Utf8Path) -> Invocation {
        uv().args(["venv", "--clear", "--no-project", "--python", &self.python]).arg(venv)
    }

    fn sync(&self, python: &Utf8Path) -> Invocation {
        // A source distribution would run code of its own, with build tools that no lock file pins.
        // Copies: through links of its files into uv's cache, the tests of one project could write what those of another run.
        uv().args([
            "pip",
            "sync",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--strict",
            "--link-mode",
            "copy",
            "--python",
        ])
        .arg(python)
        .arg(self.lock.path())
    }
}

fn uv_tool() -> ToolRequirement {
    ToolRequirement::new("uv", ">=0.11, <1")
}

/// Uv without the variables that could point it to another Python or switch its checks off; mirrors, proxies and certificates
/// stay, as every file is checked against its hash.
fn uv() -> Invocation {
    [
        "UV_NO_VERIFY_HASHES",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_OVERRIDE",
        "UV_CONSTRAINT",
        "UV_BUILD_CONSTRAINT",
        "UV_NO_BINARY",
        "UV_NO_BINARY_PACKAGE",
        "UV_NO_BUILD",
        "UV_NO_BUILD_PACKAGE",
        "UV_TORCH_BACKEND",
        "VIRTUAL_ENV",
    ]
    .into_iter()
    .fold(Invocation::tool("uv"), Invocation::env_remove)
    .args(["--no-progress", "--color", "never"])
}

impl Step for PythonEnv {
    type Input = ();
    type Output = Interpreter;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<Interpreter>, StepError> {
        cx.require(&uv_tool())?;
        let path = self.lock.path();
        let locked = self.lock.read(cx)?;
        if let Some(open) = locked.packages.iter().find(|one| one.hashes == 0) {
            let problem = format!("{} has no hash", open.name);
            let error = ReadError::new("the lock file", problem).at(Location::line(path, open.line));
            return Err(error.help("write it with `uv pip compile --generate-hashes`").into());
        }
        if let Some(option) = locked.options.iter().find(|option| option.name == "--no-binary") {
            let error = ReadError::new("the lock file", "`--no-binary` has packages built by code of their own")
                .at(Location::line(path, option.line));
            return Err(error.help("lock wheels: a source distribution is built with tools that nothing pins").into());
        }
        let venv = cx.dir().join("venv");
        let python = venv.join("bin/python");
        cx.run_ok(&self.create(&venv))?;
        cx.run_remote(&self.sync(&python)).map_err(|error| match error {
            StepError::Process(ProcessError::Exited { stderr, .. }) if stderr.contains(NO_WHEEL) => {
                let what =
                    format!("a package of {path} has no wheel for this Python: {}", printable(last_line(&stderr)));
                let help = "lock a version that has one; a source distribution would run its own code, with tools \
                            that nothing pins";
                StepError::not_looked(what, help)
            }
            error => error,
        })?;
        let list = cx.run_ok(&uv().args(["pip", "list", "--format", "json", "--python"]).arg(&python))?;
        let packages = compare(&locked.packages, list.stdout_text()?)?;
        let files = check_records(&cx.path(&venv))?;
        let stamp = Environment::of(&python)?.stamp();
        let value = Interpreter { path: python, lock: path.to_owned(), packages, stamp };
        Ok(Outcome::of(value)
            .findings(self.lock.findings(&locked))
            .exceptions(self.lock.exceptions())
            .fact("packages", packages)
            .fact("files", files)
            .headline(format!("{}, hashes checked", counted(packages, "package"))))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![uv_tool()]
    }

    fn retry(&self) -> Retry {
        Retry::NETWORK
    }

    fn explain(&self) -> Vec<Invocation> {
        let venv = Utf8Path::new("<step folder>/venv");
        vec![self.create(venv), self.sync(&venv.join("bin/python"))]
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.lock.exceptions()
    }

    fn claims(&self) -> Claims {
        Claims::none().reading_source()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// What uv says of a package that it would have to build.
const NO_WHEEL: &str = "no usable wheels";

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| line.contains(NO_WHEEL)).unwrap_or(text).trim()
}

/// How many files are installed, if each is what the record of its package says.
fn check_records(venv: &Utf8Path) -> Result<usize, StepError> {
    let list = |folder: &Utf8Path| -> Result<Vec<Utf8PathBuf>, StepError> {
        let entries = folder.read_dir_utf8().map_err(StepError::io("listing", folder))?;
        let all: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.into_path())).collect();
        let mut all = all.map_err(StepError::io("listing", folder))?;
        all.sort();
        Ok(all)
    };
    let mut files = 0;
    for python in list(&venv.join("lib"))? {
        let site = python.join("site-packages");
        for info in list(&site)?.into_iter().filter(|path| path.extension() == Some("dist-info")) {
            files += check_record(&site, &info)?;
        }
    }
    Ok(files)
}

fn check_record(site: &Utf8Path, info: &Utf8Path) -> Result<usize, StepError> {
    let path = info.join("RECORD");
    let bytes = files::read(&path, FILE_BYTES_MAX).map_err(StepError::io("reading", &path))?;
    let record = read_python_record(&bytes)
        .map_err(|error| ReadError::new("the record of a package", error).at(Location::file(&path)))?;
    let hashed = record.iter().filter_map(|file| Some((site.join(&file.path), file.sha256?)));
    let mut files = 0;
    for (path, expected) in hashed {
        let kind = fs::metadata(&path).map_err(StepError::io("reading", &path))?;
        let is_same =
            kind.is_file() && files::sha256(&path).map_err(StepError::io("reading", &path))?.as_slice() == expected;
        if !is_same {
            return Err(StepError::not_looked(
                format!("{path} is not what its package has recorded"),
                "something changed it, here or in uv's cache: `uv cache clean`, then run again",
            ));
        }
        files += 1;
    }
    Ok(files)
}

#[derive(Deserialize)]
struct Installed {
    name: String,
    version: String,
}

/// How many packages are installed, if they are those of the lock file, all of them: a condition excuses none.
fn compare(locked: &[LockedPackage], list: &str) -> Result<usize, StepError> {
    let installed: Vec<Installed> =
        serde_json::from_str(list).map_err(|error| ReadError::new("the list of installed packages", error))?;
    let mut versions: BTreeMap<String, &str> = BTreeMap::new();
    for one in &installed {
        versions.insert(normalized_name(&one.name), &one.version);
    }
    let wrong =
        |what: String| StepError::not_looked(what, "the environment is not the lock file's; see the step's log");
    for one in locked {
        match versions.get(&one.name) {
            Some(version) if same_version(version, &one.version.to_string()) => {}
            Some(version) => {
                return Err(wrong(format!("{} {version} is installed, {} is locked", one.name, one.version)));
            }
            None => return Err(wrong(format!("{} {} is locked, but not installed", one.name, one.version))),
        }
    }
    let names: BTreeSet<&str> = locked.iter().map(|one| one.name.as_str()).collect();
    match versions.iter().find(|(name, _)| !names.contains(name.as_str())) {
        Some((name, version)) => Err(wrong(format!("{name} {version} is installed, but not locked"))),
        None if installed.is_empty() => Err(wrong("nothing is installed".to_owned())),
        None => Ok(installed.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../../tests/data/python/pip-list.json");

    /// What uv 0.13.8 says of a package that exists as a source distribution only.
    const NO_WHEELS: &str = include_str!("../../tests/data/python/uv-no-wheel.stderr.txt");

    #[test]
    fn a_package_without_wheels_is_named() {
        let told = last_line(NO_WHEELS);
        assert!(told.starts_with("cause: Because evil==1.0 has no usable wheels and you require evil==1.0"), "{told}");
    }

    #[test]
    fn nothing_is_built_from_source() {
        let call = PythonEnv::locked("lock.txt").sync("python".into()).to_string();
        assert!(call.contains(" --only-binary :all: ") && call.contains(" --require-hashes "), "{call}");
        let call = uv().to_string();
        for variable in ["UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "UV_NO_BUILD", "UV_NO_VERIFY_HASHES"] {
            assert!(call.contains(&format!("{variable}= ")), "{call}");
        }
    }

    fn lock(change: impl Fn(&mut Vec<String>)) -> Vec<LockedPackage> {
        let installed: Vec<Installed> = serde_json::from_str(LIST).expect("recorded");
        let mut lines: Vec<_> =
            installed.iter().map(|one| format!("{}=={} --hash=sha256:00", one.name, one.version)).collect();
        change(&mut lines);
        crate::formats::requirements::LockedRequirements::parse(&lines.join("\n")).expect("a lock file").packages
    }

    #[test]
    fn what_is_installed_has_to_be_what_is_locked() {
        assert_eq!(compare(&lock(|_| ()), LIST).expect("equal"), 15);
        let marked = |all: &mut Vec<String>| {
            all.iter_mut().for_each(|line| *line = line.replace(" --hash", "; os_name != 'nt' --hash"))
        };
        assert_eq!(compare(&lock(marked), LIST).expect("equal"), 15);
        type Change = fn(&mut Vec<String>);
        let cases: [(Change, &str); 5] = [
            (
                |all| all.push("tomli==2.0 ; python_version < '3.11'".to_owned()),
                "tomli 2.0 is locked, but not installed",
            ),
            (
                |all| {
                    all.retain(|line| !line.starts_with("flask"));
                    all.extend(
                        ["3.1.3 ; os_name != 'nt'", "3.1.2 ; os_name == 'nt'"].map(|end| format!("flask=={end}")),
                    );
                },
                "flask 3.1.3 is installed, 3.1.2 is locked",
            ),
            (|all| all.push("left==1".to_owned()), "left 1 is locked, but not installed"),
            (|all| all.retain(|line| !line.starts_with("flask")), "flask 3.1.3 is installed, but not locked"),
            (
                |all| all.iter_mut().for_each(|line| *line = line.replace("flask==3.1.3", "flask==3.1.2")),
                "flask 3.1.3 is installed, 3.1.2 is locked",
            ),
        ];
        for (change, problem) in cases {
            let error = compare(&lock(change), LIST).expect_err(problem).to_string();
            assert!(error.contains(problem), "{error}");
        }
        for bad in ["", "{}", "null", "[{\"name\":\"a\"}]", &LIST[..LIST.len() / 2]] {
            assert!(compare(&lock(|_| ()), bad).is_err(), "{bad:?} was accepted");
        }
    }
}
