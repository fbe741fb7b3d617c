"""What a leg is before it is a `Call`: its states, what is first known, whom to call.

Pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from relay_client.errors import ArgumentError
from relay_client.jsonrpc import JsonObject

Devices = list[list[JsonObject]]
"""Whom to call: the outer list one after another, each inner list at the same time."""


class CallState(enum.StrEnum):
    """How far a leg has come. States may be skipped; ENDED is final."""

    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    ENDED = "ended"

    @classmethod
    def parse(cls, name: str) -> CallState | None:
        """Return the state called `name`; None if there is no such state."""
        return next((state for state in cls if state.value == name), None)

    def is_before(self, other: CallState) -> bool:
        """Return whether a leg goes through this state before `other`."""
        order = tuple(CallState)
        return order.index(self) < order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInfo:
    """What is known of a leg when it is first heard of."""

    call_id: str
    node_id: str
    state: CallState
    direction: str
    context: str = ""
    tag: str = ""
    project_id: str = field(default="", repr=False)
    segment_id: str = ""
    device: JsonObject = field(repr=False)


def check_devices(devices: Devices) -> Devices:
    """Return the devices to call.

    Raises:
        ArgumentError: they are not one or more lists of one or more devices.
    """
    if isinstance(devices, list) and devices and all(map(_is_group, devices)):
        return devices
    raise ArgumentError("devices", "a list of lists of devices, none of them empty")


def _is_group(group: object) -> bool:
    if not isinstance(group, list) or not group:
        return False
    return all(isinstance(device, dict) for device in group)
