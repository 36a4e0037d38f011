use std::fmt::Write as _;

use super::text::{BOLD, DIM, duration, plain, style_of};
use crate::formats::printable::counted;
use crate::model::Status;
use crate::pipeline::{NOT_SELECTED, StepReport};

/// Below this the facts column would be useless; the table then overflows rather than hides.
const FACTS_COLUMNS_MIN: usize = 24;
const STATUS_COLUMNS: usize = 9;
const TIME_COLUMNS: usize = 10;

/// One line a step: name, status, duration, and the one or two facts that matter. Steps that were not selected are counted.
#[must_use]
pub fn table(steps: &[StepReport], width: usize) -> String {
    let selected = |step: &&StepReport| step.reason.as_deref() != Some(NOT_SELECTED);
    let (steps, left_out): (Vec<&StepReport>, Vec<&StepReport>) = steps.iter().partition(selected);
    let names = steps.iter().map(|step| step.name.as_str().len()).max().unwrap_or(4).max(4);
    let facts = width.saturating_sub(names + STATUS_COLUMNS + TIME_COLUMNS + 3 * 2).max(FACTS_COLUMNS_MIN);
    let header = format!("{:names$}  {:STATUS_COLUMNS$}  {:>TIME_COLUMNS$}  facts", "step", "status", "time");
    let mut text = format!("{BOLD}{header}{BOLD:#}\n");
    for step in steps {
        let style = style_of(step.status);
        let time =
            if step.duration_ms == 0 && !step.status.is_green() { String::new() } else { duration(step.duration_ms) };
        let line = format!(
            "{:names$}  {style}{:STATUS_COLUMNS$}{style:#}  {time:>TIME_COLUMNS$}  {}",
            step.name,
            step.status,
            cut(&told(step), facts)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if !left_out.is_empty() {
        let _ = writeln!(text, "{DIM}{} {NOT_SELECTED}{DIM:#}", counted(left_out.len(), "step"));
    }
    text
}

fn told(step: &StepReport) -> String {
    if matches!(step.status, Status::Failed) {
        let count = step
            .findings
            .iter()
            .filter(|finding| finding.exception.is_none() && finding.level == crate::model::Level::Deny)
            .count();
        let first = step
            .findings
            .iter()
            .find(|finding| finding.exception.is_none() && finding.level == crate::model::Level::Deny);
        let code = first.map_or("", |finding| finding.code.as_str());
        return if count == 1 { code.to_owned() } else { format!("{code} and {} more", count.saturating_sub(1)) };
    }
    if let Some(run) = &step.loaded_from {
        return format!("loaded from run {run}");
    }
    if let Some(reason) = &step.reason {
        return reason.lines().next().unwrap_or_default().to_owned();
    }
    if step.status == Status::Flaky {
        let headline = step.facts.headline().map(|headline| format!(", {headline}"));
        return format!("{} attempts{}", step.attempts.len(), headline.as_deref().unwrap_or(""));
    }
    if let Some(headline) = step.facts.headline() {
        return headline.to_owned();
    }
    step.facts
        .iter()
        .take(2)
        .map(|(name, fact)| format!("{} {fact}", name.replace('_', " ")))
        .collect::<Vec<_>>()
        .join(", ")
}

fn cut(text: &str, columns: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= columns {
        return text.into_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::{Code, Facts, Finding, StepName};

    fn step(name: &str, status: Status, duration_ms: u64) -> StepReport {
        let name = StepName::new(name).expect("a name");
        StepReport {
            name,
            status,
            duration_ms,
            reason: None,
            findings: Vec::new(),
            facts: Facts::new(),
            attachments: Vec::new(),
            exceptions: Vec::new(),
            loaded_from: None,
            output_sha256: None,
            relied_on: None,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn the_table_fits_80_columns() {
        let mut passed = step("unit-tests", Status::Passed, 5_230);
        passed.facts.set_headline("139 tests");
        let mut failed = step("trivy", Status::Failed, 61_000);
        failed.findings = vec![
            Finding::with_code(Code::from_static("CVE-2023-32681"), "a flaw"),
            Finding::with_code(Code::from_static("X"), "y"),
        ];
        let mut skipped = step("push", Status::Skipped, 0);
        skipped.reason =
            Some("not asked for: add `--effect push`, and this text goes on well beyond the edge".to_owned());
        let mut left_out = step("a-step-that-was-left-out", Status::Skipped, 0);
        left_out.reason = Some(NOT_SELECTED.to_owned());
        let text = anstream::adapter::strip_str(&table(&[passed, failed, left_out, skipped], 80)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        expect![[r#"
            step        status           time  facts
            unit-tests  passed          5.2 s  139 tests
            trivy       failed         61.0 s  CVE-2023-32681 and 1 more
            push        skipped                not asked for: add `--effect push`, and this…
            1 step not selected
        "#]]
        .assert_eq(&text);
    }
}
