"""One WebSocket connection seen from the server: bytes in, messages out (RFC 6455).

Theory of operation. A tap sends the same kind of message over and over, one in a read.
So a frame that begins like the one before it, head byte for head byte, is put aside as
it is, and all that were put aside are unmasked with one array operation when somebody
asks (`take`). Everything else goes the long way at once: other sizes, texts, fragments,
control frames, frames that are cut. Messages always come out in the order sent.

    open --close()--> closing --their close--> closed
    open --their close, violation--> closed    closing --violation--> closed

While closing and when closed, messages are not taken any more. Nothing that comes from
the network raises; a violation of the protocol closes with the code for it.
"""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass

from server.taps.ws_frames import (
    MASK_BYTES,
    CloseCode,
    FrameHead,
    Opcode,
    close_payload,
    is_sendable,
    parse_close,
    parse_head,
    serialize_control,
    unmask,
    unmask_equal,
)

MAX_WAITING_BYTES = 32 * 1024
"""Of messages put aside, before the owner is asked to take them."""

OBJECT_COST = 64
"""What a message takes in memory beside its bytes, roughly."""

_NO_SHAPE = b"\xff"
"""No frame begins like this: all reserved bits, and an opcode that there is not."""


class WsState(enum.Enum):
    """How far a connection is."""

    OPEN = "open"
    CLOSING = "closing"
    """Our close has been sent, theirs has not come."""
    CLOSED = "closed"
    """Once what is to be sent has been sent, the connection can go."""


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A text message."""

    text: str
    now: float
    """When it came."""


@dataclass(frozen=True, slots=True)
class BinaryMessages:
    """Binary messages of one length that followed each other."""

    data: bytes
    """The messages, one behind the other."""
    length: int
    """Bytes of each."""
    times: list[float]
    """When each came."""

    def split(self) -> list[bytes]:
        """Return the messages."""
        if len(self.times) == 1:
            return [self.data]
        length = self.length
        return [
            self.data[at * length : (at + 1) * length] for at in range(len(self.times))
        ]


WsMessage = TextMessage | BinaryMessages


class WsReceiver:
    """The protocol of one connection.

    Args:
        max_message_bytes: Of a message, however many fragments it comes in.
    """

    __slots__ = (
        "_done",
        "_done_cost",
        "_enough",
        "_fragment_opcode",
        "_fragments",
        "_frames",
        "_max_message_bytes",
        "_needed",
        "_output",
        "_pong",
        "_rest",
        "_shape",
        "_size",
        "_times",
        "close_code",
        "is_failed",
        "is_urgent",
        "state",
    )

    def __init__(self, *, max_message_bytes: int) -> None:
        self.state = WsState.OPEN
        self.close_code: int | None = None
        """Theirs, or the one for their violation; None while there is neither."""
        self.is_failed = False
        """Whether it ended with a violation, so that more may still be coming."""
        self.is_urgent = False
        """Whether there is something to send, or a text or enough audio to take."""
        self._max_message_bytes = max_message_bytes
        self._shape = _NO_SHAPE
        """How the frames put aside begin: head without mask."""
        self._size = sys.maxsize
        """Bytes of each of them."""
        self._enough = sys.maxsize
        """So many of them should be taken."""
        self._frames: list[bytes] = []
        self._times: list[float] = []
        self._done: list[WsMessage] = []
        self._done_cost = 0
        self._rest = bytearray()
        """A frame that is not complete."""
        self._needed = 0
        """Bytes of `_rest` before it is worth another look."""
        self._fragment_opcode: Opcode | None = None
        self._fragments = bytearray()
        self._pong: bytes | None = None
        self._output = b""

    @property
    def _is_first_due(self) -> bool:
        return self._fragment_opcode is None

    @property
    def last_binary_at(self) -> float | None:
        """Return when the last of the messages put aside came, if any are."""
        return self._times[-1] if self._times else None

    def receive_data(self, data: bytes, now: float) -> int:
        """Take in what was read; return how many frames that completed."""
        if len(data) == self._size and not self._rest and data.startswith(self._shape):
            # Nearly always: a read is one frame, like the one before.
            self._frames.append(data)
            self._times.append(now)
            if len(self._frames) >= self._enough:
                self.is_urgent = True
            return 1
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return 0
            data = bytes(self._rest)
            self._rest.clear()
        frames, times, shape, size = self._frames, self._times, self._shape, self._size
        at, end, count = 0, len(data), 0
        while end - at >= size and data.startswith(shape, at):
            frames.append(data[at : at + size])
            times.append(now)
            at += size
            count += 1
        if len(frames) >= self._enough:
            self.is_urgent = True
        return count if at == end else count + self._receive_frames(data[at:], now)

    def take(self) -> list[WsMessage]:
        """Return the messages since the last call, in order."""
        self._flush()
        done, self._done, self._done_cost = self._done, [], 0
        return done

    def data_to_send(self) -> bytes:
        """Return what is to be sent now, once."""
        data = self._output
        if self._pong is not None:
            data = serialize_control(Opcode.PONG, self._pong) + data
        self._output, self._pong = b"", None
        self.is_urgent = False
        return data

    def close(self, code: CloseCode, reason: str) -> None:
        """Begin to close, if that has not begun yet."""
        if self.state is WsState.OPEN:
            self._end(WsState.CLOSING, close_payload(code, reason))

    def _receive_frames(self, data: bytes, now: float) -> int:
        """Take in what is not like the frames before it; keep what is cut."""
        at, count = 0, 0
        while self.state is not WsState.CLOSED and at < len(data):
            head = parse_head(data, at)
            if isinstance(head, FrameHead):
                head = self._violation(head) or head
            if isinstance(head, CloseCode):
                self._fail(head)
                break
            # Two more bytes say whether there is an extended length, eight what it is.
            needed = len(data) - at + 1 if head is None else head.size + head.length
            if head is None or at + needed > len(data):
                self._rest += data[at:]
                self._needed = needed
                break
            self._receive_frame(head, data[at : at + needed], now)
            at += needed
            count += 1
        return count

    def _violation(self, head: FrameHead) -> CloseCode | None:
        """Return how to close because of a frame of this kind, at this moment."""
        if head.is_control:
            return None
        # Section 5.4: fragments of one message follow each other.
        is_first = head.opcode is not Opcode.CONTINUATION
        if self.state is WsState.OPEN and is_first is not self._is_first_due:
            return CloseCode.PROTOCOL_ERROR
        # Before it has arrived: nobody can make this buffer grow beyond the limit.
        if len(self._fragments) + head.length > self._max_message_bytes:
            return CloseCode.TOO_BIG
        return None

    def _receive_frame(self, head: FrameHead, frame: bytes, now: float) -> None:
        if head.is_control:
            self._receive_control(head, unmask(frame, head.size))
        elif self.state is not WsState.OPEN:
            return
        elif head.opcode is Opcode.BINARY and head.is_final and head.length:
            self._put_aside(frame, frame[: head.size - MASK_BYTES], now)
        else:
            self._receive_fragment(head, unmask(frame, head.size), now)

    def _receive_control(self, head: FrameHead, payload: bytes) -> None:
        self.is_urgent = True
        if head.opcode is Opcode.CLOSE:
            code = parse_close(payload)
            self.close_code = code
            is_answer = self.state is WsState.CLOSING
            answer = code if is_sendable(code) else CloseCode.NORMAL
            self._end(WsState.CLOSED, None if is_answer else close_payload(answer))
        elif head.opcode is Opcode.PING:
            # Section 5.5.3: only the most recent ping has to be answered, which keeps
            # a flood of them from becoming a flood of ours.
            self._pong = payload

    def _put_aside(self, frame: bytes, shape: bytes, now: float) -> None:
        if shape != self._shape:
            self._flush()
            self._shape, self._size = shape, len(frame)
            self._enough = -(-MAX_WAITING_BYTES // (len(frame) + OBJECT_COST))
        self._frames.append(frame)
        self._times.append(now)

    def _receive_fragment(self, head: FrameHead, payload: bytes, now: float) -> None:
        """Take in a text, an empty message, or a part of one that is in fragments."""
        self._forget_shape()
        if self._fragment_opcode is None:
            self._fragment_opcode = head.opcode
        self._fragments += payload
        if not head.is_final:
            return
        opcode, data = self._fragment_opcode, bytes(self._fragments)
        self._fragment_opcode, self._fragments = None, bytearray()
        if opcode is Opcode.BINARY:
            self._add(BinaryMessages(data, len(data), [now]), len(data))
            return
        try:
            self._add(TextMessage(data.decode(), now), len(data))
        except UnicodeDecodeError:
            # Section 8.1: text that is not UTF-8 fails the connection.
            self._fail(CloseCode.INVALID_TEXT)
        self.is_urgent = True

    def _add(self, message: WsMessage, size: int) -> None:
        self._done.append(message)
        self._done_cost += size + OBJECT_COST
        if self._done_cost >= MAX_WAITING_BYTES:
            self.is_urgent = True

    def _flush(self) -> None:
        """Unmask what was put aside."""
        frames = self._frames
        if not frames:
            return
        head_size = len(self._shape) + MASK_BYTES
        if len(frames) == 1:
            data = unmask(frames[0], head_size)
        else:
            data = unmask_equal(frames, head_size)
        messages = BinaryMessages(data, self._size - head_size, self._times)
        self._add(messages, len(frames) * (self._size + OBJECT_COST))
        self._frames, self._times = [], []

    def _forget_shape(self) -> None:
        self._flush()
        self._shape, self._size = _NO_SHAPE, sys.maxsize

    def _fail(self, code: CloseCode) -> None:
        self.close_code = code
        self.is_failed = True
        is_answer = self.state is WsState.CLOSING
        self._end(WsState.CLOSED, None if is_answer else close_payload(code))

    def _end(self, state: WsState, close: bytes | None) -> None:
        self._forget_shape()
        self._fragments.clear()
        self.state = state
        self.is_urgent = True
        if close is not None:
            self._output += serialize_control(Opcode.CLOSE, close)
