use cicd_core::steps::DockerBuild;

fn main() {
    let _ = DockerBuild::context("app").cache(true);
}
