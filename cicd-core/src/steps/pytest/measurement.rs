//! What the tests cover. The recorder measures it in its process, beneath the tests, and tells it in its record, line by line:
//! no file holds it that a test, a process of one or a handler at the end could write to.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::Pytest;
use super::judge::{Source, Sources};
use super::record::Record;
use super::step::{START, remove};
use crate::formats::coverage::{MeasuredCoverage, MeasuredSource, candidate_paths, read_coverage};
use crate::process::Invocation;
use crate::step::{Context, ReadError, StepError};

/// The program that makes the tool's own report of what a record tells.
const REPORTER: &str = include_str!("reporter.py");
/// The name of the settings in the folder of a process.
pub(super) const COVERAGE_FILE: &str = "coverage.ini";
/// The settings of the measurement. Nothing is left out of it: what need not be measured is judged from the source, by the gate.
pub(super) const COVERAGE_SETTINGS: &str = "\
[run]
branch = true
relative_files = true

[report]
exclude_lines = (?!)
partial_branches = (?!)
";

/// From which line to which code went; a negative one is that of what was entered or left.
pub(super) type Arc = (i64, i64);

/// Where code begins that was entered, and the line that it ran first.
fn entry(&(from, to): &Arc) -> Option<(u32, u32)> {
    Some((u32::try_from(from.checked_neg()?).ok()?, u32::try_from(to).ok()?))
}

/// What the reporter is told on standard input.
#[derive(Serialize)]
struct Order<'a> {
    program: &'static str,
    settings: Utf8PathBuf,
    measured: &'a BTreeMap<String, Vec<Arc>>,
    report: Utf8PathBuf,
}

impl Pytest {
    /// The report of what a record tells, made in `out`, which no test has known.
    pub(super) fn report(&self, python: &Utf8Path, root: &Utf8Path, out: &Utf8Path) -> Invocation {
        Invocation::program(python)
            .args(["-I", "-B", "-X", &format!("pycache_prefix={}", out.join("pycache")), "-c", START])
            .dir(root.join(&self.dir))
            .report(out.join("coverage.json"))
            .env_remove_prefix("COVERAGE_")
            .env_remove_prefix("PYTHON")
    }

    pub(super) fn coverage(
        &self,
        cx: &Context,
        python: &Utf8Path,
        out: &Utf8Path,
        ran: &Record,
        sources: &Sources,
    ) -> Result<(MeasuredCoverage, Vec<u8>), StepError> {
        if ran.measured.is_empty() {
            let what = "the tests ended before what they cover was recorded, or measured no file";
            return Err(StepError::not_looked(what, "check the step's `.with_coverage(package)` and its log"));
        }
        let (settings, report) = (out.join(COVERAGE_FILE), out.join("coverage.json"));
        let order = Order { program: REPORTER, settings, measured: &ran.measured, report };
        let order = serde_json::to_vec(&order).map_err(|error| ReadError::new("what was measured", error))?;
        let captured = cx.run_ok(&self.report(python, cx.root(), out).stdin(order))?;
        let report =
            read_coverage(captured.report_bytes()?).map_err(|error| ReadError::new("the coverage report", error))?;
        let bytes = captured.report_bytes()?.to_vec();
        remove(out)?;
        let mut entered: BTreeMap<Utf8PathBuf, BTreeSet<(u32, u32)>> = BTreeMap::new();
        for (path, arcs) in &ran.measured {
            let path = candidate_paths(path, &[], &self.dir, cx.root())
                .into_iter()
                .find(|path| sources.files.contains_key(path));
            if let Some(path) = path {
                entered.entry(path).or_default().extend(arcs.iter().filter_map(entry));
            }
        }
        let source = |(path, source): (&Utf8PathBuf, &Source)| {
            let Source { sha256, syntax, .. } = source.clone();
            let entered = entered.get(path).cloned().unwrap_or_else(BTreeSet::new);
            (path.clone(), MeasuredSource { sha256, syntax, entered })
        };
        let refused = sources.refused.clone();
        let sources = sources.files.iter().map(source).collect();
        Ok((MeasuredCoverage { report, dir: self.dir.clone(), sources, refused }, bytes))
    }
}
