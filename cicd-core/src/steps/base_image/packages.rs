use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};

use super::PackagesRecipe;
use super::root_fs::{mounts_below, name_updates, slim};
use crate::docker::{ImageDetails, docker, inspect_image, require_image, run_watched};
use crate::formats::network_failure::NetworkFailure;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::step::{Context, ReadError, StepError};

/// An image made here is as safe as its packages were on that day.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Some hundred packages over a slow network.
const DEBOOTSTRAP_DEADLINE: Duration = Duration::from_secs(1200);
const LABEL_RECIPE: &str = "dev.cicd-core.base.recipe";
const LABEL_MADE: &str = "dev.cicd-core.base.made";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image made from packages.
#[derive(Debug)]
pub(super) struct Made {
    pub details: ImageDetails,
    /// When, in UTC.
    pub at: Timestamp,
    /// Whether it was there before.
    pub reused: bool,
}

/// Gives the image of a recipe: the one that is there, if it is young enough, or a new one.
pub(super) fn provide(cx: &Context, recipe: &PackagesRecipe) -> Result<Made, StepError> {
    let name = recipe.image_name();
    if let Some(details) = inspect_image(cx, &name)?
        && let Some(at) = usable(&details, recipe, cx.now())
    {
        return Ok(Made { details, at, reused: true });
    }
    make(cx, recipe, &name)
}

/// When an image was made, if it is of this recipe, not too old and not from the future.
fn usable(details: &ImageDetails, recipe: &PackagesRecipe, now: Timestamp) -> Option<Timestamp> {
    if details.labels.get(LABEL_RECIPE) != Some(&recipe.hash()) {
        return None;
    }
    let made: Timestamp = details.labels.get(LABEL_MADE)?.parse().ok()?;
    let age = now.duration_since(made);
    (SignedDuration::ZERO..AGE_MAX).contains(&age).then_some(made)
}

fn make(cx: &Context, recipe: &PackagesRecipe, name: &str) -> Result<Made, StepError> {
    cx.require(&debootstrap_tool())?;
    if !rustix::process::geteuid().is_root() {
        return Err(StepError::not_looked(
            "no registry can be reached, and making a base image from Debian's packages needs root",
            "run `cargo xtask setup` as root once, or make a registry reachable",
        ));
    }
    let folder = tempfile::Builder::new()
        .prefix("base-")
        .tempdir_in(cx.dir())
        .map_err(StepError::io("creating a folder in", cx.dir()))?;
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned())
        .map_err(|_| ReadError::new("the name of a temporary folder", "it is not UTF-8"))?;
    let made = make_in(cx, recipe, name, &path);
    let left = unmount(cx, &path);
    if left.as_ref().map_or(true, |left| !left.is_empty()) {
        // Something of this machine is still mounted inside: the folder must outlive us.
        let kept = folder.keep();
        let problem = format!("{} is not deleted, as something is still mounted in it: {left:?}", kept.display());
        return Err(StepError::not_looked(problem, "unmount it with `umount --recursive`, then delete it"));
    }
    made
}

fn make_in(cx: &Context, recipe: &PackagesRecipe, name: &str, folder: &Utf8Path) -> Result<Made, StepError> {
    let root = folder.join("root");
    cx.progress(format!("making {name} from Debian's packages"));
    bootstrapped(cx.run(&debootstrap(recipe, &root))?)?;
    name_updates(&root, recipe)?;
    cx.progress("installing security updates");
    // Without it, apt takes a list that it could not fetch for a warning, and the updates in it are missing unseen.
    cx.run_remote(&inside(&root, &["apt-get", "--option", "APT::Update::Error-Mode=any", "update"]))?;
    cx.run_remote(&inside(&root, &["apt-get", "--yes", "--no-install-recommends", "dist-upgrade"]))?;
    cx.run_ok(&inside(&root, &["apt-get", "clean"]))?;
    slim(&root)?;
    let archive = folder.join("root.tar");
    cx.run_ok(&pack(&root, &archive))?;

    let at = cx.now();
    let import = docker(["import", "--change", r#"CMD ["/bin/bash"]"#, "--change"])
        .arg(format!("ENV {PATH}"))
        .arg("--change")
        .arg(format!("LABEL {LABEL_RECIPE}={} {LABEL_MADE}={at}", recipe.hash()))
        .arg("--")
        .arg(&archive)
        .arg(name);
    let imported = run_watched(cx, &import)?.require_success()?;
    let id = imported.stdout_text()?.trim().to_owned();
    let details = require_image(cx, name)?;
    if details.id != id || usable(&details, recipe, at).is_none() {
        let problem = format!("{name} is {} with the labels {:?}, but {id} was imported", details.id, details.labels);
        return Err(ReadError::new("the imported base image", problem).into());
    }
    Ok(Made { details, at, reused: false })
}

/// Debootstrap tells its errors on standard output.
fn bootstrapped(captured: Captured) -> Result<(), StepError> {
    if captured.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&captured.stdout);
    let errors: Vec<&str> = output.lines().filter(|line| line.starts_with("E: ")).collect();
    let told = errors.join("\n");
    let what = format!("debootstrap ended with {}: {told}\n{}", captured.exit, captured.stderr_text());
    let help = "check the suite and the mirror in the recipe; the step's log has everything it printed";
    Err(StepError::not_looked(what.trim_end(), help).caused_by(NetworkFailure::told(&told)))
}

fn debootstrap_tool() -> ToolRequirement {
    ToolRequirement::new("debootstrap", ">=1.0")
        .fix("install it (`apt-get install debootstrap debian-archive-keyring`), or make a registry reachable")
}

/// The run's own folder is not there where the new system is the root.
const TEMPORARY: &str = "/tmp";

fn debootstrap(recipe: &PackagesRecipe, root: &Utf8Path) -> Invocation {
    let mut invocation = Invocation::tool("debootstrap")
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("TMPDIR", TEMPORARY)
        .deadline(DEBOOTSTRAP_DEADLINE)
        // Without it, packages are taken unchecked where the keys of the archive are not installed.
        .arg("--force-check-gpg")
        .arg(format!("--variant={}", recipe.variant));
    if !recipe.include.is_empty() {
        invocation = invocation.arg(format!("--include={}", recipe.include.join(",")));
    }
    invocation.arg(&recipe.suite).arg(root).args(&recipe.mirror)
}

fn inside(root: &Utf8Path, command: &[&str]) -> Invocation {
    Invocation::tool("chroot")
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("TMPDIR", TEMPORARY)
        .deadline(DEBOOTSTRAP_DEADLINE)
        .arg(root)
        .args(command)
}

/// The devices are left out: a container gets its own.
fn pack(root: &Utf8Path, archive: &Utf8Path) -> Invocation {
    Invocation::tool("tar")
        .args(["--create", "--numeric-owner", "--one-file-system", "--sort=name"])
        .args(["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "--directory"])
        .arg(root)
        .arg("--file")
        .arg(archive)
        .arg(".")
}

/// Unmounts what debootstrap left mounted, and gives what could not be unmounted.
fn unmount(cx: &Context, folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StepError> {
    let table = Utf8Path::new("/proc/self/mountinfo");
    let mounts = || {
        let text = fs::read_to_string(table).map_err(StepError::io("reading", table))?;
        Ok::<_, StepError>(mounts_below(&text, folder))
    };
    for mount in mounts()? {
        cx.run(&Invocation::tool("umount").arg(mount))?;
    }
    mounts()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::read_inspect;

    const RECORDED: &[u8] = include_bytes!("../../../tests/data/docker/inspect.json");

    #[test]
    fn an_image_is_used_for_seven_days_and_for_its_recipe_only() {
        let recipe = PackagesRecipe {
            suite: "bookworm".to_owned(),
            variant: "minbase".to_owned(),
            include: Vec::new(),
            mirror: None,
        };
        let mut details = read_inspect(RECORDED).expect("readable");
        let made: Timestamp = "2026-11-14T00:00:00Z".parse().expect("a time");
        details.labels = [(LABEL_RECIPE.to_owned(), recipe.hash()), (LABEL_MADE.to_owned(), made.to_string())].into();
        let at = |time: &str| usable(&details, &recipe, time.parse().expect("a time"));
        assert_eq!(at("2026-11-14T00:00:00Z"), Some(made));
        assert_eq!(at("2026-11-20T23:59:59Z"), Some(made));
        assert_eq!(at("2026-11-21T00:00:00Z"), None, "too old");
        assert_eq!(at("2026-11-13T23:59:59Z"), None, "from the future");
        let other = PackagesRecipe { include: vec!["curl".to_owned()], ..recipe.clone() };
        assert_eq!(usable(&details, &other, made), None, "another recipe");
        details.labels.insert(LABEL_MADE.to_owned(), "yesterday".to_owned());
        assert_eq!(usable(&details, &recipe, made), None);
    }
}
