use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::disturbed::{Disturbed, Left};
use super::{elsewhere, settings, skips};
use crate::formats::file_kind::FileKind;
use crate::model::{Code, Finding, Location, Severity, Target, finding_codes};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::scan::{Bench, ExitMeaning, Hit, Pragma, Reach, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, Seal, StepError};

/// How rustfmt begins to show where a file differs.
const DIFFERS: &str = "Diff in ";
/// A file that rustfmt must find, after all others: on a formatted repository it would print nothing, as one that is broken does.
const CANARY: &str = "fn  canary(){}\n";
/// What it shows of that one.
const CANARY_DIFFERENCE: &str = ":1:\n-fn  canary(){}\n+fn canary() {}\n";
/// What it makes of that one.
const CANARY_FORMATTED: &str = "fn canary() {}\n";
const CANARY_NAME: &str = "canary.txt";
/// Where the copies lie that it formats.
const COPIES: &str = "copies";
/// Its configuration, in the order in which it is looked for. Only that in the workspace's root counts here.
const CONFIGURATIONS: [&str; 2] = [".rustfmt.toml", "rustfmt.toml"];
const NESTED: [Setting; 2] = [Setting::nested(".rustfmt.toml"), Setting::nested("rustfmt.toml")];

finding_codes! {
    /// What is kept from rustfmt without a trace in what it prints; a file that is not formatted is `rustfmt`.
    pub enum RustFormatCode {
        PassedOver = "FMT-001" {
            summary: "an attribute keeps code from being formatted",
            help: "delete it, or justify it with `// reason:`, `// owner:` and `// expires:` on the lines above it",
            example: "#[rustfmt::skip]",
        },
        LeftAsItIs = "FMT-002" {
            summary: "rustfmt leaves code as it is, as it cannot format it",
            help: "write it so that it can: shorter, or with its comments elsewhere; or put `#[rustfmt::skip]` with a justification above it",
            example: "if x { foo(&[ 1,2 ], /* why */ ) }",
        },
        UnderAnotherName = "FMT-003" {
            summary: "Rust is taken in from a file whose name does not say that it is Rust",
            help: "rename the file to .rs, so that every tool looks at it; or justify it with `// reason:`, `// owner:` and `// expires:` on the lines above",
            example: "#[path = \"tables.inc\"] mod tables;",
        },
    }
}

/// Checks that Rust is formatted as rustfmt formats it. Nothing is changed.
///
/// ```
/// use cicd_core::steps::RustFormat;
///
/// let format = RustFormat::edition("2024");
/// ```
///
/// Every Rust file of the repository is named, so that one which no target includes is looked at too. The configuration is that of
/// the workspace's root, and may say how code is formatted, never whether. Rustfmt cannot be kept from obeying `#[rustfmt::skip]`, so
/// each such attribute is a finding: `FMT-001` that its justification exempts, or `IGN-016` without one. So is Rust that is taken in from
/// a file with another ending (`FMT-003`).
///
/// Code that rustfmt cannot format, as a statement wider than a line or one whose comment it would lose, it leaves as it is and says
/// nothing. So a copy of each file with other blanks, and with texts that are no wider than a line, is formatted too: what does not come
/// back is `FMT-002`. Not judged is what macros are given, but for those of the standard library that take expressions, and attributes.
pub type RustFormat = Scan<RustFormatScanner>;

/// See [`RustFormat`].
#[derive(Debug, Clone)]
pub struct RustFormatScanner {
    edition: String,
}

impl RustFormat {
    /// Every Rust file, parsed as this edition.
    #[must_use]
    pub fn edition(edition: impl Into<String>) -> Self {
        Self::of(RustFormatScanner { edition: edition.into() })
    }
}

/// What is laid out: a canary, the configuration, and copies to be formatted.
#[derive(Debug)]
pub struct Layout {
    root: Utf8PathBuf,
    canary: Utf8PathBuf,
    configuration: Utf8PathBuf,
    /// Where the copies lie, under the paths of their files.
    copies: Utf8PathBuf,
    disturbed: Vec<(Utf8PathBuf, Disturbed)>,
    /// All are in it; nowhere in tests of recorded output.
    _bench: Option<Bench>,
}

impl RustFormatScanner {
    /// Each file is named, so none has to be found through the one that declares it.
    fn rustfmt(&self, configuration: &Utf8Path) -> Invocation {
        Invocation::tool("rustfmt")
            .args(["--color", "never", "--edition", &self.edition, "--config", "skip_children=true"])
            .args(["--config-path", configuration.as_str()])
    }

    fn check(&self, files: &[&Utf8Path], canary: &Utf8Path, configuration: &Utf8Path) -> Invocation {
        self.rustfmt(configuration).args(["--check", "--"]).args(files).arg(canary)
    }

    fn format(&self, files: &[&Utf8Path], copies: &Utf8Path, configuration: &Utf8Path) -> Invocation {
        self.rustfmt(configuration).arg("--").args(files).arg(CANARY_NAME).dir(copies)
    }
}

impl Scanner for RustFormatScanner {
    type Input = ();
    type Layout = Layout;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("rustfmt", ">=1.5, <2").fix("install it with `rustup component add rustfmt`")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::of_kinds("Rust file", [FileKind::Rust])
    }

    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Layout, StepError> {
        let own = CONFIGURATIONS.into_iter().find(|name| cx.path(name).exists());
        let text = own.map(|name| cx.read_text(name).map(|text| (name, text))).transpose()?;
        let width = text.as_ref().map(|(name, text)| settings::check(Utf8Path::new(name), text)).transpose()?;
        let width = width.unwrap_or(settings::WIDTH);
        let bench = Bench::new(cx)?;
        let configuration = bench.write("rustfmt.toml", text.map_or_else(String::new, |(_, text)| text))?;
        let canary = bench.write(CANARY_NAME, CANARY)?;
        let copies = bench.make_folder(COPIES)?;
        bench.write(copies.join(CANARY_NAME), CANARY)?;
        let mut disturbed = Vec::with_capacity(sources.count());
        for source in sources.iter() {
            let copy = Disturbed::of(&source.text, width);
            bench.write(copies.join(&source.path), &copy.text)?;
            disturbed.push((source.path.clone(), copy));
        }
        Ok(Layout { root: cx.root().to_owned(), canary, configuration, copies, disturbed, _bench: Some(bench) })
    }

    fn commands(&self, sources: &Sources, layout: &Layout) -> Vec<Invocation> {
        let files: Vec<_> = sources.paths().collect();
        let configuration = &layout.configuration;
        vec![self.check(&files, &layout.canary, configuration), self.format(&files, &layout.copies, configuration)]
    }

    fn read(&self, sources: &Sources, layout: &Layout, captured: &[Captured]) -> Result<Report, StepError> {
        let [checked, formatted] = captured else {
            return Err(ReadError::new("what rustfmt prints", "it was not run twice").into());
        };
        let differing = differing(checked, &layout.root, &layout.canary)?;
        let left = left(sources, layout, formatted, &differing)?;
        Ok(Report::proven_otherwise().follows_files().with(checked, hits(&differing)).with(formatted, left))
    }

    fn exit_meaning(&self) -> ExitMeaning {
        ExitMeaning::Unrelated
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        let pragma = |index| {
            let message = "rustfmt passes over what this attribute stands at";
            let finding = Finding::new(RustFormatCode::PassedOver, message).severity(Severity::Low);
            Pragma { index, rules: Vec::new(), reach: Reach::Unseen(Box::new(finding)) }
        };
        let text = lines.join("\n");
        let elsewhere = |index| {
            let message = "this takes in Rust from a file that is not named so, and nobody looks at it";
            let finding = Finding::new(RustFormatCode::UnderAnotherName, message).severity(Severity::Medium);
            Pragma { index, rules: Vec::new(), reach: Reach::Unseen(Box::new(finding)) }
        };
        let skipped = skips::lines(&text).into_iter().map(pragma);
        skipped.chain(elsewhere::lines(&text).into_iter().map(elsewhere)).collect()
    }

    fn comment_starts(&self) -> &'static [&'static str] {
        &["//"]
    }

    fn settings(&self) -> &'static [Setting] {
        &NESTED
    }

    fn explain(&self) -> Vec<Invocation> {
        let step = Utf8Path::new("<step>");
        let (files, configuration) = (["<every Rust file>".into()], step.join("rustfmt.toml"));
        vec![
            self.check(&files, &step.join(CANARY_NAME), &configuration),
            self.format(&files, &step.join(COPIES), &configuration),
        ]
    }
}

/// What rustfmt left that could parse all it was given.
fn parsed(captured: &Captured, codes: &[i32]) -> Result<Captured, StepError> {
    let captured = captured.clone().require_exit(codes)?;
    let stderr = captured.stderr_text();
    if stderr.lines().any(|line| line.to_lowercase().starts_with("error")) {
        return Err(ReadError::new("a Rust file", stderr).help("mend what rustfmt cannot parse").into());
    }
    Ok(captured)
}

/// Where the copies, formatted, are not what their files are, but for files that `--check` shows.
fn left(sources: &Sources, layout: &Layout, captured: &Captured, shown: &Differing) -> Result<Vec<Hit>, StepError> {
    parsed(captured, &[0])?;
    let read = |name: &Utf8Path| {
        let path = layout.copies.join(name);
        crate::files::read_text(&path, crate::files::FILE_BYTES_MAX).map_err(StepError::io("reading", path))
    };
    if read(CANARY_NAME.into())? != CANARY_FORMATTED {
        let what = "rustfmt does not format a file that is known to differ";
        return Err(StepError::not_looked(what, "see the step's log and rustfmt's configuration"));
    }
    let mut hits = Vec::new();
    for (source, (path, copy)) in
        sources.iter().zip(&layout.disturbed).filter(|(_, (path, _))| !shown.contains_key(path))
    {
        let Some(Left { line, expected }) = copy.left(&source.text, &read(path)?) else { continue };
        let message = match expected {
            Some(expected) => format!("without the width of its texts rustfmt would write this line as `{expected}`"),
            None => "rustfmt cannot format this code and leaves it as it is".to_owned(),
        };
        let finding = Finding::new(RustFormatCode::LeftAsItIs, message).severity(Severity::Low);
        hits.push(Hit::in_line(finding, path, line).unheard());
    }
    Ok(hits)
}

/// The files that are not formatted, each with the first line that differs.
type Differing = BTreeMap<Utf8PathBuf, u32>;

fn differing(captured: &Captured, root: &Utf8Path, canary: &Utf8Path) -> Result<Differing, StepError> {
    let captured = parsed(captured, &[0, 1])?;
    let stdout = captured.stdout_text()?;
    let sang = format!("{DIFFERS}{canary}{CANARY_DIFFERENCE}");
    let Some((shown, _)) = stdout.rsplit_once(&sang).filter(|_| captured.exit == Exit::Code(1)) else {
        let what = format!("rustfmt ended with {} and does not show a file that is known to differ", captured.exit);
        return Err(StepError::not_looked(what, "see the step's log and rustfmt's configuration"));
    };
    let mut differing = Differing::new();
    for place in shown.lines().filter_map(|line| line.strip_prefix(DIFFERS)) {
        let place = place.trim_end_matches(':');
        let (path, line) = place
            .rsplit_once(':')
            .and_then(|(path, line)| Some((Utf8Path::new(path), line.parse().ok()?)))
            .ok_or_else(|| ReadError::new("what rustfmt prints", format!("{place:?} is not a place")))?;
        differing.entry(path.strip_prefix(root).unwrap_or(path).to_owned()).or_insert(line);
    }
    Ok(differing)
}

fn hits(differing: &Differing) -> Vec<Hit> {
    let hit = |(path, line): (&Utf8PathBuf, &u32)| {
        let finding = Finding::with_code(Code::from_static("rustfmt"), format!("{path} is not formatted"));
        let finding = finding.severity(Severity::Medium).target(Target::file(path));
        Hit::in_file(finding.at(Location::line(path, *line)).help(format!("rustfmt {path}")), path)
    };
    differing.iter().map(hit).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scan::judge;

    const BAD: &str = include_str!("../../../tests/data/rustfmt/bad.txt");
    const CLEAN: &str = include_str!("../../../tests/data/rustfmt/clean.txt");
    const UNPARSABLE: &str = include_str!("../../../tests/data/rustfmt/unparsable.stderr.txt");

    fn look(code: i32, stdout: &str, stderr: &str) -> Result<Vec<String>, StepError> {
        look_at_copies(code, stdout, stderr, ["fn a() {}\n", CANARY_FORMATTED])
    }

    fn look_at_copies(
        code: i32,
        stdout: &str,
        stderr: &str,
        [copy, canary_copy]: [&str; 2],
    ) -> Result<Vec<String>, StepError> {
        let captured = Captured::recorded(Exit::Code(code), stdout, stderr);
        let formatted = Captured::recorded(Exit::Code(0), "", "");
        let sources = Sources::recorded("rustfmt", semver::Version::new(1, 8, 0), &[("good.rs", "fn a() {}\n")]);
        let scanner = RustFormatScanner { edition: "2024".to_owned() };
        let (root, canary) = ("/src".into(), "/src/canary.rs".into());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copies = Utf8Path::from_path(folder.path()).expect("UTF-8").to_owned();
        let disturbed = vec![("good.rs".into(), Disturbed::of("fn a() {}\n", settings::WIDTH))];
        for (name, text) in [("good.rs", copy), (CANARY_NAME, canary_copy)] {
            fs::write(copies.join(name), text).expect("written");
        }
        let configuration = "/src/rustfmt.toml".into();
        let layout = Layout { root, canary, configuration, copies, disturbed, _bench: None };
        let report = scanner.read(&sources, &layout, &[captured, formatted])?;
        let judged = judge(&scanner, &sources, &report)?;
        let places = judged.findings.iter().map(|one| one.location.as_ref().map_or(String::new(), ToString::to_string));
        Ok(places.collect())
    }

    #[test]
    fn a_file_is_named_once_and_the_canary_not_at_all() {
        assert!(look(1, CLEAN, "").expect("looked").is_empty());
        assert_eq!(look(1, BAD, "").expect("looked"), ["bad.rs:1"]);
        let twice = format!("{}{BAD}", &BAD[..BAD.len() - CLEAN.len()]);
        assert_eq!(look(1, &twice, "Warning: unstable features").expect("looked"), ["bad.rs:1"]);
    }

    #[test]
    fn what_was_not_looked_at_is_an_error() {
        let place = BAD.replacen(":1:", ":x:", 1);
        for (code, stdout, stderr) in [
            (1, CLEAN, UNPARSABLE),
            (0, "", ""),
            (1, "", ""),
            (0, CLEAN, ""),
            (1, &CLEAN[..CLEAN.len() / 2], ""),
            (1, &BAD[..BAD.len() / 2], ""),
            (0, "All checks passed!\n", ""),
            (101, CLEAN, ""),
            (1, &place, ""),
        ] {
            assert!(look(code, stdout, stderr).is_err(), "{code} {stdout:?}");
        }
    }

    #[test]
    fn a_copy_that_does_not_come_back_is_a_finding_and_one_that_was_not_formatted_an_error() {
        assert_eq!(look_at_copies(1, CLEAN, "", ["fn a() { }\n", CANARY_FORMATTED]).expect("looked"), ["good.rs:1"]);
        let good = BAD.replace("bad.rs", "good.rs");
        assert_eq!(look_at_copies(1, &good, "", ["fn a() { }\n", CANARY_FORMATTED]).expect("looked"), ["good.rs:1"]);
        assert!(look_at_copies(1, CLEAN, "", ["fn a() {}\n", CANARY]).is_err());
    }
}
