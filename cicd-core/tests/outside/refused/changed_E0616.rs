fn change(mut image: cicd_core::docker::Image<cicd_core::docker::Fresh>) {
    image.id = String::new();
}

fn main() {}
