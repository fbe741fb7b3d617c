"""Audio finds its tap whatever comes first, and nobody else gets in."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import struct
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from relay_client.simulator import CallRequest, FaultOptions, MediaOptions
from server.audio import Outcome
from server.log import JsonFormatter, Redactor
from server.taps.tokens import TokenSigner
from tests.e2e.rig import PROJECT, TOKEN, Rig, reference, rig, sent_by, until
from tests.e2e.test_ends import OVER_BOTH, WS, the_recording
from tests.e2e.test_shapes import record

SECRET = "a-secret-that-signs-tokens"
STATIC = ("a-static-token-for-swml", "another-token-for-rest-")


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Everything that is logged, by a server whose redactor was told no secrets.

    In life it is told of those that are configured; nothing may depend on it.
    """
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter(Redactor()))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


async def status_of(here: Rig, path: str) -> int:
    """Try to open a WebSocket; return the status of the answer, 101 if it opens."""
    url = f"http://{here.server.http_address}{path}"
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(url):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def send(here: Rig, path: str, *messages: str | bytes) -> None:
    url = f"http://{here.server.http_address}{path}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as ws:
        for message in messages:
            if isinstance(message, str):
                await ws.send_str(message)
            else:
                await ws.send_bytes(message)


@OVER_BOTH
async def test_audio_before_the_reply_is_kept(tmp_path: Path, tap_uri: str) -> None:
    """The platform taps at once, and says so a second later or more."""
    faults = [
        FaultOptions(event_before_reply=True, reply_delay=0.7),
        FaultOptions(event_before_reply=True, reply_delay=1.5, no_tapping=True),
    ]
    async with rig(tmp_path, tap_uri=tap_uri) as here:
        requests = [CallRequest(seconds=4, faults=each) for each in faults]
        for call, (recording,) in await record(here, *requests):
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.state is Outcome.COMPLETE, recording.verdict


async def test_any_stream_is_recorded_where_any_is_accepted(tmp_path: Path) -> None:
    audio = bytes(range(1, 161))
    async with rig(tmp_path, accept="any", idle_timeout_s="1") as here:
        async with asyncio.TaskGroup() as group:
            for path in ("/tap", "/tap/whatever", "/tap?token=whatever"):
                group.create_task(send(here, path, *[audio] * 50))
            group.create_task(
                send(here, "/tap/l16", "content-type:audio/l16;rate=16000", bytes(640))
            )
        target = ("127.0.0.1", here.server.rtp.ports[0])
        senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for n in range(50):
            header = struct.pack("!BBHII", 0x80, 0, n, 160 * n, 7)
            for sender in senders:
                sender.sendto(header + audio, target)
        for sender in senders:
            sender.close()
        recordings = await here.recordings(6)
        assert [r.origin for r in recordings] == ["foreign"] * 6
        assert sorted(r.transport for r in recordings) == ["rtp"] * 2 + ["ws"] * 4
        lengths = sorted(r.samples for r in recordings)
        assert lengths[1:] == [8000] * 5
        assert {r.sample_rate for r in recordings} == {8000, 16_000}


async def test_each_connection_with_a_static_token_is_a_tap_of_its_own(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, static_tokens=",".join(STATIC)) as here:
        contents = {n: bytes([n]) * 160 for n in range(1, 9)}
        async with asyncio.TaskGroup() as group:
            for n, message in contents.items():
                path = f"/tap/{STATIC[n % 2]}"
                group.create_task(send(here, path, *[message] * 20))
        recordings = await here.recordings(len(contents))
        assert {r.origin for r in recordings} == {"static"}
        assert {r.samples for r in recordings} == {20 * 160}
        heard = [set(here.audio(r).tolist()) for r in recordings]
        assert all(len(values) == 1 for values in heard)
        assert len(set.union(*heard)) == len(contents)


async def test_whoever_has_no_token_is_refused_before_the_upgrade(
    tmp_path: Path, log: StringIO
) -> None:
    signer, now = TokenSigner(SECRET.encode()), int(time.time())
    valid = signer.issue("tap-1", now + 60)
    foreign = TokenSigner(b"somebody else's secret").issue("tap-1", now + 60)
    tampered = valid[:-3] + ("AAA" if valid[-3:] != "AAA" else "BBB")
    raw = base64.urlsafe_b64decode(valid + "=" * (-len(valid) % 4))
    later = base64.urlsafe_b64encode((now + 10**6).to_bytes(5, "big") + raw[5:])
    wrong = {
        "none": "/tap",
        "guessed": "/tap/guessed-by-a-stranger",
        "static cut": f"/tap/{STATIC[0][:-1]}",
        "static with more": f"/tap/{STATIC[0]}x",
        "in the query": f"/tap?token={STATIC[1]}x",
        "expired": f"/tap/{signer.issue('tap-1', now - 1)}",
        "made with another secret": f"/tap/{foreign}",
        "tampered": f"/tap/{tampered}",
        "a later expiry": f"/tap/{later.decode().rstrip('=')}",
        "not text": "/tap/%ff%fe%00",
    }
    async with rig(
        tmp_path, tap_uri=WS, secret=SECRET, static_tokens=",".join(STATIC)
    ) as here:
        statuses = {why: await status_of(here, path) for why, path in wrong.items()}
        assert statuses == dict.fromkeys(wrong, 403)
        assert here.server.rendezvous.refused.total() == len(wrong)
        assert not here.server.rendezvous.taps
        # And those that are right get in.
        assert await status_of(here, f"/tap?token={STATIC[1]}") == 101
        assert await status_of(here, f"/tap/{valid}") == 101
        call = here.place(CallRequest(seconds=0.5))
        await the_recording(here, call)
        used = str(next(iter(call.taps.values())).request.uri)
        assert await status_of(here, used[used.index("/tap") :]) == 410
    tokens = [path.rpartition("/")[2].rpartition("=")[2] for path in wrong.values()]
    secrets = [*tokens[1:], *STATIC, valid, used, used.rpartition("/")[2]]
    for secret in (*secrets, SECRET, PROJECT, TOKEN):
        assert secret not in log.getvalue(), secret
    assert "refused" in log.getvalue()


@OVER_BOTH
async def test_nothing_secret_is_logged_of_a_tap(
    tmp_path: Path, tap_uri: str, log: StringIO
) -> None:
    async with rig(tmp_path, tap_uri=tap_uri, secret=SECRET) as here:
        refused = FaultOptions(error_on=("tap",), error_style="jsonrpc")
        calls = [
            here.place(CallRequest(seconds=0.5)),
            here.place(CallRequest(seconds=0.5, media=MediaOptions(end="abort"))),
            here.place(CallRequest(seconds=0.5, faults=refused)),
        ]
        for call in calls:
            await the_recording(here, call)
        here.simulator.drop_connections()
        await until(lambda: here.simulator.counts["authenticated"] >= 2)
        uris = [
            str(tap.request.uri)
            for call in calls
            for tap in call.taps.values()
            if tap.request.uri
        ]
        assert bool(uris) == (tap_uri == WS)
    text = log.getvalue()
    assert "calling.tap" in text
    for secret in (
        SECRET,
        TOKEN,
        PROJECT,
        *uris,
        *(u.rpartition("/")[2] for u in uris),
    ):
        assert secret not in text
