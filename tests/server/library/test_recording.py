"""The document of a recording."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import GapCause, Outcome, PacketCounts
from server.library.evidence import Evidence, Quality
from server.library.fields import FieldError
from server.library.recording import (
    Packets,
    Recording,
    TimedChange,
    TimedDigit,
    TimedGap,
    Verdict,
)
from tests.server.library.builders import HOSTILE, NOON, recording

QUALITY = dict(asdict(Quality()))
ID = "20261122T120000123Z-abcdefgh"
seconds = st.floats(min_value=0, max_value=1e6)
counts = st.integers(min_value=0, max_value=2**40)
moments = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
reals = st.floats(allow_nan=False, allow_infinity=False)
qualities = {
    "loss_percent": seconds,
    "jitter_ms": seconds,
    "reordered_percent": seconds,
    "late_percent": seconds,
    "drift_ppm": st.none() | reals,
    "level_dbfs": st.none() | reals,
    "peak_dbfs": st.none() | reals,
    "clipped_samples": counts,
    "mos_estimate": st.none() | reals,
}
recordings = st.builds(
    Recording,
    id=st.just(ID),
    track=counts,
    codec=st.text(),
    sample_rate=counts,
    channels=counts,
    started_at=moments,
    ended_at=st.none() | moments,
    duration_s=seconds,
    samples=counts,
    has_audio=st.booleans(),
    state=st.sampled_from(Outcome),
    verdict=st.builds(Verdict),
    packets=st.builds(Packets, counts, st.integers(), counts, counts, counts),
    undecodable=counts,
    jitter_ms=seconds,
    gaps=st.lists(st.builds(TimedGap, seconds, seconds)).map(tuple),
    gaps_omitted=counts,
    digits=st.lists(st.builds(TimedDigit, seconds, st.text(), seconds)).map(tuple),
    changes=st.lists(st.builds(TimedChange, seconds)).map(tuple),
    custom_parameters=st.dictionaries(st.text(), st.text()),
    evidence=st.lists(st.builds(Evidence, seconds, seconds)).map(tuple),
    evidence_omitted=counts,
    quality=st.none() | st.builds(Quality, **qualities),
    warnings=st.lists(st.text()).map(tuple),
    size_bytes=counts,
    tags=st.lists(st.text()).map(tuple),
    legal_hold=st.booleans(),
)


@given(recordings)
def test_what_is_written_is_read_back(original: Recording) -> None:
    text = json.dumps(original.to_json(), allow_nan=False)

    assert Recording.from_json(json.loads(text)) == original


def test_the_document_has_every_name_of_the_contract() -> None:
    document = recording(
        ID, gaps=(TimedGap(1.0, 0.02, GapCause.LOST),), ended_at=NOON
    ).to_json()

    assert {
        *("id", "call_id", "node_id", "control_id", "direction", "transport"),
        *("codec", "sample_rate", "channels", "started_at", "duration_s", "samples"),
        *("state", "verdict", "from", "to", "packets", "gaps"),
    } <= set(document)
    assert document["started_at"] == "2026-11-22T12:00:00.123Z"
    assert document["verdict"] == {"complete": True, "reason": "every packet arrived"}
    assert document["gaps"] == [{"start_s": 1.0, "length_s": 0.02, "cause": "lost"}]
    assert document["packets"] == {
        "received": 0,
        "lost": 0,
        "late": 0,
        "duplicate": 0,
        "reordered": 0,
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_the_wire_come_back_unchanged(name: str) -> None:
    original = recording(ID, call_id=name, from_number=name, end_reason=name)

    text = json.dumps(original.to_json())

    assert text.isascii()
    assert Recording.from_json(json.loads(text)) == original


def test_unknown_keys_are_passed_over() -> None:
    original = recording(ID)

    document = {**original.to_json(), "of_tomorrow": {"a": [1]}}

    assert Recording.from_json(document) == original


def test_what_an_older_document_lacks_has_a_default() -> None:
    needed = dict(recording(ID).to_json())
    for key in ("track", "origin", "end_reason", "digits", "changes", "jitter_ms"):
        del needed[key]
    for key in ("has_audio", "undecodable", "custom_parameters"):
        del needed[key]
    for key in ("evidence", "quality", "warnings", "encoding", "sha256", "size_bytes"):
        del needed[key]
    for key in ("tags", "note", "legal_hold", "evidence_omitted"):
        del needed[key]

    assert Recording.from_json(needed) == recording(ID)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("id", 7, "id"),
        ("call_id", None, "call_id"),
        ("sample_rate", "8000", "sample_rate"),
        ("sample_rate", True, "sample_rate"),
        ("channels", -1, "channels"),
        ("samples", 1.5, "samples"),
        ("duration_s", -0.1, "duration_s"),
        ("duration_s", float("nan"), "duration_s"),
        ("duration_s", 10**400, "duration_s"),
        ("duration_s", "1", "duration_s"),
        ("duration_s", False, "duration_s"),
        ("has_audio", 1, "has_audio"),
        ("started_at", "yesterday", "started_at"),
        ("started_at", 5, "started_at"),
        ("started_at", "2026-11-22T12:00:00", "started_at"),
        ("started_at", "0001-01-01T00:00:00+23:00", "started_at"),
        ("state", "finished", "state"),
        ("verdict", None, "verdict"),
        ("verdict", {"complete": True}, "verdict.reason"),
        ("packets", {"received": 1}, "packets.lost"),
        ("undecodable", -1, "undecodable"),
        ("custom_parameters", [], "custom_parameters"),
        ("custom_parameters", {"a": 1}, "custom_parameters.a"),
        ("evidence", [{"start_s": 0, "length_s": 1, "kind": "?"}], "evidence[0].kind"),
        ("evidence", [{"start_s": 0, "length_s": 1}], "evidence[0].kind"),
        ("quality", 5, "quality"),
        ("quality", {"loss_percent": 0}, "quality.jitter_ms"),
        ("quality", {**QUALITY, "drift_ppm": "fast"}, "quality.drift_ppm"),
        ("quality", {**QUALITY, "drift_ppm": float("inf")}, "quality.drift_ppm"),
        ("quality", {**QUALITY, "drift_ppm": True}, "quality.drift_ppm"),
        ("tags", "billing", "tags"),
        ("tags", [1], "tags"),
        ("legal_hold", "yes", "legal_hold"),
        ("gaps", {}, "gaps"),
        ("gaps", [3], "gaps[0]"),
        ("gaps", [{"start_s": 1, "length_s": 1, "cause": "?"}], "gaps[0].cause"),
    ],
)
def test_a_wrong_type_is_refused_by_name(key: str, value: Any, named: str) -> None:
    document = {**recording(ID).to_json(), key: value}

    with pytest.raises(FieldError) as caught:
        Recording.from_json(document)

    assert caught.value.field == named
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize("key", ["id", "call_id", "samples", "state", "verdict", "to"])
def test_a_missing_field_is_refused_by_name(key: str) -> None:
    document = dict(recording(ID).to_json())
    del document[key]

    with pytest.raises(FieldError) as caught:
        Recording.from_json(document)

    assert caught.value.field == key


def test_a_document_that_is_no_object_is_refused() -> None:
    with pytest.raises(FieldError, match="an object expected"):
        Recording.from_json([1])


def test_packet_counts_are_copied() -> None:
    live = PacketCounts(received=5, lost=-1, late=1, duplicate=2, reordered=3)

    packets = Packets.of(live)
    live.received = 6

    assert packets == Packets(5, -1, 1, 2, 3)
