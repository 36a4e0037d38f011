"""Response headers and the defence against cross-site form posts."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

_HEADERS = {
    # Everything the pages need is one style sheet and one form of our own; there are no scripts at all.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not `no-referrer`: under that policy browsers send `Origin: null` with our own form too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def init_app(app: Flask) -> None:
    """Guard every request to ``app`` and label every response."""
    app.before_request(_refuse_cross_site_writes)
    app.after_request(_add_headers)


def _refuse_cross_site_writes() -> None:
    """Stop another site from posting in a visitor's name.

    Visitors do not log in, so there is no session to tie a token to. What browsers themselves say about where a
    request comes from is enough, and a page cannot forge it. ``Sec-Fetch-Site`` decides where it is sent (secure
    contexts); otherwise ``Origin`` has to name the host asked for. A request with neither does not come from a
    browser's page, hence is nobody's unwitting act.
    """
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        trusted = site in {"same-origin", "none"}
    else:
        trusted = origin is None or _host_of(origin) == request.host
    if not trusted:
        abort(403, "This request was started by another site.")


def _host_of(origin: str) -> str | None:
    """Return the host and port of an ``Origin`` header; ``None`` for ``null`` and nonsense."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _add_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "static" or not response.cache_control.max_age:
        response.headers["Cache-Control"] = "no-store"
    return response
