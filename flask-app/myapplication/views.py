"""The endpoints."""

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from myapplication.notes import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH, Draft, NoteStore, check_draft
from myapplication.settings import Settings


def create_blueprint(settings: Settings, store: NoteStore) -> Blueprint:
    """Return the endpoints, answering for ``settings`` and writing into ``store``."""
    views = Blueprint("views", __name__)

    @views.get("/healthcheck")
    def healthcheck() -> Response:
        """Say that the application is up, and which one it is."""
        about = {
            "version": settings.version,
            "description": settings.description,
            "lastcommitsha": settings.commit,
        }
        return jsonify(myapplication=[about])

    @views.get("/status")
    def status() -> Response:
        """Say which version and which commit is running."""
        return jsonify(version=settings.version, commit=settings.commit)

    @views.get("/")
    def guest_book() -> str:
        """Show the notes and the form."""
        return _page(store, Draft())

    @views.post("/")
    def write_note() -> BaseResponse | tuple[str, int]:
        """Keep a note and show the page again, or show what is wrong with it."""
        draft = check_draft(request.form.get("author", ""), request.form.get("text", ""))
        if draft.errors:
            return _page(store, draft), 400
        store.add(draft.author, draft.text)
        # See Other, so that reloading the page does not post the note a second time.
        return redirect(url_for("views.guest_book"), code=303)

    return views


def _page(store: NoteStore, draft: Draft) -> str:
    return render_template(
        "index.html",
        notes=store.newest_first(),
        draft=draft,
        max_author_length=MAX_AUTHOR_LENGTH,
        max_text_length=MAX_TEXT_LENGTH,
    )
