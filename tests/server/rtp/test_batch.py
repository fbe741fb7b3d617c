"""A batch of datagrams looked at as columns."""

from __future__ import annotations

import numpy as np

from server.rtp.batch import DatagramBatch
from server.rtp.packet import HEADER_BYTES


def batch_of(*datagrams: bytes) -> DatagramBatch:
    batch = DatagramBatch(4, lambda source: ("127.0.0.1", int(str(source))))
    for row, datagram in enumerate(datagrams):
        batch.buffer[row, : len(datagram)] = list(datagram)
    batch.lengths = np.array([len(datagram) for datagram in datagrams])
    batch.sources = np.arange(1, len(datagrams) + 1, dtype=np.uint64)
    return batch


def test_a_datagram_comes_back_whole() -> None:
    batch = batch_of(b"first datagram", b"second", b"third, of another length")
    assert len(batch) == 3
    assert [batch.data(index) for index in (0, 1, 2, 0)] == [
        b"first datagram",
        b"second",
        b"third, of another length",
        b"first datagram",
    ]
    assert batch.address(1) == ("127.0.0.1", 2)


def test_the_columns_are_those_of_the_header() -> None:
    start, ssrc = bytes(range(8)), bytes([0, 0, 1, 0])
    batch = batch_of(start + ssrc + b"payload")
    assert batch.starts[0] == int.from_bytes(start, "big")
    assert batch.ssrcs[0] == 256
    length = HEADER_BYTES + 7
    assert batch.payloads(length).item(0) == b"payload"


def test_the_next_datagrams_are_seen_through_the_same_columns() -> None:
    batch = batch_of(bytes(HEADER_BYTES) + b"payload")
    column = batch.payloads(HEADER_BYTES + 7)
    batch.buffer[0, HEADER_BYTES] = ord("P")
    assert batch.payloads(HEADER_BYTES + 7) is column
    assert column.item(0) == b"Payload"
