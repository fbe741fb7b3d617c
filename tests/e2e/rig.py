"""A simulator and a server on one machine, and what a recording of it must be.

The reference decoder is FFmpeg's, through PyAV, so that neither of our two G.711
implementations is its own judge.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile

from relay_client.simulator import (
    CallRequest,
    SentAudio,
    SimCall,
    Simulator,
    SimulatorOptions,
)
from server.app import TapServer
from server.config import load_settings
from server.library.index import RecordingQuery
from server.library.recording import Recording

PROJECT = "project-for-tests"
TOKEN = "token-for-tests"

Audio = npt.NDArray[np.int16]


@dataclass
class Rig:
    """The two ends of a tap."""

    simulator: Simulator
    server: TapServer
    _callers: set[asyncio.Task[None]] = field(default_factory=set)

    def place(self, request: CallRequest) -> SimCall:
        """Place a call that is hung up once its taps have run for `request.seconds`.

        A simulator's call is as long as that from its answer on, and on a busy machine
        it could be over before it is tapped.
        """
        call = self.simulator.place_call(replace(request, seconds=None))
        if request.seconds is not None:
            caller = asyncio.create_task(self._hang_up(call, request.seconds))
            self._callers.add(caller)
            caller.add_done_callback(self._callers.discard)
        return call

    async def close(self) -> None:
        """Let nobody hang up any more."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    async def _hang_up(self, call: SimCall, seconds: float) -> None:
        """Hang up so long after the last of the call's taps has begun to send."""
        taps = 2 if self.server.settings.direction == "stereo" else 1
        with suppress(TimeoutError):
            # Some calls are passed on, and of some taps nothing ever comes.
            await until(lambda: len(call.taps) + call.refusals >= taps, timeout=10)
            await until(lambda: len(_began_at(call)) == taps, timeout=2)
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(_began_at(call), default=now) + seconds - now)
        with suppress(TimeoutError):
            # On a busy machine the simulator itself may be behind.
            await until(lambda: _is_caught_up(call, seconds), timeout=5)
        await call.hang_up()

    async def recordings(self, count: int, timeout: float = 20) -> list[Recording]:
        """Wait until so many recordings are finished; oldest first."""
        await until(lambda: len(self.server.library) >= count, timeout)
        return self.finished()

    async def receiving(self, count: int = 1) -> None:
        """Wait until so many taps receive audio."""
        await until(
            lambda: (
                [s.state for s in self.server.deck.statuses()].count("receiving")
                >= count
            )
        )

    async def hears(self, call: SimCall) -> None:
        """Wait until a tap of this call receives audio."""
        await until(
            lambda: (
                (call.call_id, "receiving")
                in {(s.call_id, s.state) for s in self.server.deck.statuses()}
            )
        )

    def finished(self) -> list[Recording]:
        """Return all recordings, oldest first."""
        found: list[Recording] = []
        cursor: str | None = None
        while True:
            query = RecordingQuery(limit=500, cursor=cursor)
            page = self.server.library.list(query)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found[::-1]

    def channels(self, recording: Recording) -> list[Audio]:
        """Return the audio of each channel."""
        return [np.ascontiguousarray(each) for each in self._read(recording).T]

    def audio(self, recording: Recording) -> Audio:
        """Return the audio of a recording of one channel."""
        (audio,) = self.channels(recording)
        return audio

    def _read(self, recording: Recording) -> Audio:
        path = self.server.library.audio_path(recording.id)
        assert path is not None
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        assert rate == recording.sample_rate
        assert samples.shape == (recording.samples, recording.channels)
        result: Audio = samples
        return result


@asynccontextmanager
async def rig(
    directory: Path,
    *,
    options: SimulatorOptions | None = None,
    **flags: str,
) -> AsyncIterator[Rig]:
    options = options or SimulatorOptions(project=PROJECT, token=TOKEN)
    async with Simulator(options) as simulator:
        given = {
            "project_id": PROJECT,
            "relay_token": TOKEN,
            "space": simulator.host,
            "relay_scheme": "ws",
            "http_listen": "127.0.0.1:0",
            "rtp_listen": "127.0.0.1:0",
            "recordings_dir": str(directory),
            "allow_private_rtp": "true",
            # A sender that says nothing but closes is not waited for long.
            "reconnect_grace_s": "2",
        }
        settings = load_settings(file=None, environ={}, flags={**given, **flags})
        async with TapServer(settings, local_taps=True) as server:
            here = Rig(simulator, server)
            try:
                yield here
            finally:
                await here.close()


async def until(condition: Callable[[], bool], timeout: float = 20) -> None:
    """Look again and again until `condition` holds."""
    async with asyncio.timeout(timeout):
        for _ in itertools.count():
            if condition():
                return
            await asyncio.sleep(0.02)


def _began_at(call: SimCall) -> list[float]:
    """Return when each tap sent its first audio, if it has."""
    return [tap.sent[0].sent_at for tap in call.taps.values() if tap.sent]


def _is_caught_up(call: SimCall, seconds: float) -> bool:
    """Tell whether all taps of a call have sent what was due in `seconds`."""
    media = call.media
    if media.dtx or media.seconds is not None or media.pace != "realtime":
        return True
    return all(
        tap.is_finished or tap.sent_seconds >= seconds - 0.15
        for tap in call.taps.values()
    )


def sent_by(call: SimCall) -> list[SentAudio]:
    (tap,) = call.taps.values()
    return sorted(tap.sent, key=lambda entry: entry.start)


def reference(sent: Sequence[SentAudio], codec: str) -> Audio:
    """Decode what was delivered at its place; zero everywhere else.

    Begins with the first sample that was delivered, as a recording does.
    """
    delivered = [entry for entry in sent if entry.delivered]
    first = delivered[0].start
    end = max(entry.start + entry.samples for entry in delivered)
    audio = np.zeros(end - first, dtype=np.int16)
    for entry, samples in zip(delivered, _decode(delivered, codec), strict=True):
        begin = entry.start - first
        audio[begin : begin + entry.samples] = samples
    return audio


def loudness_at(audio: Audio, rate: int, frequency: float) -> float:
    """Return the amplitude of a tone in `audio`, 1.0 being full scale."""
    time = np.arange(len(audio)) / rate
    wave = np.exp(-2j * np.pi * frequency * time)
    return float(2 * abs(np.mean(audio / 32768 * wave)))


def _decode(entries: Iterable[SentAudio], codec: str) -> list[Audio]:
    name = {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[codec]
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    decoded = []
    for entry in entries:
        frames = decoder.decode(av.Packet(entry.payload))
        decoded.append(np.concatenate([f.to_ndarray().ravel() for f in frames]))
    return decoded
