use std::collections::BTreeMap;

use jiff::Timestamp;

use super::report::by_line;
use super::{CoverageError, CoverageReport, FileCoverage, Ratio};
use crate::formats::xml::{Element, XmlError, XmlEvent, read_xml};

/// Reads a Cobertura XML report, as coverage.py, gcovr, JaCoCo converters and others write it.
///
/// Classes of one file are put together; a line that several of them name counts once, with its best figures.
///
/// # Errors
/// When it is broken, contradicts itself or holds no statement.
pub fn read_cobertura(bytes: &[u8]) -> Result<CoverageReport, CoverageError> {
    let mut reader = CoberturaReader::default();
    read_xml(bytes, |event| reader.see(event)).map_err(|error| malformed(error.to_string()))?;
    reader.finish()
}

/// Shares are written with two digits at least.
const RATE_ROUNDING: f64 = 0.0051;

fn malformed(problem: String) -> CoverageError {
    CoverageError::Malformed { format: "Cobertura XML", problem }
}

#[derive(Default)]
struct CoberturaReader {
    root: Option<Root>,
    files: BTreeMap<String, BTreeMap<u32, Line>>,
    file: Option<String>,
    roots: Vec<String>,
    in_source: bool,
}

#[derive(Default)]
struct Root {
    lines_valid: Option<u32>,
    lines_covered: Option<u32>,
    branches_valid: Option<u32>,
    branches_covered: Option<u32>,
    line_rate: Option<f64>,
    branch_rate: Option<f64>,
    created_at: Option<Timestamp>,
}

#[derive(Default, Clone)]
struct Line {
    hit: bool,
    branches: Option<Ratio>,
    missing: Vec<String>,
}

impl CoberturaReader {
    fn see(&mut self, event: XmlEvent) -> Result<(), XmlError> {
        match event {
            XmlEvent::Start(element) => match (self.root.is_some(), element.name.as_str()) {
                (false, "coverage") => self.root = Some(root(&element)?),
                (false, other) => return Err(XmlError(format!("its root is <{other}>, not <coverage>"))),
                (true, "source") => {
                    self.in_source = true;
                    self.roots.push(String::new());
                }
                (true, "class") => {
                    let path = element.required("filename")?.to_owned();
                    self.files.entry(path.clone()).or_default();
                    self.file = Some(path);
                }
                (true, "line") => self.line(&element)?,
                _ => {}
            },
            XmlEvent::End(name) => match name.as_str() {
                "class" => self.file = None,
                "source" => self.in_source = false,
                _ => {}
            },
            XmlEvent::Text(text) if self.in_source => {
                if let Some(root) = self.roots.last_mut() {
                    root.push_str(text.trim());
                }
            }
            XmlEvent::Text(_) => {}
        }
        Ok(())
    }

    fn line(&mut self, element: &Element) -> Result<(), XmlError> {
        let lines = self.file.as_ref().and_then(|path| self.files.get_mut(path));
        let lines = lines.ok_or_else(|| XmlError("a <line> stands outside of a <class>".to_owned()))?;
        let number = element.number("number")?;
        let hits: u64 = {
            let text = element.required("hits")?;
            text.parse().map_err(|_| XmlError(format!("<line hits={text:?}>: not a number")))?
        };
        let line = lines.entry(number).or_default();
        line.hit |= hits > 0;
        if element.get("branch").is_some_and(|branch| branch.eq_ignore_ascii_case("true")) {
            let branches = conditions(element.required("condition-coverage")?)?;
            if line.branches.is_none_or(|known| branches.covered > known.covered) {
                line.branches = Some(branches);
                let missing = element.get("missing-branches").unwrap_or("");
                line.missing = missing.split(',').filter(|to| !to.is_empty()).map(destination).collect();
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<CoverageReport, CoverageError> {
        let root = self.root.ok_or_else(|| malformed("it has no <coverage>".to_owned()))?;
        let files = self.files.into_iter().map(|(path, lines)| file(path, lines).checked());
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let some_branches = files.iter().any(|file| file.branches.total > 0);
        let report = CoverageReport {
            branches_measured: some_branches,
            files,
            roots: self.roots.into_iter().filter(|root| !root.is_empty()).collect(),
            created_at: root.created_at,
        }
        .checked()?;
        let whole = FileCoverage { path: "the whole report".to_owned(), ..FileCoverage::default() };
        if root.lines_valid.is_none() {
            not_above("lines", report.lines(), root.line_rate)?;
        }
        if let (None, Some(branches)) = (root.branches_valid, report.branches()) {
            not_above("branches", branches, root.branch_rate)?;
        }
        if let Some(valid) = root.lines_valid {
            whole.agree("lines", valid.into(), report.lines().total)?;
        }
        if let Some(covered) = root.lines_covered {
            whole.agree("covered lines", covered.into(), report.lines().covered)?;
        }
        if let (Some(valid), Some(branches)) = (root.branches_valid, report.branches()) {
            whole.agree("branches", valid.into(), branches.total)?;
        }
        if let (Some(covered), Some(branches)) = (root.branches_covered, report.branches()) {
            whole.agree("covered branches", covered.into(), branches.covered)?;
        }
        Ok(report)
    }
}

fn root(element: &Element) -> Result<Root, XmlError> {
    let number = |name| element.get(name).map(|_| element.number(name)).transpose();
    let rate = |name: &str| {
        let parsed = element.get(name).map(|text| (text, text.trim().parse::<f64>()));
        parsed
            .map(|(text, number)| match number {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
                _ => Err(XmlError(format!("<coverage {name}={text:?}>: not a share from 0 to 1"))),
            })
            .transpose()
    };
    // Milliseconds by the book; several writers use seconds.
    let created_at = element.get("timestamp").and_then(|text| text.parse::<i64>().ok()).and_then(|moment| {
        if moment >= 100_000_000_000 { Timestamp::from_millisecond(moment) } else { Timestamp::from_second(moment) }
            .ok()
    });
    Ok(Root {
        lines_valid: number("lines-valid")?,
        lines_covered: number("lines-covered")?,
        branches_valid: number("branches-valid")?,
        branches_covered: number("branches-covered")?,
        line_rate: rate("line-rate")?,
        branch_rate: rate("branch-rate")?,
        created_at,
    })
}

/// Refuses a report whose own share is lower than what its lines give: it counts something that it does not list.
fn not_above(what: &str, counted: Ratio, said: Option<f64>) -> Result<(), CoverageError> {
    let Some(said) = said.filter(|_| counted.total > 0) else { return Ok(()) };
    let share = counted.covered as f64 / counted.total as f64;
    if share <= said + RATE_ROUNDING {
        return Ok(());
    }
    let (share, said) = (share * 100.0, said * 100.0);
    let problem = format!(
        "it says that {said:.1} % of the {what} are covered, but its lines give {share:.1} %; \
         write it with counts (`lines-valid`, `branches-valid`), or as LCOV"
    );
    Err(CoverageError::Contradiction { file: "the whole report".to_owned(), problem })
}

/// The counts in `50% (1/2)`; the percentage is not looked at.
fn conditions(text: &str) -> Result<Ratio, XmlError> {
    let counts =
        text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).and_then(|text| text.split_once('/'));
    let counts = counts.and_then(|(covered, total)| Some((covered.parse().ok()?, total.parse().ok()?)));
    match counts {
        Some((covered, total)) if covered <= total => Ok(Ratio { covered, total }),
        _ => Err(XmlError(format!("condition-coverage={text:?} has no (n/m) with n of at most m"))),
    }
}

fn destination(to: &str) -> String {
    if to.trim().parse::<u32>().is_ok() { format!("line {}", to.trim()) } else { format!("the {}", to.trim()) }
}

fn file(path: String, lines: BTreeMap<u32, Line>) -> FileCoverage {
    let mut file = FileCoverage { path, ..FileCoverage::default() };
    let mut missing = Vec::new();
    for (number, line) in lines {
        if line.hit {
            file.covered_lines.insert(number);
        } else {
            file.missing_lines.insert(number);
        }
        let Some(branches) = line.branches else { continue };
        file.branches = file.branches + branches;
        file.branch_lines.insert(number, branches);
        if branches.covered < branches.total {
            match line.missing.is_empty() {
                true => missing.push((number, None)),
                false => missing.extend(line.missing.into_iter().map(|to| (number, Some(to)))),
            }
        }
    }
    file.missing_branches = by_line(missing);
    file
}
