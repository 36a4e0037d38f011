use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::CoverageReport;
use crate::formats::python_syntax::PythonSyntax;

/// A coverage report together with what it was measured on: what a test step hands to a coverage gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredCoverage {
    /// The report.
    pub report: CoverageReport,
    /// The folder that its paths are relative to, itself relative to the workspace.
    pub dir: Utf8PathBuf,
    /// Every source file as it was when the tests began, by path relative to the workspace.
    pub sources: BTreeMap<Utf8PathBuf, MeasuredSource>,
    /// Files that look like Python and that the parser of the tests' interpreter refuses, with their SHA-256.
    pub refused: BTreeMap<Utf8PathBuf, String>,
}

/// A source file as it was when the tests began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredSource {
    /// Its SHA-256.
    pub sha256: String,
    /// What it holds.
    pub syntax: PythonSyntax,
    /// The code of it that was entered: the line on which it begins, and the one that ran first.
    pub entered: BTreeSet<(u32, u32)>,
}

/// Where a file of a report may be, relative to the workspace: below the report's own roots, below `dir`, or as it is.
/// `root` is the workspace, so that absolute paths inside it are found too.
#[must_use]
pub fn candidate_paths(path: &str, roots: &[String], dir: &Utf8Path, root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let path = Utf8Path::new(path);
    let below = roots.iter().map(|folder| dir.join(folder).join(path));
    let all = below.chain([dir.join(path), path.to_owned()]);
    all.map(|path| plain(path.strip_prefix(root).unwrap_or(&path))).collect()
}

/// The same path without `.` and `..`, as far as that can be told from the text.
fn plain(path: &Utf8Path) -> Utf8PathBuf {
    let mut plain = Utf8PathBuf::new();
    for part in path.components() {
        match part.as_str() {
            "." => {}
            ".." if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_looked_for_where_reports_mean_it() {
        let all = |path: &str, roots: &[&str]| {
            let roots: Vec<_> = roots.iter().map(|root| (*root).to_owned()).collect();
            let paths = candidate_paths(path, &roots, "app".into(), "/src".into());
            paths.into_iter().map(Utf8PathBuf::into_string).collect::<Vec<_>>()
        };
        assert_eq!(all("shop/cart.py", &[]), ["app/shop/cart.py", "shop/cart.py"]);
        assert_eq!(all("cart.py", &["/src/app/shop"])[0], "app/shop/cart.py");
        assert_eq!(all("cart.py", &["shop"])[0], "app/shop/cart.py");
        assert_eq!(all("/src/app/shop/cart.py", &[])[0], "app/shop/cart.py");
        assert_eq!(all("./shop/../x.py", &[])[0], "app/x.py");
    }
}
