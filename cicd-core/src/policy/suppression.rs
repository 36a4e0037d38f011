use camino::Utf8Path;

use super::{Applies, Exception, Origin, Scope, SuppressionCode, justification_above};
use crate::model::{Finding, Level, Location, Severity, Target};

/// How much of a comment's line is shown: enough to find it by.
const SHOWN_CHARS_MAX: usize = 200;

/// A comment in a source file that asks a tool to say nothing, such as `# nosec B301`. The tool is kept from reading it; it is
/// judged here.
#[derive(Debug, Clone, Copy)]
pub struct Suppression<'a> {
    /// The file.
    pub path: &'a Utf8Path,
    /// All lines of the file.
    pub lines: &'a [&'a str],
    /// The comment's line, from 0.
    pub index: usize,
}

impl Suppression<'_> {
    /// The comment's line.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::line(self.path, u32::try_from(self.index + 1).unwrap_or(u32::MAX))
    }

    /// One exception for each of these rules, reaching `targets` and nothing else.
    ///
    /// # Errors
    /// The finding `IGN-016` where no rule is named, or no reason, owner and expiry stand directly above: it hides nothing then.
    #[expect(clippy::result_large_err, reason = "the error is a finding like any other, and kept")]
    pub fn exceptions(&self, rules: &[String], targets: &[Target]) -> Result<Vec<Exception>, Finding> {
        if rules.is_empty() {
            return Err(self.unjustified("it names no rule"));
        }
        let justification =
            justification_above(self.lines, self.index).map_err(|error| self.unjustified(&error.to_string()))?;
        let exception = |rule: &String| Exception {
            id: rule.clone(),
            scope: Scope::Targets(targets.to_vec()),
            justification: justification.clone(),
            origin: Origin::Comment,
            location: self.location(),
            applies: Applies::Here,
        };
        Ok(rules.iter().map(exception).collect())
    }

    /// The finding for one that is not accepted.
    #[must_use]
    pub fn unjustified(&self, problem: &str) -> Finding {
        // A line may hold thousands of comments, each of which is a finding.
        let shown: String =
            self.lines.get(self.index).map_or("", |line| line.trim()).chars().take(SHOWN_CHARS_MAX).collect();
        let location = self.location();
        Finding::new(SuppressionCode::Unjustified, format!("`{shown}`: {problem}"))
            .severity(Severity::Medium)
            .target(location.clone())
            .at(location)
    }
}

/// The warning about a tool's configuration file, where a step is not told to use it: `IGN-017`.
#[must_use]
pub fn stray_configuration(path: &Utf8Path, tool: &str) -> Finding {
    Finding::new(
        SuppressionCode::StrayConfiguration,
        format!("{path} has no effect here, but {tool} called by hand obeys it"),
    )
    .level(Level::Warn)
    .severity(Severity::Low)
    .at(Location::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 5] = [
        "# reason: written by this process a moment ago",
        "# owner: @example/platform",
        "# expires: 2027-03-01",
        "load(data)  # nosec B301",
        "load(data)  # nosec B301",
    ];

    #[test]
    fn a_comment_reaches_its_targets_only_with_a_justification() {
        let at = |index| Suppression { path: "a.py".into(), lines: &LINES, index };
        let (rules, targets) = (["B301".to_owned()], [Target::from(Location::line("a.py", 4))]);
        let exceptions = at(3).exceptions(&rules, &targets).expect("justified");
        assert_eq!(exceptions[0].scope, Scope::Targets(targets.to_vec()));
        assert_eq!(exceptions[0].location.to_string(), "a.py:4");
        let finding = at(4).exceptions(&rules, &targets).expect_err("nothing above it");
        assert_eq!(finding.message, "`load(data)  # nosec B301`: it has no reason, owner and expiry");
        assert!(at(3).exceptions(&[], &targets).expect_err("no rule").message.ends_with("it names no rule"));
        assert_eq!(at(9).exceptions(&rules, &targets).expect_err("no line").location, Some(Location::line("a.py", 10)));
    }
}
