//! Floor 3: the Docker engine, images and containers, through the `docker` command line.

mod build;
mod container;
mod contents;
mod engine;
mod exported;
mod files;
mod image;
mod inspect;
mod leftovers;
mod ready;
mod under_test;
mod watched;

pub(crate) use build::{Build, Built, CacheUse, LABEL_REVISION, Pull, Tracked, revision_label};
pub use build::{BuildCode, BuildRecipe, BuildSecret, checkout_id};
pub use container::{Container, ContainerSpec};
pub(crate) use contents::walk_image;
pub(crate) use engine::{ANSWER_DEADLINE, QUERY_DEADLINE, reasons, removal_deadline, unreachable};
pub use engine::{EngineInfo, docker, docker_tool, engine_info};
pub(crate) use exported::ExportedImage;
pub(crate) use files::{
    Distribution, FileTree, Form, Kind, LayerFile, Node, Part, PythonContent, Stray, StrayKind, System, SystemKind,
    ecosystems, node_packages, package_of_list, python_path, read_distributions, recorded, strays,
};
#[cfg(test)]
pub(crate) use files::{Marks, add_archive, read_file_system};
pub use image::{
    BaseImage, BaseOrigin, Bases, Cached, DevBases, Fresh, Image, ImageKind, InvalidImageId, UnprovenBase,
};
pub use inspect::{ImageDetails, inspect_image, read_inspect, require_image};
pub(crate) use leftovers::{
    BuiltImage, Untagged, built_in, named, remove_all, remove_nameless, remove_own, run_lives, untag,
};
pub use leftovers::{Leftover, LeftoverKind, Removal, RunState, labelled, owner, remove};
pub use under_test::ImageUnderTest;
pub(crate) use watched::{run_watched, silent};

/// The label that every container, network, volume and temporary image of a run carries; its value is the run's id.
pub const LABEL_RUN: &str = "dev.cicd-core.run";

/// The label that says where the run's process can be looked at; its value is that of [`owner`].
pub const LABEL_OWNER: &str = "dev.cicd-core.owner";

/// The label that every built image carries; its value is the name and tag that the image was given. An image that carries it and has
/// another name inherited it, or somebody has renamed it.
pub const LABEL_IMAGE: &str = "dev.cicd-core.image";

/// The label that says for which checkout an image was built; its value is that of [`checkout_id`].
pub const LABEL_CHECKOUT: &str = "dev.cicd-core.checkout";

/// The label that says in which run an image was built; its value is the run's id. It is not [`LABEL_RUN`]: images outlive their run.
pub const LABEL_BUILT_IN: &str = "dev.cicd-core.built-in";
