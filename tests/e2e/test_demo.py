"""The first thing that anybody runs does what it says."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import soundfile

from tests.e2e.rig import loudness_at

SECONDS = 3


async def test_the_demo_leaves_a_wav_of_each_transport_with_both_tones(
    tmp_path: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "demo", "--exit"),
        *("--seconds", str(SECONDS), "--http-listen", "127.0.0.1:0"),
        *("--recordings-dir", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    said = output.decode()
    assert process.returncode == 0, said
    assert "Tapdeck is at http://127.0.0.1:" in said
    _check_recordings(tmp_path, said)


def _check_recordings(directory: Path, said: str) -> None:
    documents = [json.loads(path.read_text()) for path in directory.rglob("*.json")]
    assert {each["transport"] for each in documents} == {"ws", "rtp"}
    assert len(documents) == 2
    for document in documents:
        (path,) = directory.rglob(f"{document['id']}.wav")
        assert path.name in said
        audio, rate = soundfile.read(path, dtype="int16")
        assert abs(len(audio) / rate - SECONDS) < 0.5
        for start in range(0, len(audio) - rate // 2, rate // 2):
            part = audio[start : start + rate // 2]
            assert loudness_at(part, rate, 440) > 0.1, (document, start)
            assert loudness_at(part, rate, 880) > 0.1, (document, start)
            assert loudness_at(part, rate, 660) < 0.01
