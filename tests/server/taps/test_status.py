"""The snapshot of a tap."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.taps.status import TapStatus


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("waiting", False),
        ("receiving", False),
        ("stalled", False),
        ("finished", True),
        ("failed", True),
    ],
)
def test_a_tap_has_ended_when_it_finished_or_failed(state: str, ended: bool) -> None:
    status = TapStatus(
        control_id="c",
        call_id="a",
        node_id="n",
        direction="both",
        transport="ws",
        origin="api",
        state=state,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
    )

    assert status.has_ended is ended
