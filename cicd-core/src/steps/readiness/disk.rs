use camino::{Utf8Path, Utf8PathBuf};

use crate::step::StepError;

/// The scarcest of the places that are written to.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) path: Utf8PathBuf,
    pub(super) free_mib: u64,
}

/// How much room there is for the run's own record and for what the engine keeps.
pub(super) fn disk_free(run_dir: &Utf8Path, engine_dir: &Utf8Path) -> Result<Disk, StepError> {
    // An engine on another machine keeps its data where this one cannot look.
    let places = [Some(run_dir), engine_dir.exists().then_some(engine_dir)];
    let mut scarcest: Option<Disk> = None;
    for path in places.into_iter().flatten() {
        let stat = rustix::fs::statvfs(path.as_std_path())
            .map_err(|error| StepError::io("asking for the free space of", path)(error.into()))?;
        let free_bytes = u128::from(stat.f_bavail) * u128::from(stat.f_frsize);
        let free_mib = u64::try_from(free_bytes >> 20).unwrap_or(u64::MAX);
        if scarcest.as_ref().is_none_or(|disk| free_mib < disk.free_mib) {
            scarcest = Some(Disk { path: path.to_owned(), free_mib });
        }
    }
    scarcest.ok_or_else(|| StepError::not_looked("no disk was looked at", "report this as a bug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_that_of_the_scarcest_place() {
        let disk = disk_free(Utf8Path::new("/"), Utf8Path::new("/proc")).expect("both exist");
        assert_eq!((disk.path.as_str(), disk.free_mib), ("/proc", 0));
        assert!(disk_free(Utf8Path::new("/does/not/exist"), Utf8Path::new("/neither")).is_err());
    }
}
