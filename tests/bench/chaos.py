"""Recordings under faults at random: `python -m tests.bench.chaos --runs 500`.

Each run is one call with up to three faults of its media and one of its control, over
the real simulator and server; many go on at a time. Exits with 1 if any file lacks a
sample that was delivered, has one that was not, or lies about time. The same seed
chooses the same faults.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from relay_client import Call
from tests.e2e.chaos import ChaosCall, Judgement, any_call, judge
from tests.e2e.rig import Rig, rig, until

BATCH = 20
"""Calls at a time: what two cores carry beside their own simulator."""


async def run_batch(
    directory: Path, seed: int, calls: int
) -> list[tuple[ChaosCall, Judgement]]:
    """Record so many calls at once and judge each."""
    chance = random.Random(seed)
    chosen = [any_call(chance) for _ in range(calls)]
    async with rig(
        directory, tap_uri="ws://127.0.0.1:1/tap", reconnect_grace_s="10"
    ) as here:
        _tap_as_chosen(here, chosen)
        placed = [here.place(each.request) for each in chosen]
        await here.recordings(calls, timeout=90)
        await until(lambda: not here.server.deck.live, timeout=30)
        by_call = {each.call_id: each for each in here.finished()}
        recordings = [by_call[call.call_id] for call in placed]
        return [
            (each, judge(call, recording, here.audio(recording)))
            for each, call, recording in zip(chosen, placed, recordings, strict=True)
        ]


def _tap_as_chosen(here: Rig, chosen: list[ChaosCall]) -> None:
    """Have each call tapped over its own transport, which its seed tells."""
    tapper, relay = here.server.tapper, here.server.relay
    assert tapper is not None
    assert relay is not None
    seeds = {each.request.seed: each.transport for each in chosen}

    @relay.on_call
    async def handle(call: Call) -> None:
        placed = here.simulator.calls[call.call_id]
        await tapper.handle_call(call, transport=seeds[int(placed.seed)])


async def run_all(runs: int, seed: int) -> int:
    """Run so many calls; return how many had a problem."""
    console = Console()
    failed, worst_place_s, worst_length_s = 0, 0.0, 0.0
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("chaos", total=runs)
        for first in range(0, runs, BATCH):
            count = min(BATCH, runs - first)
            with tempfile.TemporaryDirectory(prefix="tapdeck-chaos-") as name:
                judged = await run_batch(Path(name), seed + first, count)
            for call, judgement in judged:
                worst_place_s = max(worst_place_s, judgement.worst_place_s)
                worst_length_s = max(worst_length_s, judgement.length_error_s)
                if judgement.problems:
                    failed += 1
                    faults = "; ".join(call.names)
                    console.print(f"{call.transport}: {faults}: {judgement.problems}")
            progress.advance(task, count)
    console.print(
        f"{runs} runs, seed {seed}: {failed} with a problem; worst place told by "
        f"arrival {worst_place_s * 1000:.0f} ms off, worst length "
        f"{worst_length_s * 1000:.0f} ms off"
    )
    return failed


def main() -> int:
    """Run from a command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.chaos")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return int(asyncio.run(run_all(options.runs, options.seed)) > 0)


if __name__ == "__main__":
    sys.exit(main())
