"""Which notes are acceptable, and that none gets lost or doubled however many threads write."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from myapplication.notes import MAX_AUTHOR_LENGTH, MAX_TEXT_LENGTH, NoteStore, check_draft


def test_a_good_draft_is_tidied() -> None:
    draft = check_draft("  Ada ", "\r\nfirst line\r\n\tsecond line\r\n")
    assert (draft.author, draft.text) == ("Ada", "first line\n\tsecond line")
    assert draft.errors == {}


def test_both_fields_are_needed() -> None:
    assert check_draft(" ", "\r\n").errors == {"author": "Enter your name.", "text": "Enter a note."}


def test_limits_are_inclusive() -> None:
    assert check_draft("é" * MAX_AUTHOR_LENGTH, "漢" * MAX_TEXT_LENGTH).errors == {}
    assert check_draft("é" * (MAX_AUTHOR_LENGTH + 1), "漢" * (MAX_TEXT_LENGTH + 1)).errors == {
        "author": "Use at most 60 characters; this has 61.",
        "text": "Use at most 500 characters; this has 501.",
    }


def test_a_line_end_counts_once() -> None:
    assert check_draft("Ada", "a" + "\r\n" * (MAX_TEXT_LENGTH - 2) + "b").errors == {}


@pytest.mark.parametrize(("author", "text"), [("A\nda", "b\0"), ("A\x1b[31mda", "a\rb"), ("A\tda", "\x85x\x85y")])
def test_control_characters_are_refused(author: str, text: str) -> None:
    assert check_draft(author, text).errors == {
        "author": "Remove the control characters.",
        "text": "Remove the control characters.",
    }


def test_notes_come_newest_first_with_their_time_in_utc() -> None:
    store = NoteStore(kept=10)
    store.add("Ada", "first")
    store.add("Grace", "second")
    notes = store.newest_first()
    assert [(note.author, note.text) for note in notes] == [("Grace", "second"), ("Ada", "first")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", note.written_at) for note in notes)


def test_the_oldest_notes_are_forgotten() -> None:
    store = NoteStore(kept=2)
    for text in ["1", "2", "3", "4"]:
        store.add("Ada", text)
    assert [note.text for note in store.newest_first()] == ["4", "3"]


def test_text_is_never_taken_for_sql() -> None:
    store = NoteStore(kept=10)
    text = "'); DROP TABLE note; --"
    store.add(text, text)
    assert [(note.author, note.text) for note in store.newest_first()] == [(text, text)]


def test_stores_do_not_share_notes() -> None:
    store = NoteStore(kept=10)
    store.add("Ada", "mine")
    assert NoteStore(kept=10).newest_first() == []


@pytest.fixture
def eagerly() -> Iterator[Callable[[], None]]:
    """Give what makes threads switch as often as the interpreter can, so that a missing lock shows within a second.

    It is for threads that run: while they start, Python 3.11 may lose one that is traced for coverage.
    """
    interval = sys.getswitchinterval()
    yield lambda: sys.setswitchinterval(1e-6)
    sys.setswitchinterval(interval)


def test_concurrent_writers_lose_and_double_nothing(eagerly: Callable[[], None]) -> None:
    writers, each = 8, 50
    store = NoteStore(kept=writers * each)
    together = Barrier(writers, eagerly)

    def write(writer: int) -> None:
        together.wait()
        for number in range(each):
            store.add(str(writer), str(number))

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))

    found = Counter((note.author, note.text) for note in store.newest_first())
    assert found == Counter((str(writer), str(number)) for writer in range(writers) for number in range(each))


def test_readers_never_see_a_half_finished_write(eagerly: Callable[[], None]) -> None:
    kept = 5
    store = NoteStore(kept)
    for _ in range(kept):
        store.add("Ada", "before")
    together = Barrier(4, eagerly)

    def write() -> set[int]:
        together.wait()
        for _ in range(500):
            store.add("Ada", "during")
        return {kept}

    def read() -> set[int]:
        together.wait()
        return {len(store.newest_first()) for _ in range(1000)}

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(work) for work in (write, read, write, read)]
    # A write adds a note and then removes one: between the two there would be one too many.
    assert {count for result in results for count in result.result()} == {kept}
