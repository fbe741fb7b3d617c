"""Which WebSocket messages a tap sends, and when (section 6.2 of the protocol notes).

Pure and reproducible. Three shapes: bare bytes in chunks of any size, Opus packets or
Ogg pages, and the JSON of media streams (section 7.2).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import MediaFormat
from relay_client.simulator.ogg import OggOpusWriter
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.pacing import Pace
from relay_client.simulator.packets import AudioPacket, cut_packets
from relay_client.simulator.sent import AudioSpan
from relay_client.simulator.wav import riff_header


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to send at a moment after the start."""

    at: float
    data: bytes | str
    span: AudioSpan | None = None
    """The audio in it, if there is any."""


def nothing(at: float) -> Message:
    """Return a moment at which nothing is sent."""
    return Message(at=at, data=b"")


class WsPlan:
    """All messages of one tap with bare or packed audio."""

    def __init__(
        self,
        feed: AudioFeed,
        direction: Direction,
        first_format: MediaFormat,
        options: MediaOptions,
        *,
        seed: int,
    ) -> None:
        self._feed = feed
        self._direction: Direction = direction
        self._format = first_format
        self._options = options
        self._seed = seed
        self._pace = Pace(options, seed)

    def preamble(self) -> list[str]:
        """Return the texts that begin a connection."""
        header = self._header(self._format)
        return [] if header is None else [header]

    def messages(self) -> Iterator[Message]:
        """Yield what is sent, in order of time; may never end."""
        if self._options.container == "ogg":
            return self._ogg_messages()
        if self._format.codec == "OPUS":
            return self._packet_messages()
        return self._byte_messages()

    def farewell(self) -> list[str]:
        """Return the texts that end a connection: none."""
        return []

    def _header(self, media_format: MediaFormat) -> str | None:
        if self._options.header == "none":
            return None
        media_type = media_format.media_type
        if self._options.header == "plain":
            return f"content-type:{media_type}"
        return json.dumps({"content-type": media_type})

    def _packets(
        self, size: Callable[[MediaFormat], int] | None = None
    ) -> Iterator[tuple[float, AudioPacket]]:
        for packet in cut_packets(
            self._feed, self._direction, self._format, self._options, size
        ):
            yield self._pace.due(packet.end_s), packet

    def _packet_messages(self) -> Iterator[Message]:
        current = self._format
        for at, packet in self._packets():
            yield from self._announced(at, packet, current)
            current = packet.format
            if not packet.is_silent:
                yield Message(
                    at=at, data=packet.payload, span=_span(packet, packet.payload)
                )
            elif packet.is_moment:
                yield nothing(at)

    def _ogg_messages(self) -> Iterator[Message]:
        writer = OggOpusWriter(random.Random(self._seed).getrandbits(32))
        for page in writer.headers():
            yield Message(at=self._options.start_delay, data=page)
        for at, packet in self._packets():
            if packet.is_silent:
                if packet.is_moment:
                    yield nothing(at)
                continue
            pieces = self._pieces(writer.page(packet.payload, packet.samples))
            for piece in pieces[:-1]:
                yield Message(at=at, data=piece)
            span = _span(packet, packet.payload)
            yield Message(at=at, data=pieces[-1], span=span)

    def _pieces(self, page: bytes) -> list[bytes]:
        """Cut a page where a chunk size is given: pages may span messages."""
        chunk = self._options.chunk
        size = chunk if isinstance(chunk, int) else len(page)
        if chunk in ("random", "odd"):
            size = max(1, len(page) // 3 | 1)
        return [page[at : at + size] for at in range(0, len(page), size)]

    def _byte_messages(self) -> Iterator[Message]:
        """Yield raw bytes; a WAV header goes before the very first of them."""
        prefix = b""
        if self._options.container == "wav":
            prefix = riff_header(self._format)
        current = self._format
        at = 0.0
        odd = _OddBytes()
        for at, packet in self._packets(self._sizes()):
            if packet.is_silent or packet.format != current:
                yield from odd.flush(at)
            yield from self._announced(at, packet, current)
            current = packet.format
            if packet.is_silent:
                if packet.is_moment:
                    yield nothing(at)
                continue
            keep = self._options.chunk == "odd" and current.bytes_per_sample == 2
            data, span = odd.shift(packet, keep=keep)
            yield Message(at=at, data=prefix + data, span=span)
            prefix = b""
        yield from odd.flush(at)

    def _announced(
        self, at: float, packet: AudioPacket, current: MediaFormat
    ) -> Iterator[Message]:
        """Yield the new header if the format differs."""
        header = self._header(packet.format)
        if header is not None and header != self._header(current):
            yield Message(at=at, data=header)

    def _sizes(self) -> Callable[[MediaFormat], int]:
        """Return what gives the number of samples for each next message."""
        chance = random.Random(f"{self._seed} chunks")
        chunk = self._options.chunk

        def size(media_format: MediaFormat) -> int:
            nominal = media_format.samples_per_packet
            if media_format.codec == "OPUS":
                return nominal
            if isinstance(chunk, int):
                return max(1, chunk // media_format.bytes_per_sample)
            if chunk == "random":
                return chance.randint(1, 2 * nominal)
            if chunk == "odd":
                return nominal + chance.choice((-3, -1, 1, 3))
            return nominal

        return size


class _OddBytes:
    """Moves one byte of 16-bit audio from every other message into the next."""

    def __init__(self) -> None:
        self._byte = b""
        self._packet: AudioPacket | None = None

    def shift(
        self, packet: AudioPacket, *, keep: bool
    ) -> tuple[bytes, AudioSpan | None]:
        """Return a message and what samples it completes."""
        data = self._byte + packet.payload
        early = 1 if self._byte else 0
        late = 0
        self._byte = b""
        if keep and not early:
            data, self._byte = data[:-1], data[-1:]
            late = 1
        self._packet = packet
        return data, _span(
            packet,
            data,
            start=packet.start - early,
            samples=packet.samples + early - late,
        )

    def flush(self, at: float) -> Iterator[Message]:
        """Yield the byte that is left, which completes one sample."""
        if self._byte and self._packet is not None:
            last = self._packet.start + self._packet.samples - 1
            yield Message(
                at=at,
                data=self._byte,
                span=_span(self._packet, self._byte, start=last, samples=1),
            )
        self._byte = b""


def _span(
    packet: AudioPacket,
    payload: bytes,
    *,
    start: int | None = None,
    samples: int | None = None,
) -> AudioSpan:
    return AudioSpan(
        track=0,
        ssrc=None,
        start=packet.start if start is None else start,
        samples=packet.samples if samples is None else samples,
        sample_rate=packet.format.sample_rate,
        payload=payload,
    )
