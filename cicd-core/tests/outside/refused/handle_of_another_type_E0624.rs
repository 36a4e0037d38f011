use cicd_core::docker::{Cached, Fresh, Image};
use cicd_core::step::Handle;

fn turn(handle: &Handle<Image<Cached>>) -> Handle<Image<Fresh>> {
    Handle::new(handle.node())
}

fn main() {}
