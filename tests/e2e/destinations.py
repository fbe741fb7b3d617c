"""Destinations of forwards that are bad in every way there is, and what is to be told.

refuse   nobody listens on the port
deaf     the handshake is answered, and nothing is ever read
hasty    each connection is closed after a second
slow     the handshake is answered late; then everything is read
gone     its process stops for good without a word, as if its machine were lost
good     nothing is wrong with it
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[2]
KINDS = ("refuse", "deaf", "hasty", "slow", "gone", "good")
Stage = Literal["early", "late", "over"]
Forward = dict[str, Any]

BUFFER_MS = 2000
LONG_BUFFER_MS = 20_000
"""For those whose audio must all arrive, however late they answer."""

REFUSED = "Connection refused"
UNREAD = "it did not answer or read in time"
CLOSED = "it closed the connection"
TRYING = frozenset({"connecting", "connected", "waiting"})

_ATTEMPTS = {"refuse": 3, "gone": 2}
ANSWER_TIMEOUT_S = 20.0


def request_for(kind: str, port: int, name: str) -> Forward:
    """Return what to ask the API for; 32 kB a second, so that buffers fill soon."""
    return {
        "url": f"ws://127.0.0.1:{port}/{kind}/{name}",
        "framing": "raw",
        "format": {"codec": "L16", "sample_rate": 16_000},
        "buffer_ms": LONG_BUFFER_MS if kind in ("slow", "good") else BUFFER_MS,
        "max_attempts": _ATTEMPTS.get(kind, 1000),
    }


def is_as_told(kind: str, stage: Stage, forward: Forward) -> bool:
    """Return whether the API says of a forward what is true of its destination.

    Args:
        kind: How the destination behaves.
        stage: Soon after the forward began; after `gone` has gone and everybody's
            patience is over; after the tap.
        forward: One forward as the API shows it.
    """
    facts = _Facts(
        forward["state"], forward["error"], forward["connections"] > 0, stage
    )
    if kind == "gone" and stage == "early":
        kind = "good"
    dropped, connections = forward["dropped_ms"], forward["connections"]
    match kind:
        case "refuse":
            return facts.are({"failed"}, REFUSED, connected=False)
        case "deaf" if stage == "early":
            return facts.are({"connected"}, "")
        case "deaf":
            return facts.are(TRYING, UNREAD) and connections > 1 and dropped > 0
        case "hasty" if stage == "early":
            return facts.are(TRYING, CLOSED)
        case "hasty":
            return facts.are(TRYING, CLOSED) and connections > 2
        case "gone":
            return facts.are({"failed"}, UNREAD) and connections == 1
        case _:
            return facts.are({"connected"}, "") and (connections, dropped) == (1, 0)


@dataclass(frozen=True, slots=True)
class _Facts:
    state: str
    error: str
    is_connected: bool
    stage: Stage

    def are(self, states: Iterable[str], error: str, *, connected: bool = True) -> bool:
        """Compare; what has not failed when its tap is over has ended."""
        wanted = set(states)
        if self.stage == "over" and "failed" not in wanted:
            wanted = {"ended"}
        is_right = self.state in wanted and self.error == error
        return is_right and self.is_connected == connected


class Destinations:
    """One process for each kind."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._processes: dict[str, Process] = {}
        self._closed = socket.socket()
        self.ports: dict[str, int] = {}

    async def open(self) -> None:
        """Start all of them."""
        # Bound and not listening: nobody else can begin to listen there.
        self._closed.bind(("127.0.0.1", 0))
        self.ports["refuse"] = self._closed.getsockname()[1]
        for kind in KINDS[1:]:
            command = [sys.executable, "-m", "tests.e2e.destination_process"]
            process = await asyncio.create_subprocess_exec(
                *command, kind, str(self._delay_s), cwd=ROOT, stdin=PIPE, stdout=PIPE
            )
            self._processes[kind] = process
            self.ports[kind] = (await self._answer(kind))["port"]

    def lose(self) -> None:
        """Have `gone` go: its machine answers nothing that its process would."""
        os.kill(self._processes["gone"].pid, signal.SIGSTOP)

    async def seen(self, kind: str) -> dict[str, dict[str, int]]:
        """Ask a destination for its connections and bytes, by path."""
        stdin = self._processes[kind].stdin
        assert stdin is not None
        stdin.write(b"\n")
        await stdin.drain()
        answer: dict[str, dict[str, int]] = await self._answer(kind)
        return answer

    async def close(self) -> None:
        """End all of them."""
        self._closed.close()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _answer(self, kind: str) -> Any:
        stdout = self._processes[kind].stdout
        assert stdout is not None
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return json.loads(await stdout.readline())


@asynccontextmanager
async def destinations(delay_s: float) -> AsyncIterator[Destinations]:
    made = Destinations(delay_s)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


async def contradictions(
    there: Destinations, forwards: dict[str, Forward]
) -> list[str]:
    """Compare what was told at the end with what the destinations saw.

    Args:
        there: The destinations.
        forwards: Each forward that is over, by the path of its URL.
    """
    found = []
    for kind in ("deaf", "hasty", "slow", "good"):
        seen = await there.seen(kind)
        for path, forward in forwards.items():
            if not path.startswith(f"/{kind}/"):
                continue
            told, was = forward["connections"], seen["connections"].get(path, 0)
            # A handshake that was answered as the tap ended is nobody's connection.
            if not was - 1 <= told <= was:
                found.append(f"{path}: {told} connections are told, {was} there were")
            sent, came = forward["sent_bytes"], seen["bytes"].get(path, 0)
            if kind in ("slow", "good") and sent != came:
                found.append(f"{path}: {sent} bytes were sent, {came} came")
    return found
