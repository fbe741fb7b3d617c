"""The errors that end the program, each with the sentence and the code to end with.

    TapdeckError
    ├── ConfigError    what was configured cannot be used             exit code 2
    └── StartupError   the configuration is fine, the machine is not   exit code 3

Errors of one tap never leave that tap and are not found here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class TapdeckError(Exception):
    """The program cannot go on; `str()` is what to tell whoever started it."""

    exit_code: ClassVar[int] = 1


class ConfigError(TapdeckError):
    """One or more settings cannot be used."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        """One sentence each, in the order in which to mend them."""
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class StartupError(TapdeckError):
    """Something outside the configuration stops the program from starting.

    A port in use, a directory that cannot be written to.
    """

    exit_code = 3
