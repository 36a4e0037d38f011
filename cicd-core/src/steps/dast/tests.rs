use std::collections::{BTreeMap, BTreeSet};

use super::Dast;
use super::DastCode;
use super::builder::{DastBuilder, Field};
use super::judge::judge;
use super::probe::{Exchange, Form, Plan, Probe, Purpose};
use crate::http::{HttpAnswer, HttpRequest};
use crate::model::{FindingCode as _, Location};
use crate::policy::Justification;

const GOOD: [(&str, &str); 6] = [
    ("content-type", "text/html"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("server", "gunicorn"),
];

fn plan() -> Plan {
    let forms = vec![Form { path: "/".to_owned(), fields: vec![Field::from("q")] }];
    Plan { routes: vec!["/".to_owned()], forms, methods: BTreeMap::new(), behind_tls: true }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HttpAnswer { status, headers, body: body.into() }
}

fn exchange(purpose: Purpose, answer: Option<HttpAnswer>) -> Exchange {
    Exchange { probe: Probe { purpose, route: "/".to_owned(), request: HttpRequest::new("GET", "/?a=b") }, answer }
}

/// What a good application answers a visitor, and then this.
fn found(extra: Exchange) -> Result<Vec<String>, String> {
    let page = || Some(answer(200, &GOOD, "hello"));
    let seen = [exchange(Purpose::Route, page()), exchange(Purpose::Form, page()), extra];
    let findings = judge(&plan(), &seen, &Location::line("pipeline.rs", 3)).map_err(|error| error.to_string())?;
    Ok(findings.into_iter().map(|finding| finding.code.to_string()).collect())
}

/// The codes found in an answer with the good headers but for these; a value of `-` takes one away.
fn with(purpose: Purpose, status: u16, other: &[(&str, &str)], body: &str) -> Vec<String> {
    let kept = GOOD.iter().filter(|(name, _)| !other.iter().any(|(known, _)| known == name));
    let headers: Vec<_> = kept.chain(other.iter().filter(|(_, value)| *value != "-")).copied().collect();
    found(exchange(purpose, Some(answer(status, &headers, body)))).expect("looked")
}

#[test]
fn headers_are_judged_as_browsers_read_them() {
    let csp = "content-security-policy";
    for (header, value, codes) in [
        (csp, "-", &["DAST-001", "DAST-003"][..]),
        (csp, "frame-ancestors 'self'", &["DAST-001"]),
        (csp, "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'", &["DAST-001"]),
        (csp, "script-src *; frame-ancestors 'none'", &["DAST-001"]),
        (csp, "default-src 'none'; frame-ancestors *", &["DAST-003"]),
        (csp, "DEFAULT-SRC 'self'; script-src 'nonce-x' 'unsafe-inline'; Frame-Ancestors 'self'", &[]),
        (csp, "default-src *, script-src 'self'; frame-ancestors 'none'", &[]),
        ("x-content-type-options", "-", &["DAST-002"]),
        ("x-content-type-options", "sniff", &["DAST-002"]),
        ("referrer-policy", "-", &["DAST-004"]),
        ("referrer-policy", "no-referrer, unsafe-url", &["DAST-004"]),
        ("referrer-policy", "unsafe-url, no-referrer", &[]),
        ("strict-transport-security", "-", &["DAST-005"]),
        ("strict-transport-security", "max-age=60", &["DAST-005"]),
        ("strict-transport-security", "includeSubDomains; max-age=\"15552000\"", &[]),
        ("server", "Werkzeug/3.0.1 Python/3.11.2", &["DAST-006"]),
        ("x-powered-by", "PHP/8.2", &["DAST-006"]),
        ("set-cookie", "a=1; Secure; SameSite=Lax", &["DAST-007"]),
        ("set-cookie", "a=HttpOnly; Secure; SameSite=Lax", &["DAST-007"]),
        ("set-cookie", "a=1; HttpOnly; SameSite=Strict", &["DAST-008"]),
        ("set-cookie", "a=1; HttpOnly; Secure; SameSite=None", &["DAST-009"]),
        ("set-cookie", "a=1; httponly; secure; samesite=lax; Path=/", &[]),
    ] {
        assert_eq!(with(Purpose::Route, 200, &[(header, value)], "hello"), codes, "{header}: {value}");
    }
    let json = [("content-type", "application/json"), (csp, "-"), ("referrer-policy", "-")];
    assert_eq!(with(Purpose::Route, 200, &json, "{\"a\": \"<dast-7f3a>\"}"), [""; 0], "no page");
    let framed = [(csp, "default-src 'none'"), ("x-frame-options", "sameorigin")];
    assert_eq!(with(Purpose::Route, 200, &framed, "hello"), [""; 0]);
    let overruled = [(csp, "default-src 'none'; frame-ancestors *"), ("x-frame-options", "DENY")];
    assert_eq!(with(Purpose::Route, 200, &overruled, "hello"), ["DAST-003"]);
}

#[test]
fn answers_are_judged_by_what_was_asked() {
    let (origin, credentials) = ("access-control-allow-origin", ("access-control-allow-credentials", "true"));
    for (purpose, status, headers, body, codes) in [
        (Purpose::Trace, 200, &[][..], "TRACE /", &["DAST-010"][..]),
        (Purpose::Trace, 405, &[], "", &[]),
        (Purpose::Options, 200, &[("allow", "GET, post, HEAD, OPTIONS")], "", &[]),
        (Purpose::Options, 200, &[("allow", "GET, TRACE")], "", &["DAST-010"]),
        (Purpose::Options, 200, &[("allow", "GET, delete")], "", &["DAST-011"]),
        (Purpose::Method, 204, &[], "", &["DAST-011"]),
        (Purpose::Method, 405, &[], "no", &[]),
        (Purpose::Method, 501, &[], "no", &[]),
        (Purpose::Missing, 404, &[], "Traceback (most recent call last):", &["DAST-012"]),
        (Purpose::Missing, 404, &[("x-content-type-options", "-")], "gone", &["DAST-002"]),
        (Purpose::Strange, 500, &[], "sorry", &["DAST-013"]),
        (Purpose::Strange, 400, &[], "no", &[]),
        (Purpose::Redirect, 302, &[("location", "https://dast.invalid/")], "", &["DAST-014"]),
        (Purpose::Redirect, 302, &[("location", "//dast.invalid/")], "", &["DAST-014"]),
        (Purpose::Redirect, 302, &[("location", "/\\dast.invalid/")], "", &["DAST-014"]),
        (Purpose::Redirect, 302, &[("location", "/login?next=https://dast.invalid/")], "", &[]),
        (Purpose::Redirect, 302, &[("location", "/dast.invalid/")], "", &[]),
        (Purpose::Redirect, 302, &[("location", "dast.invalid/")], "", &[]),
        (Purpose::Reflection, 200, &[], "<p>\"'><dast-7f3a></p>", &["DAST-015"]),
        (Purpose::Reflection, 200, &[], "<p>&lt;dast-7f3a&gt;</p>", &[]),
        (Purpose::Origin, 200, &[(origin, "https://dast.invalid")], "", &["DAST-016"]),
        (Purpose::Origin, 200, &[(origin, "null"), credentials], "", &["DAST-016", "DAST-017"]),
        (Purpose::Origin, 200, &[(origin, "*"), credentials], "", &["DAST-017"]),
        (Purpose::Origin, 200, &[(origin, "*")], "", &[]),
        (Purpose::Origin, 200, &[(origin, "https://ours.example"), credentials], "", &[]),
        (Purpose::Folder, 200, &[], "<title>Index of /static/</title>", &["DAST-018"]),
        (Purpose::Host, 302, &[("location", "https://dast.invalid/login")], "", &["DAST-019"]),
        (Purpose::Host, 200, &[], "<a href='//dast.invalid/'>", &["DAST-019"]),
        (Purpose::Host, 400, &[], "unknown host dast.invalid", &[]),
        (Purpose::Oversized, 200, &[], "", &["DAST-020"]),
        (Purpose::Oversized, 431, &[], "", &[]),
        (Purpose::Traversal, 200, &[("content-type", "text/plain")], "root:x:0:0:root:/root:/bin/sh", &["DAST-021"]),
        (Purpose::Injection, 302, &[("x-dast-7f3a", "1")], "", &["DAST-022"]),
    ] {
        assert_eq!(with(purpose, status, headers, body), codes, "{purpose:?} {status} {headers:?} {body}");
    }
    assert_eq!(found(exchange(Purpose::Oversized, None)), Ok(Vec::new()), "closing the connection refuses it");
}

#[test]
fn what_did_not_answer_as_it_does_for_a_visitor_was_not_looked_at() {
    for (purpose, what, problem) in [
        (Purpose::Route, Some(answer(404, &GOOD, "")), "was answered with 404 instead of 200"),
        (Purpose::Route, Some(answer(302, &GOOD, "")), "was answered with 302 instead of 200"),
        (Purpose::Route, None, "was not answered"),
        (Purpose::Form, Some(answer(403, &GOOD, "")), "was answered with 403, so that no input went in"),
        (Purpose::Reflection, None, "was not answered"),
        (Purpose::Missing, None, "was not answered"),
    ] {
        let error = found(exchange(purpose, what)).expect_err(problem);
        assert!(error.starts_with("GET /?a=b ") && error.contains(problem), "{error}");
    }
    let place = Location::line("pipeline.rs", 3);
    let error = judge(&plan(), &[], &place).expect_err("nothing was asked").to_string();
    assert!(error.starts_with("/ was not asked for"), "{error}");
}

#[test]
fn every_route_and_every_field_is_asked_for_everything() {
    let mut plan = plan();
    plan.routes.push("/notes/?page=2".to_owned());
    plan.methods.insert("/".to_owned(), BTreeSet::from(["DELETE".to_owned()]));
    let probes = plan.probes();
    let asked = |method: &str, path: &str| {
        probes.iter().filter(|probe| probe.request.method == method && probe.request.path == path).count()
    };
    assert!(asked("DELETE", "/") == 0 && asked("PUT", "/") == 1 && asked("DELETE", "/notes/?page=2") == 1);
    assert_eq!(asked("GET", "/notes/"), 1, "the folder of a route may be listed");
    assert!(probes.iter().any(|probe| probe.request.path.starts_with("/notes/?page=2&next=https://dast.invalid/")));
    for route in &plan.routes {
        let purposes = probes.iter().filter(|probe| probe.route == *route).map(|probe| format!("{:?}", probe.purpose));
        let purposes: BTreeSet<_> = purposes.collect();
        assert!(purposes.len() >= 11, "{route}: {purposes:?}");
    }
    let last = probes.last().expect("some");
    assert_eq!((last.purpose, last.route.as_str()), (Purpose::Route, "/notes/?page=2"), "for what forms left there");
}

#[test]
fn checks_that_cannot_be_run_are_refused() {
    let problems = |builder: DastBuilder| builder.build().expect_err("must be refused").to_string();
    for (builder, part) in [
        (Dast::on([""; 0]), "no route is named"),
        (Dast::on(["status"]), "\"status\" is not a path"),
        (Dast::on(["/a b"]), "is not a path"),
        (Dast::on(["/", "/"]), "named twice"),
        (Dast::on(["/"]).form("/", [""; 0]), "has no fields"),
        (Dast::on(["/"]).methods("/other", ["PUT"]), "neither a route nor a form"),
        (Dast::on(["/"]).methods("/", ["put"]), "\"put\" is not a method"),
        (Dast::on(["/"]).methods("/", ["GET"]), "GET needs no declaration"),
        (Dast::on(["/"]).port(0), "port 0"),
        (Dast::on(["/"]).env("A=B", "c"), "cannot name a variable"),
    ] {
        let problems = problems(builder);
        assert!(problems.contains(part), "{part}: {problems}");
    }
    let why = Justification::new("an old client cannot do without it", "@org/web", "2027-01-01").expect("valid");
    let dast = Dast::on(["/"]).allow(DastCode::Banner, "/", why).build().expect("checks");
    assert_eq!(dast.allowed[0].id, DastCode::Banner.info().code);
    assert!(dast.place.path.as_str().ends_with("dast/tests.rs"), "{}", dast.place);
}
