"""What a forward is to be: where to, in which framing and format, how patient."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from server.audio import AudioFormat, Codec
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


class WantedFormat(BaseModel):
    """A format to convert to."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    codec: Literal["PCMU", "PCMA", "L16"]
    sample_rate: Literal[8000, 16000, 24000, 48000] = 8000
    channels: Literal[1, 2] = 1
    byte_order: Literal["little", "big"] = "little"

    @property
    def audio_format(self) -> AudioFormat:
        """The same in the server's words."""
        return AudioFormat(
            Codec(self.codec), self.sample_rate, self.channels, self.byte_order
        )


class ForwardRequest(BaseModel):
    """A WebSocket to send the audio of a tap to."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["websocket"] = "websocket"
    url: Annotated[SecretStr, Field(max_length=4096), AfterValidator(_check_url)]
    headers: dict[str, SecretStr] = Field(default_factory=dict, max_length=_MAX_HEADERS)
    subprotocol: str | None = Field(
        None, max_length=128, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
    )
    framing: Literal["tap", "media-streams", "raw"] = "tap"
    format: WantedFormat | None = None
    """None: as received."""
    track: int = Field(0, ge=0, le=1)
    first_message: _Text = ""
    last_message: _Text = ""
    buffer_ms: int = Field(2000, ge=100, le=30_000)
    policy: Policy = "drop_oldest"
    max_attempts: int = Field(10, ge=1, le=1000)
    """Connections that fail one after another before the forward gives up."""
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
    def _check_messages(self) -> ForwardRequest:
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

    def address(self, names: dict[str, str]) -> str:
        """Return the URL with its templates filled in."""
        url = self.url.get_secret_value()
        for name in TEMPLATE_NAMES:
            url = url.replace(f"{{{name}}}", quote(names.get(name, ""), safe=""))
        return url
