"""What happens to taps, recordings and forwards, told as events.

Taps are told of by the deck, forwards by their roster, recordings by the deck while
they are made and by the library when they are there. Each event says everything about
what it is about, in the words of the API, so that nobody has to ask.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from server.audio import AudioWarning, StreamInfo
from server.events.hub import EventHub
from server.events.kinds import Kind
from server.library.announced import AnnouncedTap
from server.library.fields import JsonObject, time_text
from server.library.recording import Recording
from server.library.rows import abridged
from server.library.store import LibraryChange
from server.log import LineBudget
from server.taps.status import ForwardStatus, TapStatus
from server.transports.http_json import forward_json, tap_json

log = logging.getLogger(__name__)

MAX_REPLIES_A_SECOND = 50
"""Of one forward: what it is answered is up to others. The rest is counted."""

_LIBRARY_KINDS: Final[dict[LibraryChange, Kind]] = {
    "published": "recording.finished",
    "annotated": "recording.annotated",
    "deleted": "recording.deleted",
    "restored": "recording.restored",
}


@dataclass(slots=True)
class _Replies:
    """How many replies of a forward may be told of, and how many were not."""

    budget: LineBudget = field(default_factory=lambda: LineBudget(MAX_REPLIES_A_SECOND))
    left_out: int = 0


class News:
    """Tells the listeners of one server.

    Everything but `library_changed` belongs to the event loop.
    """

    def __init__(self, hub: EventHub) -> None:
        self.hub = hub
        self._replies: dict[str, _Replies] = {}
        """By forward id, of those that go on."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take what threads tell to this loop; until then it is not told."""
        self._loop = loop

    def tap(self, kind: Kind, status: TapStatus) -> None:
        """Tell what a tap is now."""
        self._tell(kind, status.control_id, lambda: {"tap": tap_json(status)})

    def tap_warned(
        self, status: TapStatus, info: StreamInfo, warning: AudioWarning
    ) -> None:
        """Tell that a track sounds wrong, or right again."""

        def describe() -> JsonObject:
            return {"tap": tap_json(status), "warning": _warning_json(info, warning)}

        self._tell("tap.warning", status.control_id, describe)

    def recording_announced(self, record: AnnouncedTap) -> None:
        """Tell under which id a tap will be known if no audio ever comes."""

        def describe() -> JsonObject:
            return {"recording": record.to_json()}

        self._tell("recording.announced", record.control_id, describe)

    def recording_began(self, info: StreamInfo, *, is_resumed: bool) -> None:
        """Tell that a track is being written."""

        def describe() -> JsonObject:
            return {"recording": _begun_json(info, is_resumed)}

        self._tell("recording.began", info.control_id, describe)

    def library_changed(
        self, change: LibraryChange, recording_id: str, recording: Recording | None
    ) -> None:
        """Tell what became of a recording; may be called by any thread."""
        loop, kind = self._loop, _LIBRARY_KINDS[change]
        if loop is None:
            return
        told: dict[str, object] = {"recording_id": recording_id}
        if change != "deleted" and recording is not None:
            told["recording"] = abridged(recording).to_json()
        # Written out here: the loop has better things to do.
        text = event_text(told)
        control_id = "" if recording is None else recording.control_id
        # What goes on in a thread while the server ends has nobody to be told to.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self.hub.publish, kind, control_id, text)

    def forward_changed(self, control_id: str, status: ForwardStatus) -> None:
        """Tell that a forward is in another state."""
        if status.state in ("ended", "failed"):
            self._replies.pop(status.forward_id, None)
        self._tell_forward("forward.state", control_id, status)

    def forward_removed(self, control_id: str, status: ForwardStatus) -> None:
        """Tell that somebody took a forward away."""
        self._replies.pop(status.forward_id, None)
        self._tell_forward("forward.removed", control_id, status)

    def forward_replied(self, control_id: str, forward_id: str, text: str) -> None:
        """Tell what the other end of a forward said."""
        replies = self._replies.setdefault(forward_id, _Replies())
        if not replies.budget.take(time.monotonic()):
            replies.left_out += 1
            return
        left_out, replies.left_out = replies.left_out, 0

        def describe() -> JsonObject:
            about = {"control_id": control_id, "forward_id": forward_id}
            return {**about, "text": text, "left_out": left_out}

        self._tell("forward.reply", control_id, describe)

    def _tell_forward(self, kind: Kind, control_id: str, status: ForwardStatus) -> None:
        def describe() -> JsonObject:
            return {"control_id": control_id, "forward": forward_json(status)}

        self._tell(kind, control_id, describe)

    def _tell(self, kind: Kind, about: str, describe: Callable[[], JsonObject]) -> None:
        try:
            self.hub.publish(kind, about, event_text(describe()))
        except Exception:
            # A mistake of ours in what is told must not cost a recording anything.
            log.exception("%s was not told", kind)


def _warning_json(info: StreamInfo, warning: AudioWarning) -> JsonObject:
    rate = info.sample_rate
    return {
        "name": warning.name.value,
        "recording_id": info.recording_id,
        "sentence": warning.sentence,
        "start_s": round(warning.start / rate, 3),
        "end_s": None if warning.end is None else round(warning.end / rate, 3),
    }


def _begun_json(info: StreamInfo, is_resumed: bool) -> JsonObject:
    """Return what is known of a recording from its beginning, as its document says."""
    return {
        "id": info.recording_id,
        "call_id": info.call_id,
        "node_id": info.node_id,
        "control_id": info.control_id,
        "direction": info.direction,
        "transport": info.transport,
        "origin": info.origin,
        "track": info.track,
        "codec": info.codec.value,
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "started_at": time_text(datetime.fromtimestamp(info.started_at, UTC)),
        "from": info.from_number,
        "to": info.to_number,
        "tags": list(info.tags),
        "resumed": is_resumed,
    }


def event_text(document: JsonObject) -> str:
    """Return what an event says, and when that was, as JSON."""
    return json.dumps({"at": time_text(datetime.now(UTC)), **document})
