"""Calls with faults taken at random, alone and together, and what must be true of each.

Whatever happens on the way:

- the audio in the file is exactly what was delivered, in its order;
- what the evidence does not call received is zero, and it covers the file exactly once;
- each run of audio is where its sender's clock puts it: over RTP to the sample, over
  WebSocket, and behind another SSRC, to what arrival can tell;
- the file is as long as the tap, to within a packet.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from relay_client.simulator import (
    CallRequest,
    FaultOptions,
    FormatChange,
    MediaOptions,
    SentAudio,
    SimCall,
)
from server.library.evidence import EvidenceKind
from server.library.recording import Recording
from tests.e2e.rig import Audio, reference

RATE = 8000
SECONDS = 3.0
ARRIVAL_S = 0.15
"""How far off a place may be that only arrival tells, on a busy machine."""

SPANS = frozenset(EvidenceKind) - {
    EvidenceKind.LATE,
    EvidenceKind.CHANGE,
    EvidenceKind.DIGIT,
    EvidenceKind.WARNING,
}

FAULTS_OF_CONTROL = [
    FaultOptions(),
    FaultOptions(event_before_reply=True),
    FaultOptions(event_before_reply=True, reply_delay=0.5),
    FaultOptions(duplicate_events=True, unknown_events=True),
    FaultOptions(numbers_as_strings=True),
    FaultOptions(no_tapping=True),
    FaultOptions(tapping_delay=0.6),
    FaultOptions(no_finished=True),
    FaultOptions(ended_before_finished=True),
]

MediaFault = dict[str, object]

FAULTS_OF_RTP: list[MediaFault] = [
    {"loss": 2.0},
    {"loss": 10.0},
    {"reorder": 10.0},
    {"duplicate": 10.0},
    {"loss": 5.0, "reorder": 5.0, "duplicate": 2.0},
    {"sequence": 65_490},
    {"timestamp": 2**32 - 9_000},
    {"ptime": 10},
    {"ptime": 60},
    {"change": FormatChange(at=1.2, ptime=60)},
    {"change": FormatChange(at=1.2, codec="PCMA")},
    {"dtx": ((0.5, 0.4), (1.5, 0.7))},
    {"dtx": ((0.8, 0.9),), "comfort_noise": True},
    {"ssrcs": "changing", "ssrc_change_at": 1.5},
    {"pace": "jitter", "jitter": 0.1},
    {"pace": "stall", "stall_at": 1.0, "stall_for": 0.8},
    {"pace": "stall", "stall_at": 1.0, "stall_for": 1.6},
    {"pace": "stall", "stall_at": 1.0, "stall_for": 0.8, "catch_up": False},
    {"csrcs": 3, "extension": 2, "padding": 7},
    {"rtcp": "same", "rtcp_interval": 0.3, "bye": True},
    {"dtmf": "159#", "dtmf_at": 0.5},
]

FAULTS_OF_WS: list[MediaFault] = [
    {"chunk": "odd"},
    {"chunk": "random"},
    {"chunk": 320},
    {"header": "none"},
    {"header": "plain"},
    {"change": FormatChange(at=1.2, codec="PCMA")},
    {"dtx": ((1.0, 0.8),)},
    {"pace": "jitter", "jitter": 0.1},
    {"pace": "stall", "stall_at": 1.0, "stall_for": 0.8},
    {"pace": "stall", "stall_at": 1.0, "stall_for": 0.9, "catch_up": False},
    {"pace": "burst", "burst": 0.4},
    {"second_connection": 1.3},
    {"break_at": 1.0, "reconnect_after": 0.8},
    {"end": "abort"},
]


@dataclass
class ChaosCall:
    """One call and how it is tapped."""

    transport: str
    request: CallRequest
    names: list[str]
    """Of its faults, for a person who looks for the one that did it."""


def any_call(chance: random.Random) -> ChaosCall:
    """Choose a transport and up to three faults that do not exclude each other."""
    transport = chance.choice(["ws", "rtp"])
    pool = FAULTS_OF_WS if transport == "ws" else FAULTS_OF_RTP
    chosen: MediaFault = {}
    names = []
    for fault in chance.sample(pool, chance.choice([1, 1, 2, 3])):
        if _excludes(chosen, fault):
            continue
        chosen |= fault
        names.append(", ".join(f"{key}={value}" for key, value in fault.items()))
    control = chance.choice(FAULTS_OF_CONTROL)
    if transport == "rtp" and control.no_finished and "bye" not in chosen:
        control = FaultOptions()
    media = replace(MediaOptions(), **chosen)  # type: ignore[arg-type]
    request = CallRequest(
        speak=f"tone:{chance.randrange(300, 1200)}@0.4",
        listen=f"tone:{chance.randrange(1300, 2400)}@0.3",
        seconds=SECONDS,
        media=media,
        faults=control,
        seed=chance.randrange(1 << 30),
    )
    return ChaosCall(transport, request, [*names, str(control)])


def _excludes(chosen: MediaFault, fault: MediaFault) -> bool:
    if set(chosen) & set(fault):
        return True
    both = {**chosen, **fault}
    if both.get("header") == "none" and "change" in both:
        # Nobody can know of a change that nothing announces.
        return True
    # What belongs together in time must not be cut up by the other.
    breaks = {"dtx", "pace", "second_connection", "break_at", "ssrcs", "change"}
    return bool(breaks & set(chosen) and breaks & set(fault))


@dataclass
class Judgement:
    """What is wrong with one recording, and how far places are off."""

    problems: list[str] = field(default_factory=list)
    worst_place_s: float = 0.0
    length_error_s: float = 0.0


def judge(call: SimCall, recording: Recording, audio: Audio) -> Judgement:
    """Compare one recording with what its tap delivered."""
    judgement = Judgement()
    (tap,) = call.taps.values()
    sent = sorted(tap.sent, key=lambda entry: entry.start)
    delivered = [entry for entry in sent if entry.delivered]
    received = _received(recording, audio, judgement)
    expected = _decoded(call, delivered)
    heard = audio[received]
    if len(heard) != len(expected) or (heard != expected).any():
        judgement.problems.append(
            f"{len(heard)} samples are there, {len(expected)} were delivered, "
            f"{int((heard[: len(expected)] != expected[: len(heard)]).sum())} differ"
        )
        return judgement
    _judge_places(call, delivered, received, judgement)
    _judge_length(delivered, recording, judgement)
    return judgement


def _received(recording: Recording, audio: Audio, judgement: Judgement) -> np.ndarray:
    """Return where audio is, by the evidence; note what is wrong with that."""
    received = np.zeros(len(audio), dtype=bool)
    at = 0
    for entry in recording.evidence:
        if entry.kind not in SPANS:
            continue
        start, length = round(entry.start_s * RATE), round(entry.length_s * RATE)
        if start != at:
            judgement.problems.append(f"the evidence jumps from {at} to {start}")
        if entry.kind is EvidenceKind.RECEIVED:
            received[start : start + length] = True
        elif audio[start : start + length].any():
            judgement.problems.append(f"{entry} is not silent")
        at = start + length
    if at != len(audio):
        judgement.problems.append(f"the evidence ends at {at} of {len(audio)}")
    return received


def _decoded(call: SimCall, delivered: Sequence[SentAudio]) -> Audio:
    change = call.media.change
    if change is None or change.codec is None:
        return np.concatenate([reference([each], "PCMU") for each in delivered])
    border = round(change.at * RATE)
    laws = ["PCMU" if each.start < border else change.codec for each in delivered]
    return np.concatenate(
        [reference([each], law) for each, law in zip(delivered, laws, strict=True)]
    )


def _judge_places(
    call: SimCall,
    delivered: Sequence[SentAudio],
    received: np.ndarray,
    judgement: Judgement,
) -> None:
    """Compare where each run begins in the file with where its sender put it."""
    positions = np.flatnonzero(received)
    wanted = np.concatenate(
        [np.arange(e.start, e.start + e.samples) for e in delivered]
    )
    wanted -= wanted[0]
    off = np.abs(positions - positions[0] - wanted)
    judgement.worst_place_s = float(off.max()) / RATE
    (tap,) = call.taps.values()
    is_exact = tap.request.transport == "rtp" and call.media.ssrcs != "changing"
    allowed = 0.0 if is_exact else ARRIVAL_S
    if judgement.worst_place_s > allowed:
        judgement.problems.append(f"audio is {judgement.worst_place_s:.3f} s off")


def _judge_length(
    delivered: Sequence[SentAudio], recording: Recording, judgement: Judgement
) -> None:
    """Compare the length of the file with that of the tap.

    What is silent at the end is as long as it took until the end was told.
    """
    last = delivered[-1]
    span = (last.start + last.samples - delivered[0].start) / RATE
    covers = [entry for entry in recording.evidence if entry.kind in SPANS]
    if covers and covers[-1].kind is EvidenceKind.SILENCE:
        span = max(span, covers[-1].start_s + covers[-1].length_s)
    judgement.length_error_s = abs(recording.duration_s - span)
    allowed = max(0.02, judgement.worst_place_s + 0.02)
    if judgement.length_error_s > allowed + 1e-6:
        judgement.problems.append(
            f"the file lasts {recording.duration_s} s, the tap {span:.3f} s"
        )
