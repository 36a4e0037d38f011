#[derive(Debug, Clone)]
struct Mine;

impl cicd_core::docker::image::sealed::Sealed for Mine {}

fn main() {}
