"""The real server as a process: how it starts, why it does not, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 60.0


def environment(directory: Path, **settings: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAPDECK_", "SIGNALWIRE_"))
    }
    return {
        **kept,
        "TAPDECK_HTTP_LISTEN": "127.0.0.1:0",
        "TAPDECK_RTP_LISTEN": "127.0.0.1:0",
        "TAPDECK_RECORDINGS_DIR": str(directory),
        "TAPDECK_LOG_FORMAT": "human",
        **settings,
    }


def failed_start(directory: Path, **settings: str) -> tuple[int, str]:
    """Run the server, which must not come up; return its code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "serve"],
        cwd=ROOT,
        env=environment(directory, **settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    sentences = [
        line for line in done.stderr.splitlines() if line.startswith("tapdeck: ")
    ]
    assert "Traceback" not in done.stderr
    return done.returncode, "\n".join(sentences)


@contextmanager
def taken_port(kind: socket.SocketKind) -> Iterator[str]:
    with closing(socket.socket(socket.AF_INET, kind)) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_tcp_port_in_use_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    with taken_port(socket.SOCK_STREAM) as listen:
        code, said = failed_start(tmp_path, TAPDECK_HTTP_LISTEN=listen)
    assert code == 3
    assert said.count("\n") == 0
    assert listen in said


def test_a_udp_port_in_use_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    with taken_port(socket.SOCK_DGRAM) as listen:
        code, said = failed_start(tmp_path, TAPDECK_RTP_LISTEN=listen)
    assert code == 3
    assert said.count("\n") == 0
    assert listen in said


def test_a_directory_that_cannot_be_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, said = failed_start(file)
    assert code == 3
    assert said.count("\n") == 0
    assert str(file) in said


def test_a_setting_that_cannot_be_is_one_sentence_and_code_2(tmp_path: Path) -> None:
    code, said = failed_start(tmp_path, TAPDECK_TAP_URI="http://example.com")
    assert code == 2
    assert said.startswith("tapdeck: tap_uri (variable TAPDECK_TAP_URI) is 'http://")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_code_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "server", "serve"],
        cwd=ROOT,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "recordings: " not in (line := process.stderr.readline()):
            assert line, "it ended before it was up"
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(TIMEOUT) == 0
    assert rest.rstrip().endswith("stopped")
