use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{settings, skips};
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
const CANARY_NAME: &str = "canary.txt";
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
/// each such attribute is a finding: `FMT-001` that its justification exempts, or `IGN-016` without one.
///
/// With [`of_last_commit`](Scan::of_last_commit) it looks at the modules too that the files declare.
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

/// What is laid out: a canary and the configuration.
#[derive(Debug)]
pub struct Layout {
    root: Utf8PathBuf,
    canary: Utf8PathBuf,
    configuration: Utf8PathBuf,
    /// Both are in it; nowhere in tests of recorded output.
    _bench: Option<Bench>,
}

impl RustFormatScanner {
    fn invocation(&self, files: &[&Utf8Path], canary: &Utf8Path, configuration: &Utf8Path) -> Invocation {
        Invocation::tool("rustfmt")
            .args(["--check", "--color", "never", "--edition", &self.edition])
            .args(["--config-path", configuration.as_str(), "--"])
            .args(files)
            .arg(canary)
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

    fn lay_out(&self, cx: &Context, _: &Sources) -> Result<Layout, StepError> {
        let own = CONFIGURATIONS.into_iter().find(|name| cx.path(name).exists());
        let text = own.map(|name| cx.read_text(name).map(|text| (name, text))).transpose()?;
        if let Some((name, text)) = &text {
            settings::check(Utf8Path::new(name), text)?;
        }
        let bench = Bench::new(cx)?;
        let configuration = bench.write("rustfmt.toml", text.map_or_else(String::new, |(_, text)| text))?;
        let canary = bench.write(CANARY_NAME, CANARY)?;
        Ok(Layout { root: cx.root().to_owned(), canary, configuration, _bench: Some(bench) })
    }

    fn commands(&self, sources: &Sources, layout: &Layout) -> Vec<Invocation> {
        let files: Vec<_> = sources.paths().collect();
        vec![self.invocation(&files, &layout.canary, &layout.configuration)]
    }

    fn read(&self, _: &Sources, layout: &Layout, captured: &[Captured]) -> Result<Report, StepError> {
        let mut report = Report::proven_otherwise().follows_files();
        for captured in captured {
            report = report.with(captured, hits(captured, &layout.root, &layout.canary)?);
        }
        Ok(report)
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
        skips::lines(&lines.join("\n")).into_iter().map(pragma).collect()
    }

    fn comment_starts(&self) -> &'static [&'static str] {
        &["//"]
    }

    fn settings(&self) -> &'static [Setting] {
        &NESTED
    }

    fn explain(&self) -> Vec<Invocation> {
        let step = Utf8Path::new("<step>");
        vec![self.invocation(&["<every Rust file>".into()], &step.join(CANARY_NAME), &step.join("rustfmt.toml"))]
    }
}

fn hits(captured: &Captured, root: &Utf8Path, canary: &Utf8Path) -> Result<Vec<Hit>, StepError> {
    let captured = captured.clone().require_exit(&[0, 1])?;
    let stderr = captured.stderr_text();
    if stderr.lines().any(|line| line.to_lowercase().starts_with("error")) {
        return Err(ReadError::new("a Rust file", stderr).help("mend what rustfmt cannot parse").into());
    }
    let stdout = captured.stdout_text()?;
    let sang = format!("{DIFFERS}{canary}{CANARY_DIFFERENCE}");
    let Some((shown, _)) = stdout.rsplit_once(&sang).filter(|_| captured.exit == Exit::Code(1)) else {
        let what = format!("rustfmt ended with {} and does not show a file that is known to differ", captured.exit);
        return Err(StepError::not_looked(what, "see the step's log and rustfmt's configuration"));
    };
    let (mut hits, mut shown_already) = (Vec::new(), BTreeSet::new());
    for place in shown.lines().filter_map(|line| line.strip_prefix(DIFFERS)) {
        let place = place.trim_end_matches(':');
        let (path, line) = place
            .rsplit_once(':')
            .and_then(|(path, line)| Some((Utf8Path::new(path), line.parse().ok()?)))
            .ok_or_else(|| ReadError::new("what rustfmt prints", format!("{place:?} is not a place")))?;
        let path = path.strip_prefix(root).unwrap_or(path);
        // A file that is named, and that another one declares, is shown twice; its first place is enough.
        if shown_already.insert(path.to_owned()) {
            let finding = Finding::with_code(Code::from_static("rustfmt"), format!("{path} is not formatted"));
            let finding = finding.severity(Severity::Medium).target(Target::file(path));
            hits.push(Hit::in_file(finding.at(Location::line(path, line)).help(format!("rustfmt {path}")), path));
        }
    }
    Ok(hits)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::scan::judge;

    const BAD: &str = include_str!("../../../tests/data/rustfmt/bad.txt");
    const CLEAN: &str = include_str!("../../../tests/data/rustfmt/clean.txt");
    const UNPARSABLE: &str = include_str!("../../../tests/data/rustfmt/unparsable.stderr.txt");

    fn look(code: i32, stdout: &str, stderr: &str) -> Result<Vec<String>, StepError> {
        let captured = Captured::recorded(Exit::Code(code), stdout, stderr);
        let sources = Sources::recorded("rustfmt", semver::Version::new(1, 8, 0), &[("good.rs", "fn a() {}\n")]);
        let scanner = RustFormatScanner { edition: "2024".to_owned() };
        let (root, canary) = ("/src".into(), "/src/canary.rs".into());
        let layout = Layout { root, canary, configuration: "/src/rustfmt.toml".into(), _bench: None };
        let report = scanner.read(&sources, &layout, &[captured])?;
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
}
