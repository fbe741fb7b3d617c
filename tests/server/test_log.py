"""Logging: both forms, what is masked, what is said of a tap, and counters."""

from __future__ import annotations

import io
import json
import logging
import re
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from server.log import CounterLog, Redactor, TapLog, setup_logging
from server.taps.tokens import TokenSigner

LOG = logging.getLogger("tests.log")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def json_lines(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestForms:
    def test_a_terminal_gets_lines_for_people(self) -> None:
        stream = Terminal()
        setup_logging(level="info", stream=stream)
        LOG.info("listening on %s", "127.0.0.1:8080")
        line = r"\d\d:\d\d:\d\d\.\d{3} info    listening on 127\.0\.0\.1:8080\n"
        assert re.fullmatch(line, stream.getvalue())

    def test_anything_else_gets_json(self) -> None:
        stream = io.StringIO()
        setup_logging(level="info", stream=stream)
        LOG.warning("disk nearly full")
        (entry,) = json_lines(stream)
        assert re.fullmatch(r"[\d-]+T[\d:]+\.\d{3}\+00:00", entry.pop("time"))
        assert entry == {
            "level": "warning",
            "logger": "tests.log",
            "message": "disk nearly full",
        }

    def test_the_setting_overrides_what_the_stream_is(self) -> None:
        terminal, pipe = Terminal(), io.StringIO()
        setup_logging(level="info", log_format="json", stream=terminal)
        LOG.info("one")
        setup_logging(level="info", log_format="human", stream=pipe)
        LOG.info("two")
        assert json_lines(terminal)[0]["message"] == "one"
        assert pipe.getvalue().endswith(" info    two\n")

    def test_only_a_terminal_gets_colour(self) -> None:
        terminal, pipe = Terminal(), io.StringIO()
        setup_logging(level="info", stream=terminal)
        LOG.error("bad")
        setup_logging(level="info", log_format="human", stream=pipe)
        LOG.error("bad")
        assert "\x1b[31merror  \x1b[0m bad" in terminal.getvalue()
        assert "\x1b" not in pipe.getvalue()

    def test_what_is_below_the_level_is_not_written(self) -> None:
        stream = io.StringIO()
        setup_logging(level="warning", stream=stream)
        LOG.info("chatter")
        assert stream.getvalue() == ""

    def test_text_from_the_wire_cannot_forge_a_line_or_reach_the_terminal(self) -> None:
        stream = Terminal()
        setup_logging(level="info", stream=stream)
        LOG.info("call from %s", "x\n12:00:00.000 error fake\x1b[2J\x9b2J")
        assert stream.getvalue().count("\n") == 1
        assert "\x1b" not in stream.getvalue()
        assert "\x9b" not in stream.getvalue()

    def test_a_traceback_is_below_the_line_or_in_its_own_key(self) -> None:
        terminal, pipe = Terminal(), io.StringIO()
        for stream in (terminal, pipe):
            setup_logging(level="info", stream=stream)
            try:
                raise ZeroDivisionError("ratio")
            except ZeroDivisionError:
                LOG.exception("cannot divide", stack_info=True)
        assert terminal.getvalue().splitlines()[1].startswith("Traceback")
        (entry,) = json_lines(pipe)
        assert "ZeroDivisionError: ratio" in entry["exception"]
        assert "Stack (most recent call last)" in entry["exception"]

    def test_standard_error_is_the_default(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        setup_logging(level="info")
        LOG.info("hello")
        assert json.loads(capsys.readouterr().err)["message"] == "hello"


class TestRedaction:
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("GET /tap/abc123 HTTP/1.1", "GET /tap/*** HTTP/1.1"),
            ("GET /tap?token=abc123 HTTP/1.1", "GET /tap?*** HTTP/1.1"),
            ('{"uri": "wss://h/tap/a?sig=b"}', '{"uri": "wss://h/tap/***"}'),
            ("GET /api/v1/taps/ctl-1", "GET /api/v1/taps/ctl-1"),
            ("GET /tap HTTP/1.1", "GET /tap HTTP/1.1"),
        ],
    )
    def test_tap_tokens_are_masked_wherever_they_stand(
        self, text: str, masked: str
    ) -> None:
        assert Redactor().mask(text) == masked

    @pytest.mark.parametrize("expires_at", [1_700_000_000, 2**31, 2**33])
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            (
                "cannot reach wss://h/audio/{}, gave up",
                "cannot reach wss://h/audio/***,",
            ),
            ("wss://h/audio/{}?sig=a%2Fb gave up", "wss://h/audio/*** gave up"),
            ('{{"uri": "wss:\\/\\/h\\/{}"}}', '{{"uri": "wss:\\/\\/h\\/***"}}'),
            ("token={}", "token=***"),
            ("{}", "***"),
        ],
    )
    def test_a_token_is_known_by_its_shape_behind_any_path(
        self, text: str, masked: str, expires_at: int
    ) -> None:
        token = TokenSigner(b"secret").issue(str(uuid.uuid4()), expires_at)
        assert token not in Redactor().mask(text.format(token))
        assert Redactor().mask(text.format(token)).startswith(masked.format())

    def test_ids_are_no_tokens(self) -> None:
        text = f"call {uuid.UUID(int=1)} node {uuid.UUID(int=2)}@us-east.example.com"
        assert Redactor().mask(text) == text

    def test_registered_secrets_are_masked_the_longest_first(self) -> None:
        redactor = Redactor(["PT1", ""])
        redactor.add("PT1-and-more")
        assert redactor.mask("PT1-and-more, PT1.") == "***, ***."

    @pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
    def test_no_record_gives_one_away(self, stream: io.StringIO) -> None:
        redactor = setup_logging(
            level="debug", secrets=['PT"quoted"secret'], stream=stream
        )
        redactor.add("made-later-made-later")
        try:
            raise ValueError('refused: PT"quoted"secret at /tap/tok3n')
        except ValueError:
            LOG.exception("sent %s", ["made-later-made-later"])
        tap = TapLog(LOG, control_id="made-later-made-later")
        tap.info('PT"quoted"secret')
        written = stream.getvalue()
        assert "quoted" not in written
        assert "tok3n" not in written
        assert "made-later" not in written
        assert "***" in written

    def test_masked_json_stays_json(self) -> None:
        stream = io.StringIO()
        setup_logging(level="info", secrets=["level"], stream=stream)
        LOG.info("level")
        assert json_lines(stream)[0]["message"] == "***"


class TestTapLog:
    def test_people_see_the_end_of_the_control_id_and_the_direction(self) -> None:
        stream = Terminal()
        setup_logging(level="info", stream=stream)
        tap = TapLog(LOG, control_id="tap-00003f9c", call_id="c-1", direction="speak")
        tap.info("started")
        TapLog(LOG, control_id="3f9d").info("started")
        first, second = stream.getvalue().splitlines()
        assert first.endswith("info    [tap 3f9c speak] started")
        assert second.endswith("info    [tap 3f9d] started")

    def test_machines_see_keys(self) -> None:
        stream = io.StringIO()
        setup_logging(level="info", stream=stream)
        tap = TapLog(LOG, control_id="3f9c", call_id="c-1")
        tap.info("started", extra={"direction": "listen"})
        (entry,) = json_lines(stream)
        assert entry["control_id"] == "3f9c"
        assert entry["call_id"] == "c-1"
        assert entry["direction"] == "listen"
        assert entry["message"] == "started"


class TestCounterLog:
    def test_many_events_are_one_line_for_each_name(self) -> None:
        counters = CounterLog()
        for _ in range(1000):
            counters.add("rtp_unknown_source")
        counters.add("rtp_runt", 2)
        assert counters.take(now=5.0) == ["rtp_runt: 2", "rtp_unknown_source: 1000"]

    def test_nothing_counted_is_nothing_said(self) -> None:
        counters = CounterLog()
        assert counters.get_timer() is None
        assert counters.take(now=1.0) == []

    def test_a_second_passes_between_two_lines(self) -> None:
        counters = CounterLog()
        counters.add("late")
        assert counters.take(now=10.0) == ["late: 1"]
        counters.add("late", 3)
        assert counters.get_timer() == 11.0
        assert counters.take(now=10.9) == []
        counters.add("late", 4)
        assert counters.take(now=11.0) == ["late: 7"]
        assert counters.get_timer() is None

    def test_only_what_was_added_to_a_total_is_told(self) -> None:
        counters = CounterLog()
        counters.observe("tap 1", Counter(runt=5))
        assert counters.take(now=0.0) == ["runt: 5"]
        counters.observe("tap 1", Counter(runt=5))
        assert counters.take(now=1.0) == []
        counters.observe("tap 1", Counter(runt=6, late=1))
        counters.observe("tap 2", Counter(runt=2))
        assert counters.take(now=2.0) == ["late: 1", "runt: 3"]

    def test_a_source_that_is_over_can_be_forgotten(self) -> None:
        counters = CounterLog()
        counters.observe("tap 1", Counter(runt=5))
        counters.forget("tap 1")
        counters.forget("never seen")
        counters.observe("tap 1", Counter(runt=1))
        assert counters.take(now=0.0) == ["runt: 6"]

    def test_the_lines_are_warnings(self, caplog: pytest.LogCaptureFixture) -> None:
        counters = CounterLog()
        counters.add("runt", 3)
        counters.log(LOG, now=0.0)
        expected = [("tests.log", logging.WARNING, "runt: 3")]
        assert caplog.record_tuples == expected
