"""Calls that a client makes: dial, connect and disconnect (sections 4.7 and 4.8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from relay_client.simulator.calls import CallState, SimCall
from relay_client.simulator.commands import Command, Handler, Outcome
from relay_client.simulator.errors import CommandError
from relay_client.simulator.events import connect_event, dial_event
from relay_client.simulator.options import CallRequest
from relay_client.simulator.params import DialDevice, parse_devices, require_text


class Dialling:
    """Rings parties, one group after the other, until somebody answers."""

    def __init__(self, command: Command, *, tag: str, parent: SimCall | None) -> None:
        self._command = command
        self._platform = command.platform
        self._tag = tag
        self._parent = parent
        self.last_reason = "noAnswer"
        """Why the last leg that failed did so."""

    def start(self, group: list[DialDevice]) -> list[tuple[SimCall, DialDevice]]:
        """Create the legs of one group and let them ring."""
        legs = [(self._leg(device), device) for device in group]
        for leg, _ in legs:
            leg.move_to(CallState.RINGING)
        return legs

    async def settle(self, legs: list[tuple[SimCall, DialDevice]]) -> SimCall | None:
        """Return the leg of a group that answers first; the others end."""
        options = self._platform.options.dial
        await asyncio.sleep(options.answer_after)
        outcomes = [
            (leg, options.outcome_of(device.address))
            for leg, device in legs
            if not leg.is_over
        ]
        winner = next((leg for leg, outcome in outcomes if outcome == "answer"), None)
        if winner is not None:
            winner.move_to(CallState.ANSWERED)
            self._platform.tasks.spawn(self._platform.limit(winner), "leg limit")
        for leg, outcome in outcomes:
            if outcome in ("busy", "decline"):
                self.last_reason = outcome
                await leg.hang_up(outcome)
        if winner is None and any(not leg.is_over for leg, _ in legs):
            timeouts = [device.timeout for _, device in legs if device.timeout]
            await asyncio.sleep(min([options.no_answer_after, *timeouts]))
        for leg, _ in legs:
            if leg is not winner:
                await leg.hang_up("cancel" if winner else "noAnswer")
        return winner

    def _leg(self, device: DialDevice) -> SimCall:
        leg = self._platform.new_leg(
            self._template(),
            direction="outbound",
            device=device.json,
            tag=self._tag,
            created_by="connect" if self._parent else "dial",
        )
        leg.session = self._command.session
        leg.peer = self._parent
        self._platform.remember(leg)
        leg.tell()
        return leg

    def _template(self) -> CallRequest:
        """Return the leg's audio: a peer says what the call hears, and vice versa."""
        template = self._platform.options.dial.template
        if self._parent is None:
            return template
        return replace(
            template,
            speak=self._parent.listen,
            listen=self._parent.speak,
            media=self._parent.media,
        )


async def dial(command: Command) -> Outcome:
    """Call somebody; the reply names no call."""
    tag = require_text(command.params, "tag", "calling.dial")
    groups = parse_devices(command.params, "calling.dial", in_call=False)
    dialling = Dialling(command, tag=tag, parent=None)

    async def after() -> None:
        first = dialling.start(groups[0])
        command.platform.tasks.spawn(
            _dial(command, dialling, tag, first, groups[1:]), f"dial {tag}"
        )

    return Outcome("Dialing", after=after)


async def _dial(
    command: Command,
    dialling: Dialling,
    tag: str,
    legs: list[tuple[SimCall, DialDevice]],
    rest: list[list[DialDevice]],
) -> None:
    node_id = command.platform.ids.node_id

    def tell(state: str, winner: SimCall | None = None) -> None:
        command.session.emit(
            "calling.call.dial", dial_event(node_id, tag, state, winner)
        )

    tell("dialing")
    if command.platform.connection_faults.close_mid_dial:
        command.connection.cut()
    winner = await dialling.settle(legs)
    for group in rest:
        if winner is not None:
            break
        winner = await dialling.settle(dialling.start(group))
    tell("answered" if winner else "failed", winner)


async def connect(command: Command) -> Outcome:
    """Bridge an answered leg with a new one, or with another that exists."""
    groups = parse_devices(command.params, "calling.connect", in_call=True)
    call = command.answered_call()
    if call.is_connecting or call.is_bridged:
        raise CommandError(409, "Call is already connected")
    existing = _existing(command, groups)
    tag = str(command.params.get("tag") or command.platform.ids.uuid())
    call.is_connecting = existing is None

    async def after() -> None:
        call.emit("calling.call.connect", connect_event(call, "connecting", None))
        if existing is not None:
            call.bridge(existing)
            return
        command.platform.tasks.spawn(
            _connect(command, call, tag, groups), f"connect {call.call_id}"
        )

    return Outcome("connecting", after=after)


async def _connect(
    command: Command, call: SimCall, tag: str, groups: list[list[DialDevice]]
) -> None:
    dialling = Dialling(command, tag=tag, parent=call)
    winner = None
    for group in groups:
        if winner is None and call.is_answered:
            winner = await dialling.settle(dialling.start(group))
    call.is_connecting = False
    if winner is None:
        call.emit(
            "calling.call.connect",
            connect_event(call, "failed", None, dialling.last_reason),
        )
    elif call.is_answered:
        call.bridge(winner)
    else:
        await winner.hang_up("cancel")


def _existing(command: Command, groups: list[list[DialDevice]]) -> SimCall | None:
    """Return the leg that a `call` device names; None if there is no such device."""
    device = groups[0][0]
    if device.type != "call":
        return None
    found = command.platform.calls.get(device.call_id)
    if found is None or found.session is not command.session:
        raise CommandError(404, "Call to connect to does not exist")
    if not found.is_answered or found.is_connecting or found.is_bridged:
        raise CommandError(409, "Call to connect to is not free")
    return found


async def disconnect(command: Command) -> Outcome:
    """Take a bridge apart; both legs stay up."""
    call = command.answered_call()
    if not call.is_bridged:
        raise CommandError(400, "Call is not connected")

    async def after() -> None:
        call.unbridge()

    return Outcome("Disconnecting", after=after)


DIAL_HANDLERS: dict[str, Handler] = {
    "calling.dial": dial,
    "calling.connect": connect,
    "calling.disconnect": disconnect,
}
