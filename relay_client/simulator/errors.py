"""What can go wrong in the simulator.

SimulatorError
├── OptionsError       a request for a call, or an option, is not acceptable
├── NoSubscriberError  nobody receives the context a call is placed into
└── CommandError       a RELAY command is refused (never leaves the simulator)
    └── ParamsError    its parameters do not fit the schema
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Root of everything that the simulator raises on purpose."""


class OptionsError(SimulatorError):
    """An option is unknown or has an impossible value."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(key, problem)

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}" if self.key else self.problem


class NoSubscriberError(SimulatorError):
    """No connected client receives calls for the context."""

    def __init__(self, context: str) -> None:
        self.context = context
        super().__init__(context)

    def __str__(self) -> str:
        return f"nobody receives calls for context {self.context!r}"


class CommandError(SimulatorError):
    """A command gets a result code other than 2xx."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code, message)

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


class ParamsError(CommandError):
    """A command's parameters do not fit its schema: JSON-RPC error -32602."""

    CODE = -32602

    def __init__(self, message: str) -> None:
        super().__init__(self.CODE, message)
