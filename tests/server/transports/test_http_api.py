"""The HTTP API, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import soundfile

from server.audio import GapCause, Outcome, PacketCounts
from server.library.recording import TimedGap
from server.taps.refusal import TapRefusedError
from server.taps.status import StartTap
from server.transports.http_api import Readiness
from server.transports.http_query import MAX_TAPS
from tests.server.library.builders import HOSTILE, publish, recording
from tests.server.transports.http_fakes import Deck, problem, running, tap

RECORDINGS = "/api/v1/recordings"
TAPS = "/api/v1/taps"


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path / "recordings") as deck:
        yield deck


async def listed(deck: Deck, **parameters: Any) -> list[str]:
    response = await deck.client.get(RECORDINGS, params=parameters)
    assert response.status == 200
    return [item["call_id"] for item in (await response.json())["items"]]


class TestTaps:
    async def test_taps_are_listed_as_they_are(self, deck: Deck) -> None:
        deck.taps.live = [
            tap(
                from_number="+15550100",
                to_number="+15550199",
                context="support",
                tags=("stt",),
                codec="PCMU",
                sample_rate=8000,
                started_at=datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC),
                duration_s=1.5,
                packets=PacketCounts(75, 1, 2, 3, 4, 5.5),
                drops=(("runt", 2),),
                recording_ids=("r",),
                custom_parameters={"agent": "7"},
            )
        ]

        document = await (await deck.client.get(TAPS)).json()

        assert document == {
            "items": [
                {
                    "control_id": "tap-1",
                    "call_id": "call-1",
                    "node_id": "node-1",
                    "direction": "both",
                    "transport": "ws",
                    "origin": "api",
                    "state": "receiving",
                    "paused": False,
                    "reason": "",
                    "from": "+15550100",
                    "to": "+15550199",
                    "context": "support",
                    "tags": ["stt"],
                    "codec": "PCMU",
                    "sample_rate": 8000,
                    "created_at": "2026-11-22T12:00:00.000Z",
                    "started_at": "2026-11-22T12:00:01.000Z",
                    "duration_s": 1.5,
                    "packets": {
                        "received": 75,
                        "lost": 1,
                        "late": 2,
                        "duplicate": 3,
                        "reordered": 4,
                    },
                    "jitter_ms": 5.5,
                    "drops": {"runt": 2},
                    "warnings": [],
                    "recording_ids": ["r"],
                    "custom_parameters": {"agent": "7"},
                    "forwards": [],
                    "verdict": None,
                }
            ],
            "live": 1,
            "total": 1,
        }

    async def test_a_list_is_told_to_all_who_ask_within_a_second(
        self, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deck.taps.live = [tap()]
        first = await (await deck.client.get(TAPS)).text()
        deck.taps.live = [tap("tap-2")]

        assert await (await deck.client.get(TAPS)).text() == first
        assert deck.taps.asked == 1
        monkeypatch.setattr("server.transports.http_api.LIST_AGE_S", 0.0)
        assert "tap-2" in await (await deck.client.get(TAPS)).text()

    async def test_what_is_started_or_stopped_is_in_the_list_at_once(
        self, deck: Deck
    ) -> None:
        async def states() -> list[str]:
            document = await (await deck.client.get(TAPS)).json()
            return [item["state"] for item in document["items"]]

        assert await states() == []
        await deck.client.post(TAPS, json={"call_id": "c", "node_id": "n"})
        assert await states() == ["receiving"]
        await deck.client.delete(f"{TAPS}/tap-1")
        assert await states() == ["finished"]

    async def test_no_more_taps_are_listed_than_are_asked_for(self, deck: Deck) -> None:
        deck.taps.live = [tap(f"tap-{n}") for n in range(MAX_TAPS + 5)]

        whole = await (await deck.client.get(TAPS)).json()
        some = await (await deck.client.get(TAPS, params={"limit": "2"})).json()

        assert len(whole["items"]) == MAX_TAPS
        assert whole["live"] == whole["total"] == MAX_TAPS + 5
        assert [each["control_id"] for each in some["items"]] == ["tap-0", "tap-1"]

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "q=1"])
    async def test_a_list_that_cannot_be_is_refused(
        self, deck: Deck, query: str
    ) -> None:
        response = await deck.client.get(f"{TAPS}?{query}")

        assert response.status == 400
        assert (await problem(response))["field"] == query.partition("=")[0]

    async def test_a_tap_that_heard_nothing_has_no_times_yet(self, deck: Deck) -> None:
        deck.taps.live = [tap(state="waiting")]

        (item,) = (await (await deck.client.get(TAPS)).json())["items"]

        assert item["started_at"] is None
        assert item["sample_rate"] is None

    async def test_a_tap_is_started(self, deck: Deck) -> None:
        body = {
            "call_id": "c",
            "node_id": "n",
            "direction": "stereo",
            "transport": "rtp",
        }

        response = await deck.client.post(TAPS, json={**body, "tags": [" a ", "b"]})

        assert response.status == 201
        assert (await response.json())["call_id"] == "c"
        (started,) = deck.taps.started
        assert (started.direction, started.transport) == ("stereo", "rtp")
        assert (started.call_id, started.node_id) == ("c", "n")
        assert started.tags == ("a", "b")

    async def test_direction_and_transport_may_be_left_to_the_settings(
        self, deck: Deck
    ) -> None:
        body = {"call_id": "c", "node_id": "n", "transport": None}

        response = await deck.client.post(TAPS, json=body)

        assert response.status == 201
        assert deck.taps.started == [StartTap(call_id="c", node_id="n")]

    async def test_hear_is_another_word_for_listen(self, deck: Deck) -> None:
        body = {"call_id": "c", "node_id": "n", "direction": "hear"}

        await deck.client.post(TAPS, json=body)

        assert deck.taps.started[0].direction == "listen"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"call_id": ""}, "call_id"),
            ({"call_id": None}, "call_id"),
            ({"call_id": 5}, "call_id"),
            ({"call_id": "a\x00b"}, "call_id"),
            ({"call_id": "x" * 257}, "call_id"),
            ({"node_id": ["n"]}, "node_id"),
            ({"node_id": "\ud800"}, "node_id"),
            ({"direction": "up"}, "direction"),
            ({"direction": 1}, "direction"),
            ({"transport": "carrier pigeon"}, "transport"),
            ({"codec": "PCMU"}, "codec"),
        ],
    )
    async def test_a_wrong_field_is_named(
        self, deck: Deck, change: dict[str, Any], field: str
    ) -> None:
        body = {"call_id": "c", "node_id": "n", **change}

        response = await deck.client.post(TAPS, json=body)

        assert response.status == 400
        assert (await problem(response))["field"] == field
        assert deck.taps.started == []

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 60_000, b"1" * 5000]
    )
    async def test_a_body_that_is_no_object_is_refused(
        self, deck: Deck, body: bytes
    ) -> None:
        response = await deck.client.post(
            TAPS, data=body, headers={"Content-Type": "application/json"}
        )

        assert response.status == 400
        await problem(response)

    async def test_a_huge_body_is_refused(self, deck: Deck) -> None:
        response = await deck.client.post(TAPS, json={"call_id": "x" * 100_000})

        assert response.status == 413
        await problem(response)

    async def test_a_body_that_never_ends_is_refused(
        self, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("server.transports.http_body.BODY_TIMEOUT_S", 0.05)
        answered = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"{"
            async with asyncio.timeout(10):
                await answered.wait()

        response = await deck.client.post(
            TAPS, data=body(), headers={"Content-Type": "application/json"}
        )
        answered.set()

        assert response.status == 408
        await problem(response)

    async def test_only_json_is_taken(self, deck: Deck) -> None:
        response = await deck.client.post(TAPS, data={"call_id": "c", "node_id": "n"})

        assert response.status == 415
        await problem(response)

    async def test_a_refusal_is_passed_on(self, deck: Deck) -> None:
        deck.taps.refusal = TapRefusedError(409, "This call is tapped already.")

        response = await deck.client.post(TAPS, json={"call_id": "c", "node_id": "n"})

        assert response.status == 409
        assert (await problem(response))["detail"] == "This call is tapped already."

    async def test_silence_about_a_tap_has_a_deadline(
        self, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr("server.transports.http_api.TAP_TIMEOUT_S", 0.01)
        monkeypatch.setattr(deck.taps, "start", never)
        monkeypatch.setattr(deck.taps, "stop", never)

        started = await deck.client.post(TAPS, json={"call_id": "c", "node_id": "n"})
        stopped = await deck.client.delete(f"{TAPS}/tap-1")

        assert [started.status, stopped.status] == [504, 504]

    async def test_a_tap_is_stopped(self, deck: Deck) -> None:
        deck.taps.live = [tap("one"), tap("other")]

        response = await deck.client.delete(f"{TAPS}/other")

        assert response.status == 200
        assert (await response.json())["state"] == "finished"
        assert [status.state for status in deck.taps.live] == ["receiving", "finished"]

    async def test_recording_is_paused_and_goes_on(self, deck: Deck) -> None:
        deck.taps.live = [tap("tap-1")]

        paused = await deck.client.post(f"{TAPS}/tap-1/pause")
        resumed = await deck.client.post(f"{TAPS}/tap-1/resume")
        unknown = await deck.client.post(f"{TAPS}/tap-2/pause")

        assert (paused.status, resumed.status, unknown.status) == (200, 200, 404)
        assert (await paused.json())["paused"] is True
        assert (await resumed.json())["paused"] is False

    @pytest.mark.parametrize("name", ["nobody", *HOSTILE])
    async def test_stopping_what_is_not_there_is_no_error_of_ours(
        self, deck: Deck, name: str
    ) -> None:
        response = await deck.client.delete(
            f"{TAPS}/{quote(name.encode('utf-8', 'replace'), safe='')}"
        )

        assert response.status == 404
        await problem(response)


class TestRecordings:
    async def test_they_come_newest_first_as_they_are_kept(self, deck: Deck) -> None:
        publish(deck.library, call_id="old")
        kept = publish(deck.library, minutes=1, call_id="new")

        response = await deck.client.get(RECORDINGS)

        document = await response.json()
        assert [item["call_id"] for item in document["items"]] == ["new", "old"]
        assert document["items"][0] == kept.to_json()
        assert document["next_cursor"] is None

    async def test_pages_lead_to_each_other(self, deck: Deck) -> None:
        for minute in range(5):
            publish(deck.library, minutes=minute, call_id=str(minute))
        seen, parameters = [], {"limit": "2"}
        while True:
            response = await deck.client.get(RECORDINGS, params=parameters)
            document = await response.json()
            seen.append([item["call_id"] for item in document["items"]])
            if document["next_cursor"] is None:
                break
            parameters["cursor"] = document["next_cursor"]

        assert seen == [["4", "3"], ["2", "1"], ["0"]]

    async def test_every_filter_of_the_contract_works(self, deck: Deck) -> None:
        publish(deck.library, call_id="a", direction="speak", from_number="+15550111")
        publish(deck.library, minutes=1, call_id="b", direction="listen")
        publish(deck.library, minutes=24 * 60, call_id="c", direction="listen")

        assert await listed(deck, q="0111") == ["a"]
        assert await listed(deck, direction="listen") == ["c", "b"]
        assert await listed(deck, direction="hear", call_id="b") == ["b"]
        assert await listed(deck, call_id="a") == ["a"]
        assert await listed(deck, to="2026-11-22") == ["b", "a"]
        assert await listed(deck, **{"from": "2026-11-23"}) == ["c"]
        assert await listed(deck, **{"from": "2026-11-22T12:01:00Z"}) == ["c", "b"]
        assert await listed(deck, to="2026-11-22T13:01:00.000+01:00") == ["a"]
        assert await listed(deck, to="2026-11-22T12:01") == ["a"]
        assert await listed(deck, q="", direction="", limit="") == ["c", "b", "a"]

    @pytest.mark.parametrize(
        ("parameter", "value"),
        [
            ("limit", "0"),
            ("limit", "501"),
            ("limit", "-1"),
            ("limit", "ten"),
            ("limit", "\u0661"),
            ("limit", "9" * 5000),
            ("from", "yesterday"),
            ("from", "2026-13-01"),
            ("to", "9999-12-31"),
            ("to", "2026-11-22T12:00:00 01:00"),
            ("direction", "sideways"),
            ("state", "perfect"),
            ("cursor", "AAAA"),
            ("q", "x" * 201),
            ("page", "2"),
        ],
    )
    async def test_a_wrong_parameter_is_named(
        self, deck: Deck, parameter: str, value: str
    ) -> None:
        response = await deck.client.get(RECORDINGS, params={parameter: value})

        assert response.status == 400
        assert (await problem(response))["field"] == parameter

    async def test_a_parameter_given_twice_is_refused(self, deck: Deck) -> None:
        response = await deck.client.get(f"{RECORDINGS}?limit=1&limit=2")

        assert response.status == 400
        assert (await problem(response))["field"] == "limit"

    async def test_one_recording_has_all_its_gaps(self, deck: Deck) -> None:
        gaps = tuple(TimedGap(at, 0.02, GapCause.LOST) for at in range(150))
        kept = publish(deck.library, gaps=gaps)

        (item,) = (await (await deck.client.get(RECORDINGS)).json())["items"]
        one = await (await deck.client.get(f"{RECORDINGS}/{kept.id}")).json()

        assert (len(item["gaps"]), item["gaps_omitted"]) == (100, 50)
        assert (len(one["gaps"]), one["gaps_omitted"]) == (150, 0)
        assert one == kept.to_json()

    async def test_a_deleted_recording_is_gone(self, deck: Deck) -> None:
        kept = publish(deck.library)

        first = await deck.client.delete(f"{RECORDINGS}/{kept.id}")
        again = await deck.client.delete(f"{RECORDINGS}/{kept.id}")

        assert [first.status, again.status] == [204, 404]
        assert deck.library.get(kept.id) is None
        assert await listed(deck) == []

    async def test_a_deletion_is_undone(self, tmp_path: Path) -> None:
        async with running(tmp_path, undo_s=600) as deck:
            kept = publish(deck.library)
            url = f"{RECORDINGS}/{kept.id}"

            assert (await deck.client.delete(url)).status == 204
            for path in (url, f"{url}/audio"):
                assert (await deck.client.get(path)).status == 404
            assert (await deck.client.delete(url)).status == 404
            assert (await deck.client.patch(url, json={"note": "x"})).status == 404
            assert await listed(deck) == []

            undone = await deck.client.post(f"{url}/undo")
            again = await deck.client.post(f"{url}/undo")

            assert [undone.status, again.status] == [200, 200]
            assert await undone.json() == await again.json() == kept.to_json()
            assert await listed(deck) == ["call-1"]
            assert (await deck.client.get(f"{url}/audio")).status == 200

    async def test_without_undo_what_is_deleted_is_gone(self, deck: Deck) -> None:
        kept = publish(deck.library)
        url = f"{RECORDINGS}/{kept.id}"

        await deck.client.delete(url)

        assert (await deck.client.post(f"{url}/undo")).status == 404
        assert not (deck.library.root / ".deleted").exists()

    async def test_a_hold_refuses_deletion_with_undo_too(self, tmp_path: Path) -> None:
        async with running(tmp_path, undo_s=600) as deck:
            kept = publish(deck.library, legal_hold=True)

            response = await deck.client.delete(f"{RECORDINGS}/{kept.id}")

            assert response.status == 409
            assert "legal hold" in (await problem(response))["detail"]
            assert deck.library.get(kept.id) == kept

    async def test_tags_note_and_hold_are_changed_and_found(self, deck: Deck) -> None:
        kept = publish(deck.library)
        url = f"{RECORDINGS}/{kept.id}"

        first = await deck.client.patch(
            url, json={"tags": ["vip"], "note": "Asked for Ms Ünal", "legal_hold": True}
        )
        second = await deck.client.patch(url, json={"tags": ["vip", "done"]})

        assert [first.status, second.status] == [200, 200]
        changed = await second.json()
        assert changed == {
            **kept.to_json(),
            "tags": ["vip", "done"],
            "note": "Asked for Ms Ünal",
            "legal_hold": True,
        }
        assert await (await deck.client.get(url)).json() == changed
        (item,) = (await (await deck.client.get(RECORDINGS)).json())["items"]
        assert item == changed
        assert await listed(deck, tag="done") == ["call-1"]
        assert await listed(deck, q="ünal") == ["call-1"]
        assert await listed(deck, tag="other") == []

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"tags": "vip"}, "tags"),
            ({"tags": ["x" * 65]}, "tags"),
            ({"tags": ["x"] * 3 + [""]}, "tags"),
            ({"note": "x" * 4097}, "note"),
            ({"note": "\u202eabc"}, "note"),
            ({"note": "a\x00b"}, "note"),
            ({"note": "\x1b[31m"}, "note"),
            ({"note": "\ud800"}, "note"),
            ({"tags": ["\u202evip"]}, "tags"),
            ({"tags": ["a\nb"]}, "tags"),
            ({"tags": ["\u200f"]}, "tags"),
            ({"legal_hold": None}, "legal_hold"),
            ({"state": "complete"}, "state"),
            ([], ""),
        ],
    )
    async def test_a_wrong_change_is_named_and_changes_nothing(
        self, deck: Deck, body: Any, field: str
    ) -> None:
        kept = publish(deck.library)

        response = await deck.client.patch(f"{RECORDINGS}/{kept.id}", json=body)

        assert response.status == 400
        assert (await problem(response)).get("field", "") == field
        assert deck.library.get(kept.id) == kept

    @pytest.mark.parametrize("name", ["20261122T120000123Z-abcdefgh", *HOSTILE])
    async def test_what_is_not_there_cannot_be_changed(
        self, deck: Deck, name: str
    ) -> None:
        path = quote(name.encode("utf-8", "replace"), safe="")

        response = await deck.client.patch(f"{RECORDINGS}/{path}", json={"note": "x"})

        assert response.status == 404
        await problem(response)

    async def test_what_is_on_hold_is_not_deleted(self, deck: Deck) -> None:
        kept = publish(deck.library)
        url = f"{RECORDINGS}/{kept.id}"
        await deck.client.patch(url, json={"legal_hold": True})

        refused = await deck.client.delete(url)
        assert refused.status == 409
        assert "legal hold" in (await problem(refused))["detail"]
        assert (await deck.client.get(f"{url}/audio")).status == 200

        await deck.client.patch(url, json={"legal_hold": False})
        assert (await deck.client.delete(url)).status == 204

    async def test_states_are_filtered(self, deck: Deck) -> None:
        publish(deck.library, call_id="a", state=Outcome.PARTIAL)
        publish(deck.library, minutes=1, call_id="b")

        assert await listed(deck, state="partial") == ["a"]
        assert await listed(deck, state="complete", direction="both") == ["b"]

    async def test_a_list_that_cannot_be_read_is_no_fault_of_the_request(
        self, deck: Deck
    ) -> None:
        kept = publish(deck.library)
        deck.library.catalogue.index.close()
        (deck.library.root / ".index.sqlite").write_bytes(b"no database" * 1000)

        response = await deck.client.get(RECORDINGS)

        assert response.status == 503
        assert "index cannot be read" in (await problem(response))["detail"]
        assert (await deck.client.get(f"{RECORDINGS}/{kept.id}")).status == 200

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_what_was_never_there_is_not_brought_back(
        self, deck: Deck, name: str
    ) -> None:
        path = quote(name.encode("utf-8", "replace"), safe="")

        response = await deck.client.post(f"{RECORDINGS}/{path}/undo")

        assert response.status == 404
        await problem(response)

    @pytest.mark.parametrize("tail", ["", "/audio"])
    @pytest.mark.parametrize("name", ["20261122T120000123Z-abcdefgh", *HOSTILE])
    async def test_what_is_not_there_is_not_found(
        self, deck: Deck, name: str, tail: str
    ) -> None:
        publish(deck.library)
        path = quote(name.encode("utf-8", "replace"), safe="")

        response = await deck.client.get(f"{RECORDINGS}/{path}{tail}")

        assert response.status == 404
        await problem(response)

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_hostile_names_are_only_data(self, deck: Deck, name: str) -> None:
        kept = publish(deck.library, call_id=name, from_number=name)

        response = await deck.client.get(f"{RECORDINGS}/{kept.id}")

        assert response.content_type == "application/json"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert (await response.json())["call_id"] == name

    async def test_a_disk_that_hangs_costs_only_the_request(
        self, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()
        monkeypatch.setattr("server.transports.http_api.LIBRARY_TIMEOUT_S", 0.05)
        monkeypatch.setattr(deck.library, "get", lambda _: release.wait(10))

        hanging = await deck.client.get(f"{RECORDINGS}/x")
        health = await deck.client.get("/healthz")
        release.set()

        assert [hanging.status, health.status] == [503, 200]
        assert "in time" in (await problem(hanging))["detail"]

    async def test_a_disk_that_fails_is_told_without_paths(
        self, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: str) -> None:
            raise PermissionError(13, "Permission denied", "/secret/place")

        monkeypatch.setattr(deck.library, "delete", fail)

        response = await deck.client.delete(f"{RECORDINGS}/x")

        assert response.status == 503
        detail = (await problem(response))["detail"]
        assert detail == "The recordings directory cannot be used: Permission denied."


class TestAudio:
    async def test_the_audio_is_a_wav(self, deck: Deck) -> None:
        kept = publish(deck.library)

        response = await deck.client.get(f"{RECORDINGS}/{kept.id}/audio")

        assert response.status == 200
        assert response.content_type == "audio/wav"
        assert response.headers["Accept-Ranges"] == "bytes"
        disposition = response.headers["Content-Disposition"]
        assert disposition == f'inline; filename="{kept.id}.wav"'
        samples, rate = soundfile.read(io.BytesIO(await response.read()), dtype="int16")
        assert rate == 8000
        assert samples.tolist() == list(range(800))

    async def test_a_part_of_it_can_be_asked_for(self, deck: Deck) -> None:
        kept = publish(deck.library)
        url = f"{RECORDINGS}/{kept.id}/audio"
        whole = await (await deck.client.get(url)).read()

        part = await deck.client.get(url, headers={"Range": "bytes=100-199"})
        tail = await deck.client.get(url, headers={"Range": "bytes=-10"})
        beyond = await deck.client.get(url, headers={"Range": "bytes=99999-"})

        assert part.status == 206
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
        assert await part.read() == whole[100:200]
        assert await tail.read() == whole[-10:]
        assert beyond.status == 416

    async def test_head_tells_its_size(self, deck: Deck) -> None:
        kept = publish(deck.library)

        response = await deck.client.head(f"{RECORDINGS}/{kept.id}/audio")

        assert response.status == 200
        assert response.headers["Content-Length"] == str(44 + 2 * 800)
        assert await response.read() == b""

    async def test_a_recording_without_audio_says_so(self, deck: Deck) -> None:
        recording_id = "20261122T120000123Z-abcdefgh"
        deck.library.publish(
            recording(recording_id, state=Outcome.MISSING), has_audio=False
        )

        response = await deck.client.get(f"{RECORDINGS}/{recording_id}/audio")

        assert response.status == 404
        detail = (await problem(response))["detail"]
        assert detail == "This recording has no audio."


class TestHealth:
    async def test_a_living_server_is_healthy_even_if_not_ready(
        self, deck: Deck
    ) -> None:
        deck.taps.state = Readiness(False, ("RELAY is not connected",), "connecting")

        health = await deck.client.get("/healthz")
        ready = await deck.client.get("/readyz")

        assert health.status == 200
        assert ready.status == 503
        assert await ready.json() == {
            "ready": False,
            "reasons": ["RELAY is not connected"],
            "relay": "connecting",
        }

    async def test_a_ready_server_says_so(self, deck: Deck) -> None:
        response = await deck.client.get("/readyz")

        assert response.status == 200
        assert (await response.json())["ready"] is True

    async def test_metrics_are_those_of_the_taps(self, deck: Deck) -> None:
        deck.taps.live = [tap(packets=PacketCounts(received=7))]

        response = await deck.client.get("/metrics")

        assert response.content_type == "text/plain"
        assert 'tapdeck_packets_total{transport="ws"} 7.0' in await response.text()


class TestErrors:
    async def test_an_unknown_address_is_a_problem(self, deck: Deck) -> None:
        response = await deck.client.get("/api/v1/nothing")

        assert response.status == 404
        await problem(response)

    async def test_a_wrong_method_names_the_right_ones(self, deck: Deck) -> None:
        response = await deck.client.put(TAPS)

        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
        await problem(response)

    async def test_a_fault_of_ours_is_logged_and_not_shown(
        self,
        deck: Deck,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def fail(limit: int) -> None:
            raise RuntimeError("a secret")

        monkeypatch.setattr(deck.taps, "page", fail)

        with caplog.at_level(logging.ERROR):
            response = await deck.client.get(TAPS)

        assert response.status == 500
        assert "secret" not in (await problem(response))["detail"]
        assert "a secret" in caplog.text

    async def test_a_refusal_with_a_status_nobody_knows_is_still_a_problem(
        self, deck: Deck
    ) -> None:
        deck.taps.refusal = TapRefusedError(499, "Odd.")

        response = await deck.client.post(TAPS, json={"call_id": "c", "node_id": "n"})

        assert (await problem(response))["title"] == "Error"


class TestOpenApi:
    async def test_it_describes_exactly_the_routes_there_are(self, deck: Deck) -> None:
        document = await (await deck.client.get("/api/v1/openapi.json")).json()
        described = {
            (path, method)
            for path, item in document["paths"].items()
            for method in item
            if method != "parameters"
        }
        app = deck.client.app
        assert app is not None
        served = {
            (route.resource.canonical, route.method.lower())
            for route in app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        pages = {("/", "get"), ("/ui/{name}", "get"), ("/login", "get")}
        pages |= {
            ("/login", "post"),
            ("/logout", "post"),
            ("/tap", "get"),
            ("/tap/{token}", "get"),
        }

        assert document["openapi"] == "3.1.0"
        assert described == served - pages

    async def test_it_names_every_field_that_is_answered(self, deck: Deck) -> None:
        kept = publish(
            deck.library, gaps=(TimedGap(0.0, 0.1, GapCause.LOST),), ended_at=None
        )
        deck.taps.live = [tap()]
        document = await (await deck.client.get("/api/v1/openapi.json")).json()
        schemas = document["components"]["schemas"]
        (live,) = (await (await deck.client.get(TAPS)).json())["items"]

        for name, answer in (("Recording", kept.to_json()), ("Tap", live)):
            assert set(schemas[name]["properties"]) == set(answer)
            assert set(schemas[name]["required"]) == set(answer)

    async def test_every_reference_in_it_leads_somewhere(self, deck: Deck) -> None:
        document = await (await deck.client.get("/api/v1/openapi.json")).json()

        def references(node: Any) -> list[str]:
            if isinstance(node, dict):
                own = [node["$ref"]] if "$ref" in node else []
                return own + [
                    ref for value in node.values() for ref in references(value)
                ]
            if isinstance(node, list):
                return [ref for value in node for ref in references(value)]
            return []

        found = references(document)
        assert found
        for reference in found:
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]
            assert node

    def test_its_file_is_written_the_one_way(self) -> None:
        """Two spaces and a line end, so that changes to it are easy to read."""
        path = Path(__file__).parents[3] / "server/transports/openapi.json"
        text = path.read_text()

        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
