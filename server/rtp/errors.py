"""The one error of this package: bytes from the network that are not valid RTP."""

from __future__ import annotations


class RtpError(ValueError):
    """A datagram is malformed.

    Raised by the parsers alone. Whoever feeds them catches it, counts `reason` and
    goes on: no datagram may end anything.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """A short name to count under, such as `bad_version`."""
