"""What one listener wants to be told.

Pure: no input or output, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.events.kinds import PassingKind


@dataclass(frozen=True, slots=True)
class Wanted:
    """A choice of events; without limits, all that are kept and none that pass."""

    types: frozenset[str] = frozenset()
    """Kinds and families; empty: all of them."""
    control_ids: frozenset[str] = frozenset()
    """Of taps; empty: all of them."""
    passing: frozenset[PassingKind] = frozenset()
    """Kinds that are told only if they are asked for."""

    def admits(self, kind: str, control_id: str) -> bool:
        """Tell whether an event that is kept is wanted."""
        if self.control_ids and control_id not in self.control_ids:
            return False
        types = self.types
        return not types or kind in types or kind.partition(".")[0] in types

    def admits_passing(self, kind: PassingKind, control_id: str) -> bool:
        """Tell whether an event that passes is wanted."""
        if kind not in self.passing:
            return False
        return not self.control_ids or control_id in self.control_ids
