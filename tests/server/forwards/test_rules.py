"""Which taps a rule is for, and what a rule may be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from server.forwards.rules import TapFacts, parse_rules

TAP = TapFacts(
    context="support",
    from_number="+15550100001",
    to_number="+15550100002",
    direction="speak",
    tags=("stt", "billing"),
)


def fits(facts: TapFacts = TAP, **match: Any) -> bool:
    (rule,) = parse_rules([{"url": "wss://h/", "match": match}])
    return rule.match.fits(facts)


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"context": "support"},
        {"context": ["sales", "support"]},
        {"from": "+15550100001"},
        {"from": "+1555*"},
        {"from": "*0001"},
        {"from": "+1*1"},
        {"to": "*"},
        {"direction": "speak"},
        {"direction": ["speak", "both"]},
        {"tag": "billing"},
        {"tag": "st*"},
        {"context": "s*", "from": "+1*", "to": "+1*", "direction": "speak", "tag": "*"},
    ],
)
def test_a_rule_fits_if_each_of_its_conditions_holds(match: dict[str, Any]) -> None:
    assert fits(**match)


@pytest.mark.parametrize(
    "match",
    [
        {"context": "sales"},
        {"context": "Support"},
        {"from": "+1555010000"},
        {"from": "+1556*"},
        {"from": "+15550100001*1"},
        {"to": "+15550100001"},
        {"direction": "both"},
        {"direction": ["listen", "both"]},
        {"tag": "bill"},
        {"context": "support", "to": "+44*"},
    ],
)
def test_a_rule_does_not_fit_if_one_does_not(match: dict[str, Any]) -> None:
    assert not fits(**match)


def test_of_what_is_not_known_only_any_text_holds() -> None:
    unknown = TapFacts(direction="both")
    assert fits(unknown, to="*")
    assert not fits(unknown, to="+*")
    assert not fits(unknown, tag="*")


def test_a_rule_without_a_name_is_called_after_its_place() -> None:
    rules = parse_rules([{"url": "ws://h", "name": "one"}, {"url": "ws://h"}])
    assert [rule.name for rule in rules] == ["one", "forwards[1]"]


def test_conditions_are_told_in_words() -> None:
    match = {"context": "support", "to": ["+1555*", "+44*"]}
    first, second = parse_rules([{"url": "ws://h", "match": match}, {"url": "ws://h"}])
    assert str(first.match) == "taps with context support, to +1555* or +44*"
    assert str(second.match) == "every tap"


def test_the_other_keys_are_those_of_a_request() -> None:
    first, second = parse_rules(
        [
            {"url": "wss://h/", "framing": "raw", "buffer_ms": 500},
            {"type": "rtp", "host": "192.0.2.1", "port": 4000, "match": {"to": "1"}},
        ]
    )
    assert (first.request.framing, first.request.buffer_ms) == ("raw", 500)
    assert second.request.shown_url == "rtp://192.0.2.1:4000"


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({}, ("request", "websocket", "url")),
        ({"url": "wss://h/", "match": {"number": "1"}}, ("match", "number")),
        ({"url": "wss://h/", "match": {"to": "1*2*"}}, ("match", "to", 0)),
        ({"url": "wss://h/", "match": {"to": ""}}, ("match", "to", 0)),
        ({"url": "wss://h/", "match": {"direction": "x"}}, ("match", "direction", 0)),
        ({"url": "wss://h/", "name": "a\nb"}, ("name",)),
        ({"url": "wss://h/", "request": {}}, ("request", "websocket", "request")),
        ({"url": "wss://{to}.h/"}, ()),
        ("wss://h/", ()),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    rule: object, place: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_rules([rule])
    assert caught.value.errors()[0]["loc"] == (0, *place)


def test_there_may_be_as_many_as_a_tap_may_have() -> None:
    from server.forwards.roster import MAX_FORWARDS

    assert len(parse_rules([{"url": "ws://h"}] * MAX_FORWARDS)) == MAX_FORWARDS
    with pytest.raises(ValidationError):
        parse_rules([{"url": "ws://h"}] * (MAX_FORWARDS + 1))
