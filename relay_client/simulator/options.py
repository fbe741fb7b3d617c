"""Everything about the simulator that can be chosen, and its strict parsing.

The faults are those of sections 10.1 (RELAY side) and 10.2 (media side) of the
protocol notes. From JSON, an unknown key or an impossible value is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from relay_client.simulator.errors import OptionsError

Percent = Annotated[float, Field(ge=0, le=100)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
SampleRate = Literal[8000, 16000, 24000, 32000, 44100, 48000]
CodecName = Literal["PCMU", "PCMA", "L16", "OPUS"]
Ptime = Annotated[int, Field(ge=10, le=120, multiple_of=10)]
Stretch = tuple[Seconds, Seconds]

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatChange:
    """Another format from some moment on; what is None stays as it was."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    at: Seconds
    """Seconds of audio before the change."""
    codec: CodecName | None = None
    rate: SampleRate | None = None
    byte_order: Literal["little", "big"] | None = None
    ptime: Ptime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOptions:
    """How the audio of a tap is sent, and with which faults."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    codec: CodecName | None = None
    """None: what the tap asks for, PCMU if it does not say."""
    rate: SampleRate | None = None
    """Of L16 only; None: what the tap asks for, 8000 if it does not say."""
    byte_order: Literal["little", "big"] | None = None
    """Of L16 only; None: big over RTP (RFC 3551), little over WebSocket."""
    ptime: Ptime | None = None
    """Milliseconds per packet; None: what the tap asks for, 20 if it does not say."""
    change: FormatChange | None = None
    clock: Literal["tap", "call"] = "tap"
    """Where the sources begin: with the tap, so that the bytes are reproducible, or
    with the call, so that several taps of it hear the same moment."""
    seconds: Seconds | None = None
    """The tap finishes by itself after so much audio; None: it does not."""
    dtx: tuple[Stretch, ...] = ()
    """Stretches (start, length) of the audio that are not sent at all."""

    pace: Literal["realtime", "burst", "jitter", "stall"] = "realtime"
    speed: Annotated[float, Field(ge=0.1, le=100)] = 1.0
    """Seconds of audio sent in a second."""
    burst: Annotated[float, Field(ge=0.02, le=60)] = 1.0
    """Pace burst: seconds of audio sent at once."""
    jitter: Annotated[float, Field(ge=0, le=10)] = 0.05
    """Pace jitter: each packet is late by up to so many seconds."""
    stall_at: Seconds = 1.0
    stall_for: Seconds = 1.0
    catch_up: bool = True
    """After a stall, whether what was held is sent then or never."""
    connect_delay: Seconds = 0.0
    """Before the WebSocket is opened."""
    start_delay: Seconds = 0.0
    """Between the start of the tap and its first audio."""

    header: Literal["json", "plain", "none"] = "json"
    """The text that announces the format, WebSocket only."""
    announce_codec: CodecName | None = None
    """What the header says instead of the truth, as `announce_rate` does."""
    announce_rate: SampleRate | None = None
    interleave: bool = False
    """The samples of both parties by turns, as in stereo, announced as one channel.
    WebSocket only."""
    container: Literal["raw", "ogg", "wav", "media-stream"] = "raw"
    """What the WebSocket messages hold: bare codec bytes, an Ogg Opus file, a WAV
    file, or JSON media-stream messages."""
    chunk: (
        Annotated[int, Field(ge=1, le=1_048_576)] | Literal["ptime", "random", "odd"]
    ) = "ptime"
    """Bytes in a WebSocket message; `ptime`: one packet's worth."""
    end: Literal["close", "abort", "silent"] = "close"
    """How the WebSocket ends: close code 1000, no close frame (1006), or it stays
    open and says nothing more."""
    second_connection: Seconds | None = None
    """After so many seconds the audio goes on over a new connection."""
    break_at: Seconds | None = None
    """After so many seconds the WebSocket is cut; what is due until `reconnect_after`
    is over is lost."""
    reconnect_after: Seconds = 1.0
    reconnect_for: Seconds = 0.0
    """For how long a new WebSocket is tried when the destination has cut the old one;
    what is due meanwhile is lost."""

    ssrcs: Literal["one", "two", "changing"] = "one"
    """RTP sources: one; two at once, speak and listen; or one after the other."""
    ssrc_change_at: Seconds = 1.0
    loss: Percent = 0.0
    reorder: Percent = 0.0
    duplicate: Percent = 0.0
    sequence: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """First sequence number; None: random."""
    timestamp: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] | None = None
    """First timestamp; None: random."""
    csrcs: Annotated[int, Field(ge=0, le=15)] = 0
    extension: Annotated[int, Field(ge=0, le=64)] | None = None
    """32-bit words of a header extension; None: no extension."""
    padding: Annotated[int, Field(ge=0, le=255)] = 0
    payload_type: Annotated[int, Field(ge=0, le=127)] | None = None
    """None: 0, 8, 111 (Opus) or 96 (L16)."""
    comfort_noise: bool = False
    """A payload type 13 packet begins each stretch that is not sent."""
    dtmf: Annotated[str, Field(pattern=r"^[0-9A-D*#]{0,32}$")] = ""
    """Digits sent as telephone-events (RFC 4733), 100 ms each, 100 ms apart."""
    dtmf_at: Seconds = 0.5
    rtcp: Literal["none", "same", "next"] = "none"
    """Sender reports to the tap's port, or to the port after it."""
    rtcp_interval: Annotated[float, Field(ge=0.02, le=60)] = 5.0
    bye: bool = False
    """An RTCP BYE at the end, where `rtcp` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOptions:
    """What goes wrong on the RELAY side of one call."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    error_on: tuple[str, ...] = ()
    """Verbs (`tap`, `tap.stop`, `answer`, …) that are refused with `error_code`."""
    error_code: int = 500
    error_times: Annotated[int, Field(ge=1)] | None = None
    """How often they are refused in this call; None: always."""
    error_style: Literal["result", "jsonrpc"] = "result"
    """Whether refusals are results with a code or JSON-RPC errors."""
    drop_reply_on: tuple[str, ...] = ()
    """Verbs that are carried out and never answered."""
    close_on: tuple[str, ...] = ()
    """Verbs that are met by closing the connection instead of carrying them out."""
    reply_delay: Seconds = 0.0
    """Before a command is carried out; with `event_before_reply`, between its events
    and its reply."""
    nested_result: bool = False
    """Results wrapped as in the previous generation: `result.result.code`."""
    event_before_reply: bool = False
    duplicate_events: bool = False
    unknown_events: bool = False
    """Events of unknown types, calls, controls and states between the real ones."""
    numbers_as_strings: bool = False
    initial_state: Literal["created", "ringing"] = "created"
    no_tapping: bool = False
    tapping_delay: Seconds = 0.0
    no_finished: bool = False
    finished_before_reply: bool = False
    """A tap that is over before it was accepted; no audio is sent."""
    ended_before_finished: bool = False
    """On hang-up the call's `ended` comes before its taps' `finished`."""
    no_ended: bool = False
    source_device: Literal["real", "other", "absent"] = "real"
    """Whether the reply to an RTP tap names the port that really sends."""
    unreachable: Literal["finished", "error"] = "finished"
    """A WebSocket that cannot be opened: an early `finished`, or an error reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFaults:
    """What goes wrong on RELAY connections; can be changed while running."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    reject_auth: Annotated[int, Field(ge=0)] = 0
    """How many of the next authentications are refused."""
    reject_code: int = -32002
    close_after_reject: bool = True
    drop_after_auth: Annotated[int, Field(ge=0)] = 0
    """How many of the next connections are cut right after authentication."""
    silent: bool = False
    """Connections accept messages and never answer."""
    half_open: bool = False
    """Connections are not even read from; takes effect with their next message."""
    stop_pings: bool = False
    replay_unacked: bool = False
    """A resumed session gets again the events that it has not acknowledged."""
    forget_sessions: bool = False
    """A known `protocol` is not resumed: a new session begins."""
    close_mid_dial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """An inbound call to be placed into a context."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    context: Annotated[str, Field(min_length=1, max_length=256)] = "default"
    from_number: Annotated[str, Field(alias="from", max_length=256)] = "+15551110000"
    to_number: Annotated[str, Field(alias="to", max_length=256)] = "+15552220000"
    speak: Annotated[str, Field(max_length=4096)] = "tone:440"
    """What the party says: `tone:HZ`, `tone:HZ@AMPLITUDE`, `noise`, `noise:AMPLITUDE`,
    `silence` or a WAV path."""
    listen: Annotated[str, Field(max_length=4096)] = "tone:880"
    """What the party hears."""
    seconds: Seconds | None = 30.0
    """After the answer; then the platform hangs up. None: until somebody does."""
    wait: Seconds = 30.0
    """For a client to receive the context, then the call ends with `noAnswer`.
    With 0 and no client the request itself is refused."""
    ring_seconds: Seconds = 30.0
    """Until an unanswered call ends with `noAnswer`."""
    media: MediaOptions = field(default_factory=MediaOptions)
    faults: FaultOptions | None = None
    """None: the simulator's."""
    seed: int | None = None
    """None: the simulator's."""


Outcome = Literal["answer", "busy", "noAnswer", "decline"]

# The last digits of a dialled number choose its fate, as SIP status codes
# (RFC 3261 sections 21.4.18, 21.4.24 and 21.6.2) so that they are easy to remember.
_OUTCOME_SUFFIXES: Mapping[str, Outcome] = MappingProxyType(
    {"480": "noAnswer", "486": "busy", "603": "decline"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOptions:
    """How parties behave that a client dials or connects to."""

    answer_after: float = 0.05
    """Seconds of ringing before an answer, or before a busy or decline."""
    no_answer_after: float = 0.5
    """Ringing of a party that never answers; its own timeout may be shorter."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By dialled address. Others: 480 noAnswer, 486 busy, 603 decline at the end of
    the number, everybody else answers."""
    template: CallRequest = field(default_factory=CallRequest)
    """Audio, length and faults of legs that were dialled."""

    def outcome_of(self, address: str) -> Outcome:
        """Return what the party at `address` does."""
        chosen = self.outcomes.get(address)
        return chosen or _OUTCOME_SUFFIXES.get(address[-3:], "answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """The simulator as a whole."""

    project: str | None = None
    """None: any project is accepted."""
    token: str | None = field(default=None, repr=False)
    """None: any token is accepted."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    tls_cert: str | None = None
    """PEM file; with `tls_key`, everything is served over TLS."""
    tls_key: str | None = None
    seed: int = 0
    ping_interval: float = 5.0
    restart_delay: float = 0.1
    """Seconds between `signalwire.disconnect` and the end of the connection."""
    refuse_private: bool = False
    """Refuse RTP taps to addresses that are not public, as the platform does."""
    tap_ca_file: str | None = None
    """Trusted besides the system's authorities for `wss` taps."""
    dial: DialOptions = field(default_factory=DialOptions)
    faults: FaultOptions = field(default_factory=FaultOptions)
    """Of calls that do not bring their own."""
    connection: ConnectionFaults = field(default_factory=ConnectionFaults)


_CALL_REQUEST = TypeAdapter(CallRequest)
_CONNECTION_FAULTS = TypeAdapter(ConnectionFaults)


def parse_call_request(body: bytes) -> CallRequest:
    """Return the request in a JSON body.

    Raises:
        OptionsError: Something in it is unknown or impossible.
    """
    try:
        return _CALL_REQUEST.validate_json(body)
    except ValidationError as exc:
        raise _options_error(exc) from exc


def parse_connection_faults(body: bytes) -> ConnectionFaults:
    """Return the connection faults in a JSON body.

    Raises:
        OptionsError: Something in it is unknown or impossible.
    """
    try:
        return _CONNECTION_FAULTS.validate_json(body)
    except ValidationError as exc:
        raise _options_error(exc) from exc


def _options_error(exc: ValidationError) -> OptionsError:
    first = exc.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return OptionsError(key, first["msg"])
