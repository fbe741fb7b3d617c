"""Tap directions and tap devices: checked before they are sent, read as they come.

Checks are strict and name the field and what it may be, because the platform's own
refusal is one sentence without either. Reading is lenient: numbers may be text, and
members may be missing.

Implements the `tap` and `device` members of RELAY `calling.tap`. Pure.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from relay_client.errors import ArgumentError
from relay_client.jsonrpc import JsonObject, as_code, as_object

CODECS = ("PCMU", "PCMA", "OPUS")

_PTIME_STEP, _PTIME_MAX = 10, 120
_MAX_PORT = 65535

# RFC 5737: the addresses of examples stand for public ones, and the platform's own
# documentation uses them that way.
_EXAMPLE_NETWORKS = tuple(
    ipaddress.IPv4Network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)


class TapDirection(enum.StrEnum):
    """Which half of a leg's audio is copied."""

    SPEAK = "speak"
    """What the party says."""
    LISTEN = "listen"
    """What the party hears."""
    BOTH = "both"

    @classmethod
    def parse(cls, value: object, field: str = "direction") -> TapDirection:
        """Return the direction called `value`.

        One page of the vendor's documentation prints `hear` for `listen`.

        Raises:
            ArgumentError: there is no such direction.
        """
        if value == "hear":
            return cls.LISTEN
        for direction in cls:
            if value == direction.value:
                return direction
        raise ArgumentError(field, _one_of(cls), value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TapDevice:
    """One end of a tap: where its audio is sent, or where it comes from."""

    type: str
    addr: str = ""
    port: int = 0
    codec: str = ""
    ptime: int = 0
    """Milliseconds of audio in a packet; 0 if not said."""
    rate: int = 0
    """Samples per second; 0 if not said."""
    uri: str = field(default="", repr=False)
    """Not shown: whoever has it may be let in by it alone."""

    @classmethod
    def from_wire(cls, device: JsonObject) -> TapDevice | None:
        """Return the device that the platform names; None if it names none."""
        kind, params = device.get("type"), as_object(device.get("params"))
        if not isinstance(kind, str) or not kind:
            return None
        return cls(
            type=kind,
            addr=_text(params.get("addr")),
            port=_count(params.get("port")),
            codec=_text(params.get("codec")).upper(),
            ptime=_count(params.get("ptime")),
            rate=_count(params.get("rate")),
            uri=_text(params.get("uri")),
        )


def check_tap(tap: object) -> JsonObject:
    """Return the `tap` member to send.

    Raises:
        ArgumentError: the platform would refuse it.
    """
    checked = _members(tap, "tap")
    if checked.get("type") != "audio":
        raise ArgumentError("tap.type", "'audio'", checked.get("type"))
    # The platform refuses a tap without `params`, even if there is nothing in them.
    params = _members(checked.get("params"), "tap.params")
    if "direction" in params:
        params["direction"] = TapDirection.parse(
            params["direction"], "tap.params.direction"
        ).value
    return {**checked, "params": params}


def check_device(device: object, *, allow_private: bool) -> JsonObject:
    """Return the `device` member to send.

    Raises:
        ArgumentError: the platform would refuse it.
    """
    checked = _members(device, "device")
    kind = checked.get("type")
    if kind not in ("ws", "rtp"):
        raise ArgumentError("device.type", "'ws' or 'rtp'", kind)
    params = _members(checked.get("params"), "device.params")
    if kind == "ws":
        _check_uri(params.get("uri"))
    else:
        _check_address(params.get("addr"), allow_private=allow_private)
        params["port"] = _check_port(params.get("port"))
        if "ptime" in params:
            params["ptime"] = _check_ptime(params["ptime"])
    _check_codec(params)
    return {**checked, "params": params}


def without_rate(device: JsonObject) -> JsonObject | None:
    """Return `device` without its rate; None if it has none.

    Strict platforms do not know the member.
    """
    params = as_object(device.get("params"))
    if "rate" not in params:
        return None
    rest = {key: value for key, value in params.items() if key != "rate"}
    return {**device, "params": rest}


def _members(value: object, name: str) -> JsonObject:
    if not isinstance(value, Mapping):
        raise ArgumentError(name, "a mapping", type(value).__name__)
    return dict(value)


def _check_uri(uri: object) -> None:
    allowed = "an address that starts with ws:// or wss:// and names a host"
    if not isinstance(uri, str):
        raise ArgumentError("device.params.uri", allowed)
    try:
        parts = urlsplit(uri)
        is_usable = parts.scheme in ("ws", "wss") and bool(parts.hostname)
    except ValueError:
        is_usable = False
    # The address is not repeated in the error: it may hold a token.
    if not is_usable:
        raise ArgumentError("device.params.uri", allowed)


def _check_address(address: object, *, allow_private: bool) -> None:
    kind = (
        "a literal IPv4 address" if allow_private else "a literal public IPv4 address"
    )
    if not isinstance(address, str):
        raise ArgumentError("device.params.addr", kind, address)
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        raise ArgumentError("device.params.addr", kind, address) from None
    if parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified:
        raise ArgumentError("device.params.addr", kind, address)
    if not allow_private and not _is_public(parsed):
        raise ArgumentError(
            "device.params.addr", f"{kind} (or set allow_private_rtp)", address
        )


def _is_public(address: ipaddress.IPv4Address) -> bool:
    is_example = any(address in network for network in _EXAMPLE_NETWORKS)
    return address.is_global or is_example


def _check_port(port: object) -> int:
    number = as_code(port)
    if not 1 <= number <= _MAX_PORT:
        allowed = f"a whole number from 1 to {_MAX_PORT}"
        raise ArgumentError("device.params.port", allowed, port)
    return number


def _check_ptime(ptime: object) -> int:
    number = as_code(ptime)
    if number % _PTIME_STEP or not _PTIME_STEP <= number <= _PTIME_MAX:
        allowed = f"a multiple of {_PTIME_STEP} from {_PTIME_STEP} to {_PTIME_MAX}"
        raise ArgumentError("device.params.ptime", allowed, ptime)
    return number


def _check_codec(params: JsonObject) -> None:
    codec = params.get("codec")
    if codec is None or codec in CODECS or codec in tuple(map(str.lower, CODECS)):
        return
    allowed = "one of " + ", ".join(CODECS)
    raise ArgumentError("device.params.codec", allowed, codec)


def _one_of(choices: type[enum.StrEnum]) -> str:
    return "one of " + ", ".join(repr(choice.value) for choice in choices)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    """Return a number that may be text; 0 for anything else."""
    return max(0, as_code(value))
