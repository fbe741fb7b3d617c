"""The event stream of a whole server, over real sockets."""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from relay_client.simulator import CallRequest, MediaOptions
from server import meters
from server.app import TapServer
from server.config import load_settings
from server.events.history import MAX_EVENTS
from server.events.kinds import KINDS
from tests.e2e.event_client import EventClient, Told, listening
from tests.e2e.rig import Rig, reference, rig, sent_by, until
from tests.e2e.test_ends import RTP, WS, api
from tests.e2e.test_forwards import first_tap, forward, receiver
from tests.schema import DOCUMENT, differences

PASSING = {"snapshot", "missed", "levels", "tap.progress"}


def a_call(seconds: float | None = 1.5, speak: str = "tone:440") -> CallRequest:
    return CallRequest(speak=speak, listen="silence", seconds=seconds)


def schema_of(told: Told) -> str:
    """Return the name of what describes an event in OpenAPI."""
    if told.name == "forward.reply":
        return "ReplyEvent"
    names = {"snapshot": "Snapshot", "missed": "Missed", "levels": "LevelsEvent"}
    return names.get(told.name, f"{told.name.partition('.')[0].capitalize()}Event")


def check_described(client: EventClient) -> None:
    """Compare every event with its description."""
    assert client.told
    for each in client.told:
        assert differences(schema_of(each), each.data) == []


def kept(client: EventClient) -> list[Told]:
    """Return the events that have an id of their own."""
    return [each for each in client.told if each.name not in PASSING]


def tap_of(told: Told) -> dict[str, Any]:
    tap: dict[str, Any] = told.data["tap"]
    return tap


async def listed(here: Rig) -> list[dict[str, Any]]:
    _, text = await api(here, "GET", "/api/v1/taps")
    items: list[dict[str, Any]] = json.loads(text)["items"]
    return items


async def test_the_life_of_a_tap_is_told_from_beginning_to_verdict(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here, listening(here, "progress=1") as client:
        (snapshot,) = await client.hears("snapshot")
        assert snapshot.data == {"items": [], "live": 0}
        call = here.place(a_call(2.5))
        progress = tap_of((await client.hears("tap.progress"))[0])
        (ended,) = await client.hears("tap.ended")
        (shown,) = await listed(here)
        (recording,) = await here.recordings(1)

    check_described(client)
    assert [each.name for each in kept(client)] == [
        "tap.began",
        "recording.announced",
        "recording.began",
        "tap.state",
        "tap.state",
        "recording.finished",
        "tap.ended",
    ]
    assert tap_of(client.of("tap.began")[0])["call_id"] == call.call_id
    assert progress["verdict"] is None
    states = [tap_of(each)["state"] for each in client.of("tap.state")]
    assert states == ["receiving", "finished"]
    assert tap_of(ended) == shown
    assert shown["recording_ids"] == [recording.id]
    assert shown["verdict"] == {
        "state": "complete",
        "complete": True,
        "reason": recording.verdict.reason,
    }
    (finished,) = client.of("recording.finished")
    assert finished.data["recording"] == recording.to_json()


async def test_a_tap_without_audio_ends_with_a_verdict_too(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, listening(here) as client:
        call = here.place(
            CallRequest(seconds=None, media=MediaOptions(start_delay=60.0))
        )
        (announced,) = await client.hears("recording.announced")
        await until(lambda: bool(call.taps))
        await call.hang_up()
        (ended,) = await client.hears("tap.ended")
        (finished,) = await client.hears("recording.finished")
    check_described(client)
    assert tap_of(ended)["verdict"]["state"] == "missing"
    assert finished.data["recording_id"] == announced.data["recording"]["id"]
    assert finished.data["recording"]["has_audio"] is False


async def test_pauses_and_what_people_do_to_recordings_are_told(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here, listening(here) as client:
        here.place(a_call(2))
        await here.receiving()
        control_id = first_tap(here)
        await api(here, "POST", f"/api/v1/taps/{control_id}/pause")
        (paused,) = await client.hears("tap.paused")
        await api(here, "POST", f"/api/v1/taps/{control_id}/resume")
        (resumed,) = await client.hears("tap.resumed")
        (recording,) = await here.recordings(1)
        path = f"/api/v1/recordings/{recording.id}"
        await api(here, "PATCH", path, json={"note": "heard"})
        (annotated,) = await client.hears("recording.annotated")
        await api(here, "DELETE", path)
        (deleted,) = await client.hears("recording.deleted")
    check_described(client)
    assert [tap_of(each)["paused"] for each in (paused, resumed)] == [True, False]
    assert annotated.data["recording"]["note"] == "heard"
    assert deleted.data["recording_id"] == recording.id


async def test_audio_that_sounds_wrong_is_told_of_in_words(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, listening(here, "types=tap.warning") as client:
        here.place(a_call(None, speak="noise"))
        (warning, *_) = await client.hears("tap.warning")
    check_described(client)
    assert set(client.names()) == {"snapshot", "tap.warning"}
    assert warning.data["warning"]["name"] == "noise"
    assert warning.data["warning"]["sentence"]
    assert tap_of(warning)["warnings"] == ["noise"]


async def test_forwards_and_their_replies_are_told(tmp_path: Path) -> None:
    async def talk(link: web.WebSocketResponse) -> None:
        await link.send_str("a line")
        async for _ in link:
            pass

    async with (
        receiver(talk) as port,
        rig(tmp_path, forward_allow="127.0.0.1") as here,
        listening(here, "types=forward") as client,
    ):
        call = here.place(a_call(None))
        await here.receiving()
        control_id = first_tap(here)
        good = await forward(here, control_id, url=f"ws://127.0.0.1:{port}/?key=secret")
        (reply,) = await client.hears("forward.reply")
        bad = await forward(
            here, control_id, url="ws://127.0.0.1:1/secret", max_attempts=1
        )
        await client.hears("forward.state", 4)
        path = f"/api/v1/taps/{control_id}/forwards/{good['forward_id']}"
        await api(here, "DELETE", path)
        (removed,) = await client.hears("forward.removed")
        await call.hang_up()
    check_described(client)
    assert reply.data["text"] == "a line"
    assert reply.data["forward_id"] == good["forward_id"]
    states = [each.data["forward"] for each in client.of("forward.state")]
    of = {
        name: [each["state"] for each in states if each["forward_id"] == name]
        for name in (good["forward_id"], bad["forward_id"])
    }
    assert of[good["forward_id"]] == ["connecting", "connected", "ended"]
    assert of[bad["forward_id"]] == ["connecting", "failed"]
    (failed,) = [each for each in states if each["state"] == "failed"]
    assert failed["error"]
    assert removed.data["forward"]["forward_id"] == good["forward_id"]
    assert "secret" not in str(client.told)


@pytest.mark.parametrize("tap_uri", [WS, RTP], ids=["ws", "rtp"])
async def test_levels_are_those_of_the_audio(tmp_path: Path, tap_uri: str) -> None:
    loud, quiet = 0.5, 0.05
    request = CallRequest(
        speak=f"tone:440@{loud}", listen=f"tone:880@{quiet}", seconds=2.0
    )
    async with (
        rig(tmp_path, direction="stereo", tap_uri=tap_uri) as here,
        listening(here, "levels=1") as client,
    ):
        here.place(request)
        await client.hears("tap.ended", 2)
        sides = {
            tap_of(each)["control_id"]: tap_of(each)["direction"]
            for each in client.of("tap.ended")
        }

    check_described(client)
    for side, amplitude in (("speak", loud), ("listen", quiet)):
        levels = [
            each.data
            for each in client.of("levels")
            if sides[each.data["control_id"]] == side
        ]
        # The last window may be cut short, and is then not told.
        assert len(levels) >= 15
        starts = [each["start_s"] for each in levels]
        assert starts == [pytest.approx(at / 10) for at in range(len(starts))]
        peak = 20 * math.log10(amplitude)
        for each in levels:
            (channel,) = each["channels"]
            assert channel["rms_dbfs"] == pytest.approx(peak - 3.01, abs=0.5)
            assert channel["peak_dbfs"] == pytest.approx(peak, abs=0.5)


async def test_levels_are_measured_only_while_somebody_asks(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        call = here.place(a_call(None))
        await here.receiving()
        (stream,) = here.server.deck._streams.values()

        def is_listened_to() -> bool:
            return stream.has_listeners

        async with listening(here, "progress=1") as client:
            await client.hears("tap.progress")
            assert not is_listened_to()
            async with listening(here, "levels=1") as other:
                await other.hears("levels", 5)
                assert is_listened_to()
            await until(lambda: not is_listened_to())
            assert client.of("levels") == []
        async with listening(here, "levels=1&control_id=other") as nobody:
            await nobody.hears("snapshot")
            assert here.server.meters.metered == 0
        await call.hang_up()
        await here.recordings(1)


async def test_of_too_many_taps_those_that_are_named_are_metered_then_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "MAX_METERED", 1)
    async with rig(tmp_path) as here:
        older = here.place(a_call(None))
        await here.hears(older)
        newer = here.place(a_call(None))
        await here.hears(newer)
        ids = [next(iter(call.taps.values())).control_id for call in (older, newer)]
        async with listening(here, "levels=1") as client:
            await client.hears("levels", 5)
            assert {each.data["control_id"] for each in client.of("levels")} == {ids[1]}
            async with listening(here, f"levels=1&control_id={ids[0]}") as named:
                await named.hears("levels", 5)
                assert here.server.meters.metered == 1
        assert {each.data["control_id"] for each in named.of("levels")} == {ids[0]}
        for call in (older, newer):
            await call.hang_up()
        await here.recordings(2)


async def test_one_that_comes_in_the_middle_knows_everything(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        here.place(a_call(2))
        second = here.place(a_call(2))
        await here.receiving(2)
        (wanted,) = second.taps.values()
        async with (
            listening(here) as client,
            listening(here, f"control_id={wanted.control_id}") as of_one,
        ):
            await client.hears("tap.ended", 2)
            await of_one.hears("tap.ended")
    (snapshot,) = client.of("snapshot")
    assert snapshot.data["live"] == 2
    assert {tap["state"] for tap in snapshot.data["items"]} == {"receiving"}
    assert "tap.began" not in client.names()
    (alone,) = of_one.of("snapshot")
    assert [tap["control_id"] for tap in alone.data["items"]] == [wanted.control_id]
    assert {tap_of(each)["control_id"] for each in of_one.of("tap.ended")} == {
        wanted.control_id
    }


async def test_one_that_is_cut_again_and_again_misses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    told: list[Told] = []
    async with rig(tmp_path) as here, listening(here) as whole:
        await whole.hears("snapshot")
        last_id = whole.last_id
        calls = [here.place(a_call(chance.uniform(1, 2))) for _ in range(6)]
        while len([each for each in told if each.name == "tap.ended"]) < len(calls):
            by_header = chance.random() < 0.5
            query = "levels=1" if by_header else f"levels=1&last_event_id={last_id}"
            headers = {"Last-Event-ID": last_id} if by_header else {}
            async with listening(here, query, **headers) as client:
                await until(lambda: client.told != [] or client.is_over)
                await asyncio.sleep(chance.uniform(0, 0.2))
            told += kept(client)
            last_id = client.last_id or last_id
            assert client.of("snapshot") == client.of("missed") == []
        await whole.hears("tap.ended", len(calls))
        await until(lambda: len(kept(whole)) >= len(told))
    assert [(each.name, each.id) for each in told] == [
        (each.name, each.id) for each in kept(whole)[: len(told)]
    ]
    assert len(told) == 7 * len(calls)


async def test_an_id_that_is_too_old_is_told_so_and_begins_anew(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as here:
        async with listening(here) as first:
            await first.hears("snapshot")
        for number in range(MAX_EVENTS + 1):
            here.server.events.publish("forward.reply", "x", f'{{"n": {number}}}')
        for headers in ({"Last-Event-ID": first.last_id}, {"Last-Event-ID": "ab-3"}):
            async with listening(here, **headers) as late:
                await late.hears("snapshot")
                assert late.names() == ["missed", "snapshot"]
            check_described(late)


async def test_a_slow_reader_is_told_that_it_missed_something(tmp_path: Path) -> None:
    async with rig(tmp_path) as here, listening(here, "types=tap") as quick:
        call = here.place(a_call(2))
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(link, ("127.0.0.1", here.server.http_port))
            request = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await loop.sock_sendall(link, request.encode())
            await until(lambda: here.server.events.listeners == 2)
            text = json.dumps({"text": "x" * 2000})
            for _ in range(3 * MAX_EVENTS):
                here.server.events.publish("forward.reply", "x", text)
            received = b""
            async with asyncio.timeout(30):
                while b"event: missed" not in received:
                    received += await loop.sock_recv(link, 1 << 16)
                while b"event: snapshot" not in received.partition(b"missed")[2]:
                    received += await loop.sock_recv(link, 1 << 16)
        await quick.hears("tap.ended")
        (recording,) = await here.recordings(1)
        assert np.array_equal(here.audio(recording), reference(sent_by(call), "PCMU"))
        drops = here.server.events.drops
    assert drops["event_listener_missed"] >= 1


async def test_nobody_listens_without_the_token(tmp_path: Path) -> None:
    token = "a token that nobody guesses"
    async with rig(tmp_path, api_token=token) as here:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status, text = await api(here, "GET", "/api/v1/events", headers=headers)
            assert (status, json.loads(text)["status"]) == (401, 401)
        bearer = {"Authorization": f"Bearer {token}"}
        async with listening(here, **bearer) as client:
            here.place(a_call(1))
            await client.hears("tap.ended")
        assert token not in str(client.told)


async def test_a_server_that_stops_tells_everything_and_ends_the_stream(
    tmp_path: Path,
) -> None:
    flags = {
        "http_listen": "127.0.0.1:0",
        "rtp_listen": "127.0.0.1:0",
        "accept": "any",
        "recordings_dir": str(tmp_path),
    }
    client = EventClient()
    server = TapServer(load_settings(file=None, environ={}, flags=flags))
    async with aiohttp.ClientSession() as session:
        async with server:
            at = f"127.0.0.1:{server.http_port}"
            link = await session.ws_connect(f"ws://{at}/tap")
            await link.send_bytes(bytes(1600))
            response = await session.get(f"http://{at}/api/v1/events?levels=1")
            reading = asyncio.create_task(client.read(response.content))
            await client.hears("snapshot")
        # A stream that was only cut would raise.
        async with asyncio.timeout(10):
            await reading
    (ended,) = client.of("tap.ended")
    assert tap_of(ended)["state"] == "finished"
    assert client.names()[-1] == "tap.ended"


@pytest.mark.parametrize("name", [*KINDS, *sorted(PASSING)])
def test_every_kind_of_event_is_described(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][schema_of(Told(name, {}, ""))]
    assert f"`{name}`" in schema["description"]
