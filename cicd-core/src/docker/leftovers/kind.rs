use std::collections::BTreeSet;
use std::time::Duration;

use super::Leftover;
use crate::docker::{LABEL_OWNER, LABEL_RUN, QUERY_DEADLINE, docker};
use crate::process::{Captured, Invocation};
use crate::step::{Context, ReadError, StepError};

/// What carries the label of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image that was made for one run only.
    Image,
}

/// One line of a list: id, name, state, run, owner.
type Row = (String, String, String, String, String);

impl LeftoverKind {
    /// Containers first: what they use cannot be removed before them.
    pub(super) const IN_ORDER_OF_REMOVAL: [Self; 4] = [Self::Container, Self::Network, Self::Volume, Self::Image];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }

    /// Those with the label of some run.
    pub(super) fn list(self, cx: &Context) -> Result<Vec<Leftover>, StepError> {
        let filter = format!("label={LABEL_RUN}");
        if self == Self::Image {
            return images(cx, &filter);
        }
        self.read(&cx.run_ok(&self.query(&filter).deadline(QUERY_DEADLINE))?)
    }

    /// The question for those that a filter lets through; images are asked for in another way.
    fn query(self, filter: &str) -> Invocation {
        let labels = format!(r#"{{{{json (.Label "{LABEL_RUN}")}}}},{{{{json (.Label "{LABEL_OWNER}")}}}}"#);
        let (command, row) = match self {
            Self::Container => (vec!["ps", "--all", "--no-trunc"], "{{json .ID}},{{json .Names}},{{json .State}}"),
            Self::Network => (vec!["network", "ls", "--no-trunc"], r#"{{json .ID}},{{json .Name}},"""#),
            Self::Volume | Self::Image => (vec!["volume", "ls"], r#"{{json .Name}},{{json .Name}},"""#),
        };
        docker([]).args(command).args(["--filter", filter, "--format", &format!("[{row},{labels}]")])
    }

    /// Those of this run, also when it is cancelled: asked for in a hurry.
    pub(super) fn list_own(self, cx: &Context, deadline: Duration) -> Result<Vec<Leftover>, StepError> {
        let query = self.query(&format!("label={LABEL_RUN}={}", cx.shared().id)).deadline(deadline);
        self.read(&cx.clean_up(&query)?.require_success()?)
    }

    /// The command that removes them, without their ids.
    pub(super) fn removal(self) -> Invocation {
        match self {
            Self::Container => docker(["rm", "--force", "--volumes"]),
            Self::Network => docker(["network", "rm"]),
            Self::Volume => docker(["volume", "rm"]),
            // Not by force: an image that a container without the label was made from stays.
            Self::Image => docker(["image", "rm", "--no-prune"]),
        }
    }

    fn read(self, captured: &Captured) -> Result<Vec<Leftover>, StepError> {
        let rows = captured.stdout_text()?.lines().map(|line| {
            let (id, name, state, run, owner): Row = serde_json::from_str(line)
                .map_err(|error| ReadError::new(format!("docker's list of {}s", self.as_str()), error))?;
            Ok(Leftover { kind: self, id, name, running: state == "running", run, owner })
        });
        rows.collect()
    }
}

/// The list of images tells no labels, so each is looked at. One that has gone in between is none.
fn images(cx: &Context, filter: &str) -> Result<Vec<Leftover>, StepError> {
    let listed = image_ids(cx, filter)?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let labels = format!(
        r#"{{{{json (index .Config.Labels "{LABEL_RUN}")}}}},{{{{json (index .Config.Labels "{LABEL_OWNER}")}}}}"#
    );
    let format = format!("[{{{{json .Id}}}},{{{{json .RepoTags}}}},{labels}]");
    let query = docker(["image", "inspect", "--format", &format]).args(&listed).deadline(QUERY_DEADLINE);
    let captured = cx.run(&query)?.require_exit(&[0, 1])?;
    let (seen, found) = read_images(captured.stdout_text()?)?;
    // Code 1 is also what an engine gives that does not answer.
    let unseen: BTreeSet<_> = listed.difference(&seen).cloned().collect();
    if !unseen.is_empty() && !unseen.is_disjoint(&image_ids(cx, filter)?) {
        return Err(ReadError::new("docker's description of temporary images", captured.stderr_text()).into());
    }
    Ok(found)
}

pub(super) fn image_ids(cx: &Context, filter: &str) -> Result<BTreeSet<String>, StepError> {
    let query = docker(["image", "ls", "--no-trunc", "--quiet", "--filter", filter]).deadline(QUERY_DEADLINE);
    let captured = cx.run_ok(&query)?;
    Ok(captured.stdout_text()?.lines().map(str::to_owned).collect())
}

/// The ids that are described, and one left-over for each tag: an image goes with its last one.
fn read_images(text: &str) -> Result<(BTreeSet<String>, Vec<Leftover>), ReadError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for line in text.lines() {
        // A label that is missing is written as null, and so is a list of tags that is empty, by some versions.
        let (id, tags, run, owner): (String, Option<Vec<String>>, String, Option<String>) = serde_json::from_str(line)
            .map_err(|error| ReadError::new("docker's description of temporary images", error))?;
        let names = tags.filter(|tags| !tags.is_empty()).unwrap_or_else(|| vec![id.clone()]);
        let owner = owner.unwrap_or_else(String::new);
        found.extend(names.into_iter().map(|name| Leftover {
            kind: LeftoverKind::Image,
            id: name.clone(),
            name,
            running: false,
            run: run.clone(),
            owner: owner.clone(),
        }));
        seen.insert(id);
    }
    Ok((seen, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Exit;

    #[test]
    fn lists_are_read_line_by_line_and_a_broken_line_is_an_error() {
        // As docker 20.10.24 wrote it on 2026-11-21.
        let line = r#"["5dccea34b3199427fde55bde6e34b9be2cc5ce3836da4d038bb776c959f30490","web","exited","20261121T093015.123Z-4711",""]"#;
        let read = |text: &str| LeftoverKind::Container.read(&Captured::recorded(Exit::Code(0), text, ""));
        let one = read(&format!("{line}\n")).expect("a list");
        assert_eq!((one.len(), one[0].running), (1, false));
        assert_eq!(one[0].to_string(), "the container web (run 20261121T093015.123Z-4711)");
        assert_eq!(read("").expect("an empty list"), []);
        for bad in [&line[..line.len() - 1], "[]", "{}", "5dccea34b319"] {
            assert!(read(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn an_image_is_as_many_left_overs_as_it_has_tags() {
        let text = "[\"sha256:1\",[\"a:1\",\"b:1\"],\"run-1\",\"here\"]\n[\"sha256:2\",[],\"run-2\",null]\n";
        let (seen, found) = read_images(text).expect("readable");
        assert_eq!(seen.len(), 2);
        let ids: Vec<_> = found.iter().map(|image| (image.id.as_str(), image.run.as_str())).collect();
        assert_eq!(ids, [("a:1", "run-1"), ("b:1", "run-1"), ("sha256:2", "run-2")]);
        for bad in ["[\"sha256:1\",null]", "[\"sha256:1\",[],null,\"\"]", "sha256:1"] {
            assert!(read_images(bad).is_err(), "{bad} was accepted");
        }
    }
}
