"""What the API tells about taps, as JSON."""

from __future__ import annotations

from server.library.fields import JsonObject, time_text
from server.taps.status import ForwardStatus, TapStatus
from server.taps.verdict import TrackVerdict


def tap_json(status: TapStatus) -> JsonObject:
    """Return a tap as the API shows it."""
    started_at = status.started_at
    packets = status.packets
    return {
        "control_id": status.control_id,
        "call_id": status.call_id,
        "node_id": status.node_id,
        "direction": status.direction,
        "transport": status.transport,
        "origin": status.origin,
        "state": status.state,
        "paused": status.is_paused,
        "reason": status.reason,
        "from": status.from_number,
        "to": status.to_number,
        "context": status.context,
        "tags": list(status.tags),
        "codec": status.codec,
        "sample_rate": status.sample_rate,
        "created_at": time_text(status.created_at),
        "started_at": None if started_at is None else time_text(started_at),
        "duration_s": round(status.duration_s, 3),
        "packets": {
            "received": packets.received,
            "lost": packets.lost,
            "late": packets.late,
            "duplicate": packets.duplicate,
            "reordered": packets.reordered,
        },
        "jitter_ms": round(packets.jitter_ms, 3),
        "drops": dict(status.drops),
        "warnings": list(status.warnings),
        "recording_ids": list(status.recording_ids),
        "custom_parameters": dict(status.custom_parameters),
        "forwards": [forward_json(each) for each in status.forwards],
        "verdict": None if status.verdict is None else _verdict_json(status.verdict),
    }


def _verdict_json(verdict: TrackVerdict) -> JsonObject:
    return {
        "state": verdict.outcome.value,
        "complete": verdict.is_complete,
        "reason": verdict.reason,
    }


def forward_json(status: ForwardStatus) -> JsonObject:
    """Return a forward as the API shows it."""
    return {
        "forward_id": status.forward_id,
        "rule": status.rule,
        "type": status.type,
        "url": status.url,
        "framing": status.framing,
        "state": status.state,
        "error": status.error,
        "connections": status.connections,
        "sent_messages": status.sent_messages,
        "sent_bytes": status.sent_bytes,
        "queued_ms": status.queued_ms,
        "dropped_ms": status.dropped_ms,
        "replies": list(status.replies),
    }
