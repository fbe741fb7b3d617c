"""From binary WebSocket messages to whole samples or packets, for each format.

Message borders mean nothing for G.711, L16, Ogg and WAV, which are byte streams, and
everything for Opus, where each message is one packet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from server.audio import OPUS_RATE, AudioFormat, Codec, opus_samples
from server.codecs.ogg import OggDemuxer, OpusHead
from server.taps.byte_order import (
    DEFAULT_BYTE_ORDER,
    ByteOrderSetting,
    guess_byte_order,
    is_order_free,
)
from server.taps.wav_header import RIFF, is_riff_but_not_wav, parse_wav_header

_OGG_MAGIC = b"OggS"
_MAGICS = (_OGG_MAGIC, RIFF)
_BYTE_ORDER_WINDOW_S = 1.0


@dataclass(slots=True)
class Chunk:
    """Encoded audio of one message."""

    payloads: Sequence[bytes]
    length: int
    """Sample instants at the rate of `format`."""
    format: AudioFormat
    now: float
    """When the message came."""
    starts_run: bool = False
    """The payloads decode to more than `length`: the decoder warms up on the rest."""


class Framing(Protocol):
    """Takes the audio out of the messages of one connection."""

    @property
    def is_holding(self) -> bool:
        """Return whether audio has come that is not returned yet."""
        ...

    def receive(self, data: bytes, now: float) -> list[Chunk]:
        """Return the audio that is complete and understood with this message."""
        ...

    def finish(self) -> list[Chunk]:
        """Return what was held, and count what can never be used."""
        ...

    def plain_format(self, size: int) -> AudioFormat | None:
        """Return the format if messages of `size` bytes are now just whole samples.

        Any number of them may then be taken as one, without `receive`.
        """
        ...


def framing_for(
    format: AudioFormat, byte_order: ByteOrderSetting, drops: Counter[str]
) -> Framing:
    """Return the framing of bare codec bytes in `format`.

    Args:
        format: Its byte order is not used.
        byte_order: Of L16; `auto` listens to the audio.
        drops: Where what could not be used is counted, by a name.
    """
    if format.codec is Codec.OPUS:
        return OpusFraming(format, drops)
    if format.codec is Codec.L16:
        if byte_order == "auto":
            return ByteOrderFraming(format, drops)
        format = replace(format, byte_order=byte_order)
    return SampleFraming(format, drops)


class SampleFraming:
    """G.711 and L16: a stream of samples, cut anywhere."""

    is_holding = False

    def __init__(self, format: AudioFormat, drops: Counter[str]) -> None:
        self._format = format
        self._size = format.bytes_per_sample
        self._drops = drops
        self._tail = b""
        """The beginning of a sample that the next message completes."""

    def receive(self, data: bytes, now: float) -> list[Chunk]:
        """Return the samples that are complete."""
        size = self._size
        if size > 1:
            data = self._tail + data
            whole = len(data) - len(data) % size
            data, self._tail = data[:whole], data[whole:]
        length = len(data) // size
        return [Chunk((data,), length, self._format, now)] if length else []

    def plain_format(self, size: int) -> AudioFormat | None:
        """Return the format unless samples are cut."""
        return None if self._tail or size % self._size else self._format

    def finish(self) -> list[Chunk]:
        """Count the sample that was never completed."""
        if self._tail:
            self._drops["odd_tail_bytes"] += len(self._tail)
            self._tail = b""
        return []


class ByteOrderFraming:
    """L16 whose byte order is found out from the first second that is not silent."""

    def __init__(self, format: AudioFormat, drops: Counter[str]) -> None:
        self._guess = replace(format, byte_order=DEFAULT_BYTE_ORDER)
        self._samples = SampleFraming(self._guess, drops)
        self._is_decided = False
        self._held: list[Chunk] = []
        self._held_length = 0

    @property
    def is_holding(self) -> bool:
        """Return whether a second is being collected."""
        return bool(self._held)

    def receive(self, data: bytes, now: float) -> list[Chunk]:
        """Return the audio, later by the time it takes to find out its byte order."""
        chunks = self._samples.receive(data, now)
        if self._is_decided:
            return [replace(chunk, format=self._guess) for chunk in chunks]
        self._held += chunks
        self._held_length += sum(chunk.length for chunk in chunks)
        if self._held_length < _BYTE_ORDER_WINDOW_S * self._guess.sample_rate:
            return []
        return self._release()

    def plain_format(self, size: int) -> AudioFormat | None:
        """Return the format once the byte order is known, unless samples are cut."""
        is_plain = self._is_decided and self._samples.plain_format(size)
        return self._guess if is_plain else None

    def finish(self) -> list[Chunk]:
        """Return what was held, read in the order that what there is suggests."""
        return [*self._release(), *self._samples.finish()]

    def _release(self) -> list[Chunk]:
        data = b"".join(payload for chunk in self._held for payload in chunk.payloads)
        # Digital silence at the start of a call says nothing, and needs no order.
        if not is_order_free(data):
            order = guess_byte_order(data, self._guess.channels)
            self._guess = replace(self._guess, byte_order=order)
            self._is_decided = True
        held = [replace(chunk, format=self._guess) for chunk in self._held]
        self._held, self._held_length = [], 0
        return held


class OpusFraming:
    """Opus: every message is one packet."""

    is_holding = False

    def __init__(self, format: AudioFormat, drops: Counter[str]) -> None:
        self._format = format
        self._drops = drops

    def receive(self, data: bytes, now: float) -> list[Chunk]:
        """Return the packet."""
        length = opus_samples(data)
        if not length:
            self._drops["opus_malformed"] += 1
            return []
        return [Chunk((data,), length, self._format, now)]

    def plain_format(self, size: int) -> AudioFormat | None:  # noqa: ARG002
        """Return nothing: each message is a packet."""
        return None

    def finish(self) -> list[Chunk]:
        """Return nothing: packets are never cut."""
        return []


class OggFraming:
    """Ogg Opus: a stream of pages, cut anywhere (RFC 7845)."""

    def __init__(self, drops: Counter[str]) -> None:
        self._drops = drops
        self._demuxer = OggDemuxer(drops)
        self._format = AudioFormat(Codec.OPUS, OPUS_RATE)
        self._packets: list[bytes] = []
        self._length = 0
        self._pre_skip = 0
        """Samples of `_packets` that only warm the decoder up."""

    @property
    def is_holding(self) -> bool:
        """Return whether all packets so far only warm the decoder up."""
        return bool(self._packets)

    def receive(self, data: bytes, now: float) -> list[Chunk]:
        """Return the packets of the pages that are complete."""
        chunks: list[Chunk] = []
        for found in self._demuxer.receive(data):
            if isinstance(found, OpusHead):
                chunks += self._take(now)
                self._format = replace(self._format, channels=found.channels)
                self._pre_skip = found.pre_skip
            elif length := opus_samples(found):
                self._packets.append(found)
                self._length += length
            else:
                self._drops["opus_malformed"] += 1
        return chunks + self._take(now)

    def plain_format(self, size: int) -> AudioFormat | None:  # noqa: ARG002
        """Return nothing: pages are not samples."""
        return None

    def finish(self) -> list[Chunk]:
        """Count the page that was never completed."""
        self._demuxer.finish()
        return []

    def _take(self, now: float) -> list[Chunk]:
        length = self._length - self._pre_skip
        if length <= 0:
            return []
        starts_run = self._pre_skip > 0
        chunk = Chunk(self._packets, length, self._format, now, starts_run)
        self._packets, self._length, self._pre_skip = [], 0, 0
        return [chunk]


class RefusedFraming:
    """Audio that cannot be decoded here: counted, and not turned into noise."""

    is_holding = False

    def __init__(self, drops: Counter[str]) -> None:
        self._drops = drops

    def receive(self, data: bytes, now: float) -> list[Chunk]:  # noqa: ARG002
        """Count the message."""
        self._drops["unsupported_format"] += 1
        return []

    def plain_format(self, size: int) -> AudioFormat | None:  # noqa: ARG002
        """Return nothing."""
        return None

    def finish(self) -> list[Chunk]:
        """Return nothing."""
        return []


class SniffingFraming:
    """What the first bytes say it is: an Ogg stream, a WAV file, or neither.

    Args:
        otherwise: Takes over if it is neither.
        drops: Where what could not be used is counted, by a name.
    """

    def __init__(self, otherwise: Framing, drops: Counter[str]) -> None:
        self._otherwise = otherwise
        self._drops = drops
        self._framing: Framing | None = None
        self._start = b""
        """First bytes that do not say it yet: a magic cut short, or a WAV header."""

    @property
    def is_holding(self) -> bool:
        """Return whether audio has come that is not returned yet."""
        return self._framing is not None and self._framing.is_holding

    def receive(self, data: bytes, now: float) -> list[Chunk]:
        """Return the audio in the message, once it is known how to read it."""
        if self._framing is None:
            data = self._start + data
            self._start = b""
            self._framing, header_length = self._identify(data)
            if self._framing is None:
                self._start = data
                return []
            data = data[header_length:]
        return self._framing.receive(data, now)

    def plain_format(self, size: int) -> AudioFormat | None:
        """Return the format if what was found is plain samples."""
        return None if self._framing is None else self._framing.plain_format(size)

    def finish(self) -> list[Chunk]:
        """Return what was held, and count a header that was never completed."""
        if self._framing is not None:
            return self._framing.finish()
        if self._start:
            self._drops["incomplete_header_bytes"] += len(self._start)
            self._start = b""
        return []

    def _identify(self, data: bytes) -> tuple[Framing | None, int]:
        """Return the framing, if it is clear, and how many bytes of header to skip."""
        if data.startswith(_OGG_MAGIC):
            return OggFraming(self._drops), 0
        if data.startswith(RIFF) and not is_riff_but_not_wav(data):
            header = parse_wav_header(data)
            if header is None:
                return None, 0
            if header.format is None:
                return RefusedFraming(self._drops), 0
            return SampleFraming(header.format, self._drops), header.length
        if any(magic.startswith(data) for magic in _MAGICS):
            return None, 0
        return self._otherwise, 0
