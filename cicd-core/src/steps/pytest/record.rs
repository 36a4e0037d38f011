//! What `keeper.py` wrote down: line by line, each bound to those before it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::measurement::Arc;
use crate::formats::hex;

/// Everything that happened in one process of pytest.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Record {
    /// Every test that was collected, in order, before anything could leave one out.
    pub(super) items: Vec<Item>,
    /// What could not be collected, or was skipped as a whole.
    pub(super) uncollected: Vec<Uncollected>,
    /// How many tests were to be run in the end.
    pub(super) chosen: Option<usize>,
    pub(super) phases: BTreeMap<String, Vec<Phase>>,
    pub(super) reports: BTreeMap<String, Vec<Report>>,
    /// Tests whose call ended by an exception, whatever was made of it.
    raised: BTreeSet<String>,
    /// The code that ran as each test, each time that it ran; none where it was not entered, or an exception of it got lost.
    pub(super) called: BTreeMap<String, Vec<Option<(String, u32)>>>,
    /// Hooks that come from neither pytest nor a package of the environment.
    pub(super) hooks: Vec<Named>,
    /// Parts of pytest that were replaced while it ran.
    pub(super) patched: Vec<Named>,
    /// Files that were loaded as code and belong to neither Python nor the environment.
    pub(super) loaded: BTreeSet<String>,
    /// Files of the repository that were run as the Python that they hold, whatever they are called.
    pub(super) texts: BTreeSet<String>,
    /// What was measured of each file, by its path as coverage.py shows it.
    pub(super) measured: BTreeMap<String, Vec<Arc>>,
    /// What pytest came to.
    pub(super) code: i32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) names: Vec<String>,
    pub(super) code: Option<(String, u32)>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Uncollected {
    pub(super) id: String,
    pub(super) outcome: String,
    /// The file that the line is in, which need not be the one that was skipped.
    pub(super) path: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    Setup,
    Call,
    Teardown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Raw {
    Passed,
    Failed,
    Skipped,
    Xfailed,
}

/// How a part of a test ended: as it was, and as pytest reports it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Phase {
    pub(super) when: When,
    pub(super) raw: Raw,
    pub(super) outcome: Option<String>,
    pub(super) wasxfail: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Report {
    pub(super) outcome: String,
    pub(super) wasxfail: bool,
    pub(super) place: Option<(String, u32)>,
    pub(super) why: String,
    /// Whether it tells of a part of its test.
    pub(super) sub: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) place: Option<(String, u32)>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Item(Item),
    Uncollected(Uncollected),
    Chosen {
        count: usize,
    },
    Phase {
        id: String,
        #[serde(flatten)]
        phase: Phase,
    },
    Report {
        id: String,
        #[serde(flatten)]
        report: Report,
    },
    Called {
        id: String,
        code: Option<(String, u32)>,
        raised: bool,
        /// Whether the interpreter showed the code of the test to end by a return.
        returned: bool,
    },
    Hook(Named),
    Patched(Named),
    Loaded {
        paths: BTreeSet<String>,
        texts: BTreeSet<String>,
    },
    Measured {
        path: String,
        arcs: Vec<Arc>,
    },
    End {
        code: i32,
    },
}

/// A record that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    #[error("line {0} of the record is not what the recorder wrote")]
    Changed(usize),
    #[error("line {0} of the record: {1}")]
    Malformed(usize, String),
    #[error("the record of the tests has no end: the process ended in the midst of them")]
    Unfinished,
}

pub(super) fn read_record(bytes: &[u8], key: &[u8]) -> Result<Record, RecordError> {
    let mut record = Record::default();
    let mut before = String::new();
    let mut ended = false;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate().map(|(index, line)| (index + 1, line)) {
        if line.is_empty() {
            continue;
        }
        if ended {
            return Err(RecordError::Changed(number));
        }
        let tab = line.iter().rposition(|&byte| byte == b'\t').ok_or(RecordError::Changed(number))?;
        let (text, sum) = (&line[..tab], &line[tab + 1..]);
        let inner = Sha256::new().chain_update(key).chain_update(&before).chain_update(text).finalize();
        let expected = hex(&Sha256::new().chain_update(key).chain_update(inner).finalize());
        if sum != expected.as_bytes() {
            return Err(RecordError::Changed(number));
        }
        before = expected;
        let line = serde_json::from_slice(text).map_err(|error| RecordError::Malformed(number, error.to_string()))?;
        ended = record.add(line);
    }
    if ended { Ok(record) } else { Err(RecordError::Unfinished) }
}

impl Record {
    fn add(&mut self, line: Line) -> bool {
        match line {
            Line::Item(item) => self.items.push(item),
            Line::Uncollected(one) => self.uncollected.push(one),
            Line::Chosen { count } => self.chosen = Some(count),
            Line::Phase { id, phase } => self.phases.entry(id).or_default().push(phase),
            Line::Report { id, report } => self.reports.entry(id).or_default().push(report),
            Line::Called { id, code, raised, returned } => {
                if raised && !returned {
                    self.raised.insert(id.clone());
                }
                self.called.entry(id).or_default().push(code.filter(|_| raised || returned));
            }
            Line::Hook(one) => self.hooks.push(one),
            Line::Patched(one) => self.patched.push(one),
            Line::Loaded { paths, texts } => {
                self.loaded.extend(paths);
                self.texts.extend(texts);
            }
            Line::Measured { path, arcs } => {
                self.measured.insert(path, arcs);
            }
            Line::End { code } => {
                self.code = code;
                return true;
            }
        }
        false
    }
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    Passed,
    /// It failed; whether the report that others see says otherwise.
    Failed {
        hidden: bool,
    },
    Skipped {
        place: Option<(String, u32)>,
        why: String,
    },
    ExpectedFailure {
        why: String,
    },
    UnexpectedPass,
    /// It was not run to its end.
    NotRun(String),
}

impl Record {
    /// How many parts of tests were reported beside their tests.
    pub(super) fn subtests(&self) -> usize {
        self.reports.values().flatten().filter(|one| one.sub).count()
    }

    /// How this test ended, by what happened and not by what was reported.
    pub(super) fn ended(&self, id: &str) -> Ended {
        let none = (Vec::new(), Vec::new());
        let phases = self.phases.get(id).unwrap_or(&none.0);
        let reports = self.reports.get(id).unwrap_or(&none.1);
        if phases.is_empty() {
            return Ended::NotRun("it was collected, but never run".to_owned());
        }
        let expected = phases.iter().any(|one| one.wasxfail) || reports.iter().any(|one| one.wasxfail);
        let why = || reports.iter().map(|one| one.why.clone()).find(|why| !why.is_empty()).unwrap_or_else(String::new);
        let reported = reports.iter().any(|one| one.outcome == "failed");
        let raised = phases.iter().any(|one| one.raw == Raw::Failed && !one.wasxfail);
        if reported || raised {
            return Ended::Failed { hidden: !reported };
        }
        if let Some(odd) = reports.iter().find(|one| !["passed", "skipped"].contains(&one.outcome.as_str())) {
            return Ended::NotRun(format!("it ended as `{}`", odd.outcome));
        }
        if expected || phases.iter().any(|one| one.raw == Raw::Xfailed) {
            let failed = phases.iter().any(|one| one.raw != Raw::Passed);
            return if failed { Ended::ExpectedFailure { why: why() } } else { Ended::UnexpectedPass };
        }
        let skipped = phases.iter().any(|one| one.raw == Raw::Skipped || one.outcome.as_deref() == Some("skipped"));
        if skipped || reports.iter().any(|one| one.outcome == "skipped") {
            let place = reports.iter().find_map(|one| one.place.clone());
            return Ended::Skipped { place, why: why() };
        }
        let missing = [When::Setup, When::Call, When::Teardown]
            .into_iter()
            .find(|when| !phases.iter().any(|one| one.when == *when && one.raw == Raw::Passed));
        match missing {
            Some(when) => Ended::NotRun(format!("its {when:?} was not run").to_lowercase()),
            None if self.raised.contains(id) => Ended::Failed { hidden: true },
            None => Ended::Passed,
        }
    }
}
