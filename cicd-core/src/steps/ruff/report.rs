use camino::Utf8Path;
use serde::Deserialize;

use super::step::relative;
use crate::model::{Code, Finding, Location, Severity, Target};
use crate::process::Captured;
use crate::scan::Hit;
use crate::step::{ReadError, StepError};

/// What a file that cannot be parsed is reported as.
const UNPARSABLE: &str = "invalid-syntax";

#[derive(Deserialize)]
struct Diagnostic {
    code: Option<String>,
    filename: String,
    message: String,
    location: Option<Position>,
    /// Where a `noqa` comment for it belongs, which is not where it is in a statement of several lines.
    noqa_row: Option<u32>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Position {
    row: u32,
    column: u32,
}

/// What ruff reported of files below `root`.
///
/// # Errors
/// When it ended otherwise than with one of `codes`, could not read a file, or left no whole report.
pub(super) fn read_report(captured: &Captured, root: &Utf8Path, codes: &[i32]) -> Result<Vec<Hit>, StepError> {
    let captured = captured.clone().require_exit(codes)?;
    let diagnostics: Vec<Diagnostic> = serde_json::from_str(captured.stdout_text()?)
        .map_err(|error| ReadError::new("ruff's report", format!("{error} ({})", captured.stderr_text())))?;
    // `E902`: a file could not be read, so it was not looked at.
    if let Some(unread) = diagnostics.iter().find(|one| one.code.as_deref() == Some("E902")) {
        return Err(StepError::not_looked(format!("{}: {}", unread.filename, unread.message), "make it readable"));
    }
    Ok(diagnostics.into_iter().map(|one| hit(root, one)).collect())
}

fn hit(root: &Utf8Path, diagnostic: Diagnostic) -> Hit {
    let Diagnostic { code, filename, message, location, noqa_row, url } = diagnostic;
    let path = relative(root, &filename);
    let code = Code::new(code.unwrap_or_else(|| UNPARSABLE.to_owned()));
    // What cannot be parsed was not looked at, whatever a comment says.
    let parsed = code.as_str() != UNPARSABLE;
    let finding = Finding::with_code(code, message).severity(Severity::Medium);
    let finding = match url {
        Some(url) => finding.help(url),
        None => finding,
    };
    let hit = match location {
        Some(Position { row, column }) => Hit::at(finding, &path, row, column).statement(noqa_row),
        None => Hit::in_file(finding.target(Target::file(&path)).at(Location::file(&path)), &path),
    };
    if parsed { hit } else { hit.unheard() }
}
