"""Asks the platform for taps: RELAY on one side, the rendezvous on the other.

For each inbound call of the contexts: answer, tap, connect onward if configured,
and wait for the end. The audio is none of its business; it only tells the rendezvous
what control says of each tap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from relay_client import (
    Call,
    CallEndedError,
    CallLostError,
    CallState,
    ConnectionState,
    RelayClient,
    RelayError,
    RelayEvent,
    StateChange,
    TapAction,
    TapDevice,
    TapEvent,
)
from relay_client import TapState as RelayTapState
from server.audio import OPUS_RATE, AudioFormat, Codec
from server.destinations import Destinations
from server.log import mask_tokens
from server.settings import Settings
from server.taps.announcement import Announcement
from server.taps.refusal import TapRefusedError
from server.taps.rendezvous import Rendezvous
from server.taps.tap import EndReason, Tap, TapDirection, TapOrigin, Transport

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 30.0
"""From `calling.answer` to the `answered` event."""

STOP_TIMEOUT_S = 6.0
"""For `calling.tap.stop` and the `finished` that follows it."""

L16_RATES = frozenset({8000, 16_000, 24_000, 32_000, 44_100, 48_000})
"""Sampling rates that are believed when the platform says that it sends L16."""

CONNECT_TIMEOUT_S = 60
"""Seconds that the onward number rings."""


RECONCILE_S = 10.0
"""After an absence, for the platform to tell what happened meanwhile."""


SERVING_STATES = frozenset({ConnectionState.READY, ConnectionState.DRAINING})


class Absence:
    """When RELAY was last away, and what is therefore told late."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._until: float | None = None
        self._was_here = False

    def note(self, now: float, *, is_here: bool) -> None:
        """Note that RELAY is here or away from now on."""
        self._was_here |= is_here
        if is_here:
            self._until = now if self._until is None else self._until
        elif self._was_here and (self._since is None or self._until is not None):
            self._since, self._until = now, None

    def before(self, now: float) -> float | None:
        """Return since when RELAY was away, if what is told now may be old."""
        if self._since is None:
            return None
        is_recent = self._until is None or now - self._until <= RECONCILE_S
        return self._since if is_recent else None


class Tapper:
    """Every tap that this server asked the platform for."""

    def __init__(
        self,
        client: RelayClient,
        rendezvous: Rendezvous,
        settings: Settings,
        destinations: Destinations,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._client = client
        self._rendezvous = rendezvous
        self._settings = settings
        self._destinations = destinations
        self._now = now
        self._wall = wall
        self._actions: dict[str, TapAction] = {}
        self._stopping: dict[str, EndReason] = {}
        """Why we asked for the stop of a tap, by control id."""
        self._stopped_at: dict[str, float] = {}
        """When the platform agreed to stop a tap, by control id."""
        self._away = Absence()
        client.on_call(self.handle_call)
        client.on_state(self._state_changed)

    async def handle_call(self, call: Call, transport: str | None = None) -> None:
        """Answer an inbound call, tap it, and connect it onward if so configured."""
        log.info("call %s: %s calls %s", call.call_id, call.from_number, call.to_number)
        if not self._rendezvous.has_room:
            # Somebody else may have room; answered here it would go unrecorded.
            log.error(
                "call %s is passed on: there is no room for its tap", call.call_id
            )
            await call.pass_()
            return
        try:
            await call.answer()
            await call.wait_for_answered(timeout=ANSWER_TIMEOUT_S)
        except (RelayError, TimeoutError) as error:
            why = error if str(error) else f"nothing for {ANSWER_TIMEOUT_S:.0f} s"
            log.warning("call %s was not answered: %s", call.call_id, why)
            return
        try:
            await self.tap_call(call, TapOrigin.RELAY, transport=transport)
        except (RelayError, TapRefusedError) as error:
            # The parties talk to each other whether it is recorded or not.
            log.error("call %s is not tapped: %s", call.call_id, error)
        if self._settings.connect_to is not None:
            await self._connect_onward(call, self._settings.connect_to)

    async def tap_named_call(
        self,
        call_id: str,
        node_id: str,
        direction: str | None,
        transport: str | None,
        tags: tuple[str, ...] = (),
    ) -> list[Tap]:
        """Tap a call that somebody names and that this client may never have seen.

        Raises:
            RelayError: The platform refused.
            TapRefusedError: There is no room here.
        """
        call = self._client.attach(call_id, node_id)
        try:
            return await self.tap_call(call, TapOrigin.API, direction, transport, tags)
        except BaseException:
            self._client.detach(call)
            raise

    async def tap_call(
        self,
        call: Call,
        origin: TapOrigin,
        direction: str | None = None,
        transport: str | None = None,
        tags: tuple[str, ...] = (),
    ) -> list[Tap]:
        """Ask for the tap of a call, or for the two taps of its stereo recording."""
        wanted = direction or self._settings.direction
        kind = self._destinations.choose(transport)
        names = ("speak", "listen") if wanted == "stereo" else (wanted,)
        return [
            await self._tap(call, TapDirection(name), kind, origin, tags)
            for name in names
        ]

    async def stop(self, tap: Tap, reason: EndReason = EndReason.STOPPED) -> None:
        """Ask the platform to stop a tap, and wait until it has, within limits."""
        action = self._actions.get(tap.control_id)
        if action is None or action.is_done:
            return
        self._stopping.setdefault(tap.control_id, reason)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await action.stop()
                self._stopped_at[tap.control_id] = self._now()
                await action.wait()
        except (RelayError, TimeoutError) as error:
            log.warning(
                "tap %s: the platform did not stop it: %s", tap.control_id, error
            )

    async def stop_all(self, reason: EndReason) -> None:
        """Take no further calls, and stop every tap."""
        taps = self._rendezvous.taps.values()
        await asyncio.gather(
            self._leave_contexts(), *(self.stop(tap, reason) for tap in taps)
        )

    async def _leave_contexts(self) -> None:
        try:
            await self._client.unreceive(self._client.contexts)
        except RelayError as error:
            log.warning("calls of our contexts still come: %s", error)

    def forget(self, tap: Tap) -> None:
        """Drop what is kept of a tap that is over."""
        action = self._actions.pop(tap.control_id, None)
        self._stopping.pop(tap.control_id, None)
        self._stopped_at.pop(tap.control_id, None)
        if action is not None and tap.origin is TapOrigin.API:
            self._client.detach(action.call)

    def is_stopping(self, tap: Tap) -> bool:
        """Return whether the platform has been asked to stop a tap."""
        return tap.control_id in self._stopping

    def is_running(self, tap: Tap) -> bool:
        """Return whether the platform still thinks that it is tapping."""
        action = self._actions.get(tap.control_id)
        return action is not None and not action.is_done

    async def _tap(
        self,
        call: Call,
        direction: TapDirection,
        transport: Transport,
        origin: TapOrigin,
        tags: tuple[str, ...],
    ) -> Tap:
        announcement = Announcement(
            transport=transport,
            direction=direction,
            origin=origin,
            expected=asked_format(self._settings),
            call_id=call.call_id,
            node_id=call.node_id,
            from_number=call.from_number,
            to_number=call.to_number,
            context=call.context,
            tags=tags,
        )
        tap = self._rendezvous.announce(
            announcement, now=self._now(), wall=self._wall()
        )
        try:
            action = await call.tap(
                tap={"type": "audio", "params": {"direction": direction.value}},
                device=self._destinations.device(
                    tap, codec=self._settings.codec, ptime=self._settings.ptime
                ),
                control_id=tap.control_id,
                on_completed=lambda _event: self._completed(tap, call),
            )
            if action.is_done and call.state is CallState.ENDED:
                raise CallEndedError(call.call_id)
        except RelayError as error:
            # The platform may repeat the address that it was given.
            detail = mask_tokens(str(error))
            tap.control_ended(EndReason.REFUSED, self._now(), detail)
            raise
        except BaseException:
            # The client stops the tap if the platform starts it after all.
            tap.control_ended(EndReason.REFUSED, self._now(), "nobody waited for it")
            raise
        self._accepted(tap, call, action)
        return tap

    def _accepted(self, tap: Tap, call: Call, action: TapAction) -> None:
        self._actions[tap.control_id] = action
        tap.accepted(self._now())
        source = action.source_device
        if tap.transport is Transport.RTP and source is not None and source.port:
            self._rendezvous.source_named(
                tap, (source.addr, source.port), _format_sent(source)
            )
        elif tap.transport is Transport.RTP and tap.port is None:
            log.warning(
                "tap %s: the platform names no source, and without it audio on a "
                "shared port belongs to nobody; give rtp_listen a range of ports",
                tap.control_id,
            )
        if action.state is RelayTapState.TAPPING:
            tap.confirmed()
        call.on("calling.call.tap", lambda event: self._confirm(tap, event))
        call.on("calling.call.state", lambda _event: self._call_changed(tap, call))

    def _confirm(self, tap: Tap, event: RelayEvent) -> None:
        if isinstance(event, TapEvent) and event.control_id == tap.control_id:
            tap.confirmed()

    def _call_changed(self, tap: Tap, call: Call) -> None:
        if call.state is CallState.ENDED:
            self._control_ended(tap, EndReason.HANGUP)

    def _state_changed(self, change: StateChange) -> None:
        self._away.note(self._now(), is_here=change.state in SERVING_STATES)

    def _control_ended(self, tap: Tap, reason: EndReason, detail: str = "") -> None:
        now = self._now()
        last = tap.session.last_media_at
        ended_at = self._stopped_at.get(tap.control_id, now)
        away_since = self._away.before(now)
        if away_since is not None:
            # Told late: it ended after its last audio, while nobody could tell us.
            ended_at = min(ended_at, max(away_since, last or 0.0))
        tap.control_ended(reason, now, detail, ended_at=ended_at)

    def _completed(self, tap: Tap, call: Call) -> None:
        action = self._actions.get(tap.control_id)
        if action is not None and isinstance(action.error, CallLostError):
            log.warning("tap %s: its end will not be told", tap.control_id)
            tap.control_lost()
            return
        detail = ""
        if (asked := self._stopping.get(tap.control_id)) is not None:
            reason = asked
        elif call.state in (CallState.ENDING, CallState.ENDED):
            reason = EndReason.HANGUP
        else:
            reason = EndReason.FINISHED
            if not tap.is_confirmed and tap.session.last_media_at is None:
                detail = "before it had begun, as if it could not reach this server"
        self._control_ended(tap, reason, detail)

    async def _connect_onward(self, call: Call, to: str) -> None:
        caller = self._settings.connect_from or call.to_number
        if to.startswith(("sip:", "sips:")):
            device = {"type": "sip", "params": {"from": caller, "to": to}}
        else:
            device = {
                "type": "phone",
                "params": {
                    "from_number": caller,
                    "to_number": to,
                    "timeout": CONNECT_TIMEOUT_S,
                },
            }
        try:
            await call.connect([[device]])
        except RelayError as error:
            log.error("call %s is not connected onward: %s", call.call_id, error)


def asked_format(settings: Settings) -> AudioFormat:
    """Return the format that taps are asked for in."""
    codec = Codec(settings.codec)
    return AudioFormat(codec, OPUS_RATE if codec is Codec.OPUS else 8000)


def _format_sent(source: TapDevice) -> AudioFormat | None:
    """Return the format of a dynamic payload type that the platform says it sends."""
    if source.codec == Codec.OPUS:
        return AudioFormat(Codec.OPUS, OPUS_RATE)
    if source.codec == Codec.L16 and source.rate in L16_RATES:
        return AudioFormat(Codec.L16, source.rate)
    return None
