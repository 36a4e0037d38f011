"""The container's health check: ``python3.11 -m myapplication.probe``.

Exits with 0 when ``/healthcheck`` of the server in the same container answers 200, with 1 and a reason otherwise.
Written in Python because the image has no other HTTP client.
"""

import os
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from myapplication.settings import Settings, SettingsError

TIMEOUT_SECONDS = 2


def probe(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the running server, or ``None`` if it is well."""
    try:
        port = Settings.load(environ).port
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/healthcheck")
            status = connection.getresponse().status
        finally:
            connection.close()
    except (SettingsError, HTTPException, OSError) as error:
        return f"healthcheck: {error}"
    return None if status == HTTPStatus.OK else f"healthcheck: answered {status}"


if __name__ == "__main__":
    sys.exit(probe(os.environ))
