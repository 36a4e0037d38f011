"""Error answers: HTML for those who ask for it, JSON for everybody else, internals for nobody."""

import json

from flask import Flask, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response


def init_app(app: Flask) -> None:
    """Let ``app`` answer every error through this module.

    An exception nobody caught arrives here as Flask's ``InternalServerError``; Flask has logged it by then.
    """
    app.register_error_handler(HTTPException, _answer)


def _answer(error: HTTPException) -> Response:
    # Start from the exception's own response, as it has the headers the status calls for (`Allow` with a 405).
    response = Response.force_type(error.get_response())
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        response.data = render_template("error.html", error=error)
        response.mimetype = "text/html"
    else:
        response.data = json.dumps({"error": {"status": error.code, "title": error.name, "detail": error.description}})
        response.mimetype = "application/json"
    return response
