use crate::process::{Invocation, ToolRequirement};

/// Docker, as the steps need it: able to build with BuildKit, whether by itself or through buildx.
///
/// The first `docker` on `PATH` may be a client without any builder; it is passed over.
#[must_use]
pub fn docker_tool() -> ToolRequirement {
    ToolRequirement::new("docker", ">=20.10").probe(["build", "--help"], [("DOCKER_BUILDKIT", "1")])
}

/// A call of `docker` with BuildKit on and without the client's own messages.
#[must_use]
pub fn docker<const N: usize>(args: [&str; N]) -> Invocation {
    Invocation::tool("docker").env("DOCKER_BUILDKIT", "1").env("DOCKER_CLI_HINTS", "false").args(args)
}
