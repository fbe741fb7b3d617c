"""The calls with which somebody else starts a tap that ends here.

Three ways lead to the same tap: a RELAY program, an SWML document and a REST request
(the platform's documentation of `calling.tap` and of the SWML verb `tap`).

Pure: no input or output, no clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from server.settings import Settings

TOKEN = "<token>"  # noqa: S105 - stands for one
_ANY_URI = f"wss://media.example.com/tap/{TOKEN}"
_TO = "+15550100001"


@dataclass(frozen=True, slots=True)
class TapCalls:
    """One tap in three languages."""

    relay: str
    """Python, for the official SDK or for `relay_client`."""
    swml: str
    """A document of SWML, as JSON."""
    rest: str
    """A request, as a command for a shell."""


def tap_calls(settings: Settings) -> TapCalls:
    """Return the calls that fit these settings, with `<token>` for a static token."""
    # To start a stereo tap elsewhere takes two calls; one is shown.
    direction = "both" if settings.direction == "stereo" else settings.direction
    tap = {"type": "audio", "params": {"direction": direction}}
    uri = settings.tap_uri
    if uri is not None and uri.scheme == "rtp":
        where: dict[str, object] = {"addr": uri.host, "port": uri.port}
        where |= {"codec": settings.codec, "ptime": settings.ptime}
        device = {"type": "rtp", "params": where}
    else:
        where = {"uri": tap_address(settings), "codec": settings.codec}
        device = {"type": "ws", "params": where}
    return TapCalls(
        relay=_relay(tap, device),
        swml=_swml(settings, direction),
        rest=_rest(tap, device),
    )


def tap_address(settings: Settings) -> str:
    """Return the address to which a tap that was started elsewhere sends."""
    uri = settings.tap_uri
    if uri is None:
        return _ANY_URI
    if uri.scheme == "rtp" or _needs_no_token(settings):
        return uri.shown
    return uri.with_token(TOKEN).shown


def describe_tap_calls(settings: Settings) -> str:
    """Return the three calls as text, below what has to be true for them."""
    calls = tap_calls(settings)
    return (
        f"{_preface(settings)}\n\n"
        f"RELAY (Python), once the call is answered:\n\n{calls.relay}\n\n"
        f"SWML:\n\n{calls.swml}\n\n"
        f"REST:\n\n{calls.rest}\n"
    )


def _needs_no_token(settings: Settings) -> bool:
    return settings.accept == "any" and not settings.static_tokens


def _preface(settings: Settings) -> str:
    if settings.tap_uri is not None and settings.tap_uri.scheme == "rtp":
        if settings.accept == "any":
            return "Taps that are started elsewhere, to this address:"
        return (
            "With accept=announced only RTP of announced taps is recorded. Announce "
            "them with\nPOST /api/v1/taps, which starts the tap too, or set "
            "accept=any and start them so:"
        )
    if _needs_no_token(settings):
        return "Taps that are started elsewhere, to this address:"
    if settings.static_tokens:
        return f"Taps that are started elsewhere; {TOKEN} is a static token of yours:"
    return (
        f"Taps that are started elsewhere; choose a {TOKEN} of 16 characters or more "
        "and set it\nas TAPDECK_STATIC_TOKENS:"
    )


def _relay(tap: object, device: object) -> str:
    return (
        "await call.tap(\n"
        f"    tap={json.dumps(tap)},\n"
        f"    device={json.dumps(device)},\n"
        ")"
    )


def _swml(settings: Settings, direction: str) -> str:
    verb: dict[str, str | int] = {
        "uri": tap_address(settings),
        "direction": direction,
        # SWML knows no OPUS.
        "codec": "PCMU" if settings.codec == "OPUS" else settings.codec,
    }
    if settings.transport == "rtp":
        verb |= {"rtp_ptime": settings.ptime}
    # In this order: a connect lasts until its call is over, a tap only begins.
    main = [{"answer": {}}, {"tap": verb}, {"connect": {"to": _TO}}]
    steps = ",\n".join(f"    {json.dumps(step)}" for step in main)
    return f'{{"version": "1.0.0", "sections": {{"main": [\n{steps}\n]}}}}'


def _rest(tap: object, device: object) -> str:
    params = {"control_id": "tap-1", "tap": tap, "device": device}
    body = {"command": "calling.tap", "id": "<call id>", "params": params}
    return (
        'curl -u "$SIGNALWIRE_PROJECT_ID:$SIGNALWIRE_API_TOKEN" \\\n'
        "     -H 'Content-Type: application/json' \\\n"
        f"     -d '{json.dumps(body)}' \\\n"
        "     https://<space>.signalwire.com/api/calling/calls"
    )
