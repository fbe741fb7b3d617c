"""What can go wrong between an application and the RELAY platform.

Every error carries a numeric `code` and a `message`. The platform's own refusals keep
the platform's code; whatever this client notices by itself has the code -1.

    RelayError                   the platform refused a request (any non-2xx code)
    ├── AuthenticationError      the platform refused the credentials
    ├── ArgumentError            we were called with a value that cannot work
    ├── ConfigurationError       a setting is missing or unusable
    ├── RequestTimeoutError      no reply in time; the connection counts as dead
    ├── ConnectionLostError      the connection went before the reply came
    ├── QueueFullError           too many requests wait for a connection
    ├── CallLimitError           as many calls are known as may be
    ├── CallEndedError           the call is over, so this cannot happen any more
    ├── CallLostError            the call goes on, out of this client's reach
    ├── DialError                nobody answered
    ├── TapError                 a tap never came to life
    └── StateError               the protocol machine was driven wrongly: a bug of ours
"""

from __future__ import annotations

LOCAL = -1
"""The code of errors that this client found by itself."""

CALL_GONE_CODES = frozenset({404, 410})
"""The call never existed, or existed and is over: a normal race with a hang-up."""


class RelayError(Exception):
    """The platform refused a request, or the request could not be carried out."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"RELAY error {self.code}: {self.message}"

    @property
    def is_call_gone(self) -> bool:
        """True when the platform says that the call is not there (any more)."""
        return self.code in CALL_GONE_CODES


class AuthenticationError(RelayError):
    """The platform refused the credentials."""

    def __str__(self) -> str:
        return f"RELAY refused the credentials ({self.code}): {self.message}"


class ArgumentError(RelayError, ValueError):
    """A value was refused before anything was sent."""

    def __init__(self, field: str, allowed: str, got: object = None) -> None:
        shown = "" if got is None else f", not {got!r}"
        super().__init__(LOCAL, f"{field} must be {allowed}{shown}")
        self.field = field
        self.allowed = allowed

    def __str__(self) -> str:
        return self.message


class ConfigurationError(RelayError, ValueError):
    """A setting is missing or unusable; the message names it."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(LOCAL, f"{setting} {problem}")
        self.setting = setting

    def __str__(self) -> str:
        return self.message


class RequestTimeoutError(RelayError, TimeoutError):
    """The platform did not reply in time."""

    def __init__(self, method: str, seconds: float, *, was_sent: bool = True) -> None:
        what = "had no reply" if was_sent else "could not be sent"
        super().__init__(LOCAL, f"{method} {what} within {seconds:g} s")
        self.method = method
        self.was_sent = was_sent


class ConnectionLostError(RelayError, ConnectionError):
    """The connection to the platform went before the reply came."""

    def __init__(self, message: str = "connection closed") -> None:
        super().__init__(LOCAL, message)


class QueueFullError(RelayError):
    """Too many requests already wait for a connection."""

    def __init__(self, limit: int) -> None:
        super().__init__(LOCAL, f"{limit} requests already wait for a connection")
        self.limit = limit


class CallLimitError(RelayError):
    """This client already knows as many calls as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(LOCAL, f"{limit} calls are active already")
        self.limit = limit


class CallEndedError(RelayError):
    """The call is over."""

    def __init__(self, call_id: str) -> None:
        super().__init__(LOCAL, f"call {call_id} has ended")
        self.call_id = call_id


class CallLostError(RelayError):
    """The call goes on, and the platform does not let this client control it."""

    def __init__(self, call_id: str) -> None:
        super().__init__(LOCAL, f"call {call_id} is out of reach")
        self.call_id = call_id


class DialError(RelayError):
    """A dial came to nothing."""

    def __init__(self, tag: str, reason: str) -> None:
        super().__init__(LOCAL, f"dial {tag}: {reason}")
        self.tag = tag
        self.reason = reason


class TapError(RelayError):
    """A tap never came to life."""

    def __init__(self, control_id: str, reason: str) -> None:
        super().__init__(LOCAL, f"tap {control_id}: {reason}")
        self.control_id = control_id
        self.reason = reason


class StateError(RelayError, RuntimeError):
    """The protocol machine was asked for a step that its table does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(LOCAL, message)
