"""Holds every answer of an application against its description in OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator, FormatChecker

from tests.schema import DOCUMENT, differences

PROBLEM = "application/problem+json"
ALWAYS = {405, 500}
"""What any address may answer, and no operation describes."""


class AnswerChecker:
    """Looks at what an application answers, and keeps what is not as described."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.seen: set[tuple[str, str, int]] = set()
        """Method, address and status of every answer that is described."""

    def add_to(self, app: web.Application) -> None:
        """Look at everything that an application answers from now on."""
        app.on_response_prepare.append(self._look)

    async def _look(self, request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        where = f"{request.method} {path or request.path}: {response.status}"
        for fault in _faults(request.method, path, response):
            self.faults.append(f"{where}: {fault}")
        if path in DOCUMENT["paths"]:
            self.seen.add((request.method, path, response.status))


def _faults(method: str, path: str, response: web.StreamResponse) -> Iterator[str]:
    if path == "" or response.status in ALWAYS:
        yield from _faults_of_problem(response)
        return
    if path not in DOCUMENT["paths"]:
        return
    operation = DOCUMENT["paths"][path]["get" if method == "HEAD" else method.lower()]
    responses = operation["responses"]
    described = responses.get(str(response.status), responses.get("default"))
    if described is None:
        yield "this status is not described"
        return
    content = resolved(described).get("content", {})
    if response.status >= 400 and PROBLEM in content:
        yield from _faults_of_problem(response)
    if not content:
        if _body(response):
            yield "a body is not described"
        return
    if response.content_type not in content:
        yield f"{response.content_type} is not described"
    elif response.content_type == "application/json":
        schema = content["application/json"]["schema"]
        yield from faults_of_value(schema, json.loads(_body(response)))


def _faults_of_problem(response: web.StreamResponse) -> Iterator[str]:
    if response.content_type != PROBLEM:
        yield f"{response.content_type} is no problem details"
        return
    document = json.loads(_body(response))
    yield from faults_of_value({"$ref": "#/components/schemas/Problem"}, document)
    if document.get("status") != response.status:
        yield "the problem tells another status"


def faults_of_value(schema: dict[str, Any], value: object) -> Iterator[str]:
    """Return how a value differs from a schema of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    validator = Draft202012Validator(whole, format_checker=FormatChecker())
    for error in validator.iter_errors(value):
        yield f"{error.json_path}: {error.message}"
    if "$ref" in schema:
        # Tells also of what is there and is not described.
        yield from differences(schema["$ref"].rpartition("/")[2], value)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference in the document leads to, or the node itself."""
    while "$ref" in node:
        target: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _body(response: web.StreamResponse) -> bytes:
    if not isinstance(response, web.Response) or response.body is None:
        return b""
    assert isinstance(response.body, bytes)
    return response.body
