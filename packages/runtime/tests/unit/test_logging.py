"""Logging as text and as JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest

from ajobs.protocol.errors import ConfigurationError
from ajobs.runtime.logging import start_logging


@pytest.fixture
def log():
    """Return a function that starts logging and returns a reader of the output. Restores the root logger."""
    root = logging.getLogger()
    level, started = root.level, []

    def start(**options):
        stream = io.StringIO()
        started.append(start_logging(stream=stream, **options))
        return stream.getvalue

    yield start
    root.setLevel(level)
    for handler in started:
        root.removeHandler(handler)


def raise_and_log(logger):
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("it %s", "failed", extra={"task_id": "a"})


def test_text_ends_with_the_fields(log):
    written = log()
    logging.getLogger("x").info("hello %d", 3, extra={"task_id": "a", "error": 'two "words"', "seconds": 0.25})
    line = written()
    assert line.endswith('INFO    x: hello 3 task_id=a error="two \\"words\\"" seconds=0.25\n')
    assert "\n" not in line[:-1]


def test_a_field_with_line_breaks_stays_on_one_line(log):
    written = log()
    logging.getLogger("x").info("a", extra={"error": "one\ntwo"})
    assert written().count("\n") == 1


def test_json_is_one_object_per_line(log):
    written = log(log_format="json")
    raise_and_log(logging.getLogger("x"))
    logging.getLogger("x").info("odd", extra={"value": object})
    first, second = map(json.loads, written().splitlines())
    assert (first["level"], first["logger"], first["message"], first["task_id"]) == ("error", "x", "it failed", "a")
    assert first["traceback"].endswith("ValueError: boom")
    assert "object" in second["value"]


def test_a_traceback_is_below_the_line(log):
    written = log()
    raise_and_log(logging.getLogger("x"))
    assert written().splitlines()[0].endswith("it failed task_id=a")
    assert written().splitlines()[-1] == "  ValueError: boom"


def test_records_below_the_level_are_not_written(log):
    written = log(level="warning")
    logging.getLogger("x").info("no")
    assert not written()


@pytest.mark.parametrize("wrong", [{"level": "loud"}, {"log_format": "xml"}])
def test_an_invalid_level_or_format_is_refused(log, wrong):
    with pytest.raises(ConfigurationError, match="use"):
        log(**wrong)


HOSTILE = "x\n2026-01-31T12:00:00.000Z ERROR ajobs: all is lost\x1b]0;title\x07\u202eabc\x9b31m"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_foreign_text_cannot_forge_a_line_or_reach_a_terminal(log, log_format):
    written = log(log_format=log_format)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("x").exception("task of type %s failed", HOSTILE, extra={"task_type": HOSTILE, HOSTILE: 1})
    lines = written().split("\n")
    assert lines.pop() == ""
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines[1:] if not line.startswith("  ")]
    if log_format == "json":
        assert json.loads(lines[0])["task_type"] == HOSTILE
