"""Which tracks become one recording, and when they do.

The tracks of one tap belong together, and so do two taps of one call of which one is
what the party says and the other what it hears, if they overlap. Each track is written
to a file of its own; when the last tap is over, the files become the channels of one.
What cannot be joined (other rates, one side without audio) is published as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from server.library.joined import fit_together
from server.library.recording import Recording
from server.library.store import Library
from server.sinks.disk import until_kept
from server.sinks.joining import join
from server.taps.tap import Tap, TapDirection

log = logging.getLogger(__name__)

_SIDES = frozenset({TapDirection.SPEAK, TapDirection.LISTEN})


@dataclass(slots=True, eq=False)
class _Group:
    """Taps whose tracks become one recording."""

    call_id: str
    live: dict[str, TapDirection] = field(default_factory=dict)
    """Taps that are not over, by control id."""
    sides: set[TapDirection] = field(default_factory=set)
    finished: list[Recording] = field(default_factory=list)
    """Tracks whose audio is complete, under `.partial`."""


class Pairing:
    """All taps that are not published yet, in their groups."""

    def __init__(
        self,
        library: Library,
        *,
        on_published: Callable[[Recording], None] = lambda _: None,
        on_joined: Callable[[Sequence[str], str], None] = lambda _ids, _into: None,
    ) -> None:
        self._library = library
        self._on_published = on_published
        self._on_joined = on_joined
        self._groups: dict[str, _Group] = {}
        """By the control id of each live tap."""

    def begin(self, tap: Tap) -> None:
        """Take in a tap that has just been announced or begun."""
        group = self._partner_of(tap) or _Group(tap.call_id)
        group.live[tap.control_id] = tap.direction
        group.sides.add(tap.direction)
        self._groups[tap.control_id] = group

    def partner(self, control_id: str) -> str | None:
        """Return the control id of the live tap of the call's other side."""
        group = self._groups.get(control_id)
        others = set() if group is None else group.live.keys() - {control_id}
        return next(iter(others), None)

    def finish(self, recording: Recording) -> None:
        """Take over a track whose audio is complete."""
        self._groups[recording.control_id].finished.append(recording)

    async def end(self, tap: Tap) -> None:
        """Let go of a tap all of whose tracks are finished; publish with the last one.

        A full disk is asked again and again.
        """
        group = self._groups.pop(tap.control_id)
        del group.live[tap.control_id]
        if group.live:
            for recording in group.finished:
                keep = partial(self._library.keep_draft, recording)
                await until_kept(keep, f"draft of {recording.id}")
        elif fit_together(group.finished):
            await self._join(group.finished)
        else:
            await self._publish_each(group.finished)

    def _partner_of(self, tap: Tap) -> _Group | None:
        """Return the group of the other side of the same call, if there is one."""
        if not tap.call_id or tap.direction not in _SIDES:
            return None
        for group in self._groups.values():
            is_open = group.sides < _SIDES and tap.direction not in group.sides
            if group.call_id == tap.call_id and is_open:
                return group
        return None

    async def _join(self, recordings: Sequence[Recording]) -> None:
        ids = [recording.id for recording in recordings]
        make = partial(join, self._library, recordings)
        try:
            whole = await until_kept(make, f"recording of {len(ids)} tracks")
        except ValueError as error:
            log.error("%s stay apart: %s", " and ".join(ids), error)
            await self._publish_each(recordings)
            return
        log.info("recording %s is made of %s", whole.id, ", ".join(ids))
        self._on_joined(ids, whole.id)
        self._published(whole)

    async def _publish_each(self, recordings: Sequence[Recording]) -> None:
        for recording in recordings:
            publish = partial(self._library.publish, recording)
            self._published(await until_kept(publish, f"recording {recording.id}"))

    def _published(self, recording: Recording) -> None:
        self._on_published(recording)
