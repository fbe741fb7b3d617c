"""The parameters of RELAY commands, checked as the platform checks them.

Whatever does not fit the schema is refused with JSON-RPC error -32602 and the name of
the schema, as in `Invalid CallTapParams` (section 5.7 of the protocol notes).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from relay_client.simulator.errors import ParamsError
from relay_client.simulator.feed import Direction
from relay_client.simulator.formats import AskedFormat
from relay_client.simulator.wire import Json

_LENIENT = ConfigDict(extra="ignore", strict=True)
_Id = Annotated[str, Field(min_length=1, max_length=256)]
_DEVICE_TYPES = ("phone", "sip", "webrtc", "agora")


@dataclass(frozen=True, slots=True)
class _TapParams:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    direction: Literal["listen", "speak", "both"] = "speak"


@dataclass(frozen=True, slots=True)
class _TapMedia:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    type: Literal["audio"]
    params: _TapParams


@dataclass(frozen=True, slots=True)
class _WsParams:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    uri: Annotated[str, Field(pattern=r"^wss?://", max_length=4096)]
    codec: Literal["PCMU", "PCMA", "OPUS", "pcmu", "pcma", "opus"] | None = None
    rate: Annotated[int, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class _WsDevice:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    type: Literal["ws"]
    params: _WsParams


@dataclass(frozen=True, slots=True)
class _RtpParams:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    addr: str
    port: Annotated[int, Field(ge=1, le=65535)]
    codec: Literal["PCMU", "PCMA", "OPUS", "pcmu", "pcma", "opus"] | None = None
    ptime: Annotated[int, Field(ge=10, le=120, multiple_of=10)] | None = None
    rate: Annotated[int, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class _RtpDevice:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    type: Literal["rtp"]
    params: _RtpParams


@dataclass(frozen=True, slots=True)
class _CallTapParams:
    __pydantic_config__: ClassVar[ConfigDict] = _LENIENT
    control_id: _Id
    tap: _TapMedia
    device: Annotated[_WsDevice | _RtpDevice, Field(discriminator="type")]


_TAP = TypeAdapter(_CallTapParams)


@dataclass(frozen=True, slots=True, kw_only=True)
class TapRequest:
    """What `calling.tap` asks for."""

    control_id: str
    direction: Direction
    transport: Literal["ws", "rtp"]
    device: Json
    """As it was sent, for the events."""
    asked: AskedFormat
    uri: str = ""
    addr: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DialDevice:
    """One party to be called."""

    json: Json
    """As it was sent, for the events."""
    type: str
    address: str
    timeout: float | None
    call_id: str = ""
    """Of the existing leg that a `call` device names."""


def schema_name(method: str) -> str:
    """Return the name of a command's schema: `calling.tap.stop`, CallTapStopParams."""
    words = method.removeprefix("calling.").replace("_", ".").split(".")
    return "Call" + "".join(word.capitalize() for word in words) + "Params"


def require_text(params: Json, key: str, method: str) -> str:
    """Return a string that must be there."""
    value = params.get(key)
    if not isinstance(value, str) or not value:
        raise ParamsError(f"Invalid {schema_name(method)}")
    return value


def parse_tap(params: Json) -> TapRequest:
    """Return what `calling.tap` asks for.

    Raises:
        ParamsError: It does not fit the schema.
    """
    invalid = ParamsError("Invalid CallTapParams")
    try:
        found = _TAP.validate_json(json.dumps(params))
    except ValidationError as exc:
        raise invalid from exc
    device, direction = found.device, found.tap.params.direction
    asked = AskedFormat(codec=device.params.codec, rate=device.params.rate)
    if isinstance(device, _WsDevice):
        if not _has_host(device.params.uri):
            raise invalid
        return TapRequest(
            control_id=found.control_id,
            direction=direction,
            transport="ws",
            device=params["device"],
            asked=asked,
            uri=device.params.uri,
        )
    if not _is_ipv4(device.params.addr):
        raise invalid
    return TapRequest(
        control_id=found.control_id,
        direction=direction,
        transport="rtp",
        device=params["device"],
        asked=AskedFormat(
            codec=asked.codec, rate=asked.rate, ptime=device.params.ptime
        ),
        addr=device.params.addr,
        port=device.params.port,
    )


def is_public(addr: str) -> bool:
    """Tell whether the platform would send RTP to an address."""
    return ipaddress.IPv4Address(addr).is_global


def parse_devices(
    params: Json, method: str, *, in_call: bool
) -> list[list[DialDevice]]:
    """Return the parties of `dial` or `connect`: outer list serial, inner parallel.

    Raises:
        ParamsError: They do not fit the schema.
    """
    invalid = ParamsError(f"Invalid {schema_name(method)}")
    groups = params.get("devices")
    if not isinstance(groups, list) or not groups:
        raise invalid
    found = []
    for group in groups:
        if not isinstance(group, list) or not group:
            raise invalid
        devices = [_parse_device(device, in_call=in_call) for device in group]
        if None in devices:
            raise invalid
        found.append([device for device in devices if device is not None])
    return found


def _parse_device(device: Any, *, in_call: bool) -> DialDevice | None:
    if not isinstance(device, dict) or not isinstance(device.get("params"), dict):
        return None
    kind, params = device.get("type"), device["params"]
    if kind == "call" and in_call:
        call_id = params.get("call_id")
        if not isinstance(call_id, str):
            return None
        return DialDevice(
            json=device, type=kind, address="", timeout=None, call_id=call_id
        )
    if kind not in _DEVICE_TYPES:
        return None
    address = params.get("to_number" if kind == "phone" else "to")
    if not isinstance(address, str) or not address:
        return None
    timeout = params.get("timeout")
    return DialDevice(
        json=device,
        type=kind,
        address=address,
        timeout=timeout if isinstance(timeout, int | float) else None,
    )


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_ipv4(addr: str) -> bool:
    try:
        ipaddress.IPv4Address(addr)
    except ValueError:
        return False
    return True
