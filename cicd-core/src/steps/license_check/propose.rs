use camino::Utf8Path;

use super::found::packages_of;
use super::gate::load_approved;
use super::judge::Approved;
use crate::docker::Distribution;
use crate::formats::{ApprovedPackage, propose_spdx};
use crate::step::{Context, StepError};

/// The rows for the packages of an image (an id or a name) that the list does not approve, for somebody to review;
/// [`write_approved`](crate::formats::write_approved) makes CSV of them.
///
/// It approves nothing: `approved_by`, `approved_on` and `reason` are empty, and so is `spdx` wherever the metadata leaves a
/// doubt.
///
/// # Errors
/// When the list or the image cannot be read.
pub fn propose(cx: &Context, image: &str, list: &Utf8Path) -> Result<Vec<ApprovedPackage>, StepError> {
    let rows = if cx.path(list).exists() { load_approved(cx, list)? } else { Vec::new() };
    let found = packages_of(cx, image)?;
    Ok(rows_for(&found.distributions, &Approved::new(list, &rows, cx.today())))
}

pub(super) fn rows_for(found: &[Distribution], approved: &Approved<'_>) -> Vec<ApprovedPackage> {
    let mut rows: Vec<_> = found
        .iter()
        .filter_map(|one| one.content.as_ref().ok())
        .filter(|content| approved.exact(content).is_none())
        .map(|content| ApprovedPackage {
            name: content.normalized_name(),
            version: content.version.clone(),
            license: content.license.clone(),
            spdx: propose_spdx(&content.license),
            license_sha256: content.license_sha256.clone(),
            approval: None,
            reason: String::new(),
            line: 0,
        })
        .collect();
    rows.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    rows.dedup_by(|one, other| one.name == other.name && one.version == other.version);
    rows
}
