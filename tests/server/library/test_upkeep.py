"""Turns at a library on a real disk."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from server.library import upkeep as module
from server.library.annotation import Annotation
from server.library.index import RecordingQuery
from server.library.retention import Cause, Deletion, RetentionRules
from server.library.rows import ms_of
from server.library.store import Library
from server.library.upkeep import Upkeep, carry_out, disk_facts, walk
from tests.server.library.builders import NOON, publish

DAY = 24 * 60


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path)
    library.open()
    return library


def upkeep(library: Library, days_later: float = 0, **rules: object) -> Upkeep:
    now_ms = ms_of(NOON + timedelta(days=days_later, minutes=1))
    return Upkeep(library, RetentionRules(**rules), lambda: now_ms)  # type: ignore[arg-type]


def listed(library: Library) -> list[str]:
    return [one.id for one in library.list(RecordingQuery()).items]


def test_what_is_too_old_goes_with_all_its_files_and_says_why(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    old, young = publish(library), publish(library, minutes=DAY)
    folder = library.root / "2026/11/22"
    (folder / f"{old.id}.flac").write_bytes(b"copy")
    (folder / f"{old.id}.opus").write_bytes(b"copy")

    with caplog.at_level(logging.INFO):
        (gone,) = upkeep(library, 1, days=1).turn()

    assert (gone.id, gone.cause) == (old.id, Cause.AGE)
    assert f"deleted {old.id}: older than 1 day" in caplog.text
    assert list(folder.iterdir()) == []
    assert listed(library) == [young.id]


def test_what_is_on_hold_stays(library: Library) -> None:
    held = publish(library)
    library.annotate(held.id, Annotation(legal_hold=True))

    assert upkeep(library, 99, days=1, max_bytes=1).turn() == []
    assert listed(library) == [held.id]


def test_a_hold_that_came_after_the_plan_counts(library: Library) -> None:
    held = publish(library)
    library.annotate(held.id, Annotation(legal_hold=True))

    assert not carry_out(library, Deletion(held.id, Cause.AGE, "old", 1))
    assert library.audio_path(held.id) is not None


def test_the_oldest_make_room(library: Library) -> None:
    kept = [publish(library, minutes=minute) for minute in range(4)]
    used = disk_facts(library).used_bytes

    gone = upkeep(library, max_bytes=used // 2).turn()

    assert [one.id for one in gone] == [one.id for one in kept[:2]]
    assert {one.cause for one in gone} == {Cause.SIZE}


def test_the_size_is_that_of_every_file(library: Library) -> None:
    kept = publish(library)
    folder = library.root / "2026/11/22"
    (folder / f"{kept.id}.flac").write_bytes(bytes(1000))
    library.tend()

    files = sum(path.stat().st_size for path in folder.iterdir())
    assert disk_facts(library).used_bytes == files


def test_a_full_disk_costs_the_oldest(library: Library) -> None:
    old = publish(library)
    free = disk_facts(library).free_bytes

    (gone,) = upkeep(library, min_free_bytes=free * 2).turn()

    assert (gone.id, gone.cause) == (old.id, Cause.SPACE)


def test_a_turn_deletes_only_so_many(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DELETED", 2)
    kept = [publish(library, minutes=minute) for minute in range(5)]
    one = upkeep(library, 2, days=1)
    turns: list[list[str]] = []
    while not turns or one.is_behind:
        turns.append([each.id for each in one.turn()])

    ids = [each.id for each in kept]
    assert turns == [ids[:2], ids[2:4], ids[4:]]


def test_what_is_kept_for_its_tags_is_not_judged_every_time(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOOKED_AT", 3)
    for minute in range(4):
        publish(library, minutes=minute, tags=("evidence",))
    due = publish(library, minutes=9)
    one = upkeep(library, 2, days=1, tag_days={"evidence": None})

    first, was_behind = one.turn(), one.is_behind
    second = one.turn()

    assert (first, was_behind) == ([], True)
    assert [each.id for each in second] == [due.id]
    assert not one.is_behind


def test_an_index_that_is_deleted_comes_back_before_anything_goes(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(library)
    for path in library.root.glob(".index.sqlite*"):
        path.unlink()
    one = upkeep(library, 2, days=1)
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    assert one.turn() == []
    assert one.is_behind

    monkeypatch.setattr(module, "PATIENCE_S", 60.0)
    assert [each.id for each in one.turn()] == [kept.id]


def test_walking_goes_through_everything_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    kept = [publish(library, minutes=minute, tags=("b", "a")) for minute in range(5)]

    walked = list(walk(library))

    assert [one.id for one in walked] == [one.id for one in kept]
    assert walked[0].tags == ("a", "b")
    assert [one.id for one in walk(library, walked[2].key)] == [
        one.id for one in kept[3:]
    ]
