use camino::Utf8PathBuf;

use super::{ExceptionReport, StepReport};
use crate::model::{Attempt, Code, ExceptionRef, Fact, Facts, Finding, Location};
use crate::policy::{Exception, Justification, Scope};
use crate::process::Redactor;

/// A text that is longer is a file, not a message. Nobody reads more, and a report holds thousands.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;

/// A report as it may be shown: every text in it that came from outside without the secrets of the run, and cut off where it is
/// no message any more.
///
/// Each struct is taken apart in full, so that a field that is added later is not forgotten here.
pub(super) fn redacted(report: StepReport, redactor: &Redactor) -> StepReport {
    let StepReport {
        name,
        status,
        duration_ms,
        reason,
        loaded_from,
        output_sha256,
        relied_on,
        attempts,
        findings,
        exceptions,
        facts,
        attachments,
    } = report;
    let by = By(redactor);
    StepReport {
        name,
        status,
        duration_ms,
        reason: reason.map(|text| by.text(&text)),
        loaded_from,
        output_sha256,
        relied_on: relied_on.map(|relied_on| relied_on.map(|text| by.text(text))),
        attempts: attempts
            .into_iter()
            .map(|Attempt { duration_ms, error }| Attempt { duration_ms, error: error.map(|text| by.text(&text)) })
            .collect(),
        findings: findings.into_iter().map(|finding| by.finding(finding)).collect(),
        exceptions: exceptions
            .into_iter()
            .map(|report| ExceptionReport { exception: by.exception(report.exception), ..report })
            .collect(),
        facts: by.facts(&facts),
        attachments: attachments.into_iter().map(|path| by.path(&path)).collect(),
    }
}

struct By<'a>(&'a Redactor);

impl By<'_> {
    fn text(&self, text: &str) -> String {
        self.0.redact_start(text, TEXT_BYTES_MAX)
    }

    fn path(&self, path: &Utf8PathBuf) -> Utf8PathBuf {
        self.text(path.as_str()).into()
    }

    fn location(&self, Location { path, line, column }: Location) -> Location {
        Location { path: self.path(&path), line, column }
    }

    fn finding(&self, finding: Finding) -> Finding {
        let Finding {
            code,
            severity,
            level,
            message,
            location,
            help,
            aliases,
            target,
            fixed_in,
            source_line,
            is_secret,
            exception,
        } = finding;
        Finding {
            code: Code::new(self.text(code.as_str())),
            severity,
            level,
            message: self.text(&message),
            location: location.map(|location| self.location(location)),
            help: help.map(|text| self.text(&text)),
            aliases: aliases.iter().map(|alias| self.text(alias)).collect(),
            target: target.map(|target| target.map(|text| self.text(text))),
            fixed_in: fixed_in.map(|text| self.text(&text)),
            source_line: source_line.map(|text| self.text(&text)),
            is_secret,
            exception: exception.map(|ExceptionRef { location, reason, owner, expires, environments }| ExceptionRef {
                location: self.location(location),
                reason: self.text(&reason),
                owner: self.text(&owner),
                expires,
                environments,
            }),
        }
    }

    fn exception(&self, exception: Exception) -> Exception {
        let Exception { id, scope, justification, origin, location, applies } = exception;
        let Justification { reason, owner, expires, environments } = justification;
        Exception {
            id: self.text(&id),
            scope: match scope {
                Scope::Any => Scope::Any,
                Scope::Targets(targets) => {
                    Scope::Targets(targets.iter().map(|target| target.map(|text| self.text(text))).collect())
                }
            },
            justification: Justification {
                reason: self.text(&reason),
                owner: self.text(&owner),
                expires,
                environments,
            },
            origin,
            location: self.location(location),
            applies,
        }
    }

    fn facts(&self, facts: &Facts) -> Facts {
        let mut shown = Facts::new();
        for (name, fact) in facts.iter() {
            let fact = match fact {
                Fact::Text(text) => Fact::Text(self.text(text)),
                fact => fact.clone(),
            };
            shown.insert(self.text(name), fact);
        }
        if let Some(headline) = facts.headline() {
            shown.set_headline(self.text(headline));
        }
        shown
    }
}
