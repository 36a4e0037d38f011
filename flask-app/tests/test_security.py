"""The headers every response carries, and whose form posts are taken."""

from http import HTTPStatus

import pytest
from flask.testing import FlaskClient

NOTE = {"author": "Ada", "text": "Hello"}


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/status", "/static/style.css", "/nowhere"])
def test_every_response_is_guarded(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = dict(directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/status", "/nowhere", "/static/nothing.css"])
def test_what_changes_is_not_stored(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_the_style_sheet_may_be_stored(client: FlaskClient) -> None:
    with client.get("/static/style.css") as response:
        assert response.status_code == HTTPStatus.OK
    assert response.cache_control.max_age == 3600
    assert not response.cache_control.no_store


def test_no_cookie_is_set(client: FlaskClient) -> None:
    assert "Set-Cookie" not in client.post("/", data=NOTE).headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},
        {"Origin": "http://book.example:8080", "Host": "book.example:8080"},
    ],
)
def test_our_own_form_may_post(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/", data=NOTE, headers=headers).status_code == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
    ],
)
def test_another_site_may_not_post(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.post("/", data=NOTE, headers=headers)
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert response.json is not None
    assert response.json["error"]["detail"] == "This request was started by another site."
    assert "Nobody has written anything yet." in client.get("/").text


def test_another_site_may_link_here(client: FlaskClient) -> None:
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == HTTPStatus.OK
