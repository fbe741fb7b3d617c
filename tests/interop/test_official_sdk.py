"""The official SDK drives the simulator over TLS, as it would drive the platform."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from relay_client.simulator import (
    CallRequest,
    ConnectionFaults,
    Simulator,
    SimulatorOptions,
)
from tests.interop.certificate import make_certificate
from tests.interop.journal import client_requests, unanswered_events

pytestmark = pytest.mark.interop

EXAMPLE = Path(__file__).with_name("sdk_example.py")
TIMEOUT = 60.0
OFFICIAL, OURS = "signalwire.relay", "relay_client"


class TapReceiver:
    """Counts what comes over tap WebSockets."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.bytes = 0
        app = web.Application()
        app.router.add_get("/tap/{token}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.texts.append(message.data)
            elif message.type is WSMsgType.BINARY:
                self.bytes += len(message.data)
        return socket


@asynccontextmanager
async def tap_receiver() -> AsyncIterator[TapReceiver]:
    receiver = TapReceiver()
    await receiver.server.start_server()
    try:
        yield receiver
    finally:
        await receiver.server.close()


@asynccontextmanager
async def tls_simulator(
    directory: Path, faults: ConnectionFaults | None = None
) -> AsyncIterator[Simulator]:
    certificate = make_certificate(directory)
    options = SimulatorOptions(
        project="project-1234",
        token="PT-token-5678",
        tls_cert=str(certificate.cert),
        tls_key=str(certificate.key),
        ping_interval=0.2,
        connection=faults or ConnectionFaults(),
    )
    async with Simulator(options) as simulator:
        yield simulator


async def run_example(
    simulator: Simulator,
    tap_uri: str,
    *,
    client: str = OFFICIAL,
    is_known: bool = True,
) -> tuple[int, list[dict[str, Any]], str]:
    """Run the example to its end: exit status, what it said, its error output."""
    environment = {
        **os.environ,
        "SIGNALWIRE_PROJECT_ID": "project-1234",
        "SIGNALWIRE_API_TOKEN": "PT-token-5678" if is_known else "PT-wrong",
        "SIGNALWIRE_SPACE": simulator.host,
        "SIGNALWIRE_RELAY_CA_FILE": str(simulator.options.tls_cert),
        "EXAMPLE_CLIENT": client,
        "EXAMPLE_TAP_URI": tap_uri,
        "EXAMPLE_TAP_SECONDS": "0.5",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"the example hangs after {out!r}: {err!r}") from None
    said = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    assert process.returncode is not None
    return process.returncode, said, err.decode()


async def test_sdk_answers_taps_stops_dials_and_connects(tmp_path: Path) -> None:
    async with tls_simulator(tmp_path) as simulator, tap_receiver() as receiver:
        call = simulator.place_call(CallRequest(context="office"))
        uri = f"ws://127.0.0.1:{receiver.server.port}/tap/secret?sig=abc"
        status, said, errors = await run_example(simulator, uri)
        tap = next(iter(call.taps.values()))

    assert status == 0, errors
    assert [line["step"] for line in said if "step" in line] == [
        "connected",
        "call",
        "answered",
        "tapping",
        "finished",
        "ended",
        "dialled",
        "connected to peer",
        "busy",
    ]
    assert json.loads(receiver.texts[0]) == {"content-type": "audio/mulaw;rate=8000"}
    assert receiver.bytes == sum(len(sent.payload) for sent in tap.sent)
    assert receiver.bytes >= 8000 * 0.3
    assert simulator.counts["pongs"] > 0
    assert simulator.counts["missing_pongs"] == 0
    assert unanswered_events(simulator.journal) == []
    assert [found["method"] for found in client_requests(simulator.journal)] == [
        "signalwire.connect",
        "signalwire.receive",
        "calling.answer",
        "calling.tap",
        "calling.tap.stop",
        "calling.end",
        "calling.dial",
        "calling.connect",
        "calling.end",
        "calling.dial",
    ]


async def test_our_client_asks_for_the_same_in_the_same_order(tmp_path: Path) -> None:
    asked = {}
    for client in (OFFICIAL, OURS):
        async with tls_simulator(tmp_path) as simulator, tap_receiver() as receiver:
            simulator.place_call(CallRequest(context="office"))
            uri = f"ws://127.0.0.1:{receiver.server.port}/tap/secret"
            status, said, errors = await run_example(simulator, uri, client=client)
            asked[client] = client_requests(simulator.journal)
        assert status == 0, errors
        assert said[-1]["step"] == "busy", said

    assert asked[OURS] == asked[OFFICIAL]


async def test_sdk_takes_the_rejection_as_one_of_its_credentials(
    tmp_path: Path,
) -> None:
    async with tls_simulator(tmp_path) as simulator:
        status, said, errors = await run_example(
            simulator, "ws://127.0.0.1:9/", is_known=False
        )

    assert status != 0
    assert said == []
    assert "-32002" in errors
    assert simulator.counts["rejected"] == 1


async def test_no_secret_of_the_sdk_is_readable_in_the_journal(tmp_path: Path) -> None:
    async with tls_simulator(tmp_path) as simulator, tap_receiver() as receiver:
        simulator.place_call(CallRequest(context="office"))
        uri = f"ws://127.0.0.1:{receiver.server.port}/tap/secret?sig=abc"
        status, _, errors = await run_example(simulator, uri)

    assert status == 0, errors
    text = json.dumps([entry.frame for entry in simulator.journal])
    for secret in ("project-1234", "PT-token-5678", "/tap/secret", "sig=abc"):
        assert secret not in text
