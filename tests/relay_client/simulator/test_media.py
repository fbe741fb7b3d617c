"""Real audio over real sockets: what arrives is what the simulator says it sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from relay_client.simulator import (
    CallRequest,
    FaultOptions,
    FormatChange,
    MediaOptions,
    SimCall,
    SimTap,
    Simulator,
    SimulatorOptions,
)
from relay_client.simulator.g711 import encode_alaw, encode_ulaw
from relay_client.simulator.sources import make_source, mix
from tests.relay_client.simulator.probe import (
    Probe,
    RtpDestination,
    WsDestination,
    eventually,
    leg,
    rtp_device,
    ws_device,
)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(seed=7)) as found:
        yield found


@pytest.fixture
async def probe(simulator: Simulator) -> AsyncIterator[Probe]:
    async with Probe(simulator) as found:
        await found.connect("default")
        yield found


async def answered(
    simulator: Simulator, probe: Probe, media: MediaOptions, **more: object
) -> SimCall:
    faults = more.get("faults")
    assert faults is None or isinstance(faults, FaultOptions)
    call = simulator.place_call(CallRequest(media=media, faults=faults))
    await probe.answer(call)
    return call


def expected_both(count: int, rate: int = 8000) -> np.ndarray:
    return mix(
        make_source("tone:440", rate).read(0, count),
        make_source("tone:880", rate).read(0, count),
    )


def delivered_bytes(tap: SimTap) -> bytes:
    return b"".join(sent.payload for sent in tap.sent if sent.delivered)


async def test_ws_tap_announces_its_format_and_sends_the_mixed_sources(
    simulator: Simulator, probe: Probe
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=0.3))
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        received = destination.connections[0]
        await received.wait_closed()

    assert json.loads(received.texts[0]) == {"content-type": "audio/mulaw;rate=8000"}
    assert received.order[0] == received.texts[0]
    assert [len(chunk) for chunk in received.binary] == [160] * 15
    assert received.audio == encode_ulaw(expected_both(2400))
    assert received.audio == delivered_bytes(tap)
    assert received.close_code == 1000


async def test_audio_is_paced_in_real_time_and_no_delay_adds_up(
    simulator: Simulator, probe: Probe
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=1.0))
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()

    moments = [sent.sent_at for sent in tap.sent]
    assert len(moments) == 50
    # Busy machines send late, and then catch up: the whole keeps its length.
    assert moments[-1] - moments[0] == pytest.approx(0.98, abs=0.25)


@pytest.mark.parametrize("direction", ["speak", "listen"])
async def test_one_direction_has_only_that_source(
    simulator: Simulator, probe: Probe, direction: str
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=0.1))
        tap = await probe.tap(call, destination.device, direction=direction)
        await tap.wait_finished()
        await destination.connections[0].wait_closed()

    tone = "tone:440" if direction == "speak" else "tone:880"
    expected = encode_ulaw(make_source(tone, 8000).read(0, 800))
    assert destination.connections[0].audio == expected


@pytest.mark.parametrize("order", ["little", "big"])
async def test_odd_chunks_split_samples_and_lose_nothing(
    simulator: Simulator, probe: Probe, order: str
) -> None:
    media = MediaOptions(
        seconds=0.3,
        codec="L16",
        rate=16000,
        byte_order="little" if order == "little" else "big",
        chunk="odd",
        header="plain",
    )
    async with WsDestination() as destination:
        call = await answered(simulator, probe, media)
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        received = destination.connections[0]
        await received.wait_closed()

    assert received.texts == ["content-type:audio/l16;rate=16000"]
    assert any(len(chunk) % 2 for chunk in received.binary)
    heard = np.frombuffer(received.audio, "<i2" if order == "little" else ">i2")
    assert np.array_equal(heard, expected_both(len(heard), 16000))
    assert sum(sent.samples for sent in tap.sent) == len(heard)


async def test_format_change_is_announced_where_it_happens(
    simulator: Simulator, probe: Probe
) -> None:
    media = MediaOptions(seconds=0.2, change=FormatChange(at=0.1, codec="PCMA"))
    async with WsDestination() as destination:
        call = await answered(simulator, probe, media)
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        received = destination.connections[0]
        await received.wait_closed()

    assert len(received.texts) == 2
    samples = expected_both(1600)
    place = received.order.index(received.texts[1])
    assert b"".join(x for x in received.order[:place] if isinstance(x, bytes)) == (
        encode_ulaw(samples[:800])
    )
    assert b"".join(x for x in received.order[place:] if isinstance(x, bytes)) == (
        encode_alaw(samples[800:])
    )


async def test_abrupt_end_has_no_close_frame(
    simulator: Simulator, probe: Probe
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=0.1, end="abort"))
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        await destination.connections[0].wait_closed()

    assert destination.connections[0].close_code in (None, 1006)


async def test_silent_end_leaves_the_connection_open(
    simulator: Simulator, probe: Probe
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=0.1, end="silent"))
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        await probe.event("calling.call.tap", state="finished")

        assert not destination.connections[0].closed.is_set()


async def test_second_connection_carries_the_rest(
    simulator: Simulator, probe: Probe
) -> None:
    media = MediaOptions(seconds=0.4, second_connection=0.2)
    async with WsDestination() as destination:
        call = await answered(simulator, probe, media)
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        await eventually(lambda: destination.connections[-1].closed.is_set())

    first, second = destination.connections
    assert first.texts == second.texts
    assert first.audio + second.audio == encode_ulaw(expected_both(3200))
    assert first.audio
    assert second.audio


async def test_media_stream_json_has_both_tracks(
    simulator: Simulator, probe: Probe
) -> None:
    media = MediaOptions(seconds=0.1, container="media-stream")
    async with WsDestination() as destination:
        call = await answered(simulator, probe, media)
        tap = await probe.tap(call, destination.device)
        await tap.wait_finished()
        received = destination.connections[0]
        await received.wait_closed()

    messages = [json.loads(text) for text in received.texts]
    assert [message["event"] for message in messages] == (
        ["connected", "start"] + ["media"] * 10 + ["stop"]
    )
    assert messages[1]["start"]["callSid"] == call.call_id
    tracks = [found["media"]["track"] for found in messages[2:-1]]
    assert tracks.count("inbound") == tracks.count("outbound") == 5
    assert {sent.track for sent in tap.sent} == {0, 1}


async def test_a_destination_that_closes_ends_the_tap(
    simulator: Simulator, probe: Probe
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions())
        tap = await probe.tap(call, destination.device)
        await eventually(
            lambda: bool(destination.connections and destination.connections[0].binary)
        )
        await destination.connections[0].socket.close()
        await tap.wait_finished()

    await probe.event("calling.call.tap", state="finished")
    assert call.is_answered


async def test_rtp_comes_from_the_source_device_with_the_sources_inside(
    simulator: Simulator, probe: Probe
) -> None:
    async with RtpDestination() as destination:
        media = MediaOptions(seconds=0.3, sequence=65530, timestamp=0xFFFF_FF00)
        call = await answered(simulator, probe, media)
        tap = await probe.tap(call, rtp_device(destination.port))
        source = tap.source_device()
        await tap.wait_finished()
        await eventually(lambda: len(destination.datagrams) == 15)

    packets = [RtpPacket.parse(data) for data in destination.datagrams]
    assert source is not None
    assert destination.sources == {("127.0.0.1", source["params"]["port"])}
    assert source["params"]["rate"] == 8000
    assert [packet.sequence_number for packet in packets] == [
        (65530 + number) & 0xFFFF for number in range(15)
    ]
    assert [packet.timestamp for packet in packets] == [
        (0xFFFF_FF00 + 160 * number) & 0xFFFF_FFFF for number in range(15)
    ]
    assert {packet.payload_type for packet in packets} == {0}
    assert len({packet.ssrc for packet in packets}) == 1
    audio = b"".join(packet.payload for packet in packets)
    assert audio == encode_ulaw(expected_both(2400))


async def test_rtp_ptime_is_as_asked(simulator: Simulator, probe: Probe) -> None:
    async with RtpDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=0.24))
        tap = await probe.tap(call, rtp_device(destination.port, "PCMA", 60))
        await tap.wait_finished()
        await eventually(lambda: len(destination.datagrams) == 4)

    packets = [RtpPacket.parse(data) for data in destination.datagrams]
    assert [len(packet.payload) for packet in packets] == [480] * 4
    assert packets[0].payload == encode_alaw(expected_both(480))
    assert {packet.payload_type for packet in packets} == {8}


async def test_loss_is_known_exactly(simulator: Simulator, probe: Probe) -> None:
    async with RtpDestination() as destination:
        media = MediaOptions(seconds=1.0, speed=5, loss=20, reorder=10, duplicate=10)
        call = await answered(simulator, probe, media)
        tap = await probe.tap(call, rtp_device(destination.port))
        await tap.wait_finished()
        delivered = {sent.payload for sent in tap.sent if sent.delivered}
        await eventually(
            lambda: {data[12:] for data in destination.datagrams} == delivered
        )

    assert len(tap.sent) == 50
    assert 0 < sum(not sent.delivered for sent in tap.sent) < 50


async def test_tap_stop_ends_rtp_and_says_finished(
    simulator: Simulator, probe: Probe
) -> None:
    async with RtpDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(rtcp="same", bye=True))
        tap = await probe.tap(call, rtp_device(destination.port))
        await eventually(lambda: len(destination.datagrams) > 2)
        reply = await probe.call(
            "calling.tap.stop", leg(call, control_id=tap.control_id)
        )
        await probe.event("calling.call.tap", state="finished")
        await eventually(lambda: destination.datagrams[-1][1] == 203)

    assert reply["result"]["code"] == "200"
    count = len(destination.datagrams)
    await asyncio.sleep(0)
    assert len(destination.datagrams) == count


async def test_a_wave_file_can_be_the_source(
    simulator: Simulator, probe: Probe, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import soundfile

    path = tmp_path_factory.mktemp("audio") / "voice.wav"
    voice = make_source("tone:300", 8000).read(0, 400)
    soundfile.write(path, voice, 8000)
    async with WsDestination() as destination:
        call = simulator.place_call(
            CallRequest(speak=str(path), media=MediaOptions(seconds=0.1))
        )
        await probe.answer(call)
        tap = await probe.tap(call, destination.device, direction="speak")
        await tap.wait_finished()
        await destination.connections[0].wait_closed()

    expected = np.concatenate([voice, np.zeros(400, np.int16)])
    assert destination.connections[0].audio == encode_ulaw(expected)


async def test_opus_packets_are_one_message_each(
    simulator: Simulator, probe: Probe
) -> None:
    async with WsDestination() as destination:
        call = await answered(simulator, probe, MediaOptions(seconds=0.1))
        tap = await probe.tap(call, ws_device(destination.uri, "OPUS"))
        await tap.wait_finished()
        received = destination.connections[0]
        await received.wait_closed()

    assert json.loads(received.texts[0]) == {"content-type": "audio/opus;rate=48000"}
    assert received.binary == [sent.payload for sent in tap.sent]
    assert len(received.binary) == 5
    assert {sent.sample_rate for sent in tap.sent} == {48000}
