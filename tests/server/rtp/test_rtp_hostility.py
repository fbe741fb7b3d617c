"""Whatever a source sends, its tracks stay whole, bounded and true to the clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio import PCMU_8000, AudioFormat, Codec, Gap, GapCause, Run
from server.rtp.packet import RtpPacket
from server.rtp.serial import add_to_sequence, add_to_timestamp
from server.rtp.timeline import MAX_LEAD
from tests.server.rtp.builders import SSRC, events_of, extent, session

# Each step is relative to the packet before: sequence numbers, ticks, seconds.
near = st.sampled_from([1, 1, 1, 1, 2, 0, -1, 3])
sequence_steps = st.one_of(near, near, st.integers(-0x8000, 0x7FFF))
ticks = st.sampled_from([160, 160, 160, 320, 0, -160])
timestamp_steps = st.one_of(ticks, ticks, st.integers(-(2**31), 2**31 - 1))
pauses = st.one_of(st.just(0.02), st.just(0.02), st.floats(0, 3))
types = st.sampled_from([0, 0, 0, 0, 8, 9, 11, 13, 101, 111])
payloads = st.sampled_from([bytes(160), bytes(160), bytes(80), bytes(4), b"\x08", b""])
sources = st.sampled_from([SSRC, SSRC, SSRC, 7, 8])
steps = st.tuples(sequence_steps, timestamp_steps, pauses, types, payloads, sources)

asked = st.sampled_from(
    [PCMU_8000, AudioFormat(Codec.OPUS, 48_000), AudioFormat(Codec.L16, 16_000)]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=100), asked, st.integers(1, 30))
def test_a_hostile_source_gets_whole_tracks_and_no_hours_of_silence(
    packets: list[tuple[int, int, float, int, bytes, int]],
    asked_format: AudioFormat,
    take_every: int,
) -> None:
    target = session(asked_format)
    sequence_number, timestamp, now = 65_500, 2**32 - 3000, 0.0
    taken = []
    for count, (number, step, pause, kind, payload, ssrc) in enumerate(packets):
        sequence_number = add_to_sequence(sequence_number, number)
        timestamp = add_to_timestamp(timestamp, step)
        now += pause
        packet = RtpPacket(kind, sequence_number, timestamp, ssrc, payload)
        target.receive_datagram(packet.serialize(), now)
        if count % take_every == 0:
            taken += target.take(now)
    target.finish(now, pad=True)
    taken += target.take(now)

    for track in range(target.track_count):
        events = events_of(taken, track)
        rate = target.track_format(track).clock_rate
        played = sum(e.length for e in events if isinstance(e, Run))
        lost = sum(
            e.length
            for e in events
            if isinstance(e, Gap) and e.cause is not GapCause.SILENCE
        )
        assert extent(events) <= played + lost + (now + MAX_LEAD) * rate
        assert lost <= (target.counts(track).lost + target.drops.total()) * 0.12 * rate
    assert target.held_packets == 0
    assert target.get_timer() is None
