use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::kind::image_ids;
use crate::docker::{LABEL_CHECKOUT, QUERY_DEADLINE, docker};
use crate::step::{Context, ReadError, StepError};

/// Removing the layers of one image takes the engine a while.
const REMOVE_DEADLINE: Duration = Duration::from_secs(60);

/// An image that a run of a checkout has built and that still has the name that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltImage {
    /// Its name and tag, which no other run and no other checkout gives.
    pub(crate) name: String,
    /// Other names, which somebody has given it since.
    pub(crate) also: Vec<String>,
    /// The run.
    pub(crate) run: String,
}

/// What became of an image that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Untagged {
    /// It is gone, or stays under a name that somebody else has given it.
    Gone,
    /// The engine keeps it, such as for a container; the value is what it said.
    Kept(String),
}

/// All images that runs of a checkout have built and that nobody has renamed.
///
/// An image hands its labels on to what is built on it, so a label alone says nothing: the image has to have the name that is in the
/// label, and only the one that was built can have it.
pub(crate) fn built_in(cx: &Context, checkout: &str) -> Result<Vec<BuiltImage>, StepError> {
    let filter = format!("label={LABEL_CHECKOUT}={checkout}");
    let listed = image_ids(cx, &filter)?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let query = docker(["image", "inspect", "--format", "[{{json .Id}},{{json .RepoTags}},{{json .Config.Labels}}]"]);
    let captured = cx.run(&query.args(&listed).deadline(QUERY_DEADLINE))?.require_exit(&[0, 1])?;
    let (seen, found) = read(captured.stdout_text()?, checkout)?;
    // One that has gone in between is none, but code 1 is also what an engine gives that does not answer.
    let unseen: BTreeSet<_> = listed.difference(&seen).cloned().collect();
    if !unseen.is_empty() && !unseen.is_disjoint(&image_ids(cx, &filter)?) {
        return Err(ReadError::new("docker's description of built images", captured.stderr_text()).into());
    }
    Ok(found)
}

/// Takes a name from an image that a run has built, and with its last name the image. Not by force: what a container was made from stays.
pub(crate) fn untag(cx: &Context, name: &str) -> Result<Untagged, StepError> {
    let captured = cx.run(&docker(["image", "rm", "--no-prune", "--"]).arg(name).deadline(REMOVE_DEADLINE))?;
    if captured.success() {
        return Ok(Untagged::Gone);
    }
    // What counts is not what the engine says but whether the name is still there.
    match named(cx, name)? {
        None => Ok(Untagged::Gone),
        Some(_) => Ok(Untagged::Kept(captured.stderr_text().trim().to_owned())),
    }
}

/// The id of the image that has this name, if one has.
pub(crate) fn named(cx: &Context, name: &str) -> Result<Option<String>, StepError> {
    let query = docker(["image", "ls", "--no-trunc", "--quiet", "--"]).arg(name).deadline(QUERY_DEADLINE);
    let captured = cx.run_ok(&query)?;
    Ok(captured.stdout_text()?.lines().next().map(str::to_owned))
}

/// Removes an image that had a name which this checkout alone gives, until another one took it. One with a name of somebody else's stays,
/// and so does what a container was made from.
pub(crate) fn remove_nameless(cx: &Context, id: &str) -> Result<(), StepError> {
    let nameless = image_ids(cx, "dangling=true")?;
    if nameless.contains(id) {
        cx.run(&docker(["image", "rm", "--no-prune", "--"]).arg(id).deadline(REMOVE_DEADLINE))?;
    }
    Ok(())
}

/// What an engine says of the labels of an image.
#[derive(Deserialize)]
struct Labels {
    #[serde(rename = "dev.cicd-core.image")]
    image: Option<String>,
    #[serde(rename = "dev.cicd-core.checkout")]
    checkout: Option<String>,
    #[serde(rename = "dev.cicd-core.built-in")]
    built_in: Option<String>,
}

/// The ids that are described, and the images among them that still have the name they were given.
fn read(text: &str, checkout: &str) -> Result<(BTreeSet<String>, Vec<BuiltImage>), ReadError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let (id, tags, labels): (String, Option<Vec<String>>, Option<Labels>) = serde_json::from_str(line)
            .map_err(|error| ReadError::new("docker's description of built images", error))?;
        seen.insert(id);
        let Some(Labels { image: Some(name), checkout: Some(of), built_in: Some(run) }) = labels else { continue };
        let (own, also): (Vec<_>, Vec<_>) = tags.into_iter().flatten().partition(|tag| *tag == name);
        if of == checkout && !own.is_empty() && name.ends_with(&format!("-{run}")) {
            found.push(BuiltImage { name, also, run });
        }
    }
    Ok((seen, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{LABEL_BUILT_IN, LABEL_IMAGE};

    #[test]
    fn labels_are_the_ones_that_are_written() {
        assert_eq!(
            [LABEL_IMAGE, LABEL_CHECKOUT, LABEL_BUILT_IN],
            ["dev.cicd-core.image", "dev.cicd-core.checkout", "dev.cicd-core.built-in"]
        );
    }

    #[test]
    fn only_what_has_the_name_that_it_was_given_is_a_checkouts_own() {
        let line = |id: u32, tags: &str, image: &str, checkout: &str, run: &str| {
            format!(
                r#"["sha256:{id}",{tags},{{"{LABEL_IMAGE}":"{image}","{LABEL_CHECKOUT}":"{checkout}","{LABEL_BUILT_IN}":"{run}","a":"b"}}]"#
            )
        };
        let lines = [
            line(1, r#"["app-me:c-r1"]"#, "app-me:c-r1", "me", "r1"),
            // Retagged beside its own name: that name alone is ours.
            line(2, r#"["kept:1","app-me:c-r2"]"#, "app-me:c-r2", "me", "r2"),
            // Built on ours, renamed, another checkout's, not of a run (the inner loop's), and without any labels.
            line(3, "[]", "app-me:c-r1", "me", "r1"),
            line(4, r#"["theirs:1"]"#, "app-me:c-r1", "me", "r1"),
            line(5, r#"["app-you:c-r1"]"#, "app-you:c-r1", "you", "r1"),
            line(6, r#"["app-me:dev"]"#, "app-me:dev", "me", "r1"),
            r#"["sha256:7",null,null]"#.to_owned(),
        ];
        let (seen, found) = read(&lines.join("\n"), "me").expect("readable");
        let names: Vec<_> = found.iter().map(|image| (image.name.as_str(), image.run.as_str())).collect();
        assert_eq!((seen.len(), names), (7, vec![("app-me:c-r1", "r1"), ("app-me:c-r2", "r2")]));
        assert_eq!(found[1].also, ["kept:1"]);
        for bad in ["[]", "{}", "sha256:1", "[\"sha256:1\",[]"] {
            assert!(read(bad, "me").is_err(), "{bad} was accepted");
        }
    }
}
