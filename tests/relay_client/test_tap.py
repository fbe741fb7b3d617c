"""Taps: every order of reply, event and end, and nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay_client import (
    ArgumentError,
    Call,
    RelayClient,
    RelayError,
    RelayEvent,
    TapAction,
    TapError,
    TapEvent,
    TapState,
)
from tests.relay_client.fake_server import (
    TAP_BOTH,
    WS_DEVICE,
    FakeServer,
    Json,
    connected,
    error,
    result,
)


@asynccontextmanager
async def tappable(**kwargs: Any) -> AsyncIterator[tuple[FakeServer, Call]]:
    """Give a server and an answered call on it."""
    async with connected(**kwargs) as (server, client):
        yield server, client.attach("c-1", "n-1")


async def tap(call: Call, **kwargs: Any) -> TapAction:
    async with asyncio.timeout(5):
        return await call.tap(TAP_BOTH, WS_DEVICE, **kwargs)


async def live_tap(server: FakeServer, call: Call, **kwargs: Any) -> TapAction:
    action = await tap(call, **kwargs)
    await server.tap_state(action.control_id, "tapping")
    await action.wait_started(5)
    return action


async def test_a_tap_sends_what_the_official_client_sends() -> None:
    async with tappable() as (server, call):
        action = await live_tap(server, call, control_id="t-1")
        await action.stop()
        (started,), (stopped,) = (
            server.sent("calling.tap"),
            server.sent("calling.tap.stop"),
        )
    assert started.params == {
        "node_id": "n-1",
        "call_id": "c-1",
        "control_id": "t-1",
        "tap": TAP_BOTH,
        "device": WS_DEVICE,
    }
    assert stopped.params == {"node_id": "n-1", "call_id": "c-1", "control_id": "t-1"}


async def test_a_tap_lives_from_tapping_to_finished() -> None:
    async with tappable() as (server, call):
        action = await tap(call)
        assert (action.state, action.is_done) == (TapState.STARTING, False)
        await server.tap_state(action.control_id, "tapping")
        await action.wait_started(5)
        assert str(action.state) == "tapping"
        await action.stop()
        await server.tap_state(action.control_id, "finished")
        event = await action.wait(5)
        assert isinstance(event, TapEvent)
        assert action.result is event
        assert (event.state, event.device) == ("finished", WS_DEVICE)
        assert action.completed
        assert (action.state, action.error) == (TapState.FINISHED, None)
        assert call.actions == []


async def test_the_platforms_sending_side_is_told() -> None:
    source = {"type": "rtp", "params": {"addr": "10.10.10.10", "port": "30030"}}
    async with tappable() as (server, call):
        server.scripts["calling.tap"] = lambda _: result(source_device=source)
        action = await tap(call)
        assert action.source_device is not None
        assert (action.source_device.addr, action.source_device.port) == (
            "10.10.10.10",
            30030,
        )


@pytest.mark.parametrize(
    ("order", "state"),
    [
        (["reply", "tapping", "finished"], TapState.FINISHED),
        (["tapping", "reply", "finished"], TapState.FINISHED),
        (["tapping", "finished", "reply"], TapState.FINISHED),
        (["reply", "finished", "tapping"], TapState.FAILED),
        (["finished", "reply", "tapping"], TapState.FAILED),
        (["finished", "tapping", "reply"], TapState.FAILED),
    ],
)
async def test_reply_and_events_come_in_any_order(
    order: list[str], state: TapState
) -> None:
    async with tappable() as (server, call):
        server.scripts["calling.tap"] = lambda _: None
        task = asyncio.create_task(tap(call, control_id="t-1"))
        request = await server.wait_sent("calling.tap")
        for step in order:
            if step == "reply":
                reply: Json = {"id": request.frame["id"], **result()}
                await server.push_json(reply)
            else:
                await server.tap_state("t-1", step)
        action = await task
        await action.wait(5)
        assert action.state is state


async def test_finished_before_tapping_is_a_failure() -> None:
    async with tappable() as (server, call):
        action = await tap(call)
        await server.tap_state(action.control_id, "finished")
        with pytest.raises(TapError, match="finished before it started"):
            await action.wait_started(5)
        assert isinstance(action.error, TapError)
        assert not await action.started


async def test_audio_counts_as_a_start() -> None:
    async with tappable() as (server, call):
        action = await tap(call)
        action.mark_started()
        await action.wait_started(0)
        await server.tap_state(action.control_id, "finished")
        await action.wait(5)
        assert action.state is TapState.FINISHED


async def test_a_stop_before_tapping_is_no_failure() -> None:
    async with tappable() as (server, call):
        action = await tap(call)
        await action.stop()
        await server.tap_state(action.control_id, "finished")
        await action.wait(5)
        assert (action.state, action.error) == (TapState.FINISHED, None)


async def test_a_stop_without_a_finished_event_ends_the_tap_anyway() -> None:
    async with tappable() as (server, call):
        action = await live_tap(server, call)
        assert (await action.stop())["code"] == "200"
        event = await action.wait(5)
        assert event.params["state"] == "finished"
        assert action.state is TapState.FINISHED


@pytest.mark.parametrize("code", [400, 404, 409, 410])
async def test_any_4xx_on_stop_means_already_stopped(code: int) -> None:
    async with tappable() as (server, call):
        server.scripts["calling.tap.stop"] = lambda _: result(str(code))
        action = await live_tap(server, call)
        assert await action.stop() == {}
        assert action.is_done
        assert str(call.state) == "answered", "the call itself is still there"


async def test_another_failure_of_stop_is_raised_and_can_be_tried_again() -> None:
    async with tappable() as (server, call):
        server.scripts["calling.tap.stop"] = lambda _: error(500)
        action = await live_tap(server, call)
        with pytest.raises(RelayError, match="500"):
            await action.stop()
        del server.scripts["calling.tap.stop"]
        await action.stop()
        await action.wait(5)
        assert action.state is TapState.FINISHED


async def test_a_finished_tap_is_not_stopped_again() -> None:
    async with tappable() as (server, call):
        action = await live_tap(server, call)
        await server.tap_state(action.control_id, "finished")
        await action.wait(5)
        assert await action.stop() == {}
        assert server.sent("calling.tap.stop") == []


@pytest.mark.parametrize("script", [error(-32602), result("500")])
async def test_a_refused_tap_is_raised(script: Json) -> None:
    completed: list[RelayEvent] = []
    async with tappable() as (server, call):
        server.scripts["calling.tap"] = lambda _: script
        with pytest.raises(RelayError, match="as scripted"):
            await tap(call, on_completed=completed.append)
        assert (call.actions, completed) == ([], [])


@pytest.mark.parametrize("code", ["404", "410"])
async def test_a_tap_on_a_call_that_is_gone_completes_at_once(code: str) -> None:
    async with tappable() as (server, call):
        server.scripts["calling.tap"] = lambda _: result(code)
        action = await tap(call)
        await action.wait(5)
        assert action.state is TapState.FAILED
        assert str(call.state) == "ended"
        assert (await call.wait_for_ended(5)).params["end_reason"] == "gone"


async def test_a_tap_on_an_ended_call_sends_nothing() -> None:
    async with tappable() as (server, call):
        await server.call_state("c-1", "ended")
        await call.wait_for_ended(5)
        action = await tap(call)
        assert action.is_done
        assert server.sent("calling.tap") == []


async def test_the_end_of_a_call_ends_its_taps() -> None:
    async with tappable() as (server, call):
        live = await live_tap(server, call)
        starting = await tap(call)
        await server.call_state("c-1", "ended", end_reason="hangup")
        await live.wait(5)
        await starting.wait(5)
        assert (live.state, starting.state) == (TapState.FINISHED, TapState.FAILED)


async def test_a_refused_rate_is_left_out_once() -> None:
    device: Json = {"type": "ws", "params": {"uri": "wss://h", "rate": 8000}}

    def strict(params: Json) -> Json:
        has_rate = "rate" in params["device"]["params"]
        return error(-32602) if has_rate else result()

    async with tappable() as (server, call):
        server.scripts["calling.tap"] = strict
        async with asyncio.timeout(5):
            await call.tap(TAP_BOTH, device)
        first, second = server.sent("calling.tap")
        assert first.params["device"] == device
        assert second.params["device"]["params"] == {"uri": "wss://h"}


@pytest.mark.parametrize(
    ("bad_tap", "device", "field"),
    [
        ({"type": "audio", "params": {"direction": "up"}}, WS_DEVICE, "direction"),
        (TAP_BOTH, {"type": "udp", "params": {}}, "device.type"),
        (
            TAP_BOTH,
            {"type": "rtp", "params": {"addr": "10.0.0.1", "port": 5000}},
            "device.params.addr",
        ),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    bad_tap: Json, device: Json, field: str
) -> None:
    async with tappable() as (server, call):
        with pytest.raises(ArgumentError, match=field):
            await call.tap(bad_tap, device)
        assert server.sent("calling.tap") == []


async def test_private_rtp_can_be_allowed() -> None:
    device = {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 5000}}
    async with tappable(allow_private_rtp=True) as (server, call):
        async with asyncio.timeout(5):
            await call.tap(TAP_BOTH, device)
        assert server.sent("calling.tap")[0].params["device"] == device


async def test_a_control_id_is_used_once() -> None:
    async with tappable() as (_, call):
        await tap(call, control_id="t-1")
        with pytest.raises(ArgumentError, match="control_id"):
            await tap(call, control_id="t-1")


async def test_a_tap_waits_for_the_answered_event() -> None:
    async with connected() as (server, client):
        actions: list[TapAction] = []

        @client.on_call
        async def handle(call: Call) -> None:
            await call.answer()
            actions.append(await call.tap(TAP_BOTH, WS_DEVICE))

        await server.incoming()
        await server.wait_sent("calling.answer")
        assert server.sent("calling.tap") == []
        await server.call_state("c-1", "answered")
        await server.wait_sent("calling.tap")


async def test_a_tap_is_sent_even_if_no_answered_event_comes() -> None:
    async with connected() as (server, client):

        @client.on_call
        async def handle(call: Call) -> None:
            await call.answer()
            await call.tap(TAP_BOTH, WS_DEVICE)

        await server.incoming()
        entry = await server.wait_sent("calling.tap")
        assert entry.params["call_id"] == "c-1"


async def test_completion_handlers_may_be_functions_or_coroutines() -> None:
    told: asyncio.Queue[RelayEvent] = asyncio.Queue()

    async def later(event: RelayEvent) -> None:
        await told.put(event)

    async with tappable() as (server, call):
        for handler in (told.put_nowait, later):
            action = await live_tap(server, call, on_completed=handler)
            await server.tap_state(action.control_id, "finished")
            async with asyncio.timeout(5):
                assert await told.get() is action.result


async def test_a_wait_that_times_out_leaves_the_tap_alone() -> None:
    async with tappable() as (server, call):
        action = await live_tap(server, call)
        with pytest.raises(TimeoutError):
            await action.wait(timeout=0.01)
        await server.tap_state(action.control_id, "finished")
        await action.wait(5)
        assert action.state is TapState.FINISHED


async def test_taps_of_others_are_reported() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        told: asyncio.Queue[tuple[Call, TapEvent]] = asyncio.Queue()

        @client.on_foreign_tap
        async def foreign(call: Call, event: TapEvent) -> None:
            await told.put((call, event))

        async with asyncio.timeout(5):
            await server.tap_state("theirs", "tapping")
            assert (await told.get())[1].control_id == "theirs"
            assert list(call.foreign_taps) == ["theirs"]
            await server.tap_state("theirs", "finished")
            assert (await told.get())[0] is call
            assert call.foreign_taps == {}


async def test_late_events_of_own_taps_are_not_foreign() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        foreign: list[TapEvent] = []
        client.on_foreign_tap(lambda _, event: foreign.append(event))
        action = await live_tap(server, call)
        for state in ("finished", "finished", "tapping", "paused"):
            ack = await server.tap_state(action.control_id, state)
            await server.wait_reply(ack)
        assert foreign == []


async def test_a_tap_given_up_is_stopped_if_it_starts_after_all() -> None:
    async with tappable() as (server, call):
        server.scripts["calling.tap"] = lambda _: None
        task = asyncio.create_task(call.tap(TAP_BOTH, WS_DEVICE, control_id="t-1"))
        await server.wait_sent("calling.tap")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.tap_state("t-1", "tapping")
        entry = await server.wait_sent("calling.tap.stop")
        assert entry.params["control_id"] == "t-1"


async def test_a_lost_connection_leaves_a_live_tap_alone() -> None:
    async with tappable() as (server, call):
        action = await live_tap(server, call)
        await server.sockets[-1].close()
        await server.wait_sent("signalwire.connect", 2)
        await server.until(lambda: len(server.sockets) == 2)
        assert not action.is_done
        await server.tap_state(action.control_id, "finished")
        await action.wait(5)
        assert action.state is TapState.FINISHED


async def test_disconnecting_releases_whoever_waits_for_a_tap() -> None:
    async with FakeServer() as server:
        client: RelayClient = server.client()
        await client.connect()
        action = await live_tap(server, client.attach("c-1", "n-1"))
        waiting = asyncio.create_task(action.wait())
        await client.disconnect()
        async with asyncio.timeout(5):
            await waiting
        assert action.state is TapState.FAILED


async def test_a_tap_does_not_show_its_address() -> None:
    async with tappable() as (server, call):
        action = await live_tap(server, call)
        await server.tap_state(action.control_id, "finished")
        assert "example.com" not in repr(await action.wait(5)) + repr(action)
