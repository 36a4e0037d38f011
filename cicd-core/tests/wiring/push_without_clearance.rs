use cicd_core::pipeline::Pipeline;
use cicd_core::steps::{DockerBuild, Push};

fn main() {
    let mut ci = Pipeline::new("wrong");
    let image = ci.add("image", DockerBuild::context("app"), ());
    ci.add("push", Push::to("127.0.0.1:5000/app"), &image);
}
