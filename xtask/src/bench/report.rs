use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::cli::Output;
use cicd_core::formats::trivy_db::{AdvisoryList, DatabaseMetadata, trivy_db};
use cicd_core::pipeline::Outside;
use cicd_core::setup::tool_folders;
use cicd_core::step::Workspace;
use cicd_core::trivy::{CANARY, trivy_tool};
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use super::contest::{Contender, contest, timed};

const ROUNDS: usize = 5;
const PACKAGES: usize = 5_000;
/// In each package; a bucket of the database holds 65,534 flaws at most.
const FLAWS: usize = 10;
/// The goal for the most memory, in KiB.
const MEMORY_KIB_MAX: u64 = 200 << 10;

/// A report with 50,000 flaws that the real Trivy made, judged by the whole step, against `trivy convert`, which only reads it and
/// writes it again.
pub(super) fn judged(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo build --quiet --profile measured --package cicd-core --example judge_report").run()?;
    let ours = shell.current_dir().join("target/measured/examples/judge_report");
    let trivy = find_trivy(&Utf8PathBuf::try_from(shell.current_dir())?)?;
    let folder = shell.create_temp_dir()?;
    let root = Utf8Path::from_path(folder.path()).ok_or("the path is not UTF-8")?;
    for name in ["bin", "cache/db", "neutral", "canary"] {
        fs::create_dir_all(root.join(name))?;
    }
    database(root)?;
    let image_id = image(shell, root)?;
    fs::write(root.join("empty.yaml"), "")?;
    fs::write(root.join("canary/requirements.txt"), format!("{}=={}\n", CANARY.package, CANARY.version))?;
    let (cache, empty) = (root.join("cache"), root.join("empty.yaml"));
    let common = [
        "--scanners",
        "vuln",
        "--format",
        "json",
        "--skip-db-update",
        "--skip-java-db-update",
        "--offline-scan",
        "--skip-version-check",
        "--disable-telemetry",
        "--list-all-pkgs",
        "--cache-backend",
        "memory",
    ];
    let (report, canary, tar, project) =
        (root.join("report.json"), root.join("canary.json"), root.join("image.tar"), root.join("canary"));
    cmd!(
        shell,
        "{trivy} --quiet --config {empty} --cache-dir {cache} image {common...} --output {report} --input {tar}"
    )
    .quiet()
    .run()?;
    cmd!(shell, "{trivy} --quiet --config {empty} --cache-dir {cache} fs {common...} --output {canary} {project}")
        .quiet()
        .run()?;
    hand_out(root)?;
    let (size, rewritten) = (fs::metadata(&report)?.len(), root.join("rewritten.json"));
    let judge = || cmd!(shell, "{ours} {root} {image_id}");
    let contenders = vec![
        Contender::new("trivy convert", || {
            timed(cmd!(shell, "{trivy} --quiet --config {empty} convert --format json --output {rewritten} {report}"))
        }),
        Contender::new("cicd-core, the whole step", || timed(judge())),
    ];
    let title = format!("a Trivy report of {} MB with 50,000 flaws (goal: ratio at most 0.25)", size / 1_000_000);
    contest(&title, "ms", ROUNDS, contenders)?;
    let said = judge().quiet().read()?;
    let [status, findings, peak] = said.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("judge_report says {said:?}").into());
    };
    let peak: u64 = peak.parse()?;
    Output.say(&format!("  {status}, {findings} findings, at most {} MiB (goal: 200)\n", peak >> 10));
    if status == "failed" && findings.parse::<usize>()? >= PACKAGES * FLAWS && peak < MEMORY_KIB_MAX {
        return Ok(());
    }
    Err("the report was not judged as it has to be".into())
}

fn find_trivy(root: &Utf8Path) -> Result<Utf8PathBuf, Box<dyn Error>> {
    let workspace = Workspace::at(root);
    let folders = tool_folders(&std::env::vars_os().collect(), &workspace)?;
    let outside = Outside::gather(&workspace, folders)?;
    Ok(outside.toolbox(&workspace).find(&trivy_tool(), &outside.cancel)?.path)
}

fn package(number: usize) -> String {
    format!("package{number:05}")
}

/// A database that knows the flaws of every package, and the one that every database has to know.
fn database(root: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let flaw = |package: String, number: usize| -> Value {
        json!({
            "package": package, "id": format!("PYSEC-2023-{number}"),
            "aliases": [format!("CVE-2023-{}", 100_000 + number)],
            "ranges": [{"introduced": "0", "fixed": "2.0.0"}], "published": "2023-01-01", "modified": "2023-02-02",
            "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
        })
    };
    let mut advisories: Vec<_> = (0..PACKAGES * FLAWS).map(|number| flaw(package(number / FLAWS), number)).collect();
    advisories.push(json!({
        "package": CANARY.package, "id": "PYSEC-2018-66", "aliases": [CANARY.id],
        "ranges": [{"introduced": "0", "fixed": "0.12.3"}], "modified": "2021-07-15",
    }));
    let list = json!({
        "source": "made up for a benchmark", "licence": "CC0-1.0", "ecosystem": "PyPI", "as_of": "2024-10-10",
        "advisories": advisories,
    });
    let list = AdvisoryList::from_json(&serde_json::to_vec(&list)?)?;
    fs::write(root.join("cache/db/trivy.db"), trivy_db(&[list])?)?;
    let now = "2024-10-10T00:00:00Z".parse()?;
    fs::write(root.join("cache/db/metadata.json"), serde_json::to_vec(&DatabaseMetadata::new(now, now))?)?;
    Ok(())
}

/// An image of Debian with nothing but the packages' metadata, as `docker save` writes it; its id.
fn image(shell: &Shell, root: &Utf8Path) -> Result<String, Box<dyn Error>> {
    let files = root.join("files");
    let write = |path: String, text: &str| -> std::io::Result<()> {
        let path = files.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    };
    write("etc/os-release".to_owned(), "ID=debian\nVERSION_ID=\"12\"\n")?;
    write("etc/debian_version".to_owned(), "12.11\n")?;
    write(
        "var/lib/dpkg/status".to_owned(),
        "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.4\n\n",
    )?;
    for name in (0..PACKAGES).map(package) {
        let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n\n");
        write(format!("usr/lib/python3/dist-packages/{name}-1.0.0.dist-info/METADATA"), &text)?;
    }
    let (layer, tar, config) = (root.join("layer.tar"), root.join("image.tar"), root.join("config.json"));
    cmd!(shell, "tar --create --file {layer} --directory {files} .").quiet().run()?;
    let sha256 = |path: &Utf8Path| -> Result<String, Box<dyn Error>> {
        let line = cmd!(shell, "sha256sum {path}").quiet().read()?;
        Ok(format!("sha256:{}", line.split(' ').next().ok_or("sha256sum says nothing")?))
    };
    let layer = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "history": [{"created_by": "COPY files / # buildkit"}],
        "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)?]},
    });
    fs::write(&config, layer.to_string())?;
    let manifest = json!([{"Config": "config.json", "RepoTags": ["bench:1"], "Layers": ["layer.tar"]}]);
    fs::write(root.join("manifest.json"), manifest.to_string())?;
    cmd!(shell, "tar --create --file {tar} --directory {root} manifest.json config.json layer.tar").quiet().run()?;
    sha256(&config)
}

/// A program in place of Trivy that hands out what the real one wrote, without the time that it took.
fn hand_out(root: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let script = format!(
        "#!/bin/sh\nprevious=; out=; kind=report\nfor word; do\n  [ \"$word\" = --version ] && {{ echo Version: 0.70.0; exit; }}\n  \
         [ \"$word\" = filesystem ] && kind=canary\n  [ \"$previous\" = --output ] && out=$word\n  previous=$word\ndone\n\
         exec ln '{root}'/$kind.json \"$out\"\n"
    );
    let program = root.join("bin/trivy");
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
