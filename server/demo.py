"""The demo: the platform's simulator and this server on one machine, two calls tapped.

Everything is real but the platform: real RELAY, a real WebSocket, real RTP.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from functools import partial
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from relay_client import Call
from relay_client.simulator import CallRequest, SimCall, Simulator, SimulatorOptions
from server.addresses import ListenAddress
from server.app import TapServer
from server.config import load_settings
from server.library.index import RecordingQuery
from server.library.recording import Recording
from server.log import setup_logging
from server.settings import Settings

PROJECT = "demo-project"
TOKEN = "demo-token"  # noqa: S105 - opens nothing but the simulator of this demo

CALLERS = {"+15550100001": "ws", "+15550100002": "rtp"}
CALLED = "+15550100100"

SETTLE_S = 15.0
"""From the end of the calls to finished files, at most."""


def demo(
    *,
    seconds: float,
    exit_when_done: bool,
    recordings_dir: Path,
    http_listen: ListenAddress,
) -> int:
    """Run the demo; return the exit code.

    Raises:
        StartupError: A port or the directory cannot be had.
    """
    setup_logging(level="warning")
    return uvloop.run(
        _demo(seconds, exit_when_done, recordings_dir, http_listen, Console())
    )


async def _demo(
    seconds: float,
    exit_when_done: bool,
    recordings_dir: Path,
    http_listen: ListenAddress,
    console: Console,
) -> int:
    # A seed of its own, so that call ids differ from those of earlier demos.
    options = SimulatorOptions(
        project=PROJECT, token=TOKEN, seed=secrets.randbelow(2**32)
    )
    async with Simulator(options) as simulator:
        settings = _settings(simulator.host, recordings_dir, http_listen)
        async with TapServer(settings, local_taps=True) as server:
            _tap_each_caller_its_way(server)
            console.print(f"Tapdeck is at [bold]http://{server.http_address}[/bold]")
            calls = [_place(simulator, number, seconds) for number in CALLERS]
            await _show_progress(calls, seconds, console)
            recordings = await _finished(server, calls)
            _show(recordings, server, console)
            if not exit_when_done:
                console.print("Open the page to play them; Ctrl-C ends the demo.")
                await _interrupted()
    return 0 if len(recordings) == len(calls) else 1


def _settings(host: str, recordings_dir: Path, listen: ListenAddress) -> Settings:
    return load_settings(
        file=None,
        environ={},
        flags={
            "project_id": PROJECT,
            "relay_token": TOKEN,
            "space": host,
            "relay_scheme": "ws",
            "http_listen": str(listen),
            "rtp_listen": "127.0.0.1:0",
            "recordings_dir": str(recordings_dir),
            "allow_private_rtp": "true",
        },
    )


def _tap_each_caller_its_way(server: TapServer) -> None:
    assert server.relay is not None
    assert server.tapper is not None
    tapper = server.tapper

    @server.relay.on_call
    async def handle(call: Call) -> None:
        await tapper.handle_call(call, transport=CALLERS[call.from_number])


def _place(simulator: Simulator, number: str, seconds: float) -> SimCall:
    return simulator.place_call(
        CallRequest(
            context="default",
            from_number=number,
            to_number=CALLED,
            speak="tone:440",
            listen="tone:880",
            seconds=seconds,
        )
    )


async def _show_progress(
    calls: list[SimCall], seconds: float, console: Console
) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    ended = asyncio.gather(*(call.wait_ended() for call in calls))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Two calls, tapped over WebSocket and RTP", total=100)
        for _ in range(100):
            done, _ = await asyncio.wait([ended], timeout=seconds / 100)
            if done:
                break
            progress.advance(bar)
        async with asyncio.timeout(seconds + SETTLE_S):
            await ended
        progress.update(bar, completed=100)


async def _finished(server: TapServer, calls: list[SimCall]) -> list[Recording]:
    wanted = {call.call_id for call in calls}
    recordings: list[Recording] = []
    async with asyncio.timeout(SETTLE_S):
        while {each.call_id for each in recordings} != wanted:
            await asyncio.sleep(0.05)
            page = server.library.list(RecordingQuery(limit=50))
            recordings = [each for each in page.items if each.call_id in wanted]
    return recordings


def _show(recordings: list[Recording], server: TapServer, console: Console) -> None:
    table = Table("id", "over", "codec", "length", "verdict", box=None)
    for each in recordings:
        length = f"{each.duration_s:.2f} s"
        table.add_row(each.id, each.transport, each.codec, length, each.verdict.reason)
    console.print(table)
    for each in recordings:
        console.print(str(server.library.audio_path(each.id)), soft_wrap=True)


async def _interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, partial(stop.set))
    await stop.wait()
