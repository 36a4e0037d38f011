use cicd_core::docker::{Fresh, Image};
use cicd_core::step::{Cleared, Context};

fn swap(cx: &Context, cleared: &mut Cleared<Image<Fresh>>, mut other: Image<Fresh>) {
    if let Ok(inner) = cleared.get(cx) {
        std::mem::swap(inner, &mut other);
    }
}

fn main() {}
