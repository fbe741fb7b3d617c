"""A forward over WebSocket: dialled by us, spoken to in a framing, listened to."""

from __future__ import annotations

import asyncio
import socket

import aiohttp

from server.forwards.forward import (
    CLOSED,
    CONNECT_TIMEOUT_S,
    CutError,
    Forward,
    ForwardContext,
)
from server.forwards.framing import Framing, Message
from server.forwards.request import WebSocketForwardRequest

SEND_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
SEND_BUFFER_BYTES = 16 * 1024
"""Of the kernel: what it holds no policy can drop, and it would hold megabytes."""
MAX_REPLY_LENGTH = 4096
MAX_REPLY_BYTES = 65_536


class WebSocketForward(Forward):
    """Sends one track of one tap to one WebSocket."""

    def __init__(
        self, forward_id: str, request: WebSocketForwardRequest, context: ForwardContext
    ) -> None:
        super().__init__(forward_id, request, context, replay_s=request.replay_s)
        self._wanted = request

    async def _connect(self) -> None:
        try:
            await self._dial()
        except aiohttp.WSServerHandshakeError as error:
            raise CutError(f"it answered {error.status} instead of a WebSocket") from (
                error
            )
        except aiohttp.ClientConnectorDNSError as error:
            raise CutError("its host was not found") from error
        except aiohttp.ClientError as error:
            if isinstance(error, OSError):
                raise
            # Its own words may hold the whole URL.
            raise CutError(type(error).__name__) from error

    async def _dial(self) -> None:
        connector = aiohttp.TCPConnector(limit=1, socket_factory=self._socket)
        async with aiohttp.ClientSession(
            connector=connector, trace_configs=self._traces()
        ) as session:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                link = await session.ws_connect(
                    self._wanted.address(self._names),
                    headers={
                        name: value.get_secret_value()
                        for name, value in self._wanted.headers.items()
                    },
                    protocols=tuple(filter(None, [self._wanted.subprotocol])),
                    max_msg_size=MAX_REPLY_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
            self._buffer.rewind()
            self._connected()
            async with link:
                await self._converse(link)

    def _traces(self) -> list[aiohttp.TraceConfig]:
        traces = aiohttp.TraceConfig()
        if self._allowed.is_everything:
            # Who may be dialled wherever it is was named; where it points to was not.
            traces.on_request_redirect.append(_refuse_redirect)
        return [traces]

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
        framing = Framing(self._wanted)
        for message in framing.opening():
            await self._send(link, message)
        while True:
            self._wake.clear()
            while (piece := self._buffer.take()) is not None:
                for message in await self._made(
                    framing.messages, piece, is_heavy=framing.is_heavy
                ):
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
            raise CutError("it read too slowly, and the policy is disconnect")
        if hearing.done():
            raise CutError(CLOSED)

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


async def _refuse_redirect(*_: object) -> None:
    raise CutError("it pointed to another address")
