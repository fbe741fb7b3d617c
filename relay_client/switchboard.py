"""The calls that a client knows, and which of them an event belongs to.

Legs become known by `calling.call.receive`, by the tag of a dial or a bridge of ours,
by a peer that is known, or because the application names them. Events of other legs are
counted and ignored.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter, OrderedDict

from relay_client.call import Call
from relay_client.dialing import Dials
from relay_client.errors import CallLimitError, CallLostError, RelayError
from relay_client.events import (
    CallingErrorEvent,
    CallReceiveEvent,
    CallStateEvent,
    ConnectEvent,
    DialEvent,
    PeerLeg,
    RelayEvent,
)
from relay_client.legs import CallInfo, CallState
from relay_client.owner import SwitchboardOwner

logger = logging.getLogger(__name__)

_MAX_TAGS = 1000
"""Tags of bridges remembered; the oldest is forgotten first."""


class Switchboard:
    """Calls by id, and where their events go."""

    def __init__(self, owner: SwitchboardOwner, dials: Dials, max_calls: int) -> None:
        self.calls: dict[str, Call] = {}
        self.drops: Counter[str] = Counter()
        self._owner = owner
        self._dials = dials
        self._max_calls = max_calls
        self._attached: set[str] = set()
        """Ids of the calls that the application named."""
        self._bridges: OrderedDict[str, Call] = OrderedDict()
        """The leg that asked for a bridge, by the bridge's tag."""

    def receive(self, event: RelayEvent) -> None:
        """Give an event to the call that it belongs to."""
        match event:
            case CallReceiveEvent():
                self._receive_incoming(event)
            case DialEvent():
                self._receive_dial(event)
            case CallingErrorEvent():
                logger.error("! platform: %d %s", event.code, event.message)
            case _:
                self._receive_for_leg(event)

    def attach(self, call_id: str, node_id: str) -> Call:
        """Return the call of this id; one not known yet is taken to be answered.

        Raises:
            CallLimitError: too many calls are known.
        """
        known = self.calls.get(call_id)
        if known is not None:
            return known
        self.check_room()
        leg = PeerLeg(call_id, node_id)
        self._attached.add(call_id)
        return self._add_leg(leg, state=CallState.ANSWERED, direction="")

    def detach(self, call: Call) -> None:
        """Take a call out that was attached and has nothing running."""
        if call.call_id in self._attached and not call.actions:
            self.forget(call)

    def check_room(self) -> None:
        """Raise `CallLimitError` if no more calls may be known."""
        if len(self.calls) >= self._max_calls:
            raise CallLimitError(self._max_calls)

    def expect_leg(self, tag: str, call: Call) -> None:
        """Remember that legs with this tag are `call`'s peers."""
        self._bridges[tag] = call
        while len(self._bridges) > _MAX_TAGS:
            self._bridges.popitem(last=False)

    def forget(self, call: Call) -> None:
        """Take a call out that is over."""
        self.calls.pop(call.call_id, None)
        self._attached.discard(call.call_id)
        for tag in [tag for tag, leg in self._bridges.items() if leg is call]:
            del self._bridges[tag]
        _part(call)

    def abandon(self, error: RelayError) -> None:
        """Release everybody who waits for a call, and forget them all."""
        calls = list(self.calls.values())
        self.calls.clear()
        self._attached.clear()
        self._bridges.clear()
        for call in calls:
            call.abandon(error)

    # Events.

    def _receive_incoming(self, event: CallReceiveEvent) -> None:
        known = self.calls.get(event.call_id)
        if known is not None:
            known.receive(event)
            return
        if not event.call_id:
            self.drops["call_without_id"] += 1
            return
        if not self._has_room():
            return
        call = self._add(
            CallInfo(
                call_id=event.call_id,
                node_id=event.node_id,
                state=_first_state(event.call_state),
                direction=event.direction,
                context=event.context,
                tag=event.tag,
                project_id=event.project_id,
                segment_id=event.segment_id,
                device=event.device,
            )
        )
        self._owner.incoming(call)

    def _receive_dial(self, event: DialEvent) -> None:
        winner = event.winner
        if event.dial_state == "failed":
            self._dials.failed(event)
        elif event.dial_state == "answered" and winner is not None:
            self._receive_winner(event.tag, winner, event.node_id)
        call = self.calls.get(winner.call_id) if winner is not None else None
        if call is not None:
            call.receive(event)

    def _receive_winner(self, tag: str, winner: PeerLeg, node_id: str) -> None:
        node_id = winner.node_id or node_id
        if self._dials.is_late(tag, winner.call_id):
            self._end_leg(winner.call_id, node_id)
            return
        if not self._dials.is_pending(tag):
            return
        call = self.calls.get(winner.call_id)
        if call is None:
            leg = PeerLeg(winner.call_id, node_id, tag, winner.device)
            call = self._add_leg(leg, state=CallState.ANSWERED)
        call.advance(CallState.ANSWERED)
        self._dials.answered(tag, call)

    def _receive_for_leg(self, event: RelayEvent) -> None:
        call = self.calls.get(event.call_id) or self._new_leg(event)
        if call is None:
            self.drops["unknown_call"] += 1
            return
        if isinstance(event, ConnectEvent):
            self._bridge(call, event)
        call.receive(event)
        if isinstance(event, CallStateEvent):
            self._follow_dial(call, event)

    def _new_leg(self, event: RelayEvent) -> Call | None:
        """Return a new call if the event names a leg that belongs to us."""
        if not event.call_id or not isinstance(event, CallStateEvent | ConnectEvent):
            return None
        tag, peer = event.tag, event.peer
        parent = self._bridges.get(tag) if tag else None
        if parent is None and peer is not None:
            parent = self.calls.get(peer.call_id)
        if parent is None and not self._dials.is_pending(tag):
            self._end_if_late(event)
            return None
        state, device = CallState.ANSWERED, {}
        if isinstance(event, CallStateEvent):
            state, device = _first_state(event.call_state), event.device
        if state is CallState.ENDED or not self._has_room():
            return None
        leg = PeerLeg(event.call_id, event.node_id, tag, device)
        call = self._add_leg(leg, state=state)
        if parent is not None:
            _join(parent, call)
        return call

    def _end_if_late(self, event: CallStateEvent | ConnectEvent) -> None:
        is_answered = (
            isinstance(event, CallStateEvent) and event.call_state == CallState.ANSWERED
        )
        if is_answered and self._dials.is_late(event.tag, event.call_id):
            self._end_leg(event.call_id, event.node_id)

    def _end_leg(self, call_id: str, node_id: str) -> None:
        """End a leg that answered after its dial was given up."""
        params = {"node_id": node_id, "call_id": call_id, "reason": "hangup"}

        async def end() -> None:
            with contextlib.suppress(RelayError):
                await self._owner.execute("calling.end", params)

        logger.info("= leg %s answered too late: ending it", call_id)
        self._owner.handlers.spawn(f"end of {call_id}", end)

    def _follow_dial(self, call: Call, event: CallStateEvent) -> None:
        tag = event.tag or call.tag
        if event.call_state == CallState.ENDED:
            self._dials.leg_ended(tag, event)
        elif event.call_state == CallState.ANSWERED and self._dials.is_late(
            tag, call.call_id
        ):
            self._end_leg(call.call_id, call.node_id)

    def _bridge(self, call: Call, event: ConnectEvent) -> None:
        if event.connect_state in ("disconnected", "failed"):
            _part(call)
        elif event.peer is not None and event.connect_state == "connected":
            peer = self.calls.get(event.peer.call_id)
            if peer is None and self._has_room():
                peer = self._add_leg(event.peer, state=CallState.ANSWERED)
            if peer is not None:
                _join(call, peer)

    # Calls.

    async def check_calls(self) -> None:
        """Give up the calls that the platform does not have, or gave somebody else."""
        for call in list(self.calls.values()):
            if call.state not in (CallState.ANSWERED, CallState.ENDING):
                continue
            try:
                await call.check_alive()
            except RelayError as error:
                logger.warning("! cannot check call %s: %s", call.call_id, error)
                if 400 <= error.code <= 499:
                    self.forget(call)
                    call.abandon(CallLostError(call.call_id))

    def _has_room(self) -> bool:
        if len(self.calls) < self._max_calls:
            return True
        self.drops["too_many_calls"] += 1
        logger.error("x call ignored: %d calls are active", self._max_calls)
        return False

    def _add_leg(
        self, leg: PeerLeg, *, state: CallState, direction: str = "outbound"
    ) -> Call:
        return self._add(
            CallInfo(
                call_id=leg.call_id,
                node_id=leg.node_id,
                state=state,
                direction=direction,
                tag=leg.tag,
                device=leg.device,
            )
        )

    def _add(self, info: CallInfo) -> Call:
        call = Call(self._owner, info)
        self.calls[info.call_id] = call
        return call


def _first_state(name: str) -> CallState:
    return CallState.parse(name) or CallState.CREATED


def _join(call: Call, peer: Call) -> None:
    call.peer, peer.peer = peer, call


def _part(call: Call) -> None:
    peer, call.peer = call.peer, None
    if peer is not None and peer.peer is call:
        peer.peer = None
