use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::process::{Pid, Signal, kill_process_group};

use super::invocation::EnvChange;
use super::{Exit, Invocation, ProcessError};

/// How long a program may stay open for writing: a copy of its descriptor lives from one fork to the next exec.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
/// How often a program that is open for writing is tried.
const BUSY_POLL: Duration = Duration::from_millis(5);
/// How much a pipe is made to hold: a process that prints much is then seldom made to wait for who reads it.
pub(super) const PIPE_BYTES: usize = 512 << 10;

/// A process in a group of its own.
pub(super) struct Child {
    handle: duct::Handle,
    pid: Option<Pid>,
    /// Tells that the child has ended, where the system can.
    pub(super) pidfd: Option<OwnedFd>,
    /// Holds our ends of the pipes that the child writes to. Open until it has ended, so that its end wakes us once and not
    /// twice, first for what it closes.
    ends: Option<duct::Expression>,
}

impl Child {
    /// Starts it, with the ends of the pipes that its output is read from.
    pub(super) fn start(
        invocation: &Invocation,
        program: &Utf8Path,
        command: &str,
    ) -> Result<(Self, PipeReader, PipeReader), ProcessError> {
        let command = || command.to_owned();
        // A missing program and a missing directory give the same error from the system, so each is looked at first.
        match fs::metadata(program) {
            Err(_) => return Err(ProcessError::ProgramMissing { command: command(), program: program.to_string() }),
            Ok(found) if found.is_dir() => {
                return Err(ProcessError::IsFolder { command: command(), program: program.to_string() });
            }
            Ok(_) => {}
        }
        if let Some(dir) = invocation.dir.as_deref().filter(|dir| !dir.is_dir()) {
            return Err(ProcessError::DirectoryMissing { command: command(), dir: dir.to_owned() });
        }
        let failed = |source: io::Error| {
            let program = program.to_string();
            match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::ACCESS) => ProcessError::NotExecutable { command: command(), program },
                Some(rustix::io::Errno::NOEXEC) => ProcessError::WrongFormat { command: command(), program },
                // The file and the directory were there a moment ago.
                Some(rustix::io::Errno::NOENT) => ProcessError::InterpreterMissing { command: command(), program },
                Some(rustix::io::Errno::TXTBSY) => ProcessError::BeingWritten { command: command(), program },
                Some(rustix::io::Errno::TOOBIG) => {
                    let bytes = invocation.args.iter().map(|argument| argument.len()).sum();
                    ProcessError::ArgumentsTooLong { program, bytes }
                }
                _ => ProcessError::Io { command: command(), action: "starting it", source },
            }
        };
        let pipe = |source: io::Error| ProcessError::Io { command: command(), action: "making a pipe for it", source };
        let (stdout, stdout_child) = roomy_pipe().map_err(pipe)?;
        let (stderr, stderr_child) = roomy_pipe().map_err(pipe)?;
        let spool = |source: io::Error| ProcessError::Io { command: command(), action: "spooling its input", source };
        let mut expression = duct::cmd(program.as_std_path(), &invocation.args)
            .stdout_file(OwnedFd::from(stdout_child))
            .stderr_file(OwnedFd::from(stderr_child))
            .unchecked()
            // Its own group, so that the group can be killed without killing us; set before exec, so nothing escapes it.
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            });
        expression = match &invocation.stdin {
            Some(bytes) => expression.stdin_file(spooled(bytes).map_err(spool)?),
            None => expression.stdin_null(),
        };
        if let Some(dir) = &invocation.dir {
            expression = expression.dir(dir);
        }
        for (name, value) in environment(invocation) {
            expression = match value {
                Some(value) => expression.env(name, value),
                None => expression.env_remove(name),
            };
        }
        let handle = start_when_written(&expression).map_err(failed)?;
        Ok((Self::new(handle, expression), stdout, stderr))
    }

    fn new(handle: duct::Handle, expression: duct::Expression) -> Self {
        let pid = handle.pids().first().and_then(|&pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        #[cfg(target_os = "linux")]
        let pidfd = pid.and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
        #[cfg(not(target_os = "linux"))]
        let pidfd = None;
        // Where nothing else tells of the end, what the child closes does.
        let ends = pidfd.is_some().then_some(expression);
        Self { handle, pid, pidfd, ends }
    }

    /// Signals everything in the group, and the process itself, which may have left it. Nobody there is what is wanted, so that error is
    /// none.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            let _ = kill_process_group(pid, signal);
        }
        // One that is in its group was told just now.
        #[cfg(target_os = "linux")]
        if let (Some(pid), Some(held)) = (self.pid, &self.pidfd)
            && rustix::process::getpgid(Some(pid)) != Ok(pid)
        {
            let _ = rustix::process::pidfd_send_signal(held, signal);
        }
    }

    /// Whether it waits for somebody to let it go on.
    pub(super) fn stopped_at(&self) -> Option<u64> {
        self.pid.and_then(super::ended::stopped_at)
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        let exit = self.handle.try_wait()?.map(|output| exit_of(output.status));
        if exit.is_some() {
            self.ends = None;
        }
        Ok(exit)
    }

    pub(super) fn wait(&self) -> io::Result<Exit> {
        Ok(exit_of(self.handle.wait()?.status))
    }
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(-1),
    }
}

fn roomy_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // A process can read what it has written itself, from `/proc/self/fd/1`: what is there when we look may be gone when we read.
    rustix::io::ioctl_fionbio(&reader, true)?;
    // A user who has many pipes is refused more room; what there is works too.
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(&reader, PIPE_BYTES);
    Ok((reader, writer))
}

/// What becomes of each variable: later changes replace earlier ones, which is for us to say, as of two changes `duct` takes the first.
fn environment(invocation: &Invocation) -> BTreeMap<OsString, Option<OsString>> {
    let inherited = std::env::vars_os().map(|(name, _)| name);
    // What is not there need not be removed.
    let removed = inherited.filter(|name| {
        super::GIT_REPOSITORY_VARIABLES.iter().any(|git| name == git)
            || has_prefix(name, &invocation.env_removed_prefixes)
    });
    let mut all: BTreeMap<_, _> = removed.map(|name| (name, None)).collect();
    all.extend(invocation.withheld.iter().map(|name| (name.clone(), None)));
    all.extend(invocation.search_path.clone().map(|path| ("PATH".into(), Some(path))));
    all.extend(invocation.temporary.clone().map(|folder| ("TMPDIR".into(), Some(folder))));
    all.extend(invocation.mark.clone().map(|mark| (super::MARK.into(), Some(mark))));
    all.extend(invocation.env.iter().map(|(name, change)| {
        let value = match change {
            EnvChange::Set(value) => Some(value.clone()),
            EnvChange::SetSecret(secret) => Some(secret.expose().into()),
            EnvChange::Remove => None,
        };
        (name.clone(), value)
    }));
    all
}

/// Starts a process. A program that is open for writing cannot be started, and one that was just written still is while a
/// process that another thread was starting at that moment holds a copy of the descriptor: that passes.
fn start_when_written(expression: &duct::Expression) -> io::Result<duct::Handle> {
    let started = Instant::now();
    loop {
        match expression.start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && started.elapsed() < BUSY_PATIENCE => {
                std::thread::sleep(BUSY_POLL);
            }
            result => return result,
        }
    }
}

fn has_prefix(name: &OsString, prefixes: &[String]) -> bool {
    let name = name.to_string_lossy();
    prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

/// Standard input from a file: unlike a pipe it needs no writer that could block.
fn spooled(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
