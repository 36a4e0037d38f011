use camino::{Utf8Path, Utf8PathBuf};

use crate::model::Finding;
use crate::policy::stray_configuration;
use crate::step::Context;

/// A file of settings that a tool would take by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    name: &'static str,
    table: Option<&'static str>,
    place: Place,
}

/// Where a file of settings counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    Root,
    BelowRoot,
}

impl Setting {
    /// A file of this name.
    #[must_use]
    pub const fn file(name: &'static str) -> Self {
        Self { name, table: None, place: Place::Anywhere }
    }

    /// A file of this name in the workspace's root.
    #[must_use]
    pub const fn in_root(name: &'static str) -> Self {
        Self { name, table: None, place: Place::Root }
    }

    /// A file of this name below the workspace's root, where only the root's counts.
    #[must_use]
    pub const fn nested(name: &'static str) -> Self {
        Self { name, table: None, place: Place::BelowRoot }
    }

    /// A table of a TOML file, such as `tool.bandit` of `pyproject.toml`.
    #[must_use]
    pub const fn table(name: &'static str, table: &'static str) -> Self {
        Self { name, table: Some(table), place: Place::Anywhere }
    }

    fn is_in(self, cx: &Context, path: &Utf8Path) -> bool {
        let Some(table) = self.table else { return true };
        // What cannot be read as TOML, no tool reads as settings.
        let text = cx.shared().workspace.read_text(path).ok();
        let value: Option<toml::Table> = text.and_then(|text| toml::from_str(&text).ok());
        let mut keys = table.split('.');
        let first = keys.next().and_then(|key| value.as_ref()?.get(key));
        keys.fold(first, |value, key| value?.get(key)).is_some()
    }
}

/// The warnings about settings that lie in the repository, or in its root without being part of it, and have no effect.
pub(super) fn stray(cx: &Context, settings: &[Setting], tool: &str, files: &[Utf8PathBuf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for setting in settings {
        let in_root = Utf8PathBuf::from(setting.name);
        let is_there = |path: &Utf8Path| match setting.place {
            Place::Anywhere => true,
            Place::Root => path == in_root,
            Place::BelowRoot => path != in_root,
        };
        let is_named = |path: &&Utf8PathBuf| path.file_name() == Some(setting.name) && is_there(path);
        let mut paths: Vec<Utf8PathBuf> = files.iter().filter(is_named).cloned().collect();
        if is_there(&in_root) && !paths.contains(&in_root) && cx.path(&in_root).exists() {
            paths.push(in_root);
        }
        let paths = paths.iter().filter(|path| setting.is_in(cx, path));
        findings.extend(paths.map(|path| stray_configuration(path, tool)));
    }
    findings
}
