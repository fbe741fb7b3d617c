"""What the HTTP API asks of the server: list, start and stop taps, tell if it can."""

from __future__ import annotations

from collections.abc import Callable

from relay_client import (
    CallEndedError,
    ConnectionState,
    RelayClient,
    RelayError,
)
from server.deck import Deck
from server.log import mask_tokens
from server.tapper import Tapper
from server.taps.refusal import TapRefusedError
from server.taps.rendezvous import Rendezvous
from server.taps.status import StartTap, TapStatus
from server.taps.tap import EndReason, Tap
from server.transports.http_api import Readiness, TapNotFound, TapPage

MAX_LAG_S = 1.0
"""An event loop that is later than this puts audio at risk."""


class Service:
    """The taps of this server, as its API offers them."""

    def __init__(
        self,
        deck: Deck,
        rendezvous: Rendezvous,
        tapper: Tapper | None,
        relay: RelayClient | None,
        *,
        lag_s: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._deck = deck
        self._rendezvous = rendezvous
        self._tapper = tapper
        self._relay = relay
        self._lag_s = lag_s
        self._now = now

    def page(self, limit: int) -> TapPage:
        """Return live taps, then those that ended last, newest first."""
        live = len(self._rendezvous.taps)
        total = live + len(self._deck.recent)
        return TapPage(self._deck.statuses(limit), live=live, total=total)

    async def start(self, request: StartTap) -> TapStatus:
        """Tap a call; of two taps (`stereo`) return the first.

        Raises:
            TapRefusedError: It cannot be started.
        """
        if self._tapper is None:
            raise TapRefusedError(
                409, "There are no SignalWire credentials to ask for taps with."
            )
        try:
            taps = await self._tapper.tap_named_call(
                request.call_id,
                request.node_id,
                request.direction,
                request.transport,
                request.tags,
            )
        except CallEndedError as error:
            raise TapRefusedError(
                404, f"Call {error.call_id} is over, or there never was one."
            ) from error
        except RelayError as error:
            raise TapRefusedError(
                502, f"The platform refused the tap: {mask_tokens(str(error))}."
            ) from error
        return self._deck.status(taps[0])

    async def stop(self, control_id: str) -> TapStatus:
        """Stop a tap and return it as it then is.

        Raises:
            TapNotFound: There is none of this id.
        """
        tap = self._rendezvous.taps.get(control_id)
        if tap is None:
            raise TapNotFound(control_id)
        await self._stop(tap)
        return self._deck.status(tap)

    async def mask(self, control_id: str, *, is_on: bool) -> TapStatus:
        """Pause the recording of a tap, or let it go on; return the tap as it then is.

        What is asked for counts at once; it returns when a restart keeps to it.

        Raises:
            TapNotFound: There is none of this id that is live.
        """
        tap = self._rendezvous.taps.get(control_id)
        if tap is None:
            raise TapNotFound(control_id)
        await self._deck.mask(tap, is_on=is_on)
        return self._deck.status(tap)

    def readiness(self) -> Readiness:
        """Tell whether taps can be started and received."""
        reasons = []
        relay = "not configured"
        if self._relay is not None:
            relay = self._relay.state.value
            if self._relay.state is not ConnectionState.READY:
                reasons.append(f"RELAY is {relay}")
        if (lag := self._lag_s()) > MAX_LAG_S:
            reasons.append(f"the event loop is {lag:.1f} s late")
        if self._rendezvous.is_closed:
            reasons.append("this server is stopping")
        elif self._rendezvous.overload is not None:
            reasons.append(self._rendezvous.overload)
        elif self._rendezvous.is_full:
            reasons.append("as many taps are live as max_taps allows")
        return Readiness(not reasons, tuple(reasons), relay)

    async def _stop(self, tap: Tap) -> None:
        if self._tapper is not None and self._tapper.is_running(tap):
            await self._tapper.stop(tap)
        if tap.end_reason is None:
            tap.end(EndReason.STOPPED, self._now())
