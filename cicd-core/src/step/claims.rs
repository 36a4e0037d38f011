use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// What a step needs for itself while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    names: BTreeSet<Cow<'static, str>>,
    quiet_machine: bool,
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
        Self { names: BTreeSet::from([name.into()]), quiet_machine: false }
    }

    /// The whole machine: nothing else runs while it measures.
    #[must_use]
    pub fn quiet_machine() -> Self {
        Self { names: BTreeSet::new(), quiet_machine: true }
    }

    /// Whether two steps with these claims may run at the same time.
    #[must_use]
    pub fn agree_with(&self, other: &Self) -> bool {
        !self.quiet_machine && !other.quiet_machine && self.names.is_disjoint(&other.names)
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
}
