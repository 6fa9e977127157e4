"""Findings of `ajc doctor` about conditions that no server in these tests can have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ajobs.admin import doctor
from ajobs.admin.cli.main import app
from ajobs.admin.doctor.examination import GROUPS, judge
from ajobs.admin.doctor.facts import Clock, Facts
from ajobs.admin.doctor.settings import CONFIGURATION, ELECTIONS, WORKERS
from ajobs.protocol.durations import HOUR_NS, MILLISECOND_NS, SECOND_NS
from ajobs.protocol.queue import tasks_stream_config
from ajobs.protocol.subjects import TASKS_STREAM

STORE = {"config": tasks_stream_config(replicas=1, memory=False, retention_ns=0), "state": {"messages": 0}}
LIMITS = {"max_memory": 100, "max_storage": 1000, "max_streams": 10, "max_consumers": -1}


def facts(**more):
    given = {
        "now_ns": 0, "grace_ns": 0, "server": "nats://h:4222", "version": "2.15.1", "cluster": "", "servers": 1,
        "account": {"memory": 0, "storage": 0, "limits": {}},
        "streams": {TASKS_STREAM: STORE, CONFIGURATION: None, ELECTIONS: None, WORKERS: None},
        "clock": Clock(ahead_ns=0, uncertain_ns=1),
    }  # fmt: skip
    return Facts(**(given | more))


def said(check, **more):
    return [(f.level.value, f.text) for f in judge(facts(**more)) if f.check == check]


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.9.25", "problem"), ("1.4.1", "problem"), ("2.10.3", "warning"), ("2.11.0", "ok"), ("3.0.0-RC.1", "ok"),
     ("", "warning"), ("dev", "warning")],
)  # fmt: skip
def test_a_server_that_is_too_old_is_named(version, level):
    assert [found for found, _ in said("version", version=version)] == [level]


@pytest.mark.parametrize(
    ("ahead_ns", "uncertain_ns", "level", "text"),
    [
        (500 * MILLISECOND_NS, 0, "ok", "differ by 500ms"),
        (3 * SECOND_NS, MILLISECOND_NS, "warning", "3s behind the server's"),
        (-3 * SECOND_NS, MILLISECOND_NS, "warning", "3s ahead of the server's"),
        (3 * SECOND_NS, 2500 * MILLISECOND_NS, "ok", "± 2.5s"),
        (-HOUR_NS, SECOND_NS, "problem", "1h ahead of"),
    ],
)
def test_clocks_that_differ_by_more_than_the_measuring_error_are_reported(ahead_ns, uncertain_ns, level, text):
    ((found, words),) = said("clock", clock=Clock(ahead_ns=ahead_ns, uncertain_ns=uncertain_ns))
    assert found == level
    assert text in words


def test_a_server_that_does_not_report_its_time_is_reported():
    assert said("clock", clock=None) == [("warning", "the server does not report its time")]


@pytest.mark.parametrize(
    ("account", "levels"),
    [
        ({"limits": LIMITS, "memory": 74, "storage": 749}, ["ok"]),
        ({"limits": LIMITS, "memory": 75, "storage": 0}, ["warning"]),
        ({"limits": LIMITS, "memory": 95, "storage": 800, "streams": 10}, ["problem", "warning", "problem"]),
        ({"tiers": {"R3": {"limits": LIMITS, "memory": 99}}, "limits": {}, "memory": 99}, ["problem"]),
        ({"limits": {"max_memory": 0, "max_storage": -1}, "memory": 1, "storage": 10**15}, ["ok"]),
    ],
)
def test_limits_that_are_nearly_reached_are_reported(account, levels):
    assert [level for level, _ in said("limits", account=account)] == levels


def test_each_check_has_a_unique_name_and_a_text():
    names = [check.name for checks in GROUPS.values() for check in checks]
    assert len(set(names)) == len(names)
    findings = judge(facts())
    assert {finding.check for finding in findings} == set(names)
    assert all(finding.text for finding in findings)


REMEDIES = sorted(
    {
        command
        for module in Path(doctor.__path__[0]).glob("*.py")
        for command in re.findall(r"'(ajc [a-z][^']*)'", module.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("command", REMEDIES)
def test_a_remedy_is_an_existing_command(command):
    words = [re.sub(r"\{.*\}", "1", word) for word in command.split()[1:]]
    words = ["1h" if word == "RETENTION" else "3" if word in {"N", "REPLICAS"} else word for word in words]
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_remedies_are_found():
    assert len(REMEDIES) > 8
