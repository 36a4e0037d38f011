use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::formats::printable::printable;
use crate::formats::requirements::{LockedRequirements, normalized_name};
use crate::process::{Captured, Exit, Invocation, ProcessError, ToolRequirement};
use crate::step::{Context, ReadError, StepError};
use crate::trivy::CANARY;

/// One package is one question; an index that needs longer is as good as none.
const CANARY_DEADLINE: Duration = Duration::from_secs(60);
/// The packages are asked for one by one.
const AUDIT_DEADLINE: Duration = Duration::from_secs(600);
/// How long a connection may be silent, in seconds.
const SILENCE_S: &str = "15";
/// What one of the last lines of its log begins with when the index cannot be reached: the name of what was raised, or its own
/// words.
const NO_CONNECTION: [&str; 5] = [
    "requests.exceptions.",
    "urllib3.exceptions.",
    "pip_audit._service.",
    "ERROR:pip_audit._cli:Could not connect",
    "ERROR:pip_audit._cli:PyPI is not redirecting",
];
/// After its own words it gives advice.
const LAST_LINES: usize = 3;

pub(super) fn pip_audit_tool() -> ToolRequirement {
    ToolRequirement::new("pip-audit", ">=2.10, <3")
}

/// What the package index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opinion {
    /// About each package that it was asked for.
    Given(Vec<Audited>),
    /// Nothing, and why.
    NotAvailable(String),
}

/// A package that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Audited {
    /// The normalised name.
    pub(super) name: String,
    /// Its version and flaws, or why it was skipped.
    pub(super) answer: Result<(String, Vec<IndexFlaw>), String>,
}

/// A flaw as the package index knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct IndexFlaw {
    pub(super) id: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    pub(super) fix_versions: Vec<String>,
    #[serde(default)]
    pub(super) description: String,
}

impl IndexFlaw {
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        [&self.id].into_iter().chain(&self.aliases)
    }
}

/// The call for one requirements file. Nothing is installed or resolved: what is not pinned in the file is not asked for.
pub(super) fn invocation(requirements: &Utf8Path, cache: &Utf8Path) -> Invocation {
    Invocation::tool("pip-audit")
        .args(["--requirement", requirements.as_str(), "--no-deps", "--disable-pip", "--format", "json"])
        .args(["--aliases", "on", "--desc", "on", "--progress-spinner", "off", "--timeout", SILENCE_S])
        .args(["--cache-dir", cache.as_str()])
        .env_remove_prefix("PIP_AUDIT_")
        .env_remove_prefix("PYTHON")
}

/// Asks the package index about a lock file, after it has shown that it answers and knows flaws: pip-audit says "no known
/// vulnerabilities" and ends with 0 when it could not look up a single package. It is given names and versions alone: it would pass over
/// a package under a condition that does not hold for itself.
pub(super) fn ask(cx: &Context, locked: &LockedRequirements) -> Result<Opinion, StepError> {
    let folder = cx.path(cx.dir());
    let (canary, cache) = (folder.join("canary.txt"), folder.join("cache"));
    fs::write(&canary, format!("{}=={}\n", CANARY.package, CANARY.version))
        .map_err(StepError::io("writing", &canary))?;
    let captured = match cx.run(&invocation(&canary, &cache).deadline(CANARY_DEADLINE)) {
        Err(StepError::Process(ProcessError::TimedOut { deadline, .. })) => {
            return Ok(Opinion::NotAvailable(format!("no answer within {} s", deadline.as_secs())));
        }
        captured => captured?,
    };
    if let Some(why) = silence(&captured)? {
        return Ok(Opinion::NotAvailable(why));
    }
    let packages = folder.join("locked.txt");
    let lines: String = locked.packages.iter().map(|one| format!("{}=={}\n", one.name, one.version)).collect();
    fs::write(&packages, lines).map_err(StepError::io("writing", &packages))?;
    let captured = cx.run(&invocation(&packages, &cache).deadline(AUDIT_DEADLINE))?;
    Ok(Opinion::Given(read(&captured)?))
}

/// Why the answer about the canary shows that nobody is there; nothing if the flaw was named.
pub(super) fn silence(captured: &Captured) -> Result<Option<String>, StepError> {
    let stderr = captured.stderr_text();
    if captured.exit == Exit::Code(1) && captured.stdout.is_empty() {
        let last: Vec<_> = stderr.lines().rev().filter(|line| !line.trim().is_empty()).take(LAST_LINES).collect();
        let why = last.iter().find(|line| NO_CONNECTION.iter().any(|start| line.starts_with(start)));
        return match why {
            Some(line) => Ok(Some(printable(line))),
            None => {
                let problem = printable(last.first().unwrap_or(&"it is empty"));
                Err(ReadError::new("pip-audit's report", problem).help("see the step's log").into())
            }
        };
    }
    let answers = read(captured)?;
    let [Audited { answer, .. }] = answers.as_slice() else {
        return Err(ReadError::new("pip-audit's report", format!("{} packages instead of 1", answers.len())).into());
    };
    Ok(match answer {
        // What it says of the package that it was tried with would be taken for a package of the project.
        Err(_) => Some("it looks nothing up: it passed over a package that every index has".to_owned()),
        Ok((_, flaws)) => {
            let is_known = flaws.iter().any(|flaw| flaw.ids().any(|id| id == CANARY.id));
            let problem = || "it names no flaws: it does not know one that every index knows".to_owned();
            (!is_known).then(problem)
        }
    })
}

#[derive(Deserialize)]
struct Report {
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    name: String,
    version: Option<String>,
    vulns: Option<Vec<IndexFlaw>>,
    skip_reason: Option<String>,
}

/// Reads a report and checks that the exit code says the same.
pub(super) fn read(captured: &Captured) -> Result<Vec<Audited>, StepError> {
    let captured = captured.clone().require_exit(&[0, 1])?;
    let unreadable = |problem: String| StepError::from(ReadError::new("pip-audit's report", problem));
    let report: Report =
        serde_json::from_str(captured.stdout_text()?).map_err(|error| unreadable(error.to_string()))?;
    let mut audited = Vec::new();
    for Dependency { name, version, vulns, skip_reason } in report.dependencies {
        let answer = match (version, vulns, skip_reason) {
            (_, None, Some(reason)) => Err(reason),
            (Some(version), Some(flaws), None) => Ok((version, flaws)),
            _ => return Err(unreadable(format!("{} was neither audited nor skipped", printable(&name)))),
        };
        audited.push(Audited { name: normalized_name(&name), answer });
    }
    let is_flawed = audited.iter().any(|one| one.answer.as_ref().is_ok_and(|(_, flaws)| !flaws.is_empty()));
    if (captured.exit == Exit::Code(1)) != is_flawed {
        let what = if is_flawed { "flaws" } else { "no flaw" };
        return Err(unreadable(format!("it has {what}, but pip-audit ended with {}", captured.exit)));
    }
    Ok(audited)
}

/// For `--explain`.
pub(super) fn explain() -> Vec<Invocation> {
    let cache = Utf8PathBuf::from("<step>/cache");
    ["<step>/canary.txt", "<step>/locked.txt"].map(|list| invocation(Utf8Path::new(list), &cache)).to_vec()
}
