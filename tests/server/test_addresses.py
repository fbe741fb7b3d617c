"""The forms of listening addresses and tap destinations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.addresses import (
    ListenAddress,
    PortRange,
    is_loopback,
    parse_listen_address,
    parse_port_range,
    parse_tap_uri,
)

ports = st.integers(1, 65535)
hosts = st.sampled_from(["127.0.0.1", "0.0.0.0", "::1", "::", "localhost", "box.lan"])


class TestListening:
    @given(host=hosts, port=ports)
    def test_an_address_survives_being_written_and_read(
        self, host: str, port: int
    ) -> None:
        address = ListenAddress(host, port)
        assert parse_listen_address(str(address)) == address

    @given(host=hosts, first=ports, more=st.integers(0, 1000))
    def test_a_range_survives_being_written_and_read(
        self, host: str, first: int, more: int
    ) -> None:
        ports_ = PortRange(host, first, min(first + more, 65535))
        assert parse_port_range(str(ports_)) == ports_
        assert len(ports_) == len(ports_.ports)
        assert ports_.is_single == (len(ports_) == 1)

    def test_port_0_lets_the_system_choose(self) -> None:
        assert parse_listen_address("127.0.0.1:0").port == 0
        assert list(parse_port_range("127.0.0.1:0").ports) == [0]

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("", "HOST:PORT"),
            (":8080", "HOST:PORT"),
            ("127.0.0.1", "HOST:PORT"),
            ("127.0.0.999:80", "HOST:PORT"),
            ("::1:80", "HOST:PORT"),
            ("[::1:80", "HOST:PORT"),
            ("[zz]:80", "HOST:PORT"),
            ("host name:80", "HOST:PORT"),
            ("localhost:http", "HOST:PORT"),
            ("localhost:65536", "no port above 65535"),
            ("localhost:1-65536", "no port above 65535"),
            ("localhost:20-10", "the lower port of the range first"),
            ("localhost:0-10", "not begin its range with port 0"),
        ],
    )
    def test_what_is_no_address_is_refused(self, text: str, rule: str) -> None:
        with pytest.raises(ValueError, match=rule):
            parse_port_range(text)

    @pytest.mark.parametrize("text", ["localhost:1-2", "localhost:1-1"])
    def test_one_address_is_not_a_range(self, text: str) -> None:
        with pytest.raises(ValueError, match="must be HOST:PORT, such as"):
            parse_listen_address(text)

    @pytest.mark.parametrize("text", ["127.0.0.1:1", "[::1]:1", "localhost:1"])
    def test_loopback_is_known(self, text: str) -> None:
        assert parse_listen_address(text).is_loopback
        assert parse_port_range(text).is_loopback

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
    def test_everything_else_is_not_loopback(self, host: str) -> None:
        assert not is_loopback(host)


class TestTapUri:
    def test_of_a_websocket(self) -> None:
        uri = parse_tap_uri("wss://Media.Example.com/tap")
        assert (uri.scheme, uri.host, uri.port) == ("wss", "media.example.com", 443)
        assert (uri.path, uri.query, uri.transport) == ("/tap", "", "ws")
        assert str(uri) == "wss://media.example.com/tap"

    def test_of_a_websocket_without_tls(self) -> None:
        uri = parse_tap_uri("ws://[2001:db8::1]:8080/a/tap?x=1")
        assert (uri.host, uri.port, uri.query) == ("2001:db8::1", 8080, "x=1")
        assert str(uri) == "ws://[2001:db8::1]:8080/a/tap?x=1"

    @pytest.mark.parametrize("text", ["ws://host", "ws://host/", "ws://host/tap/"])
    def test_the_path_is_tap_when_none_is_given(self, text: str) -> None:
        assert str(parse_tap_uri(text)) == "ws://host/tap"

    def test_of_rtp(self) -> None:
        uri = parse_tap_uri("rtp://8.8.4.4:40000")
        assert (uri.scheme, uri.host, uri.port) == ("rtp", "8.8.4.4", 40000)
        assert uri.transport == "rtp"
        assert str(uri) == "rtp://8.8.4.4:40000"
        assert str(uri.with_port(40001)) == "rtp://8.8.4.4:40001"

    def test_a_token_goes_after_the_path_and_before_the_query(self) -> None:
        uri = parse_tap_uri("wss://host/tap?tenant=1")
        assert str(uri.with_token("abc")) == "wss://host/tap/abc?tenant=1"

    def test_the_query_is_not_shown(self) -> None:
        uri = parse_tap_uri("wss://host/tap?sig=hush")
        assert uri.shown == "wss://host/tap?***"
        assert "hush" not in repr(uri)

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("", "must be ws://HOST/tap"),
            ("host/tap", "must be ws://HOST/tap"),
            ("https://host/tap", "must be ws://HOST/tap"),
            ("ws://host:port/tap", "must be ws://HOST/tap"),
            ("ws://[::1/tap", "must be ws://HOST/tap"),
            ("ws://", "must name a host after ws://"),
            ("wss:///tap", "must name a host after wss://"),
            ("wss://300.1.1.1/tap", "must name a host after wss://"),
            ("ws://host:0/tap", "a port from 1"),
            ("ws://host/a b", "no space"),
            ("ws://host/tap#x", "no #"),
            ("wss://user:pass@host/tap", "no user name"),
            ("rtp://media.example.com:4000", "an IPv4 address in figures"),
            ("rtp://:4000", "an IPv4 address in figures"),
            ("rtp://[::1]:4000", "an IPv4 address in figures"),
            ("rtp://8.8.4.4", "must end in a port"),
            ("rtp://8.8.4.4:0", "must end in a port"),
            ("rtp://8.8.4.4:4000/tap", "nothing after"),
            ("rtp://8.8.4.4:4000?a=b", "nothing after"),
        ],
    )
    def test_what_is_no_destination_is_refused(self, text: str, rule: str) -> None:
        with pytest.raises(ValueError, match=rule):
            parse_tap_uri(text)

    @given(st.text())
    def test_any_text_is_parsed_or_refused_with_a_rule(self, text: str) -> None:
        try:
            assert parse_tap_uri(text).host
        except ValueError as error:
            assert str(error).startswith("must ")  # noqa: PT017

    @pytest.mark.parametrize(
        ("text", "is_public"),
        [
            ("wss://media.example.com/tap", True),
            ("ws://localhost/tap", False),
            ("ws://127.0.0.1/tap", False),
            ("ws://192.168.1.5/tap", False),
            ("rtp://8.8.4.4:1", True),
            ("rtp://100.64.0.1:1", False),
            ("rtp://224.1.1.1:1", False),
            ("rtp://198.51.100.42:1", False),
        ],
    )
    def test_whether_the_platform_could_reach_it(
        self, text: str, is_public: bool
    ) -> None:
        assert parse_tap_uri(text).is_public is is_public
