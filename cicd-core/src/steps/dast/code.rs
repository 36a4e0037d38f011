use crate::model::{Severity, finding_codes};

finding_codes! {
    /// What the HTTP checks can find.
    pub enum DastCode {
        ContentPolicy = "DAST-001" {
            summary: "an HTML page has no Content-Security-Policy that restrains scripts",
            help: "send one with `default-src` or `script-src`, without 'unsafe-inline', 'unsafe-eval' and *",
            example: "Content-Security-Policy: script-src 'self' 'unsafe-inline'",
        },
        ContentType = "DAST-002" {
            summary: "browsers may guess the type of an answer",
            help: "send `X-Content-Type-Options: nosniff` with every answer",
            example: "an answer without X-Content-Type-Options",
        },
        Framing = "DAST-003" {
            summary: "any site may show an HTML page in a frame",
            help: "send `frame-ancestors` in Content-Security-Policy, or X-Frame-Options: DENY or SAMEORIGIN",
            example: "an HTML page with neither of the two headers",
        },
        Referrer = "DAST-004" {
            summary: "links of an HTML page tell other sites the whole address it was read at",
            help: "send Referrer-Policy: same-origin, or another value that keeps the path back",
            example: "Referrer-Policy: unsafe-url",
        },
        Transport = "DAST-005" {
            summary: "browsers may come back without TLS",
            help: "send Strict-Transport-Security with a max-age of half a year or more",
            example: "Strict-Transport-Security: max-age=60, with .behind_tls()",
        },
        Banner = "DAST-006" {
            summary: "a header tells the version of the server's software",
            help: "switch the banner off, or cut it down to a name",
            example: "Server: Werkzeug/3.0.1 Python/3.11.2",
        },
        CookieHttpOnly = "DAST-007" {
            summary: "scripts can read a cookie",
            help: "set it with HttpOnly",
            example: "Set-Cookie: session=1; SameSite=Lax",
        },
        CookieSecure = "DAST-008" {
            summary: "a cookie is sent without TLS",
            help: "set it with Secure",
            example: "Set-Cookie: session=1; HttpOnly; SameSite=Lax, with .behind_tls()",
        },
        CookieSameSite = "DAST-009" {
            summary: "a cookie is sent with requests that other sites cause",
            help: "set it with SameSite=Lax or SameSite=Strict",
            example: "Set-Cookie: session=1; HttpOnly",
        },
        Trace = "DAST-010" {
            summary: "the server sends requests back, cookies and all",
            help: "refuse TRACE and TRACK",
            example: "200 as the answer to TRACE /",
        },
        Method = "DAST-011" {
            summary: "a route takes, or says that it takes, a method that nobody declared",
            help: "answer 405, or declare the method with .methods(…)",
            example: "204 as the answer to DELETE /",
        },
        Leak = "DAST-012" {
            summary: "an answer shows the inside of the application: a stack trace, a debugger, a path of its code",
            help: "switch debugging off, log the details and answer without them",
            example: "a page with `Traceback (most recent call last)`",
        },
        ServerError = "DAST-013" {
            summary: "the application fails on a request that it should refuse",
            help: "answer with 4xx; container.log in the step's folder may say where it fails",
            example: "500 as the answer to ?id=%00",
        },
        OpenRedirect = "DAST-014" {
            summary: "a parameter decides to which site visitors are sent",
            help: "redirect to paths of your own only, and refuse those that begin with // or /\\",
            example: "Location: https://dast.invalid/ as the answer to /?next=https://dast.invalid/",
        },
        Reflection = "DAST-015" {
            summary: "input comes back in HTML as it is, so that it can hold scripts",
            help: "escape it: use a template engine that escapes by itself",
            example: "<p>You searched for <script>…</p>",
        },
        CorsOrigin = "DAST-016" {
            summary: "pages of any site may read answers: the Origin that asks is allowed, whichever it is",
            help: "allow a fixed list of origins, or none",
            example: "Access-Control-Allow-Origin: https://dast.invalid",
        },
        CorsCredentials = "DAST-017" {
            summary: "answers are open to every origin, and to credentials",
            help: "do not send Access-Control-Allow-Credentials with a wildcard or a reflected origin",
            example: "Access-Control-Allow-Origin: *, with Access-Control-Allow-Credentials: true",
        },
        Listing = "DAST-018" {
            summary: "a folder's content is listed",
            help: "switch listings off",
            example: "a page titled `Index of /static/`",
        },
        HostReflected = "DAST-019" {
            summary: "the Host header decides where links and redirects of an answer lead",
            help: "refuse hosts that are not yours, or make links without a host",
            example: "<a href=\"http://dast.invalid/\">, asked with Host: dast.invalid",
        },
        Oversized = "DAST-020" {
            summary: "the server takes a header or a form of a size that nobody needs",
            help: "limit both and answer 413 or 431",
            example: "200 as the answer to a form with a megabyte in a field",
        },
        Traversal = "DAST-021" {
            summary: "a path or a parameter reads files of the system",
            help: "never make file names of input; serve from one folder with a function that stays in it",
            example: "/static/../../../etc/passwd answered with that file",
        },
        HeaderInjection = "DAST-022" {
            summary: "a parameter adds headers to an answer",
            help: "refuse line ends in what goes into a header",
            example: "x-dast: 1 in the answer to /?next=%0d%0ax-dast:%201",
        },
    }
}

impl DastCode {
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Traversal => Severity::Critical,
            Self::Banner
            | Self::ContentType
            | Self::Referrer
            | Self::Transport
            | Self::CookieSameSite
            | Self::Framing
            | Self::Listing
            | Self::Oversized
            | Self::Method => Severity::Medium,
            _ => Severity::High,
        }
    }
}
