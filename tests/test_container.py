"""The Dockerfile agrees with the settings, and takes in only what it needs."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

from server.cli import build_parser
from server.config import SETTINGS, PortRange, load_settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def environment() -> dict[str, str]:
    words = shlex.split(" ".join(instructions("ENV")))
    return dict(word.split("=", 1) for word in words)


def test_its_variables_are_settings_with_the_values_of_the_contract() -> None:
    ours = {k: v for k, v in environment().items() if k.startswith("TAPDECK_")}
    assert set(ours) <= {info.environment for info in SETTINGS.values()}
    settings = load_settings(file=None, environ=ours, flags={})
    assert str(settings.http_listen) == "0.0.0.0:8080"
    assert settings.rtp_listen == PortRange("0.0.0.0", 40000, 40000)
    assert settings.recordings_dir == Path("/recordings")


def test_it_exposes_the_ports_it_listens_on() -> None:
    ours = environment()
    http = ours["TAPDECK_HTTP_LISTEN"].rpartition(":")[2]
    rtp = ours["TAPDECK_RTP_LISTEN"].rpartition(":")[2]
    assert instructions("EXPOSE") == [f"{http}/tcp {rtp}/udp"]


def test_recordings_are_a_volume() -> None:
    assert instructions("VOLUME") == [environment()["TAPDECK_RECORDINGS_DIR"]]


def test_it_runs_the_server_as_somebody_without_rights() -> None:
    assert instructions("USER") == ["tapdeck"]
    (command,) = instructions("CMD")
    assert instructions("ENTRYPOINT") == ['["tapdeck"]']
    assert build_parser().parse_args(json.loads(command)).command == "serve"


def test_the_last_stage_installs_nothing_from_outside() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert "--no-index" in last
    assert not re.search(r"apt|gcc|build-essential", last)


def test_the_health_check_is_python_that_asks_healthz() -> None:
    (check,) = re.findall(r"^HEALTHCHECK .* CMD +(\[.*\])$", DOCKERFILE, re.MULTILINE)
    program, flag, code = json.loads(check)
    assert (program, flag) == ("python", "-c")
    assert ast.parse(code).body
    assert "/healthz" in code
    assert all(
        name in environment() for name in re.findall(r"environ\['(\w+)'\]", code)
    )


def test_what_it_copies_exists_and_is_let_into_the_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for copied in instructions("COPY"):
        if copied.startswith("--from"):
            continue
        for source in copied.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored
