//! Rules about the source itself: floors, sizes and words. All problems are told at once, each as `path:line: what`.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

/// The floors of `ARCHITECTURE.md`: a module may use those on its own floor and below.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("files", 1),
    ("formats", 1),
    ("policy", 1),
    ("process", 2),
    ("http", 2),
    ("load", 2),
    ("source", 3),
    ("step", 3),
    ("scan", 3),
    ("docker", 3),
    ("trivy", 3),
    ("python", 3),
    ("steps", 4),
    ("pipeline", 5),
    ("reporters", 6),
    ("setup", 7),
    ("doctor", 7),
    ("cli", 7),
    ("guide", 7),
];

/// Modules on one floor do not know each other, but for these: `formats` reads exceptions, `docker`, `trivy` and `python` help
/// steps.
const SAME_FLOOR_ALLOWED: &[(&str, &str)] = &[
    ("formats", "policy"),
    ("step", "source"),
    ("docker", "step"),
    ("docker", "source"),
    ("trivy", "step"),
    ("scan", "step"),
    ("python", "step"),
    ("cli", "setup"),
    ("cli", "doctor"),
    ("setup", "doctor"),
    ("doctor", "setup"),
];

/// A file with more lines has two reasons to change.
const LINES_MAX: usize = 700;

/// The ways to open a file for reading; all others go through `files`, which looks first what it is, and reads no more than it may.
const OPENING: [&str; 5] = ["fs::read(", "fs::read_to_string(", "File::open(", ".read(true)", "fs::copy("];

/// Lines that open a file themselves, and why no pipe can lie there. What the kernel writes below `/proc` is known by that word.
const OPENED_ELSEWHERE: &[(&str, &str, &str)] = &[
    ("process/strays.rs", "fs::read_to_string(list)", "the kernel's lists of children"),
    ("process/temporary.rs", ".custom_flags(", "follows no link, waits for nothing, and is looked at once it is open"),
    ("source/blob.rs", ".custom_flags(flags)", "follows no link, waits for nothing, and is looked at once it is open"),
    ("steps/base_image/packages.rs", "fs::read_to_string(table)", "the kernel's list of mounts"),
    ("steps/pytest/step.rs", "File::open(source)", "the kernel's random numbers"),
    ("steps/readiness/port.rs", "fs::read_to_string(table)", "the kernel's lists of sockets"),
    ("steps/readiness/port.rs", "fs::read_to_string(holder", "the kernel's name of a process"),
];

fn root() -> Utf8PathBuf {
    Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut files = Vec::new();
    for entry in dir.read_dir_utf8().expect("a readable folder") {
        let path = entry.expect("a readable entry").into_path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension() == Some("rs") {
            files.push(path);
        }
    }
    files
}

/// Every line before the unit tests of a file, with its number.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        loop {
            let (index, line) = lines.next()?;
            if line.trim_start() != "#[cfg(test)]" {
                return Some((index + 1, line));
            }
            // Tests stand at the end of a file; anything else for tests alone is one item, of which the first line is passed over.
            if lines.peek().is_some_and(|(_, next)| next.starts_with("mod tests {")) {
                return None;
            }
            lines.next();
        }
    })
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn imports_go_down_only() {
    let src = root().join("src");
    let mut problems = Vec::new();
    let mut seen = 0;
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).expect("below src");
        let Some(own) = relative.components().next().map(|part| part.as_str().trim_end_matches(".rs")) else {
            continue;
        };
        if own == "lib" {
            continue;
        }
        let Some(own_floor) = floor(own) else {
            problems.push(format!("src/{relative}:1: the module {own} has no floor in this test"));
            continue;
        };
        let text = fs::read_to_string(&path).expect("readable");
        for (number, line) in code_lines(&text).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let module: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let Some(used) = floor(&module) else { continue };
                seen += 1;
                let same = used == own_floor && module != own && !SAME_FLOOR_ALLOWED.contains(&(own, module.as_str()));
                if used > own_floor || same {
                    problems.push(format!(
                        "src/{relative}:{number}: {own} (floor {own_floor}) uses {module} (floor {used})"
                    ));
                }
                let sibling = part.strip_prefix("steps::").filter(|_| own == "steps");
                if sibling.is_some_and(|rest| !relative.as_str().contains(rest.split("::").next().unwrap_or_default()))
                {
                    problems.push(format!("src/{relative}:{number}: a step imports a step"));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were seen: this test does not look where it should");
    report(&problems);
}

#[test]
fn files_are_small_and_roots_only_show_their_floor() {
    let mut problems = Vec::new();
    for dir in
        ["src", "tests", "benches", "examples"].map(|dir| root().join(dir)).into_iter().filter(|dir| dir.exists())
    {
        for path in sources(&dir) {
            let text = fs::read_to_string(&path).expect("readable");
            let lines = text.lines().count();
            if lines > LINES_MAX {
                problems.push(format!("{path}:{lines}: {lines} lines, more than {LINES_MAX}"));
            }
            if path.file_name() == Some("mod.rs")
                && code_lines(&text).any(|(_, line)| line.contains("fn ") && !line.starts_with("//"))
                && !path.as_str().contains("/tests/")
            {
                let declares_trait = text.contains("pub trait ");
                if !declares_trait {
                    problems
                        .push(format!("{path}:1: a mod.rs shows its floor: documentation and re-exports, no logic"));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn what_a_step_may_have_left_is_opened_through_one_door() {
    let src = root().join("src");
    let (mut problems, mut allowed) = (Vec::new(), vec![0; OPENED_ELSEWHERE.len()]);
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).expect("below src");
        let for_tests = ["tests.rs", "recorded.rs"].iter().any(|end| relative.as_str().ends_with(end));
        if relative.starts_with("files") || for_tests {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        for (number, line) in code_lines(&text).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if line.contains("/proc/") || !OPENING.iter().any(|way| line.contains(way)) {
                continue;
            }
            match OPENED_ELSEWHERE.iter().position(|(file, words, _)| relative == *file && line.contains(words)) {
                Some(index) => allowed[index] += 1,
                None => problems.push(format!("src/{relative}:{number}: opens a file that may be a pipe; use `files`")),
            }
        }
    }
    for (count, (file, words, _)) in allowed.iter().zip(OPENED_ELSEWHERE) {
        if *count != 1 {
            problems
                .push(format!("src/{file}:1: {count} lines with `{words}`, not one: correct the list in this test"));
        }
    }
    report(&problems);
}

#[test]
fn nothing_below_the_pipeline_prints_or_asks_the_outside() {
    let banned = [
        ("println!", "prints"),
        ("eprintln!", "prints"),
        ("Timestamp::now(", "asks the clock; use `Context::now`"),
        ("SystemTime::now(", "asks the clock; use `Context::now`"),
        ("std::env::var", "reads the environment; use `Context::env`"),
        ("unwrap_or_default()", "may hide that something could not be read"),
        ("fs::read(cx.path(", "may wait for a pipe or read a device; use `Context::read_file`"),
        ("fs::read_to_string(cx.path(", "may wait for a pipe or read a device; use `Context::read_text`"),
    ];
    let src = root().join("src");
    let mut problems = Vec::new();
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).expect("below src");
        let Some(own) = relative.components().next().and_then(|part| floor(part.as_str())) else { continue };
        if own >= 5 || relative == "step/clock.rs" || relative == "process/child.rs" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        for (number, line) in code_lines(&text).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for (call, why) in banned {
                if line.contains(call) && !(call == "println!" && line.contains("eprintln!")) {
                    problems.push(format!("src/{relative}:{number}: {call} {why}"));
                }
            }
        }
    }
    report(&problems);
}
