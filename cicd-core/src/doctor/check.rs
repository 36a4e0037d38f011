use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use semver::VersionReq;

use super::{Report, Row, State};
use crate::docker::unreachable;
use crate::model::StepName;
use crate::process::{Cancel, Discard, Invocation, Tool, ToolError, ToolProblem, ToolRequirement, Toolbox, execute};
use crate::setup::{self, Provenance};
use crate::step::{Workspace, git_tool};

/// A build without cache, the images of one run and a vulnerability database fit into this; with less, a run ends in the middle.
pub const DISK_FREE_BYTES_MIN: u64 = 5 << 30;

/// The Python that setup and the application's tests need.
const PYTHON: (u32, u32) = (3, 11);

/// What the doctor looks at.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// What each step of the pipeline needs.
    pub tools: &'a [(StepName, ToolRequirement)],
    /// What their command lines name beside these; any version will do.
    pub programs: &'a [(StepName, String)],
    /// Finds them as the run will.
    pub toolbox: &'a Toolbox,
    /// Where the run will be.
    pub workspace: &'a Workspace,
    /// Where the tools that setup installed came from.
    pub provenance: Vec<Provenance>,
    /// Stops everything.
    pub cancel: &'a Cancel,
}

/// Looks for every tool, the Docker engine if a step needs Docker, git, Python and free disk space. All problems are told
/// together.
#[must_use]
pub fn check(inputs: Inputs<'_>) -> Report {
    let mut rows: Vec<Row> = Vec::new();
    let git = git_tool();
    let mut docker = None;
    let all = merged(inputs.tools, git);
    let wanted: Vec<_> = all.iter().map(|(requirement, _)| requirement.clone()).collect();
    // Nobody is told what goes on: all rows come at once.
    inputs.toolbox.find_all(&wanted, inputs.cancel, &|_| ());
    for (requirement, needed_by) in all {
        let found = inputs.toolbox.find(&requirement, inputs.cancel);
        if requirement.name == "docker" {
            docker = Some((found.clone().ok(), needed_by.clone()));
        }
        rows.push(row(requirement.name.clone(), requirement.version.to_string(), needed_by, found));
    }
    let mut programs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (step, program) in inputs.programs {
        programs.entry(program).or_default().push(step.to_string());
    }
    // What lies in the workspace, the steps themselves may make.
    let is_made = |program: &str| Utf8Path::new(program).starts_with(inputs.workspace.root());
    programs.retain(|program, _| !is_made(program) && !rows.iter().any(|row| row.name == *program));
    rows.extend(programs.into_iter().map(|(program, needed_by)| {
        let state = match inputs.toolbox.locate(program) {
            Some(path) => State::Fine { version: "-".to_owned(), place: path.into_string() },
            None => State::Wrong {
                kind: "missing".to_owned(),
                problem: ToolProblem::Missing.to_string(),
                fix: format!("install {program}, or correct its name in the pipeline"),
            },
        };
        Row { name: program.to_owned(), required: "any".to_owned(), needed_by, state }
    }));
    let (major, minor) = PYTHON;
    let python = setup::find_python(PYTHON, inputs.toolbox, inputs.cancel);
    rows.push(row(format!("python{major}.{minor}"), format!("~{major}.{minor}"), vec!["setup".to_owned()], python));
    let altered = inputs.toolbox.altered().into_iter().map(|(folder, why)| Row {
        name: "installed tools".to_owned(),
        required: "as installed".to_owned(),
        needed_by: Vec::new(),
        state: State::Wrong {
            kind: "altered".to_owned(),
            problem: format!("{folder} is not as it was installed: {why}"),
            fix: "find out who changed it, then run `cargo xtask setup --yes`, which installs it anew".to_owned(),
        },
    });
    rows.extend(altered);
    rows.push(disk("disk", inputs.workspace.root(), Vec::new()));
    if let Some((client, needed_by)) = docker {
        rows.push(engine(client.as_ref(), &needed_by, &inputs));
        let data = client.and_then(|client| engine_data(&client, &inputs)).filter(|data| data.exists());
        if let Some(data) = data {
            rows.push(disk("docker disk", &data, needed_by));
        }
    }
    Report { rows, provenance: inputs.provenance }
}

/// Each distinct requirement once, with the steps that have it, in the order of their names.
fn merged(tools: &[(StepName, ToolRequirement)], git: ToolRequirement) -> Vec<(ToolRequirement, Vec<String>)> {
    let mut merged: Vec<(ToolRequirement, Vec<String>)> = vec![(git, vec!["the run itself".to_owned()])];
    for (step, requirement) in tools {
        let same = |known: &ToolRequirement| known.name == requirement.name && known.version == requirement.version;
        match merged.iter_mut().find(|(known, _)| same(known)) {
            Some((_, steps)) if steps.iter().any(|known| known == step.as_str()) => {}
            Some((_, steps)) => steps.push(step.to_string()),
            None => merged.push((requirement.clone(), vec![step.to_string()])),
        }
    }
    merged.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    merged
}

fn row(name: String, required: String, needed_by: Vec<String>, found: Result<Tool, ToolError>) -> Row {
    let required = if required == VersionReq::STAR.to_string() { "any".to_owned() } else { required };
    let state = match found {
        Ok(tool) => State::Fine { version: tool.version.to_string(), place: tool.path.into_string() },
        Err(error) => State::Wrong {
            kind: match error.problem {
                ToolProblem::Missing => "missing",
                ToolProblem::WrongVersion { .. } => "version",
                ToolProblem::Silent { .. } => "silent",
                ToolProblem::Altered { .. } => "altered",
                _ => "broken",
            }
            .to_owned(),
            problem: error.problem.to_string(),
            fix: error.fix,
        },
    };
    Row { name, required, needed_by, state }
}

fn engine(client: Option<&Tool>, needed_by: &[String], inputs: &Inputs<'_>) -> Row {
    let wrong = |problem: String| State::Wrong {
        kind: "silent".to_owned(),
        problem,
        fix: "run `cargo xtask setup`, or start the Docker engine".to_owned(),
    };
    let state = match client {
        None => wrong("there is no client to ask it with".to_owned()),
        Some(client) => match setup::engine_version(client, inputs.toolbox, inputs.cancel) {
            Ok(version) => State::Fine { version, place: "answers".to_owned() },
            // The client's own words again, for what to do about them.
            Err(why) => {
                let fix = unreachable(&why).1;
                State::Wrong { kind: "silent".to_owned(), problem: why, fix: fix.to_owned() }
            }
        },
    };
    Row { name: "docker engine".to_owned(), required: "answers".to_owned(), needed_by: needed_by.to_vec(), state }
}

/// Where the engine keeps its images, if it tells.
fn engine_data(client: &Tool, inputs: &Inputs<'_>) -> Option<Utf8PathBuf> {
    let mut question = Invocation::program(&client.path).args(["info", "--format", "{{.DockerRootDir}}"]);
    question.search_path = Some(inputs.toolbox.search_path().to_owned());
    let captured = execute(&question, &client.path, &mut Discard, inputs.cancel).ok()?.require_success().ok()?;
    Some(Utf8PathBuf::from(captured.stdout_text().ok()?.trim())).filter(|path| path.is_absolute())
}

fn disk(name: &str, folder: &Utf8Path, needed_by: Vec<String>) -> Row {
    let state = match rustix::fs::statvfs(folder.as_std_path()) {
        Ok(stat) => disk_state(stat.f_bavail.saturating_mul(stat.f_frsize), folder),
        Err(error) => State::Wrong {
            kind: "unknown".to_owned(),
            problem: format!("free space at {folder} cannot be told: {error}"),
            fix: format!("check that {folder} can be read"),
        },
    };
    Row { name: name.to_owned(), required: format!(">={}", gigabytes(DISK_FREE_BYTES_MIN)), needed_by, state }
}

pub(super) fn disk_state(free_bytes: u64, folder: &Utf8Path) -> State {
    if free_bytes >= DISK_FREE_BYTES_MIN {
        return State::Fine { version: gigabytes(free_bytes), place: folder.to_string() };
    }
    State::Wrong {
        kind: "full".to_owned(),
        problem: format!("{} free at {folder}", gigabytes(free_bytes)),
        fix: "free some space; `docker system df` and `du --summarize target` show what takes it".to_owned(),
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{} GiB", bytes >> 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_of_several_steps_is_looked_for_once() {
        let step = |name: &str| StepName::new(name).expect("a name");
        let tools = [
            (step("image"), ToolRequirement::new("docker", ">=20.10")),
            (step("scan"), ToolRequirement::new("docker", ">=20.10")),
            (step("scan"), ToolRequirement::new("docker", ">=20.10")),
            (step("push"), ToolRequirement::new("docker", ">=24")),
        ];
        let merged = merged(&tools, ToolRequirement::new("git", "*"));
        let shown: Vec<_> =
            merged.iter().map(|(tool, steps)| format!("{} {} {steps:?}", tool.name, tool.version)).collect();
        assert_eq!(
            shown,
            ["docker >=20.10 [\"image\", \"scan\"]", "docker >=24 [\"push\"]", "git * [\"the run itself\"]"]
        );
    }

    #[test]
    fn too_little_space_is_a_problem() {
        assert!(matches!(disk_state(DISK_FREE_BYTES_MIN, "/".into()), State::Fine { .. }));
        assert!(matches!(disk_state(DISK_FREE_BYTES_MIN - 1, "/".into()), State::Wrong { .. }));
    }
}
