"""The RELAY client: what an application uses to take, place and tap calls.

Its names are those of the documented RELAY API for Python. It stays connected from
`start` (or `connect`, `run`, `async with`) to `disconnect`, over as many WebSockets as
that takes; calls and taps outlive a lost connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, TypeVar

from relay_client.call import Call
from relay_client.connection import Connection, Reported
from relay_client.dialing import Dials
from relay_client.endpoint import resolve_credentials, resolve_endpoint
from relay_client.errors import (
    ConnectionLostError,
)
from relay_client.events import TapEvent
from relay_client.handlers import HandlerTasks
from relay_client.jsonrpc import JsonObject
from relay_client.legs import Devices, check_devices
from relay_client.outcomes import SessionReplaced
from relay_client.protocol import RelayProtocol
from relay_client.readiness import Readiness
from relay_client.relay_session import RelaySession
from relay_client.states import SERVING, ConnectionState, StateChange
from relay_client.switchboard import Switchboard
from relay_client.timing import Timing

logger = logging.getLogger(__name__)

AGENT = "tapdeck-relay-client/0.1"
CONNECT_TIMEOUT = 60.0
DEFAULT_MAX_CALLS = 1000
_HANDLERS_PER_CALL = 10

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class RelayClient:
    """One client of the RELAY platform; nothing is opened before it is started.

    Args:
        project: project id; default SIGNALWIRE_PROJECT_ID.
        token: API token; default SIGNALWIRE_API_TOKEN.
        jwt_token: in place of both; default SIGNALWIRE_JWT_TOKEN.
        host: host name of the space, or its first label; default SIGNALWIRE_SPACE.
        contexts: whose inbound calls to take.
        max_active_calls: calls known at a time; further ones are ignored.
        scheme: `wss` or `ws`; default SIGNALWIRE_RELAY_SCHEME.
        path: of the WebSocket; none by default.
        ca_file: PEM file of further authorities to trust; default
            SIGNALWIRE_RELAY_CA_FILE.
        allow_private_rtp: let taps be sent to private addresses, which the public
            platform refuses.
        agent: how to introduce ourselves to the platform.
        timing: durations and limits.

    Raises:
        ConfigurationError: something is missing or cannot work.
    """

    def __init__(
        self,
        project: str | None = None,
        token: str | None = None,
        jwt_token: str | None = None,
        host: str | None = None,
        contexts: Sequence[str] | None = None,
        max_active_calls: int | None = None,
        *,
        scheme: str | None = None,
        path: str = "",
        ca_file: str | None = None,
        allow_private_rtp: bool = False,
        agent: str = AGENT,
        timing: Timing | None = None,
    ) -> None:
        credentials = resolve_credentials(
            os.environ, project=project, token=token, jwt_token=jwt_token
        )
        self._endpoint = resolve_endpoint(
            os.environ, host=host, scheme=scheme, path=path, ca_file=ca_file
        )
        self.timing = timing or Timing()
        self.allow_private_rtp = allow_private_rtp
        max_calls = max_active_calls or DEFAULT_MAX_CALLS
        self.handlers = HandlerTasks(max_calls * _HANDLERS_PER_CALL)
        self._relay_session = RelaySession(
            credentials, agent=agent, contexts=contexts or ()
        )
        self._protocol = RelayProtocol(
            self._relay_session,
            timing=self.timing,
            rng=random.Random(),
            new_id=lambda: str(uuid.uuid4()),
        )
        self._connection = Connection(
            self._protocol,
            self._endpoint,
            timing=self.timing,
            on_report=self._take_report,
        )
        self._dials = Dials()
        self._switchboard = Switchboard(self, self._dials, max_calls)
        self._on_call: Callable[[Call], Any] | None = None
        self._on_state: list[Callable[[StateChange], Any]] = []
        self._on_foreign_tap: list[Callable[[Call, TapEvent], Any]] = []
        self._is_started = False
        self._readiness = Readiness()

    def __repr__(self) -> str:
        return f"<RelayClient {self.host} {self.state}>"

    @property
    def host(self) -> str:
        """The platform's host name."""
        return self._endpoint.host

    @property
    def contexts(self) -> list[str]:
        """The contexts whose inbound calls this client takes."""
        return list(self._relay_session.contexts)

    @property
    def relay_protocol(self) -> str:
        """The platform's name for the RELAY session; empty before the first."""
        return self._relay_session.protocol

    @property
    def state(self) -> ConnectionState:
        """Where the connection to the platform stands."""
        return self._protocol.state

    @property
    def last_change(self) -> StateChange | None:
        """The latest change of `state`, with its reason."""
        return self._readiness.last_change

    @property
    def calls(self) -> Mapping[str, Call]:
        """The calls that are not over, by call id."""
        return MappingProxyType(self._switchboard.calls)

    @property
    def drops(self) -> Counter[str]:
        """What was received and not used, by reason."""
        total = self._protocol.drops + self._switchboard.drops
        total["handler_not_run"] = self.handlers.dropped
        return +total

    # Handlers.

    def on_call(self, handler: _Handler) -> _Handler:
        """Have `handler(call)` called for every inbound call (a decorator)."""
        self._on_call = handler
        return handler

    def on_state(self, handler: _Handler) -> _Handler:
        """Have `handler(change)` called for every `StateChange` (a decorator)."""
        self._on_state.append(handler)
        return handler

    def on_foreign_tap(self, handler: _Handler) -> _Handler:
        """Have `handler(call, event)` called for taps that others start (a decorator).

        Somebody else may tap a call of ours: a SWML document, the REST API, another
        process.
        """
        self._on_foreign_tap.append(handler)
        return handler

    # Connecting.

    def start(self) -> None:
        """Begin to connect, without waiting; needs a running event loop.

        Raises:
            ConfigurationError: the CA file cannot be used.
        """
        if self._is_started:
            return
        self._readiness.begin()
        self._connection.start()
        self._is_started = True

    async def connect(self, *, timeout: float | None = CONNECT_TIMEOUT) -> None:
        """Connect and wait until the platform has accepted us.

        Raises:
            AuthenticationError: it refused the credentials.
            ConnectionLostError: it could not be reached in time.
        """
        self.start()
        try:
            await self._readiness.wait_settled(timeout)
        except TimeoutError:
            reason = self._readiness.last_loss
            await self.disconnect()
            raise ConnectionLostError(
                f"not connected to {self.host} within {timeout:g} s: {reason}"
            ) from None
        except asyncio.CancelledError:
            await self.disconnect()
            raise
        refusal = self._readiness.refusal()
        if refusal is not None:
            await self.disconnect()
            raise refusal
        if self._protocol.is_final:
            raise ConnectionLostError("client disconnected")

    async def disconnect(self) -> None:
        """Leave the platform; calls go on there, without us.

        Handlers are cancelled first, while they can still hang up.
        """
        if not self._is_started:
            return
        self._is_started = False
        await self.handlers.close(self.timing.shutdown_timeout)
        await self._connection.stop()
        error = ConnectionLostError("client disconnected")
        self._dials.connection_lost(error)
        self._switchboard.abandon(error)
        await self.handlers.finish(self.timing.shutdown_timeout)
        self._readiness.finish()

    async def wait_closed(self) -> None:
        """Wait until the client is disconnected, or refused for good.

        Raises:
            AuthenticationError: the platform refused the credentials.
        """
        await self._readiness.wait_over()
        refusal = self._readiness.refusal()
        if refusal is not None:
            raise refusal

    def run(self) -> None:
        """Connect and handle calls until interrupted. Blocks.

        Raises:
            AuthenticationError: the platform refused the credentials.
        """
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._run())

    async def _run(self) -> None:
        # Without signals (threads, some systems) the process is left as it is.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._readiness.finish)
        self.start()
        try:
            await self.wait_closed()
        finally:
            await self.disconnect()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.disconnect()

    # Commands.

    async def execute(self, method: str, params: JsonObject) -> JsonObject:
        """Send any request and return its result.

        While offline it waits for a connection, up to a limit.

        Raises:
            RelayError: the platform refused it, or it could not be carried out.
        """
        return await self._connection.request(method, params)

    async def receive(self, contexts: Sequence[str]) -> None:
        """Take inbound calls of these contexts as well."""
        if not contexts:
            return
        await self.execute("signalwire.receive", {"contexts": list(contexts)})
        known = self._relay_session.contexts
        known += [context for context in contexts if context not in known]

    async def unreceive(self, contexts: Sequence[str]) -> None:
        """Take no more inbound calls of these contexts."""
        if not contexts:
            return
        await self.execute("signalwire.unreceive", {"contexts": list(contexts)})
        known = self._relay_session.contexts
        known[:] = [context for context in known if context not in contexts]

    async def dial(
        self,
        devices: Devices,
        *,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        **kwargs: Any,
    ) -> Call:
        """Place a call and return the leg that answers.

        Args:
            devices: the outer list is tried one after another, each inner one at once.
            tag: our name for this dial; a new one by default.
            max_duration: as the platform takes it; its unit is documented both ways.
            dial_timeout: seconds to wait for an answer, by default 120.
            kwargs: further members of the request, such as `region`.

        Raises:
            DialError: nobody answered.
            RelayError: the platform refused it, or it could not be carried out.
        """
        self._switchboard.check_room()
        params: JsonObject = {"devices": check_devices(devices)}
        if max_duration:
            params["max_duration"] = max_duration
        params = {"tag": tag or str(uuid.uuid4()), **params, **kwargs}
        seconds = self.timing.dial_timeout if dial_timeout is None else dial_timeout
        return await self._dials.place(self.execute, params, timeout=seconds)

    def attach(self, call_id: str, node_id: str) -> Call:
        """Return the call of this id, known or not; a new one counts as answered.

        Raises:
            CallLimitError: too many calls are active.
        """
        return self._switchboard.attach(call_id, node_id)

    def detach(self, call: Call) -> None:
        """Forget a call that `attach` made known, unless a tap of ours runs on it.

        The platform need not tell this client of its end.
        """
        self._switchboard.detach(call)

    # What the connection reports.

    def _take_report(self, report: Reported) -> None:
        if isinstance(report, StateChange):
            self._take_change(report)
        elif isinstance(report, SessionReplaced):
            logger.warning("= RELAY session replaced: live calls may be out of reach")
        else:
            self._switchboard.receive(report)

    def _take_change(self, change: StateChange) -> None:
        self._readiness.take(change)
        level = logging.INFO if change.error is None else logging.ERROR
        logger.log(level, "RELAY is %s: %s", change.state, change.reason)
        if change.previous in SERVING and change.state not in SERVING:
            self._dials.connection_lost(ConnectionLostError("closed during dial"))
        if change.state is ConnectionState.READY and self._switchboard.calls:
            # Whatever happened meanwhile need not be told again.
            self.handlers.spawn("check of calls", self._switchboard.check_calls)
        for handler in self._on_state:
            self.handlers.call("on_state", handler, change)

    # What calls and the switchboard need.

    def incoming(self, call: Call) -> None:
        """Give an inbound call to its handler."""
        if self._on_call is None:
            logger.warning("x inbound call %s: no handler", call.call_id)
            return
        self.handlers.call(f"call {call.call_id}", self._on_call, call)

    def expect_leg(self, tag: str, call: Call) -> None:
        """Take legs with this tag for `call`'s peers."""
        self._switchboard.expect_leg(tag, call)

    def forget(self, call: Call) -> None:
        """Take a call out that is over."""
        self._switchboard.forget(call)

    def report_foreign_tap(self, call: Call, event: TapEvent) -> None:
        """Tell the application of a tap that somebody else started."""
        logger.info("= foreign tap on call %s: %s", call.call_id, event.state)
        for handler in self._on_foreign_tap:
            self.handlers.call("on_foreign_tap", handler, call, event)
