use cicd_core::docker::{Fresh, Image};
use cicd_core::pipeline::{Gates, Outside};
use cicd_core::step::{Artifact, Cleared, Context, Inputs};

struct Thief(Image<Fresh>);

impl Artifact for Thief {}

struct Stale(Cleared<Image<Fresh>>);

impl Inputs<Cleared<Image<Fresh>>> for Stale {}

impl Gates for Stale {}

fn context(outside: Outside) -> Context {
    Context::for_step(outside)
}

fn main() {
    let _ = Image::<Fresh>::load("{}");
}
