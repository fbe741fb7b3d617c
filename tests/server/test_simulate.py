"""`tapdeck simulate`: says where it is, ends on a signal, says why it cannot start."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from server.cli import main

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 30.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_where_it_says_until_a_signal_ends_it(
    number: signal.Signals,
) -> None:
    command = [sys.executable, "-m", "server", "simulate", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        found = re.search(r"control API at http://(127\.0\.0\.1:\d+)/", greeting)
        assert found is not None
        with closing(HTTPConnection(found[1], timeout=TIMEOUT)) as http:
            http.request("GET", "/simulator/calls")
            assert http.getresponse().status == 200
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
        hint = process.stdout.read()
    assert f"SIGNALWIRE_SPACE={found[1]} SIGNALWIRE_RELAY_SCHEME=ws" in hint


def test_a_port_in_use_is_one_sentence_and_code_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["simulate", "--listen", listen]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tapdeck: The simulator cannot start on {listen}: ")


def test_files_that_are_no_certificate_are_one_sentence_and_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "junk.pem"
    file.write_text("junk")
    flags = ["--tls-cert", str(file), "--tls-key", str(file)]
    assert main(["simulate", "--listen", "127.0.0.1:0", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("are not a certificate and its key.")
