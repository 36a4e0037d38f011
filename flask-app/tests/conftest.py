"""Fixtures shared by the tests."""

import pytest
from flask.testing import FlaskClient

from myapplication.factory import create_app
from myapplication.settings import Settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def settings() -> Settings:
    """Settings unlike the defaults, so that a test notices when they are ignored."""
    return Settings(version="9.8.7", commit=COMMIT, description="A guest book under test", notes_kept=3)


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    """A client of an application of its own, with an empty guest book."""
    return create_app(settings).test_client()
