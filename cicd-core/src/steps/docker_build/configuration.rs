use camino::Utf8Path;

use super::codes::ImageCode;
use crate::docker::{ImageDetails, LABEL_REVISION, revision_label};
use crate::model::{Finding, Level, Location, Revision, Severity};

/// So many differences from the commit are named; a `SourceCheck` tells all.
const DIFFERENCES_NAMED_MAX: usize = 3;

/// Judges what an image says of itself.
pub(super) fn judge(details: &ImageDetails, revision: &Revision, dockerfile: &Utf8Path) -> Vec<Finding> {
    let place = || Location::file(dockerfile);
    let mut findings = Vec::new();
    if let Some(problem) = user_problem(&details.user) {
        findings.push(Finding::new(ImageCode::User, problem).at(place()));
    }
    findings.extend(judge_revision(details, revision, dockerfile));
    if !details.has_healthcheck {
        findings.push(Finding::new(ImageCode::Healthcheck, "the image has no HEALTHCHECK").at(place()));
    }
    findings
}

/// Judges whether an image says which commit it was built from.
pub(super) fn judge_revision(details: &ImageDetails, revision: &Revision, dockerfile: &Utf8Path) -> Option<Finding> {
    let wanted = revision_label(revision);
    let message = match details.labels.get(LABEL_REVISION) {
        Some(label) if *label == wanted => return None,
        Some(label) => format!("{LABEL_REVISION} is {label:?} instead of {wanted}"),
        None => format!("the image has no label {LABEL_REVISION}"),
    };
    Some(Finding::new(ImageCode::Revision, message).at(Location::file(dockerfile)))
}

/// Judges whether what was built is what was committed.
pub(super) fn judge_tree(revision: &Revision) -> Option<Finding> {
    let mut message = format!("files differ from commit {:.12}, which the image is named after", revision.commit);
    for difference in revision.differences.iter().take(DIFFERENCES_NAMED_MAX) {
        message.push_str("; ");
        message.push_str(difference);
    }
    revision
        .dirty
        .then(|| Finding::new(ImageCode::Dirty, message).severity(Severity::Medium).level(Level::BlockClearance))
}

/// What is wrong with a `USER`, if anything: `10001` and `10001:10001` are fine; a name needs an `/etc/passwd` that says it is
/// not root, and an orchestrator cannot see it.
fn user_problem(user: &str) -> Option<String> {
    let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    if name.is_empty() {
        return Some("the image has no USER and so runs as root".to_owned());
    }
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    match (number(name), group.map(number)) {
        (Some(0), _) => Some(format!("the image runs as root (USER {user})")),
        (None, _) if name == "root" => Some(format!("the image runs as root (USER {user})")),
        (None, _) => Some(format!("the image's USER {user:?} is a name, not a number")),
        (Some(_), Some(None)) => Some(format!("the group of the image's USER {user:?} is not a number")),
        (Some(_), None | Some(Some(_))) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::docker::read_inspect;

    const RECORDED: &[u8] = include_bytes!("../../../tests/data/docker/inspect.json");

    #[test]
    fn only_numbers_other_than_zero_are_users() {
        // A user without a group gets group 0 as well, and some platforms ask for it.
        for good in ["1", "10001", "10001:10001", "65534:1", "1:0"] {
            assert_eq!(user_problem(good), None, "{good:?}");
        }
        for bad in [
            "",
            ":",
            ":0",
            ":1",
            "0",
            "00",
            "0:0",
            "0:1",
            "root",
            "root:root",
            "1:root",
            "1:",
            "app",
            "+1",
            "-1",
            "1 ",
            "4294967296",
            "0x0",
            "٣",
        ] {
            assert!(user_problem(bad).is_some(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_image_is_judged_by_its_configuration() {
        let mut details = read_inspect(RECORDED).expect("readable");
        let revision = Revision { commit: "c".repeat(40), dirty: true, differences: Vec::new() };
        let codes = |details: &ImageDetails| -> Vec<String> {
            let findings = judge(details, &revision, Utf8Path::new("app/Dockerfile"));
            findings.iter().map(|finding| finding.code.to_string()).collect()
        };
        assert_eq!(codes(&details), ["IMG-002", "IMG-007"]);
        details.labels = BTreeMap::from([(LABEL_REVISION.to_owned(), revision.commit[..12].to_owned())]);
        details.has_healthcheck = true;
        assert_eq!(codes(&details), ["IMG-002"], "a short commit id is not the full one");
        details.labels = BTreeMap::from([(LABEL_REVISION.to_owned(), revision.commit.clone())]);
        details.user = String::new();
        assert_eq!(codes(&details), ["IMG-001", "IMG-002"], "an edited tree is not the commit");
        details.labels = BTreeMap::from([(LABEL_REVISION.to_owned(), format!("{}-dirty", revision.commit))]);
        assert_eq!(codes(&details), ["IMG-001"]);
        assert_eq!(judge_tree(&revision).expect("dirty").level, Level::BlockClearance);
    }
}
