use camino::Utf8PathBuf;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// What checkov says of one kind of file, such as Dockerfiles.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Framework {
    pub(super) check_type: String,
    pub(super) results: Results,
    summary: Summary,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Results {
    pub(super) passed_checks: Vec<Check>,
    pub(super) failed_checks: Vec<Check>,
    /// What comments have hidden from it.
    pub(super) skipped_checks: Vec<Check>,
    /// Files that it could not read.
    pub(super) parsing_errors: Vec<String>,
}

/// One rule applied to one thing in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Check {
    pub(super) check_id: String,
    pub(super) check_name: String,
    pub(super) file_path: Utf8PathBuf,
    /// First and last line, from 1.
    pub(super) file_line_range: [u32; 2],
    pub(super) resource: String,
    /// Nothing unless somebody pays for the platform behind checkov.
    pub(super) severity: Option<String>,
    pub(super) guideline: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    parsing_errors: usize,
    checkov_version: String,
}

/// Reads a report: an object for one kind of file, a list of them for several, and counts without results for none.
///
/// # Errors
/// What is wrong with it, or what in it shows that checkov of `version` did not write it to the end.
pub(super) fn read(text: &str, version: &semver::Version) -> Result<Vec<Framework>, String> {
    let frameworks: Vec<Framework> = match parse(text)? {
        Value::Array(_) => parse(text)?,
        Value::Object(object) if object.contains_key("results") => vec![parse(text)?],
        // The counts must be there all the same: `{}` is no report.
        Value::Object(_) => {
            let Summary { passed, failed, skipped, parsing_errors, checkov_version } = parse(text)?;
            if passed + failed + skipped + parsing_errors > 0 {
                return Err("it counts checks, but shows none".to_owned());
            }
            return same_version(&checkov_version, version).map(|()| Vec::new());
        }
        _ => return Err("it is neither an object nor a list".to_owned()),
    };
    for Framework { check_type, results, summary } in &frameworks {
        same_version(&summary.checkov_version, version)?;
        let shown = [results.passed_checks.len(), results.failed_checks.len(), results.skipped_checks.len()];
        let counted = [summary.passed, summary.failed, summary.skipped];
        if shown != counted || results.parsing_errors.len() != summary.parsing_errors {
            return Err(format!("its counts for {check_type} are not those of what it shows"));
        }
    }
    Ok(frameworks)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn same_version(wrote: &str, version: &semver::Version) -> Result<(), String> {
    if wrote == version.to_string() {
        return Ok(());
    }
    Err(format!("it was written by checkov {wrote}, but {version} was run"))
}
