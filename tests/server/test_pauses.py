"""A pause lasts until it is resumed, whatever happens to tap, server and disk."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server import pauses as module
from server.library.paused import PausedFiles, PausedTap, name_of
from server.pauses import KEPT_S, Pauses
from server.rtp.address import Address
from server.taps.limits import TapLimits
from server.taps.tap import EndReason, Tap, TapDirection, TapOrigin, Transport
from tests.e2e.rig import until
from tests.server.taps.test_tap import SilentSession

SOURCE = ("203.0.113.7", 4000)
IDLE_S = 60.0


class FussyFiles(PausedFiles):
    """Refuses as often as a test says, and waits until it is let go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.refusals = 0
        self.is_free = threading.Event()
        self.is_free.set()
        self.applied: list[dict[str, PausedTap | None]] = []

    def apply(self, changes: Mapping[str, PausedTap | None]) -> None:
        self.applied.append(dict(changes))
        assert self.is_free.wait(60)
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().apply(changes)


class Server:
    """The pauses of one server, and the clocks that they go by."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.wall = folder.parent.stat().st_mtime
        self.files = FussyFiles(folder)
        self.pauses = Pauses(
            self.files,
            idle_s=IDLE_S,
            now=lambda: self.now,
            wall=lambda: self.wall,
        )


@asynccontextmanager
async def started(directory: Path) -> AsyncIterator[Server]:
    """Start a server on what the one before it left."""
    server = Server(directory / ".paused")
    server.pauses.load()
    running = asyncio.create_task(server.pauses.run())
    try:
        yield server
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def a_tap(
    control_id: str = "tap-1",
    *,
    origin: TapOrigin = TapOrigin.RELAY,
    transport: Transport = Transport.RTP,
    source: Address | None = None,
) -> Tap:
    tap = Tap(
        control_id=control_id,
        transport=transport,
        direction=TapDirection.BOTH,
        origin=origin,
        session=SilentSession(),
        created_at=0.0,
        limits=TapLimits(),
    )
    tap.source = source
    return tap


def foreign(source: Address = SOURCE, transport: Transport = Transport.RTP) -> Tap:
    return a_tap(
        "another", origin=TapOrigin.FOREIGN, transport=transport, source=source
    )


async def paused_before(directory: Path, tap: Tap) -> None:
    """Leave a server that was killed while a tap was paused."""
    async with started(directory) as server:
        server.pauses.keep(tap)
        assert await server.pauses.kept(tap)


async def test_nothing_is_paused_that_nobody_paused(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        assert not server.pauses.begin(a_tap(source=SOURCE))
        assert not server.pauses.begin(foreign())
        server.pauses.drop(a_tap())
        assert await server.pauses.kept(a_tap())
    assert server.files.applied == []


async def test_a_pause_outlives_restarts_until_it_is_resumed(tmp_path: Path) -> None:
    await paused_before(tmp_path, a_tap())
    for _ in range(2):
        async with started(tmp_path) as server:
            assert server.pauses.begin(a_tap())
            assert not server.pauses.begin(a_tap("tap-2"))
    async with started(tmp_path) as server:
        server.pauses.begin(a_tap())
        server.pauses.drop(a_tap())
        assert await server.pauses.kept(a_tap())
    async with started(tmp_path) as server:
        assert not server.pauses.begin(a_tap())


async def test_a_pause_outlives_its_tap(tmp_path: Path) -> None:
    """The grace time ran out, and then its WebSocket is there again."""
    tap = a_tap(transport=Transport.WS)
    await paused_before(tmp_path, tap)
    async with started(tmp_path) as server:
        assert server.pauses.begin(tap)
        tap.end_reason = EndReason.INTERRUPTED
        server.pauses.end(tap)
        assert server.pauses.begin(tap)
        tap.end_reason = EndReason.CLOSED
        server.pauses.end(tap)
    async with started(tmp_path) as server:
        assert server.pauses.begin(tap)


async def test_a_pause_is_told_as_kept_when_it_is(tmp_path: Path) -> None:
    async with started(tmp_path) as server:
        server.pauses.keep(a_tap())
        assert not server.files.applied
        waiting = [asyncio.create_task(server.pauses.kept(a_tap())) for _ in range(2)]
        assert await asyncio.gather(*waiting) == [True, True]
        assert (tmp_path / ".paused" / name_of("tap-1")).exists()


async def test_nobody_waits_for_ever_for_a_disk(tmp_path: Path) -> None:
    server = Server(tmp_path / ".paused")
    server.pauses.keep(a_tap())
    assert not await server.pauses.kept(a_tap(), timeout=0.0)


async def test_a_disk_that_refuses_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    async with started(tmp_path) as server:
        server.files.refusals = 3
        server.pauses.keep(a_tap())
        assert await server.pauses.kept(a_tap(), timeout=60)
    assert len(server.files.applied) == 4
    assert "cannot be kept: disk full; a restart would forget them" in caplog.text


async def test_what_changes_while_it_is_written_is_written_again(
    tmp_path: Path,
) -> None:
    async with started(tmp_path) as server:
        server.pauses.keep(a_tap())
        server.files.is_free.clear()
        await until(lambda: bool(server.files.applied))
        server.pauses.drop(a_tap())
        waiting = asyncio.create_task(server.pauses.kept(a_tap(), timeout=60))
        await asyncio.sleep(0)
        server.files.is_free.set()
        assert await waiting
    assert [*map(len, server.files.applied)] == [1, 1]
    async with started(tmp_path) as server:
        assert not server.pauses.begin(a_tap())


async def test_a_source_that_is_named_later_is_kept(tmp_path: Path) -> None:
    tap = a_tap()
    async with started(tmp_path) as server:
        server.pauses.keep(tap)
        assert await server.pauses.kept(tap)
        tap.source = SOURCE
        for _ in range(3):
            server.pauses.keep(tap)
            assert await server.pauses.kept(tap)
    assert len(server.files.applied) == 2
    async with started(tmp_path) as server:
        assert server.pauses.begin(foreign())


async def test_a_stream_is_known_by_its_source_soon_after_the_start(
    tmp_path: Path,
) -> None:
    await paused_before(tmp_path, a_tap(source=SOURCE))
    async with started(tmp_path) as server:
        assert not server.pauses.begin(foreign(("203.0.113.7", 4002)))
        assert not server.pauses.begin(foreign(transport=Transport.WS))
        assert not server.pauses.begin(a_tap("asked-for", source=SOURCE))
        server.now += IDLE_S - 1
        assert server.pauses.begin(foreign())
        await server.pauses.kept(foreign())
    # And it goes by its new control id from there on.
    async with started(tmp_path) as server:
        server.now += IDLE_S
        assert not server.pauses.begin(a_tap("later", source=SOURCE))
        assert server.pauses.begin(foreign())


async def test_a_source_is_somebody_else_s_once_its_tap_is_over(tmp_path: Path) -> None:
    tap = a_tap(source=SOURCE)
    await paused_before(tmp_path, tap)
    async with started(tmp_path) as server:
        assert server.pauses.begin(tap)
        tap.end_reason = EndReason.HANGUP
        server.pauses.end(tap)
        assert not server.pauses.begin(foreign())
        assert await server.pauses.kept(tap)
    async with started(tmp_path) as server:
        assert not server.pauses.begin(foreign())
        assert server.pauses.begin(tap)


async def test_one_source_is_left_to_the_tap_that_it_goes_on_as(
    tmp_path: Path,
) -> None:
    await paused_before(tmp_path, a_tap(source=SOURCE))
    async with started(tmp_path) as server:
        tap = foreign()
        assert server.pauses.begin(tap)
        tap.end_reason = EndReason.IDLE
        server.pauses.end(tap)
        assert await server.pauses.kept(tap)
        assert await server.pauses.kept(a_tap())
    async with started(tmp_path) as server:
        assert not server.pauses.begin(foreign_of("a third"))


def foreign_of(control_id: str) -> Tap:
    return a_tap(control_id, origin=TapOrigin.FOREIGN, source=SOURCE)


@pytest.mark.parametrize("reason", [EndReason.SHUTDOWN, EndReason.INTERRUPTED])
async def test_an_end_of_our_own_says_nothing_of_the_sender(
    tmp_path: Path, reason: EndReason
) -> None:
    tap = a_tap(source=SOURCE)
    await paused_before(tmp_path, tap)
    async with started(tmp_path) as server:
        server.pauses.begin(tap)
        tap.end_reason = reason
        server.pauses.end(tap)
        assert server.pauses.begin(foreign())


async def test_a_pause_of_days_goes_on_with_its_tap(tmp_path: Path) -> None:
    await paused_before(tmp_path, a_tap())
    os.utime(tmp_path / ".paused" / name_of("tap-1"), (1000.0, 1000.0))
    async with started(tmp_path) as server:
        for _ in range(10):
            await asyncio.sleep(0)
        assert server.pauses.begin(a_tap())
    assert not server.files.applied


async def test_a_pause_is_forgotten_when_no_token_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRUNE_INTERVAL_S", 0.01)
    await paused_before(tmp_path, a_tap("over"))
    await paused_before(tmp_path, a_tap("live"))
    async with started(tmp_path) as server:
        assert server.pauses.begin(a_tap("live"))
        server.wall += KEPT_S - 60
        await asyncio.sleep(0.05)
        assert not server.files.applied
        server.wall += 120
        await until(lambda: bool(server.files.applied), 60)
        assert server.files.applied == [{name_of("over"): None}]
        assert not server.pauses.begin(a_tap("over"))
        assert server.pauses.begin(a_tap("live"))
