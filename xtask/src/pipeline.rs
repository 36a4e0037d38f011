//! The whole policy of this repository, readable top to bottom.

use std::error::Error;

use cicd_core::pipeline::Pipeline;
use cicd_core::step::Workspace;
use cicd_core::steps::{
    CoverageGate, DockerBuild, Hadolint, LicenseCheck, PinnedBase, Push, Pytest, PythonEnv, RuffFormat, RuffLint,
    TrivyDatabase, TrivyScan,
};

/// From the Flask application's source to a judged image, and to a registry when that is asked for.
pub(crate) fn flask_app(_: &Workspace) -> Result<Pipeline, Box<dyn Error>> {
    let mut ci = Pipeline::new("flask-app");
    let app = "flask-app";
    let lock = "flask-app/requirements.txt";

    // How it is written.
    let format = ci.add("format", RuffFormat::check(app), ());
    let lint = ci.add("lint", RuffLint::in_dir(app), ());
    let dockerfiles = ["flask-app/deps.Dockerfile", "flask-app/Dockerfile"];
    let docker_lint = ci.add("dockerfile-lint", Hadolint::files(dockerfiles), ());

    // What it does.
    let python = ci.add("python-env", PythonEnv::locked("flask-app/requirements-dev.txt"), ());
    let pytest = Pytest::in_dir(app).with_coverage("myapplication").at_least(139);
    let tests = ci.add("unit-tests", pytest, &python);
    let gate = CoverageGate::lines(100.0)?.branches(100.0)?.sources("flask-app/myapplication");
    let coverage = ci.add("coverage", gate, &tests);

    // What is shipped: built without a cache, on a base pinned by digest.
    let base = ci.add("base-image", PinnedBase::from_file("ci/base-image/base.toml"), ());
    let dependencies = DockerBuild::context(app)
        .dockerfile("flask-app/deps.Dockerfile")
        .image_name("flask-app-dependencies")
        .base_arg("BASE_IMAGE")
        .ca_bundle_secret("ca")
        .intermediate();
    let dependencies = ci.add("dependencies", dependencies, &base);
    let application = DockerBuild::context(app).base_arg("DEPS_IMAGE").revision_arg("REVISION");
    let image = ci.add("image", application, &dependencies);

    // What is in it, and how it behaves.
    let database = ci.add("vulnerability-db", TrivyDatabase::official().or_offline("ci/advisories"), ());
    let trivy = TrivyScan::new().ignore_file("ci/.trivyignore").locked_requirements(lock);
    let scanned = ci.add("trivy", trivy, (&image, &database));
    let approved = LicenseCheck::approved("ci/approved_dependencies.csv").locked_requirements(lock);
    let licensed = ci.add("licenses", approved, &image);

    // What may leave: an image that every one of these has looked at, in this run.
    let gates = (&lint, &docker_lint, &tests, &coverage, &scanned, &licensed);
    let cleared = ci.clear(&image, (&format, gates));
    ci.add("push", Push::to("127.0.0.1:5000/flask-app"), &cleared);
    Ok(ci)
}
