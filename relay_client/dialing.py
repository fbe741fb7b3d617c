"""Outbound dials: from `calling.dial` to the leg that answers.

A dial is known by its tag, because the platform's reply names no call. The tag is
registered before the request is sent, as events can overtake the reply. A dial that we
gave up may still be answered; its tag is remembered, so that the leg can be ended.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from relay_client.call import Call
from relay_client.errors import ArgumentError, DialError, RelayError
from relay_client.events import CallStateEvent, DialEvent
from relay_client.jsonrpc import JsonObject

Execute = Callable[[str, JsonObject], Awaitable[JsonObject]]

_MAX_GIVEN_UP = 500
"""Tags remembered after their dials failed; the oldest is forgotten first."""


@dataclass(eq=False, slots=True)
class PendingDial:
    """A dial that nobody has answered yet."""

    tag: str
    answered: asyncio.Future[Call]
    is_accepted: bool = False
    """The platform has replied to the request."""
    end_reasons: list[str] = field(default_factory=list)
    """Of the legs that ended without answering."""


class Dials:
    """The dials of one client."""

    def __init__(self) -> None:
        self._pending: dict[str, PendingDial] = {}
        self._given_up: OrderedDict[str, set[str]] = OrderedDict()
        """Tag to the legs of it that were ended."""

    async def place(
        self, execute: Execute, params: JsonObject, *, timeout: float
    ) -> Call:
        """Send a dial and return the leg that answers.

        Raises:
            DialError: nobody answered.
            RelayError: the platform refused it, or it could not be carried out.
        """
        dial = self.begin(params["tag"])
        winner = None
        try:
            await execute("calling.dial", params)
            dial.is_accepted = True
            async with asyncio.timeout(timeout):
                winner = await dial.answered
        except TimeoutError as error:
            if isinstance(error, RelayError):
                raise
            raise DialError(dial.tag, f"no answer within {timeout:g} s") from None
        finally:
            self.end(dial, winner)
        return winner

    def begin(self, tag: str) -> PendingDial:
        """Register a dial, before it is sent.

        Raises:
            ArgumentError: a dial with this tag is going on.
        """
        if tag in self._pending:
            raise ArgumentError("tag", "that of no other dial going on", tag)
        self._given_up.pop(tag, None)
        dial = PendingDial(tag, asyncio.get_running_loop().create_future())
        self._pending[tag] = dial
        return dial

    def end(self, dial: PendingDial, winner: Call | None) -> None:
        """Take a dial out; without a winner, remember its tag."""
        del self._pending[dial.tag]
        if dial.answered.done() and not dial.answered.cancelled():
            # Looked at, so that asyncio does not complain of an unseen exception.
            dial.answered.exception()
        if winner is None:
            self._given_up[dial.tag] = set()
            while len(self._given_up) > _MAX_GIVEN_UP:
                self._given_up.popitem(last=False)

    def is_pending(self, tag: str) -> bool:
        """Return whether a dial with this tag is going on."""
        return tag in self._pending

    def is_late(self, tag: str, call_id: str) -> bool:
        """Return whether a leg that answered is to be ended; True once per leg."""
        ended = self._given_up.get(tag)
        if ended is None or call_id in ended:
            return False
        ended.add(call_id)
        return True

    def leg_ended(self, tag: str, event: CallStateEvent) -> None:
        """Keep the reason why a leg did not answer."""
        dial = self._pending.get(tag)
        if dial is not None and event.end_reason:
            dial.end_reasons.append(event.end_reason)

    def answered(self, tag: str, winner: Call) -> None:
        """Settle a dial."""
        dial = self._pending.get(tag)
        if dial is not None and not dial.answered.done():
            dial.answered.set_result(winner)

    def failed(self, event: DialEvent) -> None:
        """Settle a dial that nobody answered."""
        dial = self._pending.get(event.tag)
        if dial is None:
            return
        reasons = [event.reason, *dial.end_reasons]
        sentence = ", ".join(filter(None, reasons)) or "nobody answered"
        self._fail(dial, DialError(dial.tag, sentence))

    def connection_lost(self, error: RelayError) -> None:
        """Fail the dials whose outcome may have been reported to nobody."""
        for dial in self._pending.values():
            if dial.is_accepted:
                self._fail(dial, error)

    def _fail(self, dial: PendingDial, error: RelayError) -> None:
        if not dial.answered.done():
            dial.answered.set_exception(error)
