use std::collections::BTreeMap;

use serde::Deserialize;

use super::{QUERY_DEADLINE, docker};
use crate::formats::image_reference::is_sha256;
use crate::step::{Context, ReadError, StepError};

/// What the engine knows of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDetails {
    /// The id, `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// Its size on disk, in bytes, layers shared with other images included.
    pub size_bytes: u64,
    /// The user it runs as; empty means root.
    pub user: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The program it starts, and its first arguments.
    pub entrypoint: Vec<String>,
    /// The arguments, or the program where there is no entry point.
    pub command: Vec<String>,
    /// The environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// The folder it is started in.
    pub working_folder: String,
    /// Whether it says how its health is checked. `HEALTHCHECK NONE` does not.
    pub has_healthcheck: bool,
    /// The platform, such as `linux/amd64` or `linux/arm64/v8`.
    pub platform: String,
    /// The registries' digests it is known by: `name@sha256:…`.
    pub repository_digests: Vec<String>,
    /// Its names in this engine.
    pub tags: Vec<String>,
    /// The digests of its layers, unpacked, from the bottom.
    pub layers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    size: u64,
    os: String,
    architecture: String,
    variant: Option<String>,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    config: Option<Config>,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
}

/// Newer engines leave out what is empty. An empty user is root, so leaving it out hides nothing.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck {
    test: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    layers: Option<Vec<String>>,
}

/// Reads what `docker image inspect` prints for one image.
///
/// # Errors
/// When that is not a list of exactly one image with an id.
pub fn read_inspect(json: &[u8]) -> Result<ImageDetails, ReadError> {
    let wrong = |problem: String| ReadError::new("the output of `docker image inspect`", problem);
    let images: Vec<Inspected> = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let [image]: [Inspected; 1] =
        images.try_into().map_err(|all: Vec<_>| wrong(format!("it has {} images instead of 1", all.len())))?;
    if !is_sha256(&image.id) {
        return Err(wrong(format!("{:?} is not an image id", image.id)));
    }
    let config = image.config.unwrap_or(Config::default());
    let test = config.healthcheck.and_then(|check| check.test);
    let variant = image.variant.filter(|variant| !variant.is_empty()).map(|variant| format!("/{variant}"));
    Ok(ImageDetails {
        id: image.id,
        size_bytes: image.size,
        user: config.user.unwrap_or(String::new()),
        labels: config.labels.unwrap_or(BTreeMap::new()),
        entrypoint: config.entrypoint.unwrap_or(Vec::new()),
        command: config.cmd.unwrap_or(Vec::new()),
        environment: config.env.unwrap_or(Vec::new()),
        working_folder: config.working_dir.unwrap_or(String::new()),
        has_healthcheck: test.is_some_and(|test| test.first().is_some_and(|kind| kind != "NONE")),
        platform: format!("{}/{}{}", image.os, image.architecture, variant.unwrap_or(String::new())),
        repository_digests: image.repo_digests.unwrap_or(Vec::new()),
        tags: image.repo_tags.unwrap_or(Vec::new()),
        layers: image.root_fs.layers.unwrap_or(Vec::new()),
    })
}

/// What the engine knows of an image, or `None` if it has no such image. `reference` is a name or an id.
///
/// # Errors
/// When the engine cannot be asked, or its answer cannot be read.
pub fn inspect_image(cx: &Context, reference: &str) -> Result<Option<ImageDetails>, StepError> {
    let captured =
        cx.run(&docker(["image", "inspect", "--"]).arg(reference).deadline(QUERY_DEADLINE))?.require_exit(&[0, 1])?;
    if captured.success() {
        captured.stdout_text()?;
        return Ok(Some(read_inspect(&captured.stdout)?));
    }
    // Code 1 is also what an engine that does not answer gives.
    super::engine_info(cx)?;
    Ok(None)
}

/// What the engine knows of an image that must be there.
///
/// # Errors
/// As [`inspect_image`], and when there is no such image.
pub fn require_image(cx: &Context, reference: &str) -> Result<ImageDetails, StepError> {
    inspect_image(cx, reference)?.ok_or_else(|| {
        StepError::not_looked(
            format!("the Docker engine has no image {reference}"),
            "run the step that makes it again; it may have been removed since",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../../tests/data/docker/inspect.json");

    #[test]
    fn a_recorded_image_is_read() {
        let image = read_inspect(RECORDED.as_bytes()).expect("readable");
        assert_eq!(image.user, "10001:10001");
        assert_eq!(image.platform, "linux/amd64");
        assert_eq!(image.size_bytes, 125_536_066);
        assert_eq!(image.labels, BTreeMap::from([("foo".to_owned(), "bar".to_owned())]));
        assert_eq!(image.layers.len(), 3);
        assert!(!image.has_healthcheck);
    }

    #[test]
    fn health_checks_are_read_and_none_is_none() {
        for (written, expected) in [
            (r#""Healthcheck": {"Test": ["CMD", "true"]}"#, true),
            (r#""Healthcheck": {"Test": ["NONE"]}"#, false),
            (r#""Healthcheck": {"Test": []}"#, false),
            (r#""Healthcheck": null"#, false),
        ] {
            let text = RECORDED.replace(r#""User": "10001:10001""#, written);
            let image = read_inspect(text.as_bytes()).expect("readable");
            assert_eq!(image.has_healthcheck, expected, "{written}");
            assert_eq!(image.user, "", "no user is root");
        }
    }

    #[test]
    fn anything_but_one_image_is_refused() {
        let two = format!("[{0},{0}]", RECORDED.trim().trim_start_matches('[').trim_end_matches(']'));
        let other_id = RECORDED.replace("sha256:aeae8db3", "md5:aeae8db3");
        for bad in ["", "[]", "{}", "null", "[{}]", &two, &other_id, &format!("{RECORDED} x")] {
            assert!(read_inspect(bad.as_bytes()).is_err(), "{:.40} was read", bad);
        }
        for cut in 0..RECORDED.trim_end().len() {
            assert!(read_inspect(&RECORDED.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
    }
}
