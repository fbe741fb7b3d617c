"""Identifiers that a seed makes reproducible."""

from __future__ import annotations

import random
import uuid


class IdMaker:
    """Makes the platform's identifiers; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"{seed} ids")
        self.node_id = f"{self.uuid()}@loopback"

    def uuid(self) -> str:
        """Return a random UUID (RFC 9562 section 5.4)."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def signature(self) -> str:
        """Return 64 hexadecimal digits."""
        return f"{self._chance.getrandbits(256):064x}"
