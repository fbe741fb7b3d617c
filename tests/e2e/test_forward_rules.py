"""Forwards that the configuration asks for: which taps get them, and from when on."""

from __future__ import annotations

import base64
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from relay_client.simulator import CallRequest, MediaOptions
from server.app import TapServer
from server.config import load_settings
from server.taps.status import ForwardStatus, TapStatus
from tests.e2e.rig import Rig, rig, sent_by, until

STATIC = "static-token-of-tests"


class Destination:
    """A WebSocket that keeps what it is sent, by the path that was asked for."""

    def __init__(self) -> None:
        self.port = 0
        self.received: defaultdict[str, bytearray] = defaultdict(bytearray)
        self.connections: defaultdict[str, int] = defaultdict(int)
        self.redirect_to = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.redirect_to:
            raise web.HTTPFound(self.redirect_to)
        link = web.WebSocketResponse()
        await link.prepare(request)
        self.connections[request.path] += 1
        async for message in link:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.received[request.path] += message.data
        return link


@asynccontextmanager
async def destination() -> AsyncIterator[Destination]:
    made = Destination()
    app = web.Application()
    app.router.add_get("/{tail:.*}", made.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


def rules_to(port: int, *rules: dict[str, Any]) -> str:
    """Return rules for a destination, each with a path of its own."""
    base = {"framing": "raw", "buffer_ms": 30_000}
    urls = [f"ws://127.0.0.1:{port}/{at}" for at in range(len(rules))]
    return json.dumps(
        [{**base, "url": url, **rule} for url, rule in zip(urls, rules, strict=True)]
    )


def forwards_of(status: TapStatus) -> list[str]:
    return [each.rule for each in status.forwards]


def by_from(here: Rig) -> dict[str, TapStatus]:
    return {each.from_number: each for each in here.server.deck.statuses()}


async def test_every_tap_that_matches_is_forwarded_from_its_first_sample(
    tmp_path: Path,
) -> None:
    async with destination() as there:
        rules = rules_to(
            there.port,
            {"name": "one", "match": {"from": "+1555010*", "context": "default"}},
            {"name": "other", "match": {"from": "+44*"}},
            {"name": "listen", "match": {"direction": "listen"}},
            {"name": "all", "url": f"ws://127.0.0.1:{there.port}/{{from}}"},
        )
        # No private address is in forward_allow: the operator may name any.
        async with rig(tmp_path, forwards=rules) as here:
            mine = CallRequest(speak="tone:440", from_number="+15550101", seconds=2)
            call = here.place(mine)
            here.place(CallRequest(speak="tone:440", from_number="+4420", seconds=2))
            await here.recordings(2)
            await until(lambda: not here.server.deck.live)
            statuses = by_from(here)
            assert forwards_of(statuses["+15550101"]) == ["one", "all"]
            assert forwards_of(statuses["+4420"]) == ["other", "all"]
            sent = b"".join(entry.payload for entry in sent_by(call))
    assert bytes(there.received["/0"]) == sent
    assert bytes(there.received["/+15550101"]) == sent
    assert "/2" not in there.connections


async def test_it_is_connected_before_there_is_audio(tmp_path: Path) -> None:
    async with (
        destination() as there,
        rig(tmp_path, forwards=rules_to(there.port, {})) as here,
    ):
        late = MediaOptions(start_delay=60)
        here.place(CallRequest(speak="tone:440", seconds=None, media=late))
        await until(lambda: bool(there.connections))
        (status,) = here.server.deck.statuses()
        assert status.state == "waiting"
        assert forwards_of(status) == ["forwards[0]"]


async def test_one_that_is_removed_is_removed_of_that_tap_only(tmp_path: Path) -> None:
    async with (
        destination() as there,
        rig(tmp_path, forwards=rules_to(there.port, {"name": "r"})) as here,
        aiohttp.ClientSession() as session,
    ):
        here.place(CallRequest(speak="tone:440", from_number="+1", seconds=None))
        here.place(CallRequest(speak="tone:440", from_number="+2", seconds=None))
        await here.receiving(2)
        one, other = by_from(here)["+1"], by_from(here)["+2"]
        (forward,) = one.forwards
        path = f"/api/v1/taps/{one.control_id}/forwards/{forward.forward_id}"
        url = f"http://127.0.0.1:{here.server.http_port}{path}"
        async with session.delete(url) as response:
            assert response.status == 204
        assert forwards_of(by_from(here)["+1"]) == []
        assert forwards_of(by_from(here)["+2"]) == ["r"]
        # It does not come back, and the next tap has one again.
        here.place(CallRequest(speak="tone:440", from_number="+3", seconds=None))
        await here.receiving(3)
        assert forwards_of(by_from(here)["+3"]) == ["r"]
        assert forwards_of(by_from(here)["+1"]) == []
        assert other.control_id in {s.control_id for s in here.server.deck.statuses()}


async def test_tags_of_a_request_choose_and_stay_with_the_recording(
    tmp_path: Path,
) -> None:
    rule = {"name": "stt", "match": {"tag": "stt"}}
    async with (
        destination() as there,
        rig(tmp_path, contexts="office", forwards=rules_to(there.port, rule)) as here,
        aiohttp.ClientSession() as session,
    ):
        call = here.place(CallRequest(speak="tone:440", context="office", seconds=None))
        await here.receiving()
        url = f"http://127.0.0.1:{here.server.http_port}/api/v1/taps"
        body = {
            "call_id": call.call_id,
            "node_id": call.node_id,
            "tags": ["stt", "billing"],
        }
        async with session.post(url, json=body) as response:
            assert response.status == 201, await response.text()
            assert (await response.json())["tags"] == ["stt", "billing"]
        await here.receiving(2)
        statuses = here.server.deck.statuses()
        assert {(s.context, s.tags, tuple(forwards_of(s))) for s in statuses} == {
            ("office", (), ()),
            ("office", ("stt", "billing"), ("stt",)),
        }
        await call.hang_up()
        recordings = await here.recordings(2)
        assert {each.tags for each in recordings} == {(), ("stt", "billing")}


async def test_a_media_stream_says_its_tags_itself(tmp_path: Path) -> None:
    async with destination() as there:
        settings = load_settings(
            file=None,
            environ={},
            flags={
                "http_listen": "127.0.0.1:0",
                "rtp_listen": "127.0.0.1:0",
                "recordings_dir": str(tmp_path),
                "reconnect_grace_s": "0",
                "static_tokens": STATIC,
                "forwards": rules_to(
                    there.port,
                    {
                        "match": {"tag": "stt"},
                        "url": f"ws://127.0.0.1:{there.port}/{{call_id}}",
                    },
                    {"match": {"tag": "other"}},
                ),
            },
        )
        async with TapServer(settings) as server:
            await _stream(server, b"\x55" * 160, 50)
            await until(lambda: len(server.library) == 1)
            await until(lambda: not server.deck.live)
            (recording,) = Rig(None, server).finished()  # type: ignore[arg-type]
    assert recording.tags == ("stt", "x")
    # Nothing of its beginning is missing.
    assert bytes(there.received["/CALL-1"]) == b"\x55" * 8000
    assert set(there.connections) == {"/CALL-1"}


async def _stream(server: TapServer, payload: bytes, count: int) -> None:
    start = {
        "callSid": "CALL-1",
        "customParameters": {"tags": "stt,x"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    media = {"payload": base64.b64encode(payload).decode("ascii")}
    url = f"ws://127.0.0.1:{server.http_port}/tap/{STATIC}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as link:
        await link.send_json({"event": "connected"})
        await link.send_json({"event": "start", "start": start})
        for _ in range(count):
            await link.send_json({"event": "media", "media": media})
        await link.send_json({"event": "stop"})


async def test_a_redirect_of_a_destination_leads_nowhere(tmp_path: Path) -> None:
    async with destination() as there, destination() as inside:
        there.redirect_to = f"http://127.0.0.1:{inside.port}/"
        rules = rules_to(there.port, {"max_attempts": 1})
        async with rig(tmp_path, forwards=rules) as here:
            here.place(CallRequest(speak="tone:440", seconds=None))

            def forward() -> ForwardStatus | None:
                statuses = here.server.deck.statuses()
                return next((f for s in statuses for f in s.forwards), None)

            await until(lambda: (f := forward()) is not None and f.state == "failed")
            status = forward()
    assert status is not None
    assert status.error == "it pointed to another address"
    assert not inside.connections


async def test_nothing_secret_of_a_rule_is_shown_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with destination() as there:
        url = f"ws://hush:hush@127.0.0.1:{there.port}/hush?key=hush"
        gone = "ws://127.0.0.1:1/hush"
        headers = {"X-Key": "hush"}
        rules = rules_to(
            there.port,
            {"url": url, "headers": headers, "first_message": "hush"},
            {"url": gone, "headers": headers, "max_attempts": 1},
        )
        async with rig(tmp_path, forwards=rules) as here:
            here.server.log_addresses()
            here.place(CallRequest(speak="tone:440", seconds=None))
            await until(lambda: bool(there.received))
            address = f"http://127.0.0.1:{here.server.http_port}"
            async with aiohttp.ClientSession() as session:
                texts = [
                    await (await session.get(f"{address}{path}")).text()
                    for path in ("/api/v1/taps", "/metrics")
                ]
    assert "forwards[0]" in texts[0]
    assert not [text for text in (*texts, caplog.text) if "hush" in text]
