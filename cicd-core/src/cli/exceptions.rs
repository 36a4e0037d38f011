//! `exceptions`: every relaxation that the last run met, by the day on which it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;

use anstyle::Style;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;

use super::Output;
use super::args::{ExceptionsArgs, ListFormat};
use crate::formats::spreadsheet::inert;
use crate::formats::wrapped;
use crate::model::{Code, ExitStatus, Finding, Status};
use crate::pipeline::{ExceptionReport, Summary, latest_summary};
use crate::policy::{Applies, Exception, ExceptionCode, FindingsByName, Origin};
use crate::reporters::{plain, style_of};
use crate::step::{Clock, Workspace};

/// How many days ahead somebody is asked to act: time for one ordinary upgrade.
const SOON_DAYS: i64 = 14;

/// What stands below an expiry.
const INDENT: &str = "            ";

/// The columns of the CSV form, which it has without any exception too.
const COLUMNS: [&str; 12] = [
    "expires",
    "days_left",
    "state",
    "step",
    "id",
    "owner",
    "covers",
    "covered",
    "place",
    "reason",
    "origin",
    "environments",
];

/// One exception, whichever steps have read it.
#[derive(Debug, Serialize)]
struct Row {
    expires: Date,
    /// Days from the date that is asked about; 0 and less is expired.
    days_left: i32,
    state: State,
    /// The steps that it is for, the first of them first; where none of the run uses it, those that have read it.
    step: String,
    id: String,
    owner: String,
    /// How many findings it named.
    covers: usize,
    /// Those that it allowed: their targets.
    covered: String,
    place: String,
    reason: String,
    origin: Origin,
    /// Those that it is limited to; empty where it holds everywhere.
    environments: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Expired,
    ExpiresSoon,
    Holds,
    /// It allows nothing, which is a finding of its own.
    Unused,
    /// No step of the run that uses it has looked, so nobody can say whether it is needed.
    Undetermined,
}

pub(super) fn list(workspace: &Workspace, args: &ExceptionsArgs) -> Result<ExitStatus, Box<dyn Error>> {
    let summary =
        latest_summary(workspace, "ci").ok_or("there is no finished run to read; run `cargo xtask ci` first")?;
    let as_of = args.as_of.unwrap_or_else(|| Clock::System.today());
    let rows = rows(&summary, as_of)?;
    match args.format {
        ListFormat::Text => Output.say(&text(&rows, as_of, Output.columns())?),
        ListFormat::Json => Output.hand_over(&(serde_json::to_string_pretty(&rows)? + "\n")),
        ListFormat::Csv => Output.hand_over(&csv(&rows)?),
    }
    if !summary.complete {
        Output.complain(
            "warning: the last run was not on the whole pipeline, so exceptions of other steps are missing here",
        );
    }
    Ok(if rows.iter().any(|row| row.state == State::Expired) { ExitStatus::Failed } else { ExitStatus::Green })
}

/// What the steps of a run have said of one exception.
struct Listed<'a> {
    exception: &'a Exception,
    /// The steps that it is for.
    users: Vec<&'a str>,
    /// The steps that have only read it.
    readers: Vec<&'a str>,
    covers: usize,
    targets: BTreeSet<String>,
    is_unused: bool,
    is_undetermined: bool,
}

fn rows(summary: &Summary, as_of: Date) -> Result<Vec<Row>, jiff::Error> {
    let soon = as_of.checked_add(SOON_DAYS.days())?;
    let mut all = BTreeMap::new();
    for step in &summary.steps {
        let findings = FindingsByName::new(&step.findings, step.exceptions.iter().map(|report| &report.exception));
        // Not every exception has to cover something each time: a retry that was granted may not have been needed.
        let unused = [ExceptionCode::Unused, ExceptionCode::IgnoreStale].map(Code::from);
        let unused = step.findings.iter().filter(|finding| unused.contains(&finding.code));
        let unused: BTreeSet<_> = unused
            .filter_map(|finding| Some((finding.location.as_ref()?, finding.target.as_ref()?.to_string())))
            .collect();
        for ExceptionReport { exception, covers, undetermined } in &step.exceptions {
            let listed = all.entry(exception.identity()).or_insert_with(|| Listed::new(exception));
            if exception.applies == Applies::Elsewhere {
                listed.readers.push(step.name.as_str());
                continue;
            }
            listed.users.push(step.name.as_str());
            listed.covers += covers;
            listed.is_undetermined |= undetermined;
            listed.is_unused |= unused.contains(&(&exception.location, exception.id.clone()));
            let covered = findings.covered_by(exception).map(|(_, finding)| finding);
            let is_by_it =
                |finding: &&Finding| finding.exception.as_ref().is_some_and(|by| by.location == exception.location);
            let targets = covered.filter(is_by_it).filter_map(|finding| finding.target.as_ref());
            listed.targets.extend(targets.map(ToString::to_string));
        }
    }
    let mut rows: Vec<_> = all.into_values().map(|listed| listed.row(as_of, soon)).collect();
    rows.sort_by(|one, other| (one.expires, &one.id, &one.place).cmp(&(other.expires, &other.id, &other.place)));
    Ok(rows)
}

impl<'a> Listed<'a> {
    fn new(exception: &'a Exception) -> Self {
        Self {
            exception,
            users: Vec::new(),
            readers: Vec::new(),
            covers: 0,
            targets: BTreeSet::new(),
            is_unused: false,
            is_undetermined: false,
        }
    }

    fn row(self, as_of: Date, soon: Date) -> Row {
        let Self { exception, users, readers, covers, targets, is_unused, is_undetermined } = self;
        let expires = exception.justification.expires;
        let is_undetermined = is_undetermined || users.is_empty();
        let state = match covers {
            _ if exception.justification.is_expired(as_of) => State::Expired,
            0 if is_undetermined => State::Undetermined,
            0 if is_unused => State::Unused,
            _ if expires <= soon => State::ExpiresSoon,
            _ => State::Holds,
        };
        let steps = if users.is_empty() { readers } else { users };
        let targets: Vec<_> = targets.into_iter().collect();
        Row {
            expires,
            days_left: (expires - as_of).get_days(),
            state,
            step: steps.join(", "),
            id: plain(&exception.id).into_owned(),
            owner: plain(&exception.justification.owner).into_owned(),
            covers,
            covered: plain(&targets.join(", ")).into_owned(),
            place: plain(&exception.location.to_string()).into_owned(),
            reason: plain(&exception.justification.reason).into_owned(),
            origin: exception.origin,
            environments: plain(&exception.justification.environments.to_string()).into_owned(),
        }
    }
}

fn text(rows: &[Row], as_of: Date, width: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let mut to_act: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let Row { days_left, owner, .. } = row;
        let must_act = matches!(row.state, State::Expired | State::ExpiresSoon | State::Unused);
        let days = counted_days(*days_left);
        let (style, left) = match row.state {
            State::Expired => (style_of(Status::Failed), format!("EXPIRED by {as_of}")),
            State::ExpiresSoon => (style_of(Status::Flaky), format!("{days} left")),
            State::Unused => (style_of(Status::Failed), "it allows nothing, delete it".to_owned()),
            State::Holds => (Style::new(), format!("{days} left")),
            State::Undetermined => (style_of(Status::Skipped), format!("{days} left, not known whether it is needed")),
        };
        let left = if must_act { format!("must act: {left}") } else { format!("({left})") };
        if must_act {
            *to_act.entry(owner).or_default() += 1;
        }
        let who = plain(&format!("{}  {owner} {left}", row.id)).into_owned();
        let columns = width.saturating_sub(INDENT.len());
        for (number, line) in wrapped(&who, columns).lines().enumerate() {
            match number {
                0 => writeln!(text, "{style}{}{style:#}  {line}", row.expires)?,
                _ => writeln!(text, "{INDENT}{line}")?,
            }
        }
        let covers = match (row.covers, row.covered.as_str()) {
            (1, "") => "1 finding".to_owned(),
            (count, "") => format!("{count} findings"),
            (_, covered) => covered.to_owned(),
        };
        let only = match row.environments.as_str() {
            "" => String::new(),
            some => format!(" in {some} only"),
        };
        let what = format!("{} covers {covers} of {}{only}; {}", row.place, row.step, row.reason);
        for line in wrapped(&plain(&what), columns).lines() {
            writeln!(text, "{INDENT}{line}")?;
        }
    }
    match rows.len() {
        0 => writeln!(text, "no exceptions: nothing is relaxed")?,
        1 => writeln!(text, "1 exception as of {as_of}")?,
        count => writeln!(text, "{count} exceptions as of {as_of}")?,
    }
    for (owner, count) in to_act {
        writeln!(text, "{} must act on {count}", plain(owner))?;
    }
    Ok(text)
}

fn counted_days(days: i32) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

fn csv(rows: &[Row]) -> Result<String, Box<dyn Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if rows.is_empty() {
        writer.write_record(COLUMNS)?;
    }
    for row in rows {
        // Numbers and dates are ours; all other words may be anybody's, and none may be a formula.
        writer.serialize(Row {
            step: row.step.clone(),
            id: inert(&row.id).into_owned(),
            owner: inert(&row.owner).into_owned(),
            covered: inert(&row.covered).into_owned(),
            place: inert(&row.place).into_owned(),
            reason: inert(&row.reason).into_owned(),
            environments: inert(&row.environments).into_owned(),
            ..*row
        })?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::civil::date;

    use super::*;
    use crate::model::by_key::counting;
    use crate::model::{Location, Severity, StepName, Target};
    use crate::policy::{Justification, Policy, Scope, evaluate};

    #[test]
    fn no_cell_of_the_csv_is_a_formula() {
        for hostile in ["=HYPERLINK(\"http://evil.example\",\"x\")", "+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1"] {
            let mut summary = summary();
            let report = &mut summary.steps[0].exceptions[0].exception;
            report.id = hostile.to_owned();
            report.justification.reason = hostile.to_owned();
            report.location = Location::file(hostile);
            let text = csv(&rows(&summary, date(2026, 11, 21)).expect("a day")).expect("text");
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            for record in reader.records() {
                let record = record.expect("a record");
                // The number of days may be below 0.
                for cell in record.iter().enumerate().filter(|(column, _)| *column != 1).map(|(_, cell)| cell) {
                    assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '＝']), "{cell:?}");
                }
            }
        }
    }

    #[test]
    fn no_list_grows_faster_than_its_exceptions_and_findings() {
        counting::is_linear("exceptions, each for a finding of its own", 16, |count| {
            let mut summary = summary();
            let report = summary.steps[0].exceptions[0].clone();
            let step = &mut summary.steps[0];
            let place = |number: usize| Location::line("a", u32::try_from(number + 1).expect("small"));
            step.exceptions = (0..count).map(|_| report.clone()).collect();
            for (number, one) in step.exceptions.iter_mut().enumerate() {
                one.exception.id = format!("X-{number}");
                one.exception.location = place(number);
            }
            step.findings = step
                .exceptions
                .iter()
                .map(|one| {
                    let mut finding =
                        Finding::with_code(Code::new(one.exception.id.as_str()), "m").target(Target::name("t"));
                    finding.exception = Some(one.exception.to_ref());
                    finding
                })
                .collect();
            let rows = rows(&summary, date(2026, 11, 21)).expect("a day");
            assert!(rows.len() == count && rows.iter().all(|row| row.covered == "t"));
        });
    }

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn summary() -> Summary {
        let text = include_str!("../../tests/data/summary/one-step.json");
        let mut summary: Summary = serde_json::from_str(text).expect("a summary");
        let exception = |id: &str, reason: &str, line, expires| Exception {
            id: id.to_owned(),
            scope: Scope::Any,
            justification: Justification {
                reason: reason.to_owned(),
                owner: "@example/platform".to_owned(),
                expires,
                environments: crate::model::Environments::default(),
            },
            origin: Origin::IgnoreFile,
            location: Location::line("shop/cart.py", line),
            applies: Applies::Here,
        };
        let exceptions = [
            exception("F401", "importing it registers the codec", 6, date(2027, 3, 1)),
            exception("B301", "written by this process, \"a moment\" ago", 9, date(2026, 12, 1)),
            exception("DL3008", "versions move\u{1b}[2J", 1, date(2027, 2, 1)),
        ];
        let finding = |code: &'static str, target: (&str, u32)| {
            Finding::with_code(Code::from_static(code), "m")
                .severity(Severity::Low)
                .target(Location::line(target.0, target.1))
        };
        let findings = vec![finding("F401", ("shop/cart.py", 6)), finding("B301", ("shop/cart.py", 9))];
        let verdict = evaluate(findings, &exceptions, &Policy::default(), date(2026, 11, 21));
        summary.steps[0].findings = verdict.findings;
        let reports = exceptions.into_iter().zip(verdict.covered);
        summary.steps[0].exceptions =
            reports.map(|(exception, covers)| ExceptionReport { exception, covers, undetermined: false }).collect();
        summary
    }

    #[test]
    fn an_exception_is_listed_once_whoever_has_read_it() {
        let mut summary = summary();
        let step = |name: &str, keep: &[usize], applies: Applies| {
            let mut step = summary.steps[0].clone();
            step.name = StepName::new(name).expect("a name");
            step.exceptions = keep.iter().map(|&index| step.exceptions[index].clone()).collect();
            step.exceptions.iter_mut().for_each(|one| one.exception.applies = applies);
            if applies == Applies::Elsewhere {
                step.findings.clear();
                step.exceptions.iter_mut().for_each(|one| one.covers = 0);
            }
            step
        };
        // One reads all three, two use the second, and nobody whom the third is for has looked.
        let mut blocked = step("blocked", &[2], Applies::Here);
        blocked.findings.clear();
        blocked.exceptions[0].undetermined = true;
        let limited = blocked.exceptions[0].exception.justification.clone().only_in(["local", "staging"]);
        let lint = step("exception-lint", &[0, 1], Applies::Elsewhere);
        let [scan, audit] = ["scan", "audit"].map(|name| step(name, &[1], Applies::Here));
        blocked.exceptions[0].exception.justification = limited.expect("names");
        summary.steps = vec![lint, scan, audit, blocked];
        let rows = rows(&summary, date(2026, 11, 21)).expect("a day");
        let seen: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.step.as_str(), row.covers, row.state)).collect();
        assert_eq!(
            seen,
            [
                ("B301", "scan, audit", 2, State::ExpiresSoon),
                ("DL3008", "blocked", 0, State::Undetermined),
                ("F401", "exception-lint", 0, State::Undetermined),
            ]
        );
        assert_eq!(csv(&rows).expect("text").lines().count(), 4);
        let text = stripped(&text(&rows, date(2026, 11, 21), 40).expect("text"));
        assert!(text.contains("3 exceptions as of") && text.replace('\n', " ").contains("not known"), "{text}");
        assert!(text.contains("local, staging") && text.contains("@example/platform must act on 1\n"), "{text}");
        assert!(text.lines().filter(|line| line.starts_with(INDENT)).all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn the_list_says_what_is_covered_and_who_must_act() {
        let summary = summary();
        let rows_at = |day| rows(&summary, day).expect("a day");
        expect![[r#"
            2026-12-01  B301  @example/platform must act: 10 days left
                        shop/cart.py:9 covers shop/cart.py:9 of lint; written by this
                        process, "a moment" ago
            2027-02-01  DL3008  @example/platform must act: it allows nothing, delete it
                        shop/cart.py:1 covers 0 findings of lint; versions move\u{1b}[2J
            2027-03-01  F401  @example/platform (100 days left)
                        shop/cart.py:6 covers shop/cart.py:6 of lint; importing it registers
                        the codec
            3 exceptions as of 2026-11-21
            @example/platform must act on 2
        "#]]
        .assert_eq(&stripped(&text(&rows_at(date(2026, 11, 21)), date(2026, 11, 21), 80).expect("text")));
        expect![[r#"
            expires,days_left,state,step,id,owner,covers,covered,place,reason,origin,environments
            2026-12-01,-81,expired,lint,B301,'@example/platform,1,shop/cart.py:9,shop/cart.py:9,"written by this process, ""a moment"" ago",ignore_file,
            2027-02-01,-19,expired,lint,DL3008,'@example/platform,0,,shop/cart.py:1,versions move\u{1b}[2J,ignore_file,
            2027-03-01,9,expires_soon,lint,F401,'@example/platform,1,shop/cart.py:6,shop/cart.py:6,importing it registers the codec,ignore_file,
        "#]]
        .assert_eq(&csv(&rows_at(date(2027, 2, 20))).expect("text"));
    }
}
