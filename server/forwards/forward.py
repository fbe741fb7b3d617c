"""One forward over WebSocket: its buffer, its connection, its patience, its state.

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
import socket
from collections import deque
from collections.abc import Callable

import aiohttp

from server.audio import Run, Samples, StreamInfo
from server.forwards.allowed import AllowList
from server.forwards.buffer import LiveBuffer, Piece
from server.forwards.framing import Framing, Message
from server.forwards.request import ForwardRequest
from server.log import TapLog
from server.taps.status import ForwardStatus

CONNECT_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
STEADY_S = 10.0
"""A connection that lasts so long has worked: attempts are counted anew."""
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 30.0
SEND_BUFFER_BYTES = 16 * 1024
"""Of the kernel: what it holds no policy can drop, and it would hold megabytes."""
MAX_REPLIES = 20
MAX_REPLY_LENGTH = 4096
MAX_REPLY_BYTES = 65_536


class ForwardState(enum.Enum):
    """As the module's docstring says."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    ENDED = "ended"
    FAILED = "failed"


class _CutError(Exception):
    """The connection is of no use any more; says why."""


class WebSocketForward:
    """Sends one track of one tap to one WebSocket."""

    def __init__(
        self,
        forward_id: str,
        request: ForwardRequest,
        *,
        names: dict[str, str],
        allowed: AllowList,
        log: TapLog,
    ) -> None:
        self.forward_id = forward_id
        self.request = request
        self._names = names
        self._allowed = allowed
        self._log = log
        self._buffer = LiveBuffer(
            request.buffer_ms, request.policy, 1000 * request.replay_s
        )
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

    @property
    def is_done(self) -> bool:
        """Whether nothing will be sent any more."""
        return self._state in (ForwardState.ENDED, ForwardState.FAILED)

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
            queued_ms=round(self._buffer.queued_ms),
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
                began_at = asyncio.get_running_loop().time()
                self._set_state(ForwardState.CONNECTING)
                if await self._try_once() or self._over.is_set():
                    break
                lasted = asyncio.get_running_loop().time() - began_at
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
        except (aiohttp.ClientError, OSError, TimeoutError, _CutError) as error:
            self._error = _sentence(error)
            self._log.warning("forward %s: %s", self.forward_id, self._error)
            return False
        return True

    async def _wait(self, failures: int) -> None:
        delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 10))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._over.wait()

    async def _connect(self) -> None:
        connector = aiohttp.TCPConnector(limit=1, socket_factory=self._socket)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                link = await session.ws_connect(
                    self.request.address(self._names),
                    headers={
                        name: value.get_secret_value()
                        for name, value in self.request.headers.items()
                    },
                    protocols=tuple(filter(None, [self.request.subprotocol])),
                    max_msg_size=MAX_REPLY_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
            self._connections += 1
            self._buffer.rewind()
            self._set_state(ForwardState.CONNECTED)
            async with link:
                await self._converse(link)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for an address, which is the one that will be dialled."""
        family, kind, protocol, _, target = address
        self._allowed.check(str(target[0]))
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return made

    async def _converse(self, link: aiohttp.ClientWebSocketResponse) -> None:
        hearing = asyncio.create_task(self._hear(link), name="forward replies")
        try:
            await self._send_all(link, hearing)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self, link: aiohttp.ClientWebSocketResponse) -> None:
        """Keep what the other end says until it closes."""
        try:
            async for message in link:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._replies.append(message.data[:MAX_REPLY_LENGTH])
                    self.on_reply(self._replies[-1])
        finally:
            self._wake.set()

    async def _send_all(
        self, link: aiohttp.ClientWebSocketResponse, hearing: asyncio.Task[None]
    ) -> None:
        framing = Framing(self.request)
        for message in framing.opening():
            await self._send(link, message)
        while True:
            self._wake.clear()
            while (piece := self._buffer.take()) is not None:
                for message in framing.messages(piece):
                    await self._send(link, message)
                self._check(hearing)
            self._check(hearing)
            if self._over.is_set():
                break
            await self._wake.wait()
        for message in framing.closing():
            await self._send(link, message)

    def _check(self, hearing: asyncio.Task[None]) -> None:
        if self._buffer.has_overflowed:
            raise _CutError("it read too slowly, and the policy is disconnect")
        if hearing.done():
            raise _CutError("it closed the connection")

    async def _send(
        self, link: aiohttp.ClientWebSocketResponse, message: Message
    ) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            if isinstance(message, str):
                await link.send_str(message)
            else:
                await link.send_bytes(message)
        self._sent_messages += 1
        self._sent_bytes += len(message)

    def _set_state(self, state: ForwardState) -> None:
        if state is self._state:
            return
        self._log.debug("= forward %s %s", self.forward_id, state.value)
        self._state = state
        self.on_state()


def _sentence(error: Exception) -> str:
    """Say what went wrong in words of ours: a library's may hold the whole URL."""
    if isinstance(error, _CutError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "it did not answer or read in time"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it answered {error.status} instead of a WebSocket"
    if isinstance(error, OSError):
        return error.strerror or (str(error.args[0]) if error.args else "unreachable")
    return type(error).__name__
