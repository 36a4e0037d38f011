use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// What a step needs for itself while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    names: BTreeSet<Cow<'static, str>>,
    quiet_machine: bool,
    /// Whether it has a tool look at the files of the workspace as they lie.
    reads_source: bool,
    /// Whether it runs code of the repository, which may write to them.
    runs_code: bool,
}

impl Claims {
    /// Nothing: it runs beside any other step.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A named thing that one step holds at a time, such as `docker-build`.
    #[must_use]
    pub fn exclusive(name: impl Into<Cow<'static, str>>) -> Self {
        Self { names: BTreeSet::from([name.into()]), ..Self::default() }
    }

    /// The whole machine: nothing else runs while it measures.
    #[must_use]
    pub fn quiet_machine() -> Self {
        Self { quiet_machine: true, ..Self::default() }
    }

    /// The files of the workspace as they lie, which a tool looks at: no step that runs code of the repository runs meanwhile, as that
    /// could show the tool other files. What is read by [`Context::read_file`](super::Context::read_file) needs no claim.
    #[must_use]
    pub fn reading_source(self) -> Self {
        Self { reads_source: true, ..self }
    }

    /// Code of the repository, such as its tests. Every step that is not of this library counts as one.
    #[must_use]
    pub fn running_code(self) -> Self {
        Self { runs_code: true, ..self }
    }

    /// Whether code of the repository runs.
    pub(crate) fn runs_code(&self) -> bool {
        self.runs_code
    }

    /// Whether two steps with these claims may run at the same time.
    #[must_use]
    pub fn agree_with(&self, other: &Self) -> bool {
        let shows_other_files = |one: &Self, other: &Self| one.runs_code && other.reads_source;
        !self.quiet_machine
            && !other.quiet_machine
            && self.names.is_disjoint(&other.names)
            && !shows_other_files(self, other)
            && !shows_other_files(other, self)
    }

    /// Whether steps that run code of the repository wait while this one could start: what only reads is quick, and goes before code runs
    /// that could leave something behind.
    #[must_use]
    pub(crate) fn only_reads(&self) -> bool {
        self.reads_source && !self.runs_code
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quiet = self.quiet_machine.then_some("the quiet machine");
        let all: Vec<_> = self.names.iter().map(AsRef::as_ref).chain(quiet).collect();
        f.write_str(&all.join(", "))
    }
}

/// What a step changes in the world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Effect {
    /// Nothing: it may run at any time.
    #[default]
    None,
    /// Something, under the name that `--effect` takes: `push`, `deploy`.
    Named(&'static str),
}

impl Effect {
    /// The name that `--effect` takes, if there is an effect.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Named(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_agrees_with_nothing() {
        let (none, build, quiet) = (Claims::none(), Claims::exclusive("docker-build"), Claims::quiet_machine());
        assert!(none.agree_with(&build) && none.agree_with(&none));
        assert!(!build.agree_with(&build));
        assert!(!quiet.agree_with(&none) && !none.agree_with(&quiet));
    }

    #[test]
    fn code_of_the_repository_runs_beside_nothing_that_reads_its_files() {
        let (reads, runs) = (Claims::none().reading_source(), Claims::none().running_code());
        let both = Claims::none().reading_source().running_code();
        assert!(reads.agree_with(&reads) && runs.agree_with(&runs));
        assert!(reads.agree_with(&Claims::none()) && runs.agree_with(&Claims::none()));
        for (one, other) in [(&reads, &runs), (&both, &runs), (&both, &reads), (&both, &both)] {
            assert!(!one.agree_with(other) && !other.agree_with(one), "{one:?} {other:?}");
        }
        assert!(reads.only_reads() && !both.only_reads() && !runs.only_reads() && !Claims::none().only_reads());
    }
}
