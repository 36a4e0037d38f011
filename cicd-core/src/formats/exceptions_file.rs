use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Problems, RawConfig, config};
use crate::model::Target;
use crate::policy::{Applies, Exception, InvalidJustification, Justification, Origin, Scope};

/// What `ci/exceptions.toml` allows, by the kind of step that reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExceptionsFile {
    /// What looks like a secret and is none.
    pub secrets: Vec<Exception>,
    /// What the HTTP checks may find on a route.
    pub dast: Vec<Exception>,
}

impl ExceptionsFile {
    /// All of them.
    #[must_use]
    pub fn all(self) -> Vec<Exception> {
        let Self { mut secrets, dast } = self;
        secrets.extend(dast);
        secrets
    }
}

/// Reads `ci/exceptions.toml`: what looks like a secret and is none, and what the HTTP checks may find.
///
/// ```toml
/// [[secret]]
/// rule = "aws-access-key-id"                # Trivy's name of what it took it for; "gitleaks/…" for that of gitleaks
/// path = "docs/signing.md"                  # the file, relative to the repository
/// sha256 = "…"                              # of the lines it stands in; the finding says it
/// reason = "the key of the vendor's own manual, which opens nothing"
/// owner = "@example/security"
/// expires = "2027-01-15"
///
/// [[dast]]
/// code = "DAST-006"
/// route = "/status"                         # as it is given to the step
/// reason = "the proxy in front of it takes the header away"
/// owner = "@example/security"
/// expires = "2027-01-15"
/// environments = ["local"]                  # may be left out; it clears nothing for any other
/// ```
///
/// An entry for a secret names the text and not its line, so that it survives edits above it and does not cover another secret that takes its place.
///
/// # Errors
/// Every entry that is incomplete, unknown or justifies nothing, with its place: none of them allows anything then.
pub fn read_exceptions(path: &Utf8Path, text: &str) -> Result<ExceptionsFile, ConfigError> {
    config::parse::<RawFile>(path, text)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    secret: Vec<RawSecret>,
    #[serde(default)]
    dast: Vec<RawDast>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDast {
    code: Spanned<String>,
    route: Spanned<String>,
    reason: Spanned<String>,
    owner: Spanned<String>,
    expires: Spanned<String>,
    environments: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecret {
    rule: Spanned<String>,
    path: Spanned<Utf8PathBuf>,
    sha256: Spanned<String>,
    reason: Spanned<String>,
    owner: Spanned<String>,
    expires: Spanned<String>,
    environments: Option<Spanned<Vec<String>>>,
}

impl RawConfig for RawFile {
    type Valid = ExceptionsFile;

    fn validate(self, mut problems: Problems<'_>) -> Result<ExceptionsFile, ConfigError> {
        let mut seen = BTreeSet::new();
        let mut file = ExceptionsFile::default();
        for raw in &self.secret {
            let exception = raw.exception(&mut problems);
            if !seen.insert((raw.rule.get_ref(), raw.path.get_ref(), raw.sha256.get_ref())) {
                problems.add(raw.rule.span(), "this secret is listed already").help("keep one of the entries");
            }
            file.secrets.extend(exception);
        }
        let mut seen = BTreeSet::new();
        for raw in &self.dast {
            let exception = raw.exception(&mut problems);
            if !seen.insert((raw.code.get_ref(), raw.route.get_ref())) {
                problems.add(raw.code.span(), "this is listed for the route already").help("keep one of the entries");
            }
            file.dast.extend(exception);
        }
        problems.finish(file)
    }
}

impl RawDast {
    fn exception(&self, problems: &mut Problems<'_>) -> Option<Exception> {
        let digits = self.code.get_ref().strip_prefix("DAST-");
        if !digits.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit())) {
            problems.add(self.code.span(), "this is no code of the HTTP checks").help("write one such as `DAST-006`");
        }
        if !self.route.get_ref().starts_with('/') {
            problems.add(self.route.span(), "this is not a route").help("write it as it is given to the step");
        }
        Some(Exception {
            id: self.code.get_ref().clone(),
            scope: Scope::Targets(vec![Target::route(self.route.get_ref().as_str())]),
            justification: justification(
                [&self.reason, &self.owner, &self.expires],
                self.environments.as_ref(),
                problems,
            )?,
            origin: Origin::ExceptionsFile,
            location: problems.location(self.code.span()),
            applies: Applies::Here,
        })
    }
}

fn justification(
    [reason, owner, expires]: [&Spanned<String>; 3],
    environments: Option<&Spanned<Vec<String>>>,
    problems: &mut Problems<'_>,
) -> Option<Justification> {
    let justification = Justification::new(reason.get_ref(), owner.get_ref(), expires.get_ref());
    let limited = justification.and_then(|justification| match environments {
        Some(names) => justification.only_in(names.get_ref()),
        None => Ok(justification),
    });
    match limited {
        Ok(justification) => Some(justification),
        Err(error) => {
            let span = match error {
                InvalidJustification::Reason(_) => reason.span(),
                InvalidJustification::Owner(_) => owner.span(),
                InvalidJustification::Expiry(_) => expires.span(),
                InvalidJustification::Environment(_) => environments.map_or_else(|| reason.span(), Spanned::span),
            };
            problems.add(span, error.to_string());
            None
        }
    }
}

impl RawSecret {
    fn exception(&self, problems: &mut Problems<'_>) -> Option<Exception> {
        let is_rule = |rule: &str| {
            !rule.is_empty() && rule.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !is_rule(self.rule.get_ref()) {
            problems
                .add(self.rule.span(), "this is not a rule")
                .help("write the finding's code, such as `private-key`");
        }
        let digits = self.sha256.get_ref();
        if digits.len() != 64 || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            problems.add(self.sha256.span(), "this is not a sha256").help("copy it from the finding");
        }
        let path = self.path.get_ref();
        if path.as_str().is_empty() || path.is_absolute() || path.as_str().contains("..") {
            problems.add(self.path.span(), "this is not a file of the repository").help("write its path from the root");
        }
        Some(Exception {
            id: self.rule.get_ref().clone(),
            scope: Scope::target(Target::Secret { path: path.clone(), sha256: digits.clone() }),
            justification: justification(
                [&self.reason, &self.owner, &self.expires],
                self.environments.as_ref(),
                problems,
            )?,
            origin: Origin::ExceptionsFile,
            location: problems.location(self.rule.span()),
            applies: Applies::Here,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[secret]]\nrule = \"private-key\"\npath = \"docs/tls.md\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\nreason = \"the key of a manual, which opens nothing\"\nowner = \"@example/security\"\nexpires = \"2027-01-15\"\n";

    fn read(text: &str) -> Result<Vec<Exception>, String> {
        read_exceptions("ci/exceptions.toml".into(), text).map(ExceptionsFile::all).map_err(|error| error.to_string())
    }

    #[test]
    fn an_entry_names_the_rule_the_file_and_the_text() {
        let all = read(ENTRY).expect("valid");
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].id.as_str(), all[0].location.line), ("private-key", Some(2)));
        assert!(
            matches!(&all[0].scope, Scope::Targets(targets) if targets[0].to_string().starts_with("docs/tls.md#sha256:9f86"))
        );
        assert!(read("# nothing yet\n").expect("empty").is_empty());
    }

    #[test]
    fn anything_less_is_refused_with_its_place() {
        for (from, to, problem) in [
            ("reason = \"the key of a manual, which opens nothing\"\n", "", "the key `reason` is missing"),
            ("owner = \"@example", "owner = \"example", "is not an owner"),
            ("2027-01-15", "2027-13-15", "is not a date"),
            ("the key of a manual, which opens nothing", "todo", "says too little"),
            ("9f86", "9F86", "not a sha256"),
            ("docs/tls.md", "/docs/tls.md", "not a file of the repository"),
            ("docs/tls.md", "../tls.md", "not a file of the repository"),
            ("private-key", "*", "not a rule"),
            ("expires", "expire", "unknown key `expire`"),
            ("[[secret]]", "[[secrets]]", "unknown key `secrets`"),
            ("[[secret]]", "[[secret]", ":1:"),
        ] {
            let error = read(&ENTRY.replacen(from, to, 1)).expect_err(to);
            assert!(error.contains(problem) && error.contains("ci/exceptions.toml:"), "{problem}: {error}");
        }
        assert!(read(&ENTRY.repeat(2)).expect_err("twice").contains("listed already"));
    }

    const DAST: &str = "[[dast]]\ncode = \"DAST-006\"\nroute = \"/status\"\nreason = \"the proxy in front of it takes the header away\"\nowner = \"@example/security\"\nexpires = \"2027-01-15\"\n";

    #[test]
    fn a_limit_that_cannot_be_read_is_refused() {
        let limited = |value: &str| read(&format!("{ENTRY}{value}\n"));
        let local = limited("environments = [\"local\"]").expect("valid");
        assert!(local[0].justification.environments.hold_in("local"));
        assert!(!local[0].justification.environments.hold_in("production"));
        for wrong in [
            "environments = []",
            "environments = [\"\"]",
            "environments = \"local\"",
            "environments = [\"*\"]",
            "environments = [\"Production\"]",
            "environment = [\"local\"]",
            "environments = [\"local\"]\nenvironments = [\"production\"]",
            "environments = {}",
        ] {
            limited(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn places_are_those_of_the_entries_however_many_there_are() {
        let one = |number: usize| ENTRY.replace("docs/tls.md", &format!("docs/é{number}.md"));
        let all = read(&(0..900).map(one).collect::<String>()).expect("valid");
        let lines: Vec<_> = all.iter().map(|one| one.location.line).collect();
        assert_eq!(lines, (0..900).map(|number| Some(2 + 7 * number)).collect::<Vec<_>>());
        assert!(all.iter().all(|one| one.location.column == Some(8)), "{:?}", all[0].location);
    }

    #[test]
    fn an_entry_of_the_http_checks_names_the_code_and_the_route() {
        let file = read_exceptions("ci/exceptions.toml".into(), &format!("{ENTRY}{DAST}")).expect("valid");
        assert_eq!((file.secrets.len(), file.dast.len()), (1, 1));
        assert_eq!(file.dast[0].scope, Scope::target(Target::route("/status")));
        for (from, to, problem) in [
            ("DAST-006", "DAST-*", "no code of the HTTP checks"),
            ("\"/status\"", "\"status\"", "not a route"),
            ("2027-01-15", "soon", "is not a date"),
            ("route", "path", "unknown key `path`"),
        ] {
            let error = read(&DAST.replacen(from, to, 1)).expect_err(to);
            assert!(error.contains(problem), "{problem}: {error}");
        }
        assert!(read(&DAST.repeat(2)).expect_err("twice").contains("listed for the route already"));
    }
}
