use cicd_core::pipeline::Pipeline;
use cicd_core::steps::DockerBuild;

fn main() {
    let mut ci = Pipeline::new("wrong");
    let image = ci.add("image", DockerBuild::context("app"), ());
    ci.clear(&image, &image);
}
