"""A client of the event stream, written from its specification and nothing of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.e2e.rig import Rig, until


@dataclass(frozen=True)
class Told:
    """One event."""

    name: str
    data: dict[str, Any]
    id: str
    """Of the last event that had one."""


@dataclass
class EventClient:
    """Everything that one connection was told."""

    told: list[Told] = field(default_factory=list)
    last_id: str = ""
    is_over: bool = False

    def names(self) -> list[str]:
        return [each.name for each in self.told]

    def of(self, name: str) -> list[Told]:
        return [each for each in self.told if each.name == name]

    async def hears(self, name: str, count: int = 1) -> list[Told]:
        """Wait until there are so many events of a name."""
        await until(lambda: len(self.of(name)) >= count, timeout=30)
        return self.of(name)

    async def read(self, lines: aiohttp.StreamReader) -> None:
        """Read until the other end closes."""
        name, data, event_id = "", "", self.last_id
        async for raw in lines:
            line = raw.decode().removesuffix("\n")
            field_name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                # Not before: a connection may be cut between the two.
                self.last_id = event_id
                if data:
                    self.told.append(Told(name, json.loads(data), self.last_id))
                name, data = "", ""
            elif field_name == "event":
                name = value
            elif field_name == "data":
                data += value
            elif field_name == "id":
                event_id = value
        self.is_over = True


@asynccontextmanager
async def listening(
    here: Rig, query: str = "", **headers: str
) -> AsyncIterator[EventClient]:
    """Listen until the block ends, which cuts the connection."""
    url = f"http://127.0.0.1:{here.server.http_port}/api/v1/events?{query}"
    client = EventClient()
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
        session.get(url, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        reading = asyncio.create_task(client.read(response.content))
        try:
            yield client
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
