"""A tap that this server does not take, and why."""

from __future__ import annotations


class TapRefusedError(Exception):
    """The tap cannot be taken or started.

    Args:
        status: The HTTP status that says the same, 400 to 599.
        reason: Why, in a sentence.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return self.reason
