//! What lies beside the tracked files: untracked ones, which are scanned like them, and ignored ones, of which some are read all the same.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::gather::Gathering;
use super::kinds::{BYTE_CODE_FOLDER, Kind, is_personal, is_tool_folder};
use super::walk::{self, Lying, Seen, Tracked};
use super::{Hidden, Why};

/// More untracked files than this are no source: nobody has looked at them, and looking through them takes seconds.
const UNTRACKED_FILES_MAX: usize = 100_000;
/// An ignored folder with more files than this is told as a whole.
const HIDDEN_FILES_MAX: usize = 10_000;
/// In it cargo looks for settings, in every folder up to the root.
const CARGO_FOLDER: &str = ".cargo";

impl Gathering<'_> {
    /// Tells ignored files from untracked ones, and looks into the folders of both.
    pub(super) fn beside(
        &mut self,
        all: Vec<(String, Lying)>,
        tracked: &Tracked<'_>,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let has_manifest = |folder: &str| tracked.files.contains(format!("{folder}/Cargo.toml").as_str());
        let is_tool_folder = |path: &str| is_tool_folder(path, has_manifest);
        let rules = self.rules(&all, &is_tool_folder)?;
        let mut untracked = Vec::new();
        for (path, lying) in all {
            match rules.get(&path) {
                Some(rule) => self.ignored(&path, &lying, rule, &is_tool_folder, seen),
                None if lying.kind == Kind::Folder && !is_tool_folder(&path) => {
                    let room = UNTRACKED_FILES_MAX.saturating_sub(untracked.len());
                    let Some(found) = walk::below(self.top, &path, room, &is_tool_folder, seen) else {
                        return Err(format!(
                            "more than {UNTRACKED_FILES_MAX} files that git neither tracks nor ignores lie in {path}; \
                             remove them or ignore the folder"
                        ));
                    };
                    untracked.extend(found);
                    if seen.nested.contains(&path) {
                        self.differ(&path, Why::Untracked);
                    }
                }
                None => untracked.push((path, lying)),
            }
        }
        let rules = self.rules(&untracked, &is_tool_folder)?;
        for (path, lying) in untracked {
            match rules.get(&path) {
                Some(rule) => self.ignored(&path, &lying, rule, &is_tool_folder, seen),
                None => self.untracked(&path, &lying),
            }
        }
        Ok(())
    }

    fn untracked(&mut self, path: &str, lying: &Lying) {
        self.differ(path, Why::Untracked);
        match lying.kind {
            Kind::Folder | Kind::Special => {}
            Kind::Plain | Kind::Executable | Kind::Link => {
                let content = self.content(path, lying, None);
                self.file(path, lying, content, false);
            }
        }
    }

    /// Whether a file stands above the workspace where tools that run in it look for their settings.
    fn is_read_from_below(&self, path: &str) -> bool {
        let folder = Utf8Path::new(path).parent().unwrap_or(Utf8Path::new(""));
        let folder = if folder.file_name() == Some(CARGO_FOLDER) { folder.parent().unwrap_or(folder) } else { folder };
        self.below.starts_with(folder)
    }

    fn ignored(&mut self, path: &str, lying: &Lying, rule: &str, is_tool: &dyn Fn(&str) -> bool, seen: &mut Seen) {
        let is_below = Utf8Path::new(path).starts_with(self.below);
        let is_elsewhere = lying.kind == Kind::Folder && Utf8Path::new(path).file_name() != Some(CARGO_FOLDER);
        if !is_below && (is_elsewhere || !self.is_read_from_below(path)) {
            return;
        }
        if matches!(lying.kind, Kind::Folder | Kind::Link) && is_tool(path) {
            return;
        }
        if lying.kind != Kind::Folder {
            self.ignored_file(path, lying.kind, rule);
            return;
        }
        match walk::below(self.top, path, HIDDEN_FILES_MAX, is_tool, seen) {
            Some(found) => {
                for (path, lying) in found {
                    if lying.kind != Kind::Folder {
                        self.ignored_file(&path, lying.kind, rule);
                    }
                }
            }
            None => {
                let note = format!(
                    "{} has more than {HIDDEN_FILES_MAX} ignored files, which were not looked at",
                    self.shown(path)
                );
                self.found.notes.push(note);
                self.hide(path, rule);
            }
        }
    }

    fn ignored_file(&mut self, path: &str, kind: Kind, rule: &str) {
        if kind == Kind::Special {
            return;
        }
        if is_personal(path, kind) {
            // Byte code comes with every test run.
            if !path.contains(BYTE_CODE_FOLDER) {
                let path = self.shown(path);
                self.found.personal.push(path);
            }
            return;
        }
        self.hide(path, rule);
    }

    fn hide(&mut self, path: &str, rule: &str) {
        let path = self.shown(path);
        self.found.hidden.push(Hidden { path, rule: rule.to_owned() });
    }

    /// The rule that ignores each of these paths. A folder of generated files is ignored also when it does that itself, by a
    /// `.gitignore` in it.
    fn rules(
        &self,
        all: &[(String, Lying)],
        is_tool: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, String>, String> {
        const PROBE: &str = "/.probe";
        if all.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut asked = Vec::new();
        for (path, lying) in all {
            asked.extend_from_slice(path.as_bytes());
            asked.push(0);
            if lying.kind == Kind::Folder && is_tool(path) {
                asked.extend_from_slice(format!("{path}{PROBE}").as_bytes());
                asked.push(0);
            }
        }
        // A rule for each has four fields: its file, its line, its pattern and the path.
        let answer = self.git.ask_about(&["check-ignore", "-z", "-v", "--stdin"], asked)?;
        let fields: Vec<&[u8]> = answer.split(|&byte| byte == 0).collect();
        let mut rules = BTreeMap::new();
        for rule in fields.chunks_exact(4) {
            let text: Vec<&str> = rule.iter().filter_map(|field| std::str::from_utf8(field).ok()).collect();
            let &[file, number, pattern, path] = text.as_slice() else {
                return Err("git names a rule of an ignore file that is not UTF-8".to_owned());
            };
            // The last rule that fits says that it is not ignored.
            if !pattern.starts_with('!') {
                let path = path.strip_suffix(PROBE).unwrap_or(path);
                rules.insert(path.to_owned(), format!("{file}:{number}: {pattern}"));
            }
        }
        Ok(rules)
    }
}
