from __future__ import annotations

from server.events.frames import frame, keepalive


def test_a_frame_has_id_name_and_data_and_ends_with_an_empty_line() -> None:
    sent = frame("tap.began", '{"name": "é"}', "run-7")
    assert sent == 'id: run-7\nevent: tap.began\ndata: {"name": "é"}\n\n'.encode()


def test_without_an_id_a_client_keeps_the_last_one() -> None:
    assert frame("levels", "{}") == b"event: levels\ndata: {}\n\n"


def test_what_keeps_a_connection_alive_has_an_id_and_no_data() -> None:
    """Without data it is no event (HTML Living Standard, section 9.2.6)."""
    assert keepalive("run-7") == b": alive\nid: run-7\n\n"
