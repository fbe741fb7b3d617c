"""When a fault that is heard becomes a warning, and when the warning is over.

    quiet --bad--> suspected --bad, for long enough--> raised --3 x good--> quiet
      ^---good---------'                                 ^--bad, neither--'

Windows that say nothing either way, such as silence, change nothing.
"""

from __future__ import annotations

import enum
from dataclasses import replace

from server.audio import AudioWarning, WarningName

MIN_BAD = 2
"""Windows in a row: one may be a cough."""
MIN_GOOD = 3


class Finding(enum.Enum):
    """What one window says about one fault."""

    BAD = enum.auto()
    GOOD = enum.auto()
    NEITHER = enum.auto()


class Suspicion:
    """Watches for one fault on one track.

    Args:
        name: Of the fault.
        sentence: What to tell people.
        min_bad: How many bad windows make a warning.
        min_samples: How long they must be together.
    """

    def __init__(
        self,
        name: WarningName,
        sentence: str,
        *,
        min_bad: int = MIN_BAD,
        min_samples: int = 0,
    ) -> None:
        self.warning: AudioWarning | None = None
        """The one that is raised now."""
        self._name = name
        self._sentence = sentence
        self._min_bad = min_bad
        self._min_samples = min_samples
        self._bad = 0
        self._good = 0
        self._began = 0
        self._right_again = 0

    @property
    def is_suspected(self) -> bool:
        """Whether the fault was heard last, though perhaps not for long enough."""
        return self._bad > 0

    @property
    def is_idle(self) -> bool:
        """Whether a window that is not bad changes nothing."""
        return not self._bad and self.warning is None

    def receive(
        self, finding: Finding, start: int, end: int, sentence: str = ""
    ) -> AudioWarning | None:
        """Take in what a window from `start` to `end` says.

        Returns:
            A warning that was raised just now, or one that ended, with its end.
        """
        if finding is Finding.BAD:
            return self._take_bad(start, end, sentence or self._sentence)
        if finding is Finding.GOOD:
            return self._take_good(start)
        return None

    def _take_bad(self, start: int, end: int, sentence: str) -> AudioWarning | None:
        self._good = 0
        if not self._bad:
            self._began = start
        self._bad += 1
        is_long = self._bad >= self._min_bad and end - self._began >= self._min_samples
        if self.warning is not None or not is_long:
            return None
        self.warning = AudioWarning(self._name, self._began, sentence)
        return self.warning

    def _take_good(self, start: int) -> AudioWarning | None:
        if self.warning is None:
            self._bad = 0
            return None
        if not self._good:
            self._right_again = start
        self._good += 1
        if self._good < MIN_GOOD:
            return None
        ended = replace(self.warning, end=self._right_again)
        self.warning, self._bad, self._good = None, 0, 0
        return ended
