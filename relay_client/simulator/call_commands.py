"""Commands that concern one leg and its taps (sections 3 to 5 and 4.9)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from relay_client.simulator.calls import CallState, SimCall
from relay_client.simulator.commands import Command, Handler, Outcome
from relay_client.simulator.errors import CommandError, ParamsError
from relay_client.simulator.events import play_event
from relay_client.simulator.params import (
    TapRequest,
    is_public,
    parse_tap,
    require_text,
    schema_name,
)
from relay_client.simulator.tap import SimTap
from relay_client.simulator.tapping import make_tap
from relay_client.simulator.wire import Json

_END_REASONS = ("hangup", "cancel", "busy", "noAnswer", "decline", "error")
_PLAY_SECONDS = 0.5
"""How long a sound or a sentence plays that tells no length of its own."""

PLAIN_MESSAGES = MappingProxyType(
    {
        "calling.hold": "Call on hold",
        "calling.unhold": "Call off hold",
        "calling.transfer": "Transferring",
        "calling.send_digits": "Sending Digits",
        "calling.join_conference": "Joining conference",
        "calling.leave_conference": "Leaving conference",
        "calling.refer": "Starting SIP REFER",
        "calling.denoise": "Denoiser on",
        "calling.denoise.stop": "Denoiser off",
        "calling.echo": "Echo started",
    }
)
"""Commands that are answered and change nothing here."""


async def receive(command: Command) -> Outcome:
    """Subscribe to more contexts; `receive` adds, it does not replace."""
    command.session.contexts.update(_contexts(command))
    command.platform.subscriptions_changed()
    return Outcome("Receiving events")


async def unreceive(command: Command) -> Outcome:
    """Unsubscribe from contexts."""
    command.session.contexts.difference_update(_contexts(command))
    return Outcome("Unreceiving events")


async def answer(command: Command) -> Outcome:
    """Answer a leg; to answer twice is harmless (section 4.4)."""
    call = command.call()
    if call.is_over:
        raise CommandError(410, "Call has ended")

    async def after() -> None:
        if not call.is_answered and not call.is_over:
            call.move_to(CallState.ANSWERED)

    return Outcome("Answered", after=after)


async def end(command: Command) -> Outcome:
    """Hang up."""
    call = command.call()
    reason = command.params.get("reason", "hangup")
    if reason not in _END_REASONS:
        raise ParamsError("Invalid CallEndParams")

    async def after() -> None:
        await call.hang_up(reason)

    return Outcome("Disconnecting call", after=after)


async def pass_call(command: Command) -> Outcome:
    """Let another client have a call that is only offered."""
    call = command.call()
    if call.direction != "inbound" or call.is_answered or call.is_over:
        raise CommandError(400, "Call cannot be passed")

    async def after() -> None:
        call.passed_by.add(command.session.protocol)
        call.session = None
        call.changed.notify()

    return Outcome("Passing call", after=after)


async def tap(command: Command) -> Outcome:
    """Start a tap."""
    request = parse_tap(command.params)
    call = command.answered_call()
    _check_tap(command, call, request)
    found = make_tap(
        call,
        request,
        tasks=command.platform.tasks,
        ssl_context=command.platform.ssl_context,
    )
    call.taps[request.control_id] = found
    await _open_early(call, found)
    call.changed.notify()
    extra: Json = {"call_id": call.call_id, "control_id": request.control_id}
    source_device = found.source_device()
    if source_device is not None:
        extra["source_device"] = source_device
    if call.faults.finished_before_reply:
        await found.stop()
        return Outcome("Tapping", extra)
    return Outcome("Tapping", extra, after=found.start)


async def tap_stop(command: Command) -> Outcome:
    """Stop a tap; one that is unknown or over is a 404 (section 5.5)."""
    control_id = require_text(command.params, "control_id", "calling.tap.stop")
    call = command.call()
    found = call.taps.get(control_id)
    if found is None or found.is_finished:
        raise CommandError(404, "Tap does not exist")
    extra = {"call_id": call.call_id, "control_id": control_id}
    return Outcome("Stopping tap", extra, after=found.stop)


async def play(command: Command) -> Outcome:
    """Pretend to play something to the leg."""
    control_id = require_text(command.params, "control_id", "calling.play")
    media = command.params.get("play")
    if not isinstance(media, list) or not media:
        raise ParamsError(f"Invalid {schema_name('calling.play')}")
    call = command.answered_call()
    if control_id in call.playing:
        raise CommandError(409, "control_id is in use")
    seconds = sum(_length(found) for found in media)

    async def after() -> None:
        call.playing.add(control_id)
        call.emit("calling.call.play", play_event(call, control_id, "playing"))
        command.platform.tasks.spawn(_play(call, control_id, seconds), "play")

    extra = {"call_id": call.call_id, "control_id": control_id}
    return Outcome("Playing", extra, after=after)


async def play_stop(command: Command) -> Outcome:
    """Stop playing."""
    control_id = require_text(command.params, "control_id", "calling.play.stop")
    call = command.call()
    if control_id not in call.playing:
        raise CommandError(404, "Nothing is playing")

    async def after() -> None:
        call.playing.discard(control_id)
        call.changed.notify()

    return Outcome("Stopping", after=after)


async def plain(command: Command) -> Outcome:
    """Answer a command that changes nothing here."""
    command.answered_call()
    if command.request.method == "calling.send_digits":
        for key in ("control_id", "digits"):
            require_text(command.params, key, command.request.method)
    return Outcome(PLAIN_MESSAGES[command.request.method])


def _check_tap(command: Command, call: SimCall, request: TapRequest) -> None:
    if request.control_id in call.taps:
        raise CommandError(409, "control_id is in use")
    refuse_private = command.platform.options.refuse_private
    if refuse_private and request.transport == "rtp" and not is_public(request.addr):
        raise CommandError(400, "addr is not a public address")


async def _open_early(call: SimCall, found: SimTap) -> None:
    """Open what has to be open before the reply: it names the RTP source."""
    if found.request.transport == "ws" and call.faults.unreachable == "finished":
        return
    try:
        await found.open()
    except OSError as exc:
        found.abandon()
        raise CommandError(400, "Tap destination cannot be reached") from exc


async def _play(call: SimCall, control_id: str, seconds: float) -> None:
    await call.changed.wait_for(
        lambda: control_id not in call.playing or call.is_over, seconds
    )
    call.playing.discard(control_id)
    call.emit("calling.call.play", play_event(call, control_id, "finished"))


def _length(media: Any) -> float:
    """Return the seconds that a media object plays."""
    params = media.get("params") if isinstance(media, dict) else None
    seconds = params.get("duration") if isinstance(params, dict) else None
    if isinstance(seconds, int | float) and 0 <= seconds <= 3600:
        return float(seconds)
    return _PLAY_SECONDS


def _contexts(command: Command) -> set[str]:
    found = command.params.get("contexts")
    if not isinstance(found, list) or not found:
        raise ParamsError("Invalid contexts")
    return {str(context) for context in found}


CALL_HANDLERS: dict[str, Handler] = {
    "signalwire.receive": receive,
    "signalwire.unreceive": unreceive,
    "calling.answer": answer,
    "calling.end": end,
    "calling.pass": pass_call,
    "calling.tap": tap,
    "calling.tap.stop": tap_stop,
    "calling.play": play,
    "calling.play.stop": play_stop,
    **dict.fromkeys(PLAIN_MESSAGES, plain),
}
