"""The threads that write: shared by all sinks, so that no disk holds up any audio.

A sink has a channel to one thread, which does what the channel is given, in order.
What is given in one turn of the event loop travels to a thread together, because
waking a thread costs as much as a write.

Each attribute has one writer, the event loop or the thread; the other side reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")

WRITER_THREADS = 2
"""One disk gains nothing from more; the second keeps a slow call of one sink from
holding up all the others."""

SYNCING_THREADS = 8
"""Where each second of each file is waited for, a disk serves several at once."""

STOP_TIMEOUT_S = 5.0

Job = Callable[[], None]


class WriterThread:
    """One thread and the jobs on their way to it."""

    def __init__(self, name: str) -> None:
        self.channels = 0
        """Sinks that write here."""
        self.refused: Counter[str] = Counter()
        """Blocks that the disk refused, by reason."""
        self._jobs: list[Job] = []
        self._given = 0
        self._done = 0
        self._sent_at: deque[float] = deque()
        self._batches: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def queued(self) -> int:
        """Jobs given and not done."""
        return self._given - self._done

    def lag(self, now: float) -> float:
        """Return how many seconds ago the oldest unfinished jobs were given."""
        return max(0.0, now - self._sent_at[0]) if self._sent_at else 0.0

    def submit(self, job: Job) -> None:
        """Have `job` done after all before it. It must not raise."""
        if not self._jobs:
            asyncio.get_running_loop().call_soon(self._send)
        self._jobs.append(job)
        self._given += 1

    def stop(self) -> None:
        """Let the thread end once it has done what it was given."""
        self._send()
        self._batches.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the thread to end; blocking."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _send(self) -> None:
        if self._jobs:
            self._start()
            batch, self._jobs = self._jobs, []
            self._sent_at.append(time.monotonic())
            self._batches.put(batch)

    def _start(self) -> None:
        if self._thread is None:
            # A daemon, so that a disk that never answers cannot keep the process.
            self._thread = threading.Thread(
                target=self._run, name=self._name, daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            for job in batch:
                job()
                self._done += 1
            self._sent_at.popleft()


class Channel:
    """The way of one sink to its thread."""

    __slots__ = ("_done", "_given", "_thread", "error")

    def __init__(self, thread: WriterThread) -> None:
        self._thread = thread
        self._given = 0
        self._done = 0
        self.error: Exception | None = None
        """What a `put` job raised; nothing put after it is done."""
        thread.channels += 1

    @property
    def pending(self) -> int:
        """The amount of everything put and not done."""
        return self._given - self._done

    def put(self, function: Callable[[], None], amount: int) -> None:
        """Have `function` called, and do not wait for it."""
        self._given += amount

        def job() -> None:
            if self.error is None:
                try:
                    function()
                except Exception as error:
                    self.error = error
            self._done += amount

        self._thread.submit(job)

    async def call(self, function: Callable[[], Result]) -> Result:
        """Return what `function` does, after everything before it is done.

        Cancelling gives up waiting; the function is called all the same.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Result] = loop.create_future()

        def settle(set_outcome: Job) -> None:
            # A loop that has been closed waits for nothing.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(
                    lambda: None if waiter.done() else set_outcome()
                )

        def job() -> None:
            try:
                result = function()
            except Exception as error:
                failure = error
                settle(lambda: waiter.set_exception(failure))
            else:
                settle(lambda: waiter.set_result(result))

        self._thread.submit(job)
        return await waiter

    async def settle(self) -> None:
        """Wait until everything put has been done.

        Raises:
            Exception: What broke the channel.
        """
        await self.call(lambda: None)
        if self.error is not None:
            raise self.error

    def count_refused(self, why: str) -> None:
        """Count what the disk refused, in words; for the thread."""
        self._thread.refused[f"write_{why.replace(' ', '_')}"] += 1

    def release(self) -> None:
        """Leave the thread to the other channels."""
        self._thread.channels -= 1


class WriterPool:
    """All writer threads."""

    def __init__(self, threads: int = WRITER_THREADS) -> None:
        self._threads = [WriterThread(f"writer {n}") for n in range(threads)]

    @property
    def queued(self) -> int:
        """Jobs given and not done."""
        return sum(thread.queued for thread in self._threads)

    def lag(self, now: float) -> float:
        """Return how many seconds the slowest thread is behind."""
        return max(thread.lag(now) for thread in self._threads)

    @property
    def refused(self) -> Counter[str]:
        """Blocks that the disk refused, by reason."""
        total: Counter[str] = Counter()
        for thread in self._threads:
            total.update(thread.refused.copy())
        return total

    def channel(self) -> Channel:
        """Return a channel to the thread that has the fewest."""
        return Channel(min(self._threads, key=lambda thread: thread.channels))

    async def close(self) -> None:
        """Let all threads finish what they were given."""
        for thread in self._threads:
            thread.stop()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, STOP_TIMEOUT_S)
