"""Who may do what: every route, every kind of visitor, refused unless allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from server.transports.http_access import COOKIE, Access
from tests.server.transports.http_fakes import TOKEN, problem, raw_status, running

OPEN = [("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/ui/app.css")]
GUARDED = [
    ("GET", "/api/v1/taps"),
    ("POST", "/api/v1/taps"),
    ("DELETE", "/api/v1/taps/x"),
    ("POST", "/api/v1/taps/x/whep"),
    ("OPTIONS", "/api/v1/taps/x/whep"),
    ("DELETE", "/api/v1/taps/x/whep/y"),
    ("GET", "/api/v1/recordings"),
    ("GET", "/api/v1/recordings/x"),
    ("HEAD", "/api/v1/recordings/x/audio"),
    ("DELETE", "/api/v1/recordings/x"),
    ("GET", "/api/v1/recordings/x/audio"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/events"),
    ("GET", "/metrics"),
    ("GET", "/nothing"),
    ("GET", "/api/v1/nothing"),
    ("PUT", "/api/v1/taps"),
    ("OPTIONS", "/api/v1/taps"),
]
TAPS = [("GET", "/tap"), ("GET", "/tap/x")]
REFUSED = {401, 403}


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer \u00e9"},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f'{COOKIE}="{TOKEN}"'},
        {"Cookie": f"{COOKIE}="},
    ],
)
async def test_without_the_right_token_nothing_is_done(
    tmp_path: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.request(method, path, headers=headers)

        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert deck.taps.started == []


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN} "},
        {"Cookie": f"{COOKIE}={Access(TOKEN).cookie()}"},
    ],
)
async def test_with_the_token_everything_is_answered_from_anywhere(
    tmp_path: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    async with running(tmp_path, token=TOKEN, remote="203.0.113.9") as deck:
        response = await deck.client.request(
            method, path, headers={**headers, "Host": "tapdeck.example.com"}
        )

        assert response.status not in REFUSED


@pytest.mark.parametrize(("method", "path"), [*GUARDED, ("GET", "/")])
@pytest.mark.parametrize("remote", ["203.0.113.9", "10.0.0.1", "::ffff:10.0.0.1", "x"])
async def test_without_any_token_other_machines_are_refused(
    tmp_path: Path, method: str, path: str, remote: str
) -> None:
    async with running(tmp_path, remote=remote) as deck:
        response = await deck.client.request(method, path)

        assert response.status == 403
        if method != "HEAD":
            assert "TAPDECK_API_TOKEN" in (await problem(response))["detail"]
        assert deck.taps.started == []


@pytest.mark.parametrize(
    "remote", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]
)
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080"]
)
async def test_without_any_token_this_machine_is_answered(
    tmp_path: Path, remote: str, host: str
) -> None:
    async with running(tmp_path, remote=remote) as deck:
        response = await deck.client.get("/api/v1/taps", headers={"Host": host})

        assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": ""},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/taps", "/", "/metrics"])
async def test_without_any_token_rebinding_and_proxies_are_refused(
    tmp_path: Path, headers: dict[str, str], path: str
) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get(path, headers=headers)

        assert response.status == 403
        assert "TAPDECK_API_TOKEN" in (await problem(response))["detail"]


@pytest.mark.parametrize(("method", "path"), [*OPEN, *TAPS])
@pytest.mark.parametrize("token", ["", TOKEN])
async def test_probes_and_taps_need_no_token(
    tmp_path: Path, method: str, path: str, token: str
) -> None:
    async with running(tmp_path, token=token, remote="203.0.113.9") as deck:
        response = await deck.client.request(method, path)

        assert response.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/tap/../api/v1/taps",
        "/tap/%2e%2e/api/v1/taps",
        "/tap%2f..%2fapi/v1/taps",
        "//api/v1/taps",
        "/./api/v1/taps",
        "/healthz/../api/v1/taps",
        "/%61pi/v1/taps",
        "http://localhost/api/v1/taps",
        "http://localhost/tap/../api/v1/taps",
    ],
)
async def test_no_spelling_of_a_path_gets_round_the_guard(
    tmp_path: Path, path: str
) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        assert await raw_status(deck, path) in (*REFUSED, 400, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://localhost:1"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/taps"),
        ("DELETE", "/api/v1/taps/tap-1"),
        ("DELETE", "/api/v1/recordings/x"),
        ("POST", "/login"),
    ],
)
async def test_pages_elsewhere_change_nothing_even_with_the_token(
    tmp_path: Path, headers: dict[str, str], method: str, path: str
) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        response = await deck.client.request(
            method,
            path,
            headers={
                **headers,
                "Host": "localhost",
                "Authorization": f"Bearer {TOKEN}",
            },
        )

        assert response.status == 403
        assert "another origin" in (await problem(response))["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "audio"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "websocket"},
        {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "iframe",
        },
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Upgrade": "websocket"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/taps", "/%61pi/v1/recordings/x/audio"])
async def test_pages_elsewhere_read_nothing_of_the_api(
    tmp_path: Path, headers: dict[str, str], path: str
) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get(
            URL(path, encoded=True), headers={**headers, "Host": "localhost"}
        )

        assert response.status == 403
        assert "another origin" in (await problem(response))["detail"]
        assert deck.taps.asked == 0


async def test_a_link_from_elsewhere_may_be_followed(tmp_path: Path) -> None:
    visit = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    async with running(tmp_path) as deck:
        for path in ("/", "/api/v1/taps"):
            response = await deck.client.get(path, headers=visit)
            assert response.status == 200
        response = await deck.client.delete("/api/v1/taps/x", headers=visit)
        assert response.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "https://localhost:8080"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://tapdeck.example.com"},
    ],
)
async def test_our_own_pages_and_programs_may_change_things(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.post(
            "/api/v1/taps",
            json={"call_id": "c", "node_id": "n"},
            headers={**headers, "Host": "localhost:8080"},
        )

        assert response.status == 201


@pytest.mark.parametrize(
    "path", ["/", "/login", "/ui/app.js", "/api/v1/taps", "/healthz", "/nothing"]
)
@pytest.mark.parametrize("token", ["", TOKEN])
async def test_every_answer_tells_browsers_what_it_may_not_do(
    tmp_path: Path, path: str, token: str
) -> None:
    async with running(tmp_path, token=token) as deck:
        response = await deck.client.get(path, allow_redirects=False)

        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] in ("no-store", "no-cache")


async def test_the_tap_endpoint_keeps_its_own_headers(tmp_path: Path) -> None:
    async with running(tmp_path) as deck:
        response = await deck.client.get("/tap/x")

        assert "Content-Security-Policy" not in response.headers


def test_nobody_has_the_token_where_there_is_none() -> None:
    access = Access("")

    assert not access.has_token
    assert not access.is_token("")


def test_the_cookie_does_not_show_the_token() -> None:
    assert TOKEN not in Access(TOKEN).cookie()
    assert Access(TOKEN).cookie() != Access(TOKEN + "x").cookie()
