"""The application as gunicorn serves it, in a process of its own."""

import http.client
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask

ROOT = Path(__file__).parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GUNICORN = [sys.executable, "-m", "gunicorn"]
DEADLINE_SECONDS = 30


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what goes into an image, free to be damaged, without a commit file."""
    shutil.copytree(ROOT / "myapplication", tmp_path / "myapplication", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("VERSION.txt", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def environment(**settings: str) -> dict[str, str]:
    """Return the surrounding environment with the application's variables replaced by ``settings``."""
    ours = ("APP_", "GUNICORN_", "LASTCOMMITSHA")
    outer = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return outer | {"PYTHONDONTWRITEBYTECODE": "1"} | settings


def failed_start(checkout: Path, **settings: str) -> str:
    """Start a server that must not come up; return its only line on standard error."""
    run = subprocess.run(
        GUNICORN,
        cwd=checkout,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    return run.stderr.rstrip("\n")


def test_without_a_commit_the_server_does_not_start(checkout: Path) -> None:
    assert failed_start(checkout) == (
        f"myapplication: LASTCOMMITSHA is not set and there is no file {checkout / 'REVISION'}; "
        "set it to the output of `git rev-parse HEAD`"
    )


def test_with_a_bad_version_the_server_does_not_start(checkout: Path) -> None:
    (checkout / "VERSION.txt").write_text("one\n")
    assert failed_start(checkout, LASTCOMMITSHA=COMMIT) == (
        f"myapplication: {checkout / 'VERSION.txt'} holds 'one', which is not a semantic version; "
        "write a semantic version such as 1.0.0 into it"
    )


def test_with_a_bad_port_the_server_does_not_start(checkout: Path) -> None:
    assert failed_start(checkout, LASTCOMMITSHA=COMMIT, APP_PORT="http") == (
        "myapplication: APP_PORT is 'http'; set it to a whole number from 1 to 65535, or unset it for 8080"
    )


def test_the_server_s_entry_point_is_an_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTCOMMITSHA", COMMIT)
    monkeypatch.setenv("APP_PORT", "8080")
    app = importlib.import_module("myapplication.wsgi").app

    assert isinstance(app, Flask)
    assert app.test_client().get("/status").json["commit"] == COMMIT


def fetch(port: int, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
    """Send one request; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, path, urlencode(form) if form else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def served(checkout: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running server and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        GUNICORN,
        cwd=checkout,
        env=environment(LASTCOMMITSHA=COMMIT, APP_PORT=str(port), APP_NOTES_KEPT="1000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while True:
                try:
                    assert fetch(port, "GET", "/healthcheck")[0] == 200
                    break
                except OSError:
                    assert server.poll() is None, "the server ended while starting"
                    assert time.monotonic() < deadline, "the server did not start in time"
                    time.sleep(0.05)
            yield server, port
        finally:
            server.kill()


def test_notes_posted_at_the_same_time_all_arrive(served: tuple[subprocess.Popen[str], int]) -> None:
    _, port = served
    texts = [f"[note {number}]" for number in range(120)]
    with ThreadPoolExecutor(12) as pool:
        answers = pool.map(lambda text: fetch(port, "POST", "/", {"author": "Ada", "text": text})[0], texts)
        assert set(answers) == {303}
    # Asked repeatedly, as a second process would answer with a guest book of its own now and then.
    for _ in range(10):
        page = fetch(port, "GET", "/")[1]
        assert [page.count(text) for text in texts] == [1] * len(texts)


def test_the_server_stops_cleanly_having_written_nothing(
    served: tuple[subprocess.Popen[str], int], checkout: Path
) -> None:
    server, port = served
    fetch(port, "POST", "/", {"author": "Ada", "text": "Hello"})
    server.send_signal(signal.SIGTERM)
    _, log = server.communicate(timeout=DEADLINE_SECONDS)
    assert server.returncode == 0
    assert "Traceback" not in log
    assert "/healthcheck" not in log
    assert {path.name for path in checkout.iterdir()} == {"VERSION.txt", "gunicorn.conf.py", "myapplication"}
    assert not list(checkout.rglob("__pycache__"))
