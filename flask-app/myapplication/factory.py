"""Puts the application together."""

from flask import Flask

from myapplication import errors, security, views
from myapplication.notes import NoteStore
from myapplication.settings import Settings

MAX_REQUEST_BYTES = 16 * 1024
"""More than the longest acceptable form takes, percent-encoded, yet nothing a visitor could fill the memory with."""


def create_app(settings: Settings, store: NoteStore | None = None) -> Flask:
    """Return an application for ``settings``, with an empty guest book unless it is given a ``store``."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.json.sort_keys = False
    security.init_app(app)
    errors.init_app(app)
    app.register_blueprint(views.create_blueprint(settings, store or NoteStore(settings.notes_kept)))
    return app
