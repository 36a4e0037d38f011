use camino::Utf8PathBuf;

use super::packages::provide;
use super::pull::{Upstream, pull};
use super::{BaseRecipe, PackagesRecipe};
use crate::docker::{BaseImage, BaseOrigin, docker, docker_tool, engine_info};
use crate::model::{Finding, Level, Location, Severity, Target, finding_codes};
use crate::process::{Invocation, ToolRequirement};
use crate::step::{Author, Claims, Context, Outcome, ReadError, Retry, Seal, Step, StepError};

finding_codes! {
    /// What can be said about a base image.
    pub enum BaseCode {
        LocalPackages = "BASE-001" {
            summary: "the base image was made on this machine, as no registry could be reached",
            help: "nothing is wrong with it, but it is not the image that is pinned; build once where the registry can be reached",
            example: "a machine without a network route to the registry",
        },
    }
}

/// A recipe is written by people.
const RECIPE_BYTES_MAX: usize = 1 << 20;

/// Gives the base image of a `base.toml`: pulled by digest, or made from Debian's packages where no registry can be reached.
///
/// ```
/// use cicd_core::docker::BaseImage;
/// use cicd_core::pipeline::Pipeline;
/// use cicd_core::step::Handle;
/// use cicd_core::steps::{DockerBuild, PinnedBase};
///
/// let mut ci = Pipeline::new("flask-app");
/// let base: Handle<BaseImage> = ci.add("base", PinnedBase::from_file("ci/base-image/base.toml"), ());
/// ci.add("image", DockerBuild::context("flask-app").base_arg("BASE_IMAGE"), &base);
/// ```
///
/// See the [module](super) for the file and the rules.
#[derive(Debug, Clone)]
pub struct PinnedBase {
    file: Utf8PathBuf,
}

impl PinnedBase {
    /// The image that a file describes, relative to the workspace's root.
    #[must_use]
    pub fn from_file(file: impl Into<Utf8PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// Does ahead of a run what takes long the first time; a run then finds the image in the engine. For `cargo xtask setup`.
    ///
    /// # Errors
    /// When neither way gives the image.
    pub fn provision(&self, cx: &Context) -> Result<Outcome<BaseImage>, StepError> {
        cx.require(&docker_tool())?;
        engine_info(cx)?;
        let recipe = self.recipe(cx)?;
        match pull(cx, &recipe)? {
            Upstream::Here(details) => {
                let base = BaseImage { reference: recipe.pinned(), id: details.id, origin: BaseOrigin::Registry };
                let headline = format!("{:.23}, {} MB", recipe.digest, details.size_bytes.div_ceil(1_000_000));
                Ok(Self::outcome(base, details.size_bytes).fact("way", "registry").headline(headline))
            }
            Upstream::Unreachable(why) => match &recipe.packages {
                Some(packages) => self.make(cx, packages, &why),
                None => Err(StepError::not_looked(
                    format!("{} cannot be pulled: {why}", recipe.pinned()),
                    format!("make the registry reachable, or add [debootstrap] to {}", self.file),
                )),
            },
        }
    }

    fn make(&self, cx: &Context, recipe: &PackagesRecipe, why: &str) -> Result<Outcome<BaseImage>, StepError> {
        let made = provide(cx, recipe)?;
        let day = made.at.strftime("%Y-%m-%d").to_string();
        let details = made.details;
        let message = format!(
            "{} was made from Debian packages on {day}, as no registry could be reached: {why}",
            recipe.image_name()
        );
        let finding = Finding::new(BaseCode::LocalPackages, message)
            .severity(Severity::Low)
            .level(Level::Warn)
            .at(Location::file(&self.file))
            .target(Target::name(recipe.image_name()));
        let headline = format!("local packages of {day}, {} MB", details.size_bytes.div_ceil(1_000_000));
        let base = BaseImage { reference: recipe.image_name(), id: details.id, origin: BaseOrigin::LocalPackages };
        Ok(Self::outcome(base, details.size_bytes)
            .findings([finding])
            .fact("way", "local packages")
            .fact("why", why)
            .fact("made_at", made.at.to_string())
            .fact("reused", made.reused)
            .headline(headline))
    }

    fn outcome(base: BaseImage, size_bytes: u64) -> Outcome<BaseImage> {
        let (reference, id) = (base.reference.clone(), base.id.clone());
        Outcome::of(base).fact("reference", reference).fact("image_id", id).fact("size_bytes", size_bytes)
    }

    fn recipe(&self, cx: &Context) -> Result<BaseRecipe, StepError> {
        let text = cx.read_text(&self.file)?;
        if text.len() > RECIPE_BYTES_MAX {
            let problem = format!("it has {} bytes, more than the {RECIPE_BYTES_MAX} that are read", text.len());
            return Err(ReadError::new("the recipe of the base image", problem).at(Location::file(&self.file)).into());
        }
        BaseRecipe::parse(&self.file, &text)
            .map_err(|error| ReadError::new("the recipe of the base image", error).into())
    }
}

impl Step for PinnedBase {
    type Input = ();
    type Output = BaseImage;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<BaseImage>, StepError> {
        self.provision(cx)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![docker(["pull", "--", "<upstream>@<digest>"])]
    }

    fn retry(&self) -> Retry {
        Retry::NETWORK
    }

    fn claims(&self) -> Claims {
        Claims::exclusive("base-image")
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}
