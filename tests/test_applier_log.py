"""Structured logs: one event a line, whatever is in it."""

import io
import json
from typing import Literal

import pytest

from applier.log import Log

HOSTILE = 'a\nb\x1b[31m"\\\x7f\u2028\udc80'


def logged(format_: Literal["text", "json"], message: str, **fields: str | int | None) -> str:
    stream = io.StringIO()
    Log(stream, format_, lambda: 1_760_000_000.1239).event("warning", "drift_repaired", message, **fields)
    return stream.getvalue()


def test_a_json_line_has_time_level_event_message_and_fields() -> None:
    expected = {
        "time": "2025-10-09T08:53:20.123Z",
        "level": "warning",
        "event": "drift_repaired",
        "message": "drift was repaired",
        "fields": {"steps": 2, "what": "route", "serial": None},
    }

    assert expected == json.loads(logged("json", "drift was repaired", steps=2, what="route", serial=None))


def test_a_text_line_is_for_people() -> None:
    assert logged("text", "drift was repaired", steps=2) == "egressc: warning: drift was repaired (steps=2)\n"


def test_information_needs_no_level() -> None:
    stream = io.StringIO()
    Log(stream).event("info", "applied", "done")

    assert stream.getvalue() == "egressc: done\n"


def test_the_lines_of_a_message_become_one() -> None:
    assert logged("text", "failed:\na\nb\n") == "egressc: warning: failed:; a; b\n"


@pytest.mark.parametrize("format_", ["text", "json"])
def test_text_of_others_forges_no_line_and_no_colour(format_: Literal["text", "json"]) -> None:
    line = logged(format_, HOSTILE, name=HOSTILE)

    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if format_ == "json":
        assert json.loads(line)["message"] == HOSTILE


def test_a_reader_who_went_away_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    Log(Gone()).event("error", "failed", "nobody hears it")
