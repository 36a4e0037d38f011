use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use jiff::civil::Date;

use super::disk::{Watching, is_full};
use super::relied::{NEVER_INHERITED, ReliedOn};
use super::{Clock, EventSender, Kinds, RunToken, StepError, StepLog, Workspace};
use crate::model::{EventKind, Revision, RunId, StepName};
use crate::policy::Exception;
use crate::process::{
    Cancel, Captured, Invocation, ProcessError, Redactor, Secret, SecretSource, Temporary, Tool, ToolError,
    ToolProblem, ToolRequirement, Toolbox, execute,
};
use crate::source::Source;

/// Nobody reads more lines of one step than this; a step that says more in a loop would fill the record.
const PROGRESS_MAX: usize = 10_000;
/// Nor longer ones.
const PROGRESS_BYTES_MAX: usize = 4096;

/// Tells the processes of a run apart.
static NEXT_PROCESS: AtomicU64 = AtomicU64::new(0);

/// What a run took from outside, once, at its start: nothing below reads the environment or the clock by itself.
#[derive(Debug, Clone)]
pub struct RunEnvironment {
    /// The environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The clock.
    pub clock: Clock,
    /// Whether processes' output is shown while they run.
    pub live_output: bool,
}

/// What all steps of a run share.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunContext {
    /// The workspace.
    pub workspace: Workspace,
    /// The run's id.
    pub id: RunId,
    /// The run's folder; it exists.
    pub dir: Utf8PathBuf,
    /// What came from outside.
    pub environment: RunEnvironment,
    /// What was checked out when the run began; an error text where that could not be told.
    pub revision: Result<Revision, String>,
    /// The files that are judged, as they lay when the run began; an error text where that could not be told.
    pub source: Result<Arc<Source>, String>,
    /// Finds tools.
    pub toolbox: Toolbox,
    /// Knows secrets.
    pub redactor: Redactor,
    /// Stops everything.
    pub cancel: Cancel,
    /// Takes events.
    pub events: EventSender,
    /// Which run it is, for what holds in one run only.
    pub(crate) token: RunToken,
    /// What its files are, as far as a step has asked.
    pub(crate) kinds: Kinds,
    /// Where its processes keep temporary files; it goes with the run.
    pub(crate) temporary: Option<Temporary>,
}

/// What a step is given beside its input: where it is, what time it is, and the way to run processes.
#[derive(Debug, Clone)]
pub struct Context {
    run: Arc<RunContext>,
    step: StepName,
    dir: Utf8PathBuf,
    /// The folder is made when it is first asked for: a step that keeps nothing has none.
    made: Arc<Once>,
    log: StepLog,
    tools: Arc<Mutex<BTreeMap<String, Tool>>>,
    attempt: u32,
    attempts_max: u32,
    /// The secrets whose variables its processes may inherit.
    secrets: Arc<Mutex<BTreeSet<String>>>,
    progress: Arc<AtomicUsize>,
    /// The program that complained of a full disk and what it said.
    complaint: Arc<OnceLock<String>>,
    /// The exceptions that a step has met which came to no verdict afterwards.
    met: Arc<Mutex<Vec<Exception>>>,
    /// What it relied on beside the files of the repository.
    relied: Arc<Mutex<ReliedOn>>,
}

impl Context {
    /// A context for one step of a run.
    #[must_use]
    pub(crate) fn for_step(run: Arc<RunContext>, step: StepName) -> Self {
        let dir = run.dir.join("steps").join(step.as_str());
        let log = StepLog::at(dir.join("log.txt"));
        Self {
            run,
            step,
            dir,
            made: Arc::new(Once::new()),
            log,
            tools: Arc::default(),
            attempt: 1,
            attempts_max: 1,
            secrets: Arc::default(),
            progress: Arc::default(),
            complaint: Arc::default(),
            met: Arc::default(),
            relied: Arc::default(),
        }
    }

    /// The same context of a step that declares these secrets.
    #[must_use]
    pub(crate) fn with_secrets(self, secrets: &[SecretSource]) -> Self {
        secrets.iter().for_each(|source| self.may_pass_on(source.name()));
        self
    }

    /// From now on, processes of the step inherit the variable of this secret.
    pub(crate) fn may_pass_on(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }

    /// The variables that show a secret which the step did not declare, whatever their names are: the address of a database holds
    /// its password. And those that nobody compares when the step is to be loaded.
    fn withheld(&self) -> Vec<OsString> {
        let mut never: Vec<OsString> = NEVER_INHERITED.iter().map(OsString::from).collect();
        let redactor = &self.run.redactor;
        if !redactor.knows_any() {
            return never;
        }
        let own = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = redactor.secrets();
        // Two secrets may have one value.
        let own: Vec<&str> = known.iter().filter(|one| own.contains(one.name())).map(Secret::expose).collect();
        let is_foreign = |secret: &Secret| !own.contains(&secret.expose());
        let variables = self.run.environment.variables.iter();
        let withheld =
            variables.filter(|(_, value)| redactor.all_revealed(value.as_encoded_bytes()).iter().any(is_foreign));
        never.extend(withheld.map(|(name, _)| name.clone()));
        never
    }

    /// The same context for one attempt of several.
    #[must_use]
    pub(crate) fn for_attempt(&self, attempt: u32, attempts_max: u32) -> Self {
        Self { attempt, attempts_max, ..self.clone() }
    }

    /// Whether no other attempt follows this one: a step with another way takes it now.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.attempts_max
    }

    /// The workspace's root.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        self.run.workspace.root()
    }

    /// A path inside the workspace.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        self.run.workspace.path(relative)
    }

    /// A path as it is shown and put into findings: relative to the workspace's root where it is inside it.
    #[must_use]
    pub fn relative(&self, path: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        let path = path.as_ref();
        path.strip_prefix(self.root()).unwrap_or(path).to_owned()
    }

    /// The step's log, to be put on disk when the step is not green.
    pub(crate) fn log(&self) -> &StepLog {
        &self.log
    }

    /// The step's own folder in the run folder; it exists.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        self.made.call_once(|| {
            // Whoever writes into a folder that could not be made gets an error that names it.
            let _ = fs::create_dir_all(&self.dir);
        });
        &self.dir
    }

    /// The step's own folder, which may not exist.
    pub(crate) fn dir_unmade(&self) -> &Utf8Path {
        &self.dir
    }

    /// The step's name.
    #[must_use]
    pub fn step(&self) -> &StepName {
        &self.step
    }

    /// What all steps of the run share.
    #[must_use]
    pub fn shared(&self) -> &RunContext {
        &self.run
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.run.environment.clock.now()
    }

    /// Today, in UTC.
    #[must_use]
    pub fn today(&self) -> Date {
        self.run.environment.clock.today()
    }

    /// An environment variable, as it was when the run began.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&OsStr> {
        self.relied(|relied| relied.environment(&self.run));
        self.variable(name)
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.run.environment.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// What the step has relied on so far beside the files of the repository.
    pub(crate) fn relied_on(&self) -> ReliedOn {
        self.relied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn relied(&self, on: impl FnOnce(&mut ReliedOn)) {
        on(&mut self.relied.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says that code runs which may ask for any variable.
    pub(crate) fn relies_on_environment(&self) {
        self.relied(|relied| relied.environment(&self.run));
    }

    /// Says that the step reads a file that git does not list.
    pub(crate) fn relies_on_file(&self, path: &Utf8Path) {
        self.relied(|relied| relied.file(path));
    }

    /// Says that the step relies on what no record can hold.
    pub(crate) fn relies_on_unknown(&self, what: impl Into<String>) {
        self.relied(|relied| relied.unknown(what.into()));
    }

    /// What was checked out when the run began.
    ///
    /// # Errors
    /// When the workspace is no git checkout with a commit.
    pub fn revision(&self) -> Result<&Revision, StepError> {
        self.run
            .revision
            .as_ref()
            .map_err(|why| StepError::not_looked(why.clone(), "run inside a git checkout that has a commit"))
    }

    /// The files that are judged, as they lay when the run began.
    ///
    /// # Errors
    /// When the workspace is no git checkout, or its files could not be listed.
    pub fn source(&self) -> Result<&Arc<Source>, StepError> {
        self.run.source.as_ref().map_err(|why| {
            StepError::not_looked(why.clone(), "run inside a git checkout that git can list the files of")
        })
    }

    /// The same, gathered again: as they lie now.
    pub(crate) fn source_now(&self) -> Result<Source, String> {
        Source::gather(self.root(), &self.run.toolbox, &self.run.cancel)
    }

    /// Keeps the exceptions that a step has read which comes to no verdict: they are held to the policy all the same.
    pub(crate) fn met(&self, exceptions: Vec<Exception>) {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = exceptions;
    }

    /// What was kept of the last attempt.
    pub(crate) fn exceptions_met(&self) -> Vec<Exception> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what the step is doing, for the reader at the terminal.
    pub fn progress(&self, message: impl Into<String>) {
        if self.progress.fetch_add(1, Ordering::Relaxed) >= PROGRESS_MAX {
            return;
        }
        let message = self.run.redactor.redact_start(&message.into(), PROGRESS_BYTES_MAX);
        self.run.events.send(EventKind::Progress { step: self.step.clone(), message });
    }

    /// Finds a tool and makes it known to [`run`](Self::run).
    ///
    /// # Errors
    /// When it is missing, of another version or cannot be used.
    pub fn require(&self, requirement: &ToolRequirement) -> Result<Tool, StepError> {
        let tool = self.run.toolbox.find(requirement, &self.run.cancel)?;
        self.relied(|relied| relied.tool(requirement, &tool, &self.run));
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).insert(tool.name.clone(), tool.clone());
        Ok(tool)
    }

    /// Runs a process, its output in the step's log. Any exit code is `Ok`; see [`Captured::require_success`].
    ///
    /// # Errors
    /// When it cannot be started or did not end as it should; see [`execute`].
    pub fn run(&self, invocation: &Invocation) -> Result<Captured, StepError> {
        self.run_into(invocation, None, &self.run.cancel)
    }

    /// Runs a process that hears another request to stop than that of the run; whoever gives it passes the run's on.
    pub(crate) fn run_until(&self, invocation: &Invocation, stop: &Cancel) -> Result<Captured, StepError> {
        self.run_into(invocation, None, stop)
    }

    /// Runs a process that puts away what the step has made. It runs also when the run is cancelled; give it a short deadline.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn clean_up(&self, invocation: &Invocation) -> Result<Captured, StepError> {
        self.run_into(invocation, None, &Cancel::new().map_err(StepError::io("making a pipe in", &self.dir))?)
    }

    /// Runs a process whose output is worth a file of its own in the step's folder, such as the log of a server. It runs also
    /// when the run is cancelled; what the file held before is gone.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the file cannot be created.
    pub fn keep_output(&self, invocation: &Invocation, file: impl AsRef<Utf8Path>) -> Result<Captured, StepError> {
        let path = self.dir.join(file);
        let log = StepLog::create(&path).map_err(StepError::io("creating", &path))?;
        self.run_into(invocation, Some(&log), &Cancel::new().map_err(StepError::io("making a pipe in", &self.dir))?)
    }

    /// Runs a process with its output in a file of its own or, live where that is asked for, in the step's log.
    fn run_into(
        &self,
        invocation: &Invocation,
        file: Option<&StepLog>,
        cancel: &Cancel,
    ) -> Result<Captured, StepError> {
        self.run.refuse_secret_arguments(invocation)?;
        let program = self.resolve(invocation)?;
        self.relied(|relied| relied.program(invocation.program_name(), &program, &self.run));
        let mut invocation = invocation.clone();
        if invocation.dir.is_none() {
            invocation.dir = Some(self.root().to_owned());
        }
        invocation.search_path = Some(self.run.toolbox.search_path().to_owned());
        invocation.withheld = self.withheld();
        invocation.temporary = self.run.temporary.as_ref().map(|folder| folder.path().as_str().into());
        invocation.cut_bytes = self.run.redactor.longest_bytes();
        let number = NEXT_PROCESS.fetch_add(1, Ordering::Relaxed);
        invocation.mark = Some(format!("{}/{number}", self.run.dir).into());
        let command = self.run.redactor.redact(&invocation.to_string()).into_owned();
        let log = || StepError::io("writing", self.dir.join("log.txt"));
        self.log.line(&format!("$ {command}")).map_err(log())?;
        self.run.events.send(EventKind::ProcessStarted { step: self.step.clone(), command });
        let live =
            (self.run.environment.live_output && file.is_none()).then(|| (self.run.events.clone(), self.step.clone()));
        let mut sink = Watching::new(file.unwrap_or(&self.log).sink(&self.run.redactor, live));
        let mut result = execute(&invocation, &program, &mut sink, cancel);
        if let Ok(captured) = &mut result {
            self.mask(captured);
        }
        if let Some(words) = sink.said().filter(|_| !result.as_ref().is_ok_and(Captured::success)) {
            let name = invocation.tool_name().unwrap_or_else(|| invocation.program_name());
            self.no_room(format!("{name} failed, and {words:?} is in what it printed"));
        }
        match &result {
            Ok(captured) => self.log.line(&format!("# {} after {} ms", captured.exit, captured.duration.as_millis())),
            Err(error) => self.log.line(&self.run.redactor.redact(&format!("# {error}"))),
        }
        .map_err(log())?;
        Ok(result?)
    }

    /// Takes secrets out of what the step will read: it may show any part of it.
    fn mask(&self, captured: &mut Captured) {
        let redactor = &self.run.redactor;
        captured.command = redactor.redact(&captured.command).into_owned();
        for bytes in [&mut captured.stdout, &mut captured.stderr, &mut captured.stderr_tail] {
            redactor.mask(bytes);
        }
        if let Some(report) = &mut captured.report {
            redactor.mask(report);
        }
    }

    /// Remembers that a disk was full while the step worked; the first one is the reason for others.
    pub(crate) fn no_room(&self, why: String) {
        let _ = self.complaint.set(why);
    }

    /// Why what failed says nothing: a disk is full that a step writes to, or one of its programs failed and said that one was.
    ///
    /// The words of a program are enough. Whoever writes them into a log of a step that fails makes an error of it, which is no greener;
    /// and a program that has found no room often tidies up, so that a measurement afterwards finds some.
    pub(crate) fn full_disk(&self) -> Option<String> {
        if let Some(complaint) = self.complaint.get() {
            return Some(complaint.clone());
        }
        let temporary = self.variable("TMPDIR").and_then(OsStr::to_str).unwrap_or("/tmp");
        let folders = [self.run.dir.as_path(), Utf8Path::new(temporary)];
        folders.into_iter().find(|folder| is_full(folder)).map(|folder| format!("nothing more fits into {folder}"))
    }

    fn resolve(&self, invocation: &Invocation) -> Result<Utf8PathBuf, StepError> {
        let missing = |name: &str, problem| ToolError {
            name: name.to_owned(),
            problem,
            fix: format!("install {name} or correct its name"),
        };
        let Some(name) = invocation.tool_name() else {
            let program = Utf8Path::new(invocation.program_name());
            return Ok(if program.is_relative() { self.root().join(program) } else { program.to_owned() });
        };
        if let Some(tool) = self.tools.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            // Code that the run tests may have reached it since it was found.
            self.run.toolbox.check_unaltered(name, &tool.path)?;
            return Ok(tool.path.clone());
        }
        Ok(self.run.toolbox.locate(name).ok_or_else(|| missing(name, ToolProblem::Missing))?)
    }

    /// Runs a process and requires exit code 0.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`ProcessError::Exited`] for any other code.
    pub fn run_ok(&self, invocation: &Invocation) -> Result<Captured, StepError> {
        Ok(self.run(invocation)?.require_success().map_err(|error: ProcessError| error)?)
    }
}
