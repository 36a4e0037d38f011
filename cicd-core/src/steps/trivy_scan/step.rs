use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::ScanCode;
use super::findings::Judgement;
use super::misconfigurations;
use super::outcome::Scanned;
use super::proof::{Expected, prove};
use super::sources::Sources;
use crate::docker::ImageUnderTest;
use crate::formats::ignore_file::{self, IgnoreFile};
use crate::formats::trivy_report::TrivyReport;
use crate::model::{Finding, Location, Severity, Target};
use crate::policy::{Applies, Exception, Justification, Scope, stray_configuration};
use crate::process::{Invocation, ToolRequirement};
use crate::python::LockFile;
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError};
use crate::trivy::{CANARY, Neutral, ScanReport, VulnerabilityDatabase, trivy_tool};

/// Large images take minutes; one that takes longer has something in it that should not be scanned, or be there.
const SCAN_DEADLINE: Duration = Duration::from_secs(900);
/// Trivy's own limit is shorter than ours, so that it says itself what took so long.
const TRIVY_TIMEOUT: &str = "14m";

/// What Trivy reads by itself in the folder that it is called in.
const CONFIGURATION_FILES: [&str; 3] = ["trivy.yaml", "trivy-secret.yaml", ".trivyignore"];

/// Scans an image for known flaws, secrets and misconfigurations, and judges what Trivy reports.
///
/// ```
/// use cicd_core::model::Severity;
/// use cicd_core::steps::TrivyScan;
///
/// let scan = TrivyScan::new()
///     .ignore_file("ci/.trivyignore")
///     .locked_requirements("flask-app/requirements.txt")
///     .severity(Severity::Medium);
/// ```
///
/// Trivy is run once, unfiltered and out of reach of any configuration; severities and ignore files are applied here. The step
/// passes only on proof that Trivy looked: the report is complete and from this Trivy about this image, the operating system is
/// known and supported, its packages and all locked Python packages were seen, and the database knows a flaw that every
/// database must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrivyScan {
    ignore_file: Option<Utf8PathBuf>,
    locked_requirements: Option<LockFile>,
    built_from: Vec<Utf8PathBuf>,
    threshold: Severity,
    accepted: Vec<Exception>,
}

impl Default for TrivyScan {
    fn default() -> Self {
        Self::new()
    }
}

impl TrivyScan {
    /// A scan in which every flaw of any severity fails the step.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ignore_file: None,
            locked_requirements: None,
            built_from: Vec::new(),
            threshold: Severity::Low,
            accepted: Vec::new(),
        }
    }

    /// Accepts that the database knows nothing about packages of a kind (`TRV-001`): `kind` is Trivy's word for it, such as
    /// `debian` or `node-pkg`.
    #[must_use]
    #[track_caller]
    pub fn accept_unjudged(mut self, kind: impl Into<String>, justification: Justification) -> Self {
        let scope = Scope::target(Target::Name(kind.into()));
        // Trivy's own database knows every kind, so that it is needed in some runs only.
        let exception = Exception::in_pipeline(ScanCode::NotJudged, scope, justification);
        self.accepted.push(exception.applies(Applies::AtTimes));
        self
    }

    /// The file with the exceptions, `.trivyignore` or `.trivyignore.yaml`; see [`ignore_file`](crate::formats::ignore_file).
    #[must_use]
    pub fn ignore_file(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.ignore_file = Some(path.into());
        self
    }

    /// The file with the pinned Python packages that the image is made from. Trivy has to see each of them in the image, and
    /// findings point at its lines.
    #[must_use]
    pub fn locked_requirements(mut self, lock: impl Into<LockFile>) -> Self {
        self.locked_requirements = Some(lock.into());
        self
    }

    /// The Dockerfiles that the image is built from, the one of the lowest image first. Findings point at the instruction that
    /// brought the package or the file in, and Trivy's rules judge the Dockerfiles themselves.
    ///
    /// Comments with `trivy:ignore` are not shown to Trivy, which would drop findings without a trace. They are judged here: with
    /// `# reason:`, `# owner:` and `# expires:` directly above, each allows what was found in the instruction below it.
    #[must_use]
    pub fn built_from(mut self, dockerfiles: impl IntoIterator<Item = impl Into<Utf8PathBuf>>) -> Self {
        self.built_from = dockerfiles.into_iter().map(Into::into).collect();
        self
    }

    /// The lowest severity that fails the step; what is below it is a warning. What nobody has rated always fails it.
    #[must_use]
    pub fn severity(mut self, threshold: Severity) -> Self {
        self.threshold = threshold;
        self
    }

    /// The entries of the ignore file and what is wrong with them, without a scan.
    ///
    /// # Errors
    /// When the file is not there or cannot be read.
    pub fn read_ignore_file(&self, cx: &Context) -> Result<IgnoreFile, StepError> {
        let Some(path) = &self.ignore_file else { return Ok(IgnoreFile::default()) };
        let bytes = cx.read_file(path)?;
        Ok(ignore_file::read(&cx.relative(path), &bytes).map_err(|error| {
            ReadError::new("the ignore file", &error.problem)
                .at(error.location)
                .help("correct it; Trivy could not read it either")
        })?)
    }

    fn stray_configuration(&self, cx: &Context) -> Vec<Finding> {
        let own = self.ignore_file.as_ref().map(|path| cx.relative(path));
        let stray = CONFIGURATION_FILES.into_iter().map(Utf8Path::new);
        let stray = stray.filter(|path| own.as_deref() != Some(*path) && cx.path(path).exists());
        stray.map(|path| stray_configuration(path, "trivy")).collect()
    }
}

impl Step for TrivyScan {
    type Input = (ImageUnderTest, VulnerabilityDatabase);
    type Output = ScanReport;

    fn run(&self, cx: &Context, (image, database): Self::Input) -> Result<Outcome<ScanReport>, StepError> {
        let trivy = cx.require(&trivy_tool())?;
        let ignored = self.read_ignore_file(cx)?;
        let mut lock = None;
        if let Some(file) = &self.locked_requirements {
            lock = Some((file, cx.relative(file.path()), file.read(cx)?));
        }
        let sources = Sources::read(cx, &self.built_from)?;
        let locked = lock.as_ref().map(|(_, path, locked)| (path.as_path(), locked));
        database.check(cx.now())?;
        let neutral = Neutral::prepare(cx)?;
        CANARY.sing(cx, &neutral, &database)?;
        cx.progress(format!("scanning image {}", image.short_id()));
        let path = cx.path(cx.dir()).join("report.json");
        let captured = cx.run_ok(&scan(&neutral, &database.cache_dir, &path, &image.id))?;
        let report = TrivyReport::from_json(captured.report_bytes()?).map_err(|error| {
            ReadError::new("Trivy's report", error)
                .at(Location::file(&path))
                .help("run the step again; look into its log")
        })?;
        prove(&report, &Expected { image_id: &image.id, trivy: &trivy.version, locked })?;
        let judgement = Judgement { threshold: self.threshold, locked, sources: &sources };
        let dockerfiles = misconfigurations::check(cx, &neutral, &database, &sources, &judgement)?;
        let scanned =
            Scanned { image: &image, trivy: &trivy.version, database: &database, report: &report, dockerfiles };
        let mut outcome = scanned.outcome(&judgement, ignored, cx.today());
        outcome.findings.extend(self.stray_configuration(cx));
        outcome.findings.extend(lock.iter().flat_map(|(file, _, locked)| file.findings(locked)));
        outcome.exceptions.extend(self.relaxations());
        outcome.attachments.push(path);
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![trivy_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        let neutral = Neutral::placeholder();
        let (cache_dir, step) = (Utf8Path::new("<database>"), Utf8Path::new("<step>"));
        let mut calls = vec![
            CANARY.invocation(&neutral, cache_dir, "<step>/canary", step),
            scan(&neutral, cache_dir, &step.join("report.json"), "<image id>"),
        ];
        if !self.built_from.is_empty() {
            let (copies, report) = (step.join("dockerfiles"), step.join("dockerfiles.json"));
            calls.push(misconfigurations::invocation(&neutral, cache_dir, &copies, &report));
        }
        calls
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.accepted.iter().cloned().chain(self.locked_requirements.iter().flat_map(LockFile::exceptions)).collect()
    }

    fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        Ok(self.read_ignore_file(cx)?.exceptions)
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

fn scan(neutral: &Neutral, cache_dir: &Utf8Path, report: &Utf8Path, image: &str) -> Invocation {
    neutral
        .scan(cache_dir, "image", "vuln,misconfig,secret", report)
        .args(["--secret-config", neutral.secret_config().as_str()])
        .args(["--image-src", "docker", "--timeout", TRIVY_TIMEOUT, image])
        .deadline(SCAN_DEADLINE)
}
