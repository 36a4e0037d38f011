use std::time::Duration;

use camino::Utf8PathBuf;

use super::codes::ImageCode;
use super::intermediate::IntermediateBuild;
use super::own_code::{self, Code};
use super::shipped::{FilePattern, Search};
use super::system::{self, Compared};
use super::{bases, configuration, freshness, health, privileges, runtime, variables};
use crate::docker::{
    Bases, Build, BuildRecipe, Built, CacheUse, Fresh, Image, ImageDetails, Pull, docker_tool, engine_info,
    require_image, walk_image,
};
use crate::formats::ImageConfig;
use crate::model::{Finding, FindingCode as _, Level, Location, Revision, Severity, Target};
use crate::policy::{Exception, Justification, Scope};
use crate::process::{Invocation, SecretSource, ToolRequirement};
use crate::step::{Author, Claims, Context, Outcome, ReadError, Seal, Step, StepError};

/// A build beyond this is where people begin to wish for a cache.
const SLOW: Duration = Duration::from_secs(600);

/// The builder lets builds that run at the same time share the results of equal instructions, even without a cache. Such a build
/// is made again; one that meets another build every time is an error.
const ATTEMPTS: u32 = 3;

/// Builds an image without any cache, proves that, and judges what it ships. The image's tag is the full commit id and the
/// run's id; its name ends in a hash of the checkout ([`checkout_id`](crate::docker::checkout_id)). Images of earlier runs are removed
/// when a run begins, see [`Retention`](crate::pipeline::Retention).
///
/// See the [module](super) for what is proven.
#[derive(Debug, Clone)]
pub struct DockerBuild {
    recipe: BuildRecipe,
    allowed_files: Vec<String>,
    accepted: Vec<(ImageCode, String)>,
    exceptions: Vec<Exception>,
}

impl DockerBuild {
    /// An image from the files of a folder, relative to the workspace's root, and the `Dockerfile` in it.
    #[must_use]
    pub fn context(folder: impl Into<Utf8PathBuf>) -> Self {
        Self::recipe(BuildRecipe::context(folder))
    }

    /// An image from a recipe, which `DevBuild` takes as well.
    #[must_use]
    pub fn recipe(recipe: BuildRecipe) -> Self {
        Self { recipe, allowed_files: Vec::new(), accepted: Vec::new(), exceptions: Vec::new() }
    }

    /// Another Dockerfile; see [`BuildRecipe::dockerfile`].
    #[must_use]
    pub fn dockerfile(self, path: impl Into<Utf8PathBuf>) -> Self {
        self.with(|recipe| recipe.dockerfile(path))
    }

    /// The build argument that is given the reference of the base from the input; see [`BuildRecipe::base_arg`].
    #[must_use]
    pub fn base_arg(self, name: impl Into<String>) -> Self {
        self.with(|recipe| recipe.base_arg(name))
    }

    /// A build argument, which is no place for a secret; see [`BuildRecipe::build_arg`].
    #[must_use]
    pub fn build_arg(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|recipe| recipe.build_arg(name, value))
    }

    /// The build argument that is given the full commit id; see [`BuildRecipe::revision_arg`].
    #[must_use]
    pub fn revision_arg(self, name: impl Into<String>) -> Self {
        self.with(|recipe| recipe.revision_arg(name))
    }

    /// A file that the build may read and the image must not have; see [`BuildRecipe::secret_file`].
    #[must_use]
    pub fn secret_file(self, id: impl Into<String>, path: impl Into<Utf8PathBuf>) -> Self {
        self.with(|recipe| recipe.secret_file(id, path))
    }

    /// A secret that the build may read, redacted everywhere and in no argument, log or layer; see [`BuildRecipe::secret`].
    #[must_use]
    pub fn secret(self, id: impl Into<String>, source: impl Into<SecretSource>) -> Self {
        self.with(|recipe| recipe.secret(id, source))
    }

    /// The certificate authorities of this machine as a secret; see [`BuildRecipe::ca_bundle_secret`].
    #[must_use]
    pub fn ca_bundle_secret(self, id: impl Into<String>) -> Self {
        self.with(|recipe| recipe.ca_bundle_secret(id))
    }

    /// The stage to build; see [`BuildRecipe::target`].
    #[must_use]
    pub fn target(self, stage: impl Into<String>) -> Self {
        self.with(|recipe| recipe.target(stage))
    }

    /// The platform to build for; see [`BuildRecipe::platform`].
    #[must_use]
    pub fn platform(self, platform: impl Into<String>) -> Self {
        self.with(|recipe| recipe.platform(platform))
    }

    /// The image's name without a tag; see [`BuildRecipe::image_name`].
    #[must_use]
    pub fn image_name(self, name: impl Into<String>) -> Self {
        self.with(|recipe| recipe.image_name(name))
    }

    /// How long the build may take; see [`BuildRecipe::deadline`].
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        self.with(|recipe| recipe.deadline(deadline))
    }

    fn with(mut self, change: impl FnOnce(BuildRecipe) -> BuildRecipe) -> Self {
        self.recipe = change(self.recipe);
        self
    }

    /// Allows the image to run as root, or as a user with a name (`IMG-001`).
    #[must_use]
    #[track_caller]
    pub fn allow_root(mut self, justification: Justification) -> Self {
        self.exceptions.push(Exception::in_pipeline(ImageCode::User, Scope::Any, justification));
        self
    }

    /// Allows the image to have no health check (`IMG-007`), where whoever runs it asks the service in another way.
    #[must_use]
    #[track_caller]
    pub fn allow_no_health_check(mut self, justification: Justification) -> Self {
        self.exceptions.push(Exception::in_pipeline(ImageCode::Healthcheck, Scope::Any, justification));
        self
    }

    /// Allows the Dockerfile to build on images that are not pinned by digest (`IMG-003`).
    #[must_use]
    #[track_caller]
    pub fn allow_unpinned_base(mut self, justification: Justification) -> Self {
        self.exceptions.push(Exception::in_pipeline(ImageCode::Unpinned, Scope::Any, justification));
        self
    }

    /// Allows files to be shipped (`IMG-005`). `pattern` is a path from `/`, where `*` is anything in a folder and `**` anything.
    #[must_use]
    #[track_caller]
    pub fn allow_shipped_file(mut self, pattern: impl Into<String>, justification: Justification) -> Self {
        let pattern = pattern.into();
        let scope = Scope::target(Target::name(&pattern));
        self.exceptions.push(Exception::in_pipeline(ImageCode::ShippedFile, scope, justification));
        self.allowed_files.push(pattern);
        self
    }

    /// Accepts a finding about something in the image. `pattern` is what the finding is about: mostly a path from `/`, where `*` is
    /// anything in a folder and `**` anything; for `IMG-017` a package, for `IMG-020` a port, for `IMG-024`
    /// a variable as `NAME=value`, for `IMG-023` what is taken in, such as `--mount=type=cache`.
    #[must_use]
    #[track_caller]
    pub fn accept(mut self, code: ImageCode, pattern: impl Into<String>, justification: Justification) -> Self {
        let pattern = pattern.into();
        let scope = Scope::target(Target::name(&pattern));
        self.exceptions.push(Exception::in_pipeline(code, scope, justification));
        self.accepted.push((code, pattern));
        self
    }

    /// An image that others start from and that is never run by itself: it may run as root and needs no health check. Its output
    /// is a [`BaseImage`](crate::docker::BaseImage), which no scan, clearance, push or deploy takes.
    #[must_use]
    pub fn intermediate(self) -> IntermediateBuild {
        IntermediateBuild::new(self)
    }

    pub(super) fn build(
        &self,
        cx: &Context,
        input: Bases,
        purpose: Purpose,
    ) -> Result<Outcome<Image<Fresh>>, StepError> {
        cx.require(&docker_tool())?;
        engine_info(cx)?;
        let revision = cx.revision()?.clone();
        let build = Build::prepare(cx, &self.recipe, input, CacheUse::Refused, &revision)?;
        let before = bases::Recorded::take(cx, &build)?;
        let target = self.recipe.target.as_deref();
        let (built, proof) = build_fresh(cx, &build, before.pull(&build), target)?;
        let after = bases::Recorded::take(cx, &build)?;
        after.unchanged_since(&before)?;
        let details = require_image(cx, &built.id)?;
        if details.id != built.id {
            let problem = format!("asked for {}, it tells of {}", built.id, details.id);
            return Err(ReadError::new("the engine's answer", problem).into());
        }
        let base_layers = after.layers_of(build.dockerfile.root_of(target));
        if !details.layers.starts_with(base_layers) {
            return Err(StepError::not_looked(
                format!("{} is not laid upon the base that it names", build.name),
                "run the step again, while nothing else changes the engine's images",
            ));
        }
        cx.progress("looking through the layers");
        let mut search = Search::new(&build.secrets, base_layers.len())?;
        let mut code = Code::new(base_layers.len());
        let layers = walk_image(cx, &built.id, base_layers.len(), &mut |file| {
            search.file(&file);
            code.file(&file);
        })?;
        search.configuration(&layers.config);
        let patterns: Vec<_> = self.allowed_files.iter().map(|text| FilePattern::new(text)).collect();

        let config = ImageConfig::read(&layers.config, details.layers.len())
            .map_err(|problem| ReadError::new("the image's configuration", problem))?;
        // An image that begins with nothing has nothing to be compared with: packages in it were copied from elsewhere.
        let base_is_known = !base_layers.is_empty()
            || (build.dockerfile.root_of(target).is_none() && !system::has_packages(&layers.tree)?);
        let base = base_is_known.then_some((&layers.base, base_layers.len()));
        let mut findings = judge(&details, &revision, &build, purpose);
        findings.extend(system::judge(Compared { base, tree: &layers.tree, config: &config })?);
        if purpose == Purpose::Run {
            findings.extend(privileges::judge(&layers.tree, &config));
            findings.extend(runtime::judge(&config, &build.dockerfile_path));
            findings.extend(variables::judge(&config, &layers.tree, &build.dockerfile_path));
            cx.progress("running the health check where it has to fail");
            findings.extend(health::judge(cx, &built.id, &config, &build.dockerfile_path)?);
        }
        let shipped = own_code::Shipped {
            base: &layers.base,
            base_layers: base_layers.len(),
            tree: &layers.tree,
            config: &config,
            dockerfile: &build.dockerfile_path,
            accepted: &self.patterns_of(ImageCode::OwnCode),
        };
        findings.extend(own_code::judge(shipped, &code, |sizes| build.tracked(sizes))?);
        self.name_by_pattern(&mut findings);
        findings.extend(search.findings(&patterns));
        findings.extend(slow(built.duration, &build.dockerfile_path));
        let bases = after.bases(&build, &built.log)?;
        let image = image(&details, &build.name, &revision, bases)?;
        Ok(self.outcome(image, proof, built.duration, findings))
    }

    fn patterns_of(&self, code: ImageCode) -> Vec<FilePattern> {
        let of_code = self.accepted.iter().filter(|(accepted, _)| *accepted == code);
        of_code.map(|(_, text)| FilePattern::new(text)).collect()
    }

    /// What is accepted by a pattern is named by it, as exceptions know no patterns.
    fn name_by_pattern(&self, findings: &mut [Finding]) {
        let patterns: Vec<_> = self.accepted.iter().map(|(code, text)| (code.code(), FilePattern::new(text))).collect();
        for finding in findings {
            let Some(Target::Name(target)) = &finding.target else { continue };
            let pattern = patterns.iter().find(|(code, pattern)| *code == finding.code && pattern.matches(target));
            if let Some((_, pattern)) = pattern {
                finding.target = Some(Target::name(&pattern.text));
            }
        }
    }

    fn outcome(
        &self,
        image: Image<Fresh>,
        proof: freshness::Proof,
        duration: Duration,
        findings: Vec<Finding>,
    ) -> Outcome<Image<Fresh>> {
        let base = image.bases.iter().map(|base| format!("{} ({})", base.reference, base.id)).collect::<Vec<_>>();
        let base = if base.is_empty() { "scratch".to_owned() } else { base.join(", ") };
        let headline = format!("sha256:{}, {} MB", image.short_id(), image.size_bytes.div_ceil(1_000_000));
        Outcome::of(image.clone())
            .findings(findings)
            .exceptions(self.exceptions.clone())
            .fact("image_id", image.id)
            .fact("image", image.name)
            .fact("platform", image.platform)
            .fact("size_bytes", image.size_bytes)
            .fact("base", base)
            .fact("instructions_executed", proof.executed)
            .fact("instructions_cached", 0_i64)
            .fact("build_s", (duration.as_secs_f64() * 10.0).round() / 10.0)
            .headline(headline)
    }
}

/// Builds until the log proves that everything was carried out for this build.
fn build_fresh(
    cx: &Context,
    build: &Build,
    pull: Pull,
    target: Option<&str>,
) -> Result<(Built, freshness::Proof), StepError> {
    let mut attempt = 1;
    loop {
        build.replace_former(cx)?;
        cx.progress(format!("building {} without a cache", build.name));
        let built = build.run(cx, pull)?;
        match freshness::prove(build, target, &built.log, &built.id) {
            Ok(proof) => return Ok((built, proof)),
            Err(why) if attempt < ATTEMPTS && why.may_be_another_build() => {
                cx.progress(format!("{why}, which another build at the same time explains"));
                attempt += 1;
            }
            Err(why) => return Err(StepError::not_looked(why.to_string(), why.help())),
        }
    }
}

/// What an image is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be run.
    Run,
    /// To be built on.
    Base,
}

fn judge(details: &ImageDetails, revision: &Revision, build: &Build, purpose: Purpose) -> Vec<Finding> {
    let path = &build.dockerfile_path;
    let mut findings = match purpose {
        Purpose::Run => configuration::judge(details, revision, path),
        Purpose::Base => configuration::judge_revision(details, revision, path).into_iter().collect(),
    };
    findings.extend(bases::judge(build));
    findings.extend(configuration::judge_tree(revision));
    findings
}

fn slow(duration: Duration, dockerfile: &Utf8PathBuf) -> Option<Finding> {
    let minutes = duration.as_secs() / 60;
    (duration > SLOW).then(|| {
        Finding::new(ImageCode::Slow, format!("the build without a cache took {minutes} minutes"))
            .severity(Severity::Low)
            .level(Level::Warn)
            .at(Location::file(dockerfile))
    })
}

fn image(
    details: &ImageDetails,
    name: &str,
    revision: &Revision,
    bases: Vec<crate::docker::BaseImage>,
) -> Result<Image<Fresh>, StepError> {
    let mut image = Image::built(&details.id, name, &revision.commit)
        .map_err(|error| ReadError::new("the id of the built image", error))?;
    image.describe(details);
    image.dirty = revision.dirty;
    image.bases = bases;
    Ok(image)
}

impl Step for DockerBuild {
    type Input = Bases;
    type Output = Image<Fresh>;

    fn run(&self, cx: &Context, input: Bases) -> Result<Outcome<Image<Fresh>>, StepError> {
        self.build(cx, input, Purpose::Run)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.recipe.declared_secrets()
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.recipe.explain(CacheUse::Refused)]
    }

    fn claims(&self) -> Claims {
        // Two builds at once share the engine's processors and its network, and each looks slower than it is.
        Claims::exclusive("docker-build")
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.exceptions.clone()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_never_lacks_no_cache() {
        let step = DockerBuild::context("app").base_arg("BASE").revision_arg("REVISION").ca_bundle_secret("ca");
        expect_test::expect![[r#"
            DOCKER_BUILDKIT=1 DOCKER_CLI_HINTS=false BUILDKIT_STEP_LOG_MAX_SIZE=-1 BUILDKIT_STEP_LOG_MAX_SPEED=-1 BUILDX_BUILDER=default BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --no-cache --progress plain --file app/Dockerfile --build-arg 'BASE=<base>' --build-arg 'REVISION=<commit>' --secret 'id=ca,src=<ca-bundle>' --label 'org.opencontainers.image.revision=<commit>' --label 'dev.cicd-core.image=app-<checkout>:<commit>-<run>' --label 'dev.cicd-core.checkout=<checkout>' --label 'dev.cicd-core.built-in=<run>' --tag 'app-<checkout>:<commit>-<run>' --iidfile '<image-id.txt>' -- app"#]]
        .assert_eq(&step.explain()[0].to_string());
    }

    #[test]
    fn a_slow_build_is_told_and_how_to_split_it() {
        assert_eq!(slow(SLOW, &"app/Dockerfile".into()), None);
        let finding = slow(SLOW + Duration::from_secs(61), &"app/Dockerfile".into()).expect("slow");
        assert_eq!(finding.level, Level::Warn);
        assert_eq!(finding.message, "the build without a cache took 11 minutes");
        assert!(finding.help.expect("help").contains("dependency image"));
    }

    #[test]
    fn relaxations_remember_where_they_are_written() {
        let justification = Justification::new("the vendor's agent binds port 80", "@org/team", "2027-01-01");
        let step = DockerBuild::context("app").allow_root(justification.expect("valid"));
        let place = step.exceptions[0].location.to_string();
        assert!(place.contains("docker_build/step.rs:"), "{place}");
    }
}
