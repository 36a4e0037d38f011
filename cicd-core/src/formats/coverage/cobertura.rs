use std::collections::BTreeMap;

use jiff::Timestamp;

use super::tally::{self, Line, Lines, Said, Ways};
use super::{CoverageError, CoverageReport, FileCoverage, Ratio};
use crate::formats::xml::{Element, XmlError, XmlEvent, read_xml};

/// Reads a Cobertura XML report, as coverage.py, gcovr, JaCoCo converters and others write it.
///
/// Classes of one file are put together. A line that is listed several times counts as the report's own totals count it: each
/// time (gcovr 8, Coverlet), or once; without totals once, and covered only where each listing is.
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
    files: BTreeMap<String, Lines>,
    class: Option<Class>,
    roots: Vec<String>,
    in_source: bool,
}

#[derive(Default)]
struct Root {
    lines_valid: Option<u64>,
    lines_covered: Option<u64>,
    branches_valid: Option<u64>,
    branches_covered: Option<u64>,
    line_rate: Option<f64>,
    branch_rate: Option<f64>,
    created_at: Option<Timestamp>,
}

/// A class that is being read. Its methods repeat its lines, so theirs count only where it lists none itself.
#[derive(Default)]
struct Class {
    path: String,
    lines: Lines,
    in_methods: bool,
    of_methods: Lines,
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
                    if self.class.replace(Class { path, ..Class::default() }).is_some() {
                        return Err(XmlError("a <class> stands inside of a <class>".to_owned()));
                    }
                }
                (true, "methods") => self.in_methods(true),
                (true, "line") => self.line(&element)?,
                _ => {}
            },
            XmlEvent::End(name) => match name.as_str() {
                "class" => self.end_class(),
                "methods" => self.in_methods(false),
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

    fn in_methods(&mut self, inside: bool) {
        if let Some(class) = &mut self.class {
            class.in_methods = inside;
        }
    }

    fn end_class(&mut self) {
        let Some(Class { path, mut lines, of_methods, .. }) = self.class.take() else { return };
        for (number, line) in of_methods {
            lines.entry(number).or_insert(line);
        }
        let file = self.files.entry(path).or_default();
        for (number, line) in lines {
            file.entry(number).or_default().add(line);
        }
    }

    fn line(&mut self, element: &Element) -> Result<(), XmlError> {
        let class = self.class.as_mut().ok_or_else(|| XmlError("a <line> stands outside of a <class>".to_owned()))?;
        let number = element.number("number")?;
        let hits: u64 = {
            let text = element.required("hits")?;
            text.parse().map_err(|_| {
                // AltCover writes what it was told to leave out as -1 and -2.
                let left_out = "; negative counts mark code that was left out: measure it";
                XmlError(format!(
                    "<line hits={text:?}>: not a number{}",
                    if text.starts_with('-') { left_out } else { "" }
                ))
            })?
        };
        let mut line = Line { listed: 1, hit: u64::from(hits > 0), ..Line::default() };
        if element.get("branch").is_some_and(|branch| branch.eq_ignore_ascii_case("true")) {
            let counts = conditions(element.required("condition-coverage")?)?;
            let missing = element.get("missing-branches").unwrap_or("");
            line.each =
                Ways { counts, missing: missing.split(',').filter(|to| !to.is_empty()).map(destination).collect() };
            line.once = line.each.clone();
        }
        let lines = if class.in_methods { &mut class.of_methods } else { &mut class.lines };
        lines.entry(number).or_default().add(line);
        Ok(())
    }

    fn finish(self) -> Result<CoverageReport, CoverageError> {
        let root = self.root.ok_or_else(|| malformed("it has no <coverage>".to_owned()))?;
        let all = |count: fn(&Lines, tally::Counting) -> Ratio, counting| {
            self.files.values().map(|lines| count(lines, counting)).fold(Ratio::default(), std::ops::Add::add)
        };
        let contradiction =
            |problem: String| CoverageError::Contradiction { file: "the whole report".to_owned(), problem };
        let points = |problem: String| contradiction(format!("{problem}; what AltCover measured is read as LCOV"));
        let of_lines = Said { total: root.lines_valid, covered: root.lines_covered };
        let of_lines = of_lines.counting("lines", |counting| all(tally::lines, counting)).map_err(points)?;
        let of_ways = Said { total: root.branches_valid, covered: root.branches_covered };
        let of_ways = of_ways.counting("branches", |counting| all(tally::ways, counting)).map_err(contradiction)?;
        let files = self.files.into_iter().map(|(path, lines)| tally::file(path, lines, of_lines, of_ways).checked());
        let files = files.collect::<Result<Vec<FileCoverage>, _>>()?;
        let report = CoverageReport {
            branches_measured: files.iter().any(|file| file.branches.total > 0),
            files,
            roots: self.roots.into_iter().filter(|root| !root.is_empty()).collect(),
            created_at: root.created_at,
        }
        .checked()?;
        if root.lines_valid.is_none() {
            not_above("lines", report.lines(), root.line_rate)?;
        }
        if let (None, Some(branches)) = (root.branches_valid, report.branches()) {
            not_above("branches", branches, root.branch_rate)?;
        }
        Ok(report)
    }
}

fn root(element: &Element) -> Result<Root, XmlError> {
    let number = |name| element.get(name).map(|_| element.number(name).map(u64::from)).transpose();
    // Coverlet writes a decimal comma where the language of its machine has one.
    let rate = |name: &str| {
        let parsed = element.get(name).map(|text| (text, text.trim().replace(',', ".").parse::<f64>()));
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
