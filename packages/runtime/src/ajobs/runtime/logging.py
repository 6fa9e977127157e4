"""Log to the error output: as text for people with the fields at the end of a line, or as one JSON object per line.

Log lines hold foreign text, such as task types and errors. Whatever its characters are, a record stays one line, its
traceback stays indented below it, and a terminal shows it as it is.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.text import printable, printable_json

LogFormat = Literal["text", "json"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record: the values passed as ``extra``."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO ajobs.task: task ended task_id=... outcome=complete``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if the record has one."""
        line = f"{_time_of(record)} {record.levelname:<7} {record.name}: {printable(record.getMessage())}"
        for key, value in fields_of(record).items():
            line += f" {printable(key)}={_quoted(value)}"
        if record.exc_info:
            line += "".join(f"\n  {printable(each)}" for each in self.formatException(record.exc_info).split("\n"))
        return line


class JsonFormatter(logging.Formatter):
    """An object with ``time``, ``level``, ``logger``, ``message``, the fields, and ``traceback`` of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object as one line."""
        values: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        values |= fields_of(record)
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return printable_json(msgspec.json.encode(values, enc_hook=str).decode())


def _quoted(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if text and text.isprintable() and not any(mark in text for mark in ' "='):
        return text
    return printable_json(msgspec.json.encode(text).decode())


def restore_logging(*, level: str, log_format: LogFormat) -> None:
    """Undo what logging configuration of an application takes from ours: records of ``ajobs`` go on being logged.

    Handlers that the application configured stay, and get these records too.
    """
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] == "ajobs":
            logger.disabled = False
    if not logging.getLogger().handlers:
        start_logging(level=level, log_format=log_format)
    ours = logging.getLogger("ajobs")
    number = logging.getLevelNamesMapping()[level.upper()]
    if not ours.isEnabledFor(number):
        ours.setLevel(number)


def start_logging(
    *, level: str = "info", log_format: LogFormat = "text", stream: TextIO | None = None
) -> logging.Handler:
    """Log everything from a level up to a stream, and return the handler. Default: the error output.

    Raises:
        ConfigurationError: The level or the format does not exist.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError(f"invalid log level {level!r}: use debug, info, warning or error")
    formatters: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}
    if log_format not in formatters:
        raise ConfigurationError(f"invalid log format {log_format!r}: use text or json")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatters[log_format]())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(number)
    return handler
