//! The whole policy of this repository, readable top to bottom.

use std::error::Error;
use std::time::Duration;

use cicd_core::docker::BuildRecipe;
use cicd_core::formats::Limits;
use cicd_core::formats::file_kind::FileKind;
use cicd_core::pipeline::Pipeline;
use cicd_core::policy::{InvalidJustification, Justification, Policy};
use cicd_core::step::Workspace;
use cicd_core::steps::{
    CodeOwners, CoverageGate, Dast, DependencyAudit, DevBuild, DockerBuild, ExceptionLint, Gitleaks, Hadolint, IacScan,
    LicenseCheck, LoadTest, LockedLicenses, PinnedBase, Push, Pytest, PythonEnv, Readiness, RuffFormat, RuffLint,
    RustFormat, Sast, Sbom, SecretScan, SourceCheck, TrivyDatabase, TrivyScan, WorkflowLint,
};

/// Python that the library hands to an interpreter.
const HELPERS: &str = "cicd-core/src";
/// Recorded inputs and outputs of tools.
const RECORDED: &str = "cicd-core/tests/data";
/// A compressed file that is among them.
const WHEEL: &str = "cicd-core/tests/data/python/tiny-1.0-py3-none-any.whl";
/// Rules for Python, each with an example that it must find.
const RULES: &str = "ci/semgrep";
/// The packages that are shipped.
const LOCK: &str = "flask-app/requirements.txt";
/// Those that may be.
const APPROVED: &str = "ci/approved_dependencies.csv";
/// Vulnerabilities that are accepted for a while.
const IGNORED: &str = "ci/.trivyignore";
/// What looks like a secret and is none.
const EXCEPTIONS: &str = "ci/exceptions.toml";
/// Who has to agree when something changes.
const OWNERS: &str = ".github/CODEOWNERS";
/// Those who may be named there, and may answer for an exception.
const TEAMS: [&str; 2] = ["@cicd-core/security", "@cicd-core/maintainers"];

/// From the Flask application's source to a judged image, and to a registry when that is asked for.
pub(crate) fn flask_app(workspace: &Workspace) -> Result<Pipeline, Box<dyn Error>> {
    let mut ci = Pipeline::new("flask-app");
    let app = "flask-app";
    let limits = workspace.limits("ci/policy.toml")?;
    ci.policy(policy(limits));

    // What is judged: the files of the commit, and nothing beside them.
    let source = ci.add("source", sources()?, ());

    // How it is written.
    let format = ci.add("format", python_format()?, ());
    let rust_format = ci.add("rust-format", RustFormat::edition("2024"), ());
    let lint = RuffLint::in_dir(app).leaving_out(RECORDED, recorded()?).leaving_out(HELPERS, helpers()?);
    let lint = lint.leaving_out(RULES, examples()?);
    let lint = ci.add("lint", lint, ());
    let dockerfiles = ["flask-app/deps.Dockerfile", "flask-app/Dockerfile"];
    let docker_lint = Hadolint::files(dockerfiles).leaving_out(RECORDED, recorded()?);
    let docker_lint = ci.add("dockerfile-lint", docker_lint, ());
    let workflows = ci.add("workflow-lint", WorkflowLint::new(), ());
    let iac = IacScan::checkov().leaving_out(RECORDED, recorded()?);
    let iac = ci.add("iac-scan", iac, ());
    let sast = Sast::bandit(".")
        .leaving_out(RECORDED, recorded()?)
        .leaving_out(RULES, examples()?)
        .leaving_out("flask-app/tests", tests()?)
        .leaving_out("flask-app/tests_browser", tests()?);
    let sast = ci.add("sast", sast, ());
    let own_rules = ci.add("sast-rules", Sast::semgrep(RULES), &sast);

    // What must not be in it, and who has to agree when it changes.
    let exceptions = ci.add("exception-lint", exceptions(), ());
    let secrets = ci.add("secret-scan", secrets()?, ());
    let leaks = Gitleaks::new().leaving_out(WHEEL, wheel()?).exceptions_file(EXCEPTIONS);
    let leaks = ci.add("secret-scan-gitleaks", leaks, ());
    let owners = ci.add("code-owners", owners(), ());
    let locked = ci.add("locked-licenses", LockedLicenses::approved(APPROVED, LOCK), ());

    // What it does.
    let python = ci.add("python-env", PythonEnv::locked("flask-app/requirements-dev.txt"), ());
    let pytest = Pytest::in_dir(app).with_coverage("myapplication").at_least(139);
    let browser = "they drive a real browser against a running instance, which no job of ours offers yet";
    let browser = Justification::new(browser, "@cicd-core/maintainers", "2027-05-15")?;
    let pytest = pytest.leaving_out("flask-app/tests_browser", browser);
    let tests = ci.add("unit-tests", pytest, &python);
    let gate = CoverageGate::lines(100.0)?.branches(100.0)?.sources("flask-app/myapplication");
    let coverage = ci.add("coverage", gate, &tests);

    // Nothing is built or started on a machine that is not fit for it.
    let ready = ci.add("readiness", Readiness::new().containers_max(limits.containers_max), ());

    // What is shipped: built without a cache, on a base pinned by digest.
    let base = ci.add("base-image", PinnedBase::from_file("ci/base-image/base.toml"), ());
    ci.after(&base, &ready);
    let dependencies = ci.add("dependencies", DockerBuild::recipe(dependency_recipe()).intermediate(), &base);
    let image = ci.add("image", DockerBuild::recipe(application_recipe()), &dependencies);

    // What is in it, and how it behaves.
    let database = ci.add("vulnerability-db", TrivyDatabase::official().or_offline("ci/advisories"), ());
    let trivy = TrivyScan::new().ignore_file(IGNORED).built_from(dockerfiles).locked_requirements(LOCK);
    let scanned = ci.add("trivy", trivy, (&image, &database));
    let audit = DependencyAudit::locked(LOCK).ignore_file(IGNORED);
    let audited = ci.add("dependency-audit", audit, &scanned);
    let debian = "Debian's main archive is free software alone, and the base is approved as a whole";
    let debian = Justification::new(debian, "@cicd-core/security", "2027-05-15")?;
    let approved = LicenseCheck::approved(APPROVED).locked_requirements(LOCK).accept_unjudged("deb", debian);
    let licensed = ci.add("licenses", approved, &image);
    let listed = ci.add("sbom", Sbom::new(), &image);

    let dast = Dast::on(["/healthcheck", "/status", "/", "/static/style.css"])
        .form("/", ["author", "text"])
        .exceptions_file(EXCEPTIONS)
        .build()?;
    let attacked = ci.add("dast", dast, &image);

    let load = LoadTest::get("/healthcheck")
        .rate(200.0)
        .warm_up(Duration::from_secs(2))
        .during(Duration::from_secs(10))
        .threshold("p(95)<50")
        .threshold("p(99)<100")
        .threshold("error_rate<0.1%")
        .build()?;
    let loaded = ci.add("load", load, &image);

    // What may leave: an image that every one of these has looked at, in this run.
    let written = (&format, &rust_format, &lint, &docker_lint, &workflows, &iac, &sast, &own_rules);
    let allowed = (&source, &exceptions, &secrets, &leaks, &owners, &locked);
    let shipped = (&scanned, &audited, &licensed, &listed, &attacked, &loaded);
    let cleared = ci.clear(&image, (written, allowed, &tests, &coverage, shipped));
    ci.add("push", Push::to("127.0.0.1:5000/flask-app"), &cleared);
    Ok(ci)
}

/// Before each commit, on what is staged: what can be said within two seconds. All of it is in `flask_app` too.
pub(crate) fn before_commit(workspace: &Workspace) -> Result<Pipeline, Box<dyn Error>> {
    let mut hook = Pipeline::new("before-commit");
    hook.policy(policy(workspace.limits("ci/policy.toml")?));
    hook.add("format", python_format()?, ());
    hook.add("rust-format", RustFormat::edition("2024").of_last_commit(), ());
    hook.add("exception-lint", exceptions(), ());
    hook.add("secret-scan", secrets()?.of_last_commit(), ());
    hook.add("code-owners", owners(), ());
    hook.add("locked-licenses", LockedLicenses::approved(APPROVED, LOCK), ());
    Ok(hook)
}

/// The inner loop: the same images with the builder's cache. Nothing of it can be cleared or pushed.
pub(crate) fn dev(_: &Workspace) -> Result<Pipeline, Box<dyn Error>> {
    let mut dev = Pipeline::new("dev");
    let base = dev.add("base-image", PinnedBase::from_file("ci/base-image/base.toml"), ());
    let dependencies = dev.add("dependencies", DevBuild::new(dependency_recipe()), &base);
    dev.add("image", DevBuild::new(application_recipe()), &dependencies);
    Ok(dev)
}

/// Why recorded inputs of tools are not judged.
fn recorded() -> Result<Justification, InvalidJustification> {
    let reason = "recordings of what the tools must refuse; nothing is built from them or runs them";
    Justification::new(reason, "@cicd-core/security", "2027-03-31")
}

/// Why the library's Python is not linted with the application's rules.
fn helpers() -> Result<Justification, InvalidJustification> {
    let reason =
        "it has to run on every Python that a project may have; bandit searches it, and tests of the library run it";
    Justification::new(reason, "@cicd-core/maintainers", "2027-03-31")
}

/// The files of the commit; what is written for a shell or another CI system is read by people alone.
fn sources() -> Result<SourceCheck, InvalidJustification> {
    let reason = "a few lines each that start cargo, record reports or are measured; none is shipped";
    let scripts = Justification::new(reason, "@cicd-core/maintainers", "2027-03-31")?;
    let reason = "examples of a few lines that only call `cargo xtask ci`, as a page of the guide says";
    let examples = Justification::new(reason, "@cicd-core/maintainers", "2027-03-31")?;
    Ok(SourceCheck::new().accept_unjudged(FileKind::Shell, scripts).accept_unjudged(FileKind::OtherCi, examples))
}

/// Why the examples of rules are not searched.
fn examples() -> Result<Justification, InvalidJustification> {
    let reason = "what the rules beside them must find, which sast-rules proves; nothing runs them";
    Justification::new(reason, "@cicd-core/security", "2027-03-31")
}

/// The application's Python, as ruff formats it.
fn python_format() -> Result<RuffFormat, InvalidJustification> {
    let format = RuffFormat::check("flask-app").leaving_out(RECORDED, recorded()?).leaving_out(HELPERS, helpers()?);
    Ok(format.leaving_out(RULES, examples()?))
}

/// Why tests are not searched for insecure code.
fn tests() -> Result<Justification, InvalidJustification> {
    let reason = "tests assert, and keep passwords that open nothing; they are not in the image";
    Justification::new(reason, "@cicd-core/security", "2027-03-31")
}

/// What every exception is held to, wherever it is written down.
fn policy(limits: Limits) -> Policy {
    Policy::default().expiry(limits.expiry).owners(TEAMS)
}

fn exceptions() -> ExceptionLint {
    ExceptionLint::files([IGNORED, EXCEPTIONS])
}

fn secrets() -> Result<SecretScan, InvalidJustification> {
    Ok(SecretScan::new().leaving_out(WHEEL, wheel()?).exceptions_file(EXCEPTIONS))
}

/// Why the content of a wheel is not searched.
fn wheel() -> Result<Justification, InvalidJustification> {
    let reason = "a wheel of four lines, made for the tests of the library, which installs it";
    Justification::new(reason, "@cicd-core/security", "2027-03-31")
}

fn owners() -> CodeOwners {
    let sensitive = ["ci/**", ".github/**", "xtask/**", "**/Dockerfile", "**/*.Dockerfile", "flask-app/requirements*"];
    CodeOwners::file(OWNERS)
        .sensitive(sensitive, "@cicd-core/security")
        .known_owners(TEAMS)
        .exceptions_in([IGNORED, EXCEPTIONS])
}

/// Python and the locked packages; it changes with them, not with the application.
fn dependency_recipe() -> BuildRecipe {
    BuildRecipe::context("flask-app")
        .dockerfile("flask-app/deps.Dockerfile")
        .image_name("flask-app-dependencies")
        .base_arg("BASE_IMAGE")
        .ca_bundle_secret("ca")
}

/// The application on top of them.
fn application_recipe() -> BuildRecipe {
    BuildRecipe::context("flask-app").base_arg("DEPS_IMAGE").revision_arg("REVISION")
}
