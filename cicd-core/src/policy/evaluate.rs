use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::codes::Fault;
use super::reason::repeats;
use super::{Applies, Exception, FindingsByName, Policy, Scope, check_owner, check_reason};
use crate::model::by_key::counting;
use crate::model::{Code, Finding, Level, Severity, Status, Target, closest};

/// How many days ahead an expiry is announced: time for one ordinary upgrade.
const ANNOUNCED_DAYS: i64 = 14;
/// More known owners than these are counted, not named.
const OWNERS_NAMED_MAX: usize = 5;

/// What the policy says of one step's findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// `Passed`, `Exempted` or `Failed`.
    pub status: Status,
    /// The step's findings, marked with the exceptions that allow them, then what is wrong with the exceptions.
    pub findings: Vec<Finding>,
    /// How many findings each exception covers, in the order the exceptions were given.
    pub covered: Vec<usize>,
}

/// Judges findings against exceptions on a day (UTC). Nothing else judges exceptions, wherever they are written down.
///
/// A finding is allowed by the first exception that covers it and is sound. One is not, and allows nothing, that has expired, lasts
/// longer than the policy lets it for the worst that it covers, justifies nothing, or belongs to nobody known; that is a finding of
/// its own then, as is one that covers nothing or what another one allows already. So a list of exceptions cannot rot unseen.
/// These findings cannot be allowed by any exception.
#[must_use]
pub fn evaluate(findings: Vec<Finding>, exceptions: &[Exception], policy: &Policy, today: Date) -> Verdict {
    let mut covered = vec![0; exceptions.len()];
    let mut wrong = vec![Vec::new(); exceptions.len()];
    let by_name = FindingsByName::new(&findings, exceptions);
    let mut allowed = Allowed::new(&by_name, exceptions, findings.len());
    let worst = strictest(&by_name, &findings, policy);
    // Which of two exceptions for one finding is the second must not depend on the order in which a step gives them.
    let mut order: Vec<usize> = (0..exceptions.len()).collect();
    order.sort_by_key(|&place| (exceptions[place].identity(), exceptions[place].applies));
    for place in order {
        let (exception, wrong) = (&exceptions[place], &mut wrong[place]);
        let parts = match exception.applies {
            Applies::Here | Applies::AtTimes => by_name.parts(exception),
            Applies::Elsewhere => Vec::new(),
        };
        covered[place] = parts.iter().map(|&part| by_name.list(part).len()).sum();
        let worst = parts.iter().filter_map(|&part| worst[part]);
        let worst = worst.min_by_key(|severity| policy.limits().days_max(*severity));
        let mut faults = unsound(exception, worst, policy, today);
        let first = parts.iter().find_map(|&part| by_name.list(part).first()).and_then(|&first| findings.get(first));
        if !faults.iter().any(|fault| fault.code == Code::from(Fault::SaysNothing.of(exception.origin).0)) {
            faults.extend(first.and_then(|finding| says_it_again(exception, finding)));
        }
        if faults.is_empty() {
            let earlier = allowed.by(place, &parts).or_else(|| allowed.named(place));
            wrong.extend(earlier.map(|earlier| duplicate(exception, earlier)));
            wrong.extend(soon(exception, today));
        }
        wrong.extend(faults);
        if covered[place] == 0 && exception.applies == Applies::Here && !exception.justification.is_expired(today) {
            wrong.push(unused(exception));
        }
    }
    let allowed_by = allowed.by;
    let mut judged = findings;
    for (finding, exception) in judged.iter_mut().zip(allowed_by) {
        finding.exception = exception.and_then(|place| exceptions.get(place)).map(Exception::to_ref);
    }
    judged.extend(wrong.into_iter().flatten());
    let denied = judged.iter().any(|finding| finding.level == Level::Deny && finding.exception.is_none());
    let exempted = judged.iter().any(|finding| finding.exception.is_some());
    let status = match (denied, exempted) {
        (true, _) => Status::Failed,
        (false, true) => Status::Exempted,
        (false, false) => Status::Passed,
    };
    Verdict { status, findings: judged, covered }
}

/// What sound exceptions allow. However many of them name the same, each list of findings is gone through once.
struct Allowed<'a> {
    by_name: &'a FindingsByName<'a>,
    exceptions: &'a [Exception],
    /// The exception that allows each finding.
    by: Vec<Option<usize>>,
    /// The first exception for each part.
    claimed: Vec<Option<usize>>,
    /// The first exception of each name and scope, of those that need not cover anything.
    named: BTreeMap<(&'a str, &'a Scope), usize>,
}

impl<'a> Allowed<'a> {
    fn new(by_name: &'a FindingsByName<'a>, exceptions: &'a [Exception], findings: usize) -> Self {
        Self {
            by_name,
            exceptions,
            by: vec![None; findings],
            claimed: vec![None; by_name.len()],
            named: BTreeMap::new(),
        }
    }

    /// Lets an exception allow what these parts hold; gives an earlier one that allows some of it already.
    fn by(&mut self, place: usize, parts: &[usize]) -> Option<&'a Exception> {
        let mut earlier = None;
        for &part in parts {
            if let Some(first) = self.claimed[part] {
                earlier = earlier.or(Some(first).filter(|&first| self.overlap(first, place)));
                continue;
            }
            self.claimed[part] = Some(place);
            for &finding in self.by_name.list(part) {
                counting::one();
                match self.by[finding] {
                    Some(first) => earlier = earlier.or(Some(first).filter(|&first| self.overlap(first, place))),
                    None => self.by[finding] = Some(place),
                }
            }
        }
        earlier.and_then(|first| self.exceptions.get(first))
    }

    /// An earlier exception that says the same word for word, where nothing need be found to know it: of two that cover nothing,
    /// both are unused.
    fn named(&mut self, place: usize) -> Option<&'a Exception> {
        let Exception { id, scope, applies, .. } = self.exceptions.get(place)?;
        if *applies != Applies::AtTimes || *scope == Scope::Targets(Vec::new()) {
            return None;
        }
        counting::one();
        let first = *self.named.entry((id, scope)).or_insert(place);
        (first != place && self.overlap(first, place)).then(|| self.exceptions.get(first)).flatten()
    }

    /// Whether two exceptions hold in one environment; where they do not, the second says something of its own.
    fn overlap(&self, one: usize, other: usize) -> bool {
        let environments = |place: usize| self.exceptions.get(place).map(|one| &one.justification.environments);
        environments(one).zip(environments(other)).is_some_and(|(one, other)| one.overlap(other))
    }
}

/// The findings that stand in the way of a clearance for an environment: those that fail a step or block a clearance, unless an
/// exception covers them that holds there.
#[must_use]
pub fn blocking<'a>(
    findings: &'a [Finding],
    exceptions: &[&Exception],
    environment: &str,
    today: Date,
) -> Vec<&'a Finding> {
    let by_name = FindingsByName::new(findings, exceptions.iter().copied());
    let mut is_allowed = vec![false; findings.len()];
    let mut is_done = vec![false; by_name.len()];
    let holds = |exception: &&&Exception| {
        let Exception { justification, applies, .. } = exception;
        *applies != Applies::Elsewhere
            && !justification.is_expired(today)
            && justification.environments.hold_in(environment)
    };
    for part in exceptions.iter().filter(holds).flat_map(|exception| by_name.parts(exception)) {
        if !std::mem::replace(&mut is_done[part], true) {
            for &place in by_name.list(part) {
                counting::one();
                is_allowed[place] = true;
            }
        }
    }
    let open =
        findings.iter().zip(is_allowed).filter(|(finding, is_allowed)| finding.level > Level::Warn && !is_allowed);
    open.map(|(finding, _)| finding).collect()
}

/// For each part, the severity that is allowed for the shortest time.
fn strictest(by_name: &FindingsByName<'_>, findings: &[Finding], policy: &Policy) -> Vec<Option<Severity>> {
    let severity = |&place: &usize| findings.get(place).map(|finding| finding.severity);
    let of_part =
        |part| by_name.list(part).iter().filter_map(severity).min_by_key(|one| policy.limits().days_max(*one));
    (0..by_name.len()).map(of_part).collect()
}

/// Whether an exception may allow anything at all on this day, as far as that can be said before it is known what was found.
#[must_use]
pub fn is_sound(exception: &Exception, policy: &Policy, today: Date) -> bool {
    unsound(exception, None, policy, today).is_empty()
}

/// Why an exception allows nothing. `worst` is the severity, of those that it covers, that is allowed for the shortest time.
pub(crate) fn unsound(exception: &Exception, worst: Option<Severity>, policy: &Policy, today: Date) -> Vec<Finding> {
    let [expired, too_far] = [expired(exception, today), too_far(exception, worst, policy, today)];
    let somebody = unknown_owner(exception, policy).into_iter().chain(unknown_environment(exception, policy));
    expired.into_iter().chain(too_far).chain(says_nothing(exception)).chain(somebody).collect()
}

fn expired(exception: &Exception, today: Date) -> Option<Finding> {
    let Exception { id, justification, .. } = exception;
    justification.is_expired(today).then(|| {
        let ago = days_ago((today - justification.expires).get_days());
        let message =
            format!("the exception for {id} expired on {}, {ago} ({})", justification.expires, justification.owner);
        about(exception, Fault::Expired, message)
    })
}

fn too_far(exception: &Exception, worst: Option<Severity>, policy: &Policy, today: Date) -> Option<Finding> {
    let limits = policy.limits();
    let days = worst.map_or(limits.longest(), |severity| limits.days_max(severity));
    // A day that no calendar has is later than any expiry.
    let last = today.checked_add(i64::from(days).days()).ok()?;
    let Exception { id, justification, .. } = exception;
    (justification.expires > last).then(|| {
        let what = worst.map_or_else(|| "any finding".to_owned(), |severity| format!("{severity} findings"));
        let message = format!(
            "the exception for {id} expires on {}; {what} may be allowed for {days} days at most ({})",
            justification.expires, justification.owner
        );
        about(exception, Fault::TooFar, message)
            .help(format!("write {last} or earlier, and have it reviewed again then"))
    })
}

fn says_nothing(exception: &Exception) -> Option<Finding> {
    let Exception { id, justification, .. } = exception;
    let without_id = justification.reason.replace(id.as_str(), " ");
    let error = check_reason(&without_id).and_then(|()| check_owner(&justification.owner)).err()?;
    Some(about(exception, Fault::SaysNothing, format!("the exception for {id}: {error}")))
}

fn says_it_again(exception: &Exception, finding: &Finding) -> Option<Finding> {
    let Exception { id, justification, .. } = exception;
    repeats(&justification.reason, &finding.message).then(|| {
        let message =
            format!("the exception for {id}: the reason only repeats what was found, and not why that does no harm");
        about(exception, Fault::SaysNothing, message)
    })
}

fn unknown_owner(exception: &Exception, policy: &Policy) -> Option<Finding> {
    let Exception { id, justification, .. } = exception;
    (!policy.knows(&justification.owner)).then(|| {
        let message =
            format!("{} answers for the exception for {id}, but the policy does not know them", justification.owner);
        let known: Vec<_> = policy.known_owners().take(OWNERS_NAMED_MAX).collect();
        let more = policy.known_owners().count() - known.len();
        let more = if more == 0 { String::new() } else { format!(" or {more} more") };
        let finding = about(exception, Fault::UnknownOwner, message);
        if known.is_empty() { finding } else { finding.help(format!("name one of {}{more}", known.join(", "))) }
    })
}

fn unknown_environment(exception: &Exception, policy: &Policy) -> Option<Finding> {
    let Exception { id, justification, .. } = exception;
    let unknown = justification.environments.names().find(|name| !policy.knows_environment(name))?;
    let message =
        format!("the exception for {id} is limited to the environment {unknown}, which the policy does not know");
    let help = match closest(unknown, policy.known_environments()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("name one of {}", policy.known_environments().collect::<Vec<_>>().join(", ")),
    };
    Some(about(exception, Fault::UnknownEnvironment, message).help(help))
}

fn duplicate(exception: &Exception, earlier: &Exception) -> Finding {
    let Exception { id, .. } = exception;
    let message = if earlier.id == *id {
        format!("the exception for {id} allows what the one at {} allows already", earlier.location)
    } else {
        format!("{id} is what the exception at {} already allows as {}", earlier.location, earlier.id)
    };
    about(exception, Fault::Duplicate, message)
}

fn soon(exception: &Exception, today: Date) -> Option<Finding> {
    let expires = exception.justification.expires;
    let announced = today.checked_add(ANNOUNCED_DAYS.days()).ok()?;
    (expires <= announced).then(|| {
        let message = format!("the exception for {} expires on {expires}", exception.id);
        about(exception, Fault::ExpiresSoon, message).level(Level::Warn).severity(Severity::Low)
    })
}

fn unused(exception: &Exception) -> Finding {
    let message =
        format!("the exception for {} covers nothing that was found ({})", exception.id, exception.justification.owner);
    about(exception, Fault::Unused, message)
}

fn about(exception: &Exception, fault: Fault, message: String) -> Finding {
    let (code, help) = fault.of(exception.origin);
    Finding::new(code, message)
        .severity(Severity::Medium)
        .help(help)
        .at(exception.location.clone())
        .target(Target::name(exception.id.as_str()))
}

fn days_ago(days: i32) -> String {
    match days {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
