"""The guest book's notes: what makes one acceptable, and where they are kept."""

import sqlite3
import threading
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

MAX_AUTHOR_LENGTH = 60
MAX_TEXT_LENGTH = 500

_SCHEMA = """
CREATE TABLE note (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    author     TEXT NOT NULL,
    text       TEXT NOT NULL,
    written_at TEXT NOT NULL
) STRICT
"""


class Note(NamedTuple):
    """One entry of the guest book."""

    author: str
    text: str
    written_at: str
    """UTC, ISO 8601, to the second."""


class Draft(NamedTuple):
    """A note as submitted, and what is wrong with it."""

    author: str = ""
    text: str = ""
    errors: Mapping[str, str] = {}
    """A message for each field that is not acceptable; empty when the draft can be kept."""


def check_draft(author: str, text: str) -> Draft:
    """Tidy a submission and judge it."""
    # Forms are submitted with CRLF line ends, but browsers count a line end as one character for `maxlength`.
    author = author.strip()
    text = text.replace("\r\n", "\n").strip()
    problems = {
        "author": _problem(author, "your name", MAX_AUTHOR_LENGTH, allowed_controls=""),
        "text": _problem(text, "a note", MAX_TEXT_LENGTH, allowed_controls="\n\t"),
    }
    return Draft(author, text, {field: problem for field, problem in problems.items() if problem})


def _problem(value: str, what: str, limit: int, allowed_controls: str) -> str | None:
    if not value:
        return f"Enter {what}."
    if len(value) > limit:
        return f"Use at most {limit} characters; this has {len(value)}."
    if any(unicodedata.category(char) == "Cc" and char not in allowed_controls for char in value):
        return "Remove the control characters."
    return None


class NoteStore:
    """Notes in an in-memory SQLite database, shared by all threads of one process.

    An in-memory database belongs to the connection that created it, so all threads share one connection. The lock
    makes each operation atomic: without it one thread's statement could land in another thread's open transaction.
    """

    def __init__(self, kept: int) -> None:
        """Create an empty store that remembers the newest ``kept`` notes."""
        self._kept = kept
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute("PRAGMA temp_store = MEMORY")
        self._connection.execute(_SCHEMA)

    def add(self, author: str, text: str) -> None:
        """Keep a note, and forget the oldest ones beyond the limit."""
        written_at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO note (author, text, written_at) VALUES (?, ?, ?)", (author, text, written_at)
            )
            self._connection.execute(
                "DELETE FROM note WHERE id NOT IN (SELECT id FROM note ORDER BY id DESC LIMIT ?)", (self._kept,)
            )

    def newest_first(self) -> list[Note]:
        """Return all notes that are remembered."""
        with self._lock:
            rows = self._connection.execute("SELECT author, text, written_at FROM note ORDER BY id DESC").fetchall()
        return [Note(*row) for row in rows]
