"""What is told of recordings by other threads, and of forwards that talk too much."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from server.audio import GapCause
from server.events.history import History
from server.events.hub import EventHub
from server.events.kinds import Kind
from server.library.annotation import Annotation
from server.library.recording import TimedGap
from server.library.rows import MAX_LISTED_GAPS
from server.library.store import Library
from server.news import MAX_REPLIES_A_SECOND, News
from server.taps.status import ForwardStatus
from tests.e2e.rig import until
from tests.schema import differences
from tests.server.library.builders import NOON, recording, write_partial


class Desk(EventHub):
    """News and what came of it."""

    def __init__(self) -> None:
        super().__init__(History("run"))
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.news = News(self)

    def publish(self, kind: Kind, control_id: str, data: str) -> None:
        self.told.append((kind, control_id, json.loads(data)))

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.told]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path)
    library.open()
    return library


async def test_what_threads_do_to_recordings_is_told_on_the_loop(
    library: Library,
) -> None:
    desk = Desk()
    desk.news.attach(asyncio.get_running_loop())
    library.on_change = desk.news.library_changed
    gaps = tuple(TimedGap(float(at), 0.1, GapCause.LOST) for at in range(300))
    first = recording(library.new_id(NOON), origin="relay", gaps=gaps)
    write_partial(library, first.id)

    await asyncio.to_thread(library.publish, first)
    note = Annotation(note="heard")
    await asyncio.to_thread(library.annotate, first.id, note)
    await asyncio.to_thread(library.annotate, first.id, note)
    for remove in (library.set_aside, library.delete):
        assert await asyncio.to_thread(remove, first.id)
        assert not await asyncio.to_thread(remove, first.id)
        await asyncio.to_thread(library.bring_back, first.id)
    await until(lambda: len(desk.told) >= 5)

    assert desk.kinds() == [
        "recording.finished",
        "recording.annotated",
        "recording.deleted",
        "recording.restored",
        "recording.deleted",
    ]
    for _, control_id, data in desk.told:
        assert control_id == first.control_id
        assert data["recording_id"] == first.id
        assert differences("RecordingEvent", data) == []
    finished, annotated, deleted, restored, _ = (data for _, _, data in desk.told)
    assert finished["recording"]["id"] == first.id
    assert len(finished["recording"]["gaps"]) == MAX_LISTED_GAPS
    assert annotated["recording"]["note"] == "heard"
    assert "recording" not in deleted
    assert restored["recording"] == annotated["recording"]


async def test_a_recording_whose_files_are_gone_is_told_of_by_its_id(
    library: Library,
) -> None:
    desk = Desk()
    desk.news.attach(asyncio.get_running_loop())
    one = library.publish(recording(library.new_id(NOON)), has_audio=False)
    library.layout.document(one.id).unlink()
    library.on_change = desk.news.library_changed
    assert library.delete(one.id)
    await until(lambda: bool(desk.told))
    ((kind, control_id, data),) = desk.told
    assert (kind, control_id, data["recording_id"]) == ("recording.deleted", "", one.id)


def test_what_a_thread_does_when_the_loop_is_gone_is_done_all_the_same(
    library: Library,
) -> None:
    desk = Desk()
    library.on_change = desk.news.library_changed
    one = library.publish(recording(library.new_id(NOON)), has_audio=False)
    loop = asyncio.new_event_loop()
    loop.close()
    desk.news.attach(loop)
    assert library.delete(one.id)
    assert desk.told == []


def test_a_forward_that_is_answered_too_much_is_told_of_in_part() -> None:
    desk = Desk()
    for number in range(10 * MAX_REPLIES_A_SECOND):
        desk.news.forward_replied("a", "f", str(number))
    told = [data for _, _, data in desk.told]
    assert MAX_REPLIES_A_SECOND <= len(told) < 10 * MAX_REPLIES_A_SECOND
    assert [each["text"] for each in told[:3]] == ["0", "1", "2"]
    assert all(differences("ReplyEvent", each) == [] for each in told)


@pytest.mark.parametrize("state", ["connecting", "ended"])
def test_states_of_forwards_are_told_as_the_api_shows_them(state: str) -> None:
    desk = Desk()
    status = ForwardStatus(
        forward_id="f",
        type="websocket",
        url="wss://example.com/***",
        framing="raw",
        state=state,
        error="it closed the connection",
    )
    desk.news.forward_changed("a", status)
    desk.news.forward_removed("a", status)
    assert desk.kinds() == ["forward.state", "forward.removed"]
    for _, control_id, data in desk.told:
        assert control_id == data["control_id"] == "a"
        assert data["forward"]["error"] == "it closed the connection"
        assert differences("ForwardEvent", data) == []


def test_a_mistake_in_what_is_told_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing(EventHub):
        def publish(self, kind: Kind, control_id: str, data: str) -> None:
            raise KeyError(kind)

    News(Refusing(History("run"))).forward_replied("a", "f", "a line")
    assert "forward.reply was not told" in caplog.text
