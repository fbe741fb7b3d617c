"""Which taps are forwarded without being asked: the rules of the configuration.

A rule is one table of the list `forwards`: what a tap must be (`match`), and the same
keys as a request to the API. A condition that is left out holds for every tap; of a
list of patterns one has to fit, and each condition has to hold.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)

from server.forwards.request import ForwardRequest

MAX_RULES = 32
"""As many as a tap may have forwards."""
PATTERN_FORM = "text of 1 to 256 characters with one * at most, for any text"
_OWN_KEYS = ("name", "match")
_CONFIG = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _as_list(raw: object) -> object:
    return (raw,) if isinstance(raw, str) else raw


def _check_pattern(pattern: str) -> str:
    if not 0 < len(pattern) <= 256 or pattern.count("*") > 1:
        raise ValueError(f"must be {PATTERN_FORM}")
    return pattern


def _check_name(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be printable text")
    return name


_Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(_check_pattern)], ...],
    BeforeValidator(_as_list),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TapFacts:
    """What rules look at; a thing that is not known is empty."""

    context: str = ""
    from_number: str = ""
    to_number: str = ""
    direction: str = ""
    tags: tuple[str, ...] = ()


class Match(BaseModel):
    """The conditions of one rule."""

    model_config = _CONFIG

    context: _Patterns = ()
    from_number: _Patterns = Field(default=(), alias="from")
    to_number: _Patterns = Field(default=(), alias="to")
    direction: Annotated[
        tuple[Literal["speak", "listen", "both"], ...], BeforeValidator(_as_list)
    ] = ()
    tag: _Patterns = ()

    def fits(self, facts: TapFacts) -> bool:
        """Return whether every condition holds for a tap."""
        return (
            _fits(self.context, [facts.context])
            and _fits(self.from_number, [facts.from_number])
            and _fits(self.to_number, [facts.to_number])
            and _fits(self.direction, [facts.direction])
            and _fits(self.tag, facts.tags)
        )

    def __str__(self) -> str:
        """Return the conditions in words."""
        conditions = [
            f"{self.__class__.model_fields[name].alias or name} {' or '.join(patterns)}"
            for name, patterns in self
            if patterns
        ]
        return f"taps with {', '.join(conditions)}" if conditions else "every tap"


class ForwardRule(BaseModel):
    """One rule: for which taps, and what is begun for them."""

    model_config = _CONFIG

    name: Annotated[str, AfterValidator(_check_name)] = Field("", max_length=64)
    match: Match = Match()
    request: ForwardRequest

    @model_validator(mode="before")
    @classmethod
    def _split(cls, raw: object) -> object:
        """Let the keys of the request lie beside ours, as they are written."""
        if not isinstance(raw, dict):
            return raw
        own = {key: raw[key] for key in _OWN_KEYS if key in raw}
        request = {key: value for key, value in raw.items() if key not in _OWN_KEYS}
        return {**own, "request": request}

    @model_validator(mode="after")
    def _check_host(self) -> ForwardRule:
        # The operator names the host, and whoever calls must not.
        if "{" in self.request.host:
            raise ValueError("must not have a template in the host of its url")
        return self


_RULES: TypeAdapter[tuple[ForwardRule, ...]] = TypeAdapter(
    Annotated[tuple[ForwardRule, ...], Field(max_length=MAX_RULES)]
)


def parse_rules(raw: Any) -> tuple[ForwardRule, ...]:
    """Read the list of rules; one without a name is called after its place.

    Raises:
        pydantic.ValidationError: Something in it cannot be used.
    """
    return tuple(
        rule if rule.name else rule.model_copy(update={"name": f"forwards[{at}]"})
        for at, rule in enumerate(_RULES.validate_python(raw))
    )


def _fits(patterns: Iterable[str], texts: Iterable[str]) -> bool:
    patterns = tuple(patterns)
    return not patterns or any(
        _is_like(text, pattern) for text in texts for pattern in patterns
    )


def _is_like(text: str, pattern: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return text == pattern
    is_long_enough = len(text) >= len(head) + len(tail)
    return is_long_enough and text.startswith(head) and text.endswith(tail)
