use camino::Utf8PathBuf;

use crate::model::{Fact, Facts, Finding};
use crate::policy::Exception;

/// What a step gives back when it looked: a value for later steps, findings for the policy, facts for the reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T> {
    /// For later steps; they get it only if the verdict on the findings is green.
    pub value: T,
    /// What was seen.
    pub findings: Vec<Finding>,
    /// The exceptions that were written down for this step.
    pub exceptions: Vec<Exception>,
    /// What is worth telling.
    pub facts: Facts,
    /// Reports worth keeping, inside the step's folder.
    pub attachments: Vec<Utf8PathBuf>,
}

impl<T> Outcome<T> {
    /// Looked, and nothing was found.
    #[must_use]
    pub fn of(value: T) -> Self {
        Self { value, findings: Vec::new(), exceptions: Vec::new(), facts: Facts::new(), attachments: Vec::new() }
    }

    /// Adds findings.
    #[must_use]
    pub fn findings(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.findings.extend(findings);
        self
    }

    /// Adds exceptions.
    #[must_use]
    pub fn exceptions(mut self, exceptions: impl IntoIterator<Item = Exception>) -> Self {
        self.exceptions.extend(exceptions);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Fact>) -> Self {
        self.facts.insert(name, value);
        self
    }

    /// Sets the line that the table shows.
    #[must_use]
    pub fn headline(mut self, headline: impl Into<String>) -> Self {
        self.facts.set_headline(headline);
        self
    }

    /// The same outcome with another value.
    #[must_use]
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U> {
        let Self { value, findings, exceptions, facts, attachments } = self;
        Outcome { value: map(value), findings, exceptions, facts, attachments }
    }
}
