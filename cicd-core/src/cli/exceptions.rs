//! `exceptions`: every relaxation that the last run met, by the day on which it ends.

use std::error::Error;
use std::fmt::Write as _;

use jiff::civil::Date;
use serde::Serialize;

use super::Output;
use super::args::{ExceptionsArgs, ListFormat};
use crate::model::{ExitStatus, StepName};
use crate::pipeline::{ExceptionReport, latest_summary};
use crate::step::{Clock, Workspace};

#[derive(Debug, Serialize)]
struct Row<'a> {
    expires: Date,
    /// Days from the date that is asked about; 0 and less is expired.
    days_left: i32,
    step: &'a StepName,
    id: &'a str,
    owner: &'a str,
    covers: usize,
    place: String,
    reason: &'a str,
}

pub(super) fn list(workspace: &Workspace, args: &ExceptionsArgs) -> Result<ExitStatus, Box<dyn Error>> {
    let summary =
        latest_summary(workspace, "ci").ok_or("there is no finished run to read; run `cargo xtask ci` first")?;
    let as_of = args.as_of.unwrap_or_else(|| Clock::System.today());
    let all =
        summary.steps.iter().flat_map(|step| step.exceptions.iter().map(move |exception| (&step.name, exception)));
    let mut rows: Vec<Row<'_>> = all.map(|(step, exception)| row(step, exception, as_of)).collect();
    rows.sort_by_key(|row| (row.expires, row.id));
    let text = match args.format {
        ListFormat::Text => text(&rows, as_of)?,
        ListFormat::Json => serde_json::to_string_pretty(&rows)? + "\n",
        ListFormat::Csv => csv(&rows)?,
    };
    Output.say(&text);
    Ok(if rows.iter().any(|row| row.days_left <= 0) { ExitStatus::Failed } else { ExitStatus::Green })
}

fn row<'a>(step: &'a StepName, report: &'a ExceptionReport, as_of: Date) -> Row<'a> {
    let ExceptionReport { exception, covers } = report;
    Row {
        expires: exception.justification.expires,
        days_left: (exception.justification.expires - as_of).get_days(),
        step,
        id: &exception.id,
        owner: &exception.justification.owner,
        covers: *covers,
        place: exception.location.to_string(),
        reason: &exception.justification.reason,
    }
}

fn text(rows: &[Row<'_>], as_of: Date) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for row in rows {
        let left = match row.days_left {
            days if days <= 0 => format!("EXPIRED by {as_of}, {} must act", row.owner),
            days => format!("{days} days left"),
        };
        writeln!(text, "{}  {}  {} ({left})", row.expires, row.id, row.owner)?;
        writeln!(text, "            {} covers {} findings of {}; {}", row.place, row.covers, row.step, row.reason)?;
    }
    match rows.len() {
        0 => writeln!(text, "no exceptions: nothing is relaxed")?,
        count => writeln!(text, "{count} exceptions as of {as_of}")?,
    }
    Ok(text)
}

fn csv(rows: &[Row<'_>]) -> Result<String, Box<dyn Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
