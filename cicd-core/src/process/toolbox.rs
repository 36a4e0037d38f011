use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Cancel, Discard, Invocation, Tool, ToolError, ToolProblem, ToolRequirement, execute};

/// A tool that cannot tell its version in this time is hung.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);

/// Asked for its version, semgrep looks for a newer one, and without a network waits for 100 seconds.
const OFFLINE: [(&str, &str); 1] = [("SEMGREP_ENABLE_VERSION_CHECK", "0")];

/// Finds tools and checks their versions, each once a run.
#[derive(Debug)]
pub struct Toolbox {
    search_path: OsString,
    cwd: Utf8PathBuf,
    known: Mutex<BTreeMap<String, Result<Tool, ToolError>>>,
}

impl Toolbox {
    /// Looks in `folders` first, then in `path` (a `PATH`); relative entries are taken from `cwd`.
    #[must_use]
    pub fn new(folders: &[Utf8PathBuf], path: &OsStr, cwd: &Utf8Path) -> Self {
        let all = folders.iter().map(|folder| folder.as_std_path().to_owned()).chain(std::env::split_paths(path));
        // Joining fails only for entries with a colon inside, which `split_paths` cannot give.
        let search_path = std::env::join_paths(all).unwrap_or_else(|_| path.to_owned());
        Self { search_path, cwd: cwd.to_owned(), known: Mutex::default() }
    }

    /// The `PATH` that tools are looked up in and that processes are given.
    #[must_use]
    pub fn search_path(&self) -> &OsStr {
        &self.search_path
    }

    /// Finds a tool: the first file on the search path that passes the probe and is of a fitting version.
    ///
    /// # Errors
    /// [`ToolError`] says what is wrong with the first candidate, or that there is none.
    pub fn find(&self, requirement: &ToolRequirement, cancel: &Cancel) -> Result<Tool, ToolError> {
        let key = format!("{} {}", requirement.name, requirement.version);
        if let Some(known) = self.known().get(&key) {
            return known.clone();
        }
        let found = self.look(requirement, cancel);
        self.known().insert(key, found.clone());
        found
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Result<Tool, ToolError>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first executable file of that name, its version unchecked: for programs that are run as they are.
    #[must_use]
    pub fn locate(&self, name: &str) -> Option<Utf8PathBuf> {
        self.candidates(name).next()
    }

    fn candidates(&self, name: &str) -> impl Iterator<Item = Utf8PathBuf> {
        which::which_in_all(name, Some(&self.search_path), &self.cwd)
            .into_iter()
            .flatten()
            .filter_map(|path| Utf8PathBuf::from_path_buf(path).ok())
    }

    fn look(&self, requirement: &ToolRequirement, cancel: &Cancel) -> Result<Tool, ToolError> {
        let mut first_problem = None;
        for path in self.candidates(&requirement.name) {
            match self.check(requirement, &path, cancel) {
                Ok(tool) => return Ok(tool),
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        Err(ToolError {
            name: requirement.name.clone(),
            problem: first_problem.unwrap_or(ToolProblem::Missing),
            fix: requirement.fix.clone(),
        })
    }

    fn check(&self, requirement: &ToolRequirement, path: &Utf8Path, cancel: &Cancel) -> Result<Tool, ToolProblem> {
        let unusable = |why: String| ToolProblem::Unusable { path: path.to_owned(), why };
        let call = |args: &[String], env: &[(String, String)]| {
            let mut invocation = Invocation::program(path).args(args).dir(&self.cwd).deadline(PROBE_DEADLINE);
            invocation.search_path = Some(self.search_path.clone());
            for (name, value) in env {
                invocation = invocation.env(name, value);
            }
            execute(&invocation, path, &mut Discard, cancel)
                .and_then(super::Captured::require_success)
                .map_err(|error| unusable(error.to_string()))
        };
        let env = requirement.probe.as_ref().map_or(&[][..], |probe| &probe.env);
        if let Some(probe) = &requirement.probe {
            call(&probe.args, env)?;
        }
        let offline = OFFLINE.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
        let version_env: Vec<_> = offline.chain(env.iter().cloned()).collect();
        let printed = call(&requirement.version_args, &version_env)?;
        let text = format!("{}\n{}", String::from_utf8_lossy(&printed.stdout), printed.stderr_text());
        let version = requirement
            .read_version(&text)
            .ok_or_else(|| unusable(format!("no version in what it prints: {:?}", text.lines().next())))?;
        // A pre-release or build suffix does not make a tool another one: only the numbers are compared.
        let core = semver::Version::new(version.major, version.minor, version.patch);
        if requirement.version.matches(&core) {
            Ok(Tool { name: requirement.name.clone(), path: path.to_owned(), version })
        } else {
            Err(ToolProblem::WrongVersion {
                path: path.to_owned(),
                found: version,
                required: requirement.version.clone(),
            })
        }
    }
}
