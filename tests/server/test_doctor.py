"""The doctor: what each check says, and what the whole examination does."""

from __future__ import annotations

import ast
import json
import resource
import shlex
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from server import checks, measure
from server.addresses import ListenAddress, PortRange
from server.checks import Finding, Level
from server.config import load_settings
from server.doctor import examine
from server.settings import Settings
from server.tap_calls import describe_tap_calls, tap_address, tap_calls

TOKEN = "aaaaaaaaaaaaaaaa"
ACCOUNT = {"project_id": "p-1", "relay_token": "PT1"}


def settings(**flags: str) -> Settings:
    return load_settings(file=None, environ={}, flags=flags)


def levels(findings: list[Finding]) -> list[str]:
    return [str(finding.level) for finding in findings]


class TestChecks:
    def test_every_finding_that_is_not_ok_says_how_to_mend_it(self) -> None:
        assert checks.warn("x", "y") == Finding(Level.WARN, "x", "y")
        assert checks.fail("x", "y") == Finding(Level.FAIL, "x", "y")
        assert checks.ok("x") == Finding(Level.OK, "x")

    def test_credentials_are_not_needed_and_missed(self) -> None:
        assert checks.check_credentials(settings(**ACCOUNT)).level is Level.OK
        finding = checks.check_credentials(settings())
        assert finding.level is Level.WARN
        assert "SIGNALWIRE_API_TOKEN" in finding.how_to_mend

    def test_variables_without_a_meaning_are_named(self) -> None:
        (finding,) = checks.check_environment({"TAPDECK_TYPO": "1", "PATH": "x"})
        assert finding.what == "TAPDECK_TYPO is set and means nothing."

    def test_a_space_resolves_or_not(self) -> None:
        assert checks.check_space("host", "192.0.2.1").level is Level.OK
        assert checks.check_space("host", None).level is Level.FAIL

    def test_what_is_forwarded_is_told_without_its_secrets(self) -> None:
        text = '[{"url": "wss://u:hush@h/hush", "match": {"tag": "stt"}}]'
        settings = load_settings(file=None, environ={}, flags={"forwards": text})
        (rule,) = settings.forward_rules
        found = checks.check_forward_rule(rule, "192.0.2.1")
        assert found == checks.ok(
            "forwards[0] forwards taps with tag stt to wss://h/***."
        )
        missing = checks.check_forward_rule(rule, None)
        assert missing.level is Level.WARN
        assert "does not resolve" in missing.what
        assert "hush" not in missing.what

    def test_the_file_of_authorities_has_to_be_readable(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        assert list(checks.check_ca_file(settings())) == []
        missing = list(checks.check_ca_file(settings(relay_ca_file=str(file))))
        assert levels(missing) == ["fail"]
        file.touch()
        there = list(checks.check_ca_file(settings(relay_ca_file=str(file))))
        assert levels(there) == ["ok"]

    @pytest.mark.parametrize(
        ("flags", "expected", "part"),
        [
            ({}, [], ""),
            (ACCOUNT, ["fail"], "no tap_uri"),
            ({"tap_uri": "wss://m.example.com/tap"}, ["ok"], "has to end TLS"),
            (
                {"tap_uri": "ws://m.example.com/tap"},
                ["warn", "warn"],
                "unencrypted",
            ),
            (
                {"tap_uri": "ws://m.example.com/tap", "http_listen": "0.0.0.0:80"},
                ["warn"],
                "unencrypted",
            ),
            ({"tap_uri": "ws://127.0.0.1/tap"}, ["warn"], "not a public address"),
            ({"tap_uri": "rtp://8.8.4.4:40000"}, ["fail"], "only this machine"),
            (
                {"tap_uri": "rtp://8.8.4.4:40000", "rtp_listen": "0.0.0.0:40000"},
                [],
                "",
            ),
            (
                {"tap_uri": "rtp://8.8.4.4:5000", "rtp_listen": "0.0.0.0:40000-40009"},
                ["warn"],
                "sends to port 5000",
            ),
            (
                {"tap_uri": "rtp://8.8.4.4:65530", "rtp_listen": "0.0.0.0:40000-40009"},
                ["fail"],
                "too high",
            ),
        ],
    )
    def test_the_tap_uri_is_compared_with_the_listeners(
        self, flags: dict[str, str], expected: list[str], part: str
    ) -> None:
        findings = list(checks.check_tap_uri(settings(**flags)))
        assert levels(findings) == expected
        assert all(
            finding.how_to_mend or finding.level is Level.OK for finding in findings
        )
        assert part in "".join(finding.what for finding in findings)

    def test_a_forwarded_range_is_spelt_out(self) -> None:
        flags = {"tap_uri": "rtp://8.8.4.4:5000", "rtp_listen": "0.0.0.0:40000-40009"}
        (finding,) = checks.check_tap_uri(settings(**flags))
        assert finding.how_to_mend == "Forward UDP 5000-5009 to 40000-40009."

    @pytest.mark.parametrize(
        ("flags", "level"),
        [
            ({}, Level.OK),
            ({"http_listen": "0.0.0.0:8080"}, Level.WARN),
            ({"http_listen": "0.0.0.0:8080", "api_token": TOKEN}, Level.OK),
        ],
    )
    def test_who_reaches_the_pages(self, flags: dict[str, str], level: Level) -> None:
        assert checks.check_access(settings(**flags)).level is level

    def test_a_random_secret_is_a_warning_where_tokens_are_signed(self) -> None:
        ws = {"tap_uri": "wss://m.example.com/tap"}
        assert levels(list(checks.check_secret(settings(**ws)))) == ["warn"]
        assert list(checks.check_secret(settings(**ws, secret=TOKEN))) == []
        assert list(checks.check_secret(settings())) == []

    def test_ports_are_free_or_say_why_not(self) -> None:
        listen, ports = ListenAddress("127.0.0.1", 1), PortRange("127.0.0.1", 1, 9)
        assert checks.check_http_port(listen, None).level is Level.OK
        assert checks.check_http_port(listen, "taken").level is Level.FAIL
        assert checks.check_rtp_ports(ports, {}).level is Level.OK
        finding = checks.check_rtp_ports(ports, {3: "taken", 4: "taken"})
        assert finding.level is Level.FAIL
        assert "2 of 9" in finding.what
        assert "such as 3: taken" in finding.what

    def test_the_directory_and_its_disk(self) -> None:
        path = Path("recordings")
        assert checks.check_directory(path, None).level is Level.OK
        assert checks.check_directory(path, "denied").level is Level.FAIL
        assert checks.check_disk(path, 10 * 1024**3).level is Level.OK
        assert checks.check_disk(path, 500 * 1024**2).level is Level.WARN
        assert checks.check_disk(path, 1024**2).level is Level.FAIL

    def test_a_small_receive_buffer_comes_with_the_command(self) -> None:
        assert checks.check_receive_buffer(4 * 1024**2).level is Level.OK
        finding = checks.check_receive_buffer(212_992)
        assert finding.level is Level.WARN
        assert "208 KiB" in finding.what
        assert finding.how_to_mend.endswith("sysctl -w net.core.rmem_max=4194304")

    def test_a_file_limit_is_enough_for_the_taps_or_not(self) -> None:
        assert checks.check_file_limit(1024, max_taps=100).level is Level.OK
        unlimited = checks.check_file_limit(resource.RLIM_INFINITY, max_taps=100_000)
        assert unlimited.level is Level.OK
        finding = checks.check_file_limit(1024, max_taps=4000)
        assert finding.level is Level.WARN
        assert "enough for 320 taps of 4000" in finding.what

    def test_a_clock_that_was_never_set_fails(self) -> None:
        assert checks.check_clock(time.time()).level is Level.OK
        assert checks.check_clock(0.0).level is Level.FAIL


class TestMeasuring:
    def test_a_port_in_use_is_told_from_a_free_one(self) -> None:
        with closing(socket.socket()) as tcp, closing(_udp()) as udp:
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
            tcp_port, udp_port = tcp.getsockname()[1], udp.getsockname()[1]
            assert measure.why_not_tcp(ListenAddress("127.0.0.1", tcp_port))
            ports = PortRange("127.0.0.1", udp_port, udp_port)
            assert list(measure.why_not_udp(ports)) == [udp_port]
        assert measure.why_not_tcp(ListenAddress("127.0.0.1", 0)) is None
        assert measure.why_not_udp(PortRange("127.0.0.1", 0, 0)) == {}

    def test_a_directory_that_cannot_be_written_to_says_why(
        self, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.touch()
        assert measure.why_not_written(file) == "Not a directory"

    def test_measuring_a_directory_leaves_no_trace(self, tmp_path: Path) -> None:
        assert measure.why_not_written(tmp_path / "new" / "deep") is None
        assert list(tmp_path.iterdir()) == []
        assert measure.free_disk(tmp_path / "new") > 0

    def test_the_receive_buffer_is_what_the_system_grants(self) -> None:
        assert 0 < measure.receive_buffer(65_536) <= 4 * 65_536

    def test_a_name_resolves_or_there_is_none(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert measure.resolve("127.0.0.1") == "127.0.0.1"

        def refuse(*_: object) -> None:
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        assert measure.resolve("name.invalid") is None


def _udp() -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    return udp


class TestTapCalls:
    @pytest.mark.parametrize(
        ("flags", "address"),
        [
            ({}, "wss://media.example.com/tap/<token>"),
            ({"tap_uri": "wss://host/tap"}, "wss://host/tap/<token>"),
            ({"tap_uri": "wss://host/tap", "accept": "any"}, "wss://host/tap"),
            ({"tap_uri": "rtp://8.8.4.4:4000"}, "rtp://8.8.4.4:4000"),
            ({"tap_uri": "ws://host/tap?sig=hush"}, "ws://host/tap/<token>?***"),
        ],
    )
    def test_the_address_fits_the_settings(
        self, flags: dict[str, str], address: str
    ) -> None:
        assert tap_address(settings(**flags)) == address
        assert address in tap_calls(settings(**flags)).swml

    @pytest.mark.parametrize(
        "flags",
        [
            {},
            {"tap_uri": "rtp://8.8.4.4:4000", "ptime": "40", "codec": "OPUS"},
            {"direction": "stereo"},
        ],
    )
    def test_each_is_valid_in_its_language(self, flags: dict[str, str]) -> None:
        calls = tap_calls(settings(**flags))
        ast.parse(calls.relay)
        tap = json.loads(calls.swml)["sections"]["main"][1]["tap"]
        words = shlex.split(calls.rest.replace("\\\n", " "))
        params = json.loads(words[words.index("-d") + 1])["params"]
        assert params["tap"]["params"]["direction"] == "both"
        assert tap["codec"] == "PCMU"
        if flags.get("tap_uri"):
            assert params["device"] == {
                "type": "rtp",
                "params": {
                    "addr": "8.8.4.4",
                    "port": 4000,
                    "codec": "OPUS",
                    "ptime": 40,
                },
            }
            assert tap["rtp_ptime"] == 40

    @pytest.mark.parametrize(
        ("flags", "part"),
        [
            ({}, "TAPDECK_STATIC_TOKENS"),
            ({"static_tokens": TOKEN}, "a static token of yours"),
            ({"accept": "any"}, "to this address"),
            ({"tap_uri": "rtp://8.8.4.4:4000"}, "POST /api/v1/taps"),
            ({"tap_uri": "rtp://8.8.4.4:4000", "accept": "any"}, "to this address"),
        ],
    )
    def test_what_has_to_be_true_for_them_is_said_first(
        self, flags: dict[str, str], part: str
    ) -> None:
        text = describe_tap_calls(settings(**flags))
        assert part in text.partition("RELAY (Python)")[0]
        assert TOKEN not in text


class TestExamination:
    @pytest.fixture
    def flags(self, tmp_path: Path) -> dict[str, str]:
        return {
            "http_listen": "127.0.0.1:0",
            "rtp_listen": "127.0.0.1:0",
            "recordings_dir": str(tmp_path),
        }

    def examined(
        self, flags: dict[str, str], environ: dict[str, str] | None = None
    ) -> tuple[int, str]:
        written: list[str] = []
        code = examine(
            file=None, environ=environ or {}, flags=flags, write=written.append
        )
        return code, "".join(written)

    def test_of_a_healthy_configuration_ends_with_0_and_the_calls(
        self, flags: dict[str, str]
    ) -> None:
        code, text = self.examined(
            {
                **flags,
                **ACCOUNT,
                "space": "127.0.0.1:8443",
                "tap_uri": "wss://media.example.com/tap",
                "static_tokens": TOKEN,
                "secret": TOKEN + "2",
            }
        )
        assert code == 0
        assert text.startswith("ok   The settings are valid.\n")
        assert "ok   127.0.0.1 resolves to 127.0.0.1.\n" in text
        assert "SWML:" in text
        assert TOKEN not in text
        assert "PT1" not in text

    def test_of_settings_that_cannot_be_used_tells_all_of_them(self) -> None:
        code, text = self.examined({"ptime": "5", "codec": "x"})
        assert code == 2
        assert text.count("fail ") == 2

    def test_anything_that_fails_is_code_2_and_how_to_mend_it(
        self, flags: dict[str, str], tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        flags["recordings_dir"] = str(tmp_path / "file")
        code, text = self.examined(flags, {"TAPDECK_TYPO": "1"})
        assert code == 2
        assert "cannot be written to: Not a directory.\n     -> Give this user" in text
        assert "warn TAPDECK_TYPO is set" in text
