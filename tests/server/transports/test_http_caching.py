"""Entity tags, conditions and parts (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.library.builders import publish
from tests.server.transports.http_fakes import Deck, problem, running

RECORDINGS = "/api/v1/recordings"


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path) as deck:
        yield deck


@pytest.mark.parametrize("tail", ["", "/{id}", "/{id}/audio", "openapi"])
async def test_what_has_not_changed_is_not_sent_again(deck: Deck, tail: str) -> None:
    kept = publish(deck.library)
    url = RECORDINGS + tail.replace("{id}", kept.id)
    if tail == "openapi":
        url = "/api/v1/openapi.json"
    first = await deck.client.get(url)
    tag = first.headers["ETag"]

    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await deck.client.get(url, headers={"If-None-Match": known})
        assert again.status == 304
        assert again.headers["ETag"] == tag
        assert await again.read() == b""
    other = await deck.client.get(url, headers={"If-None-Match": '"other"'})

    assert tag.startswith('"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert other.status == 200
    assert await other.read() == await first.read()


async def test_what_has_changed_has_another_tag(deck: Deck) -> None:
    kept = publish(deck.library)
    urls = [RECORDINGS, f"{RECORDINGS}/{kept.id}"]
    tags = [(await deck.client.get(url)).headers["ETag"] for url in urls]

    await deck.client.patch(urls[1], json={"note": "new"})

    for url, tag in zip(urls, tags, strict=True):
        response = await deck.client.get(url, headers={"If-None-Match": tag})
        assert response.status == 200
        assert response.headers["ETag"] != tag


async def test_a_part_is_of_what_was_seen_or_it_is_all(deck: Deck) -> None:
    kept = publish(deck.library)
    url = f"{RECORDINGS}/{kept.id}/audio"
    whole = await deck.client.get(url)
    data, tag = await whole.read(), whole.headers["ETag"]

    async def part(if_range: str) -> int:
        headers = {"Range": "bytes=100-199", "If-Range": if_range}
        response = await deck.client.get(url, headers=headers)
        expected = data[100:200] if response.status == 206 else data
        assert await response.read() == expected
        return response.status

    assert await part(tag) == 206
    assert await part('"other"') == 200
    assert await part(f"W/{tag}") == 200
    assert await part("Thu, 01 Jan 1970 00:00:00 GMT") == 200
    assert await part("Fri, 01 Jan 2100 00:00:00 GMT") == 206
    os.utime(deck.library.layout.audio(kept.id), (1, 1))
    assert await part(tag) == 200


async def test_a_stale_part_with_odd_headers_is_all_too(deck: Deck) -> None:
    kept = publish(deck.library)
    headers = {"Range": "bytes=900000-", "If-Range": '"old"', "X-Odd": "\u00fc"}

    response = await deck.client.get(f"{RECORDINGS}/{kept.id}/audio", headers=headers)

    assert response.status == 200
    assert len(await response.read()) == 44 + 1600


async def test_a_range_in_another_unit_is_passed_over(deck: Deck) -> None:
    kept = publish(deck.library)

    response = await deck.client.get(
        f"{RECORDINGS}/{kept.id}/audio", headers={"Range": "seconds=0-1"}
    )

    assert response.status == 200
    assert len(await response.read()) == 1644


@pytest.mark.parametrize("wanted", ["bytes=1644-", "bytes=99999-100000", "bytes=x"])
async def test_a_part_that_is_not_there_is_a_problem(deck: Deck, wanted: str) -> None:
    kept = publish(deck.library)

    response = await deck.client.get(
        f"{RECORDINGS}/{kept.id}/audio", headers={"Range": wanted}
    )

    assert response.status == 416
    assert response.headers["Content-Range"] == "bytes */1644"
    assert "1644" in (await problem(response))["detail"]


async def test_a_suffix_beyond_the_start_is_all_there_is(deck: Deck) -> None:
    kept = publish(deck.library)

    response = await deck.client.get(
        f"{RECORDINGS}/{kept.id}/audio", headers={"Range": "bytes=-99999"}
    )

    assert response.status == 206
    assert len(await response.read()) == 1644


async def test_another_state_than_was_seen_is_a_problem(deck: Deck) -> None:
    kept = publish(deck.library)
    url = f"{RECORDINGS}/{kept.id}/audio"
    tag = (await deck.client.get(url)).headers["ETag"]

    fits = await deck.client.get(url, headers={"If-Match": tag})
    fails = await deck.client.get(url, headers={"If-Match": '"other"'})

    assert [fits.status, fails.status] == [200, 412]
    await problem(fails)
