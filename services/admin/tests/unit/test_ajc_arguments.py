"""Every command, argument, alias, flag, default and variable of Go's ajc is understood."""

from __future__ import annotations

import sys

import pytest
from cyclopts import CycloptsError

from ajobs.admin.cli import session
from ajobs.admin.cli.main import app, run

HOUR_NS = 3600 * 10**9


def parse(words: list[str]) -> tuple[str, list, dict]:
    """Return the function of a command line, and its arguments."""
    root, bound, _ = app.meta.parse_args(words, exit_on_error=False, print_error=False)
    tokens = bound.args
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    assert root.__name__ == "ajc"
    bound.apply_defaults()
    return f"{command.__module__.rpartition('.')[2]}.{command.__name__}", list(bound.args), bound.kwargs


def spelled(heads: str, names: str, rest: str = "") -> list[str]:
    """Return the first head with each name, and each head with the first name."""
    first_head, *other_heads = heads.split("/")
    first_name, *other_names = names.split()
    pairs = [(first_head, first_name), *((first_head, name) for name in other_names)]
    pairs += [(head, first_name) for head in other_heads]
    return [f"{head} {name} {rest}".strip() for head, name in pairs]


QUEUES, TASKS, SCHEDULES = "queues/queue/q", "tasks/task/t", "schedules/schedule"
CRON = "tasks cron/task c/t cron"


ALIASES = [
    (["info"], "info.info"),
    (spelled(QUEUES, "new add n a", "Q"), "queues_new.new"),
    (spelled(QUEUES, "list ls"), "queues_list.list_"),
    (spelled(QUEUES, "delete rm", "Q"), "queues_delete.delete"),
    (spelled(QUEUES, "purge", "Q"), "queues_purge.purge"),
    (spelled(QUEUES, "info view i", "Q"), "queues_info.info"),
    (spelled(QUEUES, "configure config cfg", "Q"), "queues_configure.configure"),
    (spelled(TASKS, "add new a enqueue", "t p"), "tasks_add.add"),
    (spelled(TASKS, "retry", "ID"), "tasks_retry.retry"),
    (spelled(TASKS, "view show v info i", "ID"), "tasks_view.view"),
    (spelled(TASKS, "delete del rm", "ID"), "tasks_delete.delete"),
    (spelled(TASKS, "list ls"), "tasks_list.list_"),
    (spelled(TASKS, "purge"), "tasks_purge.purge"),
    (spelled(TASKS, "initialize"), "tasks_initialize.initialize"),
    (spelled(TASKS, "configure config cfg", "1h 1"), "tasks_configure.configure"),
    (spelled(TASKS, "watch"), "tasks_watch.watch"),
    (spelled(TASKS, "process", "t Q 1 prog"), "tasks_process.process"),
    (spelled(CRON, "add new a", "n @daily t"), "schedules_add.add"),
    (spelled(CRON, "view show v", "n"), "schedules_view.view"),
    (spelled(CRON, "delete del rm", "n"), "schedules_delete.delete"),
    (spelled(CRON, "list ls"), "schedules_list.list_"),
    (spelled(CRON, "scheduler", "n"), "schedules_scheduler.scheduler"),
    # not in Go
    (spelled(QUEUES, "pause resume", "Q"), ("queues_pause.pause", "queues_resume.resume")),
    (spelled(SCHEDULES, "next"), "schedules_next.next_"),
    (spelled(SCHEDULES, "update pause resume run", "n"), ("schedules_",)),
    (spelled("workers/worker", "list ls"), "workers_list.list_"),
]


@pytest.mark.parametrize(
    ("line", "function"),
    [(line, function) for lines, function in ALIASES for line in lines],
    ids=str,
)
def test_each_alias_of_a_command_runs_it(line, function):
    found, _, _ = parse(line.split())
    assert found.startswith(function)


QUEUE_DEFAULTS = {
    "age": 0, "entries": 0, "tries": -1, "run_time": HOUR_NS, "concurrent": 100, "memory": False, "replicas": 1,
    "discard_old": False,
}  # fmt: skip
ADD_DEFAULTS = {"queue": "DEFAULT", "deadline": None, "tries": None, "depends": (), "load": False}

CALLS = [
    ("info", [], {"replica": 1, "memory": False, "retention": 0}),
    ("info -R 3 --memory --retention 1h", [], {"replica": 3, "memory": True, "retention": HOUR_NS}),
    ("info --replica 5 --no-memory", [], {"replica": 5, "memory": False}),
    ("queue new Q", ["Q"], QUEUE_DEFAULTS),
    (
        "queue new Q --age 1h --entries 5 --tries 3 --run-time 2h --concurrent 7 --memory --replicas 3 --discard-old",
        ["Q"],
        {
            "age": HOUR_NS,
            "entries": 5,
            "tries": 3,
            "run_time": 2 * HOUR_NS,
            "concurrent": 7,
            "memory": True,
            "replicas": 3,
            "discard_old": True,
        },
    ),
    ("queue new Q --tries -1", ["Q"], {"tries": -1}),
    ("queue delete Q", ["Q"], {"force": False}),
    ("queue delete Q -f", ["Q"], {"force": True}),
    ("queue delete --force Q", ["Q"], {"force": True}),
    ("queue purge Q -f", ["Q"], {"force": True}),
    ("queue purge Q --no-force", ["Q"], {"force": False}),
    ("queue configure Q", ["Q"], dict.fromkeys(("age", "entries", "tries", "run_time", "concurrent", "replicas"))),
    (
        "queue configure Q --age -1s --entries -1 --tries -2 --run-time -1s --concurrent -2 --replicas -1",
        ["Q"],
        {"age": -(10**9), "entries": -1, "tries": -2, "run_time": -(10**9), "concurrent": -2, "replicas": -1},
    ),
    ("task add t p", ["t", "p"], ADD_DEFAULTS),
    (
        "task add t p -q Q --deadline 1h --tries 4 --depends A,B --depends C --load",
        ["t", "p"],
        {"queue": "Q", "deadline": HOUR_NS, "tries": 4, "depends": ("A,B", "C"), "load": True},
    ),
    ("task add t @- --queue Q --no-load", ["t", "@-"], {"queue": "Q", "load": False}),
    ("task add t -1", ["t", "-1"], ADD_DEFAULTS),
    ("task retry ID", ["ID"], {"queue": None}),
    ("task retry ID -q Q", ["ID"], {"queue": "Q"}),
    ("task retry ID --queue Q", ["ID"], {"queue": "Q"}),
    ("task view ID", ["ID"], {"json": False}),
    ("task view ID -j", ["ID"], {"json": True}),
    ("task view --json ID", ["ID"], {"json": True}),
    ("task delete ID -f", ["ID"], {"force": True}),
    ("task list", [200], {}),
    ("task list 5", [5], {}),
    ("task purge", [], {"force": False}),
    ("task purge --force", [], {"force": True}),
    ("task initialize", [], {"memory": False, "retention": 0, "replicas": 1}),
    ("task initialize --memory --retention 1h --replicas 3", [], {"memory": True, "retention": HOUR_NS, "replicas": 3}),
    ("task configure 1h 3", [HOUR_NS, 3], {}),
    ("task watch --task ID", [], {"task": "ID"}),
    (
        "task process t Q 5 prog",
        ["t", "Q", 5, "prog"],
        {"remote": False, "monitor": None, "discard_complete": False, "discard_expired": False, "backoff": "default"},
    ),
    (
        "task process t Q 5 --remote --monitor 9000 --discard-complete --discard-expired --backoff 1m",
        ["t", "Q", 5, None],
        {"remote": True, "monitor": 9000, "discard_complete": True, "discard_expired": True, "backoff": "1m"},
    ),
    (
        "task cron add n monthly t",
        ["n", "monthly", "t"],
        {"payload": None, "queue": "DEFAULT", "deadline": None, "tries": None},
    ),
    (
        "task cron add n @daily t --payload x -q Q --deadline 1h --tries 3",
        ["n", "@daily", "t"],
        {"payload": "x", "queue": "Q", "deadline": HOUR_NS, "tries": 3},
    ),
    ("task cron view n -j", ["n"], {"json": True}),
    ("task cron delete n -f", ["n"], {"force": True}),
    ("task cron list --names", [], {"names": True}),
    ("task cron scheduler n --monitor 9100", ["n"], {"monitor": 9100}),
]


@pytest.mark.parametrize(("line", "arguments", "options"), CALLS, ids=[line for line, _, _ in CALLS])
def test_arguments_and_options_of_go_are_accepted(line, arguments, options):
    _, found_arguments, found_options = parse(line.split())
    assert found_arguments == arguments
    assert {name: found_options[name] for name in options} == options


@pytest.mark.parametrize("backoff", ["default", "10m", "1h", "1m"])
def test_each_backoff_policy_can_be_chosen(backoff):
    assert parse(["task", "process", "t", "Q", "1", "prog", "--backoff", backoff])[2]["backoff"] == backoff


def test_variables_configure_process(monkeypatch):
    for name, value in {"TYPE": "t", "QUEUE": "Q", "CONCURRENCY": "7", "COMMAND": "prog"}.items():
        monkeypatch.setenv(f"AJC_{name}", value)
    assert parse(["task", "process"])[1] == ["t", "Q", 7, "prog"]


def test_every_type_is_the_empty_one(monkeypatch):
    assert parse(["task", "process", "", "Q", "1", "prog"])[1][0] == ""


def test_the_scheduler_is_named_by_a_variable(monkeypatch):
    monkeypatch.setenv("AJC_SCHEDULER_NAME", "one")
    assert parse(["task", "cron", "scheduler"])[1] == ["one"]


def options_of(words: list[str]) -> session.GlobalOptions:
    _, bound, _ = app.meta.parse_args(words, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    return session.GlobalOptions(**bound.kwargs)


@pytest.mark.parametrize(
    "line",
    [
        "--context C --server S --sign A --verify B --debug task view ID",
        "task --context C --server S --sign A --verify B --debug view ID",
        "task view ID --context C --server S --sign A --verify B --debug",
        "--debug task --sign A view --verify B --context C ID --server S",
    ],
)
def test_global_options_are_taken_before_and_after_a_command(line):
    assert options_of(line.split()) == session.GlobalOptions(context="C", server="S", sign="A", verify="B", debug=True)


def test_global_options_come_from_variables(monkeypatch):
    for name, value in {"CONTEXT": "C", "AJC_DEBUG": "true"}.items():
        monkeypatch.setenv(name, value)
    assert options_of(["info"]) == session.GlobalOptions(context="C", debug=True)
    assert not options_of(["info", "--no-debug"]).debug


@pytest.mark.parametrize(
    "line",
    [
        "nope", "task nope", "task view", "task list many", "task configure", "task configure soon 1",
        "task process t Q", "task process t Q x prog", "task process t Q 1 prog --backoff 5m", "queue new",
        "queue new Q --age 1", "queue new Q --concurrent many", "info --nope", "task add t --nope", "task list 1 2",
        "task list --sort upwards", "task cron add n @daily", "task cron scheduler",
    ],
)  # fmt: skip
def test_invalid_command_lines_are_refused(line):
    with pytest.raises(CycloptsError):
        parse(line.split())


def test_global_options_do_not_show_a_seed():
    assert "secret" not in repr(session.GlobalOptions(sign="secret", verify="secret", server="nats://secret@host"))


def test_dev_without_the_test_kit_names_the_package_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ajobs.testing", None)
    assert run(["dev"]) == 2
    assert capsys.readouterr().err == (
        'ajc: ajc dev needs more packages: install them with pip install "ajobs-admin[dev]"\n'
    )
