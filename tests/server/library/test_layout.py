"""Names and places of recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.library.layout import Layout, is_recording_id, make_id
from tests.server.library.builders import HOSTILE, NOON

moments = st.datetimes(timezones=st.just(UTC))


@given(moments)
def test_an_id_is_valid_and_safe_in_urls(moment: datetime) -> None:
    recording_id = make_id(moment)

    assert is_recording_id(recording_id)
    assert quote(recording_id, safe="") == recording_id


@given(moments, moments)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))

    if later - earlier >= timedelta(milliseconds=1):
        assert make_id(earlier) < make_id(later)


def test_an_id_is_of_utc_whatever_zone_the_time_is_in() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-7)))

    assert make_id(there).startswith("20261122T120000123Z-")


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "",
        "20261122T120000123Z-abcdefgh\n",
        "20261122T120000123Z-ABCDEFGH",
        "20261322T120000123Z-abcdefgh",
        "20261100T120000123Z-abcdefgh",
        "20261122T120000123Z-abcdefg",
        "\u0662\u0660\u0662\u06661122T120000123Z-abcdefgh",
    ],
)
def test_nothing_else_is_an_id_or_becomes_a_path(text: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path)

    assert not is_recording_id(text)
    for place in (layout.partial, layout.audio, layout.document):
        with pytest.raises(ValueError, match="not a recording id"):
            place(text)


def test_every_file_has_its_place(tmp_path: Path) -> None:
    layout, one = Layout(tmp_path), "20261122T120000123Z-abcdefgh"

    assert layout.audio(one) == tmp_path / "2026/11/22" / f"{one}.wav"
    assert layout.document(one) == tmp_path / "2026/11/22" / f"{one}.json"
    assert layout.partial(one) == tmp_path / ".partial" / f"{one}.wav"


def test_only_files_in_their_place_are_found(tmp_path: Path) -> None:
    layout, one = Layout(tmp_path), "20261122T120000123Z-abcdefgh"
    for name in (
        f"2026/11/22/{one}.json",
        f"2026/11/22/{one}.wav",
        "2026/11/22/notes.json",
        "2026/11/23/20261122T120000123Z-zzzzzzzz.json",
        ".partial/20261122T120000123Z-yyyyyyyy.wav",
        ".partial/other.wav",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert layout.ids(".json") == {one}
    assert layout.ids(".wav") == {one}
    assert layout.partial_ids() == ["20261122T120000123Z-yyyyyyyy"]


def test_days_are_the_folders_that_may_hold_recordings(tmp_path: Path) -> None:
    for name in ("2026/11/22", "2026/13/01", "abcd/11/22", "2026/11/xx", ".partial"):
        (tmp_path / name).mkdir(parents=True)
    layout = Layout(tmp_path)

    assert layout.days() == {"20261122"}
    assert layout.folder("20261122") == tmp_path / "2026/11/22"


def test_a_day_has_the_ids_of_its_files_in_their_place(tmp_path: Path) -> None:
    one, other = "20261122T120000123Z-abcdefgh", "20261122T120000123Z-bbbbbbbb"
    elsewhere = "20261123T120000123Z-abcdefgh"
    names = [f"{one}.wav", f"{one}.json", f"{one}.flac", f"{other}.json", "x.wav"]
    folder = tmp_path / "2026/11/22"
    folder.mkdir(parents=True)
    for name in [*names, f"{elsewhere}.wav", "20261122T120000123Z-cccccccc.opus"]:
        (folder / name).touch()

    assert Layout(tmp_path).day_ids("20261122") == {one, other}
