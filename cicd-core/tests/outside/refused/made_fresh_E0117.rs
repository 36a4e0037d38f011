use cicd_core::docker::{Cached, Fresh, Image};

impl From<Image<Cached>> for Image<Fresh> {
    fn from(image: Image<Cached>) -> Self {
        image.into()
    }
}

fn main() {}
