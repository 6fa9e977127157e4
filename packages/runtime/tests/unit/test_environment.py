"""The ``AJ_*`` variables of a process before options are read from them."""

from __future__ import annotations

import pytest

from ajobs.runtime.environment import normalize_environment


def test_empty_variables_count_as_not_set():
    environment = {"AJ_MONITOR": "", "AJ_NAME": "one", "NATS_URL": ""}
    normalize_environment(environment)
    assert environment == {"AJ_NAME": "one", "NATS_URL": ""}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"AJ_BIND": "true"}, {"AJ_BIND_QUEUE": "true"}),
        ({"AJ_BIND": "127.0.0.1:8080"}, {"AJ_LISTEN": "127.0.0.1:8080"}),
        ({"AJ_BIND": ":8080", "AJ_LISTEN": ":80"}, {"AJ_LISTEN": ":80"}),
        ({"AJ_BIND": "1", "AJ_BIND_QUEUE": "0"}, {"AJ_BIND_QUEUE": "0"}),
    ],
)
def test_the_old_variable_of_two_options_sets_the_one_that_its_value_fits(before, after):
    normalize_environment(before)
    assert before == after
