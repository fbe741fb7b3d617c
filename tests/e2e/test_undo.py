"""A whole server: what was deleted comes back after a restart, and goes in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from server.app import TapServer
from server.config import Settings, load_settings
from server.library.store import Library
from tests.e2e.rig import until
from tests.server.library.builders import publish

TOKEN = "a token that manages"


def settings(root: Path, undo_s: str) -> Settings:
    flags = {
        "recordings_dir": str(root),
        "http_listen": "127.0.0.1:0",
        "rtp_listen": "127.0.0.1:0",
        "api_token": TOKEN,
        "undo_s": undo_s,
    }
    return load_settings(file=None, environ={}, flags=flags)


def files_of(root: Path, recording_id: str) -> list[Path]:
    return list(root.rglob(f"{recording_id}*"))


async def ask(server: TapServer, method: str, path: str) -> tuple[int, Any]:
    url = f"http://{server.http_address}/api/v1/{path}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, url) as response,
    ):
        is_empty = response.status == 204
        return response.status, None if is_empty else await response.json()


async def test_a_deletion_is_undone_after_a_restart(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.open()
    kept = publish(library)
    path = f"recordings/{kept.id}"

    async with TapServer(settings(tmp_path, "600")) as server:
        assert await ask(server, "DELETE", path) == (204, None)
        assert (await ask(server, "GET", path))[0] == 404
    async with TapServer(settings(tmp_path, "600")) as server:
        _, page = await ask(server, "GET", "recordings")
        assert page["items"] == []
        assert await ask(server, "POST", f"{path}/undo") == (200, kept.to_json())
        _, page = await ask(server, "GET", "recordings")
        assert [item["id"] for item in page["items"]] == [kept.id]


async def test_a_restart_takes_what_is_over(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.open()
    kept = publish(library)
    library.set_aside(kept.id)

    async with TapServer(settings(tmp_path, "0")) as server:
        await until(lambda: not files_of(tmp_path, kept.id))
        assert (await ask(server, "POST", f"recordings/{kept.id}/undo"))[0] == 404
