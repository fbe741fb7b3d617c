"""Errors say what happened, and can be caught by kind."""

from __future__ import annotations

import pytest

from relay_client.errors import (
    ArgumentError,
    AuthenticationError,
    CallEndedError,
    CallLimitError,
    ConfigurationError,
    ConnectionLostError,
    DialError,
    QueueFullError,
    RelayError,
    RequestTimeoutError,
    StateError,
    TapError,
)


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (RelayError(500, "oops"), RelayError, "RELAY error 500: oops"),
        (
            AuthenticationError(-32002, "401"),
            RelayError,
            "RELAY refused the credentials (-32002): 401",
        ),
        (
            ArgumentError("port", "a number", 0),
            ValueError,
            "port must be a number, not 0",
        ),
        (ArgumentError("uri", "an address"), ValueError, "uri must be an address"),
        (ConfigurationError("token", "is missing"), ValueError, "token is missing"),
        (
            RequestTimeoutError("calling.tap", 10.0),
            TimeoutError,
            "RELAY error -1: calling.tap had no reply within 10 s",
        ),
        (
            RequestTimeoutError("calling.tap", 60.0, was_sent=False),
            TimeoutError,
            "RELAY error -1: calling.tap could not be sent within 60 s",
        ),
        (ConnectionLostError(), ConnectionError, "RELAY error -1: connection closed"),
        (
            QueueFullError(500),
            RelayError,
            "RELAY error -1: 500 requests already wait for a connection",
        ),
        (CallLimitError(2), RelayError, "RELAY error -1: 2 calls are active already"),
        (CallEndedError("c-1"), RelayError, "RELAY error -1: call c-1 has ended"),
        (DialError("d-1", "busy"), RelayError, "RELAY error -1: dial d-1: busy"),
        (TapError("t-1", "refused"), RelayError, "RELAY error -1: tap t-1: refused"),
        (StateError("impossible"), RuntimeError, "RELAY error -1: impossible"),
    ],
)
def test_every_error_is_a_relay_error_with_a_sentence(
    error: RelayError, kind: type[Exception], sentence: str
) -> None:
    assert isinstance(error, RelayError)
    assert isinstance(error, kind)
    assert str(error) == sentence


@pytest.mark.parametrize(("code", "is_gone"), [(404, True), (410, True), (400, False)])
def test_404_and_410_mean_that_the_call_is_gone(code: int, is_gone: bool) -> None:
    assert RelayError(code, "").is_call_gone is is_gone
