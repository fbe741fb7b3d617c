"""Any bytes may arrive at either port: each is used or counted, and no tap suffers."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np

from relay_client.simulator import CallRequest
from server.library.recording import Recording
from tests.e2e.rig import Audio, Rig, reference, rig, sent_by

DATAGRAMS = 200_000
CONVERSATIONS = 20_000
VISITORS = 20
"""Who talk at the same time."""
BATCH = 100
"""Datagrams in flight at once: less than the smallest receive buffer holds."""

STATIC = "a-token-for-hostile-visitors"


def hostile_datagrams(rng: random.Random, genuine: bytes) -> Iterator[bytes]:
    """Random bytes, and RTP and RTCP with anything about it changed."""
    while True:
        kind = rng.randrange(6)
        if kind == 0:
            yield rng.randbytes(rng.randrange(64))
        elif kind == 1:
            yield rng.randbytes(rng.choice([1472, 1473, 2048]))
        elif kind == 2:
            yield genuine[: rng.randrange(len(genuine))]
        elif kind == 3:
            first = bytes([0x80 | rng.randrange(64), rng.randrange(256)])
            yield first + rng.randbytes(rng.randrange(200))
        else:
            mutated = bytearray(genuine)
            for _ in range(rng.randrange(1, 6)):
                mutated[rng.randrange(min(40, len(mutated)))] = rng.randrange(256)
            yield bytes(mutated)


async def test_datagrams_from_strangers(tmp_path: Path) -> None:
    rng = random.Random(4)
    genuine = b"\x80\x00" + rng.randbytes(10) + bytes(160)
    async with rig(tmp_path, tap_uri="rtp://127.0.0.1:1") as here:
        call = here.place(CallRequest(seconds=None))
        await here.receiving()
        target = ("127.0.0.1", here.server.rtp.ports[0])
        source = hostile_datagrams(rng, genuine)
        before = here.server.rtp.datagrams
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            # An empty datagram has no bytes to be wrong, and is counted too.
            sender.sendto(b"", target)
            for _ in range(DATAGRAMS // BATCH):
                for _ in range(BATCH):
                    sender.sendto(next(source), target)
                await asyncio.sleep(0)
        await call.hang_up()
        (recording,) = await here.recordings(1)
        np.testing.assert_array_equal(
            here.audio(recording), reference(sent_by(call), "PCMU")
        )
        demux = here.server.demux
        strangers = here.server.rtp.datagrams - before - recording.packets.received
        counted = demux.drops.total() + demux.held_datagrams
        assert abs(strangers - DATAGRAMS - 1) <= 100
        assert abs(counted - DATAGRAMS - 1) <= 100
    assert recording.state == "complete", recording.verdict
    assert {"too_short", "bad_version", "unannounced"} <= set(demux.drops)


async def test_datagrams_from_the_source_of_a_tap(tmp_path: Path) -> None:
    """What imitates the sender of a tap to the address is that tap's to judge."""
    rng = random.Random(5)
    genuine = b"\x80\x00" + rng.randbytes(10) + bytes(160)
    async with rig(
        tmp_path, rtp_listen="127.0.0.1:0", accept="any", idle_timeout_s="1"
    ) as here:
        target = ("127.0.0.1", here.server.rtp.ports[0])
        source = hostile_datagrams(rng, genuine)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for n in range(200):
                header = b"\x80\x00" + n.to_bytes(2, "big")
                stamp = (160 * n).to_bytes(4, "big") + b"\x00\x00\x00\x07"
                sender.sendto(header + stamp + bytes([n]) * 160, target)
                sender.sendto(next(source), target)
                await asyncio.sleep(0)
        (recording, *_) = await here.recordings(1)
        audio = here.audio(recording)
    assert recording.packets.received >= 200
    assert len(audio) >= 200 * 160


async def test_conversations_of_strangers(tmp_path: Path) -> None:
    rng = random.Random(6)
    async with rig(
        tmp_path, tap_uri="ws://127.0.0.1:1/tap", static_tokens=STATIC
    ) as here:
        call = here.place(CallRequest(seconds=None))
        await here.receiving()
        connector = aiohttp.TCPConnector(limit=20)
        async with aiohttp.ClientSession(connector=connector) as http:
            visitors = [
                _visit(here, http, random.Random(rng.random())) for _ in range(VISITORS)
            ]
            outcomes = list(itertools.chain(*await asyncio.gather(*visitors)))
        admitted = outcomes.count(101)
        await call.hang_up()
        recordings = await here.recordings(admitted + 1, timeout=120)
        (recording,) = [r for r in recordings if r.call_id == call.call_id]
        # On a busy machine the simulator is late at times, which is a pause like any
        # other; taken out where the evidence says so, the audio is what was sent.
        np.testing.assert_array_equal(
            without_gaps(here.audio(recording), recording),
            reference(sent_by(call), "PCMU"),
        )
        refused = here.server.rendezvous.refused.total()
    assert recording.state == "complete", recording.verdict
    assert admitted > CONVERSATIONS / 10
    assert refused == outcomes.count(403) == CONVERSATIONS - admitted


async def _visit(
    here: Rig, http: aiohttp.ClientSession, rng: random.Random
) -> list[int]:
    return [await _converse(here, http, rng) for _ in range(CONVERSATIONS // VISITORS)]


async def _converse(here: Rig, http: aiohttp.ClientSession, rng: random.Random) -> int:
    token = STATIC if rng.random() < 0.3 else rng.randbytes(12).hex()
    url = f"http://{here.server.http_address}/tap/{token}"
    try:
        async with http.ws_connect(url, autoping=False) as ws:
            for _ in range(rng.randrange(5)):
                if rng.random() < 0.5:
                    await ws.send_bytes(rng.randbytes(rng.randrange(400)))
                else:
                    await ws.send_str(_hostile_text(rng))
        return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


def _hostile_text(rng: random.Random) -> str:
    return rng.choice(
        [
            "",
            "{",
            '{"event":"media","media":{"payload":"%%%"}}',
            '{"event":"start","start":{"mediaFormat":{"encoding":7}}}',
            '{"content-type":"audio/l16;rate=0"}',
            '{"content-type":["audio/l16"]}',
            "content-type:audio/l16;rate=99999999999999999999;channels=0",
            "audio/opus",
            "audio/ogg",
            '{"event":"connected"}',
            "\x00" * 50,
            "".join(chr(rng.randrange(32, 0xD7FF)) for _ in range(30)),
        ]
    )


def without_gaps(audio: Audio, recording: Recording) -> Audio:
    """Return the audio without the silence that the evidence explains."""
    rate = recording.sample_rate
    places = []
    for gap in recording.gaps:
        start = round(gap.start_s * rate)
        places.append(np.arange(start, start + round(gap.length_s * rate)))
    if not places:
        return audio
    cut = np.concatenate(places)
    assert not audio[cut].any()
    kept: Audio = np.delete(audio, cut)
    return kept
