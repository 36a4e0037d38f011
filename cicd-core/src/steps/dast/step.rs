use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::DastBuilder;
use super::judge::judge;
use super::probe::{Exchange, Plan, Probe, Purpose};
use super::{DastCode, headers};
use crate::docker::{Container, ContainerSpec, ImageUnderTest, docker_tool};
use crate::formats::printable::counted;
use crate::formats::{Paint, read_exceptions};
use crate::http::{HttpClient, HttpError};
use crate::model::{Finding, FindingCode as _, Judged, Location, Subject};
use crate::policy::Exception;
use crate::process::{CancelReason, Invocation, ProcessError, ToolRequirement};
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError, proof};

/// A page that takes longer is not one that people wait for, and a whole run of checks sends some hundred requests.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts an image, sends it what visitors and attackers would, and judges every answer.
///
/// ```
/// use cicd_core::steps::Dast;
///
/// let dast = Dast::on(["/healthcheck", "/status", "/"]).form("/", ["author", "text"]).build()?;
/// # Ok::<(), cicd_core::steps::InvalidDast>(())
/// ```
///
/// Each route must answer 200 and each form must take ordinary values, before the other requests and after them: a route that is not
/// there has no flaws, so it is an error. The container is confined as in [`ContainerSpec`], reachable from this machine only, and
/// removed in the end; what the requests change goes with it. Checks are those of the OWASP Secure Headers Project and of the Web
/// Security Testing Guide that need no account: <https://owasp.org/www-project-web-security-testing-guide/>.
#[derive(Debug, Clone)]
pub struct Dast {
    pub(super) plan: Plan,
    pub(super) container: ContainerSpec,
    pub(super) allowed: Vec<Exception>,
    pub(super) exceptions_file: Option<Utf8PathBuf>,
    pub(super) place: Location,
}

proof! {
    /// What was asked of an image, and what it answered.
    pub struct DastReport("attack on a running image") {
        /// The image's id.
        image: String => &str,
        /// The routes and forms, as they answered a visitor.
        answered: Vec<Answered> => &[Answered],
        /// How many requests were sent.
        requests: usize,
    }
}

/// A route or a form and its answer to a visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The method and path.
    pub request: String,
    /// The status.
    pub status: u16,
    /// How many bytes the body had.
    pub body_bytes: usize,
    /// Whether browsers show it as a page.
    pub page: bool,
}

impl Judged for DastReport {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}

impl Dast {
    /// `GET` of these paths, each of which answers 200 to every visitor; end with [`build`](DastBuilder::build).
    #[must_use]
    #[track_caller]
    pub fn on<P: Into<String>>(routes: impl IntoIterator<Item = P>) -> DastBuilder {
        DastBuilder::on(routes.into_iter().map(Into::into).collect())
    }

    fn read_exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let Some(path) = &self.exceptions_file else { return Ok(Vec::new()) };
        let text = cx.read_text(path)?;
        let read = read_exceptions(&cx.relative(path), &text)
            .map_err(|error| ReadError::new("the exceptions", format!("\n{}", error.render(Paint::Plain))))?;
        Ok(read.dast)
    }
}

impl Step for Dast {
    type Input = ImageUnderTest;
    type Output = DastReport;

    fn run(&self, cx: &Context, image: ImageUnderTest) -> Result<Outcome<DastReport>, StepError> {
        cx.require(&docker_tool())?;
        let mut exceptions = self.allowed.clone();
        exceptions.extend(self.read_exceptions(cx)?);
        cx.progress(format!("starting {} and waiting until it is ready", image.name));
        let container = self.container.clone().image(&image.id).start(cx)?;
        let seen = ask(cx, &self.plan, container.address());
        let ended = ended(&container, &self.place)?;
        container.remove()?;
        if let Some(finding) = ended {
            return Ok(Outcome::of(report(image.id, &[])).findings([finding]).exceptions(exceptions));
        }
        let seen = seen?;
        write(cx, &seen)?;
        let findings = judge(&self.plan, &seen, &self.place)?;
        let report = report(image.id, &seen);
        let (routes, forms) = (self.plan.routes.len(), self.plan.forms.len());
        let headline = match findings.len() {
            0 => format!(
                "{} to {}, {}",
                counted(seen.len(), "request"),
                counted(routes, "route"),
                counted(forms, "form")
            ),
            found => format!("{}, {}", counted(seen.len(), "request"), counted(found, "finding")),
        };
        let looked = report.answered.iter().map(|one| format!("{} {}", one.request, one.status));
        let looked = looked.collect::<Vec<_>>().join(", ");
        let mut outcome = Outcome::of(report)
            .findings(findings)
            .exceptions(exceptions)
            .fact("requests", seen.len())
            .fact("kinds", DastCode::ALL.len())
            .fact("answered", looked)
            .headline(headline);
        outcome.attachments = vec![attachment(cx), cx.dir().join("container.log")];
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.container.invocation("<name>", "<run>", "<owner>")]
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.allowed.clone()
    }

    fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        self.read_exceptions(cx)
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// Sends every request, one after the other, so that the log of the server tells which one it fails at.
fn ask(cx: &Context, plan: &Plan, address: SocketAddr) -> Result<Vec<Exchange>, StepError> {
    let probes = plan.probes();
    cx.progress(format!("{} requests", probes.len()));
    let client = HttpClient::new(address, ANSWER_TIMEOUT).map_err(StepError::io("making a client in", cx.dir()))?;
    let ask = |probe: Probe| {
        if cx.shared().cancel.is_cancelled() {
            let reason = cx.shared().cancel.reason().unwrap_or(CancelReason::FailFast);
            return Err(ProcessError::Cancelled { command: "the HTTP checks".to_owned(), reason }.into());
        }
        match client.send(&probe.request) {
            Ok(answer) => Ok(Exchange { probe, answer: Some(answer) }),
            Err(HttpError::NoAnswer(_)) => Ok(Exchange { probe, answer: None }),
            Err(error) => {
                let request = format!("{} {}", probe.request.method, probe.request.path);
                Err(StepError::not_looked(format!("{request}: {error}"), "see container.log in the step's folder"))
            }
        }
    };
    probes.into_iter().map(ask).collect()
}

/// Whether the container ended or was started again while it was asked.
fn ended(container: &Container, place: &Location) -> Result<Option<Finding>, StepError> {
    let inspect = container.inspect()?;
    if inspect.state.running && inspect.restarts == 0 {
        return Ok(None);
    }
    let message = format!("the container {} while it was asked", inspect.state.summary());
    let help = format!("the last lines of its log:\n{}", container.last_lines());
    Ok(Some(Finding::new(DastCode::ServerError, message).at(place.clone()).help(help)))
}

fn report(image: String, seen: &[Exchange]) -> DastReport {
    let visitor = |one: &&Exchange| matches!(one.probe.purpose, Purpose::Route | Purpose::Form);
    let mut answered: Vec<Answered> = Vec::new();
    for exchange in seen.iter().filter(visitor) {
        let request = format!("{} {}", exchange.probe.request.method, exchange.probe.request.path);
        if let Some(answer) = &exchange.answer
            && !answered.iter().any(|known| known.request == request)
        {
            let (status, body_bytes, page) = (answer.status, answer.body.len(), headers::is_page(answer));
            answered.push(Answered { request, status, body_bytes, page });
        }
    }
    DastReport { image, answered, requests: seen.len() }
}

fn attachment(cx: &Context) -> Utf8PathBuf {
    cx.dir().join("exchanges.json")
}

/// Keeps every request and the head of its answer, for whoever wants to see a finding again.
fn write(cx: &Context, seen: &[Exchange]) -> Result<(), StepError> {
    let line = |one: &Exchange| serde_json::json!({ "route": one.probe.route, "request": one.probe.request, "answer": one.answer });
    let path = attachment(cx);
    let text = serde_json::to_string_pretty(&seen.iter().map(line).collect::<Vec<_>>()).map_err(io::Error::from);
    text.and_then(|text| fs::write(&path, text + "\n")).map_err(StepError::io("writing", &path))
}
