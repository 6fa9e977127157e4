"""Hypothesis strategies for documents."""

from __future__ import annotations

from datetime import datetime

import msgspec
from hypothesis import strategies as st

from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Result, Task
from ajobs.protocol.timestamps import Timestamp, format_timestamp

FIRST_NS = -62_135_596_800 * 10**9
LAST_NS = 253_402_300_799 * 10**9

names = st.from_regex(r"[a-zA-Z0-9_:-]{1,20}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=40)
times = st.integers(FIRST_NS, LAST_NS).map(format_timestamp)
offset_times = st.builds(
    lambda second, offset: Timestamp(f"{second:%Y-%m-%dT%H:%M:%S}{offset}"),
    st.datetimes(min_value=datetime(1000, 1, 1)),  # noqa: DTZ001 - the offset comes after it
    st.from_regex(r"(\.[0-9]{1,9})?([+-](0[0-9]|1[0-4]):[0-5][0-9]|Z)", fullmatch=True),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
results = st.builds(
    Result, payload=json_values.map(lambda value: msgspec.Raw(msgspec.json.encode(value))), completed=times
)
tasks = st.builds(
    Task,
    id=names,
    type=names,
    queue=names | st.just(""),
    dependencies=st.none() | st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    dependency_results=st.none() | st.dictionaries(names, results | st.none(), min_size=1, max_size=2),
    load_dependencies=st.booleans(),
    payload=st.none() | st.binary(max_size=64),
    deadline=st.none() | times | offset_times,
    max_tries=st.integers(0, 1000),
    result=st.none() | results,
    state=st.sampled_from(TaskState),
    created=times | offset_times,
    tried=st.none() | times,
    tries=st.integers(0, 1000),
    last_err=texts,
    signature=st.just("") | st.binary(min_size=64, max_size=64).map(bytes.hex),
)
