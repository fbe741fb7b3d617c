"""Sends a tap over a WebSocket that it opens itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Protocol

import aiohttp

from relay_client.simulator.feed import AudioFeed
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.senders import Schedule
from relay_client.simulator.sent import SentLog
from relay_client.simulator.ws_plan import Message

_CONNECT_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 2.0
_RECONNECT_INTERVAL = 0.1
_RECONNECT_PATIENCE = 30.0


class MessagePlan(Protocol):
    """What is sent, and when."""

    def preamble(self) -> list[str]:
        """Return the texts that begin a connection."""
        ...

    def messages(self) -> Iterator[Message]:
        """Yield what is sent, in order of time."""
        ...

    def farewell(self) -> list[str]:
        """Return the texts that end a connection."""
        ...


PlanMaker = Callable[[AudioFeed], MessagePlan]


class _Connection:
    """One WebSocket, in a client session of its own so that it can be cut."""

    def __init__(self, on_lost: Callable[[_Connection], None]) -> None:
        self._on_lost = on_lost
        self._session = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self, uri: str, ssl_context: ssl.SSLContext) -> None:
        """Connect.

        Raises:
            OSError: The destination cannot be reached or refuses the WebSocket.
        """
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                self._socket = await self._session.ws_connect(
                    uri,
                    ssl=ssl_context,
                    compress=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
                )
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            await self._session.close()
            raise OSError(f"tap destination refused: {exc}") from exc
        self._reader = asyncio.create_task(
            self._read(self._socket), name="tap destination reader"
        )

    async def send(self, data: bytes | str) -> None:
        """Send one message; waits while the destination does not read.

        Raises:
            OSError: The connection is gone.
        """
        if self._socket is None or self._socket.closed:
            raise ConnectionResetError("tap destination closed")
        if isinstance(data, str):
            await self._socket.send_str(data)
        else:
            await self._socket.send_bytes(data)

    async def close(self) -> None:
        """Close with code 1000."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                await self._socket.close()
        await self.cut()

    async def cut(self) -> None:
        """Close the TCP connection with no close frame."""
        await self._session.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, opened: aiohttp.ClientWebSocketResponse) -> None:
        """Answer pings and notice a close; everything else is ignored."""
        async for _ in opened:
            pass
        self._on_lost(self)


class WsSender:
    """One tap's connections and schedule."""

    def __init__(
        self,
        uri: str,
        *,
        make_plan: PlanMaker,
        options: MediaOptions,
        log: SentLog,
        ssl_context: ssl.SSLContext,
    ) -> None:
        self._uri = uri
        self._make_plan = make_plan
        self._options = options
        self._log = log
        self._ssl = ssl_context
        self._schedule = Schedule()
        self._connection: _Connection | None = None
        self._preamble: list[str] = []
        self._is_over = False
        self._reconnecting: asyncio.Task[None] | None = None

    def source(self) -> tuple[str, int] | None:
        """Return None: the platform is a client here."""
        return None

    async def open(self) -> None:
        """Connect.

        Raises:
            OSError: The destination cannot be reached or refuses the WebSocket.
        """
        self._schedule.start()
        if await self._schedule.reach(self._options.connect_delay):
            self._connection = await self._connect()

    async def run(self, feed: AudioFeed) -> None:
        """Send until `stop`, the end of the audio, or a close by the destination."""
        plan = self._make_plan(feed)
        self._schedule.start()
        second_at, break_at = self._options.second_connection, self._options.break_at
        self._preamble = plan.preamble()
        # The destination may go at any time; that ends the tap like anything else.
        with contextlib.suppress(OSError):
            await self._send_texts(self._preamble)
            for message in plan.messages():
                if not await self._schedule.reach(message.at):
                    break
                if second_at is not None and message.at >= second_at:
                    second_at = None
                    await self._move(plan)
                if break_at is not None and message.at >= break_at:
                    break_at = None
                    self._break()
                await self._send(message)
            if self._options.end == "close":
                await self._send_texts(plan.farewell())

    def stop(self) -> None:
        """Make `run` end soon."""
        self._is_over = True
        self._schedule.stop()

    async def close(self) -> None:
        """End the connection as the options say."""
        self._is_over = True
        await self._stop_reconnecting()
        if self._connection is not None:
            await self._end(self._connection)

    async def release(self) -> None:
        """Let go of everything, also of a connection that was left silent."""
        await self._stop_reconnecting()
        if self._connection is not None:
            await self._connection.cut()

    async def _connect(self) -> _Connection:
        connection = _Connection(self._on_lost)
        await connection.open(self._uri, self._ssl)
        return connection

    def _on_lost(self, connection: _Connection) -> None:
        if connection is not self._connection:
            return
        if self._options.reconnect_for and not self._is_over:
            self._connection = None
            self._reconnect(connection, 0.0, self._options.reconnect_for)
        else:
            self._schedule.stop()

    def _break(self) -> None:
        """Cut the connection, and come back later."""
        old, self._connection = self._connection, None
        self._reconnect(old, self._options.reconnect_after, _RECONNECT_PATIENCE)

    def _reconnect(
        self, old: _Connection | None, after: float, patience: float
    ) -> None:
        self._reconnecting = asyncio.create_task(
            self._connect_again(old, after, patience), name="tap destination reconnect"
        )

    async def _connect_again(
        self, old: _Connection | None, after: float, patience: float
    ) -> None:
        """Try until it works, or for too long, which is the end of the tap."""
        if old is not None:
            await old.cut()
        await asyncio.sleep(after)
        give_up_at = self._schedule.now() + patience
        while self._schedule.now() < give_up_at:
            try:
                connection = await self._connect()
                for text in self._preamble:
                    await connection.send(text)
            except OSError:
                await asyncio.sleep(_RECONNECT_INTERVAL)
            else:
                self._connection = connection
                return
        self._schedule.stop()

    async def _stop_reconnecting(self) -> None:
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)

    async def _move(self, plan: MessagePlan) -> None:
        """Go on over a new connection and end the old one."""
        old = self._connection
        self._connection = await self._connect()
        await self._send_texts(plan.preamble())
        if old is not None:
            await old.close()

    async def _send(self, message: Message) -> None:
        if not message.data:
            return
        is_sent = False
        try:
            if self._connection is not None:
                await self._connection.send(message.data)
                is_sent = True
        except OSError:
            # It is lost; who looks after reconnecting knows.
            if not self._options.reconnect_for:
                raise
        finally:
            if message.span is not None:
                self._log.add(
                    message.span, delivered=is_sent, sent_at=self._schedule.now()
                )

    async def _send_texts(self, texts: list[str]) -> None:
        for text in texts:
            if self._connection is not None:
                await self._connection.send(text)

    async def _end(self, connection: _Connection) -> None:
        if self._options.end == "close":
            await connection.close()
        elif self._options.end == "abort":
            await connection.cut()


def make_ssl_context(ca_file: str | None) -> ssl.SSLContext:
    """Return what verifies `wss` destinations, as publicly trusted ones."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
