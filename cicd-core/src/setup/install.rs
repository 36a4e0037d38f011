use std::ffi::OsStr;
use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::folders::{Content, requirements};
use super::observe::{check_programs, python};
use super::provenance::{InstalledTool, Provenance, Source};
use super::shell::Shell;
use super::{Platform, PythonLibrary, PythonPackage, SetupError, Sha256, ToolSet, files, plan, release};

/// Longer than the longest installation.
const LOCK_PATIENCE: Duration = Duration::from_secs(1800);
/// How often a held lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// Installs a set into its folder.
///
/// The folder is made where it will stay, because Python writes its path into scripts; what makes the set complete is the
/// record, which is written last and all at once, and without which nobody looks into the folder.
pub(super) fn install(set: &ToolSet, platform: Platform, shell: &mut Shell<'_>) -> Result<(), SetupError> {
    let root = set.folder.parent().unwrap_or(&set.folder);
    fs::create_dir_all(root).map_err(SetupError::io("creating", root))?;
    let _lock = lock(root, shell)?;
    if super::observe::works(set, shell) {
        return shell.say("installed by another setup in the meantime");
    }
    Provenance::remove(&set.folder)?;
    if set.folder.exists() {
        fs::remove_dir_all(&set.folder).map_err(SetupError::io("removing", &set.folder))?;
    }
    fs::create_dir(&set.folder).map_err(SetupError::io("creating", &set.folder))?;
    let sources = match &set.content {
        Content::Python { python, packages, libraries } => {
            wheels(set, *python, packages, libraries, shell)?;
            packages.iter().map(|package| wheel_source(package, platform, None)).collect()
        }
        Content::Release { python, release } => vec![release::install(set, *python, release, platform, shell)?],
    };
    check_programs(set, shell)
        .map_err(|error| SetupError::Useless { program: error.name, problem: error.problem.to_string() })?;
    let tools = set.programs().into_iter().zip(sources).map(|((program, version), source)| {
        Ok(InstalledTool {
            program: program.to_owned(),
            version: version.to_string(),
            program_sha256: file_sha256(set.bin().join(program))?,
            source,
        })
    });
    let tools = tools.collect::<Result<_, SetupError>>()?;
    Provenance::new(&set.folder, files::write_list(&set.folder)?, tools).write()
}

/// Makes a virtual environment in the set's folder with exactly these wheels.
pub(super) fn wheels(
    set: &ToolSet,
    version: (u32, u32),
    packages: &[PythonPackage],
    libraries: &[PythonLibrary],
    shell: &mut Shell<'_>,
) -> Result<(), SetupError> {
    let (major, minor) = version;
    let interpreter = python(version, shell).map_err(|_| SetupError::NoPython { major, minor })?;
    let [venv, pip] = plan::pip(set, interpreter.path.as_str());
    shell.run_ok(&venv)?;
    let list = set.folder.join(plan::REQUIREMENTS_FILE);
    fs::write(&list, requirements(packages, libraries)).map_err(SetupError::io("writing", &list))?;
    shell.run_ok(&pip)?;
    for (package, inside) in packages.iter().filter_map(|package| Some((package, package.inside.as_ref()?))) {
        let packages = Utf8PathBuf::from(format!("lib/python{major}.{minor}/site-packages"));
        let (program, script) = (packages.join(inside), set.bin().join(&package.program));
        fs::set_permissions(set.folder.join(&program), Permissions::from_mode(0o755))
            .map_err(SetupError::io("making executable", &program))?;
        fs::remove_file(&script).map_err(SetupError::io("removing", &script))?;
        symlink(Utf8Path::new("..").join(&program), &script).map_err(SetupError::io("linking", &script))?;
    }
    Ok(())
}

pub(super) fn wheel_source(package: &PythonPackage, platform: Platform, instead_of_release: Option<String>) -> Source {
    Source::PythonPackage {
        package: package.name.clone(),
        version: package.version.clone(),
        sha256: package.sha256.get(&platform).into_iter().flatten().cloned().collect(),
        instead_of_release,
    }
}

/// The sum of a file, read in pieces.
pub(super) fn file_sha256(path: impl AsRef<OsStr>) -> Result<Sha256, SetupError> {
    let path = path.as_ref();
    let sum = crate::files::sha256(path).map_err(SetupError::io("reading", path.to_string_lossy().as_ref()))?;
    Ok(Sha256::from_digest(&sum))
}

/// Keeps two setups from working in one tools folder at once. The system gives the lock back when the process ends, however
/// it ends.
fn lock(root: &Utf8Path, shell: &mut Shell<'_>) -> Result<File, SetupError> {
    let path = root.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(SetupError::io("opening", &path))?;
    let started = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(SetupError::io("locking", path)(error)),
            Err(TryLockError::WouldBlock) if started.elapsed() >= LOCK_PATIENCE => {
                return Err(SetupError::Locked(root.to_owned()));
            }
            Err(TryLockError::WouldBlock) => {
                if !told {
                    shell.say("waiting for another setup to finish")?;
                    told = true;
                }
                if let Some(reason) = shell.cancel.reason() {
                    let command = "waiting for another setup".to_owned();
                    return Err(crate::process::ProcessError::Cancelled { command, reason }.into());
                }
                thread::sleep(LOCK_POLL);
            }
        }
    }
}
