use std::collections::BTreeSet;

use super::DastCode;
use super::headers::{Flaw, cors, given, is_page, missing};
use super::leaks::{inside, is_listing, is_password_file};
use super::probe::{Exchange, FOREIGN_HOST, INJECTED_HEADER, MARKER, Plan, Probe, Purpose};
use crate::formats::printable::printable;
use crate::http::HttpAnswer;
use crate::model::{Finding, Location, Target};
use crate::step::StepError;

/// How much of a request a message shows.
const REQUEST_CHARS_SHOWN: usize = 80;

/// Judges every answer, once it is clear that the application itself has answered.
///
/// # Errors
/// When a route or a form did not answer as it does for a visitor: then nothing of it was looked at.
pub(super) fn judge(plan: &Plan, seen: &[Exchange], place: &Location) -> Result<Vec<Finding>, StepError> {
    looked(plan, seen)?;
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for exchange in seen {
        let probe = &exchange.probe;
        for (code, what) in flaws(plan, exchange)? {
            // One is enough to act on; the other requests that show the same are in the step's folder.
            if told.insert((code, probe.route.clone())) {
                let message = format!("{}: {what}", shown(probe));
                let finding = Finding::new(code, message).severity(code.severity()).target(Target::route(&probe.route));
                findings.push(finding.at(place.clone()));
            }
        }
    }
    Ok(findings)
}

/// Every route and every form that was to be looked at has answered as it does for a visitor.
fn looked(plan: &Plan, seen: &[Exchange]) -> Result<(), StepError> {
    let forms = plan.forms.iter().map(|form| &form.path);
    let wanted = plan.routes.iter().map(|path| (Purpose::Route, path)).chain(forms.map(|path| (Purpose::Form, path)));
    for (purpose, path) in wanted {
        let answers: Vec<_> =
            seen.iter().filter(|one| one.probe.purpose == purpose && one.probe.route == *path).collect();
        if answers.is_empty() {
            return Err(not_looked(format!("{path} was not asked for")));
        }
        for exchange in answers {
            let status = exchange.answer.as_ref().map(|answer| answer.status);
            let problem = match (purpose, status) {
                (Purpose::Route, Some(200)) | (Purpose::Form, Some(200..400)) => continue,
                (_, None) => "was not answered".to_owned(),
                (Purpose::Route, Some(status)) => format!("was answered with {status} instead of 200"),
                (_, Some(status)) => format!("was answered with {status}, so that no input went in"),
            };
            return Err(not_looked(format!("{} {problem}", shown(&exchange.probe))));
        }
    }
    let silent: Vec<_> = seen.iter().filter(|one| one.answer.is_none()).collect();
    match silent.iter().find(|one| !one.probe.purpose.may_be_hung_up_on()) {
        Some(one) => Err(not_looked(format!("{} was not answered", shown(&one.probe)))),
        None => Ok(()),
    }
}

fn not_looked(what: String) -> StepError {
    StepError::not_looked(
        what,
        "correct the routes and forms of the step; exchanges.json in its folder has every request",
    )
}

fn shown(probe: &Probe) -> String {
    let request = &probe.request;
    let line = format!("{} {}", request.method, request.path);
    let cut: String = line.chars().take(REQUEST_CHARS_SHOWN).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    let with = match probe.purpose {
        Purpose::Origin | Purpose::Host => request.headers.last().map(|(name, value)| format!(" with {name}: {value}")),
        _ => None,
    };
    format!("{}{more}{}", printable(&cut), with.as_deref().unwrap_or(""))
}

/// What is wrong with an answer.
fn flaws(plan: &Plan, exchange: &Exchange) -> Result<Vec<Flaw>, StepError> {
    let Some(answer) = &exchange.answer else { return Ok(Vec::new()) };
    let (probe, text) = (&exchange.probe, answer.text());
    let mut flaws = given(plan, answer);
    let unusable = |problem: &str| StepError::not_looked(problem, "report this as a bug");
    if let Some(sign) = inside(&text).map_err(unusable)? {
        flaws.push((DastCode::Leak, format!("the answer says {:?}", printable(sign))));
    }
    if is_listing(&text) {
        flaws.push((DastCode::Listing, "the answer lists a folder".to_owned()));
    }
    if is_password_file(&text) {
        flaws.push((DastCode::Traversal, "the answer is the system's list of users".to_owned()));
    }
    if text.contains(MARKER) && is_page(answer) {
        flaws.push((DastCode::Reflection, format!("{MARKER} is in the page as it was sent")));
    }
    if answer.status >= 500 && !(probe.purpose == Purpose::Method && answer.status == 501) {
        flaws.push((DastCode::ServerError, format!("was answered with {}", answer.status)));
    }
    if answer.header(INJECTED_HEADER).is_some() {
        flaws.push((DastCode::HeaderInjection, format!("the answer has the header {INJECTED_HEADER}")));
    }
    flaws.extend(of_purpose(plan, probe, answer, &text));
    Ok(flaws)
}

/// What is wrong with an answer to just this kind of request.
fn of_purpose(plan: &Plan, probe: &Probe, answer: &HttpAnswer, text: &str) -> Vec<Flaw> {
    let status = answer.status;
    let taken = (200..400).contains(&status);
    match probe.purpose {
        Purpose::Route | Purpose::Form | Purpose::Missing => missing(plan, answer),
        Purpose::Options => options(plan, &probe.route, answer).into_iter().chain(cors(answer)).collect(),
        Purpose::Origin => cors(answer),
        Purpose::Trace if (200..300).contains(&status) => {
            vec![(DastCode::Trace, format!("was answered with {status}"))]
        }
        Purpose::Method if taken => vec![(DastCode::Method, format!("was answered with {status}"))],
        Purpose::Oversized if taken => vec![(DastCode::Oversized, format!("was answered with {status}"))],
        Purpose::Redirect => answer
            .header("location")
            .filter(|to| leads_away(to))
            .map_or_else(Vec::new, |to| vec![(DastCode::OpenRedirect, format!("leads to {:?}", printable(to)))]),
        Purpose::Host => host(answer, text).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether browsers leave the site: they take `\` for `/`, and pass over tabs and blanks in front.
fn leads_away(location: &str) -> bool {
    let location: String =
        location.chars().filter(|c| !c.is_whitespace()).map(|c| if c == '\\' { '/' } else { c }).collect();
    let rest = location.strip_prefix("https:").or_else(|| location.strip_prefix("http:")).unwrap_or(&location);
    rest.trim_start_matches('/').starts_with(FOREIGN_HOST) && (rest.starts_with("//") || rest.len() < location.len())
}

fn host(answer: &HttpAnswer, text: &str) -> Option<Flaw> {
    if answer.header("location").is_some_and(|to| to.contains(FOREIGN_HOST)) {
        return Some((DastCode::HostReflected, "the redirect leads to that host".to_owned()));
    }
    (is_page(answer) && text.contains(&format!("//{FOREIGN_HOST}")))
        .then(|| (DastCode::HostReflected, "the page links to that host".to_owned()))
}

fn options(plan: &Plan, route: &str, answer: &HttpAnswer) -> Vec<Flaw> {
    let allowed = answer.headers("allow").flat_map(|value| value.split(',')).map(|word| word.trim().to_uppercase());
    let undeclared = |method: &String| {
        matches!(method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE" | "CONNECT") && !plan.takes(route, method)
    };
    let flaw = |method: String| match method.as_str() {
        "TRACE" | "TRACK" => Some((DastCode::Trace, format!("allows {method}"))),
        _ if undeclared(&method) => Some((DastCode::Method, format!("allows {}", printable(&method)))),
        _ => None,
    };
    allowed.filter_map(flaw).collect()
}
