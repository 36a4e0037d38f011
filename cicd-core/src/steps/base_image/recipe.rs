use camino::Utf8Path;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use crate::formats::config;
use crate::formats::image_reference::{ImageReference, is_sha256};
use crate::formats::{ConfigError, Problems, RawConfig};

/// Changes whenever the same recipe would be made in another way.
const PROCEDURE: &str = "1";

/// What `base.toml` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseRecipe {
    /// The image in a registry, without a digest.
    pub upstream: ImageReference,
    /// Its digest, `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// How to make the same where no registry can be reached.
    pub packages: Option<PackagesRecipe>,
}

/// How to make a base image from Debian's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagesRecipe {
    /// The release, such as `bookworm`.
    pub suite: String,
    /// The set of packages, such as `minbase`.
    pub variant: String,
    /// Further packages.
    pub include: Vec<String>,
    /// Another mirror than debootstrap's own.
    pub mirror: Option<String>,
}

impl BaseRecipe {
    /// Reads the text of `base.toml`.
    ///
    /// # Errors
    /// Unknown keys, and values that name no image, digest or package; every one of them, with its place.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, ConfigError> {
        config::parse::<RawBase>(path, text)
    }

    /// The name that content is pulled by: `docker.io/library/debian@sha256:…`.
    #[must_use]
    pub fn pinned(&self) -> String {
        ImageReference { tag: None, digest: Some(self.digest.clone()), ..self.upstream.clone() }.to_string()
    }
}

impl PackagesRecipe {
    /// A hash of everything that decides what is made, 64 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let mirror = self.mirror.as_deref().unwrap_or("");
        for part in
            [PROCEDURE, &self.suite, &self.variant, mirror].into_iter().chain(self.include.iter().map(String::as_str))
        {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The name of the image made here.
    #[must_use]
    pub fn image_name(&self) -> String {
        format!("cicd-base:{:.16}", self.hash())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBase {
    upstream: Spanned<String>,
    digest: Spanned<String>,
    debootstrap: Option<RawPackages>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackages {
    suite: Spanned<String>,
    variant: Spanned<String>,
    #[serde(default)]
    include: Vec<Spanned<String>>,
    mirror: Option<Spanned<String>>,
}

impl RawConfig for RawBase {
    type Valid = BaseRecipe;

    fn validate(self, mut problems: Problems<'_>) -> Result<BaseRecipe, ConfigError> {
        let upstream = match ImageReference::parse(self.upstream.get_ref()) {
            Ok(reference) => {
                if reference.is_pinned() {
                    problems
                        .add(self.upstream.span(), "the digest stands in a key of its own")
                        .help("move what follows the `@` to `digest = \"…\"`");
                }
                Some(reference)
            }
            Err(error) => {
                problems.add(self.upstream.span(), error.to_string());
                None
            }
        };
        if !is_sha256(self.digest.get_ref()) {
            problems
                .add(self.digest.span(), "this is not a digest")
                .help("write `sha256:` and the 64 hexadecimal digits that the registry shows for the tag");
        }
        let packages = self.debootstrap.map(|raw| raw.check(&mut problems));
        let digest = self.digest.into_inner();
        match upstream {
            Some(upstream) => problems.finish(BaseRecipe { upstream, digest, packages }),
            // At least the problem with it was added above, so this never succeeds with the stand-in.
            None => {
                let upstream =
                    ImageReference { registry: String::new(), repository: String::new(), tag: None, digest: None };
                problems.finish(BaseRecipe { upstream, digest, packages })
            }
        }
    }
}

impl RawPackages {
    fn check(self, problems: &mut Problems<'_>) -> PackagesRecipe {
        // These become arguments of debootstrap and lines of sources.list.
        for word in [&self.suite, &self.variant].into_iter().chain(&self.include) {
            let text = word.get_ref();
            let plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c));
            if !plain || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                problems
                    .add(word.span(), format!("{text:?} is not a name that Debian uses"))
                    .help("use a-z, 0-9, + . -");
            }
        }
        if let Some(mirror) = &self.mirror {
            let text = mirror.get_ref();
            let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            if !address.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
                problems.add(mirror.span(), "this is not the address of a mirror").help("write `https://…/debian`");
            }
        }
        PackagesRecipe {
            suite: self.suite.into_inner(),
            variant: self.variant.into_inner(),
            include: self.include.into_iter().map(Spanned::into_inner).collect(),
            mirror: self.mirror.map(Spanned::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const OURS: &str = include_str!("../../../../ci/base-image/base.toml");

    fn refused(text: &str, expected: Expect) {
        let error = BaseRecipe::parse("base.toml".into(), text).expect_err("refused");
        expected.assert_eq(&error.to_string());
    }

    #[test]
    fn our_own_recipe_is_read() {
        let recipe = BaseRecipe::parse("base.toml".into(), OURS).expect("valid");
        assert!(recipe.pinned().starts_with("docker.io/library/debian@sha256:96e378d7"));
        let packages = recipe.packages.expect("given");
        assert_eq!((packages.suite.as_str(), packages.variant.as_str()), ("bookworm", "minbase"));
        assert_eq!(packages.image_name().len(), "cicd-base:".len() + 16);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        refused(&OURS.replace("suite", "siute"), expect!["base.toml:9:1: unknown key `siute`"]);
        refused(&OURS.replace("sha256:96e3", "sha256:96E3"), expect!["base.toml:5:10: this is not a digest"]);
        refused(
            &OURS.replace("bookworm-slim", "a b").replace("minbase", "--foreign").replace("[]", "[\"a\", \"b;c\"]"),
            expect![[r#"
                base.toml:4:12: "docker.io/library/debian:a b" names no image: expected [registry/]name[:tag][@sha256:digest]
                base.toml:10:11: "--foreign" is not a name that Debian uses
                base.toml:11:17: "b;c" is not a name that Debian uses"#]],
        );
        refused(
            &format!("{OURS}mirror = \"ftp://x\"\n"),
            expect!["base.toml:12:10: this is not the address of a mirror"],
        );
        refused("digest = 'x'", expect!["base.toml:1:1: the key `upstream` is missing"]);
    }

    #[test]
    fn every_part_of_the_recipe_is_in_its_hash() {
        let recipe = |suite: &str, variant: &str, include: &[&str], mirror: Option<&str>| {
            PackagesRecipe {
                suite: suite.to_owned(),
                variant: variant.to_owned(),
                include: include.iter().map(|&name| name.to_owned()).collect(),
                mirror: mirror.map(str::to_owned),
            }
            .hash()
        };
        let hashes = [
            recipe("a", "b", &[], None),
            recipe("ab", "", &[], None),
            recipe("a", "b", &["c"], None),
            recipe("a", "b", &["c", "d"], None),
            recipe("a", "b", &["cd"], None),
            recipe("a", "b", &[], Some("c")),
        ];
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }
}
