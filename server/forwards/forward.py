"""One forward: its buffer, its patience, its state; where it leads, others know.

    CONNECTING -> CONNECTED -> ENDED       the tap is over, or nobody wants it any more
        |  ^          |
        |  +- WAITING <+                   refused, cut, or too slow
        v
      FAILED                               max_attempts in a row came to nothing

What `receive` is given is put into the buffer, and one task sends it: nothing that the
other end does reaches the track.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from server.audio import Run, Samples, StreamInfo
from server.forwards.allowed import AllowList
from server.forwards.buffer import LiveBuffer, Piece
from server.forwards.request import ForwardRequest
from server.log import TapLog
from server.taps.status import ForwardStatus

CONNECT_TIMEOUT_S = 10.0
STEADY_S = 10.0
"""A connection that lasts so long has worked: attempts are counted anew."""
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
MAX_REPLIES = 20

Sent = TypeVar("Sent")


class ForwardState(enum.Enum):
    """As the module's docstring says."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    ENDED = "ended"
    FAILED = "failed"


class CutError(Exception):
    """The connection is of no use any more; says why."""


@dataclass(frozen=True, slots=True)
class ForwardContext:
    """What a forward is told of its tap and of this server."""

    names: dict[str, str]
    """What the templates of an address stand for."""
    allowed: AllowList
    """The addresses that may be dialled."""
    log: TapLog


class Forward(ABC):
    """Sends one track of one tap to one destination.

    Args:
        forward_id: What the API calls it.
        request: What was asked for.
        context: Of its tap.
        replay_s: How much is sent again after a lost connection.
    """

    def __init__(
        self,
        forward_id: str,
        request: ForwardRequest,
        context: ForwardContext,
        *,
        replay_s: float = 0.0,
    ) -> None:
        self.forward_id = forward_id
        self.request: ForwardRequest = request
        self._names = context.names
        self._allowed = context.allowed
        self._log = context.log
        self._buffer = LiveBuffer(request.buffer_ms, request.policy, 1000 * replay_s)
        self._state = ForwardState.CONNECTING
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._error = ""
        self._began_at = 0.0
        """When this attempt began."""
        self._connections = 0
        self._sent_messages = 0
        self._sent_bytes = 0
        self._replies: deque[str] = deque(maxlen=MAX_REPLIES)
        self.on_state: Callable[[], None] = lambda: None
        """Called when the state has changed."""
        self.on_reply: Callable[[str], None] = lambda _: None
        """Called with each text that the other end sends."""

    @abstractmethod
    async def _connect(self) -> None:
        """Make one connection and send until it is over.

        Raises:
            OSError, TimeoutError, CutError: It came to nothing, or was lost.
        """

    @property
    def is_done(self) -> bool:
        """Whether nothing will be sent any more."""
        return self._state in (ForwardState.ENDED, ForwardState.FAILED)

    @property
    def _is_connected(self) -> bool:
        return self._state is ForwardState.CONNECTED

    @property
    def _queued_ms(self) -> float:
        """Audio that was taken in and has not been sent."""
        return self._buffer.queued_ms

    def status(self) -> ForwardStatus:
        """Return how it is at this moment."""
        return ForwardStatus(
            forward_id=self.forward_id,
            type=self.request.type,
            url=self.request.shown_url,
            framing=self.request.framing,
            state=self._state.value,
            error=self._error,
            connections=self._connections,
            sent_messages=self._sent_messages,
            sent_bytes=self._sent_bytes,
            queued_ms=round(self._queued_ms),
            dropped_ms=round(self._buffer.dropped_ms),
            replies=tuple(self._replies),
        )

    def receive(self, info: StreamInfo, run: Run, samples: Samples) -> None:
        """Put a run where the task finds it."""
        if not self.is_done:
            self._buffer.put(Piece(info, run, samples))
            self._wake.set()

    def finish(self) -> None:
        """Send what waits, say goodbye and end, as far as the other end lets us."""
        self._over.set()
        self._wake.set()

    async def run(self) -> None:
        """Connect, send and connect again until it is over. Cancelling is safe."""
        failures = 0
        try:
            while True:
                self._began_at = asyncio.get_running_loop().time()
                self._set_state(ForwardState.CONNECTING)
                if await self._try_once() or self._over.is_set():
                    break
                lasted = asyncio.get_running_loop().time() - self._began_at
                failures = 1 if lasted > STEADY_S else failures + 1
                if failures >= self.request.max_attempts:
                    self._set_state(ForwardState.FAILED)
                    return
                self._set_state(ForwardState.WAITING)
                await self._wait(failures)
        finally:
            if self._state is not ForwardState.FAILED:
                self._set_state(ForwardState.ENDED)
            self._buffer.drop_all()

    async def _try_once(self) -> bool:
        """Make one connection; return whether it came to its proper end."""
        try:
            await self._connect()
        except (OSError, TimeoutError, CutError) as error:
            self._error = _sentence(error)
            self._log.warning("forward %s: %s", self.forward_id, self._error)
            return False
        return True

    async def _wait(self, failures: int) -> None:
        delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 10))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._over.wait()

    async def _made(
        self, make: Callable[[Piece], Iterable[Sent]], piece: Piece, *, is_heavy: bool
    ) -> list[Sent]:
        """Return what is to be sent of a piece; what takes long is made on a thread."""
        made = make(piece)
        return await asyncio.to_thread(list, made) if is_heavy else list(made)

    def _connected(self) -> None:
        self._connections += 1
        self._set_state(ForwardState.CONNECTED)

    def _set_state(self, state: ForwardState) -> None:
        if state is self._state:
            return
        self._log.debug("= forward %s %s", self.forward_id, state.value)
        self._state = state
        self.on_state()


def _sentence(error: OSError | CutError) -> str:
    """Say what went wrong in words of ours: a library's may hold the whole URL."""
    if isinstance(error, CutError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "it did not answer or read in time"
    return error.strerror or (str(error.args[0]) if error.args else "unreachable")
