"""What the HTTP API asks of events: let somebody listen, and say what is live."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from itertools import islice

from server.deck import Deck
from server.events.hub import EventHub
from server.events.listener import Listener
from server.events.wanted import Wanted
from server.meters import Meters
from server.taps.rendezvous import Rendezvous
from server.taps.tap import Tap
from server.transports.http_json import tap_json

MAX_TOLD = 500
"""Taps in one snapshot, the newest: it is written out on the event loop."""


class EventService:
    """The events of this server, as its API offers them."""

    def __init__(
        self, hub: EventHub, deck: Deck, rendezvous: Rendezvous, meters: Meters
    ) -> None:
        self._hub = hub
        self._deck = deck
        self._rendezvous = rendezvous
        self._meters = meters
        hub.live = self._live_text

    @property
    def is_closed(self) -> bool:
        """Whether listeners are to go once they have taken what there is."""
        return self._hub.is_closed

    @contextlib.contextmanager
    def listen(
        self, wanted: Wanted, last_id: str, wake: Callable[[], None]
    ) -> Iterator[Listener]:
        """Let somebody listen, for as long as wanted.

        Raises:
            TooManyListenersError: There is no room.
        """
        listener = self._hub.join(wanted, last_id, wake)
        self._meters.look()
        try:
            yield listener
        finally:
            self._hub.leave(listener)
            self._meters.look()

    def close(self) -> None:
        """Let everybody go."""
        self._hub.close()

    def _live_text(self, control_ids: frozenset[str]) -> str:
        taps = self._rendezvous.taps
        chosen: Iterator[Tap] = reversed(taps.values())
        if control_ids:
            chosen = (tap for tap in chosen if tap.control_id in control_ids)
        items = [tap_json(self._deck.status(tap)) for tap in islice(chosen, MAX_TOLD)]
        return json.dumps({"items": items, "live": len(taps)})
