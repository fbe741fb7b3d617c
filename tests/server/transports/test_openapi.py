"""The API is as `openapi.json` says, whatever it is asked.

`running` holds every answer against it, in these tests and in all others that ask over
HTTP. Here each operation is asked with what its author did not think of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator

from tests.described import AnswerChecker, resolved
from tests.schema import DOCUMENT
from tests.server.library.builders import HOSTILE, publish
from tests.server.transports.http_fakes import Deck, running, tap

METHODS = {"get", "post", "patch", "put", "delete", "options"}
TEXTS = ("", "0", "-1", "1e9", "true", "null", "\u202e+15550100", *HOSTILE)
VALUES: tuple[Any, ...] = (None, True, -1, 1e300, [], {}, [[]], *TEXTS)
HEADERS = (
    {"Range": "bytes=-0"},
    {"Range": "bytes=5-2,1-"},
    {"If-None-Match": '"'},
    {"If-Range": "W/"},
    {"Accept": "\u00ff/*"},
    {"Content-Type": "application/json; charset=nonsense"},
    {"Last-Event-ID": "\u202e1"},
)


@dataclass(frozen=True)
class Operation:
    method: str
    path: str

    @property
    def node(self) -> dict[str, Any]:
        node: dict[str, Any] = DOCUMENT["paths"][self.path][self.method]
        return node

    @property
    def parameters(self) -> list[dict[str, Any]]:
        shared = DOCUMENT["paths"][self.path].get("parameters", [])
        return [resolved(each) for each in (*shared, *self.node.get("parameters", []))]

    def names(self, place: str) -> list[str]:
        return [each["name"] for each in self.parameters if each["in"] == place]

    def properties(self) -> list[str]:
        """Return the fields that its JSON body may have."""
        content = resolved(self.node.get("requestBody", {})).get("content", {})
        schema = resolved(content.get("application/json", {}).get("schema", {}))
        kinds = [resolved(each) for each in schema.get("oneOf", [schema])]
        return sorted({name for each in kinds for name in each.get("properties", {})})


OPERATIONS = [
    Operation(method, path)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in METHODS
]


def filled(path: str, kept: str) -> str:
    """Return an address with the names of what is there."""
    return (
        path.replace("{id}", kept)
        .replace("{control_id}", "tap-1")
        .replace("{forward_id}", "forward-1")
        .replace("{listener_id}", "listener-1")
    )


def odd_addresses(operation: Operation, kept: str) -> Iterator[str]:
    for text in TEXTS:
        data = text.encode("utf-8", "replace")[:4000]
        for name in operation.names("path"):
            odd = operation.path.replace(f"{{{name}}}", quote(data, safe=""))
            yield filled(odd, kept)
        for name in [*operation.names("query"), "unknown"]:
            yield f"{filled(operation.path, kept)}?{urlencode({name: data})}"


def odd_bodies(operation: Operation) -> Iterator[bytes]:
    yield from (b"", b"{", b"\xff\xfe", b"[" * 50_000, b"ids=%ff&ids")
    for value in VALUES:
        yield json.dumps(value).encode()
        for name in [*operation.properties(), "unknown"]:
            yield json.dumps({name: value}).encode()


async def ask(deck: Deck, operation: Operation, address: str, **more: Any) -> int:
    async with deck.client.request(operation.method, address, **more) as response:
        # Of an event stream the head is all that there is to see.
        return response.status


@pytest.mark.parametrize(
    "operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}"
)
async def test_no_question_gets_an_answer_that_is_not_described(
    tmp_path: Path, operation: Operation
) -> None:
    async with running(tmp_path, undo_s=600) as deck:
        deck.taps.live = [tap()]
        kept = publish(deck.library).id
        address = filled(operation.path, kept)
        statuses = [await ask(deck, operation, address, headers=h) for h in HEADERS]
        for odd in odd_addresses(operation, kept):
            statuses.append(await ask(deck, operation, odd))
        if operation.method in ("post", "patch"):
            for body in odd_bodies(operation):
                for kind in ("application/json", "application/sdp", "text/plain"):
                    headers = {"Content-Type": kind}
                    statuses.append(
                        await ask(deck, operation, address, data=body, headers=headers)
                    )

        assert 500 not in statuses
        assert {path for _, path, _ in deck.answers.seen} <= set(DOCUMENT["paths"])
        assert operation.path in {path for _, path, _ in deck.answers.seen}


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_operation_is_described_whole() -> None:
    ids = [operation.node["operationId"] for operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    for operation in OPERATIONS:
        in_path = re.findall(r"\{(\w+)\}", operation.path)
        assert sorted(operation.names("path")) == sorted(in_path)
        assert operation.node["summary"]
        assert operation.node["tags"]
        for response in operation.node["responses"].values():
            assert resolved(response)["description"]


async def test_an_answer_that_is_not_described_is_found() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"status": 5, "more": 1}, status=answered)

    answered = 200
    app, checker = web.Application(), AnswerChecker()
    app.router.add_get("/healthz", answer)
    checker.add_to(app)
    async with TestClient(TestServer(app)) as client:
        await client.get("/healthz")
        answered = 418
        await client.get("/healthz")
        await client.get("/nothing")

    assert len(checker.faults) >= 3
    assert all("/healthz: 200: " in each for each in checker.faults[:-2])
    assert checker.faults[-2:] == [
        "GET /healthz: 418: this status is not described",
        "GET /nothing: 404: text/plain is no problem details",
    ]
