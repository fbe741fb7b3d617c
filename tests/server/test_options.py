"""What the settings make of the parts."""

from __future__ import annotations

import logging

import pytest

from server.config import load_settings
from server.options import make_access
from server.transports.http_roles import Role

TOKENS = {
    "api_token": "a token that manages",
    "download_token": "a token that downloads",
    "listen_token": "a token that listens",
}


def test_each_token_gives_its_role() -> None:
    access = make_access(load_settings(file=None, environ={}, flags=TOKENS))

    roles = [access.role_of_token(token) for token in TOKENS.values()]
    assert roles == [Role.MANAGE, Role.DOWNLOAD, Role.LISTEN]
    assert access.role_of_token("another token altogether") is None


@pytest.mark.parametrize(
    ("listen", "level"),
    [("127.0.0.1:8080", "INFO"), ("0.0.0.0:8080", "WARNING")],
)
def test_without_a_token_the_log_says_who_is_answered_and_how_to_change_it(
    caplog: pytest.LogCaptureFixture, listen: str, level: str
) -> None:
    caplog.set_level(logging.INFO)
    settings = load_settings(file=None, environ={}, flags={"http_listen": listen})

    assert not make_access(settings).has_token

    (entry,) = caplog.records
    assert entry.levelname == level
    assert "this machine only" in entry.getMessage()
    assert "TAPDECK_API_TOKEN" in entry.getMessage()


def test_with_one_it_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    settings = load_settings(file=None, environ={}, flags=TOKENS)

    assert make_access(settings).has_token
    assert caplog.records == []
