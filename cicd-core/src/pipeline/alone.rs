use std::ops::Deref;
use std::sync::Arc;

use camino::Utf8Path;

use super::Outside;
use super::folder::remove_old_lonely_runs;
use super::panics::{self, RedactedPanics};
use super::run::{open, unused_id};
use super::scrub::scrub;
use crate::model::StepName;
use crate::step::{Context, EventSender, StepError, Workspace};

/// The area of steps that are run alone.
const AREA: &str = "ci-alone";

/// A context for running one step by itself, outside a pipeline, with a run folder of its own. When it is dropped, the secrets
/// that are known by then are overwritten in everything that the step left.
///
/// ```
/// use cicd_core::pipeline::{Outside, alone};
/// use cicd_core::step::{Outcome, Step, Workspace, step_fn};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = camino::Utf8Path::from_path(folder.path()).ok_or("a name in UTF-8")?;
/// let workspace = Workspace::at(folder);
/// let cx = alone(&workspace, "sum", Outside::gather(&workspace, Vec::new())?)?;
/// let outcome = step_fn(|_, numbers: Vec<u32>| Ok(Outcome::of(numbers.iter().sum::<u32>()))).run(&cx, vec![1, 2])?;
/// assert_eq!(outcome.value, 3);
/// cx.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Alone {
    context: Context,
    _redacted_panics: RedactedPanics,
}

/// Makes a context for one step; see [`Alone`].
///
/// # Errors
/// When the name is not one or the folder cannot be written.
pub fn alone(workspace: &Workspace, name: &str, outside: Outside) -> Result<Alone, StepError> {
    let name =
        StepName::new(name).map_err(|error| StepError::not_looked(error.to_string(), "give the step another name"))?;
    remove_old_lonely_runs(workspace, AREA);
    let id = unused_id(workspace, AREA, outside.environment.clock.now());
    let (run, _) = open(workspace, AREA, id, outside, EventSender::nowhere())?;
    let redacted_panics = panics::redact_with(&run.redactor);
    Ok(Alone { context: Context::for_step(Arc::new(run), name), _redacted_panics: redacted_panics })
}

impl Alone {
    /// Ends the run and tells whether its folder could be cleaned, which dropping it alone does not tell.
    ///
    /// # Errors
    /// When a file cannot be read or overwritten: it may still hold a secret then.
    pub fn finish(self) -> Result<(), StepError> {
        self.scrub()
    }

    fn scrub(&self) -> Result<(), StepError> {
        let folder: &Utf8Path = &self.context.shared().dir;
        let shared = self.context.shared();
        let scrubbed = scrub(folder, &shared.redactor, &shared.cancel);
        scrubbed.map(|_| ()).map_err(StepError::io("removing secrets from", folder))
    }
}

impl Deref for Alone {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Who wants to be told calls `finish`.
        let _ = self.scrub();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::process::Invocation;
    use crate::step::{Artifact as _, Seal, Step as _};
    use crate::steps::DependencyAudit;
    use crate::trivy::ScanReport;

    #[test]
    fn a_report_that_a_tool_wrote_beside_the_log_holds_no_secret_afterwards() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(folder.path()).expect("UTF-8"));
        let mut outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
        outside.environment.variables.insert("CANARY".into(), "canary-0123456789".into());
        for finished in [true, false] {
            let cx = alone(&workspace, "lonely", outside.clone()).expect("a context");
            let secret = cx.secret("CANARY").expect("a secret");
            let report = cx.dir().join("report.json");
            fs::write(&report, secret.expose()).expect("written");
            if finished {
                cx.finish().expect("cleaned")
            } else {
                drop(cx)
            }
            assert_eq!(fs::read_to_string(&report).expect("read"), "*".repeat(17));
        }
    }

    #[test]
    fn what_works_alone_is_left_alone_and_what_is_over_goes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(folder.path()).expect("UTF-8"));
        let outside = Outside::without_git(Vec::new()).expect("descriptors");
        let cx = alone(&workspace, "lonely", outside.clone()).expect("a context");
        fs::write(cx.dir().join("half.json"), "{").expect("written");
        super::super::interrupted::settle(&workspace, "ci");
        assert!(cx.dir().join("half.json").exists(), "a run that goes on was emptied");
        let runs = cx.dir().join("../../..").canonicalize_utf8().expect("the runs");
        for minute in 0..60 {
            // No process has this number.
            fs::create_dir(runs.join(format!("20200101T00{minute:02}00.000Z-4194305"))).expect("made");
        }
        drop(alone(&workspace, "other", outside).expect("a context"));
        let left: Vec<_> = runs.read_dir_utf8().expect("the runs").flatten().collect();
        assert_eq!(left.len(), super::super::RUNS_KEPT + 2, "{left:?}");
        assert!(cx.dir().exists());
    }

    #[test]
    fn temporary_files_of_processes_go_with_the_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let workspace = Workspace::at(root);
        fs::create_dir(root.join("tmp")).expect("made");
        let mut outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
        outside.environment.variables.insert("TMPDIR".into(), root.join("tmp").into_string().into());
        let cx = alone(&workspace, "lonely", outside).expect("a context");
        let leaves = Invocation::tool("sh").args(["-c", "touch \"$TMPDIR/left\" && printf %s \"$TMPDIR\""]);
        let used = cx.run_ok(&leaves).expect("ran").stdout_text().expect("text").to_owned();
        assert!(used.starts_with(root.join("tmp").as_str()) && Utf8Path::new(&used).join("left").exists(), "{used}");
        drop(cx);
        assert_eq!(root.join("tmp").read_dir_utf8().expect("a folder").count(), 0);
    }

    /// Here, and not beside the other tests with real tools, as only this crate can make what a scan gives.
    #[test]
    fn without_the_package_index_there_is_no_second_opinion() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(folder.path()).expect("UTF-8"));
        fs::write(workspace.path("requirements.txt"), "flask==0.12\n").expect("written");
        // As a run folder has it: what Trivy's scan gave on.
        let scan = r#"{"image":"sha256:0","trivy":"0.70.0","database":"official","database_updated_at":"2026-11-21T00:00:00Z","os":"debian 12",
            "packages":1,"packages_judged":1,"vulnerabilities":0,"python_judged":true,
            "python":[{"name":"flask","version":"0.12","flaws":[]}]}"#;
        let scan = ScanReport::load(scan, &Seal::new()).expect("a scan");
        let audit = DependencyAudit::locked("requirements.txt");
        // Unit tests are run by people too, whose PATH does not have what setup installs.
        let repository = Workspace::at(Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
        let tools = crate::setup::tool_folders(&std::env::vars_os().collect(), &repository).expect("folders");
        let mut outside = Outside::gather(&workspace, tools).expect("an environment");
        // Nothing listens on the port that is reserved for discarding.
        let proxy = [("HTTPS_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", ""), ("no_proxy", "")];
        outside.environment.variables.extend(proxy.map(|(name, value)| (name.into(), value.into())));
        let cx = alone(&workspace, "audit", outside).expect("a context");
        let outcome = audit.run(&cx, scan.clone()).expect("looked");
        assert_eq!(outcome.facts.headline(), Some("1 package, 0 flaws, by Trivy alone"));
        let codes: Vec<_> = outcome.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["AUD-001"]);
        assert!(!outcome.value.second_opinion);
        let error = audit.second_opinion_required().run(&cx, scan).expect_err("required");
        assert!(error.to_string().contains("gives no second opinion"), "{error}");
    }
}
