"""Audio sent on live: to a second server, to a media-streams consumer, to bad ends."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from relay_client.simulator import CallRequest, MediaOptions
from server.app import TapServer
from server.config import load_settings
from server.taps.status import ForwardStatus
from tests.e2e.rig import Rig, reference, rig, sent_by, until

TRANSPORTS: WeakKeyDictionary[web.WebSocketResponse, asyncio.Transport | None] = (
    WeakKeyDictionary()
)
Handler = Callable[[web.WebSocketResponse], Awaitable[None]]


def a_call(seconds: float = 2.0) -> CallRequest:
    return CallRequest(speak="tone:440", listen="tone:880", seconds=seconds)


async def forward(here: Rig, control_id: str, **body: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{here.server.http_port}/api/v1/taps/{control_id}/forwards"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body) as response,
    ):
        assert response.status == 201, await response.text()
        document: dict[str, Any] = await response.json()
        return document


def first_tap(here: Rig) -> str:
    return here.server.deck.statuses()[0].control_id


@asynccontextmanager
async def receiver(handle: Handler) -> AsyncIterator[int]:
    """Serve a WebSocket on a port of its own, and give the port."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        link = web.WebSocketResponse()
        await link.prepare(request)
        TRANSPORTS[link] = request.transport
        await handle(link)
        return link

    app = web.Application()
    app.router.add_get("/{tail:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


INPUTS = pytest.mark.parametrize(
    "tap_uri", ["", "rtp://127.0.0.1:1"], ids=["from_ws", "from_rtp"]
)
"""Over what the first server gets its audio."""


@INPUTS
@pytest.mark.parametrize("kind", ["tap", "media-streams"])
@pytest.mark.parametrize(
    "media",
    [
        MediaOptions(),
        MediaOptions(codec="PCMA", ptime=40),
        MediaOptions(codec="L16", rate=16_000),
        MediaOptions(codec="OPUS"),
    ],
    ids=lambda media: media.codec or "PCMU",
)
async def test_two_servers_in_a_chain_record_the_same(
    tmp_path: Path, tap_uri: str, kind: str, media: MediaOptions
) -> None:
    flags = {
        "http_listen": "127.0.0.1:0",
        "rtp_listen": "127.0.0.1:0",
        "accept": "any",
        "recordings_dir": str(tmp_path / "second"),
    }
    settings = load_settings(file=None, environ={}, flags=flags)
    async with (
        TapServer(settings) as second,
        rig(tmp_path / "first", forward_allow="127.0.0.1", tap_uri=tap_uri) as here,
    ):
        here.place(replace(a_call(), media=media))
        await until(lambda: bool(here.server.deck.statuses()))
        url = f"ws://127.0.0.1:{second.http_port}/tap"
        await forward(here, first_tap(here), url=url, framing=kind, buffer_ms=10_000)
        await here.recordings(1)
        other = Rig(here.simulator, second)
        await other.recordings(1)
        (ours,), (theirs,) = here.finished(), other.finished()
        mine = here.audio(ours)
        assert np.array_equal(mine, other.audio(theirs))
        assert len(mine) > 8000
        first = here.server.library.audio_path(ours.id)
        assert first is not None
        path = second.library.audio_path(theirs.id)
        assert path is not None
        assert first.read_bytes() == path.read_bytes()


@INPUTS
async def test_a_media_streams_consumer_gets_the_same_bytes(
    tmp_path: Path, tap_uri: str
) -> None:
    messages: list[dict[str, Any]] = []

    async def consume(link: web.WebSocketResponse) -> None:
        async for message in link:
            messages.append(json.loads(message.data))

    async with (
        receiver(consume) as port,
        rig(tmp_path, forward_allow="127.0.0.1", tap_uri=tap_uri) as here,
    ):
        call = here.place(a_call())
        await until(lambda: bool(here.server.deck.statuses()))
        url = f"ws://127.0.0.1:{port}/{{call_id}}"
        await forward(here, first_tap(here), url=url, framing="media-streams")
        await here.recordings(1)
        await until(lambda: messages[-1]["event"] == "stop")

    events = [each["event"] for each in messages]
    assert events[:2] == ["connected", "start"]
    assert events[-1] == "stop"
    assert set(events[2:-1]) == {"media"}
    assert messages[1]["start"]["callSid"] == call.call_id
    assert messages[1]["start"]["mediaFormat"] == {
        "encoding": "audio/x-mulaw",
        "sampleRate": 8000,
        "channels": 1,
    }
    media = [each["media"] for each in messages[2:-1]]
    data = b"".join(base64.b64decode(each["payload"]) for each in media)
    assert data == b"".join(entry.payload for entry in sent_by(call))
    assert [each["chunk"] for each in media] == [
        str(n) for n in range(1, len(media) + 1)
    ]


async def test_a_tap_is_listened_to_over_http(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, aiohttp.ClientSession() as session:
        here.place(a_call())
        await here.receiving()
        port = here.server.http_port
        path = f"/api/v1/taps/{first_tap(here)}/audio"
        async with session.get(f"http://127.0.0.1:{port}{path}") as response:
            data = await response.read()
        (recording,) = await here.recordings(1)
        whole = here.audio(recording)

    assert data[:4] == b"RIFF"
    heard = np.frombuffer(data[44:], "<i2")
    assert len(heard) > 8000
    # It joined in the middle, and heard everything from there to the end.
    assert np.array_equal(heard, whole[-len(heard) :])


async def test_an_address_inside_is_refused_unless_it_is_listed(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, aiohttp.ClientSession() as session:
        here.place(a_call())
        await here.receiving()
        port = here.server.http_port
        path = f"/api/v1/taps/{first_tap(here)}/forwards"
        for host in ("127.0.0.1", "localhost", "[::1]", "169.254.169.254"):
            body = {"url": f"ws://{host}:{port}/tap"}
            async with session.post(
                f"http://127.0.0.1:{port}{path}", json=body
            ) as response:
                assert response.status == 400
                assert (await response.json())["field"] == "url"


@pytest.mark.alone
@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_after_a_stall_it_catches_up_with_now(
    tmp_path: Path, policy: str
) -> None:
    received = 0
    transport: asyncio.Transport | None = None

    async def read(link: web.WebSocketResponse) -> None:
        nonlocal received
        nonlocal transport
        transport = TRANSPORTS[link]
        async for message in link:
            received += len(message.data)

    async with (
        receiver(read) as port,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        call = here.simulator.place_call(a_call(600))
        await here.receiving()
        await forward(
            here,
            first_tap(here),
            url=f"ws://127.0.0.1:{port}/",
            framing="raw",
            format={"codec": "L16", "sample_rate": 48_000, "channels": 2},
            policy=policy,
            buffer_ms=500,
        )

        def status() -> ForwardStatus:
            return here.server.deck.statuses()[0].forwards[0]

        def behind_s() -> float:
            """Return how much of the tap has not come; what came before does not."""
            heard = here.server.deck.statuses()[0].duration_s
            return heard - received / (48_000 * 2 * 2)

        await until(lambda: received > 192_000)
        at_first = behind_s()
        assert transport is not None
        transport.pause_reading()
        await until(lambda: status().dropped_ms > 1000)
        assert behind_s() > at_first + 1
        transport.resume_reading()
        await until(lambda: behind_s() < at_first + 0.2 and status().queued_ms < 100)
        assert status().connections == 1
        await call.hang_up()
        (recording,) = await here.recordings(1)
    assert np.array_equal(here.audio(recording), reference(sent_by(call), "PCMU"))


async def test_of_replies_the_last_are_kept_and_none_is_long(tmp_path: Path) -> None:
    async def talk(link: web.WebSocketResponse) -> None:
        for number in range(50):
            await link.send_str(f"{number} " + "x" * 5000)
        await link.send_bytes(b"no reply")
        await link.send_str("the last")
        async for _ in link:
            pass

    async with (
        receiver(talk) as port,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        here.simulator.place_call(a_call(600))
        await here.receiving()
        await forward(here, first_tap(here), url=f"ws://127.0.0.1:{port}/")

        def replies() -> tuple[str, ...]:
            return here.server.deck.statuses()[0].forwards[0].replies

        await until(lambda: replies()[-1:] == ("the last",))
        kept = replies()
    assert [each.split()[0] for each in kept[:-1]] == [str(n) for n in range(31, 50)]
    assert {len(each) for each in kept[:-1]} == {4096}


async def test_bad_destinations_cost_the_recorder_nothing(tmp_path: Path) -> None:
    async def never_read(link: web.WebSocketResponse) -> None:
        await asyncio.sleep(60)

    async def close_at_once(link: web.WebSocketResponse) -> None:
        await link.close()

    async def talk(link: web.WebSocketResponse) -> None:
        await link.send_str("a line")
        async for _ in link:
            pass

    bad = 7
    async with (
        receiver(never_read) as deaf,
        receiver(close_at_once) as hasty,
        receiver(talk) as good,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
    ):
        calls = [here.place(a_call(4)) for _ in range(3)]
        await here.receiving(3)
        wanted: dict[str, str] = {}
        for status in here.server.deck.statuses():
            for state, port in (
                ("connected", deaf),
                ("waiting", hasty),
                ("failed", 1),
                ("connected", good),
            ):
                for _ in range(bad):
                    url = f"ws://127.0.0.1:{port}/secret?key=secret"
                    attempts = 1 if state == "failed" else 100
                    made = await forward(
                        here,
                        status.control_id,
                        url=url,
                        framing="raw",
                        format={"codec": "L16", "sample_rate": 48_000, "channels": 2},
                        policy="drop_newest",
                        buffer_ms=100,
                        max_attempts=attempts,
                    )
                    assert "secret" not in json.dumps(made)
                    wanted[made["forward_id"]] = state

        def states() -> dict[str, str]:
            return {
                each.forward_id: each.state.replace("connecting", "waiting")
                for status in here.server.deck.statuses()
                for each in status.forwards
            }

        await until(lambda: states() == wanted, timeout=8)
        recordings = await here.recordings(3, timeout=30)
        replies = {
            each.replies
            for status in here.server.deck.statuses()
            for each in status.forwards
            if each.url.endswith(f":{good}/***")
        }
    assert replies == {("a line",)}
    by_call = {each.call_id: each for each in recordings}
    for call in calls:
        recording = by_call[call.call_id]
        assert recording.gaps == ()
        assert np.array_equal(here.audio(recording), reference(sent_by(call), "PCMU"))
