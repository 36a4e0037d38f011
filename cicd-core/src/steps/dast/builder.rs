use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location as Caller;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::probe::{Form, Plan};
use super::{Dast, DastCode};
use crate::docker::ContainerSpec;
use crate::model::{Location, Target};
use crate::policy::{Exception, Justification, Scope};

/// The port that containers of web applications listen on by custom.
const PORT_DEFAULT: u16 = 8080;
/// What is put into a field that no value was named for.
const FIELD_DEFAULT: &str = "dast";
/// Methods that need no declaration.
const METHODS_HARMLESS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// The checks as they are written down; [`build`](Self::build) checks them as a whole.
#[derive(Debug, Clone)]
pub struct DastBuilder {
    routes: Vec<String>,
    forms: Vec<Form>,
    methods: BTreeMap<String, BTreeSet<String>>,
    behind_tls: bool,
    port: u16,
    env: Vec<(String, String)>,
    ready_within: Option<Duration>,
    allowed: Vec<Exception>,
    exceptions_file: Option<Utf8PathBuf>,
    place: Location,
}

/// A field of a form and a value that the form accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// A value that passes; `dast` where none is named.
    pub value: String,
}

impl From<&str> for Field {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), value: FIELD_DEFAULT.to_owned() }
    }
}

impl From<(&str, &str)> for Field {
    fn from((name, value): (&str, &str)) -> Self {
        Self { name: name.to_owned(), value: value.to_owned() }
    }
}

/// Everything that is wrong with the checks as they are written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDast {
    /// One line each.
    pub problems: Vec<String>,
}

impl fmt::Display for InvalidDast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "these HTTP checks cannot be run: {}", self.problems.join("\n  "))
    }
}

impl std::error::Error for InvalidDast {}

impl DastBuilder {
    #[track_caller]
    pub(super) fn on(routes: Vec<String>) -> Self {
        let caller = Caller::caller();
        Self {
            routes,
            forms: Vec::new(),
            methods: BTreeMap::new(),
            behind_tls: false,
            port: PORT_DEFAULT,
            env: Vec::new(),
            ready_within: None,
            allowed: Vec::new(),
            exceptions_file: None,
            place: Location::line(caller.file(), caller.line()),
        }
    }

    /// Adds a form that is sent with POST: its path and fields, as names or as pairs of a name and a value that it accepts.
    #[must_use]
    pub fn form<F: Into<Field>>(mut self, path: impl Into<String>, fields: impl IntoIterator<Item = F>) -> Self {
        self.forms.push(Form { path: path.into(), fields: fields.into_iter().map(Into::into).collect() });
        self
    }

    /// Declares methods that a route takes beside GET, and POST of a form: they are not asked for, and no finding.
    #[must_use]
    pub fn methods<'a>(mut self, path: impl Into<String>, methods: impl IntoIterator<Item = &'a str>) -> Self {
        self.methods.entry(path.into()).or_default().extend(methods.into_iter().map(str::to_owned));
        self
    }

    /// The application is reached through TLS: cookies must be `Secure`, and Strict-Transport-Security is required.
    #[must_use]
    pub fn behind_tls(mut self) -> Self {
        self.behind_tls = true;
        self
    }

    /// Allows one kind of finding on one route.
    #[must_use]
    #[track_caller]
    pub fn allow(mut self, code: DastCode, route: impl Into<String>, because: Justification) -> Self {
        self.allowed.push(Exception::in_pipeline(code, Scope::target(Target::route(route)), because));
        self
    }

    /// The file with exceptions, whose `[[dast]]` entries count here; see [`read_exceptions`](crate::formats::read_exceptions).
    #[must_use]
    pub fn exceptions_file(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.exceptions_file = Some(path.into());
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

    /// Sets how long the container may take until it is ready; 60 s without it.
    #[must_use]
    pub fn ready_within(mut self, time: Duration) -> Self {
        self.ready_within = Some(time);
        self
    }

    /// Checks everything and makes the step.
    ///
    /// # Errors
    /// No route, and every route, form or method that no request can be made of.
    pub fn build(self) -> Result<Dast, InvalidDast> {
        let mut problems = Vec::new();
        let Some(first) = self.routes.first() else {
            return Err(InvalidDast { problems: vec!["no route is named: nothing would be looked at".to_owned()] });
        };
        let forms = self.forms.iter().map(|form| &form.path);
        for path in self.routes.iter().chain(forms) {
            let usable = path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'#'));
            if !path.starts_with('/') || !usable {
                problems.push(format!("{path:?} is not a path: begin with / and write it as it stands in a URL"));
            }
        }
        let unique: BTreeSet<_> = self.routes.iter().collect();
        if unique.len() != self.routes.len() {
            problems.push("a route is named twice".to_owned());
        }
        for form in self.forms.iter().filter(|form| form.fields.is_empty()) {
            problems.push(format!("the form {} has no fields: nothing would be sent", form.path));
        }
        for (path, methods) in &self.methods {
            if !self.routes.contains(path) && !self.forms.iter().any(|form| form.path == *path) {
                problems.push(format!("{path} of .methods(…) is neither a route nor a form"));
            }
            for method in methods {
                if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
                    problems.push(format!("{method:?} is not a method: write it in capitals, such as DELETE"));
                } else if METHODS_HARMLESS.contains(&method.as_str()) {
                    problems.push(format!("{method} needs no declaration"));
                }
            }
        }
        if self.port == 0 {
            problems.push("port 0 is no port: name the one that the container listens on".to_owned());
        }
        for (name, _) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.push(format!("{name:?} cannot name a variable"));
            }
        }
        if !problems.is_empty() {
            return Err(InvalidDast { problems });
        }
        let mut container = ContainerSpec::new("<image id>", self.port).ready_when(first, 200);
        for (name, value) in self.env {
            container = container.env(name, value);
        }
        if let Some(time) = self.ready_within {
            container = container.ready_within(time);
        }
        let plan = Plan { routes: self.routes, forms: self.forms, methods: self.methods, behind_tls: self.behind_tls };
        Ok(Dast { plan, container, allowed: self.allowed, exceptions_file: self.exceptions_file, place: self.place })
    }
}
