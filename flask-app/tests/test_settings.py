"""What the environment and the files may hold, and what is said when they hold something else."""

from pathlib import Path

import pytest

from myapplication.settings import Settings, SettingsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder as an image has it: with a version and a commit."""
    (tmp_path / "VERSION.txt").write_text("1.2.3\n")
    (tmp_path / "REVISION").write_text(f"{COMMIT}\n")
    return tmp_path


def refusal(environ: dict[str, str], root: Path) -> str:
    """Return the message with which the settings are refused; it is always one line."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ, root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_files_alone_are_enough(root: Path) -> None:
    assert Settings.load({}, root) == Settings(version="1.2.3", commit=COMMIT)


def test_the_repository_s_own_version_is_acceptable() -> None:
    assert Settings.load({"LASTCOMMITSHA": COMMIT}).version


def test_variables_change_what_they_name(root: Path) -> None:
    environ = {
        "APP_DESCRIPTION": "  Gästebuch  ",
        "APP_PORT": "65535",
        "APP_THREADS": "1",
        "APP_NOTES_KEPT": "10000",
    }
    assert Settings.load(environ, root) == Settings(
        version="1.2.3", commit=COMMIT, description="Gästebuch", port=65535, threads=1, notes_kept=10000
    )


def test_empty_variables_count_as_unset(root: Path) -> None:
    names = ["LASTCOMMITSHA", "APP_DESCRIPTION", "APP_PORT", "APP_THREADS", "APP_NOTES_KEPT"]
    assert Settings.load(dict.fromkeys(names, ""), root) == Settings.load({}, root)


@pytest.mark.parametrize("version", ["0.0.0", "10.20.30", "1.0.0-rc.1", "1.0.0-0A.is.legal", "1.0.0+build.5"])
def test_semantic_versions_are_accepted(root: Path, version: str) -> None:
    (root / "VERSION.txt").write_text(version)
    assert Settings.load({}, root).version == version


@pytest.mark.parametrize(
    "version", ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0\n2.0.0", "\u0661.0.0"]
)
def test_other_versions_are_refused(root: Path, version: str) -> None:
    path = root / "VERSION.txt"
    path.write_text(version, encoding="utf-8")
    assert refusal({}, root) == (
        f"{path} holds {version!r}, which is not a semantic version; write a semantic version such as 1.0.0 into it"
    )


def test_a_missing_version_file_is_named(root: Path) -> None:
    path = root / "VERSION.txt"
    path.unlink()
    assert refusal({}, root) == (
        f"cannot read {path}: No such file or directory; write a semantic version such as 1.0.0 into it"
    )


def test_a_binary_version_file_is_refused(root: Path) -> None:
    (root / "VERSION.txt").write_bytes(b"\xff\xfe1")
    assert "VERSION.txt: it is not UTF-8 text; " in refusal({}, root)


def test_a_checkout_takes_the_commit_from_the_environment(root: Path) -> None:
    (root / "REVISION").unlink()
    assert Settings.load({"LASTCOMMITSHA": OTHER_COMMIT}, root).commit == OTHER_COMMIT


def test_no_commit_at_all_names_both_places_it_could_be(root: Path) -> None:
    path = root / "REVISION"
    path.unlink()
    assert refusal({}, root) == (
        f"LASTCOMMITSHA is not set and there is no file {path}; set it to the output of `git rev-parse HEAD`"
    )


@pytest.mark.parametrize("commit", ["abc", COMMIT.upper(), COMMIT + "0", "g" * 40, " " + COMMIT])
def test_a_malformed_commit_variable_is_refused(root: Path, commit: str) -> None:
    assert refusal({"LASTCOMMITSHA": commit}, root) == (
        f"LASTCOMMITSHA is {commit!r}, not 40 lower-case hexadecimal digits; "
        "set it to the output of `git rev-parse HEAD`"
    )


@pytest.mark.parametrize("commit", ["", "HEAD", COMMIT[:7]])
def test_a_malformed_commit_file_is_refused(root: Path, commit: str) -> None:
    path = root / "REVISION"
    path.write_text(commit)
    assert refusal({}, root) == (
        f"{path} holds {commit!r}, not 40 lower-case hexadecimal digits; "
        'build the image with --build-arg REVISION="$(git rev-parse HEAD)"'
    )


def test_an_unreadable_commit_file_is_refused(root: Path) -> None:
    path = root / "REVISION"
    path.unlink()
    path.mkdir()
    assert refusal({}, root) == f"cannot read {path}: Is a directory; rebuild the image"


def test_the_environment_cannot_contradict_the_image(root: Path) -> None:
    assert Settings.load({"LASTCOMMITSHA": COMMIT}, root).commit == COMMIT
    assert refusal({"LASTCOMMITSHA": OTHER_COMMIT}, root) == (
        f"LASTCOMMITSHA is {OTHER_COMMIT}, but {root / 'REVISION'} says this is {COMMIT}; unset LASTCOMMITSHA"
    )


@pytest.mark.parametrize("description", ["x" * 201, "two\nlines", "bell\a"])
def test_a_description_is_one_short_line(root: Path, description: str) -> None:
    message = refusal({"APP_DESCRIPTION": description}, root)
    assert message.startswith(f"APP_DESCRIPTION begins with {description[:40]!r} and has {len(description)} characters")
    assert message.endswith("make it one printable line of at most 200 characters")


@pytest.mark.parametrize(
    ("name", "high", "default"), [("APP_PORT", 65535, 8080), ("APP_THREADS", 64, 4), ("APP_NOTES_KEPT", 10000, 100)]
)
@pytest.mark.parametrize("value", ["0", "-1", "65536", "1.5", " 8", "eight", "\u0663", "9" * 5000])
def test_numbers_outside_their_range_are_refused(root: Path, name: str, high: int, default: int, value: str) -> None:
    assert refusal({name: value}, root) == (
        f"{name} is {value!r}; set it to a whole number from 1 to {high}, or unset it for {default}"
    )
