"""docs/events.md is true: its command works, its tables are those of the code."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from relay_client.simulator import CallRequest
from server.events.hub import MAX_LISTENERS
from server.events.kinds import KINDS, MISSED, SNAPSHOT
from server.news import MAX_REPLIES_A_SECOND
from tests.e2e.rig import rig
from tests.schema import DOCUMENT

PAGE = (Path(__file__).parents[2] / "docs/events.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_the_command_shows_a_tap_and_its_recording(tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n(curl .*?)```", PAGE, re.DOTALL)
    token = "a token for the example"
    async with rig(tmp_path, api_token=token) as here:
        command = block.replace(
            "https://tapdeck.example.com", f"http://127.0.0.1:{here.server.http_port}"
        )
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f"exec {command}"),
            stdout=PIPE,
            env={**os.environ, "TAPDECK_API_TOKEN": token},
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(30):
                shown = await process.stdout.readuntil(b"event: snapshot\n")
                here.place(CallRequest(speak="tone:440", seconds=1))
                shown += await process.stdout.readuntil(b"event: tap.ended\n")
        finally:
            process.kill()
            await process.communicate()
    names = re.findall(r"^event: (.*)$", shown.decode(), re.MULTILINE)
    assert names == [
        "snapshot",
        "tap.began",
        "tap.state",
        "tap.state",
        "recording.finished",
        "tap.ended",
    ]


def test_the_events_are_those_of_the_code() -> None:
    (table,) = re.findall(r"^\| Event .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = [
        name
        for row in table.strip().splitlines()[2:]
        for name in re.findall(r"`([a-z.]+)`", row.split("|")[1])
    ]
    assert set(named) == {*KINDS, SNAPSHOT, MISSED, "levels", "tap.progress"}


def test_the_parameters_are_those_of_the_api() -> None:
    (table,) = re.findall(r"^\| Parameter .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = {
        name
        for row in table.strip().splitlines()[2:]
        for name in re.findall(r"`([a-z_]+)(?:=1)?`", row.split("|")[1])
    }
    described = DOCUMENT["paths"]["/api/v1/events"]["get"]["parameters"]
    assert named == {each["name"] for each in described if each["in"] == "query"}


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"{MAX_LISTENERS} listen at a time" in PAGE
    assert f"at most {MAX_REPLIES_A_SECOND} a second" in PAGE
