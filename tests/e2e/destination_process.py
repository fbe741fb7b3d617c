"""A WebSocket server that behaves badly in one way, as a process of its own.

    python -m tests.e2e.destination_process KIND [DELAY_S]

It prints its port, then for each line on its standard input a line with what has come
to each path so far, and ends when that is closed. All as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

RECEIVE_BUFFER_BYTES = 4096
"""So that an end that does not read shows soon."""
CLOSE_AFTER_S = 1.0


class Destination:
    """What came to each path: connections, and bytes of audio."""

    def __init__(self, kind: str, delay_s: float) -> None:
        self._handle = _HANDLERS[kind]
        self._delay_s = delay_s if kind == "slow" else 0.0
        self.connections: defaultdict[str, int] = defaultdict(int)
        self.received: defaultdict[str, int] = defaultdict(int)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Answer a handshake, and go on as this kind does."""
        await asyncio.sleep(self._delay_s)
        link = web.WebSocketResponse()
        await link.prepare(request)
        self.connections[request.path] += 1
        await self._handle(self, request, link)
        return link

    async def never_read(
        self, request: web.Request, _link: web.WebSocketResponse
    ) -> None:
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.pause_reading()
        # Nobody who does not read hears that the other end has gone.
        await asyncio.sleep(3600)

    async def close_soon(
        self, _request: web.Request, link: web.WebSocketResponse
    ) -> None:
        await asyncio.sleep(CLOSE_AFTER_S)
        await link.close()

    async def read(self, request: web.Request, link: web.WebSocketResponse) -> None:
        async for message in link:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.received[request.path] += len(message.data)


_Handler = Callable[[Destination, web.Request, web.WebSocketResponse], Awaitable[None]]
_HANDLERS: dict[str, _Handler] = {
    "deaf": Destination.never_read,
    "hasty": Destination.close_soon,
    "slow": Destination.read,
    "gone": Destination.read,
    "good": Destination.read,
}


async def _run(kind: str, delay_s: float) -> None:
    destination = Destination(kind, delay_s)
    app = web.Application()
    app.router.add_get("/{tail:.*}", destination.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    listener.bind(("127.0.0.1", 0))
    await web.SockSite(runner, listener, backlog=512).start()
    _say({"port": listener.getsockname()[1]})
    loop, is_over = asyncio.get_running_loop(), asyncio.Event()

    def answer() -> None:
        if os.read(0, 1):
            _say(
                {"connections": destination.connections, "bytes": destination.received}
            )
        else:
            is_over.set()

    loop.add_reader(0, answer)
    await is_over.wait()
    # What does not read is not asked to close.
    os._exit(0)


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], float(sys.argv[2])))
