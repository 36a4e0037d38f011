use cicd_core::docker::{Fresh, Image};
use cicd_core::step::{Cleared, Context};

fn grant(cx: &Context, image: Image<Fresh>) -> Cleared<Image<Fresh>> {
    Cleared::grant(cx, image, Vec::new(), String::new())
}

fn main() {}
