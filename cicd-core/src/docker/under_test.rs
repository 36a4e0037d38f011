use serde::{Deserialize, Serialize};

use super::{Fresh, Image, InvalidImageId};
use crate::formats::image_reference::is_sha256;

/// An image that is to be judged, named by its id.
///
/// It proves nothing about how the image was made: what a gate says is about this id alone, and a clearance compares it with that
/// of an [`Image<Fresh>`](Image). In a pipeline, the handle of such an image fits wherever one of these is taken; a cached one
/// does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUnderTest {
    /// The id, `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// Its name and tag, for people.
    pub name: String,
    /// The commit it was built from; empty where nobody knows.
    pub commit: String,
}

impl ImageUnderTest {
    /// An image of the engine by its id, such as for looking at one outside of a pipeline.
    ///
    /// # Errors
    /// When that is no id.
    pub fn by_id(id: impl Into<String>) -> Result<Self, InvalidImageId> {
        let id = id.into();
        if is_sha256(&id) { Ok(Self { name: id.clone(), id, commit: String::new() }) } else { Err(InvalidImageId(id)) }
    }

    /// The first 12 digits of the id, as Docker shows it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(7..19).unwrap_or(&self.id)
    }
}

impl From<Image<Fresh>> for ImageUnderTest {
    fn from(image: Image<Fresh>) -> Self {
        Self { id: image.id, name: image.name, commit: image.commit }
    }
}
