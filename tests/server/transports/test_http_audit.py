"""Who played, downloaded and deleted: in the log, and in a file."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from server.library.store import Library
from server.transports import http_audit
from server.transports.http_access import Access
from server.transports.http_audit import AuditLog, AuditRecord
from tests.server.library.builders import HOSTILE, publish
from tests.server.transports.http_fakes import TOKEN, running

LISTENER = {"Authorization": "Bearer a token of a listener"}
MANAGER = {"Authorization": f"Bearer {TOKEN}"}
RECORDINGS = "/api/v1/recordings"


def access() -> Access:
    return Access(TOKEN, listen_token="a token of a listener")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        entry.getMessage() for entry in caplog.records if entry.name.endswith("_audit")
    ]


def written(root: Path) -> list[dict[str, Any]]:
    text = (root / ".audit.jsonl").read_text(encoding="ascii")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_who_played_and_deleted_is_told_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, access=access()) as deck:
        kept = publish(deck.library)
        url = f"{RECORDINGS}/{kept.id}"
        await deck.client.get(RECORDINGS, headers=LISTENER)
        await deck.client.get(f"{url}/audio", headers=LISTENER)
        await deck.client.delete(url, headers=LISTENER)
        await deck.client.delete(
            url, headers={**MANAGER, "X-Forwarded-For": "203.0.113.9, 10.0.0.1"}
        )

    where = f"remote=127.0.0.1 forwarded_for= status={{}} subjects={kept.id}"
    assert told(caplog) == [
        f"action=play role=listen {where.format(200)}",
        f"action=delete role=listen {where.format(403)}",
        "action=delete role=manage remote=127.0.0.1 "
        f'forwarded_for="203.0.113.9, 10.0.0.1" status=204 subjects={kept.id}',
    ]
    kept_lines = written(tmp_path)
    assert [(each["action"], each["status"]) for each in kept_lines] == [
        ("play", 200),
        ("delete", 403),
        ("delete", 204),
    ]
    assert kept_lines[2] == {
        "time": kept_lines[2]["time"],
        "action": "delete",
        "role": "manage",
        "remote": "127.0.0.1",
        "forwarded_for": "203.0.113.9, 10.0.0.1",
        "status": 204,
        "subjects": [kept.id],
    }


async def test_a_player_that_jumps_about_plays_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as deck:
        one, other = publish(deck.library), publish(deck.library, minutes=1)
        for first in (0, 100, 50):
            await deck.client.get(
                f"{RECORDINGS}/{one.id}/audio", headers={"Range": f"bytes={first}-"}
            )
        await deck.client.head(f"{RECORDINGS}/{other.id}/audio")
        await deck.client.get(f"{RECORDINGS}/{other.id}/audio?download=1")

    words = [line.split() for line in told(caplog)]
    assert [(line[0], line[-1]) for line in words] == [
        ("action=play", f"subjects={one.id}"),
        ("action=download", f"subjects={other.id}"),
    ]


async def test_strangers_fill_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, access=access()) as deck:
        response = await deck.client.delete(f"{RECORDINGS}/x")

        assert response.status == 401
    assert told(caplog) == []
    assert not (tmp_path / ".audit.jsonl").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_word_of_one_line(name: str) -> None:
    record = AuditRecord("stop", "manage", "::1", name, (name,), 404)

    line = record.line()

    assert line.isascii()
    assert line.isprintable()
    assert line.startswith("action=stop role=manage remote=::1 forwarded_for=")
    assert line.count(" status=404 subjects=") == 1
    assert json.loads(record.to_json(0.0))["subjects"] == [name]
    assert record.to_json(0.0).count("\n") == 1


class TestTheFile:
    record = AuditRecord("delete", "manage", "::1", "", ("x",), 204)

    @pytest.fixture
    async def log(self, tmp_path: Path) -> AuditLog:
        return AuditLog(tmp_path / "audit", wall=lambda: 1.5)

    async def run(self, log: AuditLog, records: int) -> None:
        """Let the log's task live for as long as it takes to note these."""
        app = web.Application()
        log.add_to(app)
        runner = web.AppRunner(app)
        await runner.setup()
        for _ in range(records):
            log.note(self.record)
        await runner.cleanup()

    async def test_it_is_appended_to(self, log: AuditLog, tmp_path: Path) -> None:
        await self.run(log, 2)
        lines = (tmp_path / "audit").read_text().splitlines()
        assert len(lines) == 2
        assert json.loads(lines[0])["time"] == "1970-01-01T00:00:01.500Z"

    async def test_it_gives_way_when_it_is_large(
        self, log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_audit, "MAX_FILE_BYTES", 1000)
        for count in (1, 20, 3):
            await self.run(log, count)

        assert sorted(os.listdir(tmp_path)) == ["audit", "audit.1"]
        assert len((tmp_path / "audit.1").read_text().splitlines()) == 21
        assert len((tmp_path / "audit").read_text().splitlines()) == 3

    async def test_what_waits_for_it_is_bounded(
        self, log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_audit, "MAX_WAITING", 5)
        await self.run(log, 8)

        assert log.lost == 3
        assert len((tmp_path / "audit").read_text().splitlines()) == 5

    async def test_a_disk_that_refuses_costs_the_file_alone(
        self, log: AuditLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "audit").mkdir()
        await self.run(log, 2)

        assert log.lost == 2
        assert sum("action=delete" in line for line in told(caplog)) == 2
        assert "2 lines are only in this log" in caplog.text

    async def test_what_is_remembered_is_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_audit, "MAX_REMEMBERED", 2)
        monkeypatch.setattr(http_audit, "REPEAT_S", 0.0)
        async with running(tmp_path) as deck:
            ids = [publish(deck.library, minutes=n).id for n in range(4)]
            for each in ids:
                await deck.client.get(f"{RECORDINGS}/{each}/audio")
            await deck.client.get(f"{RECORDINGS}/{ids[0]}/audio")

        assert [each["subjects"] for each in written(tmp_path)] == [
            [each] for each in [*ids, ids[0]]
        ]


async def test_the_library_takes_the_file_for_none_of_its_own(tmp_path: Path) -> None:
    async with running(tmp_path) as deck:
        kept = publish(deck.library)
        await deck.client.get(f"{RECORDINGS}/{kept.id}/audio")
    library = Library(tmp_path)
    await asyncio.to_thread(library.open)

    assert [finding.ok for finding in library.verify()] == [True]
