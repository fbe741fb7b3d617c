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
import errno
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from server.audio import Run, Samples, StreamInfo
from server.forwards.allowed import AllowList
from server.forwards.attempts import Attempts
from server.forwards.buffer import LiveBuffer, Piece
from server.forwards.request import ForwardRequest
from server.log import LineBudget, TapLog
from server.taps.status import ForwardStatus

CONNECT_TIMEOUT_S = 10.0
MAX_REPLIES = 20
CLOSED = "it closed the connection"
_LINES = LineBudget(10)
"""For all forwards: what fails for one often fails for hundreds at once."""

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
    rule: str = ""
    """Of the configuration, if one asked for it."""


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
        self._rule = context.rule
        self._attempts = Attempts(request.max_attempts)
        self._connected_at: float | None = None
        self._buffer = LiveBuffer(request.buffer_ms, request.policy, 1000 * replay_s)
        self._state = ForwardState.CONNECTING
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._error = ""
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
            rule=self._rule,
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
        try:
            while True:
                self._set_state(ForwardState.CONNECTING)
                if await self._try_once() or self._over.is_set():
                    break
                if self._attempts.is_used_up:
                    self._set_state(ForwardState.FAILED)
                    return
                self._set_state(ForwardState.WAITING)
                await self._wait(self._attempts.delay_s)
        finally:
            if self._state is not ForwardState.FAILED:
                self._tell(self._attempts.ended())
                self._set_state(ForwardState.ENDED)
            self._buffer.drop_all()

    async def _try_once(self) -> bool:
        """Make one connection; return whether it came to its proper end."""
        self._connected_at = None
        try:
            await self._connect()
        except (OSError, TimeoutError, CutError) as error:
            self._error = _sentence(error)
            self._tell(self._attempts.failed(self._error, self._connected_s()))
            return False
        return True

    def _connected_s(self) -> float:
        if self._connected_at is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._connected_at

    def _tell(self, line: str) -> None:
        """Log a line about attempts that failed, if there is one and room for it."""
        if not line:
            return
        is_told = _LINES.take(asyncio.get_running_loop().time())
        tell = self._log.warning if is_told else self._log.debug
        tell("forward %s to %s: %s", self.forward_id, self.request.shown_url, line)

    async def _wait(self, delay: float) -> None:
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
        self._connected_at = asyncio.get_running_loop().time()
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
    if isinstance(error, ConnectionError) and not error.errno:
        # Found out by sending instead of by hearing it say so.
        return CLOSED
    if error.errno in errno.errorcode:
        return os.strerror(error.errno or 0)
    return error.strerror or (str(error.args[0]) if error.args else "unreachable")
