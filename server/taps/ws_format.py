"""What a WebSocket sender says about its format, in any of the ways it may say so.

The platform documents no announcement. Senders have been seen that begin with
`{"content-type": "audio/mulaw;rate=8000"}`, with `content-type:audio/mulaw;rate=8000`,
or with nothing, and media-stream senders that begin with `{"event": "connected"}`.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from typing import Any

from server.audio import OPUS_RATE, AudioFormat, Codec

_OGG = "ogg"
_NAMES: dict[str, Codec] = {
    "mulaw": Codec.PCMU,
    "ulaw": Codec.PCMU,
    "basic": Codec.PCMU,
    "pcmu": Codec.PCMU,
    "g711u": Codec.PCMU,
    "alaw": Codec.PCMA,
    "pcma": Codec.PCMA,
    "g711a": Codec.PCMA,
    "l16": Codec.L16,
    "pcm": Codec.L16,
    "raw": Codec.L16,
    "opus": Codec.OPUS,
    _OGG: Codec.OPUS,
}
_KEYS = ("content-type", "contenttype", "content_type", "format")
_MIN_RATE, _MAX_RATE = 1000, 192_000
_MAX_CHANNELS = 2

_PREFIX = re.compile(r"content-type\s*[:=]\s*", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"audio/([a-z0-9.+-]+)", re.IGNORECASE)
_BARE_NAME = re.compile(r"([a-z0-9.+-]+)\s*(?:;|$)", re.IGNORECASE)
# More digits than any rate has would only serve to make int() work hard.
_RATE = re.compile(r"\brate\s*=\s*\"?(\d{1,9})(?!\d)", re.IGNORECASE)
_CHANNELS = re.compile(r"\bchannels\s*=\s*\"?(\d{1,9})(?!\d)", re.IGNORECASE)


class PreambleKind(enum.Enum):
    """How the messages behind the announcement are to be read."""

    CODEC = "codec"
    """Binary messages with the bytes of `format`."""
    OGG = "ogg"
    """Binary messages with an Ogg Opus stream, cut anywhere."""
    MEDIA_STREAM = "media-stream"
    """JSON messages; the announcement is the first of them."""
    UNSUPPORTED = "unsupported"
    """Audio that cannot be decoded here."""


@dataclass(frozen=True, slots=True)
class Preamble:
    """An announcement."""

    kind: PreambleKind
    format: AudioFormat | None = None
    """Of CODEC and OGG. The byte order of L16 is never announced."""
    stated: str = ""
    """What was announced, for a message about it; at most 64 characters."""


def parse_preamble(text: str) -> Preamble | None:
    """Return what a text message announces, or None if it announces nothing."""
    text = text.strip()
    if text.startswith("{"):
        return _parse_json(text)
    prefix = _PREFIX.match(text)
    media_type = text[prefix.end() :] if prefix else text
    return _parse_media_type(media_type, is_labelled=prefix is not None)


def format_named(name: str, sample_rate: int, channels: int) -> AudioFormat | None:
    """Return the format called `name`, with or without `x-`; None if it is unknown.

    The sampling rate of Opus is always 48 kHz, whatever a sender calls it.
    """
    codec = _NAMES.get(name.lower().removeprefix("x-"))
    if codec is Codec.OPUS:
        sample_rate = OPUS_RATE
    in_range = _MIN_RATE <= sample_rate <= _MAX_RATE and 1 <= channels <= _MAX_CHANNELS
    return AudioFormat(codec, sample_rate, channels) if codec and in_range else None


def load_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that `text` is, or None if it is anything else."""
    try:
        value = json.loads(text)
    # Deep nesting exhausts the recursion limit before it is known to be invalid.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def printable(value: object, max_length: int) -> str:
    """Return what a sender says as text that may be shown or logged."""
    return "".join(filter(str.isprintable, str(value)[:max_length]))


def _parse_json(text: str) -> Preamble | None:
    message = load_object(text)
    if message is None:
        return None
    if isinstance(message.get("event"), str):
        return Preamble(PreambleKind.MEDIA_STREAM)
    for key, value in message.items():
        if key.lower() in _KEYS and isinstance(value, str):
            return _parse_media_type(value.strip(), is_labelled=True)
    return None


def _parse_media_type(text: str, *, is_labelled: bool) -> Preamble | None:
    """Read a media type; only one that is labelled as such may lack its `audio/`."""
    named = _MEDIA_TYPE.search(text)
    if named is None and is_labelled:
        named = _BARE_NAME.match(text)
    if named is None:
        return None
    rate = _RATE.search(text)
    channels = _CHANNELS.search(text)
    name = named[1].lower()
    format = format_named(
        name, int(rate[1]) if rate else 8000, int(channels[1]) if channels else 1
    )
    stated = printable(text, 64)
    if format is None:
        return Preamble(PreambleKind.UNSUPPORTED, stated=stated)
    is_ogg = name.removeprefix("x-") == _OGG
    kind = PreambleKind.OGG if is_ogg else PreambleKind.CODEC
    return Preamble(kind, format, stated)
