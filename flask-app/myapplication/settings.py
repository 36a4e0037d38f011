"""Everything the application can be told, read once and checked before the first request.

A value is either right or the process does not start: :class:`SettingsError` carries one line that names the variable
or file at fault, shows what it holds and says what to do about it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

APPLICATION_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``VERSION.txt`` and, in an image, ``REVISION``."""

DEFAULT_DESCRIPTION = "A guest book kept in memory"
DEFAULT_PORT = 8080
DEFAULT_THREADS = 4
DEFAULT_NOTES_KEPT = 100

MAX_DESCRIPTION_LENGTH = 200

# The pattern published with Semantic Versioning 2.0.0.
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


class SettingsError(Exception):
    """A setting is missing or malformed; the message is one line, fit to be shown as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The checked settings of one process."""

    version: str
    """The application's semantic version, from ``VERSION.txt``."""

    commit: str
    """The commit the code was built from: 40 lower-case hexadecimal digits."""

    description: str = DEFAULT_DESCRIPTION
    """One line for humans, shown by ``/healthcheck``."""

    port: int = DEFAULT_PORT
    """The TCP port the server listens on."""

    threads: int = DEFAULT_THREADS
    """How many requests are answered at a time."""

    notes_kept: int = DEFAULT_NOTES_KEPT
    """How many notes are remembered; older ones are forgotten, so that memory stays bounded."""

    @classmethod
    def load(cls, environ: Mapping[str, str], root: Path = APPLICATION_ROOT) -> Self:
        """Read the settings from environment variables and from the files in ``root``.

        An empty variable counts as unset, which is what ``-e NAME=`` means to most tools.

        Raises:
            SettingsError: a value is missing or malformed.
        """
        return cls(
            version=_read_version(root / "VERSION.txt"),
            commit=_read_commit(environ, root / "REVISION"),
            description=_read_description(environ),
            port=_read_whole_number(environ, "APP_PORT", DEFAULT_PORT, 1, 65_535),
            threads=_read_whole_number(environ, "APP_THREADS", DEFAULT_THREADS, 1, 64),
            notes_kept=_read_whole_number(environ, "APP_NOTES_KEPT", DEFAULT_NOTES_KEPT, 1, 10_000),
        )


def _read_version(path: Path) -> str:
    fix = "write a semantic version such as 1.0.0 into it"
    try:
        version = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {_reason(error)}; {fix}"
        raise SettingsError(message) from error
    if not _SEMVER.fullmatch(version):
        message = f"{path} holds {version!r}, which is not a semantic version; {fix}"
        raise SettingsError(message)
    return version


def _read_commit(environ: Mapping[str, str], path: Path) -> str:
    """Find the commit: the file baked into an image wins, the environment serves a run from a checkout."""
    fix = "set it to the output of `git rev-parse HEAD`"
    told = environ.get("LASTCOMMITSHA", "")
    if told and not _COMMIT.fullmatch(told):
        message = f"LASTCOMMITSHA is {told!r}, not 40 lower-case hexadecimal digits; {fix}"
        raise SettingsError(message)
    try:
        baked = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        if told:
            return told
        message = f"LASTCOMMITSHA is not set and there is no file {path}; {fix}"
        raise SettingsError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {_reason(error)}; rebuild the image"
        raise SettingsError(message) from error
    if not _COMMIT.fullmatch(baked):
        message = (
            f"{path} holds {baked!r}, not 40 lower-case hexadecimal digits; "
            'build the image with --build-arg REVISION="$(git rev-parse HEAD)"'
        )
        raise SettingsError(message)
    if told and told != baked:
        message = f"LASTCOMMITSHA is {told}, but {path} says this is {baked}; unset LASTCOMMITSHA"
        raise SettingsError(message)
    return baked


def _read_description(environ: Mapping[str, str]) -> str:
    description = environ.get("APP_DESCRIPTION", "").strip() or DEFAULT_DESCRIPTION
    if len(description) > MAX_DESCRIPTION_LENGTH or not description.isprintable():
        message = (
            f"APP_DESCRIPTION begins with {description[:40]!r} and has {len(description)} characters; "
            f"make it one printable line of at most {MAX_DESCRIPTION_LENGTH} characters"
        )
        raise SettingsError(message)
    return description


def _read_whole_number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = environ.get(name, "")
    if not value:
        return default
    if not _WHOLE_NUMBER.fullmatch(value) or not low <= int(value) <= high:
        message = f"{name} is {value!r}; set it to a whole number from {low} to {high}, or unset it for {default}"
        raise SettingsError(message)
    return int(value)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    """Say why a file could not be read, without repeating its name."""
    return error.strerror or "unknown error" if isinstance(error, OSError) else "it is not UTF-8 text"
