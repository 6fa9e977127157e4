"""Public names carry no unit: durations are passed as a `Duration`, and returned as a ``timedelta``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

PUBLIC = ("ajobs.protocol", "ajobs.client", "ajobs.worker", "ajobs.scheduler", "ajobs.testing")
UNITS = ("_ns", "_us", "_ms", "_s", "_seconds")


def names_of(member: Any) -> Iterator[str]:
    """Yield the attributes and the parameters of all methods of an exported class, or the parameters of a function."""
    if inspect.isclass(member):
        yield from getattr(member, "__annotations__", {})
        for name, value in vars(member).items():
            if not name.startswith("_") or name == "__init__":
                yield name
                yield from parameters_of(inspect.unwrap(getattr(value, "__func__", value)))
    else:
        yield from parameters_of(member)


def parameters_of(member: Any) -> Iterator[str]:
    if callable(member):
        try:
            yield from inspect.signature(member).parameters
        except (TypeError, ValueError):
            return


@pytest.mark.parametrize("package", PUBLIC)
def test_no_public_name_ends_in_a_unit(package):
    module = importlib.import_module(package)
    found = {
        f"{exported}: {name}"
        for exported in module.__all__
        for name in (exported, *names_of(getattr(module, exported)))
        if name.endswith(UNITS) and not name.startswith("_")
    }
    assert found == set()
