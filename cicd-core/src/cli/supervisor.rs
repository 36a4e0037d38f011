//! The process that watches the runner: the exit code is the runner's alone.
//!
//! Steps are code in the runner's process, and code can end its process, replace it, or kill it. So the command line of a pipeline
//! starts itself once more. The process that was started first is green only if the other one has given the verdict and has ended
//! as it had said; it runs no step and no other code of a pipeline.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus as ProcessEnd, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use camino::Utf8Path;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Output;
use super::link::{LINE_BYTES_MAX, Said, Watch};
use crate::model::{ExitStatus, RunId, StepName};
use crate::pipeline::{Contents, Outside, put_away_for, remove_others, without_verdict};
use crate::process::{Exit, sweep_temporary};
use crate::setup;
use crate::step::Workspace;

/// The file of this program, whatever its path leads to by now.
const SELF: &str = "/proc/self/exe";
/// A runner that has closed its end is about to be gone. Whatever goes on for longer is no runner.
const ENDING_PATIENCE: Duration = Duration::from_secs(2);
/// A runner ends within five seconds of a signal; one that has not after so long never will.
const SIGNALLED_PATIENCE: Duration = Duration::from_secs(15);
/// What a Rust program whose main thread panicked ends with.
const PANICKED: i32 = 101;

/// Starts this program again, as the runner, and gives the exit code to end with.
pub(super) fn watched(workspace: &Workspace) -> ExitStatus {
    match Watched::start() {
        Ok(watched) => watched.settled(workspace),
        Err(error) => {
            Output.complain(&format!("error: the runner cannot be started: {error}"));
            ExitStatus::Error
        }
    }
}

/// What is known of the runner.
#[derive(Default)]
struct Known {
    /// Whether it handles signals itself.
    listens: bool,
    run: Option<(String, RunId)>,
    verdict: Option<u8>,
    /// What the folder of the run held when it was searched for secrets for the last time, and how much that was.
    held: Contents,
    searched: Option<usize>,
    /// The first signal that this process got.
    signal: Option<u8>,
    /// The program that took its place.
    replaced_by: Option<String>,
    /// It has ended, and its number may soon be that of another process.
    over: bool,
}

impl Known {
    /// Removes what was written into the folder of the run after it was searched for secrets, which nobody judged either, and gives why
    /// the verdict does not stand.
    fn written_late(&self, workspace: &Workspace, exit: ExitStatus) -> Option<String> {
        let (area, run) = self.run.as_ref()?;
        let folder = workspace.path("target").join(area).join("runs").join(run.as_str());
        if self.searched.is_none_or(|searched| searched > self.held.len()) {
            // A run that came to nothing, or was left behind, has no record; what it has left is put away by the next one.
            let told = "the runner was green and has not said what its record holds";
            return (exit == ExitStatus::Green).then(|| told.to_owned());
        }
        match remove_others(&folder, &self.held) {
            // Their names may be secrets too, which this process does not know.
            Ok(0) => None,
            Ok(late) => Some(format!(
                "{late} files or folders of the run changed after secrets were removed from it, and are removed: a thread of a step \
                 outlived it"
            )),

            Err(error) => Some(format!("what the folder of the run holds is not known: {error}")),
        }
    }
}

struct Shared {
    watch: Watch,
    pid: Pid,
    known: Mutex<Known>,
    changed: Condvar,
}

struct Watched {
    shared: Arc<Shared>,
    child: std::process::Child,
}

impl Watched {
    #[expect(
        clippy::disallowed_methods,
        reason = "this process runs nothing else, and its only child outlives it never"
    )]
    fn start() -> io::Result<Self> {
        // From here on, a signal is kept until there is somebody to pass it on to.
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let (watch, theirs) = Watch::new()?;
        let mut args = std::env::args_os();
        let mut command = Command::new(own_program()?);
        args.next().map(|name| command.arg0(name));
        let child = command.args(args).stdin(Stdio::from(theirs)).spawn()?;
        // It holds our copy of their end, which would never be closed.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("it has no number"))?;
        let shared = Shared { watch, pid, known: Mutex::default(), changed: Condvar::new() };
        let shared = Arc::new(shared);
        let passing_on = Arc::clone(&shared);
        thread::Builder::new().name("signals".to_owned()).spawn(move || passing_on.pass_on(signals))?;
        Ok(Self { shared, child })
    }

    /// Waits for the end of the runner, and judges it.
    fn settled(mut self, workspace: &Workspace) -> ExitStatus {
        let listening = Arc::clone(&self.shared);
        let listener = thread::Builder::new().name("listening".to_owned()).spawn(move || listening.listen());
        let end = self.wait();
        // What it had said before it ended is still read.
        let _ = self.shared.watch.stream.shutdown(Shutdown::Read);
        let listened = listener.map(|listener| listener.join().is_ok());
        let known = self.shared.lock();
        match (end, &*known) {
            (Ok(end), Known { verdict: Some(verdict), .. }) if end.code() == Some(i32::from(*verdict)) => {
                let exit = super::ci::exit_of_code(*verdict);
                let Some(why) = known.written_late(workspace, exit) else { return exit };
                let exit = if let ExitStatus::Interrupted(_) = exit { exit } else { ExitStatus::Error };
                put_away(workspace, &known, exit, &why);
                exit
            }
            (Ok(end), known) => {
                let exit = known.signal.map_or(ExitStatus::Error, ExitStatus::Interrupted);
                put_away(workspace, known, exit, &Why { end, known }.to_string());
                exit
            }
            (Err(error), _) => {
                Output.complain(&format!("error: how the runner ended is not known ({listened:?}): {error}"));
                ExitStatus::Error
            }
        }
    }

    /// Until it is asked how it ended, the number of an ended process is that of no other.
    fn wait(&mut self) -> io::Result<ProcessEnd> {
        let ended = loop {
            match waitid(WaitId::Pid(self.shared.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                ended => break ended,
            }
        };
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
        ended?;
        self.child.wait()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what the runner says until it has closed its end.
    fn listen(&self) {
        let mut lines = BufReader::new(&self.watch.stream);
        loop {
            let mut line = Vec::new();
            match lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(1..) => {}
                _ => break,
            }
            match self.watch.read(&String::from_utf8_lossy(&line)) {
                Some(Said::Listens) => {
                    self.lock().listens = true;
                    // Who does not hear it is gone.
                    let _ = (&self.watch.stream).write_all(b"\n");
                }
                Some(Said::Began(area, run)) => {
                    // Whatever is not named as a run is none.
                    self.lock().run = RunId::parse(&run).map(|run| (area, run));
                }
                Some(Said::Holds(digest)) => drop(self.lock().held.insert(digest)),
                Some(Said::Searched(count)) => self.lock().searched = Some(count),
                Some(Said::Verdict(code)) => self.lock().verdict = Some(code),
                None => {}
            }
        }
        self.end_what_took_its_place();
    }

    /// The end of the runner is closed when its program ends, by itself or because a step has put another one in its place, which
    /// is nothing to wait for.
    fn end_what_took_its_place(&self) {
        let program = fs::read_link(format!("/proc/{}/exe", self.pid.as_raw_nonzero())).ok();
        let other = program.filter(|program| fs::read_link(SELF).is_ok_and(|own| own != *program));
        let patience = if other.is_some() { Duration::ZERO } else { ENDING_PATIENCE };
        self.lock().replaced_by = other.map(|program| program.display().to_string());
        self.kill_after(patience);
    }

    /// Passes on what this process is told to the runner. A terminal tells both; the runner counts that once.
    fn pass_on(self: &Arc<Self>, mut signals: Signals) {
        for signal in signals.forever() {
            let listens = {
                let mut known = self.lock();
                if known.over {
                    return;
                }
                let is_first = known.signal.is_none();
                known.signal = known.signal.or(u8::try_from(signal).ok());
                if !known.listens {
                    // It has nothing to put away yet.
                    let _ = Signal::from_named_raw(signal).map(|signal| kill_process(self.pid, signal));
                }
                is_first.then(|| {
                    let patient = Arc::clone(self);
                    let watch = move || patient.kill_after(SIGNALLED_PATIENCE);
                    // Without a thread the runner still ends by itself.
                    let _ = thread::Builder::new().name("patience".to_owned()).spawn(watch);
                });
                known.listens
            };
            if listens {
                let _ = (&self.watch.stream).write_all(format!("{signal}\n").as_bytes());
            }
        }
    }

    fn kill_after(&self, patience: Duration) {
        let (known, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, |known| !known.over)
            .unwrap_or_else(PoisonError::into_inner);
        if !known.over {
            // Held, so that its number is still its own.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// The program of this process, by its path where that still leads to it: what others see of a process is named by that.
fn own_program() -> io::Result<OsString> {
    let path = std::env::current_exe()?;
    let place = |data: fs::Metadata| (data.dev(), data.ino());
    let own = fs::metadata(SELF).map(place);
    Ok(match (own, fs::metadata(&path).map(place)) {
        (Ok(own), Ok(there)) if own != there => SELF.into(),
        (Ok(_), Err(_)) => SELF.into(),
        _ => path.into(),
    })
}

/// Ends what a runner without a verdict has left, says so in its record, and to whoever reads this.
fn put_away(workspace: &Workspace, known: &Known, exit: ExitStatus, why: &str) {
    let told = |what: &str| Output.complain(&format!("error: {why}; {what}"));
    if let Some(folder) = Utf8Path::from_path(&std::env::temp_dir()) {
        sweep_temporary(folder);
    }
    let Some((area, run)) = &known.run else { return told("no run had begun, and there is no record of one") };
    let unfinished = without_verdict(workspace, area, run, exit, why);
    let running: Vec<&str> = unfinished.running.iter().map(StepName::as_str).collect();
    let running = if running.is_empty() { "no step".to_owned() } else { running.join(", ") };
    told(&format!("{running} was running then; its record is target/{area}/runs/{run}"));
    if unfinished.used_docker {
        let outside = setup::tool_folders(&std::env::vars_os().collect(), workspace)
            .map_err(|error| error.to_string())
            .and_then(|folders| Outside::without_git(folders).map_err(|error| error.to_string()));
        let put_away =
            outside.and_then(|outside| put_away_for(workspace, area, run, outside).map_err(|error| error.to_string()));
        if let Err(error) = put_away {
            Output.complain(&format!("the next run has to look for containers of this one: {error}"));
        }
    }
}

/// What happened to a runner that did not give its verdict, or ended otherwise than it had said.
struct Why<'a> {
    end: ProcessEnd,
    known: &'a Known,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match (self.end.code(), self.end.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or_default()),
        };
        if let Some(program) = &self.known.replaced_by {
            return write!(
                f,
                "a step put another program in the place of the runner (exec of {program}) before the verdict"
            );
        }
        if let Some(verdict) = self.known.verdict {
            return write!(f, "the runner gave the verdict {verdict} and ended otherwise ({end})");
        }
        let cause = match end {
            Exit::Code(PANICKED) => "the pipeline's own code panicked, or a step called exit",
            Exit::Code(_) => "a step called exit, or put another program in its place (exec)",
            Exit::Signal(4 | 6 | 7 | 8 | 11) => "a step aborted, overflowed its stack or did what the system forbids",
            Exit::Signal(_) => "a step, somebody, or the system for want of memory killed it",
        };
        write!(f, "the runner ended before it gave a verdict ({end}): {cause}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_ended_the_runner() {
        let why = |status: i32, known: &Known| Why { end: ProcessEnd::from_raw(status), known }.to_string();
        let silent = Known::default();
        assert_eq!(
            why(0, &silent),
            "the runner ended before it gave a verdict (exit code 0): a step called exit, or put another program in its place (exec)"
        );
        assert!(why(6, &silent).contains("(SIGABRT): a step aborted"));
        assert!(why(9, &silent).contains("(SIGKILL): a step, somebody"));
        assert!(why(101 << 8, &silent).contains("panicked"));
        let other = Known { verdict: Some(1), ..Known::default() };
        assert_eq!(why(0, &other), "the runner gave the verdict 1 and ended otherwise (exit code 0)");
        let replaced = Known { replaced_by: Some("/bin/sleep".into()), ..Known::default() };
        assert!(why(9, &replaced).contains("exec of /bin/sleep"));
    }
}
