"""Simulated calls to be seen on the pages: voices, and what can go wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from relay_client.simulator import CallRequest, MediaOptions
from tests.voices import voice

RATE = 8000
LONGEST_S = 24.0
DESK = "+15550142000"


def calls(folder: Path) -> Iterator[tuple[str, CallRequest]]:
    """Yield the transport of each call, and the call.

    Args:
        folder: Where to write what the parties say.
    """
    caller, desk = write_talk(folder)
    plans: list[tuple[str, float, MediaOptions]] = [
        ("rtp", 24, MediaOptions(loss=2, dtmf="4711", dtmf_at=9, dtx=((15, 2.2),))),
        ("ws", 13, MediaOptions()),
        ("rtp", 9, MediaOptions()),
        ("ws", 17, MediaOptions(pace="stall", stall_at=6, stall_for=2)),
        ("rtp", 6, MediaOptions(ssrcs="changing", ssrc_change_at=3)),
        ("ws", 21, MediaOptions()),
        ("rtp", 11, MediaOptions(loss=8)),
    ]
    for number, (transport, seconds, media) in enumerate(plans):
        yield (
            transport,
            CallRequest(
                from_number=f"+1555012{3407 + number * 611}",
                to_number=DESK,
                speak=str(caller),
                listen=str(desk),
                seconds=seconds,
                media=media,
                seed=number,
            ),
        )


def write_talk(folder: Path) -> tuple[Path, Path]:
    """Write two voices that take turns, each to a file."""
    paths = (folder / "caller.wav", folder / "desk.wav")
    turns = _turns()
    for side, (path, pitch) in enumerate(zip(paths, (118.0, 205.0), strict=True)):
        said = voice(LONGEST_S, RATE, pitch=pitch, peak=15_000 - 5000 * side, seed=side)
        is_turn = np.repeat(turns == side, RATE // 10)[: len(said)]
        soft = np.convolve(is_turn, np.ones(400) / 400, "same")
        soundfile.write(path, (said * soft).astype(np.int16), RATE)
    return paths


def _turns() -> np.ndarray:
    """Return whose turn it is in each tenth of a second: 0, 1 or nobody's, 2."""
    chance = np.random.default_rng(4)
    found: list[int] = []
    side = 1
    while len(found) < LONGEST_S * 10:
        found += [side] * int(chance.integers(12, 38))
        found += [2] * int(chance.integers(2, 9))
        side = 1 - side
    return np.array(found)
