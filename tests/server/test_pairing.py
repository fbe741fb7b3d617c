"""Which tracks become one recording, and what happens where they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from server.library.recording import Recording
from server.pairing import Pairing
from server.taps.limits import TapLimits
from server.taps.tap import Tap, TapDirection, TapOrigin, Transport
from tests.server.sinks.test_joining import a_library, a_part
from tests.server.taps.test_tap import SilentSession


def a_tap(direction: TapDirection) -> Tap:
    return Tap(
        control_id=f"tap-{direction}",
        call_id="call-1",
        direction=direction,
        transport=Transport.WS,
        origin=TapOrigin.RELAY,
        session=SilentSession(),
        created_at=0.0,
        limits=TapLimits(),
    )


class Heard:
    """A pairing with two parts, and what it tells its owner."""

    def __init__(self, directory: Path) -> None:
        self.library = a_library(directory)
        self.published: list[Recording] = []
        self.joined: list[tuple[Sequence[str], str]] = []
        self.pairing = Pairing(
            self.library,
            on_published=self.published.append,
            on_joined=lambda ids, into: self.joined.append((ids, into)),
        )
        self.taps = [a_tap(TapDirection.SPEAK), a_tap(TapDirection.LISTEN)]
        self.parts = [
            a_part(self.library, tap.direction, np.ones(100, np.int16))
            for tap in self.taps
        ]
        for tap in self.taps:
            self.pairing.begin(tap)

    async def finish(self) -> None:
        for tap, part in zip(self.taps, self.parts, strict=True):
            self.pairing.finish(part)
            await self.pairing.end(tap)


async def test_both_sides_are_one_when_the_last_is_over(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    await heard.finish()
    (whole,) = heard.published
    assert whole.channels == 2
    assert heard.joined == [([part.id for part in heard.parts], whole.id)]


async def test_what_cannot_be_joined_is_published_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard(tmp_path)
    heard.library.partial_path(heard.parts[0].id).write_bytes(b"RIFF" + bytes(300))
    await heard.finish()
    assert [each.id for each in heard.published] == [part.id for part in heard.parts]
    assert not heard.joined
    assert "stay apart" in caplog.text
