"""Carries the protocol machine over WebSockets, one after another.

The machine in `protocol.py` decides; this opens, reads, writes and closes sockets and
keeps the machine's one timer. Reading never waits for writing: texts go through an
outbox that a writer empties, so an acknowledgement costs the reader nothing.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable

import aiohttp

from relay_client.endpoint import Endpoint
from relay_client.errors import ConfigurationError
from relay_client.events import RelayEvent
from relay_client.jsonrpc import JsonObject
from relay_client.outcomes import (
    CloseWanted,
    EventReceived,
    OpenWanted,
    ProtocolEvent,
    RequestDone,
    RequestFailed,
    SessionReplaced,
)
from relay_client.protocol import RelayProtocol
from relay_client.redact import mask_frame
from relay_client.states import StateChange
from relay_client.timing import Timing

logger = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES = 10 * 1024 * 1024
"""The largest message that the official SDKs accept."""
_MAX_OUTBOX = 5000
"""Texts that a peer may leave unread before its socket counts as dead."""
_CLOSE_TIMEOUT = 1.0

Reported = RelayEvent | StateChange | SessionReplaced


class Connection:
    """One RELAY session, kept connected from `start` to `stop`."""

    def __init__(
        self,
        protocol: RelayProtocol,
        endpoint: Endpoint,
        *,
        timing: Timing,
        on_report: Callable[[Reported], None],
    ) -> None:
        self._protocol = protocol
        self._endpoint = endpoint
        self._timing = timing
        self._on_report = on_report
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._replies: dict[str, asyncio.Future[JsonObject]] = {}
        self._outbox: deque[str] = deque()
        self._outbox_filled = asyncio.Event()
        self._open_wanted = asyncio.Event()
        self._close_wanted = asyncio.Event()
        self._ssl: ssl.SSLContext | None = None

    def start(self) -> None:
        """Begin to connect, and keep connected until `stop`.

        Raises:
            ConfigurationError: the CA file cannot be used.
        """
        self._ssl = _ssl_context(self._endpoint)
        self._open_wanted.clear()
        self._protocol.start(self._now())
        self._pump()
        self._task = asyncio.create_task(self._serve(), name="relay connection")

    async def stop(self) -> None:
        """Close the connection for good; whatever waits for a reply fails."""
        self._protocol.stop()
        self._pump()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=self._timing.shutdown_timeout)

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request and return its result.

        Waits no longer than the time-outs of the protocol machine, which ends every
        request one way or the other. Cancelling it forgets a request not sent yet.

        Raises:
            RelayError: the platform refused it, or it could not be carried out.
        """
        request_id = self._protocol.request(method, params, self._now())
        reply: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = reply
        self._pump()
        try:
            return await reply
        finally:
            del self._replies[request_id]
            self._protocol.abandon(request_id)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # From the machine.

    def _pump(self) -> None:
        """Carry out whatever the machine decided."""
        self._outbox.extend(self._protocol.data_to_send())
        if self._outbox:
            self._outbox_filled.set()
        if len(self._outbox) > _MAX_OUTBOX:
            logger.error("! %d texts unread by the platform", len(self._outbox))
            self._close_wanted.set()
        while (event := self._protocol.next_event()) is not None:
            self._carry_out(event)
        self._arm_timer()

    def _carry_out(self, event: ProtocolEvent) -> None:
        match event:
            case OpenWanted():
                self._open_wanted.set()
            case CloseWanted():
                self._close_wanted.set()
            case RequestDone(request_id, result):
                reply = self._replies.get(request_id)
                if reply is not None and not reply.done():
                    reply.set_result(result)
            case RequestFailed(request_id, error):
                reply = self._replies.get(request_id)
                if reply is not None and not reply.done():
                    reply.set_exception(error)
            case EventReceived(relay_event):
                self._on_report(relay_event)
            case StateChange() | SessionReplaced():
                self._on_report(event)

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self._protocol.get_timer()
        if at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._protocol.handle_timer(self._now())
        self._pump()

    # Sockets.

    async def _serve(self) -> None:
        try:
            async with aiohttp.ClientSession() as http:
                while True:
                    await self._open_wanted.wait()
                    self._open_wanted.clear()
                    reason = await self._use_one_socket(http)
                    self._protocol.connection_lost(reason, self._now())
                    self._pump()
        except Exception:
            # The top of the task. A fault of ours here must not leave callers waiting.
            logger.exception("! connection failed")
            self._protocol.stop()
            self._pump()

    async def _use_one_socket(self, http: aiohttp.ClientSession) -> str:
        """Return why it could not be opened, or why it closed."""
        self._close_wanted.clear()
        self._outbox.clear()
        try:
            async with asyncio.timeout(self._timing.open_timeout):
                socket = await self._open(http)
        except TimeoutError:
            return f"no connection within {self._timing.open_timeout:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"cannot connect: {error}"
        try:
            self._protocol.connection_opened(self._now())
            self._pump()
            return await self._carry(socket)
        finally:
            await socket.close()

    async def _open(
        self, http: aiohttp.ClientSession
    ) -> aiohttp.ClientWebSocketResponse:
        return await http.ws_connect(
            self._endpoint.url,
            ssl=True if self._ssl is None else self._ssl,
            max_msg_size=_MAX_MESSAGE_BYTES,
            compress=0,
            autoping=True,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
        )

    async def _carry(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """Read and write until one of them, or the machine, has had enough."""
        reader = asyncio.create_task(self._read(socket), name="relay reader")
        writer = asyncio.create_task(self._write(socket), name="relay writer")
        closer = asyncio.create_task(self._close_wanted.wait(), name="relay closer")
        tasks = {reader, writer, closer}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                logger.error("! connection given up", exc_info=result)
        if writer in done and reader not in done:
            return "cannot send"
        return f"closed with {socket.close_code}"

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                self._protocol.drops["not_text"] += 1
                continue
            text: str = message.data
            self._log("<", text)
            self._protocol.receive_text(text, self._now())
            self._pump()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._outbox_filled.wait()
            self._outbox_filled.clear()
            while self._outbox:
                text = self._outbox.popleft()
                self._log(">", text)
                try:
                    async with asyncio.timeout(self._timing.request_timeout):
                        await socket.send_str(text)
                except (OSError, aiohttp.ClientError, TimeoutError):
                    return

    def _log(self, mark: str, text: str) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            secrets = self._protocol.relay_session.secrets()
            logger.debug("%s %s", mark, mask_frame(text, secrets))


def _ssl_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    if endpoint.scheme != "wss" or endpoint.ca_file is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=endpoint.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            "ca_file", f"(SIGNALWIRE_RELAY_CA_FILE) cannot be used: {error}"
        ) from error
    return context
