"""Taps of which there is no audio yet, noted so that a crash forgets none of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.audio import Outcome
from server.library.fields import FieldError, Fields, JsonObject, time_text
from server.library.recording import Recording, Verdict

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedTap:
    """What is known of a tap before its audio comes."""

    id: str
    """Of the document that it ends as, if no audio ever comes."""
    control_id: str
    call_id: str
    node_id: str
    direction: str
    transport: str
    origin: str
    created_at: datetime
    from_number: str = ""
    to_number: str = ""
    tags: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return it, ready for `json.dumps`."""
        return {
            "id": self.id,
            "control_id": self.control_id,
            "call_id": self.call_id,
            "node_id": self.node_id,
            "direction": self.direction,
            "transport": self.transport,
            "origin": self.origin,
            "created_at": time_text(self.created_at),
            "from": self.from_number,
            "to": self.to_number,
            "tags": list(self.tags),
        }

    def write(self, path: Path) -> None:
        """Keep it at `path`.

        Raises:
            OSError: The disk refuses.
        """
        path.write_bytes(json.dumps(self.to_json()).encode("ascii") + b"\n")

    def interrupted(self) -> Recording:
        """Return the document of one that was still waiting when a server ended."""
        reason = "This server ended while the tap waited for audio (interrupted)."
        return Recording(
            id=self.id,
            call_id=self.call_id,
            node_id=self.node_id,
            control_id=self.control_id,
            direction=self.direction,
            transport=self.transport,
            origin=self.origin,
            started_at=self.created_at,
            has_audio=False,
            state=Outcome.MISSING,
            verdict=Verdict(False, reason),
            end_reason="interrupted",
            from_number=self.from_number,
            to_number=self.to_number,
            tags=self.tags,
        )


def read_announced(path: Path) -> AnnouncedTap | None:
    """Return what `AnnouncedTap.write` kept; None if it is damaged or gone.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            fields = Fields(json.loads(file.read(MAX_BYTES)))
        return AnnouncedTap(
            id=fields.text("id"),
            control_id=fields.text("control_id"),
            call_id=fields.text("call_id"),
            node_id=fields.text("node_id"),
            direction=fields.text("direction"),
            transport=fields.text("transport"),
            origin=fields.text("origin"),
            created_at=fields.time("created_at"),
            from_number=fields.text("from", ""),
            to_number=fields.text("to", ""),
            tags=fields.text_list("tags"),
        )
    except (FileNotFoundError, FieldError, ValueError, RecursionError):
        return None
