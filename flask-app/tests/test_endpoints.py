"""What each endpoint answers."""

import logging
from http import HTTPStatus

import pytest
from flask.testing import FlaskClient

from myapplication.factory import create_app
from myapplication.notes import NoteStore
from myapplication.settings import Settings

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_healthcheck_is_exactly_what_is_documented(client: FlaskClient) -> None:
    response = client.get("/healthcheck")
    assert response.status_code == HTTPStatus.OK
    assert response.mimetype == "application/json"
    assert response.text.strip() == (
        '{"myapplication":[{"version":"9.8.7","description":"A guest book under test",'
        '"lastcommitsha":"0123456789abcdef0123456789abcdef01234567"}]}'
    )


def test_status_names_version_and_commit(client: FlaskClient) -> None:
    response = client.get("/status")
    assert response.status_code == HTTPStatus.OK
    assert response.json == {"version": "9.8.7", "commit": "0123456789abcdef0123456789abcdef01234567"}


def test_an_empty_guest_book_says_so(client: FlaskClient) -> None:
    response = client.get("/")
    assert response.status_code == HTTPStatus.OK
    assert response.mimetype == "text/html"
    assert "Nobody has written anything yet." in response.text


def test_a_note_is_kept_and_shown_after_a_redirect(client: FlaskClient) -> None:
    response = client.post("/", data={"author": "Ada", "text": "Hello\r\nthere"})
    assert response.status_code == HTTPStatus.SEE_OTHER
    assert response.location == "/"
    page = client.get("/").text
    assert '<p class="note">Hello\nthere</p>' in page
    assert "Ada, <time" in page
    assert "Nobody has written anything yet." not in page


def test_only_the_configured_number_of_notes_is_kept(client: FlaskClient) -> None:
    for number in range(4):
        client.post("/", data={"author": "Ada", "text": f"note {number}"})
    page = client.get("/").text
    assert [f"note {number}" in page for number in range(4)] == [False, True, True, True]


def test_a_bad_note_is_refused_and_handed_back(client: FlaskClient) -> None:
    response = client.post("/", data={"author": "x" * 61, "text": "keep what I wrote"})
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "<title>Error: Guest book</title>" in response.text
    assert '<a href="#author">Use at most 60 characters; this has 61.</a>' in response.text
    assert response.text.count('aria-invalid="true"') == 1
    assert "\nkeep what I wrote</textarea>" in response.text
    assert "Nobody has written anything yet." in client.get("/").text


def test_a_form_without_its_fields_is_refused(client: FlaskClient) -> None:
    response = client.post("/", data={"other": "field"})
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.text.count('aria-invalid="true"') == 2


@pytest.mark.parametrize(
    "markup",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</textarea><script>", "{{ 1234567 * 9 }}"],
)
def test_markup_is_shown_not_obeyed(client: FlaskClient, markup: str) -> None:
    client.post("/", data={"author": markup, "text": markup})
    handed_back = client.post("/", data={"author": markup, "text": markup + "x" * 500})
    for page in (client.get("/").text, handed_back.text):
        assert "<script" not in page
        assert "<img" not in page
        assert page.count("</textarea>") == 1
        # No time of day reads so.
        assert "11111103" not in page
    assert client.get("/").text.count(markup.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")) == 2


@pytest.mark.parametrize("path", ["/nowhere", "/status/", "/static/nothing.css", "/static/../settings.py"])
def test_an_unknown_path_is_a_404(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert response.json is not None
    assert response.json["error"]["status"] == 404
    assert response.json["error"]["title"] == "Not Found"


def test_a_browser_gets_its_errors_as_a_page(client: FlaskClient) -> None:
    response = client.get("/nowhere", headers=BROWSER)
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert response.mimetype == "text/html"
    assert "<h1>Not Found</h1>" in response.text


@pytest.mark.parametrize("path", ["/healthcheck", "/status"])
def test_a_wrong_method_is_a_405_that_names_the_right_ones(client: FlaskClient, path: str) -> None:
    response = client.post(path)
    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert response.json is not None
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("headers", [BROWSER, {}])
def test_a_huge_form_is_refused_unread(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.post("/", data={"author": "Ada", "text": "x" * 20_000}, headers=headers)
    assert response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_the_longest_acceptable_form_fits(client: FlaskClient) -> None:
    response = client.post("/", data={"author": "😀" * 60, "text": "😀" * 500})
    assert response.status_code == HTTPStatus.SEE_OTHER


class BrokenStore(NoteStore):
    """A guest book whose database has failed."""

    def newest_first(self) -> list:
        """Fail with a message visitors must not see."""
        message = "secret detail"
        raise RuntimeError(message)


@pytest.mark.parametrize("headers", [BROWSER, {}])
def test_a_failure_is_logged_and_kept_from_visitors(
    settings: Settings, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    client = create_app(settings, BrokenStore(kept=1)).test_client()
    with caplog.at_level(logging.ERROR):
        response = client.get("/", headers=headers)
    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "Internal Server Error" in response.text
    assert "secret detail" not in response.text
    assert "Traceback" not in response.text
    assert "secret detail" in caplog.text
