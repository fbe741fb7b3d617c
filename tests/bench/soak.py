"""Half a load for a long time: `python -m tests.bench.soak [--minutes 10]`.

Prints, twice a minute, what the server needs: memory and the lag of its event loop have
to stay where they are. Exits with 1 if a sample is wrong or lost, never for a time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.bench.rtp import FINISH_TIMEOUT_S, SETTLE_S, Receiver, send_plan
from tests.bench.rtp_check import check_files
from tests.bench.rtp_load import LoadPlan, LoadResult
from tests.bench.rtp_receivers import Snapshot

INTERVAL_S = 30.0


def main() -> int:
    """Run from a command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak")
    parser.add_argument("--taps", type=int, default=1500)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    plan = LoadPlan(
        taps=options.taps, seconds=60 * options.minutes, ramp_s=options.taps / 150
    )
    with tempfile.TemporaryDirectory(prefix="tapdeck-soak-") as name:
        return int(not _soak(Path(name), plan))


def _soak(folder: Path, plan: LoadPlan) -> bool:
    """Run the plan; return whether every file is exactly what was sent."""
    receiver = Receiver("tapdeck", folder, plan.taps)
    results: multiprocessing.SimpleQueue[LoadResult] = multiprocessing.SimpleQueue()
    load = multiprocessing.Process(
        target=send_plan, args=(plan, receiver.ports, results)
    )
    load.start()
    results.get()
    time.sleep(plan.ramp_s + SETTLE_S)
    _watch(receiver, plan)
    results.get()
    load.join()
    deadline = time.monotonic() + FINISH_TIMEOUT_S
    while (last := receiver.snapshot()).taps and time.monotonic() < deadline:
        time.sleep(1)
    receiver.stop()
    finding = check_files(folder, plan)
    Console().print(f"dropped {last.dropped}; {finding}")
    return finding.is_exact and not last.dropped


def _watch(receiver: Receiver, plan: LoadPlan) -> None:
    """Print how it is doing while all taps are live."""
    console = Console()
    seconds = plan.seconds - plan.ramp_s - 2 * SETTLE_S
    before, before_at = receiver.snapshot(), time.monotonic()
    end_at = before_at + seconds
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("soak", total=seconds)
        while (left := end_at - time.monotonic()) > 1:
            time.sleep(min(INTERVAL_S, left))
            now, now_at = receiver.snapshot(), time.monotonic()
            console.print(_line(plan, before, now, now_at - before_at))
            progress.advance(task, now_at - before_at)
            before, before_at = now, now_at


def _line(plan: LoadPlan, before: Snapshot, now: Snapshot, seconds: float) -> str:
    packets = now.packets - before.packets
    cpu_us = (now.cpu_s - before.cpu_s) / max(packets, 1) * 1e6
    return (
        f"{plan.taps} taps: {cpu_us:.2f} us/packet, {now.memory_bytes / 1e6:.0f} MB, "
        f"lag p99 {now.lag_p99_ms:.1f} max {now.lag_max_ms:.1f} ms, "
        f"dropped {now.dropped}, "
        f"{(now.writes - before.writes) / plan.taps / seconds:.2f} writes/tap/s"
    )


if __name__ == "__main__":
    sys.exit(main())
