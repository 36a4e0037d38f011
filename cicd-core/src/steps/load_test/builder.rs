use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::Location as SourceLocation;
use std::time::Duration;

use super::{LoadAgainst, LoadTest};
use crate::docker::ContainerSpec;
use crate::formats::{Measurable, Threshold};
use crate::load::{OpenPlan, Target};
use crate::model::Location;
use crate::policy::Justification;

/// The port that containers of web applications listen on by custom.
const PORT_DEFAULT: u16 = 8080;
/// Long enough to see more than one garbage collection, short enough to wait for.
const DURING_DEFAULT: Duration = Duration::from_secs(15);

/// A load test as it is written down; [`build`](Self::build) checks it as a whole.
#[derive(Debug, Clone)]
pub struct LoadTestBuilder {
    path: String,
    status: u16,
    plan: OpenPlan,
    rules: Vec<String>,
    port: u16,
    env: Vec<(String, String)>,
    memory_mib: Option<u32>,
    ready_within: Option<Duration>,
    remote: Option<(Justification, Location)>,
}

/// Everything that is wrong with a load test as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLoadTest {
    /// One line each.
    pub problems: Vec<String>,
}

impl fmt::Display for InvalidLoadTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this load test cannot be run: {}", self.problems.join("\n  "))
    }
}

impl std::error::Error for InvalidLoadTest {}

/// A load test whose every part has been checked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) plan: OpenPlan,
    pub(super) rules: Vec<Threshold>,
}

impl LoadTestBuilder {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            status: 200,
            // A load test without a rate is refused: no number fits every service.
            plan: OpenPlan::new(f64::NAN, DURING_DEFAULT),
            rules: Vec::new(),
            port: PORT_DEFAULT,
            env: Vec::new(),
            memory_mib: None,
            ready_within: None,
            remote: None,
        }
    }

    /// Sets the arrival rate, in requests a second. It has to be set.
    #[must_use]
    pub fn rate(mut self, per_second: f64) -> Self {
        self.plan.rate_per_second = per_second;
        self
    }

    /// Sets how long is measured; 15 s without it.
    #[must_use]
    pub fn during(mut self, time: Duration) -> Self {
        self.plan.during = time;
        self
    }

    /// Sets how long requests are sent before that without being counted; 2 s without it.
    #[must_use]
    pub fn warm_up(mut self, time: Duration) -> Self {
        self.plan.warm_up = time;
        self
    }

    /// Sets when a request is given up, counted from its planned moment; 10 s without it.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.plan.timeout = time;
        self
    }

    /// Sets how many connections may be open at once; 100 without it.
    #[must_use]
    pub fn connections_max(mut self, count: usize) -> Self {
        self.plan.connections_max = count;
        self
    }

    /// Adds a rule in k6's grammar, such as `p(99)<100`, `error_rate<0.1%` or `rate>=195`; see [`Threshold`]. At least one is
    /// needed. Without a rule about `error_rate` no request may fail.
    #[must_use]
    pub fn threshold(mut self, rule: impl Into<String>) -> Self {
        self.rules.push(rule.into());
        self
    }

    /// Sets the status that every answer must have; 200 without it. Redirects are not followed.
    #[must_use]
    pub fn expect_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets the port that the container listens on; 8080 without it.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets a variable for the container. It is shown in the log; this is not for secrets.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets how much memory the container may use, in MiB; 512 without it.
    #[must_use]
    pub fn memory_mib(mut self, memory: u32) -> Self {
        self.memory_mib = Some(memory);
        self
    }

    /// Sets how long the container may take until it is ready; 60 s without it.
    #[must_use]
    pub fn ready_within(mut self, time: Duration) -> Self {
        self.ready_within = Some(time);
        self
    }

    /// Allows an address outside this machine for [`against`](Self::against). Ask its owner first: this is load.
    #[must_use]
    #[track_caller]
    pub fn allow_remote(mut self, justification: Justification) -> Self {
        let caller = SourceLocation::caller();
        self.remote = Some((justification, Location::line(caller.file(), caller.line())));
        self
    }

    /// Checks everything and makes the step that starts an image and measures it.
    ///
    /// # Errors
    /// Every rule that cannot be read, can never pass or can never fail, and every number that makes no run.
    pub fn build(self) -> Result<LoadTest, InvalidLoadTest> {
        let mut problems = Vec::new();
        if self.port == 0 {
            problems.push("port 0 is no port: name the one that the container listens on".to_owned());
        }
        for (name, _) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.push(format!("{name:?} cannot name a variable"));
            }
        }
        if self.remote.is_some() {
            problems.push("allow_remote is for load against an address; an image runs on this machine".to_owned());
        }
        // Placeholders: the image and the address are known when the step runs.
        let checked = self.check(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), problems)?;
        let mut container = ContainerSpec::new("<image id>", self.port).ready_when(&checked.path, checked.status);
        for (name, value) in self.env {
            container = container.env(name, value);
        }
        if let Some(memory) = self.memory_mib {
            container = container.memory_mib(memory);
        }
        if let Some(time) = self.ready_within {
            container = container.ready_within(time);
        }
        Ok(LoadTest { checked, container })
    }

    /// Checks everything and makes a step that measures a server which runs already, at an address such as `127.0.0.1:8080`. What it
    /// gives is a measurement and no gate, since nobody knows which image or commit answered.
    ///
    /// # Errors
    /// As [`build`](Self::build); and an address outside this machine that [`allow_remote`](Self::allow_remote) does not allow.
    pub fn against(self, address: &str) -> Result<LoadAgainst, InvalidLoadTest> {
        let mut problems = Vec::new();
        let address: Option<SocketAddr> = match address.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => {
                problems.push("port 0 is no port".to_owned());
                None
            }
            Ok(address) => Some(address),
            Err(_) => {
                problems.push(format!(
                    "{address:?} is not an address: write an IP address and a port, such as 127.0.0.1:8080"
                ));
                None
            }
        };
        if let Some(outside) = address.filter(|it| !it.ip().is_loopback())
            && self.remote.is_none()
        {
            problems.push(format!("{outside} is not on this machine: allow it with allow_remote and say why"));
        }
        if address.is_some_and(|it| it.ip().is_loopback()) && self.remote.is_some() {
            problems.push("allow_remote allows nothing: the address is on this machine".to_owned());
        }
        let checked = self.check(address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))), problems)?;
        let address = address.ok_or_else(|| InvalidLoadTest { problems: vec!["no address".to_owned()] })?;
        Ok(LoadAgainst { checked, address, remote: self.remote })
    }

    fn check(&self, address: SocketAddr, mut problems: Vec<String>) -> Result<Checked, InvalidLoadTest> {
        let target = Target::get(address, &self.path).and_then(|target| target.expect_status(self.status));
        problems.extend(target.err().map(|error| error.to_string()));
        problems.extend(self.plan.check().err().map(|error| error.to_string()));
        if self.rules.is_empty() {
            problems.push("nothing is required of it: add a threshold such as p(99)<100".to_owned());
        }
        let reach = Measurable {
            rate_per_second: self.plan.rate_per_second,
            timeout_ms: self.plan.timeout.as_secs_f64() * 1e3,
        };
        let mut rules: Vec<Threshold> = Vec::new();
        for rule in &self.rules {
            let read = rule.parse::<Threshold>().and_then(|rule| rule.check(reach).map(|()| rule));
            match read {
                Ok(rule) => rules.push(rule),
                Err(error) => problems.push(error.to_string()),
            }
        }
        if !problems.is_empty() {
            return Err(InvalidLoadTest { problems });
        }
        Ok(Checked { path: self.path.clone(), status: self.status, plan: self.plan.clone(), rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> LoadTestBuilder {
        LoadTest::get("/healthcheck")
            .rate(200.0)
            .threshold("p(99)<100")
            .threshold("error_rate<0.1%")
            .threshold("rate>=195")
    }

    fn problems(builder: LoadTestBuilder) -> Vec<String> {
        builder.build().expect_err("must be refused").problems
    }

    #[test]
    fn what_cannot_be_run_is_refused_when_the_step_is_built() {
        good().build().expect("a load test");
        for (builder, part) in [
            (LoadTest::get("/").threshold("p(99)<100"), "is not a rate"),
            (good().rate(0.0), "is not a rate"),
            (good().rate(f64::NAN), "is not a rate"),
            (good().rate(1e9), "is not a rate"),
            (LoadTest::get("/").rate(1.0), "add a threshold"),
            (good().threshold("p(95)<0"), "never pass"),
            (good().threshold("rate>=201"), "never pass"),
            (good().threshold("error_rate<0%"), "never pass"),
            (good().threshold("p(95)<20000"), "never fail"),
            (good().threshold("p95<1"), "write `p(95)`"),
            (good().during(Duration::ZERO), "no request"),
            (good().port(0), "port 0"),
            (good().env("A=B", "c"), "cannot name a variable"),
            (good().expect_status(7), "not an HTTP status"),
            (LoadTest::get("healthcheck").rate(1.0).threshold("max<5"), "not a path"),
        ] {
            let problems = problems(builder);
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let all = problems(good().rate(-1.0).port(0).threshold("p95<1").threshold("nonsense"));
        assert!(all.len() >= 4, "{all:?}");
    }

    #[test]
    fn load_stays_on_this_machine_unless_somebody_answers_for_it() {
        good().against("127.0.0.1:80").expect("loopback");
        good().against("[::1]:80").expect("loopback");
        let allowed = || {
            Justification::new("the staging environment belongs to this team", "@org/team", "2027-01-01")
                .expect("valid")
        };
        assert!(good().against("192.0.2.1:80").is_err());
        good().allow_remote(allowed()).against("192.0.2.1:80").expect("allowed");
        for (builder, address) in
            [(good().allow_remote(allowed()), "127.0.0.1:80"), (good(), "localhost:80"), (good(), "127.0.0.1:0")]
        {
            assert!(builder.against(address).is_err(), "{address}");
        }
        assert!(good().allow_remote(allowed()).build().is_err());
    }
}
