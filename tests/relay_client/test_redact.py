"""Secrets do not reach a log."""

from __future__ import annotations

import json

import pytest

from relay_client.redact import mask_frame, mask_values


@pytest.mark.parametrize(
    "key",
    ["token", "project", "project_id", "jwt_token", "authorization_state", "uri"],
)
def test_secret_members_are_masked(key: str) -> None:
    frame = json.dumps({"a": {key: 'x"SECRET\\'}, "code": "200"})
    masked = mask_frame(frame, ())
    assert "SECRET" not in masked
    assert '"code": "200"' in masked


def test_a_truncated_member_is_masked_too() -> None:
    assert "SECRET" not in mask_frame('{"token": "SECRET', ())


def test_live_values_are_masked_wherever_they_are() -> None:
    frame = '{"protocol": "signalwire_x_PROJ", "identity": "PROJ-2@zone"}'
    assert "PROJ" not in mask_frame(frame, ("PROJ", "PROJ-2", ""))


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert mask_values("abc ab", ("ab", "abc")) == "*** ***"
