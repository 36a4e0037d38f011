use std::fs;
use std::panic::Location as CallerLocation;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use sha2::{Digest as _, Sha256};

use crate::files;
use crate::formats::printable::printable;
use crate::formats::trivy_db::{AdvisoryList, DatabaseMetadata, trivy_db};
use crate::model::{Finding, Level, Location, Severity, finding_codes};
use crate::policy::{Applies, Exception, Justification, Origin, Scope};
use crate::process::{Invocation, ProcessError, ToolRequirement};
use crate::step::{Author, Context, Outcome, ReadError, Retry, Seal, Step, StepError};
use crate::trivy::{CANARY, DatabaseOrigin, Neutral, VulnerabilityDatabase, trivy_tool};

/// Where Trivy publishes its database. Trivy itself goes on to the next only when the first is busy, not when it cannot be
/// reached, so each is tried with a call of its own.
const REPOSITORIES: [&str; 2] = ["mirror.gcr.io/aquasec/trivy-db:2", "ghcr.io/aquasecurity/trivy-db:2"];

/// The download is about 100 MB; a line that needs longer is no line to wait for in every run.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(120);

/// Trivy publishes a database every six hours; two days bridge a weekend outage and no more.
const AGE_HOURS_MAX: u32 = 48;

/// A longer list of advisories is a mistake: all ecosystems together have about 300 MB.
const ADVISORIES_BYTES_MAX: u64 = 512 << 20;

finding_codes! {
    /// What can be found about a vulnerability database.
    pub enum DatabaseCode {
        Offline = "TDB-001" {
            summary: "the vulnerability database was made from the repository's own advisories",
            help: "run where Trivy's database can be downloaded, or accept it with `.accept_offline(Justification)`",
            example: "a machine without access to the registries that publish Trivy's database",
        },
    }
}

/// Gets a vulnerability database for `TrivyScan`: Trivy's own, or, where it cannot be downloaded, one made from the advisories
/// that the repository keeps.
///
/// ```
/// use cicd_core::steps::TrivyDatabase;
///
/// let database = TrivyDatabase::official().or_offline("ci/advisories");
/// ```
///
/// Which way was taken, and why, is among the facts. An offline database passes with the finding `TDB-001`, which blocks every
/// clearance that follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrivyDatabase {
    repositories: Vec<String>,
    advisories: Option<Utf8PathBuf>,
    cache_dir: Option<Utf8PathBuf>,
    age_hours_max: u32,
    accepted: Option<Exception>,
}

impl TrivyDatabase {
    /// Trivy's own database, from where Trivy publishes it.
    #[must_use]
    pub fn official() -> Self {
        Self {
            repositories: REPOSITORIES.map(str::to_owned).to_vec(),
            advisories: None,
            cache_dir: None,
            age_hours_max: AGE_HOURS_MAX,
            accepted: None,
        }
    }

    /// Trivy's own database, from these repositories, tried in this order: a company's mirrors.
    #[must_use]
    pub fn from_repositories(repositories: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { repositories: repositories.into_iter().map(Into::into).collect(), ..Self::official() }
    }

    /// Only the advisories in this folder; no download is tried.
    #[must_use]
    pub fn offline(advisories: impl Into<Utf8PathBuf>) -> Self {
        Self { repositories: Vec::new(), ..Self::official() }.or_offline(advisories)
    }

    /// Where the download fails, makes a database from the advisories in this folder (`*.json`).
    #[must_use]
    pub fn or_offline(mut self, advisories: impl Into<Utf8PathBuf>) -> Self {
        self.advisories = Some(advisories.into());
        self
    }

    /// Downloads into this folder, so that a fresh database of an earlier run is used again; without it, into the step's own folder.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<Utf8PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// How old the official database may be, in hours; 48 unless set.
    #[must_use]
    pub fn age_hours_max(mut self, hours: u32) -> Self {
        self.age_hours_max = hours;
        self
    }

    /// Lets verdicts based on an offline database clear effects. It is an exception like any other, and is only spent in runs that
    /// took the offline way.
    #[must_use]
    #[track_caller]
    pub fn accept_offline(mut self, justification: Justification) -> Self {
        let caller = CallerLocation::caller();
        self.accepted = Some(Exception {
            id: crate::model::FindingCode::code(DatabaseCode::Offline).to_string(),
            scope: Scope::Any,
            justification,
            origin: Origin::Pipeline,
            location: Location::column(Utf8Path::new(caller.file()), caller.line(), caller.column()),
            applies: Applies::Here,
        });
        self
    }

    /// Downloads; the inner `Err` says why not, one reason a repository. Where a server was there and not well, another attempt is
    /// worth more than what is at hand without it.
    fn download(&self, cx: &Context, neutral: &Neutral) -> Result<Result<VulnerabilityDatabase, String>, StepError> {
        let cache_dir = cx.path(self.cache_dir.as_deref().unwrap_or(&cx.dir().join("official")));
        let mut reasons = Vec::new();
        let mut unwell = None;
        for repository in &self.repositories {
            cx.progress(format!("downloading the vulnerability database from {repository}"));
            let error = match cx.run_ok(&download(neutral, &cache_dir, repository)) {
                Ok(_) => return self.downloaded(cx, cache_dir, repository).map(Ok),
                Err(error) => error.by_network(),
            };
            let cause = error.transient();
            let other_way = self.advisories.is_some();
            unwell = unwell.or(cause.filter(|cause| cause.is_of_a_server() || !other_way));
            reasons.push(format!("{repository}: {}", reason(error)?));
        }
        let why = if reasons.is_empty() { "not asked for".to_owned() } else { reasons.join("; ") };
        match unwell {
            Some(_) if !cx.is_last_attempt() => Err(unavailable(&why).caused_by(unwell)),
            _ => Ok(Err(why)),
        }
    }

    fn downloaded(&self, cx: &Context, cache_dir: Utf8PathBuf, from: &str) -> Result<VulnerabilityDatabase, StepError> {
        let path = cache_dir.join("db/trivy.db");
        let mut database = VulnerabilityDatabase {
            cache_dir,
            origin: DatabaseOrigin::Official { repository: from.to_owned() },
            updated_at: Timestamp::UNIX_EPOCH,
            sha256: sha256(&path)?,
            age_hours_max: self.age_hours_max,
        };
        database.updated_at = database.read_metadata()?.updated_at;
        database.check(cx.now())?;
        Ok(database)
    }

    fn make(&self, cx: &Context, folder: &Utf8Path) -> Result<VulnerabilityDatabase, StepError> {
        cx.progress(format!("making a vulnerability database from {folder}"));
        let lists = read_lists(cx, folder)?;
        let mut ecosystems: Vec<_> = lists.iter().map(|list| list.ecosystem).collect();
        ecosystems.sort();
        ecosystems.dedup();
        let as_of = lists.iter().map(|list| list.as_of).min().unwrap_or(civil::Date::MIN);
        let updated_at = as_of.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        let updated_at = updated_at.map_err(|error| ReadError::new(format!("the date {as_of} in {folder}"), error))?;
        let advisories = lists.iter().map(|list| list.advisories.len()).sum();
        let bytes = trivy_db(&lists).map_err(|error| {
            ReadError::new(folder.as_str(), error).help("make the lists shorter, or split them by ecosystem")
        })?;
        // Never in a folder where somebody expects Trivy's own database.
        let cache_dir = cx.path(cx.dir()).join("offline");
        let db = cache_dir.join("db");
        fs::create_dir_all(&db).map_err(StepError::io("creating", &db))?;
        let metadata = DatabaseMetadata::new(updated_at, cx.now()).to_json();
        for (name, content) in [("trivy.db", bytes.as_slice()), ("metadata.json", metadata.as_bytes())] {
            fs::write(db.join(name), content).map_err(StepError::io("writing", db.join(name)))?;
        }
        Ok(VulnerabilityDatabase {
            origin: DatabaseOrigin::Offline { as_of, ecosystems, advisories },
            updated_at,
            sha256: hex(&Sha256::digest(&bytes)),
            age_hours_max: self.age_hours_max,
            cache_dir,
        })
    }
}

impl Step for TrivyDatabase {
    type Input = ();
    type Output = VulnerabilityDatabase;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<VulnerabilityDatabase>, StepError> {
        cx.require(&trivy_tool())?;
        let neutral = Neutral::prepare(cx)?;
        match self.download(cx, &neutral)? {
            Ok(database) => Ok(told(database, "official")),
            Err(why) => {
                let Some(folder) = &self.advisories else {
                    return Err(unavailable(&why));
                };
                let database = self.make(cx, folder)?;
                let message = format!("{database}: verdicts based on it clear no effect");
                let finding = Finding::new(DatabaseCode::Offline, message)
                    .level(Level::BlockClearance)
                    .severity(Severity::Medium)
                    .at(Location::file(folder));
                Ok(told(database, "offline")
                    .fact("why_offline", why)
                    .findings([finding])
                    .exceptions(self.accepted.clone()))
            }
        }
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![trivy_tool()]
    }

    fn retry(&self) -> Retry {
        if self.repositories.is_empty() { Retry::NEVER } else { Retry::NETWORK }
    }

    fn explain(&self) -> Vec<Invocation> {
        let neutral = Neutral::placeholder();
        let cache_dir = self.cache_dir.as_deref().unwrap_or(Utf8Path::new("<step>/official"));
        self.repositories.iter().map(|repository| download(&neutral, cache_dir, repository)).collect()
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.accepted.iter().cloned().collect()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

fn download(neutral: &Neutral, cache_dir: &Utf8Path, repository: &str) -> Invocation {
    neutral
        .trivy(cache_dir)
        .args(["image", "--download-db-only", "--db-repository", repository])
        .args(["--no-progress", "--skip-version-check", "--disable-telemetry"])
        .deadline(DOWNLOAD_DEADLINE)
}

fn unavailable(why: &str) -> StepError {
    StepError::not_looked(
        format!("Trivy's database cannot be downloaded ({why})"),
        "let this machine reach one of them, name a mirror, or add `.or_offline(\"ci/advisories\")`",
    )
}

/// Why a download failed, in one line. Being cancelled is no reason to try something else.
fn reason(error: StepError) -> Result<String, StepError> {
    match error {
        StepError::Transient { error, .. } => reason(*error),
        StepError::Process(ProcessError::Exited { stderr, exit, .. }) => {
            let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
            Ok(last.map_or_else(|| exit.to_string(), |line| printable(line.trim_start_matches([' ', '\t', '*']))))
        }
        StepError::Process(ProcessError::TimedOut { deadline, .. }) => {
            Ok(format!("not done after {} s", deadline.as_secs()))
        }
        error => Err(error),
    }
}

fn read_lists(cx: &Context, folder: &Utf8Path) -> Result<Vec<AdvisoryList>, StepError> {
    let path = cx.path(folder);
    let reading = |error| StepError::io("reading", path.clone())(error);
    let mut files = Vec::new();
    for entry in path.read_dir_utf8().map_err(reading)? {
        let file = entry.map_err(reading)?.into_path();
        if file.extension() == Some("json") {
            files.push(file);
        }
    }
    files.sort();
    let mut lists = Vec::new();
    for file in files {
        let metadata = fs::metadata(&file).map_err(StepError::io("reading", &file))?;
        let place = || Location::file(cx.relative(&file));
        let unreadable = |problem: String| ReadError::new("the list of advisories", problem).at(place());
        if !metadata.is_file() {
            return Err(unreadable("it is not a file".to_owned()).into());
        }
        if metadata.len() > ADVISORIES_BYTES_MAX {
            let size = metadata.len();
            let problem = format!("it has {size} bytes, more than the {ADVISORIES_BYTES_MAX} that are read");
            return Err(unreadable(problem).into());
        }
        cx.relies_on_file(&file);
        let bytes = files::read(&file, ADVISORIES_BYTES_MAX).map_err(StepError::io("reading", &file))?;
        let list = AdvisoryList::from_json(&bytes).map_err(|error| {
            ReadError::new("the list of advisories", printable(&error.to_string()))
                .at(place())
                .help("restore the file, or refresh it as the README beside it says")
        })?;
        lists.push(list);
    }
    if !lists.iter().any(|list| list.knows(CANARY.package, CANARY.id)) {
        return Err(StepError::not_looked(
            format!(
                "no list of advisories in {folder} knows {} in {}, which every list of PyPI's has",
                CANARY.id, CANARY.package
            ),
            "restore the files, or refresh them as the README beside them says",
        ));
    }
    Ok(lists)
}

fn told(database: VulnerabilityDatabase, way: &str) -> Outcome<VulnerabilityDatabase> {
    let updated_at = database.updated_at.to_string();
    let sha256 = database.sha256.clone();
    let headline = match &database.origin {
        DatabaseOrigin::Official { .. } => database.to_string(),
        DatabaseOrigin::Offline { as_of, advisories, .. } => format!("offline, of {as_of}, {advisories} advisories"),
    };
    let text = database.to_string();
    let origin = database.origin.clone();
    let outcome = Outcome::of(database)
        .fact("database", text)
        .fact("way", way)
        .fact("updated_at", updated_at)
        .fact("sha256", sha256)
        .headline(headline);
    match origin {
        DatabaseOrigin::Official { repository } => outcome.fact("repository", repository),
        DatabaseOrigin::Offline { advisories, .. } => outcome.fact("advisories", advisories),
    }
}

fn sha256(path: &Utf8Path) -> Result<String, StepError> {
    Ok(hex(&files::sha256(path).map_err(StepError::io("reading", path))?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
