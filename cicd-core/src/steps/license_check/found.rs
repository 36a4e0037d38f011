use std::collections::BTreeMap;

use crate::docker::{
    Distribution, ExportedImage, FileTree, Stray, System, ecosystems, python_path, read_distributions, require_image,
    strays,
};
use crate::step::{Context, ReadError, StepError};

/// What an image holds, as far as licences go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its Python packages.
    pub(super) distributions: Vec<Distribution>,
    /// Code that is not what these packages say, or that is of none of them.
    pub(super) strays: Vec<Stray>,
    /// How many packages there are of other kinds, by the word that package URLs use.
    pub(super) others: BTreeMap<&'static str, usize>,
}

impl Found {
    /// What is in a file system, of which programs are started in this folder with this environment.
    pub(super) fn in_tree(tree: &FileTree, environment: &[String], working_folder: &str) -> Result<Self, ReadError> {
        let system = System::read(tree)?;
        let distributions = read_distributions(tree, &system);
        let strays = strays(tree, &system, &distributions, &python_path(tree, environment, working_folder));
        Ok(Self { distributions, strays, others: ecosystems(tree, &system) })
    }
}

/// The packages of an image.
pub(super) fn packages_of(cx: &Context, image: &str) -> Result<Found, StepError> {
    let exported = ExportedImage::of(cx, image)?;
    let details = require_image(cx, image)?;
    let found = Found::in_tree(&exported.files()?, &details.environment, &details.working_folder)?;
    exported.remove()?;
    if found.distributions.is_empty() {
        return Err(StepError::not_looked(
            "the image holds no Python package",
            "check that it is the image with the application's dependencies",
        ));
    }
    Ok(found)
}
