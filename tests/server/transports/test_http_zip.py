"""The archive over HTTP."""

from __future__ import annotations

import asyncio
import io
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.transports import http_zip
from server.transports.http_zip import MAX_ARCHIVES, MAX_IDS
from tests.server.library.builders import HOSTILE, publish
from tests.server.transports.http_fakes import Deck, problem, running

PATH = "/api/v1/recordings.zip"
UNKNOWN = "20261122T120000123Z-abcdefgh"


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path) as deck:
        yield deck


def names(data: bytes) -> list[str]:
    package = zipfile.ZipFile(io.BytesIO(data))
    assert package.testzip() is None
    return package.namelist()


@pytest.mark.parametrize("way", ["address", "JSON", "form"])
async def test_recordings_come_in_one_zip(deck: Deck, way: str) -> None:
    ids = [publish(deck.library, minutes=minute).id for minute in range(2)]
    listed = ",".join([*ids, ids[0]])

    if way == "address":
        response = await deck.client.get(PATH, params={"ids": listed})
    elif way == "JSON":
        response = await deck.client.post(PATH, json={"ids": ids})
    else:
        response = await deck.client.post(PATH, data={"ids": listed})

    assert response.status == 200
    assert response.content_type == "application/zip"
    disposition = response.headers["Content-Disposition"]
    assert disposition == 'attachment; filename="recordings.zip"'
    expected = [f"{each}{suffix}" for each in ids for suffix in (".wav", ".json")]
    assert names(await response.read()) == expected


@pytest.mark.parametrize(
    "ids", ["", ",", *HOSTILE[:-1], ",".join([UNKNOWN] * 2) + ",x"]
)
async def test_what_is_no_id_is_refused(deck: Deck, ids: str) -> None:
    text = ids.encode("utf-8", "replace").decode()
    asked = await deck.client.get(PATH, params={"ids": text})
    posted = await deck.client.post(PATH, json={"ids": [text]})

    assert [asked.status, posted.status] == [400, 400]
    assert (await problem(asked))["field"] == "ids"
    assert (await problem(posted))["field"] == "ids"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": UNKNOWN}, "ids"),
        ({"ids": [1]}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": [UNKNOWN], "q": "x"}, "q"),
        ([], ""),
    ],
)
async def test_a_wrong_body_is_named(deck: Deck, body: Any, field: str) -> None:
    response = await deck.client.post(PATH, json=body)

    assert response.status == 400
    assert (await problem(response)).get("field", "") == field


async def test_more_than_the_most_is_refused(deck: Deck) -> None:
    ids = [f"20261122T{n:09}Z-abcdefgh" for n in range(MAX_IDS + 1)]

    response = await deck.client.post(PATH, json={"ids": ids})

    assert response.status == 400
    assert str(MAX_IDS) in (await problem(response))["detail"]


async def test_an_unknown_parameter_or_recording_is_named(deck: Deck) -> None:
    unknown = await deck.client.get(PATH, params={"ids": UNKNOWN})
    parameter = await deck.client.get(PATH, params={"ids": UNKNOWN, "q": "x"})

    assert [unknown.status, parameter.status] == [404, 400]
    assert UNKNOWN in (await problem(unknown))["detail"]
    assert (await problem(parameter))["field"] == "q"


async def test_so_many_are_made_at_a_time_and_no_more(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(deck.library)
    go_on = threading.Event()

    def slow(*_: object) -> Iterator[bytes]:
        yield b"PK"
        go_on.wait(20)

    monkeypatch.setattr(http_zip, "archive", slow)
    url = f"{PATH}?ids={kept.id}"
    under_way = [await deck.client.get(url) for _ in range(MAX_ARCHIVES)]

    refused = await deck.client.get(url)
    go_on.set()
    for each in under_way:
        assert await each.read() == b"PK"

    assert refused.status == 503
    assert refused.headers["Retry-After"] == "30"
    await problem(refused)
    assert (await deck.client.get(url)).status == 200


async def test_an_archive_that_breaks_off_is_seen_to_do_so(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(deck.library)

    def broken(*_: object) -> Iterator[bytes]:
        yield b"PK"
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(http_zip, "archive", broken)
    response = await deck.client.get(PATH, params={"ids": kept.id})

    with pytest.raises(aiohttp.ClientError):
        await response.read()


async def test_whoever_does_not_read_is_left(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = publish(deck.library)
    sent = 0
    ended = threading.Event()

    def endless(*_: object) -> Iterator[bytes]:
        nonlocal sent
        try:
            while True:
                sent += 1
                yield bytes(1 << 20)
        finally:
            ended.set()

    monkeypatch.setattr(http_zip, "archive", endless)
    monkeypatch.setattr(http_zip, "WRITE_TIMEOUT_S", 0.2)
    response = await deck.client.get(PATH, params={"ids": kept.id})

    assert await asyncio.to_thread(ended.wait, 20)
    assert sent < 50
    response.close()
