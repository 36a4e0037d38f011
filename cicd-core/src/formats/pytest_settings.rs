//! The settings of pytest, from whichever of its files they stand in.

use camino::{Utf8Path, Utf8PathBuf};

/// The files that pytest looks for, in its order: the first that has settings is read, and no other.
pub const PYTEST_FILES: [&str; 7] =
    ["pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"];

/// What one file sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PytestSettings {
    /// The file.
    pub path: Utf8PathBuf,
    /// The line of the section's head, from 1.
    pub line: u32,
    /// Its settings, in their order.
    pub settings: Vec<PytestSetting>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PytestSetting {
    /// Its name.
    pub name: String,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Its values: one for each line or element.
    pub values: Vec<String>,
    /// Whether each value is one word, as in a list of TOML; otherwise blanks separate words.
    pub is_list: bool,
}

impl PytestSetting {
    /// Its words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        if self.is_list {
            return self.values.clone();
        }
        let all = self.values.join("\n");
        shlex::split(&all).unwrap_or_else(|| all.split_whitespace().map(str::to_owned).collect())
    }
}

/// Settings that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the settings of pytest cannot be read: {problem}")]
pub struct PytestSettingsError {
    path: Utf8PathBuf,
    problem: String,
}

/// Reads the settings in one of [`PYTEST_FILES`]; nothing where it has none.
///
/// # Errors
/// When it is broken.
pub fn read_pytest_settings(path: &Utf8Path, text: &str) -> Result<Option<PytestSettings>, PytestSettingsError> {
    let broken = |problem: String| PytestSettingsError { path: path.to_owned(), problem };
    let name = path.file_name().unwrap_or("");
    if name.ends_with(".toml") {
        return read_toml(path, text, name == "pyproject.toml").map_err(broken);
    }
    let sections = read_ini(text).map_err(broken)?;
    let wanted = if name == "setup.cfg" { "tool:pytest" } else { "pytest" };
    let found = sections.into_iter().find(|section| section.name == wanted);
    Ok(match found {
        Some(Section { line, settings, .. }) => Some(PytestSettings { path: path.to_owned(), line, settings }),
        // It is taken without a section too.
        None if name.ends_with("pytest.ini") => {
            Some(PytestSettings { path: path.to_owned(), line: 1, settings: Vec::new() })
        }
        None => None,
    })
}

fn read_toml(path: &Utf8Path, text: &str, is_project: bool) -> Result<Option<PytestSettings>, String> {
    let document: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let child = |table: &toml::Table, name: &str| table.get(name).and_then(toml::Value::as_table).cloned();
    let (heads, table) = if is_project {
        let Some(pytest) = child(&document, "tool").and_then(|tool| child(&tool, "pytest")) else { return Ok(None) };
        let mut all = child(&pytest, "ini_options").unwrap_or_else(toml::Table::new);
        all.extend(pytest.into_iter().filter(|(name, _)| name != "ini_options"));
        (["[tool.pytest.ini_options]", "[tool.pytest]"], all)
    } else {
        (["[pytest]", "[pytest]"], child(&document, "pytest").unwrap_or_else(toml::Table::new))
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = lines.iter().position(|line| heads.iter().any(|head| line.starts_with(head)));
    let line_of = |name: &str| {
        let is_key = |line: &&str| {
            let key = line.split('=').next().unwrap_or("").trim();
            let key = key.rsplit('.').next().unwrap_or(key).trim().trim_matches(['"', '\'']);
            line.contains('=') && key == name
        };
        let start = head.unwrap_or(0);
        let found = lines.get(start..).and_then(|below| below.iter().position(is_key)).map(|at| start + at);
        number(found.or_else(|| lines.iter().position(is_key)).or(head).unwrap_or(0))
    };
    let mut settings = Vec::new();
    for (name, value) in table {
        let line = line_of(&name);
        let (values, is_list) = match value {
            toml::Value::Array(all) => (all.iter().map(scalar).collect::<Result<_, _>>()?, true),
            other => (scalar(&other)?.lines().map(|line| line.trim().to_owned()).collect(), false),
        };
        settings.push(PytestSetting { name, line, values, is_list });
    }
    Ok(Some(PytestSettings { path: path.to_owned(), line: number(head.unwrap_or(0)), settings }))
}

fn scalar(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Boolean(yes) => Ok(yes.to_string()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        other => Err(format!("{other} is no value of pytest")),
    }
}

struct Section {
    name: String,
    line: u32,
    settings: Vec<PytestSetting>,
}

/// As iniconfig, the parser of pytest, reads it.
fn read_ini(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or(name).to_owned();
            sections.push(Section { name, line: number(index), settings: Vec::new() });
            continue;
        }
        let section = sections.last_mut().ok_or_else(|| format!("line {}: it is in no section", index + 1))?;
        if line.starts_with([' ', '\t']) {
            let setting = section.settings.last_mut();
            let setting = setting.ok_or_else(|| format!("line {}: it continues nothing", index + 1))?;
            setting.values.push(content.to_owned());
            continue;
        }
        let (name, value) = content
            .split_once(['=', ':'])
            .ok_or_else(|| format!("line {}: it is neither a section nor a setting", index + 1))?;
        let values = Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned).into_iter().collect();
        let name = name.trim().to_owned();
        section.settings.push(PytestSetting { name, line: number(index), values, is_list: false });
    }
    Ok(sections)
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> Vec<(String, u32, Vec<String>)> {
        let settings = read_pytest_settings(path.into(), text).expect("readable").expect("settings").settings;
        settings.into_iter().map(|one| (one.name.clone(), one.line, one.words())).collect()
    }

    #[test]
    fn each_file_of_pytest_is_read_as_pytest_reads_it() {
        let addopts = |line| vec![("addopts".to_owned(), line, vec!["-k".to_owned(), "not bad".to_owned()])];
        for (path, text, line) in [
            ("a/pyproject.toml", "[project]\naddopts = 1\n[tool.pytest.ini_options]\naddopts = \"-k 'not bad'\"\n", 4),
            ("pyproject.toml", "[tool.pytest.ini_options]\n# x\naddopts = [\n  \"-k\",\n  \"not bad\",\n]\n", 3),
            ("pyproject.toml", "[tool.pytest]\naddopts = [\"-k\", \"not bad\"]\n", 2),
            ("pyproject.toml", "tool.pytest.ini_options.addopts = \"-k 'not bad'\"\n", 1),
            ("pyproject.toml", "[tool]\npytest.ini_options = { addopts = \"-k 'not bad'\" }\n", 1),
            (".pytest.toml", "[pytest]\naddopts = [\"-k\", \"not bad\"]\n", 2),
            ("pytest.ini", "# x\n[pytest]\naddopts = -k\n    # no\n    'not bad'\n", 3),
            ("tox.ini", "[tox]\nx = 1\n[pytest]\naddopts: -k 'not bad'\n", 4),
            ("setup.cfg", "[tool:pytest]\naddopts=-k \"not bad\"\n", 2),
        ] {
            assert_eq!(read(path, text), addopts(line), "{path}: {text}");
        }
    }

    #[test]
    fn a_file_without_settings_is_passed_over_and_a_broken_one_is_an_error() {
        for (path, text) in [("pyproject.toml", "[project]\n"), ("tox.ini", "[tox]\n"), ("setup.cfg", "[pytest]\n")] {
            assert_eq!(read_pytest_settings(path.into(), text), Ok(None), "{path}");
        }
        assert!(read_pytest_settings("pytest.ini".into(), "").expect("readable").is_some());
        for (path, text) in [
            ("pyproject.toml", "[tool"),
            ("pytest.ini", "addopts = x\n"),
            ("pytest.ini", "[pytest]\n  x\n"),
            ("tox.ini", "[a]\nb\n"),
        ] {
            assert!(read_pytest_settings(path.into(), text).is_err(), "{path}: {text}");
        }
    }
}
