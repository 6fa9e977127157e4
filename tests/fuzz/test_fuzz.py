"""A small budget for each fuzz target."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.targets import TARGETS

EXAMPLES = 30


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_raises_nothing_but_its_own_error(name):
    target = TARGETS[name]
    logging.getLogger("ajobs").setLevel(logging.CRITICAL)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(value):
        target.check(value)

    try:
        check()
    finally:
        logging.getLogger("ajobs").setLevel(logging.NOTSET)
