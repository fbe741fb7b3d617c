"""Writer threads keep the order of a sink and never hold up the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest

from server.sinks.writers import WriterPool


@pytest.fixture
async def pool() -> AsyncIterator[WriterPool]:
    pool = WriterPool(threads=2)
    yield pool
    await pool.close()


async def test_a_channel_keeps_the_order_and_one_thread(pool: WriterPool) -> None:
    channel = pool.channel()
    done: list[tuple[int, int]] = []

    def note(n: int) -> None:
        done.append((n, threading.get_ident()))

    for n in range(50):
        channel.put(partial(note, n), 10)
    assert channel.pending == 500
    await channel.settle()
    assert channel.pending == 0
    assert [n for n, _ in done] == list(range(50))
    assert len({thread for _, thread in done}) == 1
    assert done[0][1] != threading.get_ident()


async def test_channels_are_spread_over_the_threads(pool: WriterPool) -> None:
    channels = [pool.channel() for _ in range(4)]
    threads = [await each.call(threading.get_ident) for each in channels]
    assert sorted(map(threads.count, threads)) == [2, 2, 2, 2]
    for channel in channels[:2]:
        channel.release()
    await pool.channel().settle()


async def test_what_breaks_a_channel_is_told_and_nothing_is_done_after_it(
    pool: WriterPool,
) -> None:
    channel, other = pool.channel(), pool.channel()
    done: list[int] = []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    channel.put(lambda: done.append(1), 1)
    channel.put(fail, 1)
    channel.put(lambda: done.append(2), 1)
    other.put(lambda: done.append(3), 1)
    with pytest.raises(OSError, match="No space left"):
        await channel.settle()
    await other.settle()
    assert sorted(done) == [1, 3]
    assert isinstance(channel.error, OSError)


async def test_a_call_returns_or_raises_what_the_function_did(
    pool: WriterPool,
) -> None:
    channel = pool.channel()
    assert await channel.call(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await channel.call(lambda: 1 // 0)
    assert channel.error is None


async def test_a_thread_that_is_held_up_shows_as_lag(pool: WriterPool) -> None:
    gate, begun = threading.Event(), threading.Event()
    channel = pool.channel()
    loop = asyncio.get_running_loop()
    assert pool.lag(loop.time()) == 0.0

    def wait() -> None:
        begun.set()
        gate.wait(10)

    channel.put(wait, 1)
    await asyncio.sleep(0)
    await asyncio.to_thread(begun.wait, 10)
    assert pool.queued == 1
    assert pool.lag(loop.time() + 3.0) >= 3.0
    gate.set()
    await channel.settle()
    assert pool.queued == 0


async def test_giving_up_waiting_harms_no_thread(pool: WriterPool) -> None:
    gate = threading.Event()
    channel = pool.channel()
    waiting = asyncio.ensure_future(channel.call(lambda: gate.wait(10)))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    assert await channel.call(lambda: 1) == 1
    assert waiting.cancelled()


async def test_closing_lets_the_threads_finish() -> None:
    pool = WriterPool(threads=1)
    done: list[int] = []
    pool.channel().put(lambda: done.append(1), 1)
    await pool.close()
    assert done == [1]
