use super::Build;
use crate::formats::buildkit_log::{BuildLog, FailedCommand};
use crate::model::{Finding, Location, finding_codes};

finding_codes! {
    /// What a build itself can find.
    pub enum BuildCode {
        Instruction = "IMG-009" {
            summary: "the command of an instruction of the Dockerfile failed",
            help: "run what is shown in a container of the stage before it and mend what it says; the step's log has all of its output",
            example: "RUN exit 1",
        },
    }
}

/// How much of the command's output is shown.
const LINES_SHOWN: usize = 12;
/// A longer instruction is a script; its beginning tells which one it is.
const INSTRUCTION_CHARS_MAX: usize = 200;
/// Shells add the number of the signal that ended a command to this. A signal comes from outside, for want of memory say, and says
/// nothing about the Dockerfile.
const SIGNALS: i32 = 128;
/// What the engine prints as if it were the command's when it could not even start it; the Dockerfile or the machine may be the
/// reason.
const NOT_STARTED: &[&str] = &["runc run failed", "runc create failed", "OCI runtime"];

/// The finding of a build that failed by one of its own commands; nothing where that is not sure.
pub(super) fn broken_instruction(build: &Build, log: &BuildLog, text: &[u8]) -> Option<Finding> {
    let FailedCommand { vertex, instruction, place, exit_code } = log.failed_command()?;
    let output = BuildLog::last_output(text, vertex, LINES_SHOWN);
    let started = !output.iter().any(|line| NOT_STARTED.iter().any(|words| line.starts_with(words)));
    if exit_code >= SIGNALS || !started {
        return None;
    }
    let keyword = instruction.split(' ').next().unwrap_or(instruction);
    let line = place.and_then(|at| build.dockerfile.line_of(at.stage, at.number, at.total, keyword));
    let location = match line {
        Some(line) => Location::line(&build.dockerfile_path, line),
        None => Location::file(&build.dockerfile_path),
    };
    let shown: String = instruction.chars().take(INSTRUCTION_CHARS_MAX).collect();
    let message = format!("`{shown}` ended with exit code {exit_code}:\n{}", output.join("\n"));
    Some(Finding::new(BuildCode::Instruction, message.trim_end_matches(['\n', ':'])).at(location))
}
