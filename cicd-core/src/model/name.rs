use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a step: what the table shows, what `--only` takes and the name of its folder on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepName(String);

/// Longer names would not fit the first column of an 80-column table.
const STEP_NAME_CHARS_MAX: usize = 24;

impl StepName {
    /// Checks a name.
    ///
    /// # Errors
    /// A name that is empty, longer than 24 characters, or has anything but `a-z`, `0-9` and inner `-`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let framed = name.starts_with('-') || name.ends_with('-') || name.is_empty();
        if plain && !framed && name.len() <= STEP_NAME_CHARS_MAX { Ok(Self(name)) } else { Err(InvalidName(name)) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for StepName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<StepName> for String {
    fn from(name: StepName) -> Self {
        name.0
    }
}

/// A name that cannot name a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a step name: use 1 to 24 characters of a-z, 0-9 and inner hyphens")]
pub struct InvalidName(pub String);

/// The name of one run, `20261121T093015.123Z-4711`: UTC start time, then the process id. Sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of a run started at `started_at` by process `pid`.
    #[must_use]
    pub fn new(started_at: jiff::Timestamp, pid: u32) -> Self {
        Self(format!("{}-{pid}", started_at.strftime("%Y%m%dT%H%M%S.%3fZ")))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that a text is, if it is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::is_one(text).then(|| Self(text.to_owned()))
    }

    /// Whether a name is that of a run.
    pub(crate) fn is_one(name: &str) -> bool {
        let Some((time, pid)) = name.split_once("Z-") else { return false };
        let fits = |(at, byte): (usize, u8)| match at {
            8 => byte == b'T',
            15 => byte == b'.',
            _ => byte.is_ascii_digit(),
        };
        let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        time.len() == 19 && time.bytes().enumerate().all(fits) && is_number
    }

    /// When the run of this id began; nothing where the name is that of no run.
    pub(crate) fn started_at(&self) -> Option<jiff::Timestamp> {
        let (time, _) = self.0.split_once("Z-").filter(|_| Self::is_one(&self.0))?;
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.f", time).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }

    /// Whether the run of this id, which names a folder, is one of this process.
    pub(crate) fn is_of_this_process(id: &str) -> bool {
        id.rsplit_once('-').is_some_and(|(_, pid)| pid == std::process::id().to_string())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_path_or_the_table_are_refused() {
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a b", "a_b", "abcdefghijklmnopqrstuvwxy"] {
            assert!(StepName::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(StepName::new("docker-build-2").is_ok());
    }

    #[test]
    fn run_ids_sort_by_time() {
        let early = RunId::new(jiff::Timestamp::from_second(1_000_000_000).expect("in range"), 99);
        let late = RunId::new(jiff::Timestamp::from_second(1_000_000_001).expect("in range"), 1);
        assert!(early < late);
        assert_eq!(early.as_str(), "20010909T014640.000Z-99");
        assert!(RunId::is_one(early.as_str()));
        assert_eq!(early.started_at().map(|at| at.as_second()), Some(1_000_000_000));
        for other in
            ["", "index.html", "exp1", "20010909T014640.000Z-", "20010909T014640.000Z-x", "x0010909T014640.000Z-9"]
        {
            assert!(!RunId::is_one(other), "{other:?}");
        }
    }
}
