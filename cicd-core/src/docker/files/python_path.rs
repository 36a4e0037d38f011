use super::FileTree;
use super::installed::SITE_NAMES;

/// A folder that `PYTHONPATH` of an image names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchFolder {
    /// As it is written there; empty for the folder that a program is started in.
    pub(crate) written: String,
    /// Where it leads, as paths are written in a tree.
    pub(crate) real: String,
    /// Whether packages are kept there, so that each file has to belong to one.
    pub(crate) is_site: bool,
}

/// The folders that an environment has Python import from before its own library. A variable that stands there twice counts twice: which
/// one is used, who starts the program says.
pub(crate) fn python_path(tree: &FileTree, environment: &[String], working_folder: &str) -> Vec<SearchFolder> {
    let values = environment.iter().filter_map(|entry| entry.strip_prefix("PYTHONPATH="));
    let written = values.filter(|value| !value.is_empty()).flat_map(|value| value.split(':'));
    let folder = |written: &str| {
        let path = if written.starts_with('/') { written.to_owned() } else { format!("{working_folder}/{written}") };
        // Links in a circle lead nowhere, and to no packages.
        let real = tree.real_path(&path).unwrap_or(path);
        let is_site = is_site(tree, &real);
        SearchFolder { written: written.to_owned(), real, is_site }
    };
    written.map(folder).collect()
}

fn is_site(tree: &FileTree, folder: &str) -> bool {
    let has_packages = || {
        let inside = tree.below(folder).filter_map(|(path, _)| path.get(folder.len()..));
        inside
            .map(|path| path.trim_start_matches('/').split('/').next().unwrap_or(""))
            .any(|name| [".dist-info", ".egg-info"].iter().any(|end| name.ends_with(end)))
    };
    let name = folder.rsplit('/').next().unwrap_or(folder);
    tree.get(folder).is_some_and(super::Node::is_folder) && (SITE_NAMES.contains(&name) || has_packages())
}
