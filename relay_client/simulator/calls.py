"""The life of one leg of a simulated call (section 4.2 of the protocol notes).

    created ──► ringing ──► answered ──► ending ──► ended

States may be skipped; ended is final. The same place that changes the state tells the
client that controls the leg.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from typing import Literal

from relay_client.simulator.events import (
    connect_event,
    state_event,
    unknown_events,
    with_numbers_as_strings,
)
from relay_client.simulator.options import FaultOptions, MediaOptions
from relay_client.simulator.session import RelaySession
from relay_client.simulator.tap import SimTap
from relay_client.simulator.tasks import Signal
from relay_client.simulator.wire import Json

logger = logging.getLogger(__name__)


class CallState(enum.StrEnum):
    """How far a leg has come, in RELAY's words."""

    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    ENDED = "ended"


_ORDER = list(CallState)


class SimCall:
    """One leg, its audio, its taps and who controls it."""

    def __init__(
        self,
        *,
        call_id: str,
        node_id: str,
        segment_id: str,
        direction: Literal["inbound", "outbound"],
        device: Json,
        speak: str,
        listen: str,
        seconds: float | None,
        media: MediaOptions,
        faults: FaultOptions,
        seed: str,
        context: str = "",
        tag: str = "",
        created_by: str = "",
    ) -> None:
        self.call_id = call_id
        self.node_id = node_id
        self.segment_id = segment_id
        self.direction = direction
        self.device = device
        self.speak = speak
        self.listen = listen
        self.seconds = seconds
        self.media = media
        self.faults = faults
        self.seed = seed
        self.context = context
        self.tag = tag
        self.created_by = created_by
        self.state = CallState.CREATED
        if direction == "inbound":
            self.state = CallState(faults.initial_state)
        self.end_reason = ""
        self.session: RelaySession | None = None
        self.passed_by: set[str] = set()
        self.peer: SimCall | None = None
        """The other leg: while it is being called, and while they are bridged."""
        self.is_connecting = False
        self.is_bridged = False
        self.taps: dict[str, SimTap] = {}
        self.playing: set[str] = set()
        self.refusals = 0
        self.answered_at: float | None = None
        self.answered_wall = 0.0
        self.changed = Signal()

    @property
    def is_answered(self) -> bool:
        """Whether the leg has audio now."""
        return self.state is CallState.ANSWERED

    @property
    def is_over(self) -> bool:
        """Whether the leg is ending or has ended."""
        return self.state in (CallState.ENDING, CallState.ENDED)

    def emit(self, event_type: str, params: Json, context: str | None = None) -> None:
        """Tell the client that controls this leg, with the faults asked for."""
        if self.session is None:
            return
        if self.faults.unknown_events:
            for unknown_type, unknown in unknown_events(self):
                self.session.emit(unknown_type, unknown)
        if self.faults.numbers_as_strings:
            params = with_numbers_as_strings(params)
        for _ in range(2 if self.faults.duplicate_events else 1):
            self.session.emit(event_type, params, context)

    def move_to(self, state: CallState, end_reason: str = "") -> None:
        """Change the state and tell it."""
        if _ORDER.index(state) <= _ORDER.index(self.state):
            raise ValueError(f"a call cannot go from {self.state} to {state}")
        logger.debug("= call %s is %s", self.call_id, state)
        self.state = state
        self.end_reason = end_reason or self.end_reason
        if state is CallState.ANSWERED:
            self.answered_at = asyncio.get_running_loop().time()
            self.answered_wall = time.time()
        if not (state is CallState.ENDED and self.faults.no_ended):
            self.tell()
        self.changed.notify()

    def tell(self) -> None:
        """Tell the state."""
        self.emit("calling.call.state", state_event(self))

    async def hang_up(self, reason: str = "hangup") -> None:
        """End the leg and everything that runs on it (section 4.5)."""
        if self.is_over:
            return
        self.move_to(CallState.ENDING, reason)
        self.playing.clear()
        if self.faults.ended_before_finished:
            self.move_to(CallState.ENDED)
        await asyncio.gather(*(tap.stop() for tap in self.taps.values()))
        self.unbridge()
        if self.state is not CallState.ENDED:
            self.move_to(CallState.ENDED)

    def bridge(self, peer: SimCall) -> None:
        """Connect two legs: each hears what the other says."""
        self.peer, peer.peer = peer, self
        self.is_bridged = peer.is_bridged = True
        self.emit("calling.call.connect", connect_event(self, "connected", peer))

    def unbridge(self) -> None:
        """Take two legs apart; the one that goes on is told (section 4.8)."""
        peer = self.peer
        if peer is None or not self.is_bridged:
            return
        for leg, other in ((self, peer), (peer, self)):
            leg.is_bridged = False
            leg.peer = None
            if not leg.is_over:
                leg.emit(
                    "calling.call.connect", connect_event(leg, "disconnected", other)
                )

    async def wait_answered(self, timeout: float = 30.0) -> None:
        """Wait until the leg is answered.

        Raises:
            TimeoutError: It was not, or it is over already.
        """
        await self.changed.wait_for(lambda: self.is_answered or self.is_over, timeout)
        if not self.is_answered:
            raise TimeoutError(f"call {self.call_id} is {self.state}, not answered")

    async def wait_ended(self, timeout: float = 60.0) -> None:
        """Wait until the leg has ended.

        Raises:
            TimeoutError: It has not.
        """
        is_ended = await self.changed.wait_for(
            lambda: self.state is CallState.ENDED, timeout
        )
        if not is_ended:
            raise TimeoutError(f"call {self.call_id} is {self.state}, not ended")

    async def wait_tap(self, timeout: float = 30.0) -> SimTap:
        """Wait for the first tap of this leg and return it.

        Raises:
            TimeoutError: There is none.
        """
        if not await self.changed.wait_for(lambda: bool(self.taps), timeout):
            raise TimeoutError(f"call {self.call_id} is not tapped")
        return next(iter(self.taps.values()))
