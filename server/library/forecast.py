"""When room runs out, if calls go on as in the last seven days. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOOKED_BACK_DAYS = 7
HORIZON_DAYS = 3650
"""Beyond ten years nobody believes a forecast."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What has come, by days since 1970."""

    bytes_by_day: Mapping[int, int]
    today: int

    @property
    def bytes_per_day(self) -> float:
        """The mean of the last whole days; of today, if there are none before."""
        first = min(self.bytes_by_day, default=self.today)
        days = min(LOOKED_BACK_DAYS, self.today - first)
        if days <= 0:
            return float(self.bytes_by_day.get(self.today, 0))
        past = range(self.today - days, self.today)
        return sum(self.bytes_by_day.get(day, 0) for day in past) / days

    def days_until_full(self, room_bytes: float, keep_days: int | None) -> int | None:
        """Return in how many days the room is used up; None: not within ten years.

        Args:
            room_bytes: What there is now, once everything too old is gone.
            keep_days: The age at which recordings go and make room; None: never.
        """
        coming = self.bytes_per_day
        for ahead in range(1, HORIZON_DAYS + 1):
            room_bytes -= coming
            if keep_days is not None:
                room_bytes += self._going(self.today + ahead - keep_days, coming)
            if room_bytes < 0:
                return ahead
        return None

    def _going(self, day: int, coming: float) -> float:
        return self.bytes_by_day.get(day, 0) if day < self.today else coming
