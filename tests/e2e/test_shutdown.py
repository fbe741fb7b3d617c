"""A real `tapdeck serve`, told to stop in the middle of its taps."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import soundfile

from relay_client.simulator import (
    CallRequest,
    ConnectionFaults,
    Simulator,
    SimulatorOptions,
)
from server.library.recording import Recording
from tests.e2e.rig import PROJECT, TOKEN, reference, sent_by, until
from tests.e2e.together import together
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
STATIC = "a-static-token-for-swml"
SECRET = "a-secret-that-signs-tokens"


@dataclass
class Served:
    """A server in a process of its own, and what it has logged."""

    process: Process
    simulator: Simulator
    directory: Path
    http_port: int
    rtp_port: int
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "".join(self.lines)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(20):
            return await self.process.wait()

    def recordings(self) -> list[Recording]:
        documents = sorted(self.directory.glob("20*/*/*/*.json"))
        return [Recording.from_json(json.loads(d.read_text())) for d in documents]

    def audio(self, recording: Recording) -> np.ndarray:
        (path,) = self.directory.glob(f"20*/*/*/{recording.id}.wav")
        samples, _ = soundfile.read(path, dtype="int16")
        return np.asarray(samples)


@asynccontextmanager
async def served(
    directory: Path, transport: str, **settings: str
) -> AsyncIterator[Served]:
    http_port, rtp_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    uris = {
        "ws": f"ws://127.0.0.1:{http_port}/tap",
        "rtp": f"rtp://127.0.0.1:{rtp_port}",
    }
    options = SimulatorOptions(project=PROJECT, token=TOKEN)
    async with Simulator(options) as simulator:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "serve"),
            cwd=ROOT,
            stderr=PIPE,
            env={
                "PATH": os.environ["PATH"],
                "SIGNALWIRE_PROJECT_ID": PROJECT,
                "SIGNALWIRE_API_TOKEN": TOKEN,
                "SIGNALWIRE_SPACE": simulator.host,
                "SIGNALWIRE_RELAY_SCHEME": "ws",
                "TAPDECK_TAP_URI": uris[transport],
                "TAPDECK_ALLOW_PRIVATE_RTP": "true",
                "TAPDECK_HTTP_LISTEN": f"127.0.0.1:{http_port}",
                "TAPDECK_RTP_LISTEN": f"127.0.0.1:{rtp_port}",
                "TAPDECK_RECORDINGS_DIR": str(directory),
                "TAPDECK_STATIC_TOKENS": STATIC,
                "TAPDECK_SECRET": SECRET,
                "TAPDECK_LOG_LEVEL": "debug",
                **settings,
            },
        )
        found = Served(process, simulator, directory, http_port, rtp_port)
        reading = asyncio.create_task(_read(process, found.lines), name="read the log")
        try:
            await until(lambda: "recordings: " in found.log, 30)
            yield found
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await reading
            # Shown by pytest if the test fails.
            logging.getLogger(__name__).warning("the server's log:\n%s", found.log)


async def _read(process: Process, lines: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        lines.append(line.decode())


async def _receiving(server: Served, count: int) -> None:
    """Wait until so many taps have been told `tapping` and have sent for a while."""
    await until(
        lambda: (
            sum(
                tap.state == "tapping" and len(tap.sent) >= 30
                for call in server.simulator.calls.values()
                for tap in call.taps.values()
            )
            >= count
        )
    )


@together("transport", ["ws", "rtp"])
async def test_sigterm_loses_nothing_that_was_received(
    tmp_path: Path, transport: str
) -> None:
    async with served(tmp_path, transport) as server:
        calls = [
            server.simulator.place_call(CallRequest(seconds=None)) for _ in range(5)
        ]
        await _receiving(server, 5)
        assert await server.stop() == 0
        assert not any(call.is_over for call in calls)
        recordings = {each.call_id: each for each in server.recordings()}
        assert len(recordings) == len(calls)
        for call in calls:
            recording = recordings[call.call_id]
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(server.audio(recording), expected)
            assert recording.end_reason == "shutdown"
            assert recording.state == "partial"
            assert "stopped while the tap went on" in recording.verdict.reason
        assert not list((tmp_path / ".partial").glob("*"))
        _check_order(server, len(calls))
    _check_log(server)


def _check_order(server: Served, count: int) -> None:
    """First the taps are stopped, then RELAY is left; nothing is sent in between."""
    asked = [
        entry.method
        for entry in server.simulator.journal
        if entry.sender == "client" and entry.method
    ]
    assert asked.count("calling.tap") == count
    assert [method for method in asked if method == "calling.tap.stop"] == asked[
        -count:
    ]


def _check_log(server: Served) -> None:
    assert "stopped" in server.lines[-1]
    tokens = [
        str(tap.request.uri).rpartition("/")[2]
        for call in server.simulator.calls.values()
        for tap in call.taps.values()
        if tap.request.uri
    ]
    for secret in (PROJECT, TOKEN, SECRET, STATIC, *tokens):
        assert secret not in server.log
    assert "Traceback" not in server.log


async def test_a_stream_that_nobody_controls_is_finished_too(tmp_path: Path) -> None:
    async with served(tmp_path, "ws") as server, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{server.http_port}/tap/{STATIC}"
        async with http.ws_connect(url) as ws:
            for n in range(100):
                await ws.send_bytes(bytes([n]) * 160)
            code = asyncio.create_task(server.stop(), name="stop")
            message = await ws.receive(timeout=10)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 1001
            assert await code == 0
        (recording,) = server.recordings()
        assert recording.end_reason == "shutdown"
        assert recording.packets.received == 100
        assert recording.samples == 100 * 160
    _check_log(server)


async def test_a_platform_that_is_dead_holds_up_nothing(tmp_path: Path) -> None:
    """Half-open RELAY: no stop is answered, and the files are finished all the same."""
    async with served(tmp_path, "rtp", TAPDECK_SHUTDOWN_TIMEOUT_S="2") as server:
        call = server.simulator.place_call(CallRequest(seconds=None))
        await _receiving(server, 1)
        server.simulator.set_connection_faults(ConnectionFaults(half_open=True))
        began = asyncio.get_running_loop().time()
        assert await server.stop() == 0
        took = asyncio.get_running_loop().time() - began
        (recording,) = server.recordings()
        expected = reference(sent_by(call), "PCMU")
        audio = server.audio(recording)
        np.testing.assert_array_equal(audio, expected[: len(audio)])
        assert recording.end_reason == "shutdown"
        # Containers are given ten seconds to stop.
        assert took < 8
    _check_log(server)


async def test_a_second_signal_gives_up_waiting(tmp_path: Path) -> None:
    async with served(tmp_path, "rtp") as server:
        server.simulator.place_call(CallRequest(seconds=None))
        await _receiving(server, 1)
        server.simulator.set_connection_faults(ConnectionFaults(half_open=True))
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: "a second signal gives up" in server.log)
        assert await server.stop(signal.SIGINT) == 1
        assert "Traceback" not in server.log
