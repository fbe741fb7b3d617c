"""What a forward is to be: where to, in which framing and format, how patient."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from server.audio import OPUS_RATE, AudioFormat, ByteOrder, Codec
from server.forwards.buffer import Policy

TEMPLATE_NAMES = ("call_id", "control_id", "direction", "from", "to")
_Text = Annotated[str, Field(max_length=4096)]
_MAX_HEADERS = 32


def _check_url(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("must be ws://HOST/... or wss://HOST/...")
    # Raises ValueError itself if the port is none.
    if parts.port == 0:
        raise ValueError("has port 0")
    return url


def _check_host(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Whether a name leads anywhere is seen when it is looked up.
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?", host):
            raise ValueError("must be a name or an IP address") from None
    return host


class WantedFormat(BaseModel):
    """A format to convert to."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    codec: Literal["PCMU", "PCMA", "L16", "OPUS"]
    sample_rate: Literal[8000, 16000, 24000, 48000] | None = None
    """None: 8000, or 48000 of Opus. Opus is clocked at 48000 whatever is encoded."""
    channels: Literal[1, 2] = 1
    byte_order: ByteOrder | None = None
    """Of L16. None: little over WebSocket, big over RTP (RFC 3551 section 4.5.11)."""

    def audio_format(self, byte_order: ByteOrder = "little") -> AudioFormat:
        """Return the same in the server's words."""
        codec = Codec(self.codec)
        rate = OPUS_RATE if codec is Codec.OPUS else self.encoded_rate
        order = self.byte_order or byte_order
        return AudioFormat(
            codec, rate, self.channels, order if codec is Codec.L16 else "big"
        )

    @property
    def encoded_rate(self) -> int:
        """Samples per second that are encoded."""
        usual = OPUS_RATE if self.codec == "OPUS" else 8000
        return self.sample_rate or usual


class _AnyForwardRequest(BaseModel):
    """What every forward has, wherever it leads."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: WantedFormat | None = None
    """None: as received."""
    track: int = Field(0, ge=0, le=1)
    buffer_ms: int = Field(2000, ge=100, le=30_000)
    policy: Policy = "drop_oldest"
    max_attempts: int = Field(10, ge=1, le=1000)
    """Connections that fail one after another before the forward gives up."""


class WebSocketForwardRequest(_AnyForwardRequest):
    """A WebSocket to send the audio of a tap to."""

    type: Literal["websocket"] = "websocket"
    url: Annotated[SecretStr, Field(max_length=4096), AfterValidator(_check_url)]
    headers: dict[str, SecretStr] = Field(default_factory=dict, max_length=_MAX_HEADERS)
    subprotocol: str | None = Field(
        None, max_length=128, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
    )
    framing: Literal["tap", "media-streams", "raw"] = "tap"
    first_message: _Text = ""
    last_message: _Text = ""
    replay_s: float = Field(0.0, ge=0, le=30)

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not name.isascii() or not name.replace("-", "").isalnum():
                raise ValueError("has a name that is no header's")
            text = value.get_secret_value()
            if len(text) > 4096 or not text.isprintable():
                raise ValueError("has a value that cannot be sent")
        return headers

    @model_validator(mode="after")
    def _check_messages(self) -> WebSocketForwardRequest:
        if self.framing != "raw" and (self.first_message or self.last_message):
            raise ValueError("first_message and last_message are of raw framing only")
        # Section 7.2 of the platform's own reference: always one channel.
        channels = self.format.channels if self.format is not None else 1
        if self.framing == "media-streams" and channels != 1:
            raise ValueError("media-streams have one channel only")
        return self

    @property
    def shown_url(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}/***"

    @property
    def host(self) -> str:
        """The host as it was named."""
        return urlsplit(self.url.get_secret_value()).hostname or ""

    @property
    def address_field(self) -> str:
        """The field in which the host is named."""
        return "url"

    def address(self, names: dict[str, str]) -> str:
        """Return the URL with its templates filled in."""
        url = self.url.get_secret_value()
        for name in TEMPLATE_NAMES:
            url = url.replace(f"{{{name}}}", quote(names.get(name, ""), safe=""))
        return url


class RtpForwardRequest(_AnyForwardRequest):
    """A UDP port to send the audio of a tap to, as RTP."""

    type: Literal["rtp"]
    host: Annotated[str, Field(max_length=253), AfterValidator(_check_host)]
    port: int = Field(ge=1, le=65_535)
    payload_type: int | None = Field(None, ge=0, le=127)
    """None: the static number of the format, else 111 for Opus, 96 for others."""
    ptime: Literal[10, 20, 30, 40, 60] = 20
    """Milliseconds in a packet that is made here; Opus is passed on as it is."""
    rtcp: Literal["off", "mux", "next_port"] = "off"
    """Whether and where sender reports go: with the audio (RFC 5761) or one port up."""

    @model_validator(mode="after")
    def _check_numbers(self) -> RtpForwardRequest:
        # RFC 5761 section 4: with their marker these would look like RTCP.
        if self.payload_type is not None and 64 <= self.payload_type <= 95:
            raise ValueError("payload_type must not be 64 to 95, which RTCP may need")
        if self.rtcp == "next_port" and self.port == 65_535:
            raise ValueError("port 65535 has no next port for rtcp")
        is_opus = self.format is not None and self.format.codec == "OPUS"
        if is_opus and self.ptime == 30:
            raise ValueError("ptime of OPUS must be 10, 20, 40 or 60")
        return self

    @property
    def framing(self) -> str:
        """What the audio is put into."""
        return "rtp"

    @property
    def shown_url(self) -> str:
        """The address as one text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtp://{host}:{self.port}"

    @property
    def address_field(self) -> str:
        """The field in which the host is named."""
        return "host"


def _type_of(document: Any) -> Any:
    """Return which kind of forward is asked for; without a word it is the first."""
    if isinstance(document, dict):
        return document.get("type", "websocket")
    return getattr(document, "type", "websocket")


ForwardRequest = Annotated[
    Annotated[WebSocketForwardRequest, Tag("websocket")]
    | Annotated[RtpForwardRequest, Tag("rtp")],
    Discriminator(
        _type_of,
        custom_error_type="forward_type",
        custom_error_message="must be 'websocket' or 'rtp'",
    ),
]
"""Any forward there can be."""

_REQUEST: TypeAdapter[ForwardRequest] = TypeAdapter(ForwardRequest)


class ForwardRequestError(ValueError):
    """What was asked for is no forward that there can be."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}" if field else sentence)
        self.field = field
        """Its name, dotted; empty if the whole is meant."""
        self.sentence = sentence


def parse_request(document: object) -> ForwardRequest:
    """Return the forward that a JSON value asks for.

    Raises:
        ForwardRequestError: It asks for none that there can be.
    """
    try:
        return _REQUEST.validate_python(document)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False)
    if first["type"] == "forward_type":
        field = "type"
    else:
        # The first part is the type.
        field = ".".join(map(str, first["loc"][1:]))
    raise ForwardRequestError(field, first["msg"].removeprefix("Value error, "))
