"""The platform's state: sessions, calls, and who is offered which call.

No sockets here: connections and senders bring their own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Literal

from aiohttp import web

from relay_client.simulator.calls import CallState, SimCall
from relay_client.simulator.connection import Connection
from relay_client.simulator.errors import CommandError, NoSubscriberError
from relay_client.simulator.events import receive_event
from relay_client.simulator.ids import IdMaker
from relay_client.simulator.journal import Journal
from relay_client.simulator.options import CallRequest, SimulatorOptions
from relay_client.simulator.session import RelaySession
from relay_client.simulator.sources import check_source
from relay_client.simulator.tasks import Signal, TaskOwner
from relay_client.simulator.wire import Json, Request, make_request

MAX_CALLS = 1000
"""Legs remembered; the oldest that have ended are forgotten first."""
MAX_SESSIONS = 1000


class Platform:
    """Everything that the simulator knows."""

    def __init__(self, options: SimulatorOptions, ssl_context: ssl.SSLContext) -> None:
        self.options = options
        self.ssl_context = ssl_context
        self.connection_faults = options.connection
        self.ids = IdMaker(options.seed)
        secrets = (options.project, options.token)
        self.journal = Journal(tuple(found for found in secrets if found))
        self.counts: Counter[str] = Counter()
        self.tasks = TaskOwner()
        self.sessions: dict[str, RelaySession] = {}
        self.calls: dict[str, SimCall] = {}
        self.on_request: Callable[[Connection, Request], None] | None = None
        self._connections: set[Connection] = set()
        self._connected = 0
        self._legs = 0
        self._offers = 0
        self._subscriptions = Signal()

    def new_session(self, project: str) -> RelaySession:
        """Return a session that has just begun."""
        session = RelaySession(project=project, ids=self.ids)
        self.journal.add_secret(session.signature)
        self.sessions[session.protocol] = session
        while len(self.sessions) > MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        return session

    def subscriptions_changed(self) -> None:
        """Offer waiting calls to whoever receives their context now."""
        self._subscriptions.notify()

    def subscriber(self, call: SimCall) -> RelaySession | None:
        """Return the session that is next to be offered a call, if there is one."""
        found = [
            session
            for session in self.sessions.values()
            if session.is_connected
            and call.context in session.contexts
            and session.protocol not in call.passed_by
        ]
        if not found:
            return None
        return found[self._offers % len(found)]

    def add_connection(
        self, socket: web.WebSocketResponse, abort: Callable[[], None]
    ) -> Connection:
        """Return the connection of a client that has just come."""
        self._connected += 1
        connection = Connection(
            self._connected,
            socket,
            self,
            abort=abort,
            ping_interval=self.options.ping_interval,
        )
        self._connections.add(connection)
        return connection

    def remove_connection(self, connection: Connection) -> None:
        """Note that a client has gone; its session stays."""
        self._connections.discard(connection)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None

    def receive(self, connection: Connection, request: Request) -> None:
        """Pass a client's request on to whoever handles requests."""
        if self.on_request is not None:
            self.on_request(connection, request)

    def disconnect_clients(self, *, restart: bool) -> None:
        """Send `signalwire.disconnect` and close soon after (section 2.5)."""
        for connection in self._connections:
            if connection.session is not None:
                params: Json = {"restart": restart}
                connection.send(
                    make_request(self.ids.uuid(), "signalwire.disconnect", params)
                )
            self.tasks.spawn(
                connection.close_soon(self.options.restart_delay), "close for restart"
            )

    def drop_connections(self) -> None:
        """Cut every connection without a word."""
        for connection in tuple(self._connections):
            connection.cut()

    def place_call(self, request: CallRequest) -> SimCall:
        """Place an inbound call into a context.

        Raises:
            OptionsError: Its audio cannot be made.
            NoSubscriberError: Nobody receives the context and it may not wait.
        """
        check_source(request.speak)
        check_source(request.listen)
        call = self.new_leg(
            request,
            direction="inbound",
            device=_device(request),
            context=request.context,
        )
        if request.wait == 0 and self.subscriber(call) is None:
            raise NoSubscriberError(request.context)
        self.remember(call)
        self.tasks.spawn(self._live(call, request), f"call {call.call_id}")
        return call

    def new_leg(
        self,
        request: CallRequest,
        *,
        direction: Literal["inbound", "outbound"],
        device: Json,
        context: str = "",
        tag: str = "",
        created_by: str = "",
    ) -> SimCall:
        """Return a leg that nobody knows of yet."""
        self._legs += 1
        seed = self.options.seed if request.seed is None else request.seed
        # A seed of the request's own makes its audio independent of other calls.
        number = f" leg {self._legs}" if request.seed is None else ""
        return SimCall(
            call_id=self.ids.uuid(),
            node_id=self.ids.node_id,
            segment_id=self.ids.uuid(),
            direction=direction,
            device=device,
            speak=request.speak,
            listen=request.listen,
            seconds=request.seconds,
            media=request.media,
            faults=request.faults or self.options.faults,
            seed=f"{seed}{number}",
            context=context,
            tag=tag,
            created_by=created_by,
        )

    def remember(self, call: SimCall) -> None:
        """Make a leg known, and forget the oldest ended one if there are too many."""
        self.calls[call.call_id] = call
        if len(self.calls) > MAX_CALLS:
            for call_id, old in self.calls.items():
                if old.state is CallState.ENDED:
                    del self.calls[call_id]
                    break

    def controlled_call(self, session: RelaySession, params: Json) -> SimCall:
        """Return the leg that a command names.

        Raises:
            CommandError: It does not exist (404), has ended (410) or is controlled by
                another client (409).
        """
        call = self.calls.get(str(params.get("call_id")))
        if call is None or params.get("node_id") != call.node_id:
            raise CommandError(404, "Call does not exist")
        if call.state is CallState.ENDED:
            raise CommandError(410, "Call has ended")
        if call.session is not session:
            raise CommandError(409, "Call is controlled by another client")
        return call

    async def limit(self, call: SimCall) -> None:
        """Hang up an answered leg when its time is over."""
        if call.seconds is not None:
            is_over = await call.changed.wait_for(lambda: call.is_over, call.seconds)
            if not is_over:
                await call.hang_up("hangup")

    async def close(self) -> None:
        """End every call and everything that runs."""
        await asyncio.gather(*(call.hang_up() for call in self.calls.values()))
        await self.tasks.close()
        await asyncio.gather(*(found.close() for found in tuple(self._connections)))
        taps = [tap for call in self.calls.values() for tap in call.taps.values()]
        await asyncio.gather(*(tap.release() for tap in taps))

    async def _live(self, call: SimCall, request: CallRequest) -> None:
        """Lead an inbound call from its first offer to its end."""
        try:
            async with asyncio.timeout(request.ring_seconds + request.wait):
                while not (call.is_answered or call.is_over):
                    await self._offer(call, request)
        except TimeoutError:
            await call.hang_up("noAnswer")
        if call.is_answered:
            await self.limit(call)

    async def _offer(self, call: SimCall, request: CallRequest) -> None:
        """Offer a call to one client, and wait for what becomes of it.

        Raises:
            TimeoutError: Nobody was there, or nobody answered.
        """
        await self._subscriptions.wait_for(
            lambda: self.subscriber(call) is not None or call.is_over, request.wait
        )
        session = self.subscriber(call)
        if session is None:
            raise TimeoutError
        if call.is_over:
            return
        self._offers += 1
        call.session = session
        call.emit("calling.call.receive", receive_event(call), call.context)
        is_settled = await call.changed.wait_for(
            lambda: call.is_answered or call.is_over or call.session is None,
            request.ring_seconds,
        )
        if not is_settled:
            raise TimeoutError


def _device(request: CallRequest) -> Json:
    if request.from_number.startswith("sip:"):
        params = {"from": request.from_number, "to": request.to_number}
        return {"type": "sip", "params": params}
    numbers = {"from_number": request.from_number, "to_number": request.to_number}
    return {"type": "phone", "params": numbers}
