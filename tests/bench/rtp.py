"""The RTP part of the benchmark: receivers side by side, and every sample checked.

    python -m tests.bench.rtp [--taps N] [--seconds S] [--only KIND] ...

Exits with 1 if a sample of Tapdeck's is wrong or lost, never for a time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.rtp_check import Finding, check_files
from tests.bench.rtp_load import LoadPlan, LoadResult, RtpLoad
from tests.bench.rtp_receivers import Snapshot, installed

LOAD_CORE = 1
ANSWER_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 120.0
SETTLE_S = 1.0
"""After the last tap began and before the first one ends, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one receiver did with one plan."""

    receiver: str
    plan: LoadPlan
    begin: Snapshot
    """When all taps were live."""
    end: Snapshot
    """Just before the first of them ended."""
    after: Snapshot
    """When all were over."""
    seconds: float
    """Between begin and end."""
    idle_bytes: int
    """Memory of the receiver before the first tap."""
    load: LoadResult
    finding: Finding | None
    """What its files hold, if they were looked at."""

    @property
    def packets(self) -> float:
        """Packets between begin and end."""
        counted = self.end.packets - self.begin.packets
        return counted or self.plan.taps * self.seconds * 1000 / self.plan.ptime

    @property
    def cpu_us(self) -> float:
        """CPU a packet."""
        return (self.end.cpu_s - self.begin.cpu_s) / self.packets * 1e6

    @property
    def core_share(self) -> float:
        """How much of the core was used."""
        return (self.end.cpu_s - self.begin.cpu_s) / self.seconds

    @property
    def taps_per_core(self) -> int:
        """Taps that one core would carry if all of it could be used."""
        return int(self.plan.ptime * 1000 / self.cpu_us)

    @property
    def kb_per_tap(self) -> float:
        """Memory a tap, above the idle receiver."""
        return (self.end.memory_bytes - self.idle_bytes) / self.plan.taps / 1000

    @property
    def writes_per_tap_second(self) -> float:
        """Write calls a tap and second."""
        calls = self.end.writes - self.begin.writes
        return calls / self.plan.taps / self.seconds


class Receiver:
    """A receiver process."""

    def __init__(self, kind: str, folder: Path, streams: int) -> None:
        command = [sys.executable, "-m", "tests.bench.rtp_receivers"]
        self._process = subprocess.Popen(
            [*command, kind, str(folder), str(streams)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports: list[int] = self._answer()["ports"]

    def snapshot(self) -> Snapshot:
        """Ask how it is doing."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Snapshot(**self._answer())

    def stop(self) -> None:
        """End it, and wait until it has finished what it was doing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(FINISH_TIMEOUT_S)
        self._process.stdout.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def measure(kind: str, plan: LoadPlan) -> Row:
    """Let one receiver take a whole plan."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-bench-") as name:
        folder = Path(name)
        receiver = Receiver(kind, folder, plan.taps)
        time.sleep(SETTLE_S)
        idle = receiver.snapshot()
        results: multiprocessing.SimpleQueue[LoadResult] = multiprocessing.SimpleQueue()
        load = multiprocessing.Process(
            target=send_plan, args=(plan, receiver.ports, results)
        )
        load.start()
        results.get()
        started = time.monotonic()
        time.sleep(plan.ramp_s + SETTLE_S)
        begin, begun_at = receiver.snapshot(), time.monotonic()
        time.sleep(started + plan.seconds - SETTLE_S - time.monotonic())
        end, ended_at = receiver.snapshot(), time.monotonic()
        result = results.get()
        load.join()
        after = _settled(receiver)
        receiver.stop()
        finding = check_files(folder, plan) if kind == "tapdeck" else None
        return Row(
            receiver=kind,
            plan=plan,
            begin=begin,
            end=end,
            after=after,
            seconds=ended_at - begun_at,
            idle_bytes=idle.memory_bytes,
            load=result,
            finding=finding,
        )


def _settled(receiver: Receiver) -> Snapshot:
    deadline = time.monotonic() + FINISH_TIMEOUT_S
    while True:
        snapshot = receiver.snapshot()
        if not snapshot.taps or time.monotonic() > deadline:
            return snapshot
        time.sleep(0.5)


def send_plan(
    plan: LoadPlan,
    ports: Sequence[int],
    results: multiprocessing.SimpleQueue[LoadResult],
) -> None:
    """Send a whole plan from a core of its own; for another process."""
    os.sched_setaffinity(0, {LOAD_CORE})
    load = RtpLoad(plan, ports)
    # The first result only says that it is about to begin.
    results.put(LoadResult(0, 0.0, 0, 0.0))
    results.put(load.run())
    load.close()


def tell(row: Row) -> str:
    """Return what is to be read on a terminal."""
    plan, end = row.plan, row.end
    text = (
        f"{row.receiver:9} {plan.taps:5} taps x {plan.ptime:2} ms: "
        f"{row.cpu_us:7.2f} us/packet, core {row.core_share:4.0%}, "
        f"{row.taps_per_core:6} taps/core, dropped {row.after.dropped}, "
        f"{row.kb_per_tap:6.1f} kB/tap"
    )
    if end.lag_max_ms:
        text += f", lag p99 {end.lag_p99_ms:.1f} max {end.lag_max_ms:.1f} ms"
    if end.writes:
        text += f", {row.writes_per_tap_second:.2f} writes/tap/s"
    if row.finding is not None:
        text += f", {row.finding}"
    return (
        text + f"  [load: {row.load.cpu_s / row.load.seconds:.0%} of a core, "
        f"{row.load.behind} late]"
    )


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--taps", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--ramp", type=float, default=8)
    parser.add_argument("--ptime", type=int, default=20)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--reorder", type=float, default=0)
    parser.add_argument("--only", action="append", choices=installed())
    arguments = parser.parse_args()
    for kind in arguments.only or installed():
        plan = LoadPlan(
            taps=arguments.taps,
            seconds=arguments.seconds,
            ramp_s=arguments.ramp,
            ptime=arguments.ptime,
            loss=arguments.loss,
            reorder=arguments.reorder,
        )
        row = measure(kind, plan)
        sys.stdout.write(f"{tell(row)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
