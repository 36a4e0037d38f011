//! The whole policy of this repository, readable top to bottom.

use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::process::Invocation;
use cicd_core::step::Workspace;

/// From the Flask app's source to a judged image.
pub(crate) fn flask_app(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("flask-app");
    ci.command("fmt", Invocation::tool("cargo").args(["fmt", "--check"]));
    ci.command("sleep", Invocation::tool("sleep").args(["3"]));
    Ok(ci)
}
