"""Settings: where they come from, which source wins, what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config import (
    SETTINGS,
    ListenAddress,
    PortRange,
    Settings,
    environment_warnings,
    load_settings,
)
from server.errors import ConfigError

TOKEN = "aaaaaaaaaaaaaaaa"  # exactly as long as a token has to be


def load(
    environ: dict[str, str] | None = None, file: Path | None = None, **flags: str
) -> Settings:
    return load_settings(file=file, environ=environ or {}, flags=flags)


def problems(
    environ: dict[str, str] | None = None, file: Path | None = None, **flags: str
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(environ, file, **flags)
    return caught.value.problems


def config_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "tapdeck.toml"
    file.write_text(text)
    return file


class TestSources:
    def test_defaults_are_those_of_the_contract(self) -> None:
        settings = load()
        assert settings.http_listen == ListenAddress("127.0.0.1", 8080)
        assert settings.rtp_listen == PortRange("127.0.0.1", 40000, 40000)
        assert settings.tap_uri is None
        assert settings.transport is None
        assert not settings.has_credentials
        assert settings.accept == "announced"
        assert settings.contexts == ("default",)
        assert settings.direction == "both"
        assert (settings.codec, settings.ptime) == ("PCMU", 20)
        assert settings.recordings_dir == Path("recordings")
        assert settings.space == "relay.signalwire.com"

    def test_a_later_source_wins_setting_by_setting(self, tmp_path: Path) -> None:
        file = config_file(
            tmp_path, 'ptime = 30\ncodec = "pcma"\ndirection = "speak"\nmax_taps = 7\n'
        )
        environ = {"TAPDECK_PTIME": "40", "TAPDECK_CODEC": "opus"}
        settings = load(environ, file, ptime="50")
        assert settings.ptime == 50
        assert settings.codec == "OPUS"
        assert settings.direction == "speak"
        assert settings.max_taps == 7
        assert settings.accept == "announced"

    def test_the_platforms_variables_keep_the_names_of_its_sdks(self) -> None:
        settings = load(
            {
                "SIGNALWIRE_PROJECT_ID": "p-1",
                "SIGNALWIRE_API_TOKEN": "PT1",
                "SIGNALWIRE_SPACE": "127.0.0.1:8443",
                "SIGNALWIRE_RELAY_CA_FILE": "ca.pem",
                "SIGNALWIRE_RELAY_SCHEME": "WS",
                "TAPDECK_API_TOKEN": TOKEN,
            }
        )
        assert settings.has_credentials
        assert settings.project_id == "p-1"
        assert settings.relay_token is not None
        assert settings.relay_token.get_secret_value() == "PT1"
        assert settings.space == "127.0.0.1:8443"
        assert settings.relay_ca_file == Path("ca.pem")
        assert settings.relay_scheme == "ws"
        assert settings.api_token is not None
        assert settings.api_token.get_secret_value() == TOKEN

    def test_empty_text_counts_as_not_set_anywhere(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, 'tap_uri = ""\nptime = 30\n')
        environ = {"TAPDECK_PTIME": "", "SIGNALWIRE_PROJECT_ID": ""}
        settings = load(environ, file, tap_uri="", codec="")
        assert settings == load(ptime="30")

    def test_the_process_environment_is_not_read_behind_our_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for info in SETTINGS.values():
            monkeypatch.setenv(info.environment, "nonsense")
            monkeypatch.setenv(info.name.upper(), "nonsense")
        assert load() == Settings()

    def test_lists_are_separated_by_commas_or_are_toml_lists(
        self, tmp_path: Path
    ) -> None:
        assert load(contexts="sales, support,").contexts == ("sales", "support")
        file = config_file(tmp_path, 'contexts = ["sales", "support"]')
        assert load(file=file).contexts == ("sales", "support")

    @pytest.mark.parametrize("text", ["true", "yes", "1", "on"])
    def test_switches_take_the_usual_words(self, text: str) -> None:
        assert load(allow_private_rtp=text).allow_private_rtp

    def test_hear_is_stored_as_listen(self) -> None:
        assert load(direction="Hear").direction == "listen"

    def test_settings_cannot_be_changed(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load().ptime = 30

    def test_each_setting_has_its_own_variable_and_a_description(self) -> None:
        names = [info.environment for info in SETTINGS.values()]
        assert len(set(names)) == len(names)
        assert all(info.description and info.allowed for info in SETTINGS.values())
        assert SETTINGS["rtp_listen"].environment == "TAPDECK_RTP_LISTEN"
        assert SETTINGS["rtp_listen"].flag == "--rtp-listen"

    def test_every_default_can_be_given_as_text_and_means_the_same(self) -> None:
        given = {
            info.environment: info.default
            for info in SETTINGS.values()
            if info.default and not info.is_secret
        }
        assert load(given) == load()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("setting", "value", "rule"),
        [
            ("ptime", "25", "a multiple of 10 from 10 to 120"),
            ("ptime", "130", "a multiple of 10 from 10 to 120"),
            ("ptime", "soon", "a multiple of 10 from 10 to 120"),
            ("codec", "G729", "PCMU, PCMA or OPUS"),
            ("codec", "L16", "PCMU, PCMA or OPUS"),
            ("direction", "sideways", "speak, listen, both or stereo"),
            ("accept", "all", "announced or any"),
            ("http_listen", "8080", "HOST:PORT"),
            ("http_listen", "0.0.0.0:8080-8090", "HOST:PORT"),
            ("rtp_listen", "0.0.0.0", "HOST:FIRST-LAST"),
            ("space", "https://example.signalwire.com", "without a scheme"),
            ("connect_to", "555-0100", "an E.164 number"),
            ("connect_to", "+0155", "an E.164 number"),
            ("connect_to", "sip:nobody", "or a sip: address"),
            ("max_taps", "0", "from 1 to 100000"),
            ("idle_timeout_s", "nan", "from 1 to 86400"),
            ("log_level", "loud", "debug, info, warning or error"),
            ("log_format", "xml", "auto, human or json"),
            ("l16_byte_order", "middle", "auto, little or big"),
            ("allow_private_rtp", "perhaps", "true or false"),
        ],
    )
    def test_the_sentence_names_setting_origin_value_and_rule(
        self, setting: str, value: str, rule: str
    ) -> None:
        variable = SETTINGS[setting].environment
        (problem,) = problems({variable: value})
        assert problem.startswith(f"{setting} (variable {variable}) is '{value}', but")
        assert rule in problem
        assert problem.endswith(".")

    def test_the_flag_is_named_where_the_flag_is_at_fault(self) -> None:
        (problem,) = problems({"TAPDECK_PTIME": "20"}, ptime="21")
        assert problem.startswith("ptime (flag --ptime) is '21'")

    def test_the_file_is_named_where_the_file_is_at_fault(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, "ptime = 21")
        (problem,) = problems(file=file)
        assert problem.startswith(f"ptime (file {file}) is 21, but must be")

    def test_all_problems_are_told_at_once(self) -> None:
        found = problems({"TAPDECK_PTIME": "21", "TAPDECK_CODEC": "x"}, accept="some")
        assert [problem.split()[0] for problem in found] == ["accept", "codec", "ptime"]

    @pytest.mark.parametrize(
        "name", ["secret", "api_token", "listen_token", "static_tokens"]
    )
    def test_a_short_secret_is_refused_and_not_shown(self, name: str) -> None:
        (problem,) = problems({SETTINGS[name].environment: "hunter2"})
        assert "at least 16 characters" in problem
        assert "hunter2" not in problem

    def test_a_static_token_must_fit_into_a_path(self) -> None:
        (problem,) = problems(static_tokens=f"{TOKEN},{TOKEN}/../x")
        assert "letters, digits and . _ ~ -" in problem
        assert load(static_tokens=f"{TOKEN},{TOKEN}2").static_tokens[1] is not None

    @pytest.mark.parametrize(
        ("given", "missing"),
        [
            ("SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN"),
            ("SIGNALWIRE_API_TOKEN", "SIGNALWIRE_PROJECT_ID"),
        ],
    )
    def test_half_of_the_credentials_is_refused(self, given: str, missing: str) -> None:
        (problem,) = problems({given: "PTsomething"})
        assert f"(variable {given}) is half of the credentials" in problem
        assert f"({missing}) is missing." in problem
        assert "PTsomething" not in problem

    @pytest.mark.parametrize("name", ["listen_token", "download_token"])
    def test_a_token_of_a_role_needs_somebody_who_manages(self, name: str) -> None:
        variable = SETTINGS[name].environment
        (problem,) = problems({variable: TOKEN})
        assert problem.startswith(f"{name} (variable {variable}) needs api_token")
        assert TOKEN not in problem

    def test_a_token_stands_for_one_role(self) -> None:
        (problem,) = problems(api_token=TOKEN, download_token=TOKEN)
        assert "download_token (flag --download-token) is the token of" in problem
        other = f"{TOKEN}2"
        (problem,) = problems(api_token=TOKEN, download_token=other, listen_token=other)
        assert problem.startswith("download_token")
        assert TOKEN not in problem

    def test_an_unknown_key_comes_with_a_suggestion(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, 'rtp_listne = "0.0.0.0:1"\n[server]\nx = 1\n')
        misspelt, table = problems(file=file)
        assert misspelt == (
            f"rtp_listne is not a setting; did you mean rtp_listen? (file {file})."
        )
        assert table == f"server is not a setting (file {file})."

    def test_a_misspelt_variable_is_refused(self) -> None:
        (problem,) = problems({"TAPDECK_CODECS": "PCMU"})
        assert "did you mean TAPDECK_CODEC?" in problem

    def test_variables_of_an_orchestrator_are_left_alone(self) -> None:
        environ = {"TAPDECK_SERVICE_HOST": "10.0.0.1", "TAPDECK_PORT_8080_TCP": "x"}
        assert load(environ) == load()
        assert environment_warnings(environ) == tuple(sorted(environ))

    def test_a_missing_file_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        file = tmp_path / "none.toml"
        (problem,) = problems(file=file)
        expected = f"Cannot read the config file {file}: No such file or directory."
        assert problem == expected

    @pytest.mark.parametrize("content", [b"ptime = ", b"\xff\xfe"])
    def test_a_file_that_is_not_toml_is_told_in_a_sentence(
        self, tmp_path: Path, content: bytes
    ) -> None:
        file = tmp_path / "tapdeck.toml"
        file.write_bytes(content)
        (problem,) = problems(file=file)
        assert problem.startswith(f"The config file {file} is not TOML: ")

    def test_a_table_where_text_belongs_is_refused(self, tmp_path: Path) -> None:
        (problem,) = problems(file=config_file(tmp_path, "[codec]\nname = 1"))
        assert "but must be PCMU, PCMA or OPUS" in problem

    @pytest.mark.parametrize(
        "uri", ["rtp://10.0.0.1:4000", "rtp://203.0.113.9:4000", "rtp://127.0.0.1:4000"]
    )
    def test_an_rtp_destination_must_be_public_unless_allowed(self, uri: str) -> None:
        (problem,) = problems(tap_uri=uri)
        assert "is not a public address" in problem
        settings = load(tap_uri=uri, allow_private_rtp="true")
        assert settings.transport == "rtp"

    def test_a_signed_query_and_a_password_are_not_shown(self) -> None:
        (problem,) = problems(tap_uri="http://user:word@host/tap?sig=hush")
        assert "hush" not in problem
        assert "user:" not in problem


class TestForwards:
    RULES = """
ptime = 30
[[forwards]]
name = "transcripts"
url = "wss://stt.example.com/v1"
match = {context = "support"}
[[forwards]]
url = "ws://127.0.0.1:9000/"
"""

    def test_are_a_list_of_tables(self, tmp_path: Path) -> None:
        settings = load(file=config_file(tmp_path, self.RULES))
        first, second = settings.forward_rules
        assert (first.name, str(first.match)) == (
            "transcripts",
            "taps with context support",
        )
        assert second.request.shown_url == "ws://127.0.0.1:9000/***"

    def test_may_be_json_elsewhere_which_wins_as_a_whole(self, tmp_path: Path) -> None:
        file = config_file(tmp_path, self.RULES)
        text = '[{"url": "ws://h/", "name": "only"}]'
        assert [each.name for each in load(file=file, forwards=text).forward_rules] == [
            "only"
        ]
        assert load({"TAPDECK_FORWARDS": "[]"}, file).forward_rules == ()

    @pytest.mark.parametrize(
        ("rule", "sentence"),
        [
            (
                'url = "wss://h/"\npolicy = "x"',
                ".policy (#) is 'x', but must be 'drop_",
            ),
            ('url = "wss://h/"\ntrack = 2', ".track (#) is 2, but must be less than"),
            ('type = "smtp"', ".type (#) is 'smtp', but must be 'websocket' or 'rtp'."),
            ('type = "rtp"\nhost = "h"', ".port (#) is missing."),
            ('type = "rtp"\nhost = "a b"\nport = 9', ".host (#) is 'a b', but must be"),
            ('type = "rtp"\nhost = "h"\nport = 0', ".port (#) is 0, but must be gre"),
            ('url = "wss://h/"\nulr = "hush"', ".ulr (#) is not a setting; did you"),
            ('framing = "raw"', ".url (#) is missing."),
            (
                'url = "http://hush@h/hush"',
                ".url (#) is 'http://h/***', but must be ws",
            ),
            ('url = "hush"', ".url (#) is a value not shown here, but must be ws:"),
            ('url = "wss://[hush/"', ".url (#) is a value not shown here, but "),
            ('url = "wss://h/"\nheaders = "hush"', ".headers (#) is a value not shown"),
            ('url = "wss://h/"\nheaders = {a = 1}', ".headers.a (#) is a value not"),
            (
                'url = "wss://h/"\nsubprotocol = "hush hush"',
                ".subprotocol (#) is a val",
            ),
            (
                'url = "wss://h/"\nfirst_message = "hush"',
                " (#): first_message and last",
            ),
            ('url = "wss://{to}.h/hush"', " (#): must not have a template in the host"),
            (
                'url = "wss://h/"\nmatch = {to = 5}',
                ".match.to (#) is 5, but must be te",
            ),
            (
                'url = "wss://h/"\nmatch = {to = ["1", "**"]}',
                ".match.to[1] (#) is '**', but must be text of 1 to 256 characters",
            ),
            (
                'url = "wss://h/"\nformat = {codec = "MP3"}',
                ".format.codec (#) is 'MP3', but must be 'PCMU', 'PCMA', 'L16' or",
            ),
            ('url = "wss://h/"\nformat = "L16"', ".format (#) is a value not shown h"),
            (
                f'url = "wss://h/"\nname = "{"n" * 200}"',
                ".name (#) is a value not shown here, but String should have at most",
            ),
        ],
    )
    def test_a_mistake_is_told_with_its_place_and_no_secret(
        self, tmp_path: Path, rule: str, sentence: str
    ) -> None:
        text = f'[[forwards]]\nurl = "wss://h/"\n[[forwards]]\n{rule}'
        file = config_file(tmp_path, text)
        found = problems(file=file)
        expected = "forwards[1]" + sentence.replace("#", f"file {file}")
        assert any(problem.startswith(expected) for problem in found), found
        assert not any("hush" in problem for problem in found)

    @pytest.mark.parametrize("text", ["hush", "{}x", '{"url": "wss://h/hush"}', "3"])
    def test_what_is_no_list_is_refused_and_not_shown(self, text: str) -> None:
        (problem,) = problems({"TAPDECK_FORWARDS": text})
        assert problem == (
            "forwards (variable TAPDECK_FORWARDS) is a value not shown here, but must "
            "be a list of 32 tables at most, written [[forwards]] in the file, else as "
            "JSON."
        )

    def test_of_json_the_place_is_told_too(self) -> None:
        (problem,) = problems({"TAPDECK_FORWARDS": '["hush"]'})
        assert problem == (
            "forwards[0] (variable TAPDECK_FORWARDS) is a value not shown here, but "
            "must be a table."
        )

    def test_none_is_in_the_repr(self) -> None:
        text = '[{"url": "wss://h/hush", "headers": {"A": "hush"}}]'
        settings = load(forwards=text)
        assert "hush" not in repr(settings)
        assert "hush" not in repr(settings.forward_rules)


class TestSecrets:
    def test_none_is_in_the_repr(self) -> None:
        settings = load(
            project_id="p-secret",
            relay_token="PT-secret",
            secret="s-secret-s-secret",
            api_token="a-secret-a-secret",
            listen_token="l-secret-l-secret",
            download_token="d-secret-d-secret",
            static_tokens="t-secret-t-secret",
            tap_uri="wss://host/tap?sig=q-secret",
        )
        assert "-secret" not in repr(settings)
        assert "-secret" not in repr(settings.tap_uri)
        assert set(settings.secret_values) == {
            "p-secret",
            "PT-secret",
            "s-secret-s-secret",
            "a-secret-a-secret",
            "l-secret-l-secret",
            "d-secret-d-secret",
            "t-secret-t-secret",
        }

    def test_there_are_none_by_default(self) -> None:
        assert load().secret_values == ()

    def test_which_settings_are_secret_is_known_to_the_documentation(self) -> None:
        hidden = {info.name for info in SETTINGS.values() if info.is_secret}
        expected = {"project_id", "relay_token", "secret", "static_tokens", "api_token"}
        expected |= {"forwards"}
        expected |= {"listen_token", "download_token"}
        assert hidden == expected
