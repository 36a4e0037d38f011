//! Names of images, as people write them and in full.

use std::fmt;

/// The name of an image in full: what `debian` or `ghcr.io/org/app:1@sha256:…` stand for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// The registry's host and port; `docker.io` where none was written.
    pub registry: String,
    /// The repository in it; one word is inside `library/` of Docker Hub.
    pub repository: String,
    /// The tag, if one was written.
    pub tag: Option<String>,
    /// The digest, if one was written, with `sha256:`.
    pub digest: Option<String>,
}

/// Something that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no image: expected [registry/]name[:tag][@sha256:digest]")]
pub struct InvalidReference(pub String);

/// The registry that a name without a host is looked up in.
const REGISTRY_DEFAULT: &str = "docker.io";

impl ImageReference {
    /// Reads a reference.
    ///
    /// # Errors
    /// When it is empty, has a character that no reference has, or a digest that is not SHA-256.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let invalid = || InvalidReference(text.to_owned());
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        let (path, tag) = match name.rsplit_once(':') {
            // A colon before the last slash belongs to the registry's port.
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
            _ => (name, None),
        };
        let (registry, repository) = match path.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host.to_owned(), rest.to_owned())
            }
            Some(_) => (REGISTRY_DEFAULT.to_owned(), path.to_owned()),
            None => (REGISTRY_DEFAULT.to_owned(), format!("library/{path}")),
        };
        let word = |text: &str, also: &[char]| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(&c))
        };
        let framed = |part: &str| part.starts_with(char::is_alphanumeric) && part.ends_with(char::is_alphanumeric);
        let parts = repository.split('/').all(|part| word(part, &['-', '_', '.']) && framed(part));
        let tagged = tag.as_deref().is_none_or(|tag| word(tag, &['-', '_', '.']));
        let digested = digest.as_deref().is_none_or(is_sha256);
        let hosted = word(&registry, &['-', '.', ':']);
        let lower = !repository.chars().any(|c| c.is_ascii_uppercase());
        if parts && tagged && digested && hosted && lower {
            Ok(Self { registry, repository, tag, digest })
        } else {
            Err(invalid())
        }
    }

    /// Whether it names one content for ever.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.digest.is_some()
    }

    /// Whether it stands for whatever is newest: the tag `latest`, or neither tag nor digest.
    #[must_use]
    pub fn is_latest(&self) -> bool {
        self.tag.as_deref().map_or(self.digest.is_none(), |tag| tag == "latest")
    }

    /// Whether the registry is this machine, where Docker allows plain HTTP.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.registry.split_once(':').map_or(self.registry.as_str(), |(host, _)| host);
        host == "localhost" || host.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
    }
}

/// In full: with the registry, and with `:latest` where neither tag nor digest was written.
impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.tag, &self.digest) {
            (Some(tag), _) => write!(f, ":{tag}")?,
            (None, None) => f.write_str(":latest")?,
            (None, Some(_)) => {}
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether `text` is `sha256:` and 64 lower-case hexadecimal digits.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (written, full) in [
            ("debian", "docker.io/library/debian:latest".to_owned()),
            ("org/app:1", "docker.io/org/app:1".to_owned()),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest".to_owned()),
            ("localhost/app:x", "localhost/app:x".to_owned()),
            (&format!("debian@{digest}"), format!("docker.io/library/debian@{digest}")),
            (&format!("debian:12@{digest}"), format!("docker.io/library/debian:12@{digest}")),
        ] {
            assert_eq!(ImageReference::parse(written).expect(written).to_string(), full);
        }
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for bad in ["", ":", "@", "a b", "A", "a//b", "a:", "a@sha256:123", "a@md5:x", "-", "--help", "a\n", "/a", "a/"]
        {
            let read = ImageReference::parse(bad);
            assert!(read.is_err(), "{bad:?} was read as {read:?}");
        }
    }

    #[test]
    fn latest_and_loopback_are_recognised() {
        let read = |text| ImageReference::parse(text).expect("a reference");
        assert!(read("debian").is_latest() && read("debian:latest").is_latest() && !read("debian:12").is_latest());
        assert!(read("127.0.0.1:5000/a").is_loopback() && read("localhost:1/a").is_loopback());
        assert!(!read("127.0.0.1.example.org/a").is_loopback() && !read("debian").is_loopback());
    }
}
