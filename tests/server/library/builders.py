"""Recordings for tests: a document, and audio that fits it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import soundfile

from server.audio import Outcome
from server.library.recording import Recording, Verdict
from server.library.store import Library

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)

HOSTILE = (
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/passwd",
    "a\x00b.wav",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "\r\nSet-Cookie: a=b",
    "\u202egnp.exe",
    "\ud800",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "{{7*7}}${7*7}",
    "'; DROP TABLE recordings;--",
    "x" * 5000,
)
"""Names as an attacker would choose them."""


def recording(recording_id: str, **changes: Any) -> Recording:
    """Return a complete recording of 0.1 s, with what a test wants different."""
    fields: dict[str, Any] = {
        "id": recording_id,
        "call_id": "call-1",
        "node_id": "node-1",
        "control_id": "tap-1",
        "direction": "both",
        "transport": "ws",
        "codec": "PCMU",
        "sample_rate": 8000,
        "channels": 1,
        "started_at": NOON,
        "duration_s": 0.1,
        "samples": 800,
        "state": Outcome.COMPLETE,
        "verdict": Verdict(True, "every packet arrived"),
        "from_number": "+15550100",
        "to_number": "+15550199",
    }
    return Recording(**(fields | changes))


def write_partial(library: Library, recording_id: str, samples: int = 800) -> None:
    """Write the audio of a recording where it is before it is published."""
    path = library.partial_path(recording_id)
    soundfile.write(str(path), np.arange(samples, dtype=np.int16), 8000, format="WAV")


def publish(library: Library, *, minutes: float = 0, **changes: Any) -> Recording:
    """Publish a recording that started some minutes after noon."""
    started_at = NOON + timedelta(minutes=minutes)
    recording_id = library.new_id(started_at)
    write_partial(library, recording_id)
    return library.publish(recording(recording_id, started_at=started_at, **changes))
