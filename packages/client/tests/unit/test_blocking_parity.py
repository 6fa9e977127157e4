"""BlockingClient offers everything that Client does, with the same parameters, or the exception is listed here."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest

from ajobs.client import BlockingClient, Client
from ajobs.client.blocking import BlockingSchedules
from ajobs.client.schedules.schedules import Schedules

NOT_BLOCKING = {
    "connect": "BlockingClient connects when it is created",
    "watch": "an endless stream of events would block its thread; use wait or result for one task",
    "stored_tasks": "for services, which are async",
    "storage": "for services, which are async",
    "connection": "for services, which are async",
    "keys": "for services, which are async",
    "options": "for services, which are async",
    "enqueuer": "for services, which are async",
    "idempotency": "for services, which are async; enqueue_once is the blocking form",
}
NOT_BLOCKING_SCHEDULES = {
    "read": "for the scheduler, which is async",
    "changes": "for the scheduler, which is async",
    "watch": "an endless stream of changes would block its thread",
    "bucket": "for the scheduler, which is async",
}


def public_names(kind: type) -> set[str]:
    """Public methods, properties, and attributes that __init__ assigns."""
    names = {name for name in vars(kind) if not name.startswith("_")}
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind.__init__)))
    targets = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return names | {target.attr for target in targets if not target.attr.startswith("_")}


def parameters(kind: type, name: str) -> list[tuple[str, object, object]]:
    found = inspect.signature(getattr(kind, name)).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


PAIRS = [(Client, BlockingClient, NOT_BLOCKING), (Schedules, BlockingSchedules, NOT_BLOCKING_SCHEDULES)]


@pytest.mark.parametrize(("kind", "blocking", "exceptions"), PAIRS)
def test_every_public_name_has_a_blocking_form_or_a_reason(kind, blocking, exceptions):
    assert public_names(kind) - public_names(blocking) == set(exceptions)


@pytest.mark.parametrize(("kind", "blocking", "exceptions"), PAIRS)
def test_blocking_methods_take_the_same_parameters(kind, blocking, exceptions):
    methods = [name for name in vars(kind) if name in vars(blocking) and inspect.isfunction(vars(kind)[name])]
    public = [name for name in methods if not name.startswith("_")]
    assert public
    for name in public:
        assert parameters(blocking, name) == parameters(kind, name), name
