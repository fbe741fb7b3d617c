"""A real `tapdeck serve` that is killed in the middle of its taps, and what is left.

The simulator lives on; the taps over RTP are asked for by the server, those over
WebSocket by another program, with a static token, so that one server has both.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from relay_client import Call, RelayClient
from relay_client.simulator import (
    CallRequest,
    SentAudio,
    SimCall,
    Simulator,
    SimulatorOptions,
)
from server.library.recording import Recording
from tests.e2e.rig import PROJECT, TOKEN, Audio, reference, until
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
STATIC = "a-static-token-for-swml"
ELSEWHERE = "elsewhere"
RATE = 8000
MARK = 800
"""Samples at the start of a tap by which it is recognised; each has its own tone."""

MAX_LOSS_S = 1.0
SURELY_BEGUN_S = 0.5
"""A tap that sent for so long before the kill must have a document."""


@dataclass
class TapLog:
    """What one tap had sent when the server was killed."""

    call_id: str
    transport: str
    sent: list[SentAudio]

    @property
    def first_sent_at(self) -> float:
        return self.sent[0].sent_at


@dataclass
class Outcome:
    """What became of the taps of one run."""

    losses_s: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    documents: int = 0
    without_audio: int = 0


class KilledServer:
    """One directory, one simulator, and one server after the other."""

    def __init__(self, directory: Path, simulator: Simulator, **settings: str) -> None:
        self.directory = directory
        self.simulator = simulator
        self.settings = settings
        self.relay_transport = "rtp"
        """Of the taps that the server asks for itself."""
        self.max_files = 0
        """Descriptors that the server may have; 0 for as many as there are."""
        self.http_port = free_port(socket.SOCK_STREAM)
        self.rtp_port = free_port(socket.SOCK_DGRAM)
        self.log = ""
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._tones = itertools.cycle(range(200, 3600, 17))
        self.calls: dict[str, tuple[str, SimCall]] = {}

    async def start(self) -> None:
        """Start a server and wait until it serves."""
        self.log = ""
        command = [sys.executable, "-m", "server", "serve"]
        if self.max_files:
            limited = f'ulimit -n {self.max_files}; exec "$@"'
            command = ["sh", "-c", limited, "sh", *command]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stderr=PIPE,
            env={
                "PATH": os.environ["PATH"],
                "SIGNALWIRE_PROJECT_ID": PROJECT,
                "SIGNALWIRE_API_TOKEN": TOKEN,
                "SIGNALWIRE_SPACE": self.simulator.host,
                "SIGNALWIRE_RELAY_SCHEME": "ws",
                "TAPDECK_TAP_URI": self.tap_uri,
                "TAPDECK_RECONNECT_GRACE_S": "0",
                "TAPDECK_ALLOW_PRIVATE_RTP": "true",
                "TAPDECK_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
                "TAPDECK_RTP_LISTEN": f"127.0.0.1:{self.rtp_port}",
                "TAPDECK_RECORDINGS_DIR": str(self.directory),
                "TAPDECK_STATIC_TOKENS": STATIC,
                **self.settings,
            },
        )
        self._reading = asyncio.create_task(self._read(), name="read the log")
        process = self._process
        await until(
            lambda: "recordings: " in self.log or process.returncode is not None, 60
        )
        if process.returncode is not None:
            self._process = None
            raise RuntimeError(f"the server did not start:\n{self.log}")

    @property
    def tap_uri(self) -> str:
        if self.relay_transport == "ws":
            return f"ws://127.0.0.1:{self.http_port}/tap"
        return f"rtp://127.0.0.1:{self.rtp_port}"

    def begin(self, *, websockets: int, rtp: int) -> None:
        """Place as many calls as taps are wanted; each has a tone of its own."""
        self.calls = {}
        for transport, count in (("ws", websockets), ("rtp", rtp)):
            for _ in range(count):
                request = CallRequest(
                    context=ELSEWHERE if transport == "ws" else "default",
                    speak=f"tone:{next(self._tones)}@0.4",
                    listen="silence",
                    seconds=None,
                )
                call = self.simulator.place_call(request)
                self.calls[call.call_id] = transport, call

    async def tap_elsewhere(self, call: Call) -> None:
        """Answer and tap a call as somebody else's program would."""
        await call.answer()
        uri = f"ws://127.0.0.1:{self.http_port}/tap/{STATIC}"
        await call.tap(
            tap={"type": "audio", "params": {"direction": "speak"}},
            device={"type": "ws", "params": {"uri": uri, "codec": "PCMU"}},
        )

    def sending(self, seconds: float = 0.0) -> int:
        """Return how many taps have sent for so long."""
        return sum(
            len(tap.sent) > seconds * 50
            for _, call in self.calls.values()
            for tap in call.taps.values()
        )

    async def kill(self, *, hang_up: bool = True) -> tuple[float, list[TapLog]]:
        """Kill the server; return when, and what had been sent to it."""
        assert self._process is not None
        assert self._reading is not None
        self._process.kill()
        killed_at = asyncio.get_running_loop().time()
        logs = [
            TapLog(
                call_id,
                transport,
                sorted(
                    (e for e in tap.sent if e.delivered and e.sent_at <= killed_at),
                    key=lambda entry: entry.start,
                ),
            )
            for call_id, (transport, call) in self.calls.items()
            for tap in call.taps.values()
        ]
        await self._process.wait()
        await self._reading
        self._process = None
        if hang_up:
            calls = [call for _, call in self.calls.values()]
            await asyncio.gather(*(call.hang_up() for call in calls))
        return killed_at, [log for log in logs if log.sent]

    async def close(self) -> None:
        if self._process is not None:
            await self.kill()

    def leftovers(self) -> set[str]:
        """Return the ids of what is unfinished."""
        return {path.stem for path in (self.directory / ".partial").iterdir()}

    def recordings(self, ids: set[str] | None = None) -> list[Recording]:
        documents = sorted(self.directory.glob("20*/*/*/*.json"))
        return [
            Recording.from_json(json.loads(path.read_text()))
            for path in documents
            if ids is None or path.stem in ids
        ]

    def audio(self, recording: Recording) -> Audio:
        (path,) = self.directory.glob(f"20*/*/*/{recording.id}.wav")
        samples, _ = soundfile.read(path, dtype="int16")
        audio: Audio = samples
        return audio

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.log += line.decode()


@asynccontextmanager
async def killed_server(
    directory: Path, **settings: str
) -> AsyncIterator[KilledServer]:
    options = SimulatorOptions(project=PROJECT, token=TOKEN)
    async with Simulator(options) as simulator:
        server = KilledServer(directory, simulator, **settings)
        client = RelayClient(
            project=PROJECT,
            token=TOKEN,
            host=simulator.host,
            contexts=[ELSEWHERE],
            scheme="ws",
        )
        client.on_call(server.tap_elsewhere)
        await client.connect(timeout=20)
        try:
            yield server
        finally:
            await server.close()
            await client.disconnect()


def judge(
    directory: Path,
    killed_at: float,
    logs: Sequence[TapLog],
    recordings: Sequence[Recording],
) -> Outcome:
    """Compare what is in the library with what had been sent; blocking."""
    outcome = Outcome(documents=len(recordings))
    expected = {_mark(reference(log.sent, "PCMU")): log for log in logs}
    found: set[str] = set()
    empty = []
    for recording in recordings:
        _judge_document(recording, outcome)
        if not recording.has_audio:
            outcome.without_audio += 1
            empty.append(recording)
            continue
        path = directory / f"{recording.started_at:%Y/%m/%d}" / f"{recording.id}.wav"
        audio = read_everywhere(path, outcome)
        log = _log_of(recording, audio, expected)
        if log is None:
            outcome.violations.append(f"{recording.id} is of no tap")
            continue
        found.add(log.call_id)
        _judge_audio(recording, audio, log, killed_at, outcome)
    _judge_absent(logs, found, empty, killed_at, outcome)
    return outcome


def read_everywhere(path: Path, outcome: Outcome) -> Audio:
    """Read a file with each program that there is, and compare their answers."""
    samples, _ = soundfile.read(path, dtype="int16")
    commands = {
        "sox": ("sox", "--info", "-s", str(path)),
        "ffprobe": (
            *("ffprobe", "-v", "error", "-show_entries", "stream=duration_ts"),
            *("-of", "csv=p=0", str(path)),
        ),
    }
    for name, command in commands.items():
        if shutil.which(name) is None:
            continue
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60
        )
        # A damaged header is only a warning to some.
        if done.returncode or done.stderr or int(done.stdout) != len(samples):
            said = f"{done.stdout.strip()} {done.stderr.strip()}"
            outcome.violations.append(f"{path.name}: {name} says {said}")
    audio: Audio = samples
    return audio


def _judge_document(recording: Recording, outcome: Outcome) -> None:
    interrupted = "(interrupted)" in recording.verdict.reason
    if recording.end_reason != "interrupted" or not interrupted:
        outcome.violations.append(f"{recording.id} ended {recording.verdict}")


def _judge_audio(
    recording: Recording,
    audio: Audio,
    log: TapLog,
    killed_at: float,
    outcome: Outcome,
) -> None:
    """Compare sample by sample; apart from what is marked as silence that we put in."""
    sent = reference(log.sent, "PCMU")
    is_gap = np.zeros(len(audio), dtype=bool)
    for gap in recording.gaps:
        start = round(gap.start_s * RATE)
        is_gap[start : start + round(gap.length_s * RATE)] = True
    if audio[is_gap].any():
        outcome.violations.append(f"{recording.id}: sound where there is a gap")
    if log.transport == "ws":
        # A pause on the way is silence that comes in between.
        audio, is_gap = audio[~is_gap], is_gap[~is_gap]
    length = min(len(audio), len(sent))
    wrong = int((audio[:length] != sent[:length])[~is_gap[:length]].sum())
    if wrong or len(audio) > len(sent) + RATE // 50:
        outcome.violations.append(
            f"{recording.id} ({log.transport}): {wrong} of {len(audio)} samples wrong, "
            f"{len(sent)} were sent, {recording.gaps}"
        )
    loss_s = (len(sent) - length) / RATE
    outcome.losses_s.append(loss_s)
    if loss_s > MAX_LOSS_S:
        outcome.violations.append(f"{recording.id} ({log.transport}) lost {loss_s} s")


def _judge_absent(
    logs: Sequence[TapLog],
    found: set[str],
    empty: Sequence[Recording],
    killed_at: float,
    outcome: Outcome,
) -> None:
    """Every tap that had begun is in a document, with audio or without."""
    named = {recording.call_id for recording in empty}
    unnamed = sum(not recording.call_id for recording in empty)
    for log in logs:
        age_s = killed_at - log.first_sent_at
        if log.call_id in found or age_s < SURELY_BEGUN_S:
            continue
        outcome.losses_s.append(age_s)
        if age_s > MAX_LOSS_S:
            outcome.violations.append(f"{log.transport}: {age_s:.2f} s without audio")
        if log.call_id not in named:
            unnamed -= 1
            if unnamed < 0:
                outcome.violations.append(f"{log.transport}: no verdict")


def _log_of(
    recording: Recording, audio: Audio, expected: dict[bytes, TapLog]
) -> TapLog | None:
    for log in expected.values():
        if recording.call_id == log.call_id:
            return log
    if len(audio) < MARK:
        candidates = [log for mark, log in expected.items() if mark]
        heads = [(reference(log.sent, "PCMU"), log) for log in candidates]
        return next(
            (
                log
                for head, log in heads
                if (head[: len(audio)] == audio[: len(head)]).all()
            ),
            None,
        )
    return expected.get(_mark(audio))


def _mark(audio: Audio) -> bytes:
    return audio[:MARK].tobytes()
