"""Messages, result codes and the pending table."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_client import jsonrpc
from relay_client.jsonrpc import (
    Failure,
    Invalid,
    Pending,
    PendingTable,
    Reply,
    Request,
    as_code,
    check,
    parse,
)


def test_a_message_with_a_method_is_a_request() -> None:
    text = '{"jsonrpc":"2.0","id":"p-17","method":"signalwire.ping","params":{"a":1}}'
    assert parse(text) == Request("signalwire.ping", {"a": 1}, "p-17")


def test_a_request_may_lack_params_and_id() -> None:
    assert parse('{"method":"signalwire.ping"}') == Request("signalwire.ping", {}, None)


def test_a_message_with_a_result_is_a_reply() -> None:
    assert parse('{"id":"1","result":{"code":"200"}}') == Reply("1", {"code": "200"})


def test_a_result_that_is_no_object_counts_as_empty() -> None:
    assert parse('{"id":7,"result":"fine"}') == Reply(7, {})


def test_a_message_with_an_error_is_a_failure() -> None:
    text = '{"id":"1","error":{"code":-32602,"message":"Invalid CallTapParams"}}'
    assert parse(text) == Failure("1", -32602, "Invalid CallTapParams")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ('"no"', Failure("1", -1, "no")),
        ("{}", Failure("1", -1, "no reason given")),
        ('{"code":"x","message":""}', Failure("1", -1, "no reason given")),
    ],
)
def test_odd_errors_still_fail_the_request(error: str, expected: Failure) -> None:
    assert parse(f'{{"id":"1","error":{error}}}') == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[1]", "not_an_object"),
        ('{"id":[1],"result":{}}', "bad_id"),
        ('{"result":{}}', "neither_request_nor_reply"),
        ('{"id":"1"}', "neither_request_nor_reply"),
        ('{"method":5}', "bad_method"),
        ('{"method":"m","params":[1]}', "bad_params"),
    ],
)
def test_what_is_no_message_has_a_named_reason(text: str, reason: str) -> None:
    assert parse(text) == Invalid(reason)


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_parse_never_raises(text: str) -> None:
    assert isinstance(parse(text), Request | Reply | Failure | Invalid)


@pytest.mark.parametrize("code", ["200", 200, "202", None])
def test_any_2xx_code_and_no_code_mean_success(code: object) -> None:
    reply = Reply("1", {"code": code} if code else {})
    assert check(reply) == reply


@pytest.mark.parametrize("code", ["404", 404, "300", "2000", "20", "-1", "gone", True])
def test_any_other_code_means_failure(code: object) -> None:
    outcome = check(Reply("1", {"code": code, "message": "no"}))
    assert outcome == Failure("1", as_code(code), "no")


def test_a_failing_result_without_a_message_says_so() -> None:
    outcome = check(Reply("1", {"code": "500"}))
    assert outcome == Failure("1", 500, "no reason given")


def test_a_result_nested_twice_is_unwrapped() -> None:
    nested = {"result": {"result": {"code": "404", "message": "gone"}}}
    assert check(Reply("1", nested)) == Failure("1", 404, "gone")


def test_a_result_beside_a_code_is_data() -> None:
    reply = Reply("1", {"code": "200", "result": {"code": "404"}})
    assert check(reply) == reply


def test_unwrapping_can_be_forbidden() -> None:
    reply = Reply("1", {"result": {"code": "404"}, "protocol": "p"})
    assert check(reply, max_nesting=0) == reply


@pytest.mark.parametrize(
    ("value", "code"),
    [("404", 404), (" 42 ", 42), ("-32602", -32602), (5.0, -1), ("9" * 40, -1)],
)
def test_codes_are_read_leniently(value: object, code: int) -> None:
    assert as_code(value) == code


def test_a_serialized_request_parses_to_itself() -> None:
    text = jsonrpc.serialize_request("1", "calling.answer", {"call_id": "c"})
    assert parse(text) == Request("calling.answer", {"call_id": "c"}, "1")
    assert json.loads(text)["jsonrpc"] == "2.0"


def test_an_acknowledgement_is_an_empty_result() -> None:
    expected = {"jsonrpc": "2.0", "id": "1", "result": {}}
    assert json.loads(jsonrpc.serialize_result("1")) == expected


def test_a_serialized_error_parses_to_a_failure() -> None:
    assert parse(jsonrpc.serialize_error(3, -32601, "no")) == Failure(3, -32601, "no")


def entry(request_id: str, expires_at: float) -> Pending:
    return Pending(request_id, "m", "{}", 0.0, expires_at)


def test_the_table_gives_out_an_entry_once() -> None:
    table = PendingTable()
    table.add(entry("a", 1.0))
    assert len(table) == 1
    assert table.pop("a") == entry("a", 1.0)
    assert table.pop("a") is None
    assert table.pop(5) is None


def test_the_table_expires_what_is_due() -> None:
    table = PendingTable()
    assert table.next_expiry() is None
    table.add(entry("late", 1.0))
    table.add(entry("early", 3.0))
    assert table.next_expiry() == 1.0
    assert table.expire(1.0) == [entry("late", 1.0)]
    assert table.clear() == [entry("early", 3.0)]
    assert len(table) == 0
