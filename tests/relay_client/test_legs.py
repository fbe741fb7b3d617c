"""States of a leg, and lists of devices."""

from __future__ import annotations

from typing import Any

import pytest

from relay_client.errors import ArgumentError
from relay_client.legs import CallState, check_devices

PHONE = {"type": "phone", "params": {}}


def test_states_are_ordered() -> None:
    assert CallState.CREATED.is_before(CallState.ANSWERED)
    assert not CallState.ENDED.is_before(CallState.ENDING)
    assert not CallState.RINGING.is_before(CallState.RINGING)


def test_an_unknown_state_is_none() -> None:
    assert CallState.parse("answered") is CallState.ANSWERED
    assert CallState.parse("teleported") is None


def test_devices_are_nested_lists() -> None:
    assert check_devices([[PHONE, PHONE], [PHONE]]) == [[PHONE, PHONE], [PHONE]]


@pytest.mark.parametrize("devices", [None, [], [[]], [PHONE], [["x"]], [[PHONE], []]])
def test_other_devices_are_refused(devices: Any) -> None:
    with pytest.raises(ArgumentError, match="devices must be a list of lists"):
        check_devices(devices)
