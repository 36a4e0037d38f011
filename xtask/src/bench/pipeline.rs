use std::error::Error;
use std::ffi::OsString;

use cicd_core::docker::docker_tool;
use cicd_core::pipeline::Outside;
use cicd_core::setup::tool_folders;
use cicd_core::step::Workspace;
use xshell::{Shell, cmd};

use super::contest::{Contender, contest, timed};

const ROUNDS: usize = 3;

/// The whole pipeline against the same commands in a plain sequential shell script.
pub(super) fn whole(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo build --quiet --profile measured --package cicd-core --example load").run()?;
    let root = camino::Utf8PathBuf::from_path_buf(shell.current_dir()).map_err(|_| "the path is not UTF-8")?;
    let xtask = std::env::current_exe()?;
    cmd!(shell, "{xtask} ci").quiet().ignore_stdout().run()?;
    let steps = root.join("target/ci/latest/steps").canonicalize_utf8()?;
    // The run folder may be pruned by the rounds that follow; the script keeps its own copy.
    let kept = shell.create_temp_dir()?;
    let (kept, database) = (kept.path(), steps.join("vulnerability-db"));
    cmd!(shell, "cp --recursive {database} {kept}").quiet().run()?;
    let database =
        database_folder(&camino::Utf8PathBuf::from_path_buf(kept.to_owned()).map_err(|_| "the path is not UTF-8")?)?;
    let saved: serde_json::Value = serde_json::from_str(&shell.read_file(steps.join("base-image/output.json"))?)?;
    let base = saved["value"]["reference"].as_str().ok_or("the base image has no name")?.to_owned();
    let (script, load) = (root.join("xtask/src/bench/sequential.sh"), root.join("target/measured/examples/load"));
    let path = search_path(&Workspace::at(&root))?;
    let contenders = vec![
        Contender::new("sequential script", || {
            let work = shell.create_temp_dir()?;
            let work = work.path();
            timed(cmd!(shell, "sh {script} {work} {database} {base} {load}").env("PATH", &path).ignore_stderr())
                .map(|ms| ms / 1e3)
        }),
        Contender::new("cargo xtask ci", || timed(cmd!(shell, "{xtask} ci")).map(|ms| ms / 1e3)),
    ];
    contest("the whole pipeline (goal: ratio below 0.9)", "s", ROUNDS, contenders)
}

/// A `PATH` on which the script finds the tools that the pipeline finds, and the same Docker.
fn search_path(workspace: &Workspace) -> Result<OsString, Box<dyn Error>> {
    let folders = tool_folders(&std::env::vars_os().collect(), workspace)?;
    let outside = Outside::gather(workspace, folders)?;
    let toolbox = outside.toolbox(workspace);
    let docker = toolbox.find(&docker_tool(), &outside.cancel)?.path;
    let folder = docker.parent().ok_or("docker is in no folder")?.as_std_path().to_owned();
    Ok(std::env::join_paths([folder].into_iter().chain(std::env::split_paths(toolbox.search_path())))?)
}

/// The folder that holds `db/trivy.db`.
fn database_folder(below: &camino::Utf8Path) -> Result<camino::Utf8PathBuf, Box<dyn Error>> {
    let mut open = vec![below.to_owned()];
    while let Some(folder) = open.pop() {
        if folder.join("db/trivy.db").exists() {
            return Ok(folder);
        }
        for entry in folder.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    Err("the run left no vulnerability database".into())
}
