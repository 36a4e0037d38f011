//! `licenses propose` and `licenses diff`: help for the person who reviews, who alone approves.

use std::error::Error;

use camino::{Utf8Path, Utf8PathBuf};

use super::args::LicensesCommand;
use super::{Output, machine};
use crate::docker::{Fresh, Image};
use crate::files;
use crate::formats::{LicenseTriple, read_python_metadata, write_approved};
use crate::model::ExitStatus;
use crate::pipeline::{alone, latest_output};
use crate::step::Workspace;
use crate::steps::{license_diff, propose_licenses};

pub(super) fn run(workspace: &Workspace, command: &LicensesCommand) -> Result<ExitStatus, Box<dyn Error>> {
    match command {
        LicensesCommand::Propose { image, list } => propose(workspace, image.as_deref(), list),
        LicensesCommand::Diff { old, new } => {
            let difference = license_diff(&triple(old)?, &triple(new)?);
            Output.say(&format!("{difference}\n"));
            Ok(if difference.is_empty() { ExitStatus::Green } else { ExitStatus::Failed })
        }
    }
}

fn propose(workspace: &Workspace, image: Option<&str>, list: &Utf8Path) -> Result<ExitStatus, Box<dyn Error>> {
    let image = match image {
        Some(image) => image.to_owned(),
        None => latest_image(workspace)
            .ok_or("no run of `cargo xtask ci` has built an image yet; run it, or name one with --image")?,
    };
    let cx = alone(workspace, "licenses-propose", machine::outside(workspace)?)?;
    let rows = propose_licenses(&cx, &image, list)?;
    if rows.is_empty() {
        Output.say(&format!("every package of {image} is in {list}\n"));
        return Ok(ExitStatus::Green);
    }
    let csv = write_approved(&rows);
    Output.hand_over(&csv);
    Output.complain(&format!(
        "{} rows to review; nothing is approved: complete spdx, approved_by, approved_on and reason, then add them to {list}",
        rows.len()
    ));
    Ok(ExitStatus::Failed)
}

/// The last image that the last run built and judged fit for use.
fn latest_image(workspace: &Workspace) -> Option<String> {
    latest_output::<Image<Fresh>>(workspace, "ci").map(|image| image.id)
}

fn triple(path: &Utf8PathBuf) -> Result<LicenseTriple, Box<dyn Error>> {
    let bytes = files::read(path, files::FILE_BYTES_MAX).map_err(|error| format!("reading {path}: {error}"))?;
    Ok(read_python_metadata(&bytes).map_err(|error| format!("{path}: {error}"))?.license)
}
