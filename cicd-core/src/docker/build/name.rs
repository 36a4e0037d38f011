use std::os::unix::fs::MetadataExt as _;
use std::time::UNIX_EPOCH;
use std::{fs, io};

use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

use super::{BuildRecipe, CacheUse};
use crate::docker::{LABEL_BUILT_IN, LABEL_CHECKOUT, LABEL_IMAGE};
use crate::files::{self, FEW_LINES_BYTES_MAX};
use crate::model::Revision;
use crate::step::{Context, StepError};

/// Enough that no two checkouts of an engine are taken for each other, and short enough to be read.
const CHECKOUT_DIGITS: usize = 10;
/// Where Linux keeps the number of the machine; containers often have none.
const MACHINE: &str = "/etc/machine-id";
/// The tag of images for the inner loop, of which there is one for each name.
const DEV_TAG: &str = "dev";

/// The name of an image that a run builds, and whose it is.
///
/// No other checkout of an engine gives the name, and no other run the tag. So what carries the name is known to be this run's, and it is
/// removed by this tag alone: an image that somebody has given another name stays under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuiltName {
    /// `repository:tag`.
    pub(super) name: String,
    checkout: String,
    run: String,
}

impl BuiltName {
    /// What a recipe builds in this run.
    pub(super) fn of(
        cx: &Context,
        recipe: &BuildRecipe,
        cache: CacheUse,
        revision: &Revision,
    ) -> Result<Self, StepError> {
        // What is staged is laid out elsewhere; the run is kept in the checkout: `target/<area>/runs/<id>`.
        let run = cx.shared();
        let root = run.dir.ancestors().nth(4).unwrap_or_else(|| cx.root());
        let checkout = checkout_id(root).map_err(StepError::io("looking at", root))?;
        let tag = tag(cache, &revision.commit, run.id.as_str());
        let name = format!("{}-{checkout}:{tag}", recipe.image_name_in(root));
        Ok(Self { name, checkout, run: run.id.to_string() })
    }

    /// The same with placeholders.
    pub(super) fn placeholder(recipe: &BuildRecipe, cache: CacheUse) -> Self {
        let name = recipe.own_name().unwrap_or_else(|| "<repository>".to_owned());
        let name = format!("{name}-<checkout>:{}", tag(cache, "<commit>", "<run>"));
        Self { name, checkout: "<checkout>".to_owned(), run: "<run>".to_owned() }
    }

    /// The labels that say so, which nothing in a Dockerfile or a base can change: the command line is stronger.
    pub(super) fn labels(&self) -> [String; 3] {
        [(LABEL_IMAGE, &self.name), (LABEL_CHECKOUT, &self.checkout), (LABEL_BUILT_IN, &self.run)]
            .map(|(label, value)| format!("{label}={value}"))
    }
}

fn tag(cache: CacheUse, commit: &str, run: &str) -> String {
    match cache {
        CacheUse::Refused => format!("{commit}-{run}"),
        CacheUse::Allowed => DEV_TAG.to_owned(),
    }
}

/// Ten hexadecimal digits that tell a checkout from every other one that uses the same engine, and that stay the same as long as it
/// lies where it lies: its folder, when that was made, and the machine. A copy, and another clone at the same path, is another one.
///
/// # Errors
/// When the folder cannot be looked at.
pub fn checkout_id(root: &Utf8Path) -> io::Result<String> {
    let root = root.canonicalize_utf8()?;
    let found = fs::metadata(&root)?;
    // Not every file system tells when a folder was made.
    let made = found.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok()).map(|made| made.as_nanos());
    let machine = files::read_text(MACHINE, FEW_LINES_BYTES_MAX).ok();
    let told = format!("{root:?} {} {made:?} {machine:?}", found.ino());
    let digest = Sha256::digest(told);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).take(CHECKOUT_DIGITS).collect())
}

/// A folder's name as the engine takes it: lower-case letters and digits, with single separators in between. Nothing where none is left.
pub(super) fn as_image_name(folder: &str) -> Option<String> {
    let words = folder.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_told_from_its_copies_and_stays_itself() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8");
        let id = |name: &str| checkout_id(&root.join(name)).expect("there");
        for name in ["one", "two"] {
            fs::create_dir(root.join(name)).expect("made");
        }
        let first = id("one");
        assert!(first.len() == CHECKOUT_DIGITS && first.bytes().all(|b| b.is_ascii_hexdigit()), "{first}");
        assert_ne!(first, id("two"));
        fs::write(root.join("one/file"), "x").expect("written");
        std::os::unix::fs::symlink("one", root.join("link")).expect("linked");
        assert_eq!(
            [id("one"), id("link")],
            [first.clone(), first.clone()],
            "work in it, and a link to it, change nothing"
        );
        // The other one keeps the number of the folder from being used again.
        fs::rename(root.join("one"), root.join("old")).expect("moved");
        fs::create_dir(root.join("one")).expect("made");
        assert_ne!(id("one"), first, "another clone at the same place");
        assert!(checkout_id(&root.join("none")).is_err());
    }

    #[test]
    fn an_image_is_named_after_what_it_is_built_from() {
        let named = |context: &str, root: &str| BuildRecipe::context(context).image_name_in(Utf8Path::new(root));
        assert_eq!(named(".", "/home/me/Guest Book"), "guest-book");
        assert_eq!(named("", "/home/me/shop_2.0"), "shop-2-0");
        assert_eq!(named("services/./Web--App", "/home/me/x"), "web-app");
        assert_eq!(named("_", "/"), "image", "nothing has a name");
        let chosen = BuildRecipe::context(".").image_name("team/app");
        assert_eq!(chosen.image_name_in(Utf8Path::new("/home/me/x")), "team/app");
    }
}
