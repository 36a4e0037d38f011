use std::collections::BTreeMap;

use camino::Utf8Path;

use super::by_key::counting;

/// Files and folders of a list, asked for the first of them that a path is or lies below.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByFolder<'a>(BTreeMap<&'a Utf8Path, usize>);

impl<'a> FromIterator<&'a Utf8Path> for ByFolder<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Utf8Path>>(folders: I) -> Self {
        let mut all = BTreeMap::new();
        for (place, folder) in folders.into_iter().enumerate() {
            counting::one();
            all.entry(folder).or_insert(place);
        }
        Self(all)
    }
}

impl ByFolder<'_> {
    /// The place of that one in the list.
    pub(crate) fn first_above(&self, path: &Utf8Path) -> Option<usize> {
        // Every path is below the folder without a name, also one from the root.
        let above = path.ancestors().chain([Utf8Path::new("")]);
        above.inspect(|_| counting::one()).filter_map(|above| self.0.get(above).copied()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_folders_and_files_are_joined_not_searched() {
        super::super::by_key::counting::is_linear("a folder for each file", 20, |count| {
            let folders: Vec<_> = (0..count).map(|number| camino::Utf8PathBuf::from(format!("a/d{number}"))).collect();
            let all: ByFolder<'_> = folders.iter().map(|folder| folder.as_path()).collect();
            let found = folders.iter().filter(|folder| all.first_above(&folder.join("b/c")).is_some());
            assert_eq!(found.count(), count);
        });
    }

    #[test]
    fn the_first_one_of_the_list_that_holds_a_path_is_found() {
        let lists: [&[&str]; 5] = [&["a/b", "a", "a/"], &["", "a"], &[".", "./a", "a/b/c/"], &["/a"], &["b", "a/b/cc"]];
        for list in lists {
            let folders: Vec<_> = list.iter().map(Utf8Path::new).collect();
            let all: ByFolder<'_> = folders.iter().copied().collect();
            for path in ["a", "a/b", "a/b/c", "ab", "/a/b", "./a/b"] {
                let path = Utf8Path::new(path);
                let expected = folders.iter().position(|folder| path.starts_with(folder));
                assert_eq!(all.first_above(path), expected, "{list:?} {path}");
            }
        }
    }
}
