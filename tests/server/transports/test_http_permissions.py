"""The permission matrix: every address, every role, and nobody.

A new endpoint fails here until it has a row of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from server.transports.http_access import Access
from server.transports.http_roles import PERMISSIONS, Role
from tests.server.library.builders import publish
from tests.server.transports.http_fakes import (
    TOKEN,
    Deck,
    app_of,
    problem,
    running,
    tap,
)

LISTEN, DOWNLOAD, MANAGE = "listen", "download", "manage"
TOKENS: Final = {
    LISTEN: "a token of a listener",
    DOWNLOAD: "a token of a downloader",
    MANAGE: TOKEN,
}
NOBODY = "nobody"
VISITORS: Final = (NOBODY, *TOKENS)

EVERYBODY = VISITORS
LISTENERS = (LISTEN, DOWNLOAD, MANAGE)
DOWNLOADERS = (DOWNLOAD, MANAGE)
MANAGERS = (MANAGE,)

MATRIX: Final = {
    "GET /": LISTENERS,
    "GET /ui/{name}": EVERYBODY,
    "GET /login": EVERYBODY,
    "POST /login": EVERYBODY,
    "POST /logout": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": LISTENERS,
    "GET /tap": EVERYBODY,
    "GET /tap/{token}": EVERYBODY,
    "GET /api/v1/openapi.json": LISTENERS,
    "GET /api/v1/access": LISTENERS,
    "GET /api/v1/events": LISTENERS,
    "GET /api/v1/taps": LISTENERS,
    "POST /api/v1/taps": MANAGERS,
    "DELETE /api/v1/taps/{control_id}": MANAGERS,
    "POST /api/v1/taps/{control_id}/pause": MANAGERS,
    "POST /api/v1/taps/{control_id}/resume": MANAGERS,
    "GET /api/v1/taps/{control_id}/audio": LISTENERS,
    "OPTIONS /api/v1/taps/{control_id}/whep": LISTENERS,
    "POST /api/v1/taps/{control_id}/whep": LISTENERS,
    "DELETE /api/v1/taps/{control_id}/whep/{listener_id}": LISTENERS,
    "POST /api/v1/taps/{control_id}/forwards": MANAGERS,
    "DELETE /api/v1/taps/{control_id}/forwards/{forward_id}": MANAGERS,
    "GET /api/v1/recordings": LISTENERS,
    "GET /api/v1/recordings.zip": DOWNLOADERS,
    "POST /api/v1/recordings.zip": DOWNLOADERS,
    "GET /api/v1/recordings/{id}": LISTENERS,
    "PATCH /api/v1/recordings/{id}": MANAGERS,
    "DELETE /api/v1/recordings/{id}": MANAGERS,
    "POST /api/v1/recordings/{id}/undo": MANAGERS,
    "GET /api/v1/recordings/{id}/audio": LISTENERS,
    "GET /api/v1/recordings/{id}/audio?download": DOWNLOADERS,
}
"""Who is answered; HEAD is as GET. Everybody else is refused, and nothing is done."""


@dataclass(frozen=True)
class Cell:
    """One visitor at one address."""

    name: str
    visitor: str

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def is_allowed(self) -> bool:
        return self.visitor in MATRIX[self.name]


CELLS = [Cell(name, visitor) for name in MATRIX for visitor in VISITORS]


def access() -> Access:
    return Access(TOKEN, listen_token=TOKENS[LISTEN], download_token=TOKENS[DOWNLOAD])


def served(deck: Deck) -> set[str]:
    return {
        f"{route.method} {route.resource.canonical}"
        for route in app_of(deck).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def bearer(visitor: str) -> dict[str, str]:
    token = TOKENS.get(visitor)
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def cookie(visitor: str) -> dict[str, str]:
    if visitor not in TOKENS:
        return {}
    return {"Cookie": f"tapdeck_token={access().cookie(Role[visitor.upper()])}"}


async def test_every_endpoint_has_a_row(tmp_path: Path) -> None:
    async with running(tmp_path, access=access()) as deck:
        assert served(deck) == {name for name in MATRIX if "?" not in name}


def test_the_table_of_the_code_says_the_same() -> None:
    by_role = {Role.LISTEN: LISTENERS, Role.DOWNLOAD: DOWNLOADERS}
    told = {
        name: by_role.get(permission.role, MANAGERS)
        for name, permission in PERMISSIONS.items()
    }

    assert told == {name: who for name, who in MATRIX.items() if who != EVERYBODY}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.visitor} {cell.name}")
async def test_the_matrix(tmp_path: Path, cell: Cell) -> None:
    async with running(tmp_path, access=access(), remote="203.0.113.9") as deck:
        deck.taps.live = [tap()]
        kept = publish(deck.library)
        path = (
            cell.path.replace("{id}", kept.id)
            .replace("{control_id}", "tap-1")
            .replace("{forward_id}", "forward-1")
            .replace("{listener_id}", "listener-1")
            .replace("{name}", "app.css")
            .replace("{token}", "x")
        )
        before = (list(deck.taps.live), len(deck.taps.started))
        for headers in (bearer(cell.visitor), cookie(cell.visitor)):
            response = await deck.client.request(
                cell.method, path, headers=headers, allow_redirects=False
            )
            if cell.is_allowed:
                assert response.status not in (401, 403)
                continue
            if cell.visitor != NOBODY:
                assert response.status == 403
                assert "role" in (await problem(response))["detail"]
            elif not path.startswith(("/api/", "/metrics")):
                assert response.headers["Location"] == "/login"
            else:
                assert response.status == 401
                await problem(response)
            assert (list(deck.taps.live), len(deck.taps.started)) == before
            assert deck.library.get(kept.id) == kept


@pytest.mark.parametrize("visitor", VISITORS)
async def test_an_address_that_nobody_thought_of_is_shut(
    tmp_path: Path, visitor: str
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        raise AssertionError("never called by those who may not")

    async with running(
        tmp_path, access=access(), routes=[("GET", "/api/v1/new", answer)]
    ) as deck:
        response = await deck.client.get("/api/v1/new", headers=bearer(visitor))

        expected = {NOBODY: 401, MANAGE: 500}
        assert response.status == expected.get(visitor, 403)


@pytest.mark.parametrize("visitor", TOKENS)
async def test_everybody_is_told_their_role(tmp_path: Path, visitor: str) -> None:
    async with running(tmp_path, access=access(), undo_s=60) as deck:
        response = await deck.client.get("/api/v1/access", headers=bearer(visitor))

        expected = {"role": visitor, "signs_in": True, "undo_s": 60}
        assert await response.json() == expected


async def test_without_tokens_this_machine_manages(tmp_path: Path) -> None:
    async with running(tmp_path) as deck:
        document = await (await deck.client.get("/api/v1/access")).json()

        assert document == {"role": MANAGE, "signs_in": False, "undo_s": 0}


@pytest.mark.parametrize("visitor", TOKENS)
async def test_signing_in_gives_the_role_of_the_token(
    tmp_path: Path, visitor: str
) -> None:
    async with running(tmp_path, access=access()) as deck:
        await deck.client.post("/login", data={"token": TOKENS[visitor]})
        document = await (await deck.client.get("/api/v1/access")).json()
        assert document["role"] == visitor

        await deck.client.post("/logout")
        assert (await deck.client.get("/api/v1/access")).status == 401


def test_no_cookie_of_one_role_is_that_of_another() -> None:
    assert len({access().cookie(role) for role in Role}) == 3
