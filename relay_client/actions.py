"""Handles on what runs on a call: here, taps.

A tap starts with our request and the platform's reply, and is live once a `tapping`
event says so; `finished` ends it. Reply, events and audio come in any order, and each
of them may be missing:

    STARTING ── tapping, or audio ──► TAPPING ── finished, stop, call over ──► FINISHED
        └── refused, call over, or finished before anything else ──► FAILED

`finished` carries no reason. Before `tapping` it means that the platform could not
reach the destination, unless we asked for the stop ourselves.

Implements the RELAY methods and events `calling.tap`, `calling.tap.stop` and
`calling.call.tap`.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from relay_client.devices import TapDevice
from relay_client.errors import RelayError, TapError
from relay_client.events import EVENT_CALL_TAP, RelayEvent, TapEvent
from relay_client.jsonrpc import JsonObject, as_object

if TYPE_CHECKING:
    from relay_client.call import Call

CompletionHandler = Callable[[RelayEvent], Any]
"""A function or coroutine function that is told of the event that ended an action."""


class TapState(enum.StrEnum):
    """How far a tap has come."""

    STARTING = "starting"
    TAPPING = "tapping"
    FINISHED = "finished"
    FAILED = "failed"


class TapAction:
    """One tap on one call. Made by `Call.tap`."""

    def __init__(
        self, call: Call, control_id: str, on_completed: CompletionHandler | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.call = call
        self.control_id = control_id
        self.state = TapState.STARTING
        self.error: RelayError | None = None
        """Why the tap failed; None unless `state` is FAILED."""
        self.result: RelayEvent | None = None
        """The event that ended the tap, or one of our making if none came."""
        self.source_device: TapDevice | None = None
        """Where the platform sends from, if it said so."""
        self.started: asyncio.Future[bool] = loop.create_future()
        """Becomes True once the tap is live, False if it failed before."""
        self._done: asyncio.Future[RelayEvent] = loop.create_future()
        self._on_completed = on_completed
        self._is_stop_asked = False
        self._stop_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<TapAction {self.control_id} {self.state}>"

    @property
    def is_done(self) -> bool:
        """True once the tap is over, well or badly."""
        return self._done.done()

    @property
    def completed(self) -> bool:
        """The same as `is_done`."""
        return self._done.done()

    async def wait(self, timeout: float | None = None) -> RelayEvent:
        """Wait for the end of the tap and return the event that ended it.

        Look at `state` and `error` for whether it went well. Cancelling the wait, or a
        time-out, leaves the tap alone.

        Raises:
            TimeoutError: the tap is still going on.
        """
        async with asyncio.timeout(timeout):
            return await asyncio.shield(self._done)

    async def wait_started(self, timeout: float | None = None) -> None:
        """Wait until the tap is live.

        Raises:
            RelayError: it failed instead.
            TimeoutError: neither happened.
        """
        async with asyncio.timeout(timeout):
            is_live = await asyncio.shield(self.started)
        if not is_live:
            raise self.error or TapError(self.control_id, "failed")

    async def stop(self) -> JsonObject:
        """Ask the platform to stop the tap, and return its reply.

        The tap is over when `finished` arrives, or some seconds after the reply if it
        does not. A tap that is over already is left alone.

        Raises:
            RelayError: the request could not be carried out.
        """
        if self.is_done:
            return {}
        self._is_stop_asked = True
        try:
            reply = await self.call.stop_tap(self.control_id)
        except RelayError as error:
            if not 400 <= error.code <= 499:
                raise
            # Whatever the platform's reason, it has no such tap running (any more).
            self._finish(self._local_event("already stopped"))
            return {}
        self._await_finished()
        return reply

    def _await_finished(self) -> None:
        if self.is_done or self._stop_timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._stop_timer = loop.call_later(
            self.call.stop_grace, self._finish, self._local_event("no finished event")
        )

    # From the call.

    def accepted(self, result: JsonObject) -> None:
        """Take in the platform's reply: accepted, not yet live."""
        device = as_object(result.get("source_device"))
        self.source_device = TapDevice.from_wire(device)

    def mark_started(self) -> None:
        """Note that the tap is live: an event says so, or its audio has arrived."""
        if self.state is TapState.STARTING:
            self.state = TapState.TAPPING
            self._set_started(is_live=True)

    def receive(self, event: TapEvent) -> None:
        """Take in an event of this tap; unknown states are ignored."""
        if event.state == "tapping":
            self.mark_started()
        elif event.state == "finished":
            self._finish(event)

    def call_ended(self) -> None:
        """Note that the call is over, and the tap with it."""
        self._finish(self._local_event("call ended"))

    def refuse(self, error: RelayError) -> None:
        """Note that the tap came to nothing, and that whoever asked for it knows."""
        self._on_completed = None
        self.fail(error)

    def fail(self, error: RelayError) -> None:
        """Note that the tap came to nothing."""
        self._complete(TapState.FAILED, self._local_event(error.message), error)

    def _finish(self, event: RelayEvent) -> None:
        if self.state is not TapState.STARTING or self._is_stop_asked:
            self._complete(TapState.FINISHED, event)
            return
        reason = str(event.params.get("reason", "finished before it started"))
        self._complete(TapState.FAILED, event, TapError(self.control_id, reason))

    def _complete(
        self, state: TapState, event: RelayEvent, error: RelayError | None = None
    ) -> None:
        if self.is_done:
            return
        if self._stop_timer is not None:
            self._stop_timer.cancel()
        self.state, self.error, self.result = state, error, event
        self._set_started(is_live=state is TapState.FINISHED)
        self._done.set_result(event)
        self.call.action_done(self.control_id)
        if self._on_completed is not None:
            self.call.run_handler("on_completed", self._on_completed, event)

    def _set_started(self, *, is_live: bool) -> None:
        if not self.started.done():
            self.started.set_result(is_live)

    def _local_event(self, reason: str) -> TapEvent:
        """Return the event that the platform did not send."""
        params = {
            "call_id": self.call.call_id,
            "node_id": self.call.node_id,
            "control_id": self.control_id,
            "state": "finished",
            "reason": reason,
        }
        payload: JsonObject = {"event_type": EVENT_CALL_TAP, "params": params}
        return TapEvent.from_payload(payload)
