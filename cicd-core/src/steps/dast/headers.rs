use super::DastCode;
use super::probe::{FOREIGN_ORIGIN, Plan};
use crate::formats::printable::printable;
use crate::http::HttpAnswer;

/// The shortest time worth anything: browsers forget before a visitor comes back otherwise. Half a year.
const TRANSPORT_SECONDS_MIN: u64 = 15_552_000;
/// Headers in which software names itself.
const BANNERS: [&str; 5] = ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator"];
/// Values that keep the path from other sites.
const REFERRERS: [&str; 5] =
    ["no-referrer", "same-origin", "origin", "strict-origin", "strict-origin-when-cross-origin"];

/// Something that is wrong, and what was seen of it.
pub(super) type Flaw = (DastCode, String);

/// Whether browsers show the answer as a page. Without a type they guess, and a page is what they guess first.
pub(super) fn is_page(answer: &HttpAnswer) -> bool {
    answer.header("content-type").is_none_or(|kind| {
        let kind = kind.to_ascii_lowercase();
        ["text/html", "application/xhtml", "image/svg"].iter().any(|page| kind.trim_start().starts_with(page))
    }) && !answer.body.is_empty()
}

/// What the headers of an ordinary answer lack.
pub(super) fn missing(plan: &Plan, answer: &HttpAnswer) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let nosniff = answer.header("x-content-type-options").is_some_and(|value| value.eq_ignore_ascii_case("nosniff"));
    if !nosniff && !answer.body.is_empty() {
        flaws.push((DastCode::ContentType, shown(answer, "x-content-type-options")));
    }
    if is_page(answer) {
        flaws.extend(policy(answer));
        flaws.extend(framing(answer));
        flaws.extend(referrer(answer));
    }
    if plan.behind_tls {
        flaws.extend(transport(answer));
    }
    flaws
}

/// What headers give away or allow, in any answer.
pub(super) fn given(plan: &Plan, answer: &HttpAnswer) -> Vec<Flaw> {
    let banner = |name: &&str| answer.headers(name).any(|value| value.contains(|c: char| c.is_ascii_digit()));
    let banners = BANNERS.into_iter().filter(banner);
    let mut flaws: Vec<_> = banners.map(|name| (DastCode::Banner, shown(answer, name))).collect();
    for cookie in answer.headers("set-cookie") {
        flaws.extend(cookie_flaws(plan, cookie));
    }
    flaws
}

fn shown(answer: &HttpAnswer, name: &str) -> String {
    match answer.header(name) {
        Some(value) => format!("{name} is {:?}", printable(value)),
        None => format!("there is no {name}"),
    }
}

/// The sources of a directive of any of the policies, or none where it is not given.
fn directive<'a>(policy: &'a str, name: &str) -> Option<Vec<&'a str>> {
    policy.split(';').find_map(|directive| {
        let mut words = directive.split_ascii_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case(name)).map(|_| words.collect())
    })
}

/// Browsers apply every policy that is sent, so one that restrains is enough.
fn policies<'a, T>(answer: &'a HttpAnswer, look: impl Fn(&'a str) -> Option<T>) -> Vec<T> {
    answer.headers("content-security-policy").flat_map(|header| header.split(',')).filter_map(look).collect()
}

fn policy(answer: &HttpAnswer) -> Option<Flaw> {
    let scripts =
        policies(answer, |policy| directive(policy, "script-src").or_else(|| directive(policy, "default-src")));
    // A hash or nonce makes newer browsers pass over 'unsafe-inline', which then stands there for older ones.
    let is_open = |sources: &Vec<&str>| {
        let strict = sources.iter().any(|source| source.starts_with("'nonce-") || source.starts_with("'sha"));
        sources.iter().any(|source| match source.to_ascii_lowercase().as_str() {
            "'unsafe-inline'" => !strict,
            "'unsafe-eval'" | "*" | "http:" | "https:" | "data:" => true,
            _ => false,
        })
    };
    (scripts.iter().all(is_open)).then(|| (DastCode::ContentPolicy, shown(answer, "content-security-policy")))
}

fn framing(answer: &HttpAnswer) -> Option<Flaw> {
    let ancestors = policies(answer, |policy| directive(policy, "frame-ancestors"));
    let by_policy = ancestors.iter().any(|all| !all.iter().any(|source| matches!(*source, "*" | "http:" | "https:")));
    let option = answer.header("x-frame-options").map(str::to_ascii_uppercase);
    // Where both are sent, browsers look at the policy alone.
    let by_option = ancestors.is_empty() && option.is_some_and(|value| matches!(value.trim(), "DENY" | "SAMEORIGIN"));
    (!by_policy && !by_option).then(|| (DastCode::Framing, shown(answer, "x-frame-options")))
}

fn referrer(answer: &HttpAnswer) -> Option<Flaw> {
    // Of several, browsers take the last that they know.
    let value = answer.headers("referrer-policy").flat_map(|value| value.split(',')).last();
    let keeps = value.is_some_and(|value| REFERRERS.contains(&value.trim().to_ascii_lowercase().as_str()));
    (!keeps).then(|| (DastCode::Referrer, shown(answer, "referrer-policy")))
}

fn transport(answer: &HttpAnswer) -> Option<Flaw> {
    let seconds = answer.header("strict-transport-security").and_then(|value| {
        let age = value.split(';').find_map(|part| {
            part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("max-age")).map(|(_, age)| age)
        });
        age.and_then(|age| age.trim().trim_matches('"').parse::<u64>().ok())
    });
    let long = seconds.is_some_and(|seconds| seconds >= TRANSPORT_SECONDS_MIN);
    (!long).then(|| (DastCode::Transport, shown(answer, "strict-transport-security")))
}

fn cookie_flaws(plan: &Plan, cookie: &str) -> Vec<Flaw> {
    let mut parts = cookie.split(';');
    let name = parts.next().and_then(|pair| pair.split('=').next()).map_or_else(String::new, printable);
    let attributes: Vec<_> = parts.map(|part| part.trim().to_ascii_lowercase()).collect();
    let has = |attribute: &str| attributes.iter().any(|known| known == attribute);
    let mut flaws = Vec::new();
    if !has("httponly") {
        flaws.push((DastCode::CookieHttpOnly, format!("the cookie {name:?} has no HttpOnly")));
    }
    if plan.behind_tls && !has("secure") {
        flaws.push((DastCode::CookieSecure, format!("the cookie {name:?} has no Secure")));
    }
    if !has("samesite=lax") && !has("samesite=strict") {
        flaws.push((DastCode::CookieSameSite, format!("the cookie {name:?} has neither SameSite=Lax nor Strict")));
    }
    flaws
}

/// What a foreign origin, or one that hides, is allowed.
pub(super) fn cors(answer: &HttpAnswer) -> Vec<Flaw> {
    let allowed = answer.header("access-control-allow-origin").map(str::trim);
    let reflected = matches!(allowed, Some(FOREIGN_ORIGIN | "null"));
    let credentials = answer.header("access-control-allow-credentials").is_some_and(|value| value.trim() == "true");
    let mut flaws = Vec::new();
    if reflected {
        flaws.push((DastCode::CorsOrigin, shown(answer, "access-control-allow-origin")));
    }
    if credentials && (reflected || allowed == Some("*")) {
        let origin = shown(answer, "access-control-allow-origin");
        flaws.push((DastCode::CorsCredentials, format!("{origin}, with access-control-allow-credentials")));
    }
    flaws
}
