"""Inputs for parsers: valid documents with hostile parts, hostile text, and bytes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

LONG = 5_000
PIECES = [
    "",
    " ",
    "\r\n",
    "\n",
    "\t",
    "\0",
    "\x1b[2J",
    "\u202e",
    "\ud800",
    "\ufeff",
    "ü",
    "😀",
    ".",
    "*",
    ">",
    "/",
    ":",
    "@every ",
    "1111s",
    "9" * 30,
    "-",
    "+",
    "1.",
    ".5",
    "e999",
    "NaN",
    "CRON_TZ=",
    "TZ=Europe/Berlin ",
    "*/2",
    "0 0 * * ",
    "mon-sun",
    "2022-02-02T13:04:26",
    ".123456789",
    "Z",
    "+14:00",
    "PUB x 5\r\nhello\r\n",
    "a" * 1_001,
    "a" * 4_200,
    "x",
]

hostile_texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.builds(lambda piece, count: (piece * count)[:LONG], st.sampled_from(PIECES), st.integers(1, LONG)),
    st.text(max_size=60),
)
numbers = st.integers() | st.sampled_from([-1, 0, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400]) | st.floats()
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | hostile_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile_texts, inner, max_size=4),
    max_leaves=10,
)

TIME = "2022-02-02T13:04:26.123456789Z"
RESULT = {"payload": {"a": [1, None]}, "completed": TIME}
TASK = {
    "id": "a",
    "type": "t:x",
    "queue": "Q",
    "dependencies": ["b"],
    "dependency_results": {"b": RESULT},
    "payload": "MQ==",
    "load_dependencies": True,
    "deadline": TIME,
    "max_tries": 10,
    "result": RESULT,
    "state": "blocked",
    "created": TIME,
    "tried": TIME,
    "tries": 1,
    "last_err": "x",
    "signature": "00" * 64,
}
ITEM = {"kind": 0, "job": "a"}
SCHEDULE = {
    "name": "s",
    "schedule": "@daily",
    "queue": "Q",
    "task_type": "t",
    "payload": "MQ==",
    "deadline": 30 * 10**9,
    "max_tries": 3,
    "created_at": TIME,
}
OPTIONS = {
    "paused": True,
    "catch_up": "all",
    "catch_up_limit": 5,
    "jitter": 7,
    "belongs_to": TIME,
    "signatures": ["00" * 64],
}
EVENT = {
    "event_id": "e",
    "type": "io.choria.asyncjobs.v1.task_state",
    "timestamp": TIME,
    "task_id": "a",
    "state": "new",
    "tries": 1,
    "queue": "Q",
    "task_type": "t",
    "last_error": "x",
    "task_age": 5,
}
LEADER = {
    "event_id": "e",
    "type": "io.choria.asyncjobs.v1.leader_elected",
    "timestamp": TIME,
    "name": "n",
    "component": "c",
}
WORKER = {
    "id": "w",
    "name": "n",
    "host": "h",
    "pid": 1,
    "version": "1",
    "state": "running",
    "started": TIME,
    "updated": TIME,
    "concurrency": 1,
    "queues": [{"name": "Q", "concurrency": 1}],
    "handlers": ["t"],
    "running_count": 1,
    "running": [{"id": "a", "type": "t", "queue": "Q", "started": TIME}],
    "counters": {"complete": 1},
}
RESERVATION = {"by": "b", "request": "r", "task_id": "a", "created_ns": 1, "stored": True}
PROGRESS = {"done_until": TIME, "leader": "l"}


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


def documents(valid: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return encoded documents: with some fields replaced or left out, or with some bytes changed."""
    changes = st.dictionaries(st.sampled_from([*valid, "unknown"]), values, max_size=3)
    changed = st.builds(
        lambda change, missing: _encode({key: value for key, value in (valid | change).items() if key not in missing}),
        changes,
        st.sets(st.sampled_from([*valid]), max_size=1),
    )
    spliced = st.builds(
        lambda data, at, new: data[:at] + new + data[at + len(new) :],
        changed,
        st.integers(0, 200),
        st.binary(max_size=4),
    )
    return changed | spliced | st.binary(max_size=80)


LINES = [
    b"MSG a 1 2\r\nhi\r\n",
    b"MSG a 1 r 0\r\n\r\n",
    b"HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
    b"PONG\r\n",
    b"+OK\r\n",
    b"HMSG a 1 r 30 30\r\nNATS/1.0 503 No\xff Responders\r\n",
    b"MSG a 1 -2\r\n",
    b"MSG a 1 99999999999999\r\n",
    b"MSG\r\n",
    b"MSG \xff 1 \xfe 1\r\nx\r\n",
    b"HMSG a 1 5 2\r\n",
    b"MSG a 2 2\r\nhi\r\n",
    b"INFO {}\r\n",
    b"INFO [\r\n",
    b"-ERR 'x'\r\n",
    b"\r\n",
    b"\xff\xfe",
    b"MSG a 1 1 1 1 1\r\n",
    b"msg a 1 0\r\n\r\n",
    b"x" * 70_000,
]
streams = st.lists(st.sampled_from(LINES) | st.binary(max_size=20), max_size=8)
"""What a server or someone in its place sends, cut where it arrives."""

HEADER_PIECES = [b"NATS/1.0", b" 503", b"\r\n", b"Nats-Sequence: abc", b":", b"\n", b"\xff", b"A: b"]
header_blocks = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.sampled_from([b"NATS/1.0", b" 503", b"\r\n", b"Nats-Sequence: abc", b":", b"\n", b"\xff", b"A: b"])
    ).map(b"".join),
)
