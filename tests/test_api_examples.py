"""docs/api.md is true: its examples work, as they stand, with the real curl."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import soundfile

from server.transports.http_roles import Role
from tests.server.library.builders import publish
from tests.server.transports.http_fakes import TOKEN, running, tap

PAGE = (Path(__file__).parent.parent / "docs/api.md").read_text(encoding="utf-8")
EXAMPLES = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


async def run(script: str, folder: Path, variables: dict[str, str]) -> str:
    """Run a script of the shell; return what it wrote, and fail where it fails."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euxc",
        script,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "no_proxy": "*", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        written, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return written.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_examples_work(tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    async with running(tmp_path / "recordings", token=TOKEN, undo_s=60) as deck:
        deck.taps.live = [tap("tap-1")]
        kept = publish(deck.library)
        variables = {
            "API": f"http://127.0.0.1:{deck.client.port}/api/v1",
            "TOKEN": TOKEN,
            "ID": kept.id,
            "TAP": "tap-1",
        }

        written = await run(EXAMPLES, downloads, variables)

        changed = deck.library.get(kept.id)
        assert changed is not None
        assert (changed.tags, changed.legal_hold) == (("complaint",), False)
        assert changed.note == "Asked to be called back"
        assert written.count(kept.id) >= 4
        assert '"role": "manage"' in written
    assert soundfile.info(downloads / f"{kept.id}.wav").frames == 800
    assert (downloads / "part.raw").stat().st_size == 1600
    with zipfile.ZipFile(downloads / "recordings.zip") as package:
        assert package.namelist() == [f"{kept.id}.wav", f"{kept.id}.json"]


def test_the_roles_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `\w+_token` \|", PAGE, re.MULTILINE)
    assert rows == [role.word for role in Role]
