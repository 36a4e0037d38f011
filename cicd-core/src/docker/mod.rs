//! Floor 3: the Docker engine, images and containers, through the `docker` command line.

mod engine;
mod image;

pub use engine::{docker, docker_tool};
pub use image::{BaseImage, BaseOrigin, Bases, Cached, Fresh, Image, ImageKind, InvalidImageId};

/// The label that every container, network and temporary image of a run carries; its value is the run's id.
pub const LABEL_RUN: &str = "dev.cicd-core.run";
