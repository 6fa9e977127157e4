"""Finding the handler of a task, and calling it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol.errors import ConfigurationError, DuplicateHandlerError, InvalidNameError, InvalidPayloadError
from ajobs.protocol.task import new_task
from ajobs.worker import Context, Router, Task
from ajobs.worker.routing.binding import bind
from ajobs.worker.routing.table import RoutingTable


def nothing() -> None: ...
def marked(mark: str) -> str: ...


def router(*task_types):
    made = Router()
    for task_type in task_types:
        made.add(task_type, partial(marked, mark=task_type))
    return made


def target(made, task_type):
    routed = RoutingTable.of(made).find(task_type)
    return None if routed is None else routed.handle.__self__.function.keywords["mark"]


@pytest.mark.parametrize(
    ("registered", "task_type", "expected"),
    [
        (["email:new"], "email:new", "email:new"),
        (["email"], "email:new", "email"),
        (["email", "email:new"], "email:newer", "email:new"),
        (["email", ""], "sms", ""),
        (["", "s", "sm"], "sms:new", "sm"),
        (["email:new"], "email", None),
        ([], "email", None),
    ],
)
def test_the_exact_type_wins_then_the_longest_prefix_then_the_catch_all(registered, task_type, expected):
    assert target(router(*registered), task_type) == expected


@given(st.sets(st.text("ab:", max_size=4), max_size=8), st.text("ab:", max_size=6))
def test_the_found_handler_is_the_longest_registered_prefix(registered, task_type):
    prefixes = [prefix for prefix in registered if task_type.startswith(prefix)]
    assert target(router(*registered), task_type) == max(prefixes, key=len, default=None)


def test_a_second_handler_for_a_type_is_refused():
    made = router("t")
    with pytest.raises(DuplicateHandlerError):
        made.add("t", nothing)
    assert made.task_types == ["t"]


@pytest.mark.parametrize("task_type", ["a b", "a.b", "*"])
def test_an_invalid_type_is_refused(task_type):
    with pytest.raises(InvalidNameError):
        Router().add(task_type, nothing)


class Email(msgspec.Struct):
    to: str


async def with_all(email: Email, context: Context, task: Task) -> None: ...
def plain(email: Email) -> None: ...
def untyped(payload): ...
def raw(data: bytes) -> None: ...
def only_context(context: Context) -> None: ...
def optional(email: Email | None = None) -> None: ...


class Callable:
    async def __call__(self, email: Email) -> None: ...


class FakeRun:
    def __init__(self, payload):
        self.task = new_task("t", payload, task_id="a", now_ns=0)


def arguments(function, payload):
    context = Context(FakeRun(payload))
    given_arguments = bind(function).arguments(context)
    return {name: value for name, value in given_arguments.items() if not isinstance(value, Context | Task)}


@pytest.mark.parametrize(
    ("function", "payload", "expected"),
    [
        (with_all, b'{"to":"x"}', {"email": Email("x")}),
        (plain, b'{"to":"x"}', {"email": Email("x")}),
        (untyped, b"[1]", {"payload": [1]}),
        (untyped, None, {"payload": None}),
        (raw, b"\x00", {"data": b"\x00"}),
        (raw, None, {"data": b""}),
        (only_context, b"1", {}),
        (nothing, b"1", {}),
        (optional, None, {}),
        (optional, b'{"to":"x"}', {"email": Email("x")}),
        (Callable(), b'{"to":"x"}', {"email": Email("x")}),
    ],
)
def test_the_payload_is_decoded_to_the_annotated_type(function, payload, expected):
    assert arguments(function, payload) == expected


def test_a_payload_of_the_wrong_type_names_the_path():
    with pytest.raises(InvalidPayloadError, match=r"\$\.to"):
        arguments(plain, b'{"to":1}')


@pytest.mark.parametrize(
    ("function", "is_async"),
    [(with_all, True), (plain, False), (Callable(), True), (partial(with_all), True), (partial(plain), False)],
)
def test_async_functions_are_distinguished_from_plain_ones(function, is_async):
    assert bind(function).is_async is is_async


def two_payloads(one: int, two: int) -> None: ...
def star(*payload: int) -> None: ...
def undecodable(payload: ThreadPoolExecutor | Email) -> None: ...
def not_provided(database: ThreadPoolExecutor) -> None: ...
def unknown(payload: "Missing") -> None: ...  # noqa: F821, UP037


@pytest.mark.parametrize("function", [star, unknown, dict])
def test_a_function_with_invalid_parameters_is_refused_at_registration(function):
    with pytest.raises(ConfigurationError, match=function.__name__):
        Router().add("t", function)


@pytest.mark.parametrize("function", [two_payloads, undecodable, not_provided])
def test_a_parameter_that_no_lifespan_provides_is_refused_when_the_worker_is_created(function):
    made = Router()
    made.add("t", function)
    with pytest.raises(ConfigurationError, match=function.__name__):
        RoutingTable.of(made)


def test_handlers_that_are_not_callable_are_refused():
    not_callable: Any = 3
    with pytest.raises(ConfigurationError):
        Router().add("t", not_callable)
