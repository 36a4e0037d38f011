//! Which settings of the repository the tests run with: those that cannot hide a test, and those that somebody answers for.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::PytestCode;
use crate::formats::Suppressions;
use crate::formats::pytest_settings::{PytestSetting, PytestSettings};
use crate::model::Finding;
use crate::policy::Suppression;

/// What pytest is told beside the step's own arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Settings, with the lines of their values.
    pub(super) settings: Vec<(String, Vec<String>)>,
    /// Arguments.
    pub(super) args: Vec<String>,
}

/// What becomes of a setting or an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is taken over: it can make tests fail, or help them to run, but hide none.
    Kept,
    /// It has no effect: the step decides about that itself, or it is about what people read.
    Dropped,
    /// It can hide a test, or nobody knows.
    Refused,
}

fn setting_fate(name: &str) -> Fate {
    match name {
        "minversion"
        | "required_plugins"
        | "markers"
        | "pythonpath"
        | "filterwarnings"
        | "asyncio_mode"
        | "anyio_mode"
        | "timeout"
        | "timeout_method"
        | "DJANGO_SETTINGS_MODULE"
        | "strict"
        | "strict_config"
        | "strict_markers"
        | "strict_parametrization_ids" => Fate::Kept,
        "asyncio_default_fixture_loop_scope" | "asyncio_default_test_loop_scope" => Fate::Kept,
        // Which files are looked at is read from the source, and an unexpected pass is a failure always.
        "testpaths"
        | "norecursedirs"
        | "xfail_strict"
        | "strict_xfail"
        | "cache_dir"
        | "console_output_style"
        | "faulthandler_timeout"
        | "truncation_limit_lines"
        | "truncation_limit_chars" => Fate::Dropped,
        _ if ["junit_", "log_", "verbosity_", "tmp_path_"].iter().any(|start| name.starts_with(start)) => Fate::Dropped,
        _ => Fate::Refused,
    }
}

/// Options whose value is the next word where no `=` follows.
const WITH_VALUE: [&str; 13] = [
    "--import-mode",
    "-W",
    "--pythonwarnings",
    "-r",
    "--tb",
    "--color",
    "--durations",
    "--durations-min",
    "--verbosity",
    "--cov",
    "--cov-report",
    "--cov-config",
    "--show-capture",
];

fn word_fate(word: &str) -> Fate {
    let name = word.split('=').next().unwrap_or(word);
    match name {
        "--strict" | "--strict-markers" | "--strict-config" | "--import-mode" | "-W" | "--pythonwarnings" => Fate::Kept,
        "--tb" | "--color" | "--durations" | "--durations-min" | "--verbosity" | "--verbose" | "--quiet"
        | "--showlocals" | "--no-showlocals" | "--no-header" | "--no-summary" | "--show-capture" | "--full-trace"
        | "-l" | "-s" => Fate::Dropped,
        _ if name.starts_with("-W") && !name.starts_with("--") => Fate::Kept,
        _ if name.starts_with("-r") && !name.starts_with("--") => Fate::Dropped,
        _ if is_repeated(name, 'v') || is_repeated(name, 'q') => Fate::Dropped,
        // The step measures by itself, with settings of its own.
        _ if name == "--cov" || name.starts_with("--cov-") || name == "--no-cov-on-fail" => Fate::Dropped,
        _ => Fate::Refused,
    }
}

fn is_repeated(word: &str, letter: char) -> bool {
    word.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.chars().all(|one| one == letter))
}

/// The words of `addopts` that are kept, and those that are refused.
fn sorted(words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let fate = word_fate(&word);
        let value = WITH_VALUE.contains(&word.as_str()).then(|| words.next_if(|next| !next.starts_with('-'))).flatten();
        let all = [Some(word), value].into_iter().flatten();
        match fate {
            Fate::Kept => kept.extend(all),
            Fate::Dropped => {}
            Fate::Refused => refused.extend(all),
        }
    }
    (kept, refused)
}

/// The options that a run takes over from the repository. What it refuses is a finding, and is taken over once it is justified.
pub(super) fn options(
    found: &PytestSettings,
    text: &str,
    root: &Utf8Path,
    judged: &mut Suppressions,
) -> Result<Options, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut options = Options::default();
    let mut refuse = |line: u32, message: String| {
        let place = Suppression { path: &found.path, lines: &lines, index: (line as usize).saturating_sub(1) };
        judged.judge_found(place, &[], Finding::new(PytestCode::Setting, message))
    };
    let home = root.join(found.path.parent().unwrap_or(Utf8Path::new("")));
    for setting in &found.settings {
        let PytestSetting { name, line, .. } = setting;
        if let Some(bad) = setting.values.iter().find(|value| value.contains(['\n', '\r'])) {
            return Err(format!("{}:{line}: the value {bad:?} of `{name}` has more than one line", found.path));
        }
        if name == "addopts" {
            let (kept, refused) = sorted(setting.words());
            if !refused.is_empty() {
                let message = format!("`{}` in `addopts` has no effect here", refused.join(" "));
                if refuse(*line, message) {
                    options.args.extend(refused);
                }
            }
            options.args.extend(kept);
            continue;
        }
        let values = match name.as_str() {
            "pythonpath" => setting.words().iter().map(|path| home.join(path).into_string()).collect(),
            _ => setting.values.clone(),
        };
        let outside = name == "pythonpath" && values.iter().any(|path| !is_below(root, Utf8Path::new(path)));
        let taken = match setting_fate(name) {
            _ if outside => refuse(*line, format!("`{name}` leads out of the repository, and has no effect here")),
            Fate::Kept => true,
            Fate::Dropped => false,
            Fate::Refused => refuse(*line, format!("the setting `{name}` has no effect here")),
        };
        if taken {
            options.settings.push((name.clone(), values));
        }
    }
    Ok(options)
}

/// Whether a path stays below a folder, as it is written.
fn is_below(folder: &Utf8Path, path: &Utf8Path) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else { return false };
    let mut depth = 0_usize;
    inside.components().all(|part| match part {
        Utf8Component::ParentDir => depth.checked_sub(1).inspect(|&up| depth = up).is_some(),
        Utf8Component::CurDir => true,
        _ => {
            depth += 1;
            true
        }
    })
}

/// A second file with settings: pytest reads the first alone, and people may read the other.
pub(super) fn second_file(first: &PytestSettings, second: &PytestSettings, text: &str, judged: &mut Suppressions) {
    let lines: Vec<&str> = text.lines().collect();
    let place = Suppression { path: &first.path, lines: &lines, index: (first.line as usize).saturating_sub(1) };
    let message = format!("pytest reads {} and passes over the settings in {}", first.path, second.path);
    judged.judge_found(place, &[], Finding::new(PytestCode::Setting, message));
}

/// The file of settings that the tests run with.
pub(super) fn settings_file(options: &Options) -> String {
    let own =
        "# Written by the step: the settings of the repository that it takes over.\n[pytest]\nxfail_strict = true\n";
    let one = |(name, values): &(String, Vec<String>)| {
        let lines: String = values.iter().map(|value| format!("\n    {value}")).collect();
        format!("{name} ={lines}\n")
    };
    own.to_owned() + &options.settings.iter().map(one).collect::<String>()
}

/// Where settings may stand, the nearest first: the project's folder and those above it, up to the workspace.
pub(super) fn settings_places(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    dir.ancestors().map(Utf8Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::pytest_settings::read_pytest_settings;

    fn read(text: &str) -> (Options, Vec<String>, usize) {
        let found = read_pytest_settings("app/pytest.ini".into(), text).expect("readable").expect("settings");
        let mut judged = Suppressions::default();
        let options = options(&found, text, "/src".into(), &mut judged).expect("options");
        let mut findings = Vec::new();
        let exceptions = judged.settle(&mut findings);
        (options, findings.into_iter().map(|one| one.message).collect(), exceptions.len())
    }

    #[test]
    fn options_that_hide_tests_are_findings_without_effect() {
        for word in [
            "-k 'not bad'",
            "-m 'not slow'",
            "--deselect tests/a.py::b",
            "--ignore=tests/a.py",
            "--ignore-glob=*",
            "-x",
            "--maxfail=1",
            "--lf",
            "--co",
            "-p no:recorder",
            "-p evil",
            "-o xfail_strict=false",
            "-c other.ini",
            "tests/unit",
            "--runxfail",
            "--noconftest",
            "--sw",
            "--assert=plain",
            "-n4",
            "--reruns 5",
            "--rootdir=/x",
            "--pyargs a",
            "-xq",
        ] {
            let (options, messages, _) = read(&format!("[pytest]\naddopts = -ra {word} --strict-markers -W error\n"));
            assert_eq!(options.args, ["--strict-markers", "-W", "error"], "{word}");
            assert!(messages.len() == 1 && messages[0].contains("it has no reason, owner and expiry"), "{messages:?}");
        }
    }

    #[test]
    fn settings_that_pick_tests_are_findings_and_a_justification_gives_them_effect() {
        for name in ["python_files", "python_functions", "python_classes", "usefixtures", "nobody_knows", "addopts"] {
            let (found, messages, exceptions) = read(&format!("[pytest]\n{name} = check_*\n"));
            assert_eq!((found, messages.len(), exceptions), (Options::default(), 1, 0), "{name}");
            let above = "# reason: the generated checks have names of their own\n# owner: @example/dev\n# expires: 2027-01-01\n";
            let (found, _, exceptions) = read(&format!("[pytest]\n{above}{name} = check_*\n"));
            assert_eq!((found.settings.len() + found.args.len(), exceptions), (1, 1), "{name}");
        }
    }

    #[test]
    fn settings_that_hide_nothing_are_taken_over() {
        let text = "[pytest]\nminversion = 9.0\ntestpaths = tests\npythonpath = . src\naddopts = -ra -q --import-mode=importlib\n\
                    filterwarnings =\n    error\n    ignore::UserWarning\nxfail_strict = false\n";
        let (options, messages, _) = read(text);
        assert_eq!(messages, Vec::<String>::new());
        assert_eq!(options.args, ["--import-mode=importlib"]);
        assert_eq!(
            settings_file(&options).lines().skip(2).collect::<Vec<_>>(),
            [
                "xfail_strict = true",
                "minversion =",
                "    9.0",
                "pythonpath =",
                "    /src/app/.",
                "    /src/app/src",
                "filterwarnings =",
                "    error",
                "    ignore::UserWarning",
            ]
        );
    }
}
