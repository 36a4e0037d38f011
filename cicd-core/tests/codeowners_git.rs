//! The CODEOWNERS matcher against git's own, on patterns where both have the same rules.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use cicd_core::formats::codeowners::Pattern;

/// Enough that every combination of the parts below comes up several times.
const PATTERNS: usize = 600;
const NAMES: [&str; 4] = ["a", "b", "ab", "a.c"];
const PARTS: [&str; 12] = ["a", "b", "ab", "a.c", "*", "**", "a*", "*b", "?", "*.c", "a?", "***"];

/// A small generator of numbers that gives the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn pattern(&mut self) -> String {
        let parts: Vec<_> = (0..=self.below(3)).map(|_| PARTS[self.below(PARTS.len())]).collect();
        let (start, end) = (["", "/"][self.below(2)], ["", "", "/"][self.below(3)]);
        format!("{start}{}{end}", parts.join("/"))
    }
}

/// Every path of one to three names; where a name is a file in one and a folder in another, the folder wins.
fn paths() -> Vec<String> {
    let mut paths = Vec::new();
    for one in NAMES {
        paths.push(format!("f{one}"));
        for two in NAMES {
            paths.push(format!("{one}/f{two}"));
            paths.push(format!("{one}/x/{two}"));
            for three in NAMES {
                paths.push(format!("{one}/{two}/{three}"));
            }
        }
    }
    paths.extend(["ba", "c.c", "x"].map(str::to_owned));
    paths
}

#[expect(clippy::disallowed_methods, reason = "the oracle of this test")]
fn git_matches(root: &Utf8Path, pattern: &str, paths: &[String]) -> BTreeSet<String> {
    fs::write(root.join(".git/info/exclude"), format!("{pattern}\n")).expect("written");
    let mut git = Command::new("git")
        .current_dir(root)
        .args(["-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    git.stdin.take().expect("piped").write_all(paths.join("\n").as_bytes()).expect("written");
    let output = git.wait_with_output().expect("ended");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test prepares what git will look at")]
fn patterns_match_what_git_ignores() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
    assert!(Command::new("git").current_dir(root).args(["init", "--quiet"]).status().expect("git").success());
    let paths = paths();
    for path in &paths {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, "").expect("written");
    }
    let (mut numbers, mut compared, mut matched) = (Numbers(1), 0, 0);
    let mut problems = Vec::new();
    while compared < PATTERNS {
        let pattern = numbers.pattern();
        // Here GitHub differs: a last `*` does not reach into folders.
        let parts: Vec<_> = pattern.trim_start_matches('/').split('/').collect();
        if parts.len() > 1 && parts.last() == Some(&"*") || pattern == "/*" {
            continue;
        }
        compared += 1;
        let ours = Pattern::parse(&pattern).expect("a pattern");
        let git = git_matches(root, &pattern, &paths);
        matched += git.len();
        for path in &paths {
            let (ours, git) = (ours.matches(path.as_str().into()), git.contains(path));
            if ours != git {
                problems.push(format!("`{pattern}` and {path}: {ours} here, {git} in git"));
            }
        }
    }
    assert!(problems.is_empty(), "{} differences\n{}", problems.len(), problems[..problems.len().min(20)].join("\n"));
    assert!(matched > 5_000, "only {matched} matches: the patterns do not fit the paths");
}
