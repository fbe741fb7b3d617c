"""Audio sent on as RTP over real UDP: every byte, gaps, pace, refusals, and ffmpeg."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpSdesPacket, RtcpSrPacket
from aiortc.rtp import RtpPacket as ReferencePacket

from relay_client.simulator import CallRequest, MediaOptions, SimCall
from server.taps.status import ForwardStatus
from tests.e2e.judging import has_tone
from tests.e2e.rig import Audio, Rig, reference, rig, sent_by, until
from tests.e2e.test_forwards import INPUTS, a_call, first_tap, forward

RTP_URI = "rtp://127.0.0.1:1"


class Receiver(asyncio.DatagramProtocol):
    """Keeps what comes to a UDP port, and when."""

    def __init__(self) -> None:
        self.packets: list[ReferencePacket] = []
        self.times: list[float] = []
        self.reports: list[Any] = []
        self.port = 0

    def connection_made(self, transport: Any) -> None:
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if 192 <= data[1] <= 223:
            self.reports += RtcpPacket.parse(data)
            return
        self.packets.append(ReferencePacket.parse(data))
        self.times.append(asyncio.get_running_loop().time())

    @property
    def payload(self) -> bytes:
        return b"".join(packet.payload for packet in self.packets)

    @property
    def places(self) -> list[int]:
        """The timestamps, counted from the first."""
        first = self.packets[0].timestamp
        return [(packet.timestamp - first) % 2**32 for packet in self.packets]

    def is_one_source(self) -> bool:
        """Tell whether there is one SSRC, and no sequence number is missing."""
        numbers = [packet.sequence_number for packet in self.packets]
        steps = {(b - a) % 2**16 for a, b in itertools.pairwise(numbers)}
        return len({packet.ssrc for packet in self.packets}) == 1 and steps == {1}


@asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[Receiver]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        Receiver, local_addr=("127.0.0.1", port)
    )
    try:
        yield protocol
    finally:
        transport.close()


def status_of(here: Rig, forward_id: str) -> ForwardStatus:
    statuses = here.server.deck.statuses()
    found = {each.forward_id: each for tap in statuses for each in tap.forwards}
    return found[forward_id]


async def last_status_of(here: Rig, forward_id: str) -> ForwardStatus:
    """Return how a forward ended. While its tap is being finished, nobody tells."""
    await until(lambda: here.server.deck.live == 0)
    return status_of(here, forward_id)


async def begin(here: Rig, request: CallRequest, **body: Any) -> tuple[SimCall, str]:
    """Place a call and forward its tap from the beginning; return the forward's id."""
    call = here.place(request)
    await until(lambda: bool(here.server.deck.statuses()))
    body = {"type": "rtp", "host": "127.0.0.1"} | body
    made = await forward(here, first_tap(here), **body)
    assert made["type"] == made["framing"] == "rtp"
    assert made["url"] == f"rtp://127.0.0.1:{body['port']}"
    return call, made["forward_id"]


@INPUTS
async def test_what_comes_goes_on_byte_for_byte(tmp_path: Path, tap_uri: str) -> None:
    async with (
        receiver() as far,
        rig(tmp_path, forward_allow="127.0.0.1", tap_uri=tap_uri) as here,
    ):
        call, forward_id = await begin(here, a_call(), port=far.port, buffer_ms=10_000)
        await until(lambda: status_of(here, forward_id).state == "connected")
        await here.recordings(1)
        status = await last_status_of(here, forward_id)
    assert far.payload == b"".join(entry.payload for entry in sent_by(call))
    assert far.is_one_source()
    assert far.places == [160 * n for n in range(len(far.packets))]
    assert {packet.payload_type for packet in far.packets} == {0}
    assert [packet.marker for packet in far.packets[:2]] == [1, 0]
    assert (status.state, status.error, status.connections) == ("ended", "", 1)
    assert status.sent_messages == len(far.packets)
    assert status.sent_bytes == len(far.payload)
    assert status.dropped_ms == status.queued_ms == 0


async def test_what_was_lost_stays_missing_at_its_place(tmp_path: Path) -> None:
    media = MediaOptions(loss=10.0, reorder=5.0)
    request = replace(a_call(4), media=media, seed=5)
    async with (
        receiver() as far,
        rig(tmp_path, forward_allow="127.0.0.1", tap_uri=RTP_URI) as here,
    ):
        call, _ = await begin(here, request, port=far.port, buffer_ms=10_000)
        await here.recordings(1)
    delivered = [entry for entry in sent_by(call) if entry.delivered]
    first = delivered[0].start
    expected = [(entry.start - first, entry.payload) for entry in delivered]
    assert len(delivered) < len(sent_by(call))
    assert far.is_one_source()
    assert list(zip(far.places, [p.payload for p in far.packets], strict=True)) == (
        expected
    )
    after_a_gap = [True] + [b - a > 160 for a, b in itertools.pairwise(far.places)]
    assert [bool(packet.marker) for packet in far.packets] == after_a_gap


@pytest.mark.parametrize(
    ("wanted", "rate"),
    [
        ({"codec": "PCMA"}, 8000),
        ({"codec": "L16", "sample_rate": 16_000}, 16_000),
        ({"codec": "OPUS", "sample_rate": 16_000}, 48_000),
    ],
)
async def test_it_is_encoded_as_asked(
    tmp_path: Path, wanted: dict[str, Any], rate: int
) -> None:
    async with (
        receiver() as far,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        await begin(
            here, a_call(), port=far.port, format=wanted, payload_type=99, ptime=40
        )
        (recording,) = await here.recordings(1)
    assert far.is_one_source()
    assert {packet.payload_type for packet in far.packets} == {99}
    assert set(np.diff(far.places)) == {rate * 40 // 1000}
    length_s = len(far.packets) * 0.04
    assert recording.duration_s <= length_s < recording.duration_s + 0.08


async def test_a_stall_is_made_up_for_at_twice_the_speed(tmp_path: Path) -> None:
    media = MediaOptions(pace="stall", stall_at=1.0, stall_for=1.0)
    async with (
        receiver() as far,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        call, _ = await begin(here, replace(a_call(4), media=media), port=far.port)
        await here.recordings(1)
    assert far.payload == b"".join(entry.payload for entry in sent_by(call))
    # What was held back are 50 packets, which are not to come all at once.
    gaps = np.diff(far.times)
    after = int(np.argmax(gaps)) + 1
    assert gaps.max() > 0.5
    assert far.times[after + 40] - far.times[after] > 0.25


async def test_a_port_where_nobody_is_is_tried_so_often_and_given_up(
    tmp_path: Path,
) -> None:
    async with receiver() as gone:
        port = gone.port
    async with rig(tmp_path, forward_allow="127.0.0.1") as here:
        call, forward_id = await begin(here, a_call(5), port=port, max_attempts=2)
        await until(lambda: status_of(here, forward_id).state == "failed")
        status = status_of(here, forward_id)
        (recording,) = await here.recordings(1)
        assert status.connections == 0
        assert status.error == "Connection refused"
        assert recording.gaps == ()
        assert np.array_equal(here.audio(recording), reference(sent_by(call), "PCMU"))


async def test_a_port_that_comes_up_later_is_found(tmp_path: Path) -> None:
    async with receiver() as gone:
        port = gone.port
    async with rig(tmp_path, forward_allow="127.0.0.1") as here:
        _, forward_id = await begin(here, a_call(6), port=port)
        await until(lambda: status_of(here, forward_id).state == "waiting")
        async with receiver(port) as far:
            await until(lambda: status_of(here, forward_id).state == "connected")
            await here.recordings(1)
        status = await last_status_of(here, forward_id)
    assert (status.state, status.connections) == ("ended", 1)
    assert status.error == "Connection refused"
    assert far.is_one_source()
    assert set(np.diff(far.places)) == {160}


@pytest.mark.parametrize("rtcp", ["mux", "next_port", "off"])
async def test_reports_say_who_sends_and_when_it_is_over(
    tmp_path: Path, rtcp: str
) -> None:
    async with (
        two_ports() as (far, next_port),
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        await begin(here, a_call(), port=far.port, rtcp=rtcp)
        await here.recordings(1)
        reports = {"mux": far, "next_port": next_port}.get(rtcp, next_port).reports
        if rtcp != "off":
            await until(lambda: isinstance(reports[-1], RtcpByePacket))
    assert next_port.packets == []
    if rtcp == "off":
        assert far.reports == next_port.reports == []
        return
    ssrc = far.packets[0].ssrc
    senders = [each for each in reports if isinstance(each, RtcpSrPacket)]
    names = [each for each in reports if isinstance(each, RtcpSdesPacket)]
    assert {each.ssrc for each in senders} == {ssrc}
    assert len({str(each.chunks) for each in names}) == 1
    assert reports[-1].sources == [ssrc]
    assert senders[-1].sender_info.packet_count == len(far.packets)
    assert senders[-1].sender_info.octet_count == len(far.payload)
    last = senders[-1].sender_info.rtp_timestamp
    late_s = (last - far.packets[-1].timestamp) % 2**32 / 8000
    assert 0 <= late_s < 5


async def test_an_address_inside_is_refused_unless_it_is_listed(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, aiohttp.ClientSession() as session:
        here.place(a_call())
        await here.receiving()
        path = f"/api/v1/taps/{first_tap(here)}/forwards"
        url = f"http://127.0.0.1:{here.server.http_port}{path}"
        for host in ("127.0.0.1", "localhost", "::1", "169.254.169.254", "224.0.0.1"):
            body = {"type": "rtp", "host": host, "port": 5004}
            async with session.post(url, json=body) as response:
                assert response.status == 400
                document = await response.json()
                assert document["field"] == "host"
                assert "forward_allow" in document["detail"]


FFMPEG_FORMATS = [
    (None, "0", 8000),
    ({"codec": "L16", "sample_rate": 16_000}, "96 L16/16000", 16_000),
    ({"codec": "OPUS"}, "111 opus/48000/2", 48_000),
]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not here")
@INPUTS
@pytest.mark.parametrize(("wanted", "description", "rate"), FFMPEG_FORMATS)
async def test_ffmpeg_decodes_the_same_audio(
    tmp_path: Path,
    tap_uri: str,
    wanted: dict[str, Any] | None,
    description: str,
    rate: int,
) -> None:
    """It ends by itself: it hears the BYE, which cannot overtake audio on one port."""
    async with two_ports() as (media, control):
        port = media.port
        assert control.port == port + 1
    heard = tmp_path / "heard.wav"
    sdp = write_sdp(tmp_path / "tap.sdp", description, port)
    process = await start_ffmpeg(sdp, port, heard)
    try:
        async with rig(
            tmp_path / "here", forward_allow="127.0.0.1", tap_uri=tap_uri
        ) as here:
            call, _ = await begin(here, a_call(), port=port, format=wanted, rtcp="mux")
            await here.recordings(1)
            async with asyncio.timeout(30):
                _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors
    audio, found_rate = soundfile.read(heard, dtype="int16")
    assert found_rate == rate
    sent = reference(sent_by(call), "PCMU")
    if wanted is None:
        assert np.array_equal(audio, sent)
    else:
        assert abs(len(audio) / rate - len(sent) / 8000) < 0.04
        assert_same_tones(audio, rate)


def assert_same_tones(audio: Audio, rate: int) -> None:
    """Both parties of the call are heard from the beginning to the end."""
    part = rate // 2
    for begin in range(0, len(audio) - part, part):
        for hertz in (440, 880):
            assert has_tone(audio[begin : begin + part], rate, hertz)


def write_sdp(path: Path, description: str, port: int) -> Path:
    number, *mapping = description.split(" ", 1)
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {number}"]
    lines += [f"a=rtpmap:{number} {each}" for each in mapping]
    path.write_text("\n".join(lines) + "\n")
    return path


async def start_ffmpeg(sdp: Path, port: int, heard: Path) -> asyncio.subprocess.Process:
    """Start one that writes what comes to a port; return once it listens."""
    options = "-nostdin -loglevel error -protocol_whitelist file,udp,rtp"
    options += " -analyzeduration 0 -probesize 32 -i"
    process = await asyncio.create_subprocess_exec(
        "ffmpeg", *options.split(), str(sdp), "-ac", "1", str(heard),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await until(lambda: is_taken(port) or process.returncode is not None)
    return process


def is_taken(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


@asynccontextmanager
async def two_ports() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """Give an even port and the one after it."""
    for _ in range(100):
        async with receiver() as first:
            if first.port % 2 or first.port == 65_535 or is_taken(first.port + 1):
                continue
            async with receiver(first.port + 1) as second:
                yield first, second
                return
    pytest.fail("no two ports in a row are free")
