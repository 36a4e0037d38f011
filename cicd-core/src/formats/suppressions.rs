use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use crate::model::{Finding, Target};
use crate::policy::{Exception, Scope, Suppression, justification_above};

/// The comments of a step's files that ask its tool to say nothing: those that become exceptions, and those that are findings.
///
/// ```
/// use cicd_core::formats::Suppressions;
/// use cicd_core::policy::Suppression;
///
/// let lines = [
///     "# reason: written by this process a moment ago",
///     "# owner: @example/platform",
///     "# expires: 2027-03-01",
///     "load(data)  # nosec B301",
///     "load(data)  # nosec B301",
/// ];
/// let mut comments = Suppressions::default();
/// for index in [3, 4] {
///     let comment = Suppression { path: "a.py".into(), lines: &lines, index };
///     comments.judge(comment, vec![("B301".to_owned(), vec![comment.location().into()])]);
/// }
/// let mut findings = Vec::new();
/// let exceptions = comments.settle(&mut findings);
/// assert_eq!(exceptions.len(), 1);
/// assert_eq!(findings[0].message, "`load(data)  # nosec B301`: it has no reason, owner and expiry");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Suppressions {
    exceptions: Vec<Exception>,
    /// The names of findings, and files of which an exception of the pipeline's source says what a comment would.
    accepted: BTreeSet<(String, Utf8PathBuf)>,
    standing: Vec<Finding>,
    refused: Vec<Finding>,
}

impl Suppressions {
    /// None yet, where these exceptions of a step's settings do as well as a comment wherever their files have none. The step brings
    /// them along by itself.
    pub(crate) fn accepting<'a>(exceptions: impl IntoIterator<Item = &'a Exception>) -> Self {
        let files = |exception: &'a Exception| match &exception.scope {
            Scope::Targets(targets) => targets
                .iter()
                .filter_map(|target| match target {
                    Target::Place(place) if place.line.is_none() => Some((exception.id.clone(), place.path.clone())),
                    _ => None,
                })
                .collect(),
            Scope::Any => Vec::new(),
        };
        Self { accepted: exceptions.into_iter().flat_map(files).collect(), ..Self::default() }
    }

    /// Whether the pipeline's source accepts what was found on a line. What stands above it and is wrong is not mended by that.
    fn accepts(&self, place: Suppression<'_>, found: &Finding) -> bool {
        let says_nothing = justification_above(place.lines, place.index).is_err_and(|problem| problem.is_nothing());
        says_nothing && self.accepted.contains(&(found.code.to_string(), place.path.to_owned()))
    }

    /// Judges a comment that names rules, each with what it reaches of that rule; without a justification directly above, it hides
    /// nothing.
    pub fn judge(&mut self, comment: Suppression<'_>, rules: Vec<(String, Vec<Target>)>) {
        let (names, targets): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
        match comment.exceptions(&names, &[]) {
            Ok(exceptions) => {
                let each = exceptions.into_iter().zip(targets);
                let each = each.map(|(exception, targets)| Exception { scope: Scope::Targets(targets), ..exception });
                self.exceptions.extend(each);
            }
            Err(finding) => self.refused.push(finding),
        }
    }

    /// Judges a comment whose effect the tool cannot be kept from, nor asked about: `standing` stands for what it hides. Whether
    /// anybody answers for it.
    pub fn judge_unseen(&mut self, comment: Suppression<'_>, standing: Finding) -> bool {
        let target = Target::from(comment.location());
        match comment.exceptions(&[standing.code.to_string()], std::slice::from_ref(&target)) {
            Ok(exceptions) => {
                self.exceptions.extend(exceptions);
                self.standing.push(standing.target(target).at(comment.location()));
                true
            }
            Err(_) if self.accepts(comment, &standing) => {
                self.standing.push(standing.target(target).at(comment.location()));
                true
            }
            Err(finding) => {
                self.refused.push(finding);
                false
            }
        }
    }

    /// Judges what a step found on a line of a file by itself, such as a setting: comments directly above the line of `place`, or of
    /// one of `others` (from 0), may justify it. Whether they do.
    pub fn judge_found(&mut self, place: Suppression<'_>, others: &[usize], found: Finding) -> bool {
        let target = Target::from(place.location());
        let found = found.target(target.clone()).at(place.location());
        let rules = [found.code.to_string()];
        let targets = std::slice::from_ref(&target);
        // The first place where anything stands decides: what is wrong there is not mended by another, which may reach further.
        let says = |index: &usize| !justification_above(place.lines, *index).is_err_and(|problem| problem.is_nothing());
        let index = std::iter::once(place.index).chain(others.iter().copied()).find(says).unwrap_or(place.index);
        if let Err(problem) = justification_above(place.lines, index) {
            if self.accepts(Suppression { index, ..place }, &found) {
                self.standing.push(found);
                return true;
            }
            let message = format!("{} ({problem})", found.message);
            self.standing.push(Finding { message, ..found });
            return false;
        }
        let exceptions = Suppression { index, ..place }.exceptions(&rules, targets);
        self.exceptions.extend(exceptions.into_iter().flatten());
        self.standing.push(found);
        true
    }

    /// Refuses a comment that could not be justified.
    pub fn refuse(&mut self, comment: Suppression<'_>, problem: &str) {
        self.refused.push(comment.unjustified(problem));
    }

    /// The exceptions. What is wrong with comments joins the tool's own findings; what is wrong with exceptions, such as their
    /// expiry, is for `policy::evaluate` to say.
    #[must_use]
    pub fn settle(self, findings: &mut Vec<Finding>) -> Vec<Exception> {
        findings.extend(self.standing);
        findings.extend(self.refused);
        self.exceptions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;

    #[test]
    fn what_is_wrong_above_one_line_is_not_mended_above_another() {
        let why = "# reason: the table is made by a program\n# owner: @example/shop\n# expires: 2027-01-01\n";
        for (above, is_justified) in [
            ("", true),
            ("# Words about it.\n", true),
            ("# environments: local\n", false),
            ("# evironments: local\n", false),
            ("# owner: @example/shop\n", false),
            (&why.replace("2027", "soon"), false),
        ] {
            let text = format!("{why}[table]\nx = 1\n{above}key = 1\n");
            let lines: Vec<_> = text.lines().collect();
            let place = Suppression { path: "a".into(), lines: &lines, index: lines.len() - 1 };
            let mut comments = Suppressions::default();
            let found = Finding::with_code(Code::from_static("X1"), "it softens");
            assert_eq!(comments.judge_found(place, &[3], found), is_justified, "{above}");
            assert_eq!(comments.settle(&mut Vec::new()).len(), usize::from(is_justified), "{above}");
        }
    }
}
