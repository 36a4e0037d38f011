use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::Location;
use crate::scan::Bench;
use crate::step::{Context, ReadError, StepError};

/// Marks a line of an example that its rule must find.
const MARK: &str = "# finds: ";

/// The rules of a folder, each with an example beside it, copied to where semgrep takes it for Python.
#[derive(Debug)]
pub struct Examples {
    /// The names of the rules.
    pub(super) rules: BTreeSet<String>,
    /// The copies.
    pub(super) files: Vec<Utf8PathBuf>,
    /// What has to be found in the copies: file, line, rule.
    pub(super) expected: BTreeSet<(Utf8PathBuf, u32, String)>,
    /// Where the copies are; nowhere in tests of recorded output.
    pub(super) bench: Option<Bench>,
}

#[derive(Deserialize)]
struct RuleFile {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// What a rule may say of itself beside its patterns. Anything else, such as `paths`, `options` and `min-version`, could keep it from
/// files, while its example is found as ever.
const KEYS: [&str; 15] = [
    "fix",
    "fix-regex",
    "languages",
    "message",
    "metadata",
    "mode",
    "pattern",
    "pattern-either",
    "pattern-propagators",
    "pattern-regex",
    "pattern-sanitizers",
    "pattern-sinks",
    "pattern-sources",
    "patterns",
    "severity",
];

impl Examples {
    /// Reads `<rule>.yaml` and `<rule>.py.txt` of the folder and writes the copies.
    ///
    /// # Errors
    /// A folder without rules, a file with another rule than its name says, and a rule without an example that it must find.
    pub(super) fn copy(cx: &Context, folder: &Utf8Path) -> Result<Self, StepError> {
        let mut names: Vec<String> = Vec::new();
        let dir = cx.path(folder);
        for entry in dir.read_dir_utf8().map_err(StepError::io("reading", folder))? {
            let path = entry.map_err(StepError::io("reading", folder))?.into_path();
            match (path.extension(), path.file_stem()) {
                (Some("yaml"), Some(stem)) => names.push(stem.to_owned()),
                (Some("yml"), _) => {
                    return Err(unusable(&cx.relative(&path), "name it .yaml"));
                }
                _ => {}
            }
        }
        if names.is_empty() {
            return Err(StepError::not_looked(format!("{folder} holds no rules"), "correct the step's folder"));
        }
        names.sort();
        let bench = Bench::new(cx)?;
        let mut all = Self { rules: BTreeSet::new(), files: Vec::new(), expected: BTreeSet::new(), bench: None };
        for name in names {
            check_rule(cx, &folder.join(format!("{name}.yaml")), &name)?;
            let example = folder.join(format!("{name}.py.txt"));
            let text = cx.read_text(&example)?;
            let copy = bench.write(format!("examples/{name}.py"), &text)?;
            let found = marks(&text);
            if !found.iter().any(|(_, rule)| *rule == name) {
                return Err(unusable(&example, &format!("mark a line that the rule must find with `{MARK}{name}`")));
            }
            all.expected.extend(found.into_iter().map(|(line, rule)| (copy.clone(), line, rule)));
            all.rules.insert(name);
            all.files.push(copy);
        }
        all.bench = Some(bench);
        Ok(all)
    }

    /// A folder for what semgrep writes.
    pub(super) fn folder(&self) -> &Utf8Path {
        self.bench.as_ref().map_or(Utf8Path::new("<step>"), Bench::folder)
    }
}

fn check_rule(cx: &Context, path: &Utf8Path, name: &str) -> Result<(), StepError> {
    let text = cx.read_text(path)?;
    let file: RuleFile =
        serde_saphyr::from_str(&text).map_err(|error| ReadError::new("the rule", error).at(Location::file(path)))?;
    file.help(name).map_or(Ok(()), |help| Err(unusable(path, &help)))
}

impl RuleFile {
    /// What to do so that the example of the rule of that name shows that it searches.
    fn help(&self, name: &str) -> Option<String> {
        match self.rules.as_slice() {
            [rule] if rule.id == name => {
                let key = rule.others.keys().find(|key| !KEYS.contains(&key.as_str()))?;
                Some(format!("remove `{key}`, which may keep the rule from files"))
            }
            _ => Some(format!("let it hold one rule, with the id {name}")),
        }
    }
}

fn marks(text: &str) -> Vec<(u32, String)> {
    let mark = |(line, text): (u32, &str)| text.split_once(MARK).map(|(_, rule)| (line, rule.trim().to_owned()));
    (1..).zip(text.lines()).filter_map(mark).collect()
}

fn unusable(path: &Utf8Path, help: &str) -> StepError {
    StepError::not_looked(format!("{path} proves nothing"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_lines_have_to_be_found() {
        let text = "a()\nb()  # finds: no-b\n\nc()  # finds: no-c \n";
        assert_eq!(marks(text), [(2, "no-b".to_owned()), (4, "no-c".to_owned())]);
    }

    #[test]
    fn a_rule_that_may_search_its_example_alone_is_none() {
        let help = |rule: &str| serde_saphyr::from_str::<RuleFile>(rule).expect("a rule").help("no-b");
        let rule = "rules:\n- id: no-b\n  languages: [python]\n  message: m\n  severity: ERROR\n  pattern: b()\n";
        assert_eq!(help(rule), None);
        for key in
            ["paths: {include: ['**/examples/*.py']}", "paths: {exclude: [app]}", "options: {}", "min-version: 9.0.0"]
        {
            assert!(help(&format!("{rule}  {key}\n")).is_some_and(|help| help.contains("remove")), "{key}");
        }
        assert!(help(&rule.replace("no-b", "no-c")).is_some());
    }
}
