"""The protocol machine: authentication, liveness, resumption, requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client.errors import (
    AuthenticationError,
    ConnectionLostError,
    QueueFullError,
    RelayError,
    RequestTimeoutError,
    StateError,
)
from relay_client.outcomes import (
    CloseWanted,
    EventReceived,
    OpenWanted,
    RequestDone,
    RequestFailed,
    SessionReplaced,
)
from relay_client.states import ConnectionState, StateChange
from tests.relay_client.machine import PROTOCOL, Json, Machine, ready_machine

S = ConnectionState


# Authentication.


def test_connecting_sends_what_the_official_client_sends() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    assert machine.is_in(S.CONNECTING)
    machine.only(OpenWanted)
    frame = machine.open()
    assert frame["method"] == "signalwire.connect"
    assert frame["params"] == {
        "version": {"major": 2, "minor": 0, "revision": 0},
        "agent": "agent/1",
        "event_acks": True,
        "authentication": {"project": "PROJECT", "token": "TOKEN"},
        "contexts": ["office"],
    }


def test_without_contexts_none_are_sent() -> None:
    machine = Machine(contexts=())
    machine.protocol.start(machine.now)
    assert "contexts" not in machine.open()["params"]


@pytest.mark.parametrize(
    "result",
    [{}, {"protocol": 5}, {"code": "200"}, {"result": {"code": "500"}}, {"code": None}],
)
def test_any_result_of_connect_without_a_bad_code_is_acceptance(result: Json) -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    machine.receive({"id": machine.open()["id"], "result": result})
    assert machine.is_in(S.READY)


def test_a_result_of_connect_with_a_bad_code_is_a_refusal() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    frame = machine.open()
    machine.receive({"id": frame["id"], "result": {"code": "403", "message": "no"}})
    assert machine.is_in(S.DISCONNECTED)


def test_three_refusals_in_a_row_are_final() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    queued = machine.request()
    for _ in range(2):
        machine.refuse(machine.open())
        assert machine.is_in(S.DISCONNECTED)
        machine.wait_for_retry()
        assert machine.is_in(S.CONNECTING)
    machine.events()
    machine.refuse(machine.open(), "TOKEN is not valid for PROJECT")
    events = machine.events()
    change = [event for event in events if isinstance(event, StateChange)][-1]
    assert (change.state, change.is_final, change.retry_in) == (S.REJECTED, True, None)
    assert isinstance(change.error, AuthenticationError)
    assert change.error.message == "*** is not valid for ***"
    assert any(isinstance(event, CloseWanted) for event in events)
    assert RequestFailed(queued, change.error) in events
    assert machine.protocol.get_timer() is None
    with pytest.raises(ConnectionLostError, match="rejected"):
        machine.request()


def test_a_timeout_of_connect_is_not_a_refusal() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    for _ in range(5):
        machine.open()
        machine.wait(10.0)
        assert machine.is_in(S.DISCONNECTED)
        assert not machine.protocol.is_final
        machine.wait_for_retry()


def test_a_socket_that_closes_before_the_verdict_is_not_a_refusal() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    for _ in range(5):
        machine.open()
        machine.lose()
        machine.wait_for_retry()
    machine.refuse(machine.open())
    assert not machine.protocol.is_final


def test_an_acceptance_between_refusals_starts_the_count_afresh() -> None:
    machine = ready_machine()
    machine.lose()
    for _ in range(2):
        machine.wait_for_retry()
        machine.refuse(machine.open())
    machine.wait_for_retry()
    machine.accept(machine.open())
    machine.lose()
    machine.wait_for_retry()
    machine.refuse(machine.open())
    assert machine.is_in(S.DISCONNECTED)


def test_credentials_that_used_to_work_are_tried_again_slowly() -> None:
    machine = ready_machine()
    machine.lose()
    for _ in range(3):
        machine.wait_for_retry()
        machine.refuse(machine.open())
    change = [e for e in machine.events() if isinstance(e, StateChange)][-1]
    assert (change.state, change.is_final, change.retry_in) == (S.REJECTED, False, 300)
    machine.request()
    machine.wait(299.0)
    assert machine.is_in(S.REJECTED)
    machine.wait(1.0)
    machine.refuse(machine.open())
    assert machine.is_in(S.REJECTED)
    machine.wait(300.0)
    machine.accept(machine.open())
    assert machine.is_in(S.READY)


# Back-off.


def test_the_backoff_is_not_reset_by_a_socket_that_opens() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    waits = []
    for _ in range(4):
        machine.open()
        machine.lose()
        waits.append(machine.wait_for_retry())
    assert waits == sorted(waits)
    assert waits[-1] >= 8.0


def test_the_backoff_is_not_reset_by_a_login_that_does_not_last() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    waits = []
    for _ in range(4):
        machine.accept(machine.open())
        machine.wait(9.0)
        machine.lose()
        waits.append(machine.wait_for_retry())
    assert waits[-1] >= 8.0


def test_the_backoff_is_reset_by_a_stable_connection() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    for _ in range(5):
        machine.protocol.connection_lost("refused", machine.now)
        machine.wait_for_retry()
    machine.accept(machine.open())
    machine.wait(10.0)
    machine.lose()
    assert machine.wait_for_retry() <= 2.0


# Resumption.


def test_a_reconnect_resumes_with_credentials_and_the_newest_state() -> None:
    machine = ready_machine()
    for sealed in ("first:tag", "second:tag", ""):
        machine.event("signalwire.authorization.state", authorization_state=sealed)
    machine.lose()
    machine.wait_for_retry()
    params = machine.open()["params"]
    assert params["protocol"] == PROTOCOL
    assert params["authorization_state"] == "second:tag"
    assert params["authentication"] == {"project": "PROJECT", "token": "TOKEN"}


def test_the_state_may_come_with_the_acceptance() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    machine.accept(machine.open(), authorization={"authorization_state": "sealed"})
    machine.lose()
    machine.wait_for_retry()
    assert machine.open()["params"]["authorization_state"] == "sealed"


def test_a_resumed_session_asks_for_nothing() -> None:
    machine = ready_machine()
    machine.lose()
    machine.wait_for_retry()
    machine.accept(machine.open())
    assert machine.sent() == []
    assert machine.none(SessionReplaced)


def test_a_replaced_session_receives_its_contexts_again() -> None:
    machine = ready_machine()
    machine.lose()
    machine.wait_for_retry()
    machine.accept(machine.open(), protocol="signalwire_another")
    (frame,) = machine.sent()
    assert frame["method"] == "signalwire.receive"
    assert frame["params"] == {"contexts": ["office"]}
    machine.only(SessionReplaced)
    machine.receive({"id": frame["id"], "error": {"code": 402, "message": "pay"}})
    assert machine.protocol.drops["own_request_refused"] == 1
    assert machine.none(RequestFailed)


def test_a_replaced_session_without_contexts_receives_none() -> None:
    machine = ready_machine(contexts=())
    machine.lose()
    machine.wait_for_retry()
    machine.accept(machine.open(), protocol="signalwire_another")
    assert machine.sent() == []
    machine.only(SessionReplaced)


def test_a_session_without_a_name_is_taken_to_be_the_old_one() -> None:
    machine = ready_machine()
    machine.lose()
    machine.wait_for_retry()
    machine.receive({"id": machine.open()["id"], "result": {}})
    assert machine.none(SessionReplaced)
    assert machine.protocol.relay_session.protocol == PROTOCOL


# Draining.


@pytest.mark.parametrize("params", [None, {}, {"restart": False}])
def test_a_disconnect_without_restart_keeps_the_session(params: Json | None) -> None:
    machine = ready_machine()
    assert machine.push("signalwire.disconnect", params)["result"] == {}
    assert machine.is_in(S.DRAINING)
    machine.lose()
    machine.wait_for_retry()
    assert machine.open()["params"]["protocol"] == PROTOCOL


def test_a_disconnect_with_restart_forgets_the_session() -> None:
    machine = ready_machine()
    machine.event("signalwire.authorization.state", authorization_state="sealed")
    machine.push("signalwire.disconnect", {"restart": True})
    machine.lose()
    machine.wait_for_retry()
    frame = machine.open()
    assert "protocol" not in frame["params"]
    assert "authorization_state" not in frame["params"]
    machine.accept(frame, protocol="signalwire_fresh")
    machine.only(SessionReplaced)


def test_while_draining_everything_is_still_served() -> None:
    machine = ready_machine()
    machine.push("signalwire.disconnect")
    machine.events()
    machine.event("calling.call.state", call_id="c-1", call_state="answered")
    machine.only(EventReceived)
    request_id = machine.request()
    machine.receive({"id": request_id, "result": {"code": "200"}})
    machine.only(RequestDone)
    machine.push("signalwire.disconnect")
    assert machine.is_in(S.DRAINING)


def test_draining_ends_after_ten_quiet_seconds_whatever_the_pings() -> None:
    machine = ready_machine()
    machine.push("signalwire.disconnect")
    machine.wait(6.0)
    machine.event("calling.call.state", call_id="c-1", call_state="ringing")
    machine.wait(6.0)
    machine.push("signalwire.ping")
    assert machine.is_in(S.DRAINING)
    machine.wait(4.0)
    assert machine.is_in(S.DISCONNECTED)
    assert machine.only(CloseWanted).reason == "drained"


def test_a_disconnect_before_the_verdict_is_acknowledged() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    frame = machine.open()
    assert machine.push("signalwire.disconnect", {"restart": "true"})["result"] == {}
    machine.accept(frame)
    assert machine.is_in(S.READY)


# Liveness.


@pytest.mark.parametrize("params", [None, {}, {"timestamp": 1.5}])
def test_a_ping_is_answered(params: Json | None) -> None:
    machine = ready_machine()
    assert machine.push("signalwire.ping", params)["result"] == {}


def test_we_ping_every_thirty_seconds() -> None:
    machine = ready_machine()
    for _ in range(3):
        machine.wait(30.0)
        (frame,) = machine.sent()
        assert (frame["method"], frame["params"]) == ("signalwire.ping", {})
        machine.receive({"id": frame["id"], "error": {"code": -32601}})
    assert machine.is_in(S.READY)


def test_silence_after_our_ping_is_a_dead_peer() -> None:
    machine = ready_machine()
    machine.wait(40.0)
    assert machine.is_in(S.DISCONNECTED)
    machine.only(CloseWanted)


def test_anything_received_after_our_ping_is_life() -> None:
    machine = ready_machine()
    machine.wait(31.0)
    machine.receive({"garbage": True})
    machine.wait(9.0)
    assert machine.is_in(S.READY)


def test_a_server_that_never_pings_may_be_silent() -> None:
    machine = ready_machine()
    machine.wait(29.0)
    assert machine.is_in(S.READY)


def test_a_server_that_stops_pinging_is_dead_after_twenty_seconds() -> None:
    machine = ready_machine()
    machine.push("signalwire.ping")
    machine.wait(19.0)
    assert machine.is_in(S.READY)
    machine.wait(1.0)
    assert machine.is_in(S.DISCONNECTED)
    assert machine.only(CloseWanted).reason == "silent for 20 s"


def test_any_message_feeds_the_watchdog() -> None:
    machine = ready_machine()
    machine.push("signalwire.ping")
    machine.wait(19.0)
    machine.event("calling.call.state", call_id="c-1", call_state="ringing")
    machine.wait(10.0)
    assert machine.is_in(S.READY)


def test_the_watchdog_starts_afresh_with_every_connection() -> None:
    machine = ready_machine()
    machine.push("signalwire.ping")
    machine.lose()
    machine.wait_for_retry()
    machine.accept(machine.open())
    machine.wait(29.0)
    assert machine.is_in(S.READY)


def test_a_request_without_a_reply_is_a_half_open_socket() -> None:
    machine = ready_machine()
    late, waiting = machine.request(), machine.request()
    machine.wait(5.0)
    third = machine.request()
    machine.push("signalwire.ping")
    machine.wait(5.0)
    assert machine.is_in(S.DISCONNECTED)
    events = machine.events()
    failures = {e.request_id: e.error for e in events if isinstance(e, RequestFailed)}
    assert isinstance(failures[late], RequestTimeoutError)
    assert isinstance(failures[waiting], RequestTimeoutError)
    assert isinstance(failures[third], ConnectionLostError)
    assert sum(isinstance(event, CloseWanted) for event in events) == 1


def test_what_a_left_socket_still_brings_is_dropped() -> None:
    machine = ready_machine()
    machine.request()
    machine.wait(10.0)
    machine.events()
    machine.receive({"id": "s-1", "method": "signalwire.ping"})
    assert machine.sent() == []
    assert machine.protocol.drops["not_connected"] == 1


# Requests.


def test_a_reply_settles_its_request() -> None:
    machine = ready_machine()
    first, second = machine.request(call_id="c-1"), machine.request(call_id="c-2")
    assert [frame["params"]["call_id"] for frame in machine.sent()] == ["c-1", "c-2"]
    machine.receive({"id": second, "result": {"code": "200", "control_id": "t"}})
    done = machine.only(RequestDone)
    assert (done.request_id, done.result["control_id"]) == (second, "t")
    machine.receive({"id": first, "result": {"result": {"code": 200}}})
    assert machine.only(RequestDone).request_id == first


@pytest.mark.parametrize(
    "reply",
    [
        {"result": {"code": "409", "message": "TOKEN conflicts"}},
        {"error": {"code": 409, "message": "TOKEN conflicts"}},
    ],
)
def test_both_kinds_of_failure_are_one_error(reply: Json) -> None:
    machine = ready_machine()
    request_id = machine.request()
    machine.receive({"id": request_id, **reply})
    failed = machine.only(RequestFailed)
    assert type(failed.error) is RelayError
    assert (failed.error.code, failed.error.message) == (409, "*** conflicts")


def test_a_lost_connection_fails_what_was_sent() -> None:
    machine = ready_machine()
    request_id = machine.request()
    machine.lose()
    failed = machine.only(RequestFailed)
    assert failed.request_id == request_id
    assert isinstance(failed.error, ConnectionLostError)


def test_requests_made_offline_are_sent_in_order_once_accepted() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    machine.request(call_id="c-1")
    frame = machine.open()
    machine.request(call_id="c-2")
    assert machine.sent() == []
    machine.accept(frame)
    assert [frame["params"]["call_id"] for frame in machine.sent()] == ["c-1", "c-2"]


def test_the_time_for_a_reply_starts_with_the_sending() -> None:
    machine = ready_machine()
    machine.lose()
    machine.wait_for_retry()
    request_id = machine.request()
    machine.wait(30.0)
    machine.accept(machine.open())
    machine.wait(9.0)
    machine.receive({"id": request_id, "result": {"code": "200"}})
    assert machine.only(RequestDone).request_id == request_id


def test_a_request_does_not_wait_for_a_connection_for_ever() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    request_id = machine.request()
    machine.wait(59.0)
    assert machine.none(RequestFailed)
    machine.wait(1.0)
    failed = machine.only(RequestFailed)
    assert failed.request_id == request_id
    assert isinstance(failed.error, RequestTimeoutError)
    assert not failed.error.was_sent


def test_the_offline_queue_is_bounded() -> None:
    machine = Machine()
    for _ in range(500):
        machine.request()
    with pytest.raises(QueueFullError):
        machine.request()


def test_an_abandoned_request_is_not_sent() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    machine.protocol.abandon(machine.request())
    machine.accept(machine.open())
    assert machine.sent() == []


def test_a_request_that_is_not_json_is_refused_at_once() -> None:
    machine = ready_machine()
    with pytest.raises(TypeError):
        machine.request(call_id=object())
    assert machine.sent() == []


# Messages.


def test_an_event_is_acknowledged_before_it_is_given_out() -> None:
    machine = ready_machine()
    machine.receive(
        {
            "id": "e-1",
            "method": "signalwire.event",
            "params": {"event_type": "calling.call.state", "params": {"call_id": "c"}},
        }
    )
    assert machine.sent() == [{"jsonrpc": "2.0", "id": "e-1", "result": {}}]
    assert machine.only(EventReceived).event.call_id == "c"


@pytest.mark.parametrize("params", [{}, {"event_type": ""}, {"params": 5}])
def test_an_event_without_a_type_is_acknowledged_and_dropped(params: Json) -> None:
    machine = ready_machine()
    assert machine.push("signalwire.event", params)["result"] == {}
    assert machine.none(EventReceived)
    assert machine.protocol.drops["event_without_type"] == 1


def test_an_unknown_event_is_acknowledged_and_given_out() -> None:
    machine = ready_machine()
    machine.event("calling.call.hologram", call_id="c-1")
    assert machine.only(EventReceived).event.event_type == "calling.call.hologram"


def test_notifications_are_not_replied_to() -> None:
    machine = ready_machine()
    for method in ("signalwire.ping", "signalwire.event", "server.gossip"):
        machine.receive({"method": method})
    assert machine.sent() == []


def test_an_unknown_method_is_refused() -> None:
    machine = ready_machine()
    assert machine.push("server.gossip")["error"]["code"] == -32601
    assert machine.protocol.drops["unknown_method"] == 1


def test_a_reply_to_nothing_is_counted() -> None:
    machine = ready_machine()
    machine.receive({"id": "who?", "result": {}})
    machine.receive({"id": 5, "error": {}})
    assert machine.protocol.drops["unknown_reply"] == 2


@given(st.lists(st.text() | st.sampled_from(["[]", '{"id":1,"result":3}', "nul"])))
def test_no_text_breaks_the_machine(texts: list[str]) -> None:
    machine = ready_machine()
    for text in texts:
        machine.protocol.receive_text(text, machine.now)
    assert machine.is_in(S.READY)
    assert sum(machine.protocol.drops.values()) == len(texts)


# Starting and stopping.


def test_a_stop_fails_what_waits_and_closes() -> None:
    machine = ready_machine()
    request_id = machine.request()
    machine.protocol.stop()
    assert machine.is_in(S.DISCONNECTED)
    events = machine.events()
    assert any(isinstance(event, CloseWanted) for event in events)
    assert [e.request_id for e in events if isinstance(e, RequestFailed)] == [
        request_id
    ]
    assert machine.protocol.get_timer() is None
    with pytest.raises(ConnectionLostError):
        machine.request()


def test_a_stop_while_offline_closes_nothing() -> None:
    machine = Machine()
    machine.protocol.start(machine.now)
    machine.events()
    machine.protocol.stop()
    assert machine.none(CloseWanted)


def test_a_new_start_after_a_stop_is_a_fresh_session() -> None:
    machine = ready_machine()
    machine.protocol.stop()
    machine.protocol.start(machine.now)
    frame = machine.open()
    assert "protocol" not in frame["params"]
    machine.events()
    machine.accept(frame, protocol="signalwire_fresh")
    assert machine.none(SessionReplaced)


def test_a_loss_reported_twice_counts_once() -> None:
    machine = ready_machine()
    machine.lose()
    machine.events()
    machine.lose()
    assert machine.events() == []


def test_driving_the_machine_wrongly_is_an_error_of_ours() -> None:
    machine = ready_machine()
    with pytest.raises(StateError, match="open is impossible while ready"):
        machine.protocol.start(machine.now)
    with pytest.raises(StateError):
        machine.protocol.connection_opened(machine.now)
    assert machine.is_in(S.READY)


def test_an_early_timer_does_nothing() -> None:
    machine = ready_machine()
    machine.protocol.handle_timer(machine.now)
    assert machine.sent() == []
    assert machine.events() == []
