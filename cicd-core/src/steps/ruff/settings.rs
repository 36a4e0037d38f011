use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::RuffCode;
use crate::formats::Suppressions;
use crate::model::{Finding, Location, Severity};
use crate::policy::Suppression;
use crate::step::{Context, ReadError, StepError};

/// The files that ruff takes settings from.
const FILES: [&str; 3] = [".ruff.toml", "ruff.toml", "pyproject.toml"];

/// The settings that ask for rules, say how code is to look or which Python it is for, have no effect here (which files are looked at is
/// the step's to say), or are about what people read. Any other may hide what the selected rules find, today or in a later version.
const HARMLESS: [&str; 31] = [
    "cache-dir",
    "exclude",
    "explicit-preview-rules",
    "extend-exclude",
    "extend-fixable",
    "extend-include",
    "extend-safe-fixes",
    "extend-select",
    "extend-unsafe-fixes",
    "extension",
    "fix",
    "fix-only",
    "fixable",
    "force-exclude",
    "format",
    "include",
    "indent-width",
    "isort",
    "line-length",
    "output-format",
    "preview",
    "pydocstyle.convention",
    "pycodestyle.max-line-length",
    "required-version",
    "respect-gitignore",
    "select",
    "show-fixes",
    "src",
    "target-version",
    "unfixable",
    "unsafe-fixes",
];

/// Judges the settings of every file that is tracked and that ruff reads for one of `sources`: what may hide findings needs somebody who
/// answers for it, in comments directly above.
///
/// # Errors
/// Files that are no TOML.
pub(super) fn judge<'a>(
    cx: &Context,
    sources: impl Iterator<Item = &'a Utf8Path>,
    files: &[Utf8PathBuf],
) -> Result<Suppressions, StepError> {
    let folders: BTreeSet<&Utf8Path> = sources.flat_map(|source| source.ancestors().skip(1)).collect();
    let mut judged = Suppressions::default();
    for path in files {
        let folder = path.parent().unwrap_or(Utf8Path::new(""));
        if path.file_name().is_some_and(|name| FILES.contains(&name)) && folders.contains(folder) {
            judge_file(path, &cx.read_text(path)?, &mut judged)?;
        }
    }
    Ok(judged)
}

fn judge_file(path: &Utf8Path, text: &str, judged: &mut Suppressions) -> Result<(), StepError> {
    let document = DeTable::parse(text)
        .map_err(|error| ReadError::new("ruff's settings", error.message()).at(Location::file(path)))?;
    let document = document.get_ref();
    let table = match path.file_name() {
        Some("pyproject.toml") => child(document, "tool").and_then(|tool| child(tool, "ruff")),
        _ => Some(document),
    };
    let Some(table) = table else { return Ok(()) };
    let mut found = softening(table, "");
    if let Some(lint) = child(table, "lint") {
        found.extend(softening(lint, ""));
    }
    let lines: Vec<&str> = text.lines().collect();
    for (name, start) in found {
        let index = text.get(..start).map_or(0, |before| before.matches('\n').count());
        let place = Suppression { path, lines: &lines, index };
        let message = format!("the setting `{name}` may hide what the selected rules find");
        judged.judge_found(place, &[], Finding::new(RuffCode::Softened, message).severity(Severity::Low));
    }
    Ok(())
}

fn child<'a, 'de>(table: &'a DeTable<'de>, name: &str) -> Option<&'a DeTable<'de>> {
    table.iter().find(|(key, _)| key.get_ref() == name).and_then(|(_, value)| as_table(value))
}

fn as_table<'a, 'de>(value: &'a Spanned<DeValue<'de>>) -> Option<&'a DeTable<'de>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The settings of a table that are not known to be harmless, and where each is written. A table is one setting, unless only part of
/// it is harmless.
fn softening(table: &DeTable<'_>, above: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let name = format!("{above}{}", key.get_ref());
        let within = format!("{name}.");
        let is_lint = above.is_empty() && name == "lint" && as_table(value).is_some();
        if is_lint || HARMLESS.contains(&name.as_str()) {
            continue;
        }
        match as_table(value) {
            Some(inner) if HARMLESS.iter().any(|known| known.starts_with(&within)) => {
                found.extend(softening(inner, &within));
            }
            _ => found.push((name, key.span().start)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: &str = "# reason: scripts are no members of a package\n# owner: @example/dev\n# expires: 2027-01-01\n";

    fn read(path: &str, text: &str) -> (Vec<String>, usize) {
        let mut judged = Suppressions::default();
        judge_file(path.into(), text, &mut judged).expect("TOML");
        let mut findings = Vec::new();
        let exceptions = judged.settle(&mut findings);
        let shown =
            |one: Finding| format!("{}{}", one.location.map_or(String::new(), |at| at.to_string()), one.message);
        (findings.into_iter().map(shown).collect(), exceptions.len())
    }

    #[test]
    fn settings_that_may_hide_findings_need_somebody_who_answers_for_them() {
        for setting in [
            "ignore = [\"B\"]",
            "extend-ignore = [\"B\"]",
            "per-file-ignores = { \"**\" = [\"ALL\"] }",
            "extend-per-file-ignores = { \"**\" = [\"ALL\"] }",
            "builtins = [\"secret\"]",
            "dummy-variable-rgx = \".*\"",
            "external = [\"V\"]",
            "task-tags = [\"import\"]",
            "typing-modules = [\"a\"]",
            "logger-objects = [\"a\"]",
            "allowed-confusables = [\"x\"]",
            "pydocstyle.ignore-decorators = [\"a\"]",
            "flake8-bandit.check-typed-exception = false",
            "mccabe = { max-complexity = 999 }",
            "per-file-target-version = { \"a.py\" = \"py37\" }",
            "extend = \"/elsewhere/ruff.toml\"",
            "nobody-knows = 1",
            "lint = 1",
        ] {
            for (path, head) in [
                ("ruff.toml", ""),
                (".ruff.toml", "[lint]\n"),
                ("a/pyproject.toml", "[tool.ruff]\n"),
                ("pyproject.toml", "[tool.ruff.lint]\n"),
            ] {
                let (findings, exceptions) = read(path, &format!("{head}{setting}\n"));
                assert!(findings.len() == 1 && findings[0].contains("has no reason"), "{path} {setting}: {findings:?}");
                assert!(findings[0].starts_with(&format!("{path}:{}", head.lines().count() + 1)), "{findings:?}");
                assert_eq!(exceptions, 0);
                let (findings, exceptions) = read(path, &format!("{head}{WHY}{setting}\n"));
                assert_eq!((findings.len(), exceptions), (1, 1), "{path} {setting}");
            }
        }
        let table = |above: &str| {
            format!("[tool.ruff]\nline-length = 100\n\n{above}[tool.ruff.lint.per-file-ignores]\n\"a\" = [\"B\"]\n")
        };
        assert_eq!((read("pyproject.toml", &table("")).1, read("pyproject.toml", &table(WHY)).1), (0, 1));
    }

    #[test]
    fn settings_that_ask_for_more_are_harmless() {
        let text = "line-length = 99\nexclude = [\"a\"]\n[format]\nquote-style = \"single\"\n[lint]\nselect = [\"ALL\"]\n\
                    [lint.isort]\ncombine-as-imports = true\n[lint.pydocstyle]\nconvention = \"google\"\n";
        assert_eq!(read("ruff.toml", text), (Vec::new(), 0));
        assert_eq!(read("pyproject.toml", "[tool.black]\nignore = 1\n"), (Vec::new(), 0));
        assert!(judge_file("ruff.toml".into(), "ignore = [", &mut Suppressions::default()).is_err());
    }
}
