fn update(base: cicd_core::docker::BaseImage) -> cicd_core::docker::BaseImage {
    cicd_core::docker::BaseImage { id: String::new(), ..base }
}

fn main() {}
