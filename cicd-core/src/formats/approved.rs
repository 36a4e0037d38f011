use camino::Utf8Path;
use csv::StringRecord;
use jiff::civil::Date;
use pep440_rs::Version;
use serde::{Deserialize, Serialize};

use super::LicenseTriple;
use super::python_metadata::is_package_name;
use super::requirements::normalized_name;
use super::spreadsheet::{inert, original};
use crate::model::Location;

/// The columns of the list of approved dependencies, in this order.
///
/// | column | what stands there |
/// |---|---|
/// | `name`, `version` | the package, as its metadata has them |
/// | `license_metadata` | its `License` field, word for word, or `text sha256:…` for a whole licence text |
/// | `license_classifiers` | its classifiers that begin with `License ::`, joined by `; ` |
/// | `license_expression` | its `License-Expression` field, word for word |
/// | `spdx` | what the reviewer found the licence to be: an SPDX expression |
/// | `license_sha256` | the digest of its licence files; empty if it ships none |
/// | `approved_by`, `approved_on` | who approved it and on which day; empty in a proposal, which approves nothing |
/// | `reason` | why it may be used, in at least 20 characters |
pub const COLUMNS: [&str; 10] = [
    "name",
    "version",
    "license_metadata",
    "license_classifiers",
    "license_expression",
    "spdx",
    "license_sha256",
    "approved_by",
    "approved_on",
    "reason",
];

/// What joins several classifiers in one cell; no classifier of the package index contains it.
const CLASSIFIER_SEPARATOR: &str = "; ";

/// A list beyond this was not written by people.
const LIST_BYTES_MAX: usize = 16 << 20;

/// One row of the list of approved dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedPackage {
    /// The name, as the package writes it.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// What its metadata said of its licence when it was approved.
    pub license: LicenseTriple,
    /// What the reviewer found the licence to be.
    pub spdx: String,
    /// The digest of its licence files when it was approved; empty if it had none.
    pub license_sha256: String,
    /// Who approved it; nobody has approved a proposal.
    pub approval: Option<(String, Date)>,
    /// Why it may be used.
    pub reason: String,
    /// The line of the file it begins on, from 1.
    pub line: u32,
}

impl ApprovedPackage {
    /// The name as the package index compares it.
    #[must_use]
    pub fn normalized_name(&self) -> String {
        normalized_name(&self.name)
    }
}

/// A list of approved dependencies that cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {problem}")]
pub struct ApprovedError {
    /// Where in it.
    pub location: Location,
    /// What is wrong.
    pub problem: String,
}

/// Reads the list of approved dependencies: CSV with exactly the [`COLUMNS`], in their order.
///
/// # Errors
/// When a column is missing, unknown or in another place, a row has another number of cells, a cell cannot be what its column is
/// for, or a quotation mark is not closed. The error names line and column.
///
/// `rule` is asked about the cells `approved_by` and `reason` of every approved row: what an owner and a reason are is policy.
pub fn read_approved(
    path: &Utf8Path,
    bytes: &[u8],
    rule: impl Fn(&str, &str) -> Result<(), String>,
) -> Result<Vec<ApprovedPackage>, ApprovedError> {
    let whole = |problem: String| ApprovedError { location: Location::file(path), problem };
    if bytes.len() > LIST_BYTES_MAX {
        return Err(whole(format!("it has {} bytes, more than the {LIST_BYTES_MAX} that are read", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| whole(format!("it is not UTF-8: {error}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // To the reader of CSV, the end of the file closes what is open: a list that was cut off would look whole.
    if let Some(last) = text.rfind('"').filter(|_| text.matches('"').count() % 2 == 1) {
        let line = text[..last].matches('\n').count() + 1;
        return Err(ApprovedError {
            location: Location::line(path, u32::try_from(line).unwrap_or(u32::MAX)),
            problem: "a quotation mark is not closed, here or above".to_owned(),
        });
    }
    let place = Place { path, text };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = reader.records();
    let malformed = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        ApprovedError {
            location: Location::line(path, u32::try_from(line).unwrap_or(u32::MAX)),
            problem: error.to_string(),
        }
    };
    let header = rows.next().ok_or_else(|| whole("it is empty".to_owned()))?.map_err(malformed)?;
    place.check_header(&header)?;
    rows.map(|row| place.read_row(&row.map_err(malformed)?, &rule)).collect()
}

/// The text of a list: the header and one row for each package, as [`read_approved`] reads it.
#[must_use]
pub fn write_approved(packages: &[ApprovedPackage]) -> String {
    let mut text = row(COLUMNS.map(str::to_owned));
    for package in packages {
        let (by, on) = package.approval.as_ref().map_or_else(Default::default, |(by, on)| (by.clone(), on.to_string()));
        text.push_str(&row([
            package.name.clone(),
            package.version.clone(),
            package.license.metadata.clone(),
            package.license.classifiers.join(CLASSIFIER_SEPARATOR),
            package.license.expression.clone(),
            package.spdx.clone(),
            package.license_sha256.clone(),
            by,
            on,
            package.reason.clone(),
        ]));
    }
    text
}

fn row(cells: [String; COLUMNS.len()]) -> String {
    let owner = cells[7].clone();
    let mut cells = cells.map(|cell| inert(&cell).into_owned());
    // An owner begins with @ and is nothing but a name: no formula, and people compare it with CODEOWNERS.
    cells[7] = owner;
    let quoted = cells.map(|cell| {
        let plain = !cell.contains(['"', ',', '\n', '\r']);
        if plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    });
    quoted.join(",") + "\n"
}

/// The file that is being read, to tell where something is.
struct Place<'a> {
    path: &'a Utf8Path,
    text: &'a str,
}

impl Place<'_> {
    fn check_header(&self, header: &StringRecord) -> Result<(), ApprovedError> {
        for (index, found) in header.iter().enumerate() {
            let problem = match COLUMNS.get(index) {
                Some(&expected) if expected == found => continue,
                _ if COLUMNS.contains(&found) => format!("the column {found} is not in its place"),
                _ => match suggestion(found) {
                    Some(known) => format!("unknown column {found:?}; did you mean {known}?"),
                    None => format!("unknown column {found:?}"),
                },
            };
            let problem = format!("{problem}; the columns are {}", COLUMNS.join(","));
            return Err(self.fail(header, index, problem));
        }
        match COLUMNS.get(header.len()) {
            Some(missing) => Err(self.fail(header, header.len(), format!("the column {missing} is missing"))),
            None => Ok(()),
        }
    }

    fn read_row(
        &self,
        row: &StringRecord,
        rule: &dyn Fn(&str, &str) -> Result<(), String>,
    ) -> Result<ApprovedPackage, ApprovedError> {
        if row.len() != COLUMNS.len() {
            let problem = format!("{} cells instead of {}", row.len(), COLUMNS.len());
            return Err(self.fail(row, row.len().min(COLUMNS.len()), problem));
        }
        let cell = |index: usize| original(row.get(index).unwrap_or(""));
        for index in 0..COLUMNS.len() {
            if cell(index).trim() != cell(index) {
                return Err(self.fail(row, index, format!("blanks around {:?}", cell(index).trim())));
            }
            if let Some(odd) = cell(index).chars().find(|c| c.is_control() || is_invisible(*c)) {
                return Err(self.fail(row, index, format!("the character {odd:?} cannot be seen in a review")));
            }
        }
        if !is_package_name(cell(0)) {
            return Err(self.fail(row, 0, format!("{:?} is not the name of a Python package", cell(0))));
        }
        if cell(1).parse::<Version>().is_err() {
            return Err(self.fail(row, 1, format!("{:?} is not a version (PEP 440)", cell(1))));
        }
        let digest = cell(6);
        if !(digest.is_empty() || is_sha256(digest)) {
            return Err(self.fail(row, 6, format!("{digest:?} is not a SHA-256: 64 lower-case hexadecimal digits")));
        }
        let approval = match (cell(7), cell(8)) {
            ("", "") => None,
            ("", _) => return Err(self.fail(row, 7, "approved on a day, but by nobody".to_owned())),
            (_, "") => return Err(self.fail(row, 8, "approved by somebody, but on no day".to_owned())),
            (by, on) => {
                rule(COLUMNS[7], by).map_err(|problem| self.fail(row, 7, problem))?;
                let on = on.parse().map_err(|_| self.fail(row, 8, format!("{on:?} is not a date: use YYYY-MM-DD")))?;
                rule(COLUMNS[9], cell(9)).map_err(|problem| self.fail(row, 9, problem))?;
                Some((by.to_owned(), on))
            }
        };
        let classifiers =
            cell(3).split(CLASSIFIER_SEPARATOR).filter(|one| !one.is_empty()).map(str::to_owned).collect();
        Ok(ApprovedPackage {
            name: cell(0).to_owned(),
            version: cell(1).to_owned(),
            license: LicenseTriple { metadata: cell(2).to_owned(), classifiers, expression: cell(4).to_owned() },
            spdx: cell(5).to_owned(),
            license_sha256: digest.to_owned(),
            approval,
            reason: cell(9).to_owned(),
            line: self.position(row, 0).0,
        })
    }

    fn fail(&self, row: &StringRecord, index: usize, problem: String) -> ApprovedError {
        let (line, column) = self.position(row, index);
        ApprovedError { location: Location::column(self.path, line, column), problem }
    }

    /// The line and the column in characters, from 1, where a cell of a row begins.
    fn position(&self, row: &StringRecord, index: usize) -> (u32, u32) {
        let start = row.position().map_or(0, csv::Position::byte);
        let rest = usize::try_from(start).ok().and_then(|start| self.text.get(start..)).unwrap_or("");
        // The parser gives where the previous row ended; blank lines between the two belong to neither.
        let begin = self.text.len() - rest.trim_start_matches(['\r', '\n']).len();
        let (mut cells, mut quoted, mut end) = (0, false, begin);
        for (offset, character) in self.text[begin..].char_indices() {
            if cells == index {
                break;
            }
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => cells += 1,
                '\n' | '\r' if !quoted => break,
                _ => {}
            }
            end = begin + offset + character.len_utf8();
        }
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Zero-width and direction-changing characters, with which a row can look like another one.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

fn suggestion(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    let near = COLUMNS.iter().map(|column| (strsim::damerau_levenshtein(&lower, column), *column)).min()?;
    (near.0 <= 3).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "name,version,license_metadata,license_classifiers,license_expression,spdx,license_sha256,approved_by,approved_on,reason\n";
    const ROW: &str = "filelock,3.8.1,Unlicense,License :: Public Domain,,Unlicense,,@example/legal,2026-11-01,\"a lock, without any conditions of use\"\n";

    fn rule(column: &str, cell: &str) -> Result<(), String> {
        match column {
            "approved_by" if !cell.contains('@') => Err(format!("{cell:?} is not an owner")),
            "reason" if cell.len() < 20 => Err("says too little".to_owned()),
            _ => Ok(()),
        }
    }

    fn read(text: &str) -> Result<Vec<ApprovedPackage>, String> {
        read_approved("ci/approved.csv".into(), text.as_bytes(), rule).map_err(|error| error.to_string())
    }

    #[test]
    fn a_row_is_read_and_written_unchanged() {
        let rows = read(&format!("{HEADER}{ROW}")).expect("valid");
        assert_eq!(rows[0].license.to_string(), "Public Domain (Unlicense)");
        assert_eq!(rows[0].approval.as_ref().expect("approved").0, "@example/legal");
        assert_eq!(rows[0].line, 2);
        assert_eq!(write_approved(&rows), format!("{HEADER}{ROW}"));
        assert_eq!(read(HEADER).expect("no rows").len(), 0);
    }

    #[test]
    fn columns_have_to_be_exactly_these() {
        for (text, problem) in [
            ("".to_owned(), "ci/approved.csv: it is empty"),
            (
                HEADER.replace("version", "vresion"),
                "ci/approved.csv:1:6: unknown column \"vresion\"; did you mean version?",
            ),
            (HEADER.replace(",reason", ""), "the column reason is missing"),
            (HEADER.replace(",reason", ",reason,extra"), "unknown column \"extra\""),
            (
                HEADER.replace("name,version", "version,name"),
                "ci/approved.csv:1:1: the column version is not in its place",
            ),
            (ROW.to_owned(), "ci/approved.csv:1:1: unknown column \"filelock\""),
        ] {
            let error = read(&text).expect_err(problem);
            assert!(error.starts_with(problem) || error.contains(problem), "{error}");
        }
    }

    #[test]
    fn cells_are_checked_and_their_place_is_told() {
        for (from, to, problem) in [
            ("filelock,", "file lock,", ":2:1: \"file lock\" is not the name"),
            ("3.8.1", "3.8.x", ":2:10: \"3.8.x\" is not a version"),
            ("3.8.1", " 3.8.1", ":2:10: blanks around \"3.8.1\""),
            ("Unlicense,,@", "Unlicense,abc,@", ":2:62: \"abc\" is not a SHA-256"),
            ("@example/legal", "legal", ":2:63: \"legal\" is not an owner"),
            ("@example/legal", "", "approved on a day, but by nobody"),
            ("2026-11-01", "01.11.2026", "is not a date"),
            ("2026-11-01", "", "but on no day"),
            ("a lock, without any conditions of use", "ok", "says too little"),
            ("Unlicense,License", "Unli\u{202e}cense,License", ":2:16: the character '\\u{202e}' cannot be seen"),
            (",,Unlicense", ",Unlicense", "9 cells instead of 10"),
            ("a lock, without any", "\"a lock, without any", ":2: a quotation mark is not closed, here or above"),
        ] {
            assert!(ROW.contains(from), "{from}");
            let error = read(&format!("{HEADER}{}", ROW.replacen(from, to, 1))).expect_err(problem);
            assert!(error.contains(problem), "{error}");
        }
        let third = read(&format!("{HEADER}{ROW}\r\n\n{}", ROW.replace("filelock", "-"))).expect_err("bad name");
        assert!(third.starts_with("ci/approved.csv:5:1:"), "{third}");
        assert!(read_approved("x".into(), b"\xff", rule).is_err());
    }

    #[test]
    fn a_proposal_is_a_row_that_nobody_approved() {
        let rows = read(&format!("{HEADER}a,1,,,MIT,MIT,,,,\n")).expect("a proposal");
        assert_eq!(rows[0].approval, None);
    }
}
