"""Middleware and its order, routers within routers, and lifespans."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import NewType

import pytest

from ajobs.protocol.errors import ConfigurationError, DuplicateHandlerError, InvalidNameError
from ajobs.worker import Client, Context, RecoveredError, Router, TimeLimitError, chain, recover, time_limit
from ajobs.worker.outcomes import RetryTask, TerminateTask
from ajobs.worker.routing.lifespan import provided_by
from ajobs.worker.routing.table import RoutingTable

CONTEXT: Context = None  # none of these reads it


def noting(name: str, calls: list[str]):
    def wrap(handle):
        async def call(context):
            calls.append(f"{name} in")
            try:
                return await handle(context)
            finally:
                calls.append(f"{name} out")

        return call

    return wrap


async def run(router: Router, task_type: str):
    return await RoutingTable.of(router).find(task_type).handle(FakeContext())


class FakeContext:
    class task:  # noqa: N801 - the attribute of a context
        payload = None


async def test_middleware_runs_from_the_outermost_router_inwards_whenever_it_was_added():
    calls: list[str] = []
    outer, inner = Router(), Router()
    inner.use(noting("inner", calls))
    inner.add("new", _handler(calls), middleware=(noting("route 1", calls), noting("route 2", calls)))
    outer.include(inner, "email:")
    outer.use(noting("outer 1", calls), noting("outer 2", calls))
    assert await run(outer, "email:new") == "result"
    order = ["outer 1", "outer 2", "inner", "route 1", "route 2"]
    assert calls == [f"{name} in" for name in order] + ["handler"] + [f"{name} out" for name in reversed(order)]


async def test_middleware_of_a_router_is_not_around_the_handlers_of_others():
    calls: list[str] = []
    outer, inner = Router(), Router()
    inner.use(noting("inner", calls))
    inner.add("a", _handler(calls))
    outer.include(inner)
    outer.add("b", _handler(calls))
    await run(outer, "b")
    assert calls == ["handler"]


def _handler(calls):
    async def handler():
        calls.append("handler")
        return "result"

    return handler


async def test_a_chain_is_one_middleware():
    calls: list[str] = []

    async def handle(_):
        return "result"

    assert await chain(noting("1", calls), noting("2", calls))(handle)(CONTEXT) == "result"
    assert calls == ["1 in", "2 in", "2 out", "1 out"]
    assert chain()(handle) is handle


@pytest.mark.parametrize("wrong", [None, 3, "log"])
def test_middleware_that_is_not_callable_is_refused(wrong):
    router = Router()
    for refused in (
        lambda: router.use(wrong),
        lambda: chain(wrong),
        lambda: router.add("t", _handler([]), middleware=(wrong,)),
    ):
        with pytest.raises(ConfigurationError, match="middleware"):
            refused()
    router.use(lambda _: wrong)
    router.add("t", _handler([]))
    with pytest.raises(ConfigurationError, match="middleware result"):
        RoutingTable.of(router)


async def test_a_time_limit_cancels_the_handler_and_names_the_limit():
    async def forever(_):
        await asyncio.Event().wait()

    with pytest.raises(TimeLimitError, match=r"time limit of 0\.01 s"):
        await time_limit(timedelta(milliseconds=10))(forever)(CONTEXT)

    async def own_timeout(_):
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await time_limit(60)(own_timeout)(CONTEXT)
    with pytest.raises(ConfigurationError):
        time_limit(0)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt("x"), SystemExit(3)])
async def test_recover_turns_any_exception_into_a_failure_and_reports_it(error):
    reported = []

    async def handle(_):
        raise error

    with pytest.raises(RecoveredError, match=str(error)) as caught:
        await recover(lambda e, _: reported.append(e))(handle)(CONTEXT)
    assert reported == [error]
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("decision", [TerminateTask("x"), RetryTask("x"), asyncio.CancelledError()])
async def test_recover_passes_decisions_through(decision):
    async def handle(_):
        raise decision

    with pytest.raises(type(decision)):
        await recover(lambda *_: pytest.fail("reported"))(handle)(CONTEXT)


# ---- routers within routers


def including(prefix: str, *task_types: str) -> Router:
    outer, inner = Router(), Router()
    outer.add("taken", _handler([]))
    outer.include(inner, prefix)
    for task_type in task_types:
        inner.add(task_type, _handler([]))
    return outer


def test_included_types_get_the_prefix_even_if_added_later():
    outer = including("email:", "new", "")
    assert outer.task_types == ["email:", "email:new", "taken"]
    assert RoutingTable.of(outer).find("email:other").task_type == "email:"
    assert RoutingTable.of(outer).find("sms") is None


def test_a_type_that_two_routers_handle_is_refused():
    inner = Router()
    inner.add("taken", _handler([]))
    with pytest.raises(DuplicateHandlerError, match="taken"):
        including("").include(inner)
    with pytest.raises(DuplicateHandlerError, match="taken"):
        RoutingTable.of(including("", "taken"))


def test_a_router_cannot_include_itself_however_deep():
    outer, inner = Router(), Router()
    outer.include(inner)
    for refused in (outer, inner):
        with pytest.raises(ConfigurationError, match="itself"):
            inner.include(refused) if refused is outer else outer.include(outer)
    with pytest.raises(ConfigurationError):
        outer.include("router")
    with pytest.raises(InvalidNameError):
        outer.include(Router(), "a.b")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"executor": "fork"}, "executor"),
        ({"max_run_time": timedelta(0)}, "max_run_time"),
        ({"retry_policy": "9m"}, "retry policy"),
        ({"timeout": 3}, "timeout"),
    ],
    ids=str,
)
def test_an_invalid_route_option_is_refused(options, text):
    with pytest.raises(Exception, match=text):
        Router().add("t", _handler([]), **options)


# ---- lifespans


class Database: ...


Replica = NewType("Replica", Database)


async def database() -> AsyncGenerator[Database]:
    yield Database()


async def replica(_client: Client, _database: Database) -> AsyncGenerator[Replica]:
    yield Replica(Database())


async def quiet() -> AsyncGenerator[None]:
    yield


def with_lifespans(*functions) -> Router:
    router = Router()
    for function in functions:
        router.lifespan(function)
    return router


def test_values_of_lifespans_are_provided_by_type():
    assert provided_by(with_lifespans(database, replica, quiet).lifespans()) == {Client, Database, Replica}


@pytest.mark.parametrize(
    ("functions", "text"),
    [((replica, database), "no lifespan before it"), ((database, database), "is provided already")],
)
def test_conflicting_lifespans_are_refused(functions, text):
    with pytest.raises(ConfigurationError, match=text):
        provided_by(with_lifespans(*functions).lifespans())


@pytest.mark.parametrize("wrong", [3, _handler([])])
def test_functions_that_cannot_be_lifespans_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="cannot be a lifespan"):
        Router().lifespan(wrong)


def test_a_router_that_is_included_twice_has_its_lifespans_once():
    outer, inner = Router(), with_lifespans(database)
    outer.include(inner, "a")
    outer.include(inner, "b")
    assert len(outer.lifespans()) == 1


def in_process(payload: int, database: Database) -> None: ...
async def in_process_async(payload: int) -> None: ...
def in_process_context(context: Context) -> None: ...


@pytest.mark.parametrize("function", [in_process, in_process_async, in_process_context, lambda payload: payload])
def test_a_handler_in_a_process_cannot_receive_objects_of_the_worker(function):
    router = with_lifespans(database)
    router.add("t", function, executor="process")
    with pytest.raises(ConfigurationError, match="process"):
        RoutingTable.of(router, {Database})
