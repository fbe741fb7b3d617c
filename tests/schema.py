"""Compares JSON with its description in OpenAPI, as far as ours uses the language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "server/transports/openapi.json").read_text()
)

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def differences(name: str, value: object) -> list[str]:
    """Return how a value differs from the schema of this name; nothing if it fits."""
    return list(_differences({"$ref": f"#/components/schemas/{name}"}, value, name))


def _differences(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = DOCUMENT["components"]["schemas"][name]
    if "oneOf" in schema:
        found = [list(_differences(each, value, path)) for each in schema["oneOf"]]
        if all(found):
            yield f"{path} fits none: {found}"
        return
    types = schema.get("type", [])
    names = [types] if isinstance(types, str) else types
    if names and not any(_is_of(value, name) for name in names):
        yield f"{path} is {value!r}, not of {names}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, none of {schema['enum']}"
    least, most = schema.get("minimum"), schema.get("maximum")
    if (least is not None and value < least) or (most is not None and value > most):
        yield f"{path} is {value}, out of bounds"
    if isinstance(value, dict):
        yield from _of_object(schema, value, path)
    if isinstance(value, list) and "items" in schema:
        for at, each in enumerate(value):
            yield from _differences(schema["items"], each, f"{path}[{at}]")


def _of_object(
    schema: dict[str, Any], value: dict[str, Any], path: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path} has no {name}"
    for name, each in value.items():
        if name in properties:
            yield from _differences(properties[name], each, f"{path}.{name}")
        elif properties:
            yield f"{path}.{name} is not described"


def _is_of(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])
