"""Calls: commands, states, events, peers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay_client import (
    ArgumentError,
    Call,
    CallEndedError,
    CallLimitError,
    CallState,
    CallStateEvent,
    ConnectEvent,
    ConnectionLostError,
    RelayError,
    RelayEvent,
)
from tests.relay_client.fake_server import (
    PHONE,
    TAP_BOTH,
    WS_DEVICE,
    FakeServer,
    Json,
    connected,
    error,
    result,
)

CONNECTED = "calling.call.connect"


async def acked(server: FakeServer, pushed: Any) -> None:
    """Wait until the client has taken in what was pushed."""
    await server.wait_reply(await pushed)


async def test_an_inbound_call_reaches_its_handler_once() -> None:
    calls: asyncio.Queue[Call] = asyncio.Queue()
    async with connected() as (server, client):
        client.on_call(calls.put)
        await acked(server, server.incoming())
        await acked(server, server.incoming())
        async with asyncio.timeout(5):
            call = await calls.get()
        assert calls.empty()
        assert client.calls == {"c-1": call}
    assert (call.call_id, call.node_id, call.context) == ("c-1", "n-1", "office")
    assert (call.direction, call.state, call.device) == ("inbound", "created", PHONE)
    assert (call.from_number, call.to_number) == ("+15551110000", "+15552220000")


async def test_sip_parties_are_found() -> None:
    async with connected() as (_, client):
        call = client.attach("c-1", "n-1")
        assert call.from_number == ""
        call.device = {"type": "sip", "params": {"from": "sip:a@x", "to": "sip:b@y"}}
        assert (call.from_number, call.to_number) == ("sip:a@x", "sip:b@y")


async def test_an_inbound_call_without_id_is_dropped() -> None:
    async with connected() as (server, client):
        await acked(server, server.event("calling.call.receive"))
        assert client.drops["call_without_id"] == 1


async def test_more_calls_than_allowed_are_dropped() -> None:
    async with connected(max_active_calls=1) as (server, client):
        await acked(server, server.incoming("c-1"))
        await acked(server, server.incoming("c-2"))
        assert list(client.calls) == ["c-1"]
        assert client.drops["too_many_calls"] == 1
        with pytest.raises(CallLimitError):
            client.attach("c-3", "n-1")
        with pytest.raises(CallLimitError):
            await client.dial([[PHONE]])


async def test_a_call_that_was_named_can_be_forgotten_again() -> None:
    async with connected() as (server, client):
        client.detach(client.attach("c-1", "n-1"))
        assert not client.calls
        await acked(server, server.incoming("c-2"))
        # One that the platform gave us stays until the platform ends it.
        client.detach(client.attach("c-2", "n-1"))
        assert list(client.calls) == ["c-2"]


async def test_commands_send_what_the_official_client_sends() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        leg: Json = {"node_id": "n-1", "call_id": "c-1"}
        await call.answer()
        await call.answer(codecs=["PCMU"])
        await call.connect(
            [[PHONE]],
            ringback=[{"type": "ringtone"}],
            tag="agent",
            max_duration=60,
            max_price_per_minute=0.5,
            status_url="https://example.com",
            extra=1,
        )
        await call.connect([[PHONE]])
        await call.disconnect()
        await call.hangup()
        await call.hangup("busy")
        await call.pass_()
        sent = [(e.method, e.params) for e in server.journal if e.method][1:]
    assert sent == [
        ("calling.answer", leg),
        ("calling.answer", leg | {"codecs": ["PCMU"]}),
        (
            "calling.connect",
            leg
            | {
                "devices": [[PHONE]],
                "ringback": [{"type": "ringtone"}],
                "tag": "agent",
                "max_duration": 60,
                "max_price_per_minute": 0.5,
                "status_url": "https://example.com",
                "extra": 1,
            },
        ),
        ("calling.connect", leg | {"devices": [[PHONE]]}),
        ("calling.disconnect", leg),
        ("calling.end", leg | {"reason": "hangup"}),
        ("calling.end", leg | {"reason": "busy"}),
        ("calling.pass", leg),
    ]


async def test_states_only_move_forward() -> None:
    async with connected() as (server, client):
        await acked(server, server.incoming())
        call = client.calls["c-1"]
        seen = []
        for state in ("ringing", "answered", "ringing", "teleported", "created"):
            await acked(server, server.call_state("c-1", state))
            seen.append(call.state.value)
        assert seen == ["ringing", "answered", "answered", "answered", "answered"]


async def test_the_node_is_kept_when_an_event_lacks_it() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        await acked(
            server,
            server.event("calling.call.state", call_id="c-1", call_state="answered"),
        )
        assert call.node_id == "n-1"


async def test_an_ended_call_is_forgotten() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        ended: asyncio.Queue[CallStateEvent] = asyncio.Queue()
        call.on("calling.call.state", ended.put_nowait)
        await server.call_state("c-1", "ended", end_reason="busy")
        event = await call.wait_for_ended(5)
        assert isinstance(event, CallStateEvent)
        assert (event.end_reason, call.end_reason) == ("busy", "busy")
        async with asyncio.timeout(5):
            assert await ended.get() is event
        assert await call.wait_for_ended() is event
        assert client.calls == {}
        assert await call.hangup() == {}
        assert server.sent("calling.end") == []


@pytest.mark.parametrize("reply", [result("404"), result("410"), error(404)])
async def test_a_command_to_a_call_that_is_gone_ends_it(reply: Json) -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        tap = await call.tap(TAP_BOTH, WS_DEVICE)
        server.scripts["calling.end"] = lambda _: reply
        assert await call.hangup() == {}
        await tap.wait(5)
        await call.wait_for_ended(5)
        assert client.calls == {}


async def test_a_bridge_to_a_device_that_is_gone_leaves_the_call() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        server.scripts["calling.connect"] = lambda _: result("404")
        assert await call.connect([[PHONE]]) == {}
        assert call.state is CallState.ANSWERED


async def test_any_other_failure_is_raised() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        server.scripts["calling.connect"] = lambda _: result("409")
        with pytest.raises(RelayError) as refusal:
            await call.connect([[PHONE]])
        assert refusal.value.code == 409


async def test_a_passed_call_is_forgotten() -> None:
    async with connected() as (server, client):
        await acked(server, server.incoming())
        call = client.calls["c-1"]
        await call.pass_()
        assert client.calls == {}
        await call.wait_for_ended(5)


async def test_waiting_for_an_event_with_a_predicate() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        waiting = asyncio.create_task(
            call.wait_for("calling.call.play", lambda e: e.params["n"] == 2, timeout=5)
        )
        await asyncio.sleep(0)
        for number in (1, 2, 3):
            await server.event("calling.call.play", call_id="c-1", n=number)
        event = await waiting
        assert (type(event), event.params["n"]) == (RelayEvent, 2)


async def test_a_failing_predicate_fails_its_waiter_only() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        waiting = asyncio.create_task(
            call.wait_for("calling.call.play", lambda e: bool(e.params["missing"]))
        )
        other = asyncio.create_task(call.wait_for("calling.call.play"))
        await asyncio.sleep(0)
        await server.event("calling.call.play", call_id="c-1")
        with pytest.raises(KeyError):
            await waiting
        assert (await other).call_id == "c-1"


async def test_nobody_waits_for_events_of_an_ended_call() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        waiting = asyncio.create_task(call.wait_for("calling.call.play"))
        await asyncio.sleep(0)
        await server.call_state("c-1", "ended")
        with pytest.raises(CallEndedError):
            await waiting
        with pytest.raises(CallEndedError):
            await call.wait_for("calling.call.play")


async def test_a_wait_may_time_out() -> None:
    async with connected() as (_, client):
        call = client.attach("c-1", "n-1")
        with pytest.raises(TimeoutError):
            await call.wait_for_ended(timeout=0.01)


async def test_disconnecting_releases_whoever_waits() -> None:
    async with FakeServer() as server:
        client = server.client()
        await client.connect()
        call = client.attach("c-1", "n-1")
        waiting = asyncio.create_task(call.wait_for_ended())
        await asyncio.sleep(0)
        await client.disconnect()
        with pytest.raises(ConnectionLostError):
            await waiting


async def test_a_failing_handler_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        told: asyncio.Queue[RelayEvent] = asyncio.Queue()

        def broken(event: RelayEvent) -> None:
            raise LookupError(event.event_type)

        call.on("calling.call.play", broken)
        call.on("calling.call.play", told.put)
        await server.event("calling.call.play", call_id="c-1")
        async with asyncio.timeout(5):
            await told.get()
    assert "LookupError" in caplog.text


async def test_events_of_unknown_calls_are_acknowledged_and_dropped() -> None:
    async with connected() as (server, client):
        await acked(server, server.call_state("who", "answered"))
        await acked(server, server.tap_state("t", "tapping", call_id="who"))
        await acked(server, server.event("calling.conference"))
        await acked(server, server.event("calling.error", code="500", message="x"))
        assert client.calls == {}
        assert client.drops["unknown_call"] == 3


async def test_an_attached_call_is_one_and_the_same() -> None:
    async with connected() as (_, client):
        call = client.attach("c-1", "n-1")
        assert client.attach("c-1", "n-1") is call
        assert "c-1" in repr(call)


# Bridges.


async def test_a_peer_leg_is_known_by_its_tag() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        await call.connect([[PHONE]], tag="agent")
        await acked(server, server.call_state("c-2", "ringing", tag="agent"))
        peer = client.calls["c-2"]
        assert (peer.direction, peer.state, peer.tag) == (
            "outbound",
            CallState.RINGING,
            "agent",
        )
        assert (call.peer, peer.peer) == (peer, call)


async def test_a_peer_leg_is_known_by_its_peer() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        await acked(
            server,
            server.call_state("c-2", "created", peer={"call_id": "c-1"}, device=PHONE),
        )
        assert call.peer is client.calls["c-2"]
        assert client.calls["c-2"].device == PHONE


async def test_a_bridge_names_the_peer_leg_which_can_be_tapped() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        peer = {"call_id": "c-2", "node_id": "n-2", "tag": "x", "device": PHONE}
        waiting = asyncio.create_task(
            call.wait_for(CONNECTED, lambda e: e.connect_state == "connected", 5)
        )
        await asyncio.sleep(0)
        for state in ("connecting", "connected"):
            await server.event(CONNECTED, call_id="c-1", connect_state=state, peer=peer)
        assert isinstance(await waiting, ConnectEvent)
        assert call.peer is not None
        await call.peer.tap(TAP_BOTH, WS_DEVICE)
        params = server.sent("calling.tap")[0].params
        assert (params["call_id"], params["node_id"]) == ("c-2", "n-2")


async def test_a_mirrored_bridge_event_is_accepted() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        await acked(
            server,
            server.event(
                CONNECTED,
                call_id="c-2",
                node_id="n-1",
                connect_state="connected",
                peer={"call_id": "c-1", "node_id": "n-1"},
            ),
        )
        assert call.peer is client.calls["c-2"]


@pytest.mark.parametrize("state", ["disconnected", "failed"])
async def test_an_undone_bridge_parts_both_legs(state: str) -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        peer = client.attach("c-2", "n-1")
        named = {"call_id": "c-2"}
        for connect_state in ("connected", state):
            await acked(
                server,
                server.event(
                    CONNECTED,
                    call_id="c-1",
                    connect_state=connect_state,
                    peer=named,
                ),
            )
        assert (call.peer, peer.peer) == (None, None)
        assert set(client.calls) == {"c-1", "c-2"}


async def test_an_ended_leg_leaves_its_peer() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        await call.connect([[PHONE]], tag="agent")
        await acked(server, server.call_state("c-2", "answered", tag="agent"))
        await acked(server, server.call_state("c-1", "ended"))
        assert client.calls["c-2"].peer is None
        await acked(server, server.call_state("c-3", "ringing", tag="agent"))
        assert "c-3" not in client.calls, "the tag went with the call"


async def test_a_leg_first_heard_of_at_its_end_is_not_kept() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        await call.connect([[PHONE]], tag="agent")
        await acked(server, server.call_state("c-2", "ended", tag="agent"))
        assert "c-2" not in client.calls


async def test_a_bridge_to_nobody_is_refused() -> None:
    async with connected() as (server, client):
        call = client.attach("c-1", "n-1")
        with pytest.raises(ArgumentError, match="devices"):
            await call.connect([])
        assert server.sent("calling.connect") == []
