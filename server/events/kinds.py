"""The kinds of events, by the names that they have on the stream.

Pure: no input or output, no clock.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Kind = Literal[
    "tap.began",
    "tap.state",
    "tap.paused",
    "tap.resumed",
    "tap.warning",
    "tap.ended",
    "recording.announced",
    "recording.began",
    "recording.finished",
    "recording.annotated",
    "recording.deleted",
    "recording.restored",
    "forward.state",
    "forward.reply",
    "forward.removed",
]
"""Of what is kept for a while, so that nobody misses it who comes back soon."""

PassingKind = Literal["levels", "tap.progress"]
"""Of what is told while it is true, to those who ask for it, and not kept."""

SNAPSHOT: Final = "snapshot"
MISSED: Final = "missed"
"""The two that belong to one listener alone; they come whatever it asked for."""

KINDS: Final[tuple[str, ...]] = get_args(Kind)
FAMILIES: Final = tuple(dict.fromkeys(kind.partition(".")[0] for kind in KINDS))
"""What comes before the dot; names all of its kinds at once."""
