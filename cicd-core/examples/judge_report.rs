//! `TrivyScan` on a report that is already there, for the comparison with Trivy's own reading of it.
//!
//! `judge_report FOLDER IMAGE_ID`: the folder holds `bin/trivy`, a program that hands out the report, and `cache/db`, the database that
//! the report was made with. Prints the verdict, how many findings it is made of and the most memory that was taken, in KiB.

use std::error::Error;
use std::fs;

use camino::Utf8Path;
use cicd_core::docker::ImageUnderTest;
use cicd_core::pipeline::{Outside, alone};
use cicd_core::policy::{Policy, evaluate};
use cicd_core::step::{Step as _, Workspace};
use cicd_core::steps::{TrivyDatabase, TrivyScan};
use cicd_core::trivy::CANARY;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, image_id] = words.as_slice() else { return Err("usage: judge_report FOLDER IMAGE_ID".into()) };
    let root = Utf8Path::new(folder).canonicalize_utf8()?;
    let workspace = Workspace::at(&root);
    let cx = alone(&workspace, "trivy", Outside::gather(&workspace, vec![root.join("bin")])?)?;
    let image = ImageUnderTest::by_id(image_id)?;
    // The smallest database there is: the program in place of Trivy does not look into one.
    fs::create_dir_all(root.join("advisories"))?;
    let list = json!({
        "source": "made up for a benchmark", "licence": "CC0-1.0", "ecosystem": "PyPI", "as_of": "2024-10-10",
        "advisories": [{
            "package": CANARY.package, "id": "PYSEC-2018-66", "aliases": [CANARY.id],
            "ranges": [{"introduced": "0", "fixed": "0.12.3"}], "modified": "2021-07-15",
        }],
    });
    fs::write(root.join("advisories/pypi.json"), list.to_string())?;
    let database = TrivyDatabase::offline("advisories").run(&cx, ())?.value;
    let outcome = TrivyScan::new().run(&cx, (image, database))?;
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), cx.today());
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak of memory")?;
    println!("{} {} {}", verdict.status, verdict.findings.len(), peak.trim().trim_end_matches(" kB"));
    Ok(())
}
