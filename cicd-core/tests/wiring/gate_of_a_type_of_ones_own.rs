use cicd_core::docker::{Fresh, Image};
use cicd_core::model::{Judged, Subject};
use cicd_core::pipeline::Pipeline;
use cicd_core::step::{Outcome, step_fn};
use cicd_core::steps::DockerBuild;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Claim(String);

impl Judged for Claim {
    fn subject(&self) -> Subject {
        Subject::Image(self.0.clone())
    }
}

fn main() {
    let mut ci = Pipeline::new("wrong");
    let image = ci.add("image", DockerBuild::context("app"), ());
    let claim =
        ci.add("claim", step_fn(|_, image: Image<Fresh>| Ok(Outcome::of(Claim(image.id().to_owned())))), &image);
    ci.clear(&image, &claim);
}
