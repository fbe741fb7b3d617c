"""Forwards to bad destinations beside recorded taps: `python -m tests.bench.forwards`.

A real `tapdeck serve` records taps over RTP and forwards them to destinations that
refuse, never read, close every second, answer late and vanish (tests/e2e/destinations).
Prints what the forwards cost. Exits with 1 if a sample of a recording is wrong or lost,
a state is wrong in the API, or memory is beyond what the buffers allow; never for a
time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import resource
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import Progress, TaskID

from tests.bench.rtp import send_plan
from tests.bench.rtp_check import check_files
from tests.bench.rtp_load import LoadPlan, LoadResult
from tests.e2e.destinations import (
    KINDS,
    LONG_BUFFER_MS,
    Destinations,
    Forward,
    Stage,
    contradictions,
    destinations,
    is_as_told,
    request_for,
)
from tests.ports import free_port

SLOW_S = 3.0
RAMP_S = 4.0
LONGEST_STAGE_S = {"early": 20.0, "late": 45.0}
FINISH_TIMEOUT_S = 60.0
START_TIMEOUT_S = 30.0

BYTES_PER_S = 8000 * 3
"""Of G.711 that waits: a byte as it came and two decoded for each sample."""
OVERHEAD = 2
"""Of packets of 160 bytes as objects."""
CONNECTION_BYTES = 400 * 1024
"""Of one forward beside its buffer: its resampler (85 kB), its connection (40 kB), and
what the WebSocket library may hold of an end that does not read (twice 64 KiB, and as
much of what its memory was before)."""


class Server:
    """A `tapdeck serve` on ports that are known before."""

    def __init__(self, folder: Path, taps: int) -> None:
        self.http_port = free_port(socket.SOCK_STREAM)
        self.rtp_port = free_port(socket.SOCK_DGRAM)
        self.log: list[str] = []
        self._is_serving = asyncio.Event()
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._command = [
            *(sys.executable, "-m", "server", "serve", "--accept", "any"),
            *("--http-listen", f"127.0.0.1:{self.http_port}"),
            *("--rtp-listen", f"127.0.0.1:{self.rtp_port}"),
            *("--recordings-dir", str(folder), "--forward-allow", "127.0.0.1"),
            # Half of the room is for taps that nobody announced, a quarter of that
            # for those of one network.
            *("--max-taps", str(8 * taps + 100), "--idle-timeout-s", "5"),
            *("--log-level", "info", "--log-format", "json"),
        ]

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.http_port}"

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stderr=PIPE
        )
        self._reading = asyncio.create_task(self._read(), name="log of the server")
        async with asyncio.timeout(START_TIMEOUT_S):
            await self._is_serving.wait()

    async def stop(self) -> None:
        """End it, and wait until it has finished what it was doing."""
        assert self._process is not None
        assert self._reading is not None
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(FINISH_TIMEOUT_S):
            await self._process.wait()
        await self._reading

    def memory_bytes(self) -> int:
        """Return what it has in memory."""
        assert self._process is not None
        statm = Path(f"/proc/{self._process.pid}/statm").read_text()
        return int(statm.split()[1]) * resource.getpagesize()

    def cpu_s(self) -> float:
        """Return the CPU time that it has had."""
        assert self._process is not None
        # proc(5): fields 14 and 15 are utime and stime; the name may hold spaces.
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2]
        fields = stat.split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.log.append(line.decode())
            if b"RTP taps" in line:
                self._is_serving.set()


@dataclass
class Findings:
    """What a run came to."""

    problems: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)


class Run:
    """One run: taps, forwards, and what is told of them."""

    def __init__(
        self, server: Server, there: Destinations, session: aiohttp.ClientSession
    ) -> None:
        self._server = server
        self._there = there
        self._session = session
        self._paths: dict[str, str] = {}
        """Of the URL of each forward, by its id."""
        self._peak_bytes = 0
        self._most_queued_ms = 0
        self.findings = Findings()

    async def all_live(self, taps: int) -> None:
        """Wait until all taps have begun, and note what the server is like then."""
        async with asyncio.timeout(RAMP_S + START_TIMEOUT_S):
            while True:
                if len(await self._live()) >= taps:
                    return
                await asyncio.sleep(0.2)

    async def begin(self, each: int) -> None:
        """Begin so many forwards of each kind, those of a kind on different taps."""
        taps = [tap["control_id"] for tap in await self._live()]
        for at in range(each * len(KINDS)):
            kind = KINDS[at % len(KINDS)]
            body = request_for(kind, self._there.ports[kind], str(at))
            path = f"/api/v1/taps/{taps[at % len(taps)]}/forwards"
            async with self._session.post(self._server.url + path, json=body) as answer:
                made = await answer.json()
                if answer.status != 201:
                    raise RuntimeError(f"the forward was refused: {made}")
            self._paths[made["forward_id"]] = f"/{kind}/{at}"

    async def reach(self, stage: Stage) -> None:
        """Wait until each forward has been told as it is, once at least."""
        began = time.monotonic()
        left = set(self._paths.values())
        while left and time.monotonic() < began + LONGEST_STAGE_S[stage]:
            forwards = await self._forwards()
            left -= forwards.keys() - _wrong(forwards, stage).keys()
            queued_ms = [forward["queued_ms"] for forward in forwards.values()]
            self._most_queued_ms = max([self._most_queued_ms, *queued_ms])
            self.observe()
            await asyncio.sleep(0.5)
        self._blame(stage, {path: forwards.get(path, {}) for path in left})
        self.findings.figures[f"{stage} states"] = (
            f"all as they should be after {time.monotonic() - began:.1f} s"
            if not left
            else f"{len(left)} wrong"
        )

    def observe(self) -> None:
        """Note the memory of the server."""
        self._peak_bytes = max(self._peak_bytes, self._server.memory_bytes())

    async def over(self) -> None:
        """Wait until all taps are finished, and judge what is told then."""
        async with asyncio.timeout(FINISH_TIMEOUT_S):
            forwards = await self._forwards()
            while await self._live() or _ended(forwards) < len(self._paths):
                self.observe()
                await asyncio.sleep(0.5)
                forwards = await self._forwards()
        self._blame("over", _wrong(forwards, "over"))
        self.findings.problems += await contradictions(self._there, forwards)

    def judge_memory(self, before: int) -> None:
        """Compare the growth with what the buffers and connections may take."""
        grown = self._peak_bytes - before
        long = sum(
            path.split("/")[1] in ("slow", "good") for path in self._paths.values()
        )
        # The long buffers hold what arrived until a late answer.
        held_s = 2.0 * (len(self._paths) - long) + (SLOW_S + 1) * long
        allowed = int(held_s * BYTES_PER_S * OVERHEAD) + CONNECTION_BYTES * len(
            self._paths
        )
        self.findings.figures["memory"] = (
            f"{grown / 1e6:.1f} MB more for {len(self._paths)} forwards, "
            f"{grown / max(len(self._paths), 1) / 1e3:.0f} kB each "
            f"({allowed / 1e6:.0f} MB allowed)"
        )
        if grown > allowed:
            self.findings.problems.append("memory is beyond what the buffers allow")
        if self._most_queued_ms > LONG_BUFFER_MS:
            self.findings.problems.append(f"{self._most_queued_ms} ms wait in a buffer")

    def _blame(self, stage: str, wrong: dict[str, Forward]) -> None:
        self.findings.problems += [
            f"{stage}: {path} is told as {_told(forward)}"
            for path, forward in sorted(wrong.items())
        ]

    async def _live(self) -> list[dict[str, Any]]:
        taps = await self._taps()
        return [tap for tap in taps if tap["state"] not in ("finished", "failed")]

    async def _taps(self) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._server.url}/api/v1/taps") as answer:
            items: list[dict[str, Any]] = (await answer.json())["items"]
            return items

    async def _forwards(self) -> dict[str, Forward]:
        return {
            self._paths[forward["forward_id"]]: forward
            for tap in await self._taps()
            for forward in tap["forwards"]
        }


async def run(folder: Path, plan: LoadPlan, each: int, progress: Progress) -> Findings:
    """Record the plan beside so many forwards of each kind."""
    bar = progress.add_task("starting", total=7)
    server = Server(folder, plan.taps)
    async with destinations(SLOW_S) as there, aiohttp.ClientSession() as session:
        await server.start()
        try:
            findings = await _run(
                Run(server, there, session), server, there, plan, each, (progress, bar)
            )
        finally:
            await server.stop()
    finding = check_files(folder, plan)
    findings.figures["recordings"] = str(finding)
    if not finding.is_exact:
        findings.problems.append(f"recordings: {finding}")
    lines = [line for line in server.log if '"forward ' in line]
    errors = [line for line in server.log if json.loads(line)["level"] == "error"]
    findings.figures["log"] = f"{len(lines)} lines about forwards"
    findings.problems += errors
    progress.advance(bar)
    return findings


async def _run(
    this: Run,
    server: Server,
    there: Destinations,
    plan: LoadPlan,
    each: int,
    shown: tuple[Progress, TaskID],
) -> Findings:
    progress, bar = shown

    def step(what: str) -> None:
        progress.update(bar, description=what, advance=1)

    results: multiprocessing.SimpleQueue[LoadResult] = multiprocessing.SimpleQueue()
    load = multiprocessing.Process(
        target=send_plan, args=(plan, [server.rtp_port], results)
    )
    load.start()
    try:
        await asyncio.to_thread(results.get)
        step("taps begin")
        await this.all_live(plan.taps)
        # What is allocated once by whatever has audio is not the forwards'.
        await asyncio.sleep(2)
        before, cpu, at = server.memory_bytes(), server.cpu_s(), time.monotonic()
        await this.begin(each)
        step("forwards begin")
        await this.reach("early")
        there.lose()
        step("one destination is gone")
        await this.reach("late")
        share = (server.cpu_s() - cpu) / (time.monotonic() - at)
        this.findings.figures["server"] = f"{share:.0%} of a core"
        await _note_metrics(this, server)
        step("taps end")
        while results.empty():
            this.observe()
            await asyncio.sleep(0.5)
        result = results.get()
        this.findings.figures["load"] = f"{result.sent} packets, {result.behind} late"
        step("recordings are finished")
        await this.over()
        this.judge_memory(before)
        step("recordings are compared")
    finally:
        load.terminate()
        load.join()
    return this.findings


async def _note_metrics(this: Run, server: Server) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/metrics") as answer,
    ):
        text = await answer.text()
    total = re.search(r"^tapdeck_loop_lag_seconds_count (\S+)", text, re.MULTILINE)
    lags = re.findall(
        r'^tapdeck_loop_lag_seconds_bucket\{le="(\S+)"\} (\S+)', text, re.MULTILINE
    )
    if total is not None and lags:
        within = [f"{float(n) / float(total[1]):.3%} <= {le} s" for le, n in lags]
        this.findings.figures["loop lag"] = ", ".join(within[:4])


def _wrong(forwards: dict[str, Forward], stage: Stage) -> dict[str, Forward]:
    return {
        path: forward
        for path, forward in forwards.items()
        if not is_as_told(path.split("/")[1], stage, forward)
    }


def _ended(forwards: dict[str, Forward]) -> int:
    return sum(each["state"] in ("ended", "failed") for each in forwards.values())


def _told(forward: Forward) -> str:
    shown = ("state", "error", "connections", "sent_bytes", "queued_ms", "dropped_ms")
    return ", ".join(f"{key} {forward.get(key)!r}" for key in shown)


def main() -> int:
    """Run from a command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forwards")
    parser.add_argument("--taps", type=int, default=200)
    parser.add_argument("--each", type=int, default=50, help="forwards of each kind")
    parser.add_argument("--seconds", type=float, default=75, help="of each tap")
    options = parser.parse_args()
    plan = LoadPlan(taps=options.taps, seconds=options.seconds, ramp_s=RAMP_S)
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="tapdeck-forwards-") as name,
        Progress(console=console) as progress,
    ):
        findings = asyncio.run(run(Path(name), plan, options.each, progress))
    for title, figure in findings.figures.items():
        sys.stdout.write(f"{title}: {figure}\n")
    for problem in findings.problems:
        sys.stdout.write(f"WRONG {problem}\n")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
