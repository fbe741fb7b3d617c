"""The kinds of text that settings are: how each is read, and what it must be."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr

MIN_SECRET_LENGTH = 16
"""Shorter ones can be guessed by trying, since anybody may try."""

TAG_AGE_FORM = "a list of TAG=DAYS or TAG=keep"
NETWORK_FORM = "a list of addresses and networks, such as 10.0.0.0/8"
PHONE_FORM = "an E.164 number, such as +15550100001, or a sip: address"
RULES_FORM = (
    "a list of 32 tables at most, written [[forwards]] in the file, else as JSON"
)
SPACE_FORM = "a host, such as example.signalwire.com, without a scheme"

_PHONE = re.compile(r"\+[1-9]\d{1,14}|sips?:[^\s<>\"@]+@[^\s<>\"@]+", re.ASCII)
SPACE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?", re.ASCII)
_TAG_AGE = re.compile(r"[^,]{1,64}=(keep|\d{1,5})", re.ASCII)
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)

_T = TypeVar("_T")


def parsed(parse: Callable[[str], _T]) -> BeforeValidator:
    """Parse text; let what is no text pass to the type's own check."""
    return BeforeValidator(lambda raw: parse(raw) if isinstance(raw, str) else raw)


def matching(pattern: re.Pattern[str], form: str) -> AfterValidator:
    """Refuse text of another form than this."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {form}")
        return text

    return AfterValidator(check)


def _check_length(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < MIN_SECRET_LENGTH:
        raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters")
    return secret


def _check_token(secret: SecretStr) -> SecretStr:
    if not _URL_SAFE.fullmatch(_check_length(secret).get_secret_value()):
        raise ValueError("must be made of letters, digits and . _ ~ - only")
    return secret


def _check_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(f"must be {NETWORK_FORM}") from None


def split_list(text: str) -> tuple[str, ...]:
    """Return what is between commas."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _read_rules(raw: object) -> object:
    """Read rules; of no rules nothing is imported, for that takes a while."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise ValueError(f"must be {RULES_FORM}") from None
    if not raw:
        return ()
    if not isinstance(raw, list | tuple):
        raise ValueError(f"must be {RULES_FORM}")
    from server.forwards.rules import parse_rules

    return parse_rules(raw)


folded = parsed(lambda text: text.strip().lower())
raised = parsed(lambda text: text.strip().upper())
# `hear` is what one of the platform's pages calls `listen`.
one_direction = parsed(lambda text: text.strip().lower().replace("hear", "listen"))
Phone = Annotated[str, matching(_PHONE, PHONE_FORM)]
TagAge = Annotated[str, matching(_TAG_AGE, TAG_AGE_FORM)]
Secret = Annotated[SecretStr, AfterValidator(_check_length)]
Copy = Annotated[Literal["flac", "opus"], folded]
Network = Annotated[str, AfterValidator(_check_network)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]
Rules = Annotated[tuple[Any, ...], BeforeValidator(_read_rules)]
