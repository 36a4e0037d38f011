use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing worth telling about a step that is not a finding: tests run, coverage, an image's digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// Yes or no.
    Bool(bool),
    /// A count or a size.
    Int(i64),
    /// A measurement.
    Float(f64),
    /// Anything else.
    Text(String),
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl From<bool> for Fact {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Fact {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Fact {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Text(value.to_string()), Self::Int)
    }
}

impl From<usize> for Fact {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<f64> for Fact {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Fact {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Fact {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// The facts of one step, in the order they were told, and the one line that the table shows.
///
/// Names carry their unit last (`size_bytes`, `p99_ms`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    entries: Vec<(String, Fact)>,
    headline: Option<String>,
}

impl Facts {
    /// No facts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact, replacing an earlier one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Fact>) {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }

    /// Sets the line that the table of a run shows for the step, such as `41 tests, 100.0 % lines`.
    pub fn set_headline(&mut self, headline: impl Into<String>) {
        self.headline = Some(headline.into());
    }

    /// The line that the table shows, if the step gave one.
    #[must_use]
    pub fn headline(&self) -> Option<&str> {
        self.headline.as_deref()
    }

    /// The fact of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, fact)| fact)
    }

    /// Every fact, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.entries.iter().map(|(name, fact)| (name.as_str(), fact))
    }
}

impl Serialize for Facts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headline = self.headline.clone().map(|line| ("headline", Fact::Text(line)));
        serializer.collect_map(headline.into_iter().chain(self.iter().map(|(name, fact)| (name, fact.clone()))))
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = serde_json::Map::deserialize(deserializer)?;
        let mut facts = Self::new();
        for (name, value) in map {
            let fact: Fact = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
            match fact {
                Fact::Text(line) if name == "headline" => facts.set_headline(line),
                fact => facts.insert(name, fact),
            }
        }
        Ok(facts)
    }
}
