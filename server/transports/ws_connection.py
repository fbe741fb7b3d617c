"""One WebSocket connection of a tap: the socket's side of `WsReceiver`.

What comes is only put aside here; the tap's session asks for it when its audio is due.
A connection that sends more than its share is not read for a while, so that TCP makes
the sender wait: nothing is lost, and nobody else is held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import cast

from server.taps.ws_frames import CloseCode
from server.taps.ws_receiver import WsReceiver, WsState

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 2.0
"""For the other side to answer a close."""

BURST = 512 * 1024
"""Bytes, read at once or saved up, that a connection may send at full speed."""
BYTES_PER_S = 1024 * 1024
"""Beyond the burst. The most that audio needs, 48 kHz stereo L16, is a fifth of it."""
READ_COST = 512
FRAME_COST = 64
"""What a read and a frame count beside their bytes: many small ones cost CPU too."""

RECEIVE_BUFFER_BYTES = 64 * 1024
"""Asked of the kernel: bounds what one turn of the event loop reads."""

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A peer that vanished without a word is noticed after a minute of silence."""


class TapConnection(asyncio.Protocol):
    """A connection after its upgrade.

    Args:
        name: For the log.
        max_message_bytes: Of a message.
        now: The clock.
        on_waiting: Called when what waits in `receiver` should be taken now.
        on_lost: Called once, when the connection is gone.
    """

    __slots__ = (
        "_credit",
        "_credit_at",
        "_is_writable",
        "_lost",
        "_name",
        "_now",
        "_on_lost",
        "_on_waiting",
        "_timer",
        "_transport",
        "is_closed_here",
        "receiver",
    )

    def __init__(
        self,
        name: str,
        *,
        max_message_bytes: int,
        now: Callable[[], float],
        on_waiting: Callable[[], None],
        on_lost: Callable[[TapConnection], None],
    ) -> None:
        self.receiver = WsReceiver(max_message_bytes=max_message_bytes)
        self.is_closed_here = False
        """Whether there was nothing more to hear, or another connection to hear it."""
        self._name = name
        self._now = now
        self._on_waiting = on_waiting
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._credit = float(BURST)
        self._credit_at = 0.0
        self._is_writable = True
        self._timer: asyncio.TimerHandle | None = None
        self._lost: asyncio.Event | None = None

    @property
    def close_detail(self) -> str:
        """Return what is remarkable about the end, if anything is."""
        code = self.receiver.close_code
        if self.is_closed_here or code in (
            CloseCode.NORMAL,
            CloseCode.GOING_AWAY,
            CloseCode.NO_STATUS,
        ):
            return ""
        return f"WebSocket close code {CloseCode.ABNORMAL if code is None else code}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, on a transport whose handshake is over."""
        self._transport = cast(asyncio.Transport, transport)
        self._credit_at = self._now()
        _tune(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Put aside what was read, and act on what cannot wait."""
        receiver = self.receiver
        try:
            now = self._now()
            frames = receiver.receive_data(data, now)
            self._credit -= READ_COST + FRAME_COST * frames + len(data)
            if receiver.is_urgent:
                self._attend()
            if self._credit < 0:
                self._throttle(now)
        except Exception:
            # A mistake of ours ends this connection, not the server.
            log.exception("tap %s: its connection met an error", self._name)
            self.close(CloseCode.INTERNAL_ERROR, "")

    def eof_received(self) -> bool:
        """Let the transport close: half a connection is of no use."""
        return False

    def pause_writing(self) -> None:
        """Stop answering pings: whoever does not read the answers needs none."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Answer pings again."""
        self._is_writable = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell that it is over, in whatever way."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lost is not None:
            self._lost.set()
        try:
            self._on_lost(self)
        except Exception:
            log.exception("tap %s: its connection met an error", self._name)

    def close(self, code: CloseCode, reason: str) -> None:
        """Ask the other side to close; cut the connection if it does not in time."""
        transport = self._transport
        if transport is None or self.receiver.state is not WsState.OPEN:
            return
        self.is_closed_here = code is CloseCode.GOING_AWAY
        self.receiver.close(code, reason)
        transport.write(self.receiver.data_to_send())
        # What is still to come has to be read for the answer to be found.
        self._set_timer(CLOSE_TIMEOUT_S, transport.abort)
        transport.resume_reading()

    async def wait_lost(self) -> None:
        """Wait until the connection is gone, which `close` makes sure of."""
        if self._transport is not None:
            self._lost = self._lost or asyncio.Event()
            await self._lost.wait()

    def _attend(self) -> None:
        assert self._transport is not None
        self._on_waiting()
        is_closed = self.receiver.state is WsState.CLOSED
        data = self.receiver.data_to_send()
        if data and (self._is_writable or is_closed):
            self._transport.write(data)
        if not is_closed:
            return
        if self.receiver.is_failed and self._transport.can_write_eof():
            # Closed with bytes unread, a socket is reset, and our close frame with it
            # is lost on the way. So the other side closes first, or runs out of time.
            self._transport.write_eof()
            self._set_timer(CLOSE_TIMEOUT_S, self._transport.abort)
        else:
            self._transport.close()

    def _throttle(self, now: float) -> None:
        """Count what has been saved up, and rest if that is not enough."""
        saved = (now - self._credit_at) * BYTES_PER_S
        self._credit = min(float(BURST), self._credit + saved)
        self._credit_at = now
        if self._credit < 0 and self.receiver.state is WsState.OPEN:
            assert self._transport is not None
            self._transport.pause_reading()
            rest_s = -self._credit / BYTES_PER_S
            self._set_timer(rest_s, self._transport.resume_reading)

    def _set_timer(self, delay: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, callback)


def _tune(connection: socket.socket | None) -> None:
    if connection is None:
        return
    # Refused or unknown options, on Unix sockets for example, cost comfort only.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            if (number := getattr(socket, option, None)) is not None:
                connection.setsockopt(socket.IPPROTO_TCP, number, value)
