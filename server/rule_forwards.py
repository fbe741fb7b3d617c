"""Begins the forwards of rules, as soon as it is known what a tap is.

A tap that control announced is known from its beginning: its forwards connect while the
platform still gets ready to send. A WebSocket that nobody announced says what it is in
its first message, and is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.forwards.rules import ForwardRule, TapFacts
from server.taps.media_facts import media_facts
from server.taps.tap import Tap
from server.taps.ws_session import WsSession


class RuleForwards:
    """The rules, and the taps that they have not been applied to yet.

    Args:
        rules: In the order of the configuration.
        begin: Begins the forward of a rule for a tap.
    """

    def __init__(
        self, rules: Sequence[ForwardRule], begin: Callable[[Tap, ForwardRule], None]
    ) -> None:
        self._rules = rules
        self._begin = begin
        self._unknown: dict[str, Tap] = {}

    def begun(self, tap: Tap) -> None:
        """Look at a tap that has begun."""
        if not self._rules:
            return
        if _is_known(tap):
            self._apply(tap)
        else:
            self._unknown[tap.control_id] = tap

    def look(self) -> None:
        """Look again at those of which nothing was known."""
        for tap in tuple(self._unknown.values()):
            if tap.is_over or _is_known(tap):
                del self._unknown[tap.control_id]
                if not tap.is_over:
                    self._apply(tap)

    def _apply(self, tap: Tap) -> None:
        facts = TapFacts(
            context=tap.context,
            from_number=tap.from_number,
            to_number=tap.to_number,
            direction=tap.direction.value,
            tags=media_facts(tap).tags,
        )
        for rule in self._rules:
            if rule.match.fits(facts):
                self._begin(tap, rule)


def _is_known(tap: Tap) -> bool:
    session = tap.session
    if tap.origin.is_controlled or not isinstance(session, WsSession):
        return True
    is_told = bool(session.call_id or session.custom_parameters)
    return is_told or session.last_media_at is not None
