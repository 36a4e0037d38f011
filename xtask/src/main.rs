//! This repository's pipeline.
fn main() {}
