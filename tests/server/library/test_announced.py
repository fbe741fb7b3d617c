"""A tap without audio is known again after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.audio import Outcome
from server.library.announced import AnnouncedTap, read_announced
from tests.server.library.builders import HOSTILE, NOON


def a_tap(name: str = "call-1") -> AnnouncedTap:
    return AnnouncedTap(
        id="20261122T120000123Z-abcdefgh",
        control_id="c",
        call_id=name,
        node_id=name,
        direction="both",
        transport="ws",
        origin="relay",
        created_at=NOON,
        from_number=name,
        to_number=name,
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_kept_is_read_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tap"
    a_tap(name).write(path)
    assert read_announced(path) == a_tap(name)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"id": 5}', b"[" * 100_000])
def test_a_damaged_one_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tap"
    path.write_bytes(data)
    assert read_announced(path) is None
    assert read_announced(tmp_path / "b.tap") is None


def test_its_document_says_that_no_audio_came_before_the_end() -> None:
    document = a_tap().interrupted()
    assert (document.state, document.has_audio) == (Outcome.MISSING, False)
    assert document.verdict.reason == (
        "This server ended while the tap waited for audio (interrupted)."
    )
    assert document.started_at == NOON
