"""The pages as they are served."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from server.transports.http_access import COOKIE
from server.transports.ui import MEDIA_TYPES, PAGES
from tests.server.library.builders import HOSTILE
from tests.server.transports.http_fakes import TOKEN, raw_status, running

FOLDER = Path(__file__).parents[3] / "server/ui"
HTML = ["login.html", *PAGES.values()]


async def test_the_page_is_served(tmp_path: Path) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get("/")

        assert response.status == 200
        assert response.content_type == "text/html"
        assert "<title>Tapdeck</title>" in await response.text()


@pytest.mark.parametrize(
    ("path", "title"),
    [("/recordings", "Recordings · Tapdeck"), ("/recordings/x", "Recording · Tapdeck")],
)
async def test_so_are_the_others(tmp_path: Path, path: str, title: str) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get(path)

        assert response.status == 200
        assert response.content_type == "text/html"
        assert f"<title>{title}</title>" in await response.text()


@pytest.mark.parametrize(("name", "media_type"), MEDIA_TYPES.items())
async def test_its_files_are_served(tmp_path: Path, name: str, media_type: str) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get(f"/ui/{name}")

        assert response.status == 200
        assert response.content_type == media_type
        assert await response.read() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize(
    "name", ["index.html", "..%2fapp.py", "%2e%2e", "../app.py", "app.js%00", "%ff"]
)
async def test_no_other_file_is(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as deck:
        assert await raw_status(deck, f"/ui/{name}") == 404


def test_every_file_in_the_folder_can_be_asked_for() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*HTML, *MEDIA_TYPES}


@pytest.mark.parametrize("name", HTML)
def test_nothing_is_inline_or_from_elsewhere(name: str) -> None:
    """The content security policy would not let it work."""
    text = (FOLDER / name).read_text()

    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|https?://", text)
    for script in re.findall(r"<script.*?</script>", text, re.S):
        assert re.fullmatch(
            r'<script type="module" src="/ui/\w+\.js"></script>', script
        )
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert address.startswith("/ui/") or address in {*PAGES, "#main"}


@pytest.mark.parametrize("name", [name for name in MEDIA_TYPES if name.endswith("js")])
def test_scripts_write_text_only(name: str) -> None:
    text = (FOLDER / name).read_text()

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|DOMParser"
        r"|Function\(|\.style\b|https?://",
        text,
    )
    for module in re.findall(r'from "([^"]*)"', text):
        assert module.removeprefix("/ui/") in MEDIA_TYPES


@pytest.mark.parametrize("path", ["/", "/recordings", "/recordings/x"])
async def test_visitors_without_the_token_are_asked_for_it(
    tmp_path: Path, path: str
) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.get(path)

        assert response.url.path == "/login"
        assert 'type="password"' in await response.text()


async def test_signing_in_opens_the_page(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.post(
            "/login", data={"token": f" {TOKEN} "}, allow_redirects=False
        )

        assert (response.status, response.headers["Location"]) == (303, "/")
        cookie = response.headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Secure" not in cookie
        assert TOKEN not in cookie
        value = cookie.split(";")[0].partition("=")[2]
        page = await deck.client.get("/", headers={"Cookie": f"{COOKIE}={value}"})
        assert "<title>Tapdeck</title>" in await page.text()


async def test_behind_tls_the_cookie_stays_there(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.post(
            "/login",
            data={"token": TOKEN},
            headers={"X-Forwarded-Proto": "https"},
            allow_redirects=False,
        )

        assert "Secure" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"token=",
        b"token=%ff%fe",
        b"token=\xff",
        b"other=" + quote(TOKEN).encode(),
        b"&" * 4000,
        *(
            b"token=" + quote(n.encode("utf-8", "replace")).encode()
            for n in HOSTILE[:-1]
        ),
    ],
)
async def test_a_wrong_token_is_told_and_opens_nothing(
    tmp_path: Path, body: bytes
) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.post(
            "/login",
            data=body,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            allow_redirects=False,
        )

        assert response.headers["Location"] == "/login#refused"
        assert "Set-Cookie" not in response.headers


async def test_only_a_form_signs_in(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.post("/login", json={"token": TOKEN})

        assert response.status == 415


async def test_a_form_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.post("/login", data={"token": "x" * 10_000})

        assert response.status == 413


async def test_where_there_is_no_token_there_is_nothing_to_sign_in_to(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get("/login", allow_redirects=False)
        posted = await deck.client.post(
            "/login", data={"token": ""}, allow_redirects=False
        )

        assert (response.status, response.headers["Location"]) == (303, "/")
        assert "Set-Cookie" not in posted.headers
