use std::collections::{BTreeMap, BTreeSet};

use super::Field;
use crate::http::{HttpAnswer, HttpRequest};

/// A host that no name server knows, now or later (RFC 2606).
pub(super) const FOREIGN_HOST: &str = "dast.invalid";
/// An origin that nobody allows on purpose.
pub(super) const FOREIGN_ORIGIN: &str = "https://dast.invalid";
/// What comes back as an element where input is not escaped.
pub(super) const MARKER: &str = "<dast-7f3a>";
/// [`MARKER`] after what ends an attribute, as it stands in a URL.
const MARKER_QUERY: &str = "%22%27%3E%3Cdast-7f3a%3E";
const MARKER_FORM: &str = "\"'><dast-7f3a>";
/// A header that only an answer into which it was injected has.
pub(super) const INJECTED_HEADER: &str = "x-dast-7f3a";
/// Names of parameters that say where to go next.
const REDIRECTS: [&str; 10] =
    ["next", "url", "redirect", "redirect_uri", "return", "return_to", "continue", "target", "goto", "dest"];
/// Names of parameters that are shown again, or looked up.
const INPUTS: [&str; 9] = ["q", "query", "search", "name", "message", "error", "id", "page", "lang"];
/// Names of parameters that name files.
const FILES: [&str; 7] = ["file", "path", "filename", "page", "template", "download", "doc"];
/// Eight folders up is more than any image has.
const UP: &str = "../../../../../../../../etc/passwd";
/// Longer than any header of a browser; servers stop at 8 or 16 KiB.
const HEADER_BYTES: usize = 64 << 10;
/// Longer than anybody types into a form.
const FIELD_BYTES: usize = 1 << 20;
/// Values that code which trusts its input stumbles over.
const STRANGE: [&str; 7] = ["%00", "%ff%fe", "%zz", "-1", "99999999999999999999", "%27%22", "%7B%7B7*7%7D%7D"];

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) routes: Vec<String>,
    pub(super) forms: Vec<Form>,
    /// What a path takes beside GET.
    pub(super) methods: BTreeMap<String, BTreeSet<String>>,
    pub(super) behind_tls: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) path: String,
    pub(super) fields: Vec<Field>,
}

/// Why a request is sent; the judgement of its answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What a visitor asks for: 200, or nothing was looked at.
    Route,
    /// What a visitor sends: 2xx or 3xx, or nothing was looked at.
    Form,
    /// Which methods the route says it takes.
    Options,
    /// A method that nobody declared.
    Method,
    Trace,
    /// A page that is not there.
    Missing,
    Strange,
    Redirect,
    Injection,
    Reflection,
    Origin,
    Folder,
    Host,
    Oversized,
    Traversal,
}

impl Purpose {
    /// Closing the connection is an answer to what is not worth one.
    pub(super) fn may_be_hung_up_on(self) -> bool {
        matches!(
            self,
            Self::Oversized
                | Self::Trace
                | Self::Method
                | Self::Strange
                | Self::Traversal
                | Self::Host
                | Self::Injection
        )
    }
}

/// A request, what it is for, and the route that a finding about it is about.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) purpose: Purpose,
    pub(super) route: String,
    pub(super) request: HttpRequest,
}

/// What became of a probe.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) probe: Probe,
    /// None when the server closed the connection without an answer.
    pub(super) answer: Option<HttpAnswer>,
}

impl Plan {
    /// What a path takes beside GET, HEAD and OPTIONS.
    pub(super) fn takes(&self, path: &str, method: &str) -> bool {
        let posts = method == "POST" && self.forms.iter().any(|form| form.path == path);
        posts || self.methods.get(path).is_some_and(|methods| methods.contains(method))
    }

    /// Every request, in the order in which it is sent. The routes come last once more, for what forms have left there.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for route in &self.routes {
            probes.push(get(Purpose::Route, route, route));
            self.route(route, &mut probes);
        }
        for form in &self.forms {
            form.probes(&mut probes);
        }
        for folder in folders(&self.routes) {
            probes.push(get(Purpose::Folder, &folder, &folder));
            let paths = [format!("{folder}{UP}"), format!("{folder}{}", UP.replace("../", "%2e%2e%2f"))];
            probes.extend(paths.iter().map(|path| get(Purpose::Traversal, &folder, path)));
        }
        probes.push(get(Purpose::Missing, "/", "/dast-7f3a-is-not-there"));
        probes.push(get(Purpose::Reflection, "/", &format!("/dast-7f3a/{MARKER_QUERY}")));
        probes.extend(self.routes.iter().map(|route| get(Purpose::Route, route, route)));
        probes
    }

    fn route(&self, route: &str, probes: &mut Vec<Probe>) {
        let mut add = |purpose, request| probes.push(Probe { purpose, route: route.to_owned(), request });
        let ask = |query: &str| page(&with_query(route, query));
        add(Purpose::Options, HttpRequest::new("OPTIONS", route));
        for method in ["TRACE", "TRACK"] {
            add(Purpose::Trace, HttpRequest::new(method, route).header("x-dast-echo", "7f3a"));
        }
        for method in ["POST", "PUT", "PATCH", "DELETE"].into_iter().filter(|method| !self.takes(route, method)) {
            add(Purpose::Method, HttpRequest::new(method, route).header("accept", "text/html"));
        }
        for value in ["https://dast.invalid/", "//dast.invalid/", "/%5Cdast.invalid/"] {
            add(Purpose::Redirect, ask(&each(&REDIRECTS, value)));
        }
        let injected = format!("/%0d%0a{INJECTED_HEADER}:%201");
        add(Purpose::Injection, ask(&each(&REDIRECTS, &injected)));
        add(Purpose::Reflection, ask(&each(&INPUTS, MARKER_QUERY)));
        add(Purpose::Reflection, ask(&each(&REDIRECTS, MARKER_QUERY)));
        for value in STRANGE {
            add(Purpose::Strange, ask(&each(&INPUTS, value)));
        }
        let strange_json = HttpRequest::new("POST", route).header("accept", "text/html");
        add(Purpose::Strange, strange_json.body("application/json", "{\"a\": "));
        for origin in [FOREIGN_ORIGIN, "null"] {
            add(Purpose::Origin, page(route).header("origin", origin));
        }
        add(Purpose::Host, page(route).header("host", FOREIGN_HOST));
        add(Purpose::Host, page(route).header("x-forwarded-host", FOREIGN_HOST));
        add(Purpose::Oversized, page(route).header("x-dast-long", "a".repeat(HEADER_BYTES)));
        for value in [UP, "/etc/passwd", "%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd"] {
            add(Purpose::Traversal, ask(&each(&FILES, value)));
        }
    }
}

impl Form {
    fn probes(&self, probes: &mut Vec<Probe>) {
        let mut add =
            |purpose, body: String| probes.push(Probe { purpose, route: self.path.clone(), request: self.send(body) });
        add(Purpose::Form, self.body(None, ""));
        for field in &self.fields {
            add(Purpose::Reflection, self.body(Some(field), MARKER_FORM));
            add(Purpose::Oversized, self.body(Some(field), &"a".repeat(FIELD_BYTES)));
            for value in ["\0", "\u{202e}\u{ffff}", "-1", "' OR '1'='1", "{{7*7}}"] {
                add(Purpose::Strange, self.body(Some(field), value));
            }
        }
        add(Purpose::Strange, String::new());
        add(Purpose::Strange, "%zz&=&&%ff".to_owned());
    }

    fn send(&self, body: String) -> HttpRequest {
        page_request("POST", &self.path).body("application/x-www-form-urlencoded", body)
    }

    /// The form with acceptable values, but for one field.
    fn body(&self, other: Option<&Field>, value: &str) -> String {
        let pair = |field: &Field| {
            let value = if other == Some(field) { value } else { field.value.as_str() };
            format!("{}={}", encoded(&field.name), encoded(value))
        };
        self.fields.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

fn get(purpose: Purpose, route: &str, path: &str) -> Probe {
    Probe { purpose, route: route.to_owned(), request: page(path) }
}

fn page(path: &str) -> HttpRequest {
    page_request("GET", path)
}

/// Error pages as browsers get them, where there is a choice.
fn page_request(method: &str, path: &str) -> HttpRequest {
    HttpRequest::new(method, path).header("user-agent", "cicd-core-dast").header("accept", "text/html, */*;q=0.8")
}

fn each(names: &[&str], value: &str) -> String {
    names.iter().map(|name| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn with_query(route: &str, query: &str) -> String {
    let separator = if route.contains('?') { '&' } else { '?' };
    format!("{route}{separator}{query}")
}

fn encoded(text: &str) -> String {
    let byte = |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}

/// The folders that routes lie in, and the one that style sheets are served from by custom.
fn folders(routes: &[String]) -> BTreeSet<String> {
    let path = |route: &String| route.split('?').next().map(str::to_owned);
    let above = |path: String| path.rmatch_indices('/').map(|(at, _)| path[..=at].to_owned()).collect::<Vec<_>>();
    let mut folders: BTreeSet<String> = routes.iter().filter_map(path).flat_map(above).collect();
    folders.insert("/static/".to_owned());
    folders
}
