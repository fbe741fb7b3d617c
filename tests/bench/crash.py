"""Kills a server with live taps again and again and looks at what is left each time.

    python -m tests.bench.crash --runs 300 --taps 20

Each server that is started finishes what the one before it left, while it has taps of
its own. Ends with 1 if more than a second of a tap was lost, a file cannot be read by
soundfile, sox or ffprobe, a sample differs from what was sent, or a verdict is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.killing import (
    KilledServer,
    Outcome,
    TapLog,
    judge,
    killed_server,
)
from tests.e2e.rig import until

SHORTEST_S = 0.05
LONGEST_S = 3.5
"""From the calls to the kill: taps are asked for, begin, and go on."""


class Totals:
    """What all runs came to."""

    def __init__(self) -> None:
        self.runs = 0
        self.losses_s: list[float] = []
        self.violations: list[str] = []
        self.documents = 0
        self.without_audio = 0

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.losses_s += outcome.losses_s
        self.violations += outcome.violations
        self.documents += outcome.documents
        self.without_audio += outcome.without_audio
        worst = max(outcome.losses_s, default=0.0)
        print(  # noqa: T201
            f"run {self.runs}: {outcome.documents} documents, "
            f"{outcome.without_audio} without audio, worst loss {worst:.3f} s",
            *outcome.violations,
            sep="\n    ",
            flush=True,
        )

    def __str__(self) -> str:
        losses = sorted(self.losses_s) or [0.0]
        return (
            f"{self.runs} runs, {self.documents} documents "
            f"({self.without_audio} without audio), "
            f"loss median {losses[len(losses) // 2]:.3f} s, "
            f"worst {losses[-1]:.3f} s, {len(self.violations)} violations"
        )


async def run_all(directory: Path, runs: int, taps: int, seed: int) -> Totals:
    """Kill so many servers."""
    chance, totals = random.Random(seed), Totals()
    async with killed_server(directory) as server:
        await server.start()
        for _ in range(runs):
            killed_at, logs = await _live(server, taps, chance)
            leftovers = server.leftovers()
            await server.start()
            await until(lambda ids=leftovers: not ids & server.leftovers(), 60)  # type: ignore[misc]
            totals.add(await _look(server, killed_at, logs, leftovers))
    return totals


async def _live(
    server: KilledServer, taps: int, chance: random.Random
) -> tuple[float, list[TapLog]]:
    server.begin(websockets=taps - taps // 2, rtp=taps // 2)
    await asyncio.sleep(chance.uniform(SHORTEST_S, LONGEST_S))
    return await server.kill()


async def _look(
    server: KilledServer, killed_at: float, logs: list[TapLog], leftovers: set[str]
) -> Outcome:
    recordings = server.recordings(leftovers)
    outcome = await asyncio.to_thread(
        judge, server.directory, killed_at, logs, recordings
    )
    if "Traceback" in server.log:
        outcome.violations.append(server.log)
    for path in server.directory.glob("20*"):
        # Nothing of it is asked for again, and a full disk is another test.
        shutil.rmtree(path)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--taps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        totals = asyncio.run(
            run_all(Path(folder), arguments.runs, arguments.taps, arguments.seed)
        )
    print(f"{totals}, {time.monotonic() - began:.0f} s")  # noqa: T201
    return 1 if totals.violations else 0


if __name__ == "__main__":
    sys.exit(main())
