"""Settings from arguments and environment."""

from __future__ import annotations

import pytest

from relay_client.endpoint import (
    DEFAULT_HOST,
    resolve_credentials,
    resolve_endpoint,
)
from relay_client.errors import ConfigurationError

ENVIRON = {
    "SIGNALWIRE_PROJECT_ID": "env-project",
    "SIGNALWIRE_API_TOKEN": "env-token",
    "SIGNALWIRE_SPACE": "env.signalwire.com",
    "SIGNALWIRE_RELAY_CA_FILE": "/ca.pem",
    "SIGNALWIRE_RELAY_SCHEME": "ws",
}


def test_the_environment_is_the_default() -> None:
    credentials = resolve_credentials(ENVIRON)
    assert credentials.authentication() == {
        "project": "env-project",
        "token": "env-token",
    }
    endpoint = resolve_endpoint(ENVIRON)
    assert endpoint.url == "ws://env.signalwire.com"
    assert endpoint.ca_file == "/ca.pem"


def test_arguments_go_before_the_environment() -> None:
    credentials = resolve_credentials(ENVIRON, project="p", token="t")
    assert credentials.authentication() == {"project": "p", "token": "t"}
    endpoint = resolve_endpoint(
        ENVIRON, host="h.example", scheme="wss", path="/api/relay/ws", ca_file="/x.pem"
    )
    assert endpoint.url == "wss://h.example/api/relay/ws"
    assert endpoint.ca_file == "/x.pem"


def test_a_jwt_takes_the_place_of_both() -> None:
    credentials = resolve_credentials({}, jwt_token="J")
    assert credentials.authentication() == {"jwt_token": "J"}


@pytest.mark.parametrize(
    ("missing", "variable"),
    [("project", "SIGNALWIRE_PROJECT_ID"), ("token", "SIGNALWIRE_API_TOKEN")],
)
def test_a_missing_credential_is_named_with_its_variable(
    missing: str, variable: str
) -> None:
    environ = {key: value for key, value in ENVIRON.items() if key != variable}
    with pytest.raises(ConfigurationError, match=rf"{missing} is missing.*{variable}"):
        resolve_credentials(environ)


def test_credentials_are_not_in_the_repr() -> None:
    credentials = resolve_credentials(ENVIRON, jwt_token="env-jwt")
    assert "env-" not in repr(credentials)


@pytest.mark.parametrize(
    ("host", "full"),
    [
        (None, DEFAULT_HOST),
        ("acme", "acme.signalwire.com"),
        ("acme.signalwire.com", "acme.signalwire.com"),
        ("localhost", "localhost"),
        ("localhost:8443", "localhost:8443"),
        ("relay:9000", "relay:9000"),
        ("127.0.0.1:40001", "127.0.0.1:40001"),
    ],
)
def test_the_host_is_completed(host: str | None, full: str) -> None:
    assert resolve_endpoint({}, host=host).host == full


@pytest.mark.parametrize(
    "host",
    ["wss://h", "user:pw@h", "h/path", "h?q", "h h", "h\r\nx", "h:port", "-h", "h\n"],
)
def test_anything_but_a_bare_host_is_refused_unrepeated(host: str) -> None:
    with pytest.raises(ConfigurationError, match="bare host name") as refusal:
        resolve_endpoint({}, host=host)
    assert "pw" not in str(refusal.value)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="wss or ws, not 'http'"):
        resolve_endpoint({}, scheme="http")


def test_a_path_starts_with_a_slash() -> None:
    with pytest.raises(ConfigurationError, match="slash"):
        resolve_endpoint({}, path="api")
