use std::fs;

use camino::Utf8PathBuf;

use super::builder::{Checked, LoadTestBuilder};
use super::judge::{self, JudgedRule, LoadTestCode};
use crate::docker::{Container, ContainerSpec, ImageUnderTest, docker_tool};
use crate::load::{LoadError, Measurement, Target, open_loop};
use crate::model::{Finding, Judged, Subject};
use crate::process::{Invocation, ToolRequirement};
use crate::step::{Author, Claims, Context, Outcome, Seal, Step, StepError, proof};

/// Starts an image, sends it requests at a fixed rate and judges what its users would wait.
///
/// Latency counts from the moment a request was *planned*, so a server that stalls cannot hide behind a generator that waits for it;
/// see [`crate::load`]. It runs alone: nothing else is scheduled while it measures. When the generator itself was late or could not
/// hold the rate, the result is an error, not a pass and not a failure.
///
/// ```
/// use std::time::Duration;
/// use cicd_core::steps::LoadTest;
///
/// let load = LoadTest::get("/healthcheck")
///     .rate(200.0)
///     .during(Duration::from_secs(15))
///     .threshold("p(99)<100")
///     .threshold("error_rate<0.1%")
///     .build()?;
/// # Ok::<(), cicd_core::steps::InvalidLoadTest>(())
/// ```
#[derive(Debug, Clone)]
pub struct LoadTest {
    pub(super) checked: Checked,
    pub(super) container: ContainerSpec,
}

proof! {
    /// What a load test measured, and of which image.
    pub struct LoadReport("load test") {
        /// The image's id.
        image: String => &str,
        /// The path that was asked for.
        path: String => &str,
        /// Every rule and what was measured.
        rules: Vec<JudgedRule> => &[JudgedRule],
        /// Everything that was measured.
        measurement: Measurement => &Measurement,
    }
}

impl Judged for LoadReport {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}

impl LoadTest {
    /// `GET path`, to be described further; end with [`build`](LoadTestBuilder::build) or [`against`](LoadTestBuilder::against).
    #[must_use]
    pub fn get(path: impl Into<String>) -> LoadTestBuilder {
        LoadTestBuilder::get(path)
    }
}

impl Step for LoadTest {
    type Input = ImageUnderTest;
    type Output = LoadReport;

    fn run(&self, cx: &Context, image: ImageUnderTest) -> Result<Outcome<LoadReport>, StepError> {
        cx.require(&docker_tool())?;
        cx.progress(format!("starting {} and waiting until it is ready", image.name));
        let container = self.container.clone().image(&image.id).start(cx)?;
        let measured = measure(cx, &self.checked, container.address());
        let ended = ended(&container)?;
        let log = container.log_path().to_owned();
        container.remove()?;
        let measurement = measured?;
        let (rules, mut findings) = judge::judge(&self.checked, &measurement)?;
        findings.extend(ended);
        let facts = judge::facts(&measurement);
        let report = LoadReport { image: image.id, path: self.checked.path.clone(), rules, measurement };
        let mut outcome = Outcome::of(report).findings(findings);
        outcome.facts = facts;
        outcome.attachments = vec![attachment(cx), log];
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.container.invocation("<name>", "<run>", "<owner>")]
    }

    fn claims(&self) -> Claims {
        Claims::quiet_machine()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// Sends the load and writes what was measured to `load.json`, also when it cannot be judged.
pub(super) fn measure(
    cx: &Context,
    checked: &Checked,
    address: std::net::SocketAddr,
) -> Result<Measurement, StepError> {
    let target = Target::get(address, &checked.path).and_then(|target| target.expect_status(checked.status));
    let target = target.map_err(|error| judge::error(cx, error.into()))?;
    let seconds = (checked.plan.warm_up + checked.plan.during).as_secs_f32();
    cx.progress(format!("{} requests/s for {seconds} s", checked.plan.rate_per_second));
    let result = open_loop(&target, &checked.plan, &|| cx.shared().cancel.is_cancelled());
    if let Ok(measurement) = &result {
        write(cx, measurement)?;
    } else if let Err(LoadError::Invalid { measurement, .. }) = &result {
        write(cx, measurement)?;
    }
    result.map_err(|error| judge::error(cx, error))
}

/// Where the percentiles are kept.
pub(super) fn attachment(cx: &Context) -> Utf8PathBuf {
    cx.dir().join("load.json")
}

fn write(cx: &Context, measurement: &Measurement) -> Result<(), StepError> {
    let path = attachment(cx);
    let text = serde_json::to_string_pretty(measurement).map_err(std::io::Error::from);
    text.and_then(|text| fs::write(&path, text + "\n")).map_err(StepError::io("writing", &path))
}

/// Whether the container ended or was started again while it was measured.
fn ended(container: &Container) -> Result<Option<Finding>, StepError> {
    let inspect = container.inspect()?;
    if inspect.state.running && inspect.restarts == 0 {
        return Ok(None);
    }
    let message = match inspect.restarts {
        0 => format!("the container {} under load", inspect.state.summary()),
        count => format!("the container was started again {count} times under load"),
    };
    let help = format!("the last lines of its log:\n{}", container.last_lines());
    Ok(Some(Finding::new(LoadTestCode::Ended, message).help(help)))
}
