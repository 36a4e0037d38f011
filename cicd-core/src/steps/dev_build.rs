//! `DevBuild`: the cached sibling of `DockerBuild`, for the inner loop.

use crate::docker::{
    Build, BuildRecipe, CacheUse, Cached, DevBases, Image, Pull, docker_tool, engine_info, named, remove_nameless,
    require_image,
};
use crate::formats::buildkit_log::{VertexEnd, VertexKind};
use crate::process::{Invocation, SecretSource, ToolRequirement};
use crate::step::{Author, Claims, Context, Outcome, ReadError, Seal, Step, StepError};

/// Builds an image as fast as the builder's cache allows. Nothing of it is judged, and its output, an `Image<Cached>`, fits no
/// gate: it cannot be scanned for a clearance, pushed or deployed.
///
/// ```
/// use cicd_core::docker::BuildRecipe;
/// use cicd_core::steps::{DevBuild, DockerBuild};
///
/// let recipe = BuildRecipe::context("flask-app").revision_arg("REVISION");
/// let inner_loop = DevBuild::new(recipe.clone());
/// let judged = DockerBuild::recipe(recipe);
/// # let _ = (inner_loop, judged);
/// ```
#[derive(Debug, Clone)]
pub struct DevBuild {
    recipe: BuildRecipe,
}

impl DevBuild {
    /// An image from the recipe that `DockerBuild` takes.
    #[must_use]
    pub fn new(recipe: BuildRecipe) -> Self {
        Self { recipe }
    }
}

impl Step for DevBuild {
    type Input = DevBases;
    type Output = Image<Cached>;

    fn run(&self, cx: &Context, DevBases(bases): DevBases) -> Result<Outcome<Image<Cached>>, StepError> {
        cx.require(&docker_tool())?;
        engine_info(cx)?;
        let revision = cx.revision()?.clone();
        let build = Build::prepare(cx, &self.recipe, bases, CacheUse::Allowed, &revision)?;
        let former = named(cx, &build.name)?;
        let built = build.run(cx, Pull::Never)?;
        if let Some(former) = former.filter(|former| *former != built.id) {
            remove_nameless(cx, &former)?;
        }
        let details = require_image(cx, &built.id)?;
        let instructions = built.log.vertices.values().filter(|vertex| vertex.kind() == VertexKind::Instruction);
        let (cached, executed): (Vec<_>, Vec<_>) = instructions.partition(|vertex| vertex.end == VertexEnd::Cached);
        let mut image = Image::built(&built.id, &build.name, &revision.commit)
            .map_err(|error| ReadError::new("the id of the built image", error))?;
        image.describe(&details);
        image.dirty = revision.dirty;
        image.bases = build.bases.clone();
        let headline =
            format!("sha256:{}, {} of {} cached", image.short_id(), cached.len(), cached.len() + executed.len());
        Ok(Outcome::of(image)
            .fact("image_id", built.id)
            .fact("size_bytes", details.size_bytes)
            .fact("instructions_executed", executed.len())
            .fact("instructions_cached", cached.len())
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.recipe.declared_secrets()
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.recipe.explain(CacheUse::Allowed)]
    }

    fn claims(&self) -> Claims {
        Claims::exclusive("docker-build")
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}
