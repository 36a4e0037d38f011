use crate::docker::ExportedImage;
use crate::python::{Distribution, read_distributions};
use crate::step::{Context, StepError};

/// The Python packages of an image.
pub(super) fn packages_of(cx: &Context, image: &str) -> Result<Vec<Distribution>, StepError> {
    let exported = ExportedImage::of(cx, image)?;
    let found = read_distributions(|| exported.open())?;
    if found.is_empty() {
        return Err(StepError::not_looked(
            "the image holds no Python package",
            "check that it is the image with the application's dependencies",
        ));
    }
    exported.remove()?;
    Ok(found)
}
