use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::broken::broken_instruction;
use super::context::{BuildFiles, Tracked};
use super::name::BuiltName;
use super::{BuildRecipe, BuildSecret};
use crate::docker::{BaseImage, Bases, Untagged, docker, named, run_watched, untag};
use crate::formats::buildkit_log::{BuildLog, VertexEnd, VertexKind};
use crate::formats::dockerfile::{Arguments, Dockerfile};
use crate::formats::image_reference::is_sha256;
use crate::model::{Location, Revision};
use crate::process::Invocation;
use crate::step::{Context, ReadError, SecretFile, StepError};

/// The label that says which commit an image was built from.
pub(crate) const LABEL_REVISION: &str = "org.opencontainers.image.revision";

/// What that label says: the commit, which only files that are exactly its own are.
pub(crate) fn revision_label(revision: &Revision) -> String {
    if revision.dirty { format!("{}-dirty", revision.commit) } else { revision.commit.clone() }
}

/// The log of a build is read as a whole; one beyond this cannot be read beside everything else on a small runner.
const LOG_BYTES_MAX: usize = 64 << 20;
/// A Dockerfile is written by people.
const DOCKERFILE_BYTES_MAX: usize = 1 << 20;
/// Where distributions keep the certificate authorities they trust: Debian, Fedora, SUSE, Alpine.
const CA_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whether a build may take results from the builder's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheUse {
    /// Every instruction is carried out.
    Refused,
    /// For the inner loop.
    Allowed,
}

/// A build with everything that its recipe leaves to the machine and the run filled in.
#[derive(Debug)]
pub(crate) struct Build {
    /// `name:tag`.
    pub name: String,
    pub dockerfile: Dockerfile,
    /// The Dockerfile, as it is shown.
    pub dockerfile_path: Utf8PathBuf,
    pub bases: Vec<BaseImage>,
    /// The id and file of each secret.
    pub secrets: Vec<(String, Utf8PathBuf)>,
    /// The files of declared secrets, which are removed with this value.
    _secret_files: Vec<SecretFile>,
    invocation: Invocation,
    files: BuildFiles,
}

/// What a build left.
#[derive(Debug)]
pub(crate) struct Built {
    pub id: String,
    pub log: BuildLog,
    pub duration: Duration,
}

impl Build {
    /// Fills in a recipe. `revision` is what the image says it was built from.
    pub(crate) fn prepare(
        cx: &Context,
        recipe: &BuildRecipe,
        bases: Bases,
        cache: CacheUse,
        revision: &Revision,
    ) -> Result<Self, StepError> {
        let references: Vec<String> = bases.0.iter().map(|base| base.reference.clone()).collect();
        if references.len() != recipe.base_args.len() {
            return Err(StepError::not_looked(
                format!("{} base images for {} base arguments", references.len(), recipe.base_args.len()),
                "give each base of the input its build argument with `.base_arg(…)`, and wire a base for each of them",
            ));
        }
        let arguments = arguments(recipe, &references, &revision.commit);
        if let Some(name) = arguments.keys().find(|name| name.starts_with("BUILDKIT_")) {
            return Err(StepError::not_looked(
                format!("the build argument {name} would change the builder itself"),
                "remove it; a frontend is named by `# syntax=` in the Dockerfile",
            ));
        }
        let dockerfile_path = recipe.dockerfile_path();
        let files = BuildFiles::of(cx, recipe, cache)?;
        let dockerfile = read_dockerfile(&files, &dockerfile_path, &arguments)?;
        for (name, reference) in recipe.base_args.iter().zip(&references) {
            if !dockerfile.images.iter().any(|image| image.reference == *reference) {
                return Err(StepError::not_looked(
                    format!("{dockerfile_path} builds on nothing that {name} names"),
                    format!("declare `ARG {name}` before the first FROM and write `FROM ${{{name}}}`"),
                ));
            }
        }
        let Secrets { files: secrets, declared } = secrets(cx, recipe)?;
        let name = BuiltName::of(cx, recipe, cache, revision)?;
        let label = revision_label(revision);
        let wanted = Wanted { recipe, arguments: &arguments, secrets: &secrets, name: &name, revision: &label };
        let invocation = wanted
            .invocation(cache, files.dockerfile())
            .report(cx.dir().join("image-id.txt"))
            .arg("--iidfile")
            .arg(cx.dir().join("image-id.txt"));
        Ok(Self {
            name: name.name,
            dockerfile,
            dockerfile_path,
            bases: bases.0,
            secrets,
            _secret_files: declared,
            invocation,
            files,
        })
    }

    /// The files that the builder may read from its context, as far as they have one of these sizes, by the digest of their bytes.
    pub(crate) fn tracked(&self, sizes: &BTreeSet<u64>) -> Result<BTreeMap<[u8; 32], Tracked>, StepError> {
        self.files.tracked(sizes)
    }

    /// Takes the name from what this run has built before under it, by an earlier attempt say: it would go on without a name, and nobody
    /// would know whose it is.
    pub(crate) fn replace_former(&self, cx: &Context) -> Result<(), StepError> {
        if named(cx, &self.name)?.is_some()
            && let Untagged::Kept(why) = untag(cx, &self.name)?
        {
            cx.progress(format!("what an earlier attempt has built as {} stays without a name: {why}", self.name));
        }
        Ok(())
    }

    /// Builds; `pull` asks registries for what the Dockerfile builds on, even where the engine has something of that name.
    pub(crate) fn run(&self, cx: &Context, pull: Pull) -> Result<Built, StepError> {
        let mut invocation = self.invocation.clone();
        if pull == Pull::Always {
            invocation = invocation.arg("--pull");
        }
        let captured = run_watched(cx, &invocation.arg("--").arg(self.files.context()))?;
        let text = captured.stderr_whole()?;
        let log = BuildLog::parse(text);
        if !captured.success()
            && let Some(finding) = broken_instruction(self, &log, text)
        {
            return Err(StepError::found(finding));
        }
        if !captured.success()
            && let Some(vertex) = log
                .vertices
                .values()
                .find(|vertex| vertex.end == VertexEnd::Failed && vertex.kind() == VertexKind::Instruction)
        {
            return Err(StepError::not_looked(
                format!("building {} failed at {}:\n{}", self.name, vertex.name, captured.stderr_text()),
                "the step's log has everything the instruction printed",
            ));
        }
        let captured = captured.require_success()?;
        let id = String::from_utf8_lossy(captured.report_bytes()?).trim().to_owned();
        if !is_sha256(&id) {
            return Err(ReadError::new("the file of the image's id", format!("{id:?} is no image id")).into());
        }
        Ok(Built { id, log, duration: captured.duration })
    }
}

/// Whether registries are asked for the images of a Dockerfile that the engine may have already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pull {
    /// They are named by content, or exist in this engine only.
    Never,
    /// The engine's copy may be an old one.
    Always,
}

impl BuildRecipe {
    /// The command line with placeholders for what is only known in a run.
    pub(crate) fn explain(&self, cache: CacheUse) -> Invocation {
        let references = vec!["<base>".to_owned(); self.base_args.len()];
        let arguments = arguments(self, &references, "<commit>");
        let secrets: Vec<_> = self
            .secrets
            .iter()
            .map(|secret| match secret {
                BuildSecret::File { id, path } => (id.clone(), path.clone()),
                BuildSecret::CaBundle { id } => (id.clone(), Utf8PathBuf::from("<ca-bundle>")),
                BuildSecret::Declared { id, source } => {
                    (id.clone(), Utf8PathBuf::from(format!("<secret {}>", source.name())))
                }
            })
            .collect();
        let name = BuiltName::placeholder(self, cache);
        let wanted =
            Wanted { recipe: self, arguments: &arguments, secrets: &secrets, name: &name, revision: "<commit>" };
        wanted.invocation(cache, &self.dockerfile_path()).args(["--iidfile", "<image-id.txt>", "--"]).arg(&self.context)
    }
}

struct Wanted<'a> {
    recipe: &'a BuildRecipe,
    arguments: &'a Arguments,
    secrets: &'a [(String, Utf8PathBuf)],
    name: &'a BuiltName,
    revision: &'a str,
}

impl Wanted<'_> {
    /// The command line up to, and without, the place of the id and the folder.
    fn invocation(&self, cache: CacheUse, dockerfile: &Utf8Path) -> Invocation {
        let recipe = self.recipe;
        let mut invocation = docker(["build"])
            // The builder cuts the output of an instruction at 2 MiB unless told otherwise, and what it cuts is gone.
            .env("BUILDKIT_STEP_LOG_MAX_SIZE", "-1")
            .env("BUILDKIT_STEP_LOG_MAX_SPEED", "-1")
            // Another builder would keep the image to itself, and attestations would change what an image id names.
            .env("BUILDX_BUILDER", "default")
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .deadline(recipe.deadline)
            .stderr_bytes_max(LOG_BYTES_MAX);
        if cache == CacheUse::Refused {
            invocation = invocation.arg("--no-cache");
        }
        invocation = invocation.args(["--progress", "plain", "--file"]).arg(dockerfile);
        for (name, value) in self.arguments {
            invocation = invocation.arg("--build-arg").arg(format!("{name}={value}"));
        }
        for (id, path) in self.secrets {
            invocation = invocation.arg("--secret").arg(format!("id={id},src={path}"));
        }
        for (name, value) in [("--target", &recipe.target), ("--platform", &recipe.platform)] {
            if let Some(value) = value {
                invocation = invocation.arg(name).arg(value);
            }
        }
        let revision = format!("{LABEL_REVISION}={}", self.revision);
        for label in [revision].into_iter().chain(self.name.labels()) {
            invocation = invocation.arg("--label").arg(label);
        }
        invocation.arg("--tag").arg(&self.name.name)
    }
}

fn arguments(recipe: &BuildRecipe, references: &[String], commit: &str) -> Arguments {
    let bases = recipe.base_args.iter().cloned().zip(references.iter().cloned());
    let revision = recipe.revision_arg.iter().map(|name| (name.clone(), commit.to_owned()));
    recipe.build_args.iter().cloned().chain(revision).chain(bases).collect()
}

fn read_dockerfile(files: &BuildFiles, path: &Utf8Path, arguments: &Arguments) -> Result<Dockerfile, StepError> {
    let text = files.dockerfile_text(path)?;
    let unreadable = |problem: String| ReadError::new("the Dockerfile", problem).at(Location::file(path));
    if text.len() > DOCKERFILE_BYTES_MAX {
        let problem = format!("it has {} bytes, more than the {DOCKERFILE_BYTES_MAX} that are read", text.len());
        return Err(unreadable(problem).into());
    }
    Ok(Dockerfile::parse(&text, arguments).map_err(|error| unreadable(error.to_string()))?)
}

struct Secrets {
    /// The id and file of each.
    files: Vec<(String, Utf8PathBuf)>,
    declared: Vec<SecretFile>,
}

fn secrets(cx: &Context, recipe: &BuildRecipe) -> Result<Secrets, StepError> {
    let mut found = Secrets { files: Vec::new(), declared: Vec::new() };
    for secret in &recipe.secrets {
        let (id, path) = match secret {
            BuildSecret::File { id, path } => (id, cx.path(path)),
            BuildSecret::CaBundle { id } => match ca_bundle(cx) {
                Some(path) => (id, path),
                None => continue,
            },
            BuildSecret::Declared { id, source } => {
                let file = cx.secret_file(&cx.secret(source)?)?;
                let path = file.path().to_owned();
                found.declared.push(file);
                (id, path)
            }
        };
        if !path.is_file() {
            return Err(StepError::not_looked(
                format!("the build secret {id} should come from {path}, which is not there"),
                "create the file, or correct the path (or SSL_CERT_FILE, for the certificate authorities)",
            ));
        }
        if !matches!(secret, BuildSecret::Declared { .. }) {
            cx.relies_on_file(&path);
        }
        // The value of `--secret` is a line of CSV.
        if [id.as_str(), path.as_str()].iter().any(|text| text.contains([',', '"', '\n'])) {
            return Err(StepError::not_looked(
                format!("the build secret {id} from {path} has a comma, a quote or a line feed in its name"),
                "rename it; Docker cannot be told such a name",
            ));
        }
        found.files.push((id.clone(), path));
    }
    Ok(found)
}

/// The certificate authorities this machine trusts: what `SSL_CERT_FILE` names, or the distribution's bundle.
fn ca_bundle(cx: &Context) -> Option<Utf8PathBuf> {
    match cx.env("SSL_CERT_FILE").and_then(std::ffi::OsStr::to_str).filter(|path| !path.is_empty()) {
        Some(path) => Some(cx.path(path)),
        None => CA_BUNDLES.iter().map(Utf8PathBuf::from).find(|path| path.is_file()),
    }
}
