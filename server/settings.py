"""The settings: one frozen object with every key, its default and its meaning.

A key has four spellings: `ptime` here and in the TOML file, `--ptime` as a flag, and
`TAPDECK_PTIME` in the environment, where the platform's own keys keep the names that
the official SDKs use (`SIGNALWIRE_…`). `server.config` merges the four sources; nothing
else reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from server.addresses import (
    LISTEN_FORM,
    RANGE_FORM,
    TAP_URI_FORM,
    ListenAddress,
    PortRange,
    TapUri,
    parse_listen_address,
    parse_port_range,
    parse_tap_uri,
)
from server.setting_declaration import (
    CONFLICT,
    check_role_tokens,
    conflict,
    secrets_in,
    setting,
)
from server.setting_types import (
    MIN_SECRET_LENGTH,
    NETWORK_FORM,
    PHONE_FORM,
    RULES_FORM,
    SPACE,
    SPACE_FORM,
    TAG_AGE_FORM,
    Copy,
    Network,
    Phone,
    Rules,
    Secret,
    TagAge,
    Token,
    folded,
    matching,
    one_direction,
    parsed,
    raised,
    split_list,
)

if TYPE_CHECKING:
    from server.forwards.rules import ForwardRule

__all__ = ["CONFLICT", "Settings"]


class Settings(BaseSettings):
    """Everything that can be configured, checked."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        str_min_length=1,
    )

    project_id: str | None = setting(
        None,
        "SignalWire project; with its token, Tapdeck answers and taps calls itself",
        "text",
        repr=False,
    )
    relay_token: Annotated[SecretStr, Field(min_length=1)] | None = setting(
        None, "API token of the project, with the Voice permission", "text"
    )
    space: Annotated[str, matching(SPACE, SPACE_FORM)] = setting(
        "relay.signalwire.com", "host of the RELAY service", SPACE_FORM
    )
    relay_ca_file: Path | None = setting(
        None, "PEM file of the authorities to trust for RELAY", "the path of a file"
    )
    relay_scheme: Annotated[Literal["wss", "ws"], folded] = setting(
        "wss", "`ws` only for a simulator without TLS", "wss or ws"
    )

    tap_uri: Annotated[TapUri, parsed(parse_tap_uri)] | None = setting(
        None,
        "tap destination as the platform sees it; the scheme chooses the transport",
        TAP_URI_FORM,
    )
    http_listen: Annotated[ListenAddress, parsed(parse_listen_address)] = setting(
        ListenAddress("127.0.0.1", 8080),
        "address of WebSocket taps, API and pages",
        LISTEN_FORM,
    )
    rtp_listen: Annotated[PortRange, parsed(parse_port_range)] = setting(
        PortRange("127.0.0.1", 40000, 40000),
        "UDP port shared by all RTP taps, or a range with one port for each tap",
        RANGE_FORM,
    )
    accept: Annotated[Literal["announced", "any"], folded] = setting(
        "announced",
        "`announced`: only taps that Tapdeck asked for or was told of; "
        "`any`: every stream that arrives",
        "announced or any",
    )
    secret: Secret | None = setting(
        None,
        "signs the tokens of taps; replicas share it (without it: random at each "
        "start, with a warning)",
        f"at least {MIN_SECRET_LENGTH} characters",
    )
    static_tokens: Annotated[tuple[Token, ...], parsed(split_list)] = setting(
        (),
        "tokens for taps started elsewhere with a fixed address (SWML)",
        f"a list of tokens of at least {MIN_SECRET_LENGTH} characters each",
    )
    api_token: Secret | None = setting(
        None,
        "bearer token of API and pages; without one they answer on loopback only",
        f"at least {MIN_SECRET_LENGTH} characters",
    )
    listen_token: Secret | None = setting(
        None,
        "bearer token of those who may see and hear, and change nothing",
        f"at least {MIN_SECRET_LENGTH} characters",
    )
    download_token: Secret | None = setting(
        None,
        "bearer token of those who may take recordings away as well",
        f"at least {MIN_SECRET_LENGTH} characters",
    )
    allow_private_rtp: bool = setting(
        False,
        "let `tap_uri` hold an RTP address that the platform would refuse, for tests "
        "with the simulator",
        "true or false",
    )

    contexts: Annotated[tuple[str, ...], parsed(split_list)] = setting(
        ("default",),
        "RELAY contexts whose inbound calls are answered and tapped",
        "a list of names",
    )
    connect_to: Phone | None = setting(
        None, "number or SIP address to connect answered calls to", PHONE_FORM
    )
    connect_from: Phone | None = setting(
        None,
        "caller id shown to `connect_to` (without it: the number that was called)",
        PHONE_FORM,
    )
    direction: Annotated[
        Literal["speak", "listen", "both", "stereo"], one_direction
    ] = setting(
        "both",
        "`speak`: what the party says; `listen`: what it hears; `both`: their sum; "
        "`stereo`: `speak` and `listen` as two taps",
        "speak, listen, both or stereo",
    )
    codec: Annotated[Literal["PCMU", "PCMA", "OPUS"], raised] = setting(
        "PCMU", "codec to ask for", "PCMU, PCMA or OPUS"
    )
    ptime: int = setting(
        20,
        "milliseconds of audio in each RTP packet to ask for",
        "a multiple of 10 from 10 to 120",
        ge=10,
        le=120,
        multiple_of=10,
    )

    recordings_dir: Path = setting(
        Path("recordings"), "where recordings are kept", "the path of a directory"
    )
    durability: Annotated[Literal["process", "power"], folded] = setting(
        "process",
        "what recordings under way survive, but for a second: `process`: the end of "
        "this process, kill -9 included; `power`: a power cut as well, at the cost of "
        "waiting for the disk each second",
        "process or power",
    )
    wav_encoding: Annotated[Literal["pcm16", "native"], folded] = setting(
        "pcm16",
        "`pcm16`: 16-bit samples; `native`: G.711 is kept to the byte as it came, at "
        "half the size",
        "pcm16 or native",
    )
    copies: Annotated[tuple[Copy, ...], parsed(split_list)] = setting(
        (),
        "further copies of each finished recording: `flac`, `opus`",
        "a list of flac and opus",
    )
    l16_byte_order: Annotated[Literal["auto", "little", "big"], folded] = setting(
        "auto", "byte order of L16 over WebSocket", "auto, little or big"
    )
    reorder_window_ms: int = setting(
        400,
        "how long audio behind a missing RTP packet waits for it",
        "a number of milliseconds from 0 to 10000",
        ge=0,
        le=10_000,
    )
    reconnect_grace_s: float = setting(
        15.0,
        "how long a tap whose connection broke, or whose server was restarted, may "
        "take to go on in the same recording",
        "a number of seconds from 0 to 3600",
        ge=0,
        le=3600,
    )
    idle_timeout_s: float = setting(
        60.0,
        "time without audio after which a tap that nobody else ends is over",
        "a number of seconds from 1 to 86400",
        ge=1,
        le=86_400,
    )
    max_message_bytes: int = setting(
        1_048_576,
        "longest WebSocket message of a tap",
        "a number of bytes from 1024 to 16777216",
        ge=1024,
        le=16_777_216,
    )
    max_taps: int = setting(
        4000, "taps at one time", "a number from 1 to 100000", ge=1, le=100_000
    )
    max_taps_per_source: int = setting(
        0,
        "taps at one time of one call, or from one network that nobody announced "
        "(0: no limit)",
        "a number from 0 to 100000",
        ge=0,
        le=100_000,
    )
    max_duration_s: float = setting(
        0.0,
        "time after which a tap is ended, whatever its call does (0: no limit)",
        "a number of seconds from 0 to 2592000",
        ge=0,
        le=2_592_000,
    )
    max_recording_bytes: int = setting(
        0,
        "audio in one recording after which its tap is ended (0: no limit)",
        "a number of bytes from 0 up",
        ge=0,
    )
    shutdown_timeout_s: float = setting(
        10.0,
        "how long a shutdown waits for taps to end and files to be finished",
        "a number of seconds from 0 to 3600",
        ge=0,
        le=3600,
    )
    retention_days: int | None = setting(
        None,
        "age at which recordings are deleted (without it: never)",
        "a number of days from 1 to 36500",
        ge=1,
        le=36_500,
    )
    retention_tags: Annotated[tuple[TagAge, ...], parsed(split_list)] = setting(
        (),
        "ages for recordings of a tag instead, such as `billing=365,evidence=keep`; of "
        "several tags the longest age counts",
        TAG_AGE_FORM,
    )
    retention_max_gb: float | None = setting(
        None,
        "size of all recordings above which the oldest are deleted",
        "a number of GB above 0",
        gt=0,
        le=1e9,
    )
    retention_min_free_gb: float | None = setting(
        None,
        "free space of the disk below which the oldest recordings are deleted",
        "a number of GB above 0",
        gt=0,
        le=1e9,
    )
    undo_s: float = setting(
        600.0,
        "how long a recording that somebody deleted can be brought back (0: not at "
        "all)",
        "a number of seconds from 0 to 2592000",
        ge=0,
        le=2_592_000,
    )
    forward_allow: Annotated[tuple[Network, ...], parsed(split_list)] = setting(
        (),
        "addresses and networks that forwards may be sent to although they are not "
        "public, such as `10.1.0.0/16,127.0.0.1`",
        NETWORK_FORM,
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], folded] = (
        setting("info", "least level to log", "debug, info, warning or error")
    )
    log_format: Annotated[Literal["auto", "human", "json"], folded] = setting(
        "auto", "`auto`: human on a terminal, else json", "auto, human or json"
    )
    forwards: Rules = setting(
        (),
        "what is sent on live of every tap that matches, and where to "
        "(docs/forwarding.md)",
        RULES_FORM,
        repr=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and nothing else; `server.config` merges the sources."""
        return (init_settings,)

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.project_id is None) == (self.relay_token is None):
            return self
        given, missing = "project_id", "relay_token (SIGNALWIRE_API_TOKEN)"
        if self.project_id is None:
            given, missing = "relay_token", "project_id (SIGNALWIRE_PROJECT_ID)"
        raise conflict(given, f"is half of the credentials and {missing} is missing")

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        check_role_tokens(
            api_token=self.api_token,
            listen_token=self.listen_token,
            download_token=self.download_token,
        )
        return self

    @model_validator(mode="after")
    def _check_rtp_destination(self) -> Self:
        uri = self.tap_uri
        if uri is None or uri.scheme != "rtp":
            return self
        if uri.is_public or self.allow_private_rtp:
            return self
        raise conflict(
            "tap_uri",
            f"names {uri.host}, which is not a public address, and the platform "
            "sends RTP to public ones only (allow_private_rtp lifts this for tests)",
        )

    @property
    def transport(self) -> Literal["ws", "rtp"] | None:
        """How taps that we ask for send their audio; None if we cannot ask."""
        return None if self.tap_uri is None else self.tap_uri.transport

    @property
    def has_credentials(self) -> bool:
        """Whether a RELAY connection can be made."""
        return self.project_id is not None

    @property
    def forward_rules(self) -> tuple[ForwardRule, ...]:
        """What is forwarded without being asked; its addresses are secret."""
        return self.forwards

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Everything that must never reach a log."""
        values = (getattr(self, name) for name in type(self).model_fields)
        secrets = [text for value in values for text in secrets_in(value)]
        return (*secrets, self.project_id) if self.project_id else tuple(secrets)
