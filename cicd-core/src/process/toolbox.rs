use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::{Cancel, Discard, Guard, Invocation, ProcessError, Tool, ToolError, ToolProblem, ToolRequirement, execute};
use crate::files;

/// A tool tells its version in well under a second. On a machine that is busy it may take many times as long, so what is silent is
/// asked once more, with more patience, before it counts as hung.
const PATIENCE: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(60)];
/// Programs in Python load all of themselves first: two seconds of computing, where nothing else runs.
const PATIENCE_WITH_PYTHON: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(180)];
/// The first line of a script is not longer.
const FIRST_LINE_BYTES_MAX: u64 = 256;
/// After this much silence somebody who waits wonders whether anything goes on.
const SILENCE: Duration = Duration::from_secs(1);

/// Asked for its version, semgrep looks for a newer one, and without a network waits for 100 seconds.
const OFFLINE: [(&str, &str); 1] = [("SEMGREP_ENABLE_VERSION_CHECK", "0")];

/// Finds tools and checks their versions, each once a run.
#[derive(Debug)]
pub struct Toolbox {
    search_path: OsString,
    cwd: Utf8PathBuf,
    /// What a process of a run carries, so that the next run ends it should this one be killed.
    mark: Option<OsString>,
    temporary: Option<OsString>,
    patience: Option<[Duration; 2]>,
    guards: Vec<Guard>,
    asks_all: bool,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What became of looking for a tool; whoever asks meanwhile waits.
type Known = Arc<OnceLock<Result<Tool, ToolError>>>;

impl Toolbox {
    /// Looks in `folders` first, then in `path` (a `PATH`); relative entries are taken from `cwd`.
    #[must_use]
    pub fn new(folders: &[Utf8PathBuf], path: &OsStr, cwd: &Utf8Path) -> Self {
        let all = folders.iter().map(|folder| folder.as_std_path().to_owned()).chain(std::env::split_paths(path));
        // Joining fails only for entries with a colon inside, which `split_paths` cannot give.
        let search_path = std::env::join_paths(all).unwrap_or_else(|_| path.to_owned());
        let (mark, temporary, patience, guards) = (None, None, None, Vec::new());
        let (cwd, known) = (cwd.to_owned(), Mutex::default());
        Self { search_path, cwd, mark, temporary, patience, guards, asks_all: false, known }
    }

    /// Has the processes that it starts carry the mark of a run.
    #[must_use]
    pub(crate) fn marked(mut self, mark: impl Into<OsString>) -> Self {
        self.mark = Some(mark.into());
        self
    }

    /// Has the processes that it starts keep temporary files in this folder.
    #[must_use]
    pub(crate) fn with_temporary(mut self, folder: Option<OsString>) -> Self {
        self.temporary = folder;
        self
    }

    /// Sets how long a tool may take to tell its version, the first time it is asked and the second.
    #[must_use]
    pub fn patience(mut self, patience: [Duration; 2]) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Has what is in these folders checked before it is used. A program in them that is as it was installed is not asked for its
    /// version again.
    #[must_use]
    pub fn guarded(mut self, guards: Vec<Guard>) -> Self {
        self.guards = guards;
        self
    }

    /// Has every tool started and asked for its version, whatever is known of it: whether it works on this machine today.
    #[must_use]
    pub fn asking_all(mut self) -> Self {
        self.asks_all = true;
        self
    }

    /// The guarded folders that do not hold what they should, and why.
    #[must_use]
    pub fn altered(&self) -> Vec<(Utf8PathBuf, String)> {
        let altered = |guard: &Guard| guard.verdict().err().map(|why| (guard.folder().to_owned(), why));
        self.guards.iter().filter_map(altered).collect()
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
        let known = {
            let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(key(requirement)).or_default())
        };
        known.get_or_init(|| self.look(requirement, cancel)).clone()
    }

    /// Looks for tools at the same time, so that [`find`](Self::find) knows them. `tell` hears what goes on if that takes long.
    pub fn find_all(&self, requirements: &[ToolRequirement], cancel: &Cancel, tell: &dyn Fn(String)) {
        let distinct: BTreeMap<String, &ToolRequirement> = requirements.iter().map(|one| (key(one), one)).collect();
        let distinct: Vec<&ToolRequirement> = distinct.into_values().collect();
        let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(distinct.len());
        let (next, (done, finished)) = (AtomicUsize::new(0), mpsc::channel());
        thread::scope(|scope| {
            for _ in 0..workers {
                let (done, next, distinct) = (done.clone(), &next, &distinct);
                scope.spawn(move || {
                    while let Some(requirement) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // It is kept, and told to whoever asks for it.
                        let _ = self.find(requirement, cancel);
                        let _ = done.send(requirement.name.as_str());
                    }
                });
            }
            drop(done);
            let mut open: Vec<&str> = distinct.iter().map(|one| one.name.as_str()).collect();
            let mut until = Instant::now() + SILENCE;
            loop {
                match finished.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(name) => {
                        if let Some(place) = open.iter().position(|one| *one == name) {
                            open.swap_remove(place);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        open.sort_unstable();
                        tell(format!("waiting for {} to tell its version", open.join(", ")));
                        until = Instant::now() + SILENCE * 10;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
    }

    /// The guarded folders that were used, and that somebody has written to since.
    pub(crate) fn altered_since(&self) -> impl Iterator<Item = String> {
        self.guards.iter().filter_map(Guard::was_altered)
    }

    /// Why a file must not be run, if it is in a guarded folder that does not hold what it should.
    fn refused(&self, path: &Utf8Path) -> Option<String> {
        self.guards.iter().find(|guard| path.starts_with(guard.folder()))?.verdict().err()
    }

    /// Checks a tool that was found earlier, right before it is used.
    ///
    /// # Errors
    /// When somebody has written to it since.
    pub(crate) fn check_unaltered(&self, name: &str, path: &Utf8Path) -> Result<(), ToolError> {
        match self.refused(path) {
            None => Ok(()),
            Some(why) => Err(altered(name, ToolProblem::Altered { path: path.to_owned(), why })),
        }
    }

    /// The first executable file of that name, its version unchecked: for programs that are run as they are. One that was altered since
    /// it was installed is none.
    #[must_use]
    pub fn locate(&self, name: &str) -> Option<Utf8PathBuf> {
        self.candidates(name).find(|path| self.refused(path).is_none())
    }

    /// The executable files of that name which come before this one on the search path.
    pub(crate) fn found_before(&self, name: &str, used: &Utf8Path) -> Vec<Utf8PathBuf> {
        self.candidates(name).take_while(|path| path != used).collect()
    }

    /// The version of a program that was found to be as it was installed. Some take seconds to say it, which all of a run would wait
    /// for.
    fn version_installed(&self, path: &Utf8Path) -> Option<&Version> {
        if self.asks_all { None } else { self.guards.iter().find_map(|guard| guard.version(path)) }
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
                // Another one further on would hide that somebody has changed this one.
                Err(problem @ ToolProblem::Altered { .. }) => return Err(altered(&requirement.name, problem)),
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        let problem = first_problem.unwrap_or(ToolProblem::Missing);
        let fix = match &problem {
            ToolProblem::Silent { path, .. } => {
                let args = requirement.version_args.join(" ");
                format!("run again when the machine is idle; if it stays silent, see what `{path} {args}` waits for")
            }
            _ => requirement.fix.clone(),
        };
        Err(ToolError { name: requirement.name.clone(), problem, fix })
    }

    fn check(&self, requirement: &ToolRequirement, path: &Utf8Path, cancel: &Cancel) -> Result<Tool, ToolProblem> {
        if let Some(why) = self.refused(path) {
            return Err(ToolProblem::Altered { path: path.to_owned(), why });
        }
        let unusable = |why: String| ToolProblem::Unusable { path: path.to_owned(), why };
        let patience = self.patience.unwrap_or_else(|| if is_python(path) { PATIENCE_WITH_PYTHON } else { PATIENCE });
        let call = |args: &[String], env: &[(String, String)]| {
            let mut invocation = Invocation::program(path).args(args).dir(&self.cwd);
            invocation.search_path = Some(self.search_path.clone());
            invocation.mark = self.mark.clone();
            invocation.temporary = self.temporary.clone();
            for (name, value) in env {
                invocation = invocation.env(name, value);
            }
            let ask = |deadline| execute(&invocation.clone().deadline(deadline), path, &mut Discard, cancel);
            let answer = match ask(patience[0]) {
                Err(ProcessError::TimedOut { .. }) => ask(patience[1]),
                answer => answer,
            };
            answer.and_then(super::Captured::require_success).map_err(|error| match error {
                ProcessError::TimedOut { deadline, .. } => {
                    ToolProblem::Silent { path: path.to_owned(), seconds: deadline.as_secs() }
                }
                error => unusable(error.to_string()),
            })
        };
        let env = requirement.probe.as_ref().map_or(&[][..], |probe| &probe.env);
        if let Some(probe) = &requirement.probe {
            call(&probe.args, env)?;
        }
        let offline = OFFLINE.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
        let version_env: Vec<_> = offline.chain(env.iter().cloned()).collect();
        let version = match self.version_installed(path) {
            Some(version) => version.clone(),
            None => {
                let printed = call(&requirement.version_args, &version_env)?;
                let text = format!("{}\n{}", String::from_utf8_lossy(&printed.stdout), printed.stderr_text());
                let none = || unusable(format!("no version in what it prints: {:?}", text.lines().next()));
                requirement.read_version(&text).ok_or_else(none)?
            }
        };
        // A pre-release or build suffix does not make a tool another one: only the numbers are compared.
        let core = Version::new(version.major, version.minor, version.patch);
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

fn altered(name: &str, problem: ToolProblem) -> ToolError {
    let fix = "find out who changed it, then run `cargo xtask setup --yes`, which installs it anew".to_owned();
    ToolError { name: name.to_owned(), problem, fix }
}

fn key(requirement: &ToolRequirement) -> String {
    format!("{} {}", requirement.name, requirement.version)
}

/// Whether a file is a script for Python.
fn is_python(path: &Utf8Path) -> bool {
    let first_line = || -> std::io::Result<Vec<u8>> {
        let mut line = Vec::new();
        BufReader::new(files::open(path)?.take(FIRST_LINE_BYTES_MAX)).read_until(b'\n', &mut line)?;
        Ok(line)
    };
    // What cannot be read cannot be started either, which says so.
    first_line().is_ok_and(|line| line.starts_with(b"#!") && line.windows(6).any(|word| word == b"python"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    /// A folder with scripts, each by its name.
    fn folder(scripts: &[(&str, &str)]) -> (TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("UTF-8");
        for (name, script) in scripts {
            let file = path.join(name);
            fs::write(&file, format!("#!/bin/sh\ncd '{path}'\n{script}\n")).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
        }
        (dir, path)
    }

    fn toolbox(folders: &[Utf8PathBuf]) -> Toolbox {
        Toolbox::new(folders, OsStr::new("/usr/bin:/bin"), "/".into())
    }

    fn find(toolbox: &Toolbox, name: &str) -> Result<Tool, ToolError> {
        toolbox.find(&ToolRequirement::new(name, "*"), &Cancel::new().expect("descriptors"))
    }

    #[test]
    fn a_tool_that_is_slow_is_not_called_broken() {
        let once = "[ -e asked ] || { touch asked; exec sleep 1000; }; echo 1.2.3";
        let (_dir, path) =
            folder(&[("once", once), ("never", "exec sleep 1000"), ("broken", "exit 3"), ("mute", "exit 0")]);
        // The second time is long enough for any machine; only what never answers is waited for so long.
        let patient = toolbox(std::slice::from_ref(&path)).patience([Duration::from_secs(2), Duration::from_secs(60)]);
        assert_eq!(find(&patient, "once").expect("found").version.to_string(), "1.2.3");
        let hasty = toolbox(&[path]).patience([Duration::from_millis(50); 2]);
        let error = find(&hasty, "never").expect_err("it says nothing");
        assert!(matches!(error.problem, ToolProblem::Silent { .. }), "{error}");
        assert!(error.to_string().contains("the machine is busy, or it hangs"), "{error}");
        assert!(!error.to_string().contains("setup"), "{error}");
        for broken in ["broken", "mute"] {
            let error = find(&patient, broken).expect_err("broken");
            assert!(matches!(error.problem, ToolProblem::Unusable { .. }), "{error}");
        }
    }

    #[test]
    fn a_script_for_python_is_given_more_time() {
        let (_dir, path) = folder(&[("sh", "")]);
        for (name, line, expected) in [
            ("a", "#!/opt/x/bin/python3.11\n", true),
            ("b", "#!/usr/bin/env python3\n", true),
            ("c", "\x7fELF python", false),
        ] {
            fs::write(path.join(name), line).expect("written");
            assert_eq!(is_python(&path.join(name)), expected, "{name}");
        }
        assert!(!is_python(&path.join("sh")) && !is_python(&path.join("absent")));
    }

    #[test]
    fn what_asks_for_a_version_carries_the_mark_of_its_run() {
        let (_dir, path) = folder(&[("tool", "env > env; echo 1.2.3"), ("other", "(env > env2) & wait; echo 1")]);
        let toolbox = toolbox(std::slice::from_ref(&path)).marked("/run/tools");
        find(&toolbox, "tool").expect("found");
        let _ = find(&toolbox, "other");
        for written in ["env", "env2"] {
            let text = fs::read_to_string(path.join(written)).expect("written");
            assert!(text.lines().any(|line| line == "CICD_CORE_PROCESS=/run/tools"), "{written}: {text}");
        }
    }

    #[test]
    fn tools_are_looked_for_once_and_silence_is_explained() {
        // It answers only after somebody was told what is waited for.
        let waits = "echo x >> calls; while [ ! -e told ]; do sleep 0.05; done; echo 1.2.3";
        let (_dir, path) = folder(&[("waits", waits), ("quick", "echo 1.0")]);
        let toolbox = toolbox(std::slice::from_ref(&path));
        let all = ["waits", "quick", "waits", "absent"].map(|name| ToolRequirement::new(name, "*"));
        toolbox.find_all(&all, &Cancel::new().expect("descriptors"), &|message| {
            assert!(message.starts_with("waiting for ") && message.contains("waits"), "{message}");
            fs::write(path.join("told"), "").expect("written");
        });
        assert!(
            find(&toolbox, "waits").is_ok() && find(&toolbox, "quick").is_ok() && find(&toolbox, "absent").is_err()
        );
        assert_eq!(fs::read_to_string(path.join("calls")).expect("written"), "x\n");
    }

    #[test]
    fn an_altered_tool_is_never_used() {
        let (_one, altered) = folder(&[("tool", "touch ran; echo 1.2.3"), ("git", "touch ran; echo 9.9")]);
        let (_other, sound) = folder(&[("tool", "echo 1.2.4")]);
        let guards = || {
            let fails = || Err("since it was installed, bin/tool was changed".to_owned());
            vec![Guard::new(&altered, BTreeMap::new(), fails), Guard::new(&sound, BTreeMap::new(), || Ok(()))]
        };
        let folders = [altered.clone(), sound.clone()];
        let guarded = toolbox(&folders).guarded(guards());
        // The next one on the way would do, and would hide it.
        let error = find(&guarded, "tool").expect_err("altered");
        assert!(matches!(error.problem, ToolProblem::Altered { .. }), "{error}");
        assert!(
            error.to_string().contains("bin/tool was changed") && error.fix.contains("cargo xtask setup --yes"),
            "{error}"
        );
        assert_eq!(guarded.locate("tool"), Some(sound.join("tool")));
        assert!(guarded.locate("git").is_none_or(|path| !path.starts_with(&altered)));
        assert_eq!(guarded.altered().len(), 1);
        assert!(!altered.join("ran").exists(), "it was run");
        assert!(find(&toolbox(std::slice::from_ref(&sound)).guarded(guards()), "tool").is_ok());
    }

    #[test]
    fn a_tool_that_is_as_it_was_installed_is_not_asked_again() {
        let (_dir, path) = folder(&[("tool", "touch asked; echo 1.2.3"), ("other", "echo 3.0.0")]);
        let guarded = |verdict: Result<(), String>| {
            let programs = BTreeMap::from([(path.join("tool"), Version::new(1, 2, 4))]);
            toolbox(std::slice::from_ref(&path)).guarded(vec![Guard::new(&path, programs, move || verdict.clone())])
        };
        assert_eq!(find(&guarded(Ok(())), "tool").expect("found").version, Version::new(1, 2, 4));
        let error = find(&guarded(Err("bin/tool was changed".to_owned())), "tool").expect_err("altered");
        assert!(matches!(error.problem, ToolProblem::Altered { .. }), "{error}");
        let newer = ToolRequirement::new("tool", ">=2");
        let error = guarded(Ok(())).find(&newer, &Cancel::new().expect("descriptors")).expect_err("too old");
        assert!(matches!(error.problem, ToolProblem::WrongVersion { .. }), "{error}");
        assert!(!path.join("asked").exists());
        assert_eq!(find(&guarded(Ok(())), "other").expect("found").version, Version::new(3, 0, 0));
        assert_eq!(find(&guarded(Ok(())).asking_all(), "tool").expect("found").version, Version::new(1, 2, 3));
    }

    #[test]
    fn a_tool_that_is_altered_after_it_was_checked_is_not_used_again() {
        type Change = fn(&Utf8Path);
        let changes: [(&str, Change); 4] = [
            ("bin is rewritten", |folder| fs::write(folder.join("tool"), "#!/bin/sh\n").expect("written")),
            ("rewritten and put back", |folder| {
                let was = fs::read(folder.join("tool")).expect("read");
                fs::write(folder.join("tool"), "#!/bin/sh\n").expect("written");
                fs::write(folder.join("tool"), was).expect("written");
            }),
            ("something is added", |folder| fs::write(folder.join("sitecustomize.py"), "").expect("written")),
            ("replaced", |folder| {
                fs::copy(folder.join("tool"), folder.join("other")).expect("copied");
                fs::rename(folder.join("other"), folder.join("tool")).expect("moved");
            }),
        ];
        for (name, change) in changes {
            let (_dir, path) = folder(&[("tool", "echo 1.2.3")]);
            let guarded =
                toolbox(std::slice::from_ref(&path)).guarded(vec![Guard::new(&path, BTreeMap::new(), || Ok(()))]);
            let tool = find(&guarded, "tool").expect("found");
            guarded.check_unaltered("tool", &tool.path).expect("as it was");
            assert_eq!(guarded.altered_since().count(), 0, "{name}");
            // The clock of files may be coarser than two changes of one.
            let stamp = |file: &str| crate::files::Stamp::read(&path.join(file)).expect("stamped").changed_ns();
            let probe = tempfile::NamedTempFile::new().expect("a file");
            let probe = Utf8Path::from_path(probe.path()).expect("UTF-8").to_owned();
            while stamp("tool") == stamp(probe.as_str()) {
                fs::write(&probe, "").expect("written");
            }
            change(&path);
            let error = guarded.check_unaltered("tool", &tool.path).expect_err(name);
            assert!(error.to_string().contains("was written to while the run went on"), "{name}: {error}");
            assert_eq!(guarded.locate("tool"), None, "{name}");
            assert_eq!(guarded.altered_since().count(), 1, "{name}");
        }
    }
}
