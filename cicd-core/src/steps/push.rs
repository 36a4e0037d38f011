//! `Push`: a cleared image into a registry, read back from there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::docker::{Fresh, Image, docker, docker_tool, engine_info, require_image};
use crate::formats::image_reference::{ImageReference, is_sha256};
use crate::model::PRODUCTION;
use crate::process::{Invocation, Secret, SecretSource, ToolRequirement};
use crate::step::{
    Author, Claims, Cleared, Context, Effect, Outcome, ReadError, Retry, Seal, SecretFile, Step, StepError, proof,
};

proof! {
    /// An image in a registry. A push gives it as a [`Cleared`], so that what deploys it knows what has been cleared.
    pub struct Pushed("pushed image") {
        /// How to pull exactly this: `registry/name@sha256:…`.
        reference: String => &str,
        /// The digest of its manifest.
        digest: String => &str,
        /// The name it was given beside that: `registry/name:<commit>`.
        tagged: String => &str,
        /// The image's id, which the registry's manifest names as its configuration.
        image_id: String => &str,
    }
}

/// Pushes a cleared image under the commit it was built from, then reads the manifest back and checks that the registry has that
/// very image. Runs only when asked for: `cargo xtask ci --effect push`.
///
/// Without [`login`](Self::login) the engine's own credentials are used, as `docker login` left them.
#[derive(Debug, Clone)]
pub struct Push {
    repository: String,
    login: Option<Login>,
    environment: String,
}

#[derive(Debug, Clone)]
struct Login {
    user: String,
    password: SecretSource,
}

impl Push {
    /// Into a repository, such as `registry.example.org/team/flask-app`, without a tag.
    #[must_use]
    pub fn to(repository: impl Into<String>) -> Self {
        Self { repository: repository.into(), login: None, environment: PRODUCTION.to_owned() }
    }

    /// As this user, with a password or token from the environment variable of that name or from elsewhere
    /// (`Secret::file(…)`, `Secret::command(…)`). Docker reads it from a configuration file that only its owner may read and
    /// that is removed after the push.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<SecretSource>) -> Self {
        self.login = Some(Login { user: user.into(), password: password.into() });
        self
    }

    /// For another environment than `production`, such as a registry that only tests pull from: it takes a clearance for that one.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }

    fn target(&self, tag: &str) -> Result<ImageReference, StepError> {
        let read = ImageReference::parse(&self.repository).map_err(|error| error.to_string());
        match read {
            Ok(reference) if reference.tag.is_none() && reference.digest.is_none() => {
                Ok(ImageReference { tag: Some(tag.to_owned()), ..reference })
            }
            Ok(_) => Err(StepError::not_looked(
                format!("{} has a tag or a digest", self.repository),
                "give the repository alone; the tag is the commit",
            )),
            Err(problem) => Err(StepError::not_looked(problem, "correct the repository in the pipeline")),
        }
    }
}

impl Step for Push {
    type Input = Cleared<Image<Fresh>>;
    type Output = Cleared<Pushed>;

    fn run(&self, cx: &Context, cleared: Self::Input) -> Result<Outcome<Self::Output>, StepError> {
        let image = cleared.get(cx)?;
        cx.require(&docker_tool())?;
        engine_info(cx)?;
        let target = self.target(&image.commit)?;
        require_image(cx, &image.id)?;
        let session = Session::open(cx, self.login.as_ref(), &target.registry)?;
        let name = target.to_string();
        cx.run_ok(&docker(["image", "tag", "--"]).arg(&image.id).arg(&name))?;
        cx.progress(format!("pushing {name}"));
        cx.run_remote(&session.docker(["image", "push", "--"]).arg(&name))?;

        let stored = read_back(cx, &session, &target)?;
        if stored.image_id != image.id && stored.digest != image.id {
            let problem = format!("the registry has {} under {name}, not {}", stored.image_id, image.id);
            return Err(ReadError::new("what was pushed", problem)
                .help("push again, while nobody else pushes the same commit")
                .into());
        }
        let pinned = ImageReference { tag: None, digest: Some(stored.digest.clone()), ..target };
        // The tag may move; what is told to others is the digest, so that is asked for as well.
        let by_digest = read_back(cx, &session, &pinned)?;
        if by_digest != stored {
            return Err(
                ReadError::new("what was pushed", "the registry answers otherwise by digest than by tag").into()
            );
        }
        let headline = format!("pushed {:.19}", stored.digest);
        let pushed = Pushed {
            reference: pinned.to_string(),
            digest: stored.digest.clone(),
            tagged: name,
            image_id: image.id.clone(),
        };
        Ok(Outcome::of(cleared.carry(pushed))
            .fact("reference", pinned.to_string())
            .fact("digest", stored.digest)
            .fact("image_id", image.id.clone())
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.login.iter().map(|login| login.password.clone()).collect()
    }

    fn explain(&self) -> Vec<Invocation> {
        let name = format!("{}:<commit>", self.repository);
        vec![
            docker(["image", "tag", "--", "<image>"]).arg(&name),
            docker(["image", "push", "--"]).arg(&name),
            docker(["manifest", "inspect", "--verbose", "--"]).arg(&name),
        ]
    }

    fn claims(&self) -> Claims {
        Claims::exclusive("push")
    }

    /// What is pushed is named by its content, so that pushing it twice is pushing it once.
    fn retry(&self) -> Retry {
        Retry::NETWORK
    }

    fn effect(&self) -> Effect {
        Effect::Named("push")
    }

    fn environment(&self) -> &str {
        &self.environment
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// Docker's configuration while we push: with the credentials of one registry, and removed with this value.
struct Session {
    configuration: Option<SecretFile>,
}

/// Docker looks for the credentials of its own registry under this name.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

impl Session {
    fn open(cx: &Context, login: Option<&Login>, registry: &str) -> Result<Self, StepError> {
        let Some(Login { user, password }) = login else { return Ok(Self { configuration: None }) };
        let password = cx.secret(password)?;
        let registry = if registry == HUB.0 { HUB.1 } else { registry };
        let basic = STANDARD.encode(format!("{user}:{}", password.expose()));
        let json = serde_json::json!({ "auths": { registry: { "auth": basic } } }).to_string();
        let json = Secret::new(format!("the credentials for {registry}"), json)?;
        Ok(Self { configuration: Some(cx.secret_file_named("config.json", &json)?) })
    }

    fn docker<const N: usize>(&self, args: [&str; N]) -> Invocation {
        match &self.configuration {
            Some(file) => docker(args).env("DOCKER_CONFIG", file.folder()),
            None => docker(args),
        }
    }
}

/// What a registry says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    digest: String,
    image_id: String,
}

fn read_back(cx: &Context, session: &Session, reference: &ImageReference) -> Result<Stored, StepError> {
    let mut invocation = session.docker(["manifest", "inspect", "--verbose"]);
    if reference.is_loopback() {
        // A registry on this machine speaks plain HTTP, as the engine allows by itself.
        invocation = invocation.arg("--insecure");
    }
    let captured = cx.run_remote(&invocation.arg("--").arg(reference.to_string()))?;
    Ok(read_manifest(captured.stdout_text()?)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    descriptor: Descriptor,
    #[serde(rename = "SchemaV2Manifest", alias = "OCIManifest")]
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    config: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// Reads what `docker manifest inspect --verbose` prints for an image of one platform.
fn read_manifest(json: &str) -> Result<Stored, ReadError> {
    let wrong = |problem: String| ReadError::new("the registry's manifest", problem);
    let manifest: Manifest = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
    let config = manifest.content.ok_or_else(|| wrong("it names no configuration".to_owned()))?.config;
    for digest in [&manifest.descriptor.digest, &config.digest] {
        if !is_sha256(digest) {
            return Err(wrong(format!("{digest:?} is not a SHA-256 digest")));
        }
    }
    Ok(Stored { digest: manifest.descriptor.digest, image_id: config.digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../../tests/data/docker/manifest-inspect.json");

    #[test]
    fn a_recorded_manifest_is_read() {
        let stored = read_manifest(RECORDED).expect("readable");
        assert_eq!(stored.digest, "sha256:81999b71db5ff605a66e83dda10087bd8afbac54792b65ac0e5837e3204b211e");
        assert_eq!(stored.image_id, "sha256:ac25cef545f3bda8430c0ae9689b90592fe898132fa3dd7610290f027aeee667");
        let newer = RECORDED.replace("SchemaV2Manifest", "OCIManifest");
        assert_eq!(read_manifest(&newer).expect("readable"), stored);
    }

    #[test]
    fn what_is_no_manifest_of_one_image_is_refused() {
        let list = format!("[{RECORDED}]");
        let weak = RECORDED.replace("sha256:ac25", "sha1:ac25");
        for bad in ["", "{}", "null", &list, &weak, &RECORDED.replace("SchemaV2Manifest", "Other")] {
            assert!(read_manifest(bad).is_err(), "{bad:.60} was read");
        }
        for cut in 0..RECORDED.trim_end().len() {
            assert!(read_manifest(&RECORDED[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_repository_has_neither_tag_nor_digest() {
        let digest = "a".repeat(64);
        for bad in ["", "a b", "registry.example.org/app:1", &format!("app@sha256:{digest}"), "https://x/app"] {
            assert!(Push::to(bad).target("c").is_err(), "{bad:?} was accepted");
        }
        let target = Push::to("127.0.0.1:5000/flask-app").target("abc").expect("a repository");
        assert_eq!(target.to_string(), "127.0.0.1:5000/flask-app:abc");
        assert!(target.is_loopback());
    }
}
