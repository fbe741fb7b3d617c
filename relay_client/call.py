"""One leg of a call: its state, its commands and its events.

State only moves forward (created, ringing, answered, ending, ended; states may be
skipped) so that repeated or late events change nothing. A command to a call that the
platform no longer has (404, 410) is a normal race with a hang-up: it returns an empty
result and ends the call here as well. When a call ends, everything that runs on it
completes and nobody is left waiting.

Implements the RELAY methods `calling.*` of one leg and the event `calling.call.state`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from relay_client import devices as tap_devices
from relay_client.actions import CompletionHandler, TapAction
from relay_client.errors import (
    ArgumentError,
    CallEndedError,
    ConnectionLostError,
    RelayError,
    RequestTimeoutError,
)
from relay_client.events import (
    EVENT_CALL_STATE,
    CallStateEvent,
    RelayEvent,
    TapEvent,
)
from relay_client.jsonrpc import INVALID_PARAMS, JsonObject, as_object
from relay_client.legs import CallInfo, CallState, Devices, check_devices
from relay_client.listeners import EventHandler, Listeners
from relay_client.owner import CallOwner

_MAX_FOREIGN_TAPS = 100


class Call:
    """One leg of a call, as long as this client knows it."""

    def __init__(self, owner: CallOwner, info: CallInfo) -> None:
        self._owner = owner
        self.call_id = info.call_id
        self.node_id = info.node_id
        self.state = info.state
        self.direction = info.direction
        """`inbound` or `outbound`: who placed the call."""
        self.context = info.context
        self.tag = info.tag
        self.project_id = info.project_id
        self.segment_id = info.segment_id
        self.device = info.device
        self.end_reason = ""
        self.peer: Call | None = None
        """The leg that this one is bridged to."""
        self.foreign_taps: dict[str, TapEvent] = {}
        """Taps on this leg that somebody else started, by control id."""
        self._actions: dict[str, TapAction] = {}
        self._own_control_ids: set[str] = set()
        self._lost_control_ids: set[str] = set()
        """Taps given up without knowing whether the platform started them."""
        self._listeners = Listeners()
        self._ended_event: RelayEvent | None = None
        self._is_answer_asked = False

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state}>"

    @property
    def from_number(self) -> str:
        """Who calls: a telephone number or a SIP address; empty if not said."""
        return self._party("from_number", "from")

    @property
    def to_number(self) -> str:
        """Who is called: a telephone number or a SIP address; empty if not said."""
        return self._party("to_number", "to")

    @property
    def stop_grace(self) -> float:
        """Seconds to wait for `finished` after a stop."""
        return self._owner.timing.stop_grace

    @property
    def actions(self) -> list[TapAction]:
        """The taps of ours that are not over."""
        return list(self._actions.values())

    def _party(self, *keys: str) -> str:
        params = as_object(self.device.get("params"))
        values = (params.get(key) for key in keys)
        return next((value for value in values if isinstance(value, str)), "")

    # Events.

    def on(self, event_type: str, handler: EventHandler) -> None:
        """Have `handler` called with every event of this type, in a task of its own."""
        self._listeners.add(event_type, handler)

    async def wait_for(
        self,
        event_type: str,
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = None,
    ) -> RelayEvent:
        """Wait for an event of this type that fulfils `predicate`.

        Raises:
            CallEndedError: the call ended, so the event cannot come any more.
            TimeoutError: it did not come in time.
        """
        return await self._listeners.wait_for(event_type, predicate, timeout)

    async def wait_for_ended(self, timeout: float | None = None) -> RelayEvent:
        """Wait for the end of the call and return the event that told of it.

        Raises:
            TimeoutError: the call is still going on.
        """
        if self._ended_event is not None:
            return self._ended_event
        return await self.wait_for(EVENT_CALL_STATE, _is_ended, timeout)

    async def wait_for_answered(self, timeout: float | None = None) -> None:
        """Wait until the call is answered.

        Raises:
            CallEndedError: it ended first.
            TimeoutError: neither happened.
        """
        if self.state is not CallState.ANSWERED:
            await self.wait_for(EVENT_CALL_STATE, _is_answered, timeout)

    def receive(self, event: RelayEvent) -> None:
        """Take in an event of this leg."""
        self.node_id = event.node_id or self.node_id
        if isinstance(event, CallStateEvent):
            self._receive_state(event)
        elif isinstance(event, TapEvent):
            self._receive_tap(event)
        for handler in self._listeners.handlers(event.event_type):
            self.run_handler(event.event_type, handler, event)
        self._listeners.wake(event)
        if self.state is CallState.ENDED:
            self._listeners.release(CallEndedError(self.call_id))

    def _receive_state(self, event: CallStateEvent) -> None:
        self.end_reason = event.end_reason or self.end_reason
        self.device = self.device or event.device
        self.advance(CallState.parse(event.call_state) or self.state)
        if self.state is CallState.ENDED and self._ended_event is None:
            self._end(event)

    def advance(self, state: CallState) -> None:
        """Move forward to `state`; never back."""
        if self.state.is_before(state):
            self.state = state

    def _end(self, event: RelayEvent) -> None:
        self._ended_event = event
        for action in self.actions:
            action.call_ended()
        self._owner.forget(self)

    def _receive_tap(self, event: TapEvent) -> None:
        action = self._actions.get(event.control_id)
        if action is not None:
            action.receive(event)
        elif event.control_id in self._lost_control_ids:
            self._stop_lost_tap(event)
        elif event.control_id not in self._own_control_ids:
            self._note_foreign_tap(event)

    def _note_foreign_tap(self, event: TapEvent) -> None:
        if event.state == "finished":
            self.foreign_taps.pop(event.control_id, None)
        elif len(self.foreign_taps) < _MAX_FOREIGN_TAPS:
            self.foreign_taps[event.control_id] = event
        self._owner.report_foreign_tap(self, event)

    def _stop_lost_tap(self, event: TapEvent) -> None:
        if event.state != "tapping":
            return
        self._lost_control_ids.discard(event.control_id)

        async def stop() -> None:
            await self.stop_tap(event.control_id)

        self._owner.handlers.spawn("stop of a lost tap", stop)

    # Commands.

    async def answer(self, **kwargs: Any) -> JsonObject:
        """Answer an inbound call; harmless on an answered one."""
        reply = await self._command("answer", kwargs)
        self._is_answer_asked = True
        return reply

    async def hangup(self, reason: str = "hangup") -> JsonObject:
        """End the call."""
        return await self._command("end", {"reason": reason})

    async def pass_(self) -> JsonObject:
        """Hand an inbound call back, for another client to take."""
        reply = await self._command("pass")
        self._leave("passed")
        return reply

    async def connect(
        self,
        devices: Devices,
        *,
        ringback: list[JsonObject] | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        max_price_per_minute: float | None = None,
        status_url: str | None = None,
        **kwargs: Any,
    ) -> JsonObject:
        """Bridge the call to whoever answers first.

        Wait for a `calling.call.connect` event with `connect_state` `connected`; then
        `peer` is the other leg.
        """
        optional = {
            "ringback": ringback,
            "tag": tag,
            "max_duration": max_duration,
            "max_price_per_minute": max_price_per_minute,
            "status_url": status_url,
        }
        given = {key: value for key, value in optional.items() if value is not None}
        if tag is not None:
            self._owner.expect_leg(tag, self)
        # A 404 here may be about a device, so it does not mean that this call is gone.
        params = {"devices": check_devices(devices), **given, **kwargs}
        return await self._command("connect", params, gone_ends_call=False)

    async def disconnect(self) -> JsonObject:
        """Undo a bridge; both legs stay up."""
        return await self._command("disconnect")

    async def tap(
        self,
        tap: JsonObject,
        device: JsonObject,
        *,
        control_id: str | None = None,
        on_completed: CompletionHandler | None = None,
        **kwargs: Any,
    ) -> TapAction:
        """Have a copy of this leg's audio sent to `device`.

        Returns once the platform has accepted it; `TapAction.wait_started` tells when
        it is live. If `answer` was called, waits a little for the call to be answered,
        for the platform taps answered legs only.

        Raises:
            ArgumentError: the platform would refuse a value.
            RelayError: the platform refused it, or it could not be carried out.
        """
        tap = tap_devices.check_tap(tap)
        device = tap_devices.check_device(
            device, allow_private=self._owner.allow_private_rtp
        )
        action = TapAction(self, self._new_control_id(control_id), on_completed)
        await self._await_answered()
        if self.state is CallState.ENDED:
            action.call_ended()
            return action
        self._actions[action.control_id] = action
        try:
            result = await self._start_tap(action, tap, device, kwargs)
        except BaseException as error:
            if not _is_started_without_reply(action, error):
                self._tap_not_started(action, error)
                raise
            result = {}
        action.accepted(result)
        return action

    def _new_control_id(self, wanted: str | None) -> str:
        control_id = wanted or str(uuid.uuid4())
        if control_id in self._own_control_ids:
            raise ArgumentError("control_id", "new for every tap of a call", control_id)
        self._own_control_ids.add(control_id)
        return control_id

    async def _await_answered(self) -> None:
        if not self._is_answer_asked or not self.state.is_before(CallState.ANSWERED):
            return
        try:
            await self.wait_for_answered(self._owner.timing.answer_grace)
        except (TimeoutError, CallEndedError):
            # The platform's answer to the request will say what is wrong.
            return

    async def _start_tap(
        self, action: TapAction, tap: JsonObject, device: JsonObject, extra: JsonObject
    ) -> JsonObject:
        params = {"control_id": action.control_id, "tap": tap, "device": device}
        try:
            return await self._command("tap", params | extra)
        except RelayError as error:
            plain = tap_devices.without_rate(device)
            if plain is None or error.code not in (INVALID_PARAMS, 400):
                raise
        # Strict platforms refuse `rate`, which not every description of taps has.
        return await self._command("tap", {**params, "device": plain, **extra})

    def _tap_not_started(self, action: TapAction, error: BaseException) -> None:
        lost = ConnectionLostError("given up")
        cause = error if isinstance(error, RelayError) else lost
        action.refuse(cause)
        if isinstance(cause, RequestTimeoutError | ConnectionLostError):
            self._lost_control_ids.add(action.control_id)

    async def stop_tap(self, control_id: str) -> JsonObject:
        """Ask the platform to stop a tap of this leg; any tap, not only ours.

        Raises:
            RelayError: the platform refused it; a 4xx means that it is over already.
        """
        params = self._params({"control_id": control_id})
        return await self._owner.execute("calling.tap.stop", params)

    async def check_alive(self) -> None:
        """Find out whether the platform still has this answered call.

        Answering again does nothing to an answered call, and is the only command that
        does nothing; if the call is gone, it is ended here.
        """
        await self._command("answer")

    async def _command(
        self,
        verb: str,
        extra: JsonObject | None = None,
        *,
        gone_ends_call: bool = True,
    ) -> JsonObject:
        if self.state is CallState.ENDED:
            return {}
        try:
            return await self._owner.execute(f"calling.{verb}", self._params(extra))
        except RelayError as error:
            if not error.is_call_gone:
                raise
        if gone_ends_call:
            self._leave("gone")
        return {}

    def _params(self, extra: JsonObject | None) -> JsonObject:
        return {"node_id": self.node_id, "call_id": self.call_id, **(extra or {})}

    # For the owner and the actions.

    def run_handler(self, name: str, handler: EventHandler, event: RelayEvent) -> None:
        """Call a handler of the application in a task of its own."""
        self._owner.handlers.call(f"{name} of {self.call_id}", handler, event)

    def action_done(self, control_id: str) -> None:
        """Note that an action is over."""
        self._actions.pop(control_id, None)

    def abandon(self, error: RelayError) -> None:
        """Release everybody who waits: no more events will come."""
        for action in self.actions:
            action.fail(error)
        self._listeners.release(error)

    def _leave(self, reason: str) -> None:
        """End the call here, with the event that the platform did not send."""
        params = self._params({"call_state": "ended", "end_reason": reason})
        payload: JsonObject = {"event_type": EVENT_CALL_STATE, "params": params}
        self.receive(CallStateEvent.from_payload(payload))


def _is_started_without_reply(action: TapAction, error: BaseException) -> bool:
    """Tell whether only the reply got lost: an event has said that the tap is live."""
    is_lost = isinstance(error, RequestTimeoutError | ConnectionLostError)
    return is_lost and action.started.done()


def _is_ended(event: RelayEvent) -> bool:
    return isinstance(event, CallStateEvent) and event.call_state == CallState.ENDED


def _is_answered(event: RelayEvent) -> bool:
    return isinstance(event, CallStateEvent) and event.call_state == CallState.ANSWERED
