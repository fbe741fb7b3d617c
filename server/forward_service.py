"""The forwards of taps: begun by a rule of the configuration or over the API, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import uuid
from collections.abc import Iterator, Sequence

from server.deck import Deck
from server.forwards.allowed import AllowList
from server.forwards.factory import make_forward
from server.forwards.forward import Forward, ForwardContext
from server.forwards.pull import PullListener
from server.forwards.request import ForwardRequest
from server.forwards.roster import MAX_FORWARDS, TapForwards
from server.forwards.rules import ForwardRule
from server.log import TapLog
from server.taps.media_facts import media_facts
from server.taps.refusal import TapRefusedError
from server.taps.rendezvous import Rendezvous
from server.taps.status import ForwardStatus
from server.taps.tap import Tap

log = logging.getLogger(__name__)

MAX_PULLING = 200
"""Listeners over HTTP at one time, of all taps."""

RESOLVE_TIMEOUT_S = 5.0


class ForwardService:
    """The forwards of this server's taps, as its API offers them."""

    def __init__(
        self,
        deck: Deck,
        rendezvous: Rendezvous,
        forwards: TapForwards,
        allowed: Sequence[str],
    ) -> None:
        self._deck = deck
        self._rendezvous = rendezvous
        self._forwards = forwards
        self._pulling = 0
        self._allowed = AllowList.parse(allowed)

    async def add_forward(
        self, control_id: str, request: ForwardRequest
    ) -> ForwardStatus:
        """Begin a forward of a live tap.

        Raises:
            TapRefusedError: There is no such tap, it has too many, or the address may
                not be sent to.
        """
        self._live(control_id)
        await self._check_host(request)
        # The tap may have ended meanwhile.
        tap = self._live(control_id)
        if self._forwards.is_full(control_id):
            raise TapRefusedError(409, f"A tap has at most {MAX_FORWARDS} forwards.")
        return self._start(tap, request, self._allowed).status()

    def begin_by_rule(self, tap: Tap, rule: ForwardRule) -> None:
        """Begin what a rule says for a tap that has begun.

        Whoever wrote the configuration may name any address: there is nobody who is to
        be kept from it.
        """
        self._start(tap, rule.request, AllowList.everything(), rule.name)

    def _start(
        self, tap: Tap, request: ForwardRequest, allowed: AllowList, rule: str = ""
    ) -> Forward:
        names = _names(tap)
        context = ForwardContext(
            names=names,
            allowed=allowed,
            log=TapLog(
                log,
                control_id=tap.control_id,
                call_id=names["call_id"],
                direction=tap.direction.value,
            ),
            rule=rule,
        )
        forward = make_forward(uuid.uuid4().hex[:12], request, context)
        control_id, track = tap.control_id, request.track
        self._deck.attend(control_id, forward, track)
        self._forwards.start(
            control_id, forward, lambda: self._deck.ignore(control_id, forward, track)
        )
        return forward

    async def remove_forward(self, control_id: str, forward_id: str) -> None:
        """End a forward and forget it.

        Raises:
            TapRefusedError: There is none.
        """
        forward = self._forwards.get(control_id, forward_id)
        if forward is None:
            raise TapRefusedError(404, "There is no forward of this id.")
        self._deck.ignore(control_id, forward, forward.request.track)
        await self._forwards.remove(control_id, forward_id)

    @contextlib.contextmanager
    def listen(self, control_id: str) -> Iterator[PullListener]:
        """Give somebody the first track of a live tap, for as long as wanted.

        Raises:
            TapRefusedError: There is no such tap, or too many listen already.
        """
        self._live(control_id)
        if self._pulling >= MAX_PULLING:
            raise TapRefusedError(503, f"{MAX_PULLING} listen already.")
        listener = PullListener(lambda: self._deck.is_at_work(control_id))
        self._deck.attend(control_id, listener, 0)
        self._pulling += 1
        try:
            yield listener
        finally:
            self._pulling -= 1
            self._deck.ignore(control_id, listener, 0)

    def _live(self, control_id: str) -> Tap:
        tap = self._rendezvous.taps.get(control_id)
        if tap is None or not self._deck.is_at_work(control_id):
            raise TapRefusedError(404, "There is no live tap of this control id.")
        return tap

    async def _check_host(self, request: ForwardRequest) -> None:
        """Refuse what could never be dialled; what is dialled is judged again then."""
        loop = asyncio.get_running_loop()
        host = "The host" if request.address_field == "host" else "The host of url"
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                found = await loop.getaddrinfo(
                    request.host, None, type=socket.SOCK_STREAM
                )
        except (OSError, UnicodeError, TimeoutError):
            raise TapRefusedError(400, f"{host} cannot be found.") from None
        if not any(self._allowed.allows(str(each[4][0])) for each in found):
            raise TapRefusedError(
                400, f"{host} is neither public nor listed in forward_allow."
            )


def _names(tap: Tap) -> dict[str, str]:
    return {
        "call_id": media_facts(tap).call_id,
        "control_id": tap.control_id,
        "direction": tap.direction.value,
        "from": tap.from_number,
        "to": tap.to_number,
    }
