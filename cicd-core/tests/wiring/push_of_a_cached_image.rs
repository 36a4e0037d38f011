use cicd_core::docker::BuildRecipe;
use cicd_core::pipeline::Pipeline;
use cicd_core::steps::{DevBuild, Push};

fn main() {
    let mut ci = Pipeline::new("wrong");
    let image = ci.add("image", DevBuild::new(BuildRecipe::context("app")), ());
    ci.add("push", Push::to("127.0.0.1:5000/app"), &image);
}
