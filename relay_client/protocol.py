"""The RELAY protocol as a machine without input or output.

Theory of operation
-------------------
The machine owns everything that can be decided without a socket: authentication and
its three strikes, acknowledgements, pings, half-open detection, back-off, resumption,
draining and the queue of requests made while offline. The states and the moves between
them are the table in `states.py`.

Its owner feeds it with `connection_opened`, `receive_text`, `connection_lost` and
`handle_timer`, and after each call sends `data_to_send()`, drains `next_event()` and
arms a timer for `get_timer()`. Events ask the owner to open (`OpenWanted`) or to close
(`CloseWanted`) a socket, settle requests, and bring what the platform reports.

Acknowledgements are queued for sending before the event that they acknowledge is
given out, so no handler can delay them. Whenever the machine itself gives a connection
up it is DISCONNECTED at once: what still arrives from the old socket is dropped.

A session outlives its sockets: `protocol` and the newest `authorization_state` go into
the next `signalwire.connect`, always beside the credentials. If the platform answers
with another `protocol`, `SessionReplaced` tells the owner to look after its calls.

Only an error reply to `signalwire.connect` is a refusal of the credentials. A time-out
there, or a socket that closes, is a matter of transport and is retried for ever.

Implements the RELAY `signalwire.*` methods, protocol version 2.0.0. Pure: `now` is a
parameter, in monotonic seconds. Nothing raises on what the platform sent; what cannot
be used is counted in `drops`.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable

from relay_client import jsonrpc
from relay_client.backoff import Backoff
from relay_client.errors import (
    AuthenticationError,
    ConnectionLostError,
    RelayError,
    RequestTimeoutError,
    StateError,
)
from relay_client.events import AUTHORIZATION_STATE, parse_event
from relay_client.jsonrpc import JsonObject
from relay_client.liveness import Liveness
from relay_client.outcomes import (
    CloseWanted,
    EventReceived,
    OpenWanted,
    ProtocolEvent,
    RequestDone,
    RequestFailed,
    SessionReplaced,
)
from relay_client.outgoing import Outgoing
from relay_client.relay_session import RelaySession
from relay_client.states import (
    SERVING,
    TRANSITIONS,
    WITH_SOCKET,
    ConnectionState,
    StateChange,
    Trigger,
)
from relay_client.timing import Timing

_CONNECT = "signalwire.connect"
_DISCONNECT = "signalwire.disconnect"
_EVENT = "signalwire.event"
_PING = "signalwire.ping"
_RECEIVE = "signalwire.receive"


class RelayProtocol:
    """One RELAY session over any number of connections, one after another."""

    def __init__(
        self,
        relay_session: RelaySession,
        *,
        timing: Timing,
        rng: random.Random,
        new_id: Callable[[], str],
    ) -> None:
        self.relay_session = relay_session
        self.state = ConnectionState.DISCONNECTED
        self.is_final = False
        """True once the machine will not connect again by itself."""
        self.drops: Counter[str] = Counter()
        self._timing = timing
        self._backoff = Backoff(
            rng, minimum=timing.backoff_min, maximum=timing.backoff_max
        )
        self._liveness = Liveness(timing, 0.0)
        self._rejections = 0
        """Refusals of the credentials in a row."""
        self._ready_at: float | None = None
        self._retry_at: float | None = None
        self._events: deque[ProtocolEvent] = deque()
        self._outgoing = Outgoing(timing, new_id, self._events)

    # What the owner asks for.

    def start(self, now: float) -> None:
        """Begin to connect, and keep connected until `stop`."""
        self.is_final = False
        self._rejections = 0
        self._backoff.reset()
        self._open(now)

    def stop(self) -> None:
        """Give the connection up for good; whatever waits fails."""
        had_socket = self.state in WITH_SOCKET
        self._retry_at = None
        self._ready_at = None
        self.is_final = True
        self._move(Trigger.STOP, "stopped")
        error = ConnectionLostError("client disconnected")
        self._outgoing.drop_connection(error)
        self._outgoing.fail_queue(error)
        self.relay_session.forget()
        if had_socket:
            self._events.append(CloseWanted("stopped"))

    def request(self, method: str, params: JsonObject, now: float) -> str:
        """Send a request, or queue it while offline; return its id.

        Exactly one `RequestDone` or `RequestFailed` with that id follows.

        Raises:
            QueueFullError: too many requests wait for a connection.
            ConnectionLostError: the client is stopped, or refused for good.
            TypeError: `params` cannot be put into JSON.
        """
        if self.is_final:
            raise ConnectionLostError(f"client is {self.state}")
        if self.state not in SERVING:
            return self._outgoing.enqueue(method, params, now)
        self._liveness.exchanged(now)
        return self._outgoing.send(method, params, now)

    def abandon(self, request_id: str) -> None:
        """Forget a request that nobody waits for, unless it has been sent."""
        self._outgoing.unqueue(request_id)

    # What the owner reports.

    def connection_opened(self, now: float) -> None:
        """Note that the WebSocket is open: authenticate on it."""
        self._move(Trigger.OPENED, "socket open")
        self._liveness = Liveness(self._timing, now)
        self._send_own(_CONNECT, self.relay_session.connect_params(), now)

    def connection_lost(self, reason: str, now: float) -> None:
        """Note that the WebSocket closed, or could not be opened."""
        if self.state in WITH_SOCKET or self.state is ConnectionState.CONNECTING:
            self._lose(reason, now)

    def receive_text(self, text: str, now: float) -> None:
        """Take one text message from the WebSocket."""
        if self.state not in WITH_SOCKET:
            self.drops["not_connected"] += 1
            return
        self._liveness.received(now)
        message = jsonrpc.parse(text)
        if isinstance(message, jsonrpc.Request):
            self._receive_request(message, now)
        elif isinstance(message, jsonrpc.Invalid):
            self.drops[message.reason] += 1
        else:
            self._receive_reply(message, now)

    def data_to_send(self) -> list[str]:
        """Return the texts to send now, in order; they are given out once."""
        return self._outgoing.take_texts()

    def next_event(self) -> ProtocolEvent | None:
        """Return the oldest event not given out yet."""
        return self._events.popleft() if self._events else None

    # Time.

    def get_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called."""
        due = [self._retry_at, self._outgoing.next_expiry()]
        if self.state in SERVING:
            due += [self._liveness.ping_at, self._liveness.dead_at]
        if self.state is ConnectionState.DRAINING:
            due.append(self._liveness.quiet_at)
        return min((at for at in due if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do whatever is due."""
        self._outgoing.expire_queue(now)
        if self._retry_at is not None and self._retry_at <= now:
            self._open(now)
        if self.state in WITH_SOCKET:
            self._expire_pending(now)
        if self.state in SERVING:
            self._check_liveness(now)

    def _expire_pending(self, now: float) -> None:
        for entry in self._outgoing.expire_pending(now):
            if entry.method == _PING and self._liveness.heard_since(entry.sent_at):
                continue
            error = RequestTimeoutError(entry.method, entry.expires_at - entry.sent_at)
            self._outgoing.fail(entry, error)
            # A socket on which a request stays unanswered is taken for half-open.
            self._give_up(error.message, now)

    def _check_liveness(self, now: float) -> None:
        live = self._liveness
        if live.dead_at is not None and live.dead_at <= now:
            self._give_up(f"silent for {self._timing.watchdog:g} s", now)
        elif self.state is ConnectionState.DRAINING and live.quiet_at <= now:
            self._give_up("drained", now)
        elif live.ping_at is not None and live.ping_at <= now:
            self._send_own(_PING, {}, now)
            live.ping_sent(now)

    # Messages.

    def _receive_request(self, request: jsonrpc.Request, now: float) -> None:
        if request.method == _PING:
            self._liveness.server_pinged()
            self._acknowledge(request)
            return
        self._liveness.exchanged(now)
        if request.method == _EVENT:
            self._acknowledge(request)
            self._receive_event(request.params)
        elif request.method == _DISCONNECT:
            self._acknowledge(request)
            self._drain(restart=request.params.get("restart") in (True, "true"))
        else:
            self.drops["unknown_method"] += 1
            self._refuse(request)

    def _acknowledge(self, request: jsonrpc.Request) -> None:
        if request.id is not None:
            self._outgoing.say(jsonrpc.serialize_result(request.id))

    def _refuse(self, request: jsonrpc.Request) -> None:
        if request.id is not None:
            code, sentence = jsonrpc.METHOD_NOT_FOUND, "method not found"
            self._outgoing.say(jsonrpc.serialize_error(request.id, code, sentence))

    def _receive_event(self, payload: JsonObject) -> None:
        event = parse_event(payload)
        if not event.event_type:
            self.drops["event_without_type"] += 1
        elif event.event_type == AUTHORIZATION_STATE:
            sealed = event.params.get("authorization_state")
            self.relay_session.keep_authorization(sealed)
        else:
            self._events.append(EventReceived(event))

    def _drain(self, *, restart: bool) -> None:
        if restart:
            self.relay_session.restart()
        if self.state in SERVING:
            self._move(Trigger.DRAIN, "the platform asks us to leave")

    def _receive_reply(
        self, message: jsonrpc.Reply | jsonrpc.Failure, now: float
    ) -> None:
        entry = self._outgoing.replied(message.id)
        if entry is None:
            self.drops["unknown_reply"] += 1
            return
        if entry.method == _CONNECT:
            self._receive_verdict(message, now)
            return
        if isinstance(message, jsonrpc.Reply):
            message = jsonrpc.check(message)
        if not entry.is_own:
            self._liveness.exchanged(now)
            self._settle(entry.id, message)
        elif isinstance(message, jsonrpc.Failure) and entry.method != _PING:
            self.drops["own_request_refused"] += 1

    def _settle(
        self, request_id: str, message: jsonrpc.Reply | jsonrpc.Failure
    ) -> None:
        if isinstance(message, jsonrpc.Reply):
            self._events.append(RequestDone(request_id, message.result))
            return
        error = RelayError(message.code, self.relay_session.mask(message.message))
        self._events.append(RequestFailed(request_id, error))

    # Authentication.

    def _receive_verdict(
        self, message: jsonrpc.Reply | jsonrpc.Failure, now: float
    ) -> None:
        # The result of connect has no code of its own. Should one say otherwise, it is
        # a refusal; the result is never unwrapped, for it may hold a `result` key.
        if isinstance(message, jsonrpc.Reply):
            message = jsonrpc.check(message, max_nesting=0)
        if isinstance(message, jsonrpc.Reply):
            self._accept(message.result, now)
        else:
            self._reject(message, now)

    def _accept(self, result: JsonObject, now: float) -> None:
        self._rejections = 0
        self._ready_at = now
        is_replaced = self.relay_session.accept(result)
        self._liveness.authenticated(now)
        self._move(Trigger.ACCEPTED, "authenticated")
        if is_replaced:
            if self.relay_session.contexts:
                contexts = list(self.relay_session.contexts)
                self._send_own(_RECEIVE, {"contexts": contexts}, now)
            self._events.append(SessionReplaced())
        self._outgoing.flush(now)

    def _reject(self, refusal: jsonrpc.Failure, now: float) -> None:
        self._rejections += 1
        sentence = self.relay_session.mask(refusal.message)
        error = AuthenticationError(refusal.code, sentence)
        if self._rejections < self._timing.max_rejections:
            self._give_up(str(error), now, error)
            return
        self.is_final = not self.relay_session.has_been_accepted
        self._retry_at = None if self.is_final else now + self._timing.slow_retry
        self._move(Trigger.REFUSED, str(error), error=error, now=now)
        self._events.append(CloseWanted(str(error)))
        if self.is_final:
            self._outgoing.fail_queue(error)

    # Leaving.

    def _give_up(
        self, reason: str, now: float, error: RelayError | None = None
    ) -> None:
        """Stop using a socket that is still open."""
        if self.state in WITH_SOCKET:
            self._lose(reason, now, error)
            self._events.append(CloseWanted(reason))

    def _lose(self, reason: str, now: float, error: RelayError | None = None) -> None:
        """Go back to waiting for the next attempt."""
        if self._ready_at is not None:
            if now - self._ready_at >= self._timing.stable_after:
                self._backoff.reset()
            self._ready_at = None
        self._retry_at = now + self._backoff.next_wait()
        self._move(Trigger.LOST, reason, error=error, now=now)
        self._outgoing.drop_connection(ConnectionLostError())

    def _open(self, now: float) -> None:
        self._retry_at = None
        self._move(Trigger.OPEN, "connecting", now=now)
        self._events.append(OpenWanted())

    def _send_own(self, method: str, params: JsonObject, now: float) -> None:
        timing = self._timing
        timeout = timing.ping_timeout if method == _PING else timing.request_timeout
        self._outgoing.send_own(method, params, now, timeout)

    def _move(
        self,
        trigger: Trigger,
        reason: str,
        *,
        error: RelayError | None = None,
        now: float = 0.0,
    ) -> None:
        """Change the state; the only place that does."""
        previous = self.state
        state = TRANSITIONS.get((previous, trigger))
        if state is None:
            raise StateError(f"{trigger} is impossible while {previous}")
        self.state = state
        retry_in = None if self._retry_at is None else self._retry_at - now
        self._events.append(
            StateChange(
                state=state,
                previous=previous,
                reason=reason,
                error=error,
                is_final=self.is_final,
                retry_in=retry_in,
            )
        )
