"""The container's health check."""

import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from myapplication import probe as probe_module
from myapplication.probe import probe

ROOT = Path(__file__).parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def server(status: int) -> Iterator[int]:
    """Run a server that answers ``/healthcheck`` with ``status`` and everything else with 404; yield its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthcheck" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        try:
            yield running.server_port
        finally:
            running.shutdown()
            thread.join()


@contextmanager
def mumbling_server() -> Iterator[int]:
    """Run a server that does not speak HTTP; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"mumble\r\n")

        thread = Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def environ(port: int | str) -> dict[str, str]:
    """Return an environment that points the probe to ``port``."""
    return {"LASTCOMMITSHA": COMMIT, "APP_PORT": str(port)}


def test_a_good_answer_is_healthy() -> None:
    with server(200) as port:
        assert probe(environ(port)) is None


@pytest.mark.parametrize("status", [204, 404, 500])
def test_any_other_answer_is_not(status: int) -> None:
    with server(status) as port:
        assert probe(environ(port)) == f"healthcheck: answered {status}"


def test_something_else_on_the_port_is_not() -> None:
    with mumbling_server() as port:
        assert probe(environ(port)) == "healthcheck: mumble\r\n"


def test_nothing_on_the_port_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert probe(environ(port)) == "healthcheck: [Errno 111] Connection refused"


def test_a_wrong_setting_is_reported() -> None:
    problem = probe(environ("http"))
    assert problem is not None
    assert problem.startswith("healthcheck: APP_PORT is 'http'; ")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_exit_code_tells_docker(status: int, code: int) -> None:
    with server(status) as port:
        run = subprocess.run(
            [sys.executable, "-m", "myapplication.probe"],
            cwd=ROOT,
            env=environ(port),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert run.returncode == code
    assert run.stderr.strip() == ("" if code == 0 else "healthcheck: answered 503")


def test_run_as_a_program_it_asks_the_port_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(503) as port:
        for name, value in environ(port).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(probe_module.__file__, run_name="__main__")
    assert caught.value.code == "healthcheck: answered 503"
