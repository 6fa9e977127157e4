"""Checks of the settings of streams, buckets and consumers against the wire format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ajobs.admin.doctor.facts import Facts
from ajobs.admin.doctor.findings import Check, Verdict, always, problem, some, warning
from ajobs.admin.text.human import duration_text, plural
from ajobs.client.storage.queues import QueueInfo
from ajobs.protocol.durations import SECOND_NS, as_ns
from ajobs.protocol.subjects import (
    CONFIGURATION_BUCKET,
    ELECTIONS_BUCKET,
    QUEUE_CONSUMER,
    TASKS_STREAM,
    TASKS_SUBJECTS,
    WORKERS_BUCKET,
    bucket_stream,
    queue_stream,
    queue_subjects,
)
from ajobs.protocol.task import DEFAULT_MAX_TRIES

PATIENCE_NS = 30 * SECOND_NS
"""How long a producer repeats an item that is not confirmed."""
SHORTEST_LEASE_NS = 3 * SECOND_NS
"""Workers renew a lease three times: with a shorter one, a slow second causes a redelivery."""
MIN_SERVERS = 3
CONFIGURATION, ELECTIONS, WORKERS = (bucket_stream(n) for n in (CONFIGURATION_BUCKET, ELECTIONS_BUCKET, WORKERS_BUCKET))


class Expected(NamedTuple):
    """The required value of a field, and the effect of another value."""

    field: str
    value: Any
    default: Any
    """The value if the server omits the field."""
    otherwise: str


_TASKS = (
    Expected("subjects", [TASKS_SUBJECTS], None, "tasks are not stored, or other messages are"),
    Expected("retention", "limits", "limits", "tasks would be deleted when they are read"),
    Expected("max_msgs_per_subject", 1, -1, "old states of tasks stay and are listed as tasks"),
    Expected("max_msgs", -1, -1, "the oldest tasks are dropped when there are as many"),
    Expected("max_bytes", -1, -1, "the oldest tasks are dropped when it is full"),
    Expected("subject_delete_marker_ttl", 0, 0, "clients in Go fail on what the server then stores"),
    Expected("sealed", value=False, default=False, otherwise="nothing can be stored"),
)
_BUCKET = (
    Expected("max_msgs_per_subject", 1, -1, "old values stay"),
    Expected("allow_rollup_hdrs", value=True, default=False, otherwise="keys cannot be purged"),
)
_QUEUE = (
    Expected("retention", "workqueue", "limits", "finished items are delivered again to a new consumer"),
    Expected("max_msgs_per_subject", 1, -1, "a retried task has two items"),
    Expected("max_bytes", -1, -1, "items are refused, or dropped, when it is full"),
    Expected("sealed", value=False, default=False, otherwise="nothing can be enqueued"),
)
_CONSUMER = (
    Expected("ack_policy", "explicit", "none", "items are lost with the worker that has them"),
    Expected("deliver_policy", "all", "all", "items from before its creation are never delivered"),
    Expected("replay_policy", "instant", "instant", "items are delivered as slowly as they came"),
    Expected("filter_subject", "", "", "items of other tasks are never delivered"),
    Expected("priority_policy", "none", "none", "workers in Go get nothing"),
    Expected("headers_only", value=False, default=False, otherwise="workers cannot tell which task an item is for"),
)


def differences(config: Mapping[str, Any], expected: tuple[Expected, ...]) -> Iterator[Expected]:
    """Yield the fields of a configuration that have another value."""
    for setting in expected:
        if (config.get(setting.field) or setting.default) != (setting.value or setting.default):
            yield setting


def _wrong(what: str, info: Mapping[str, Any], expected: tuple[Expected, ...], edit: str) -> Iterator[Verdict]:
    for setting in differences(info["config"], expected):
        found = info["config"].get(setting.field, setting.default)
        yield problem(
            f"{what}: {setting.field} is {found!r} instead of {setting.value!r}, so {setting.otherwise}", edit
        )


def _task_store(facts: Facts) -> Iterator[Verdict]:
    info = facts.streams[TASKS_STREAM]
    if info is None:
        yield problem(f"the task store (stream {TASKS_STREAM}) does not exist", "create it with 'ajc task initialize'")
        return
    yield from _wrong("task store", info, _TASKS, f"correct it with 'nats stream edit {TASKS_STREAM}'")
    retention_ns = info["config"].get("max_age", 0)
    longest = max((as_ns(queue.queue.max_run_time) for queue in facts.queues), default=0)
    if 0 < retention_ns <= longest:
        yield warning(
            f"tasks are kept for {duration_text(retention_ns)} after their last change, and may run for "
            f"{duration_text(longest)}: they can be deleted while they run",
            "keep them longer: 'ajc task configure RETENTION REPLICAS'",
        )


def _buckets(facts: Facts) -> Iterator[Verdict]:
    for name, what in ((CONFIGURATION, "schedules"), (ELECTIONS, "elections")):
        info = facts.streams[name]
        if info is None:
            yield warning(
                f"the bucket for {what} ({name.removeprefix(bucket_stream(''))}) does not exist",
                "start a scheduler, which creates it",
            )
            continue
        yield from _wrong(f"bucket for {what}", info, _BUCKET, f"correct it with 'nats stream edit {name}'")
    configuration, elections = facts.streams[CONFIGURATION], facts.streams[ELECTIONS]
    if configuration is not None and configuration["config"].get("max_age"):
        kept = duration_text(configuration["config"]["max_age"])
        yield problem(f"schedules are deleted after {kept}", f"'nats stream edit {CONFIGURATION} --max-age 0s'")
    if elections is not None and not elections["config"].get("max_age"):
        yield problem(
            "the bucket for elections keeps keys without limit, so a dead leader is never replaced",
            f"'nats stream edit {ELECTIONS} --max-age 10s'",
        )


def _queue_streams(facts: Facts) -> Iterator[Verdict]:
    for name in facts.without_consumer:
        yield problem(
            f"queue {name} has no consumer, so nothing is delivered",
            f"start a worker, which creates it: 'ajobs-worker MODULE:ROUTER --queue {name}'",
        )
    for info in facts.queues:
        edit = f"correct it with 'nats stream edit {queue_stream(info.queue.name)}'"
        subjects = Expected("subjects", [queue_subjects(info.queue.name)], None, "items do not get into it")
        stream, _ = facts.described[info.queue.name]
        yield from _wrong(f"queue {info.queue.name}", stream, (*_QUEUE, subjects), edit)
        config = stream["config"]
        window_ns, age_ns = config.get("duplicate_window", 0), config.get("max_age", 0)
        if window_ns < PATIENCE_NS and not 0 < age_ns <= PATIENCE_NS:
            yield warning(
                f"queue {info.queue.name} detects duplicates for only {duration_text(window_ns)}: an item whose "
                "confirmation was lost can be stored twice",
                f"'nats stream edit {queue_stream(info.queue.name)} --dupe-window 2m'",
            )
        yield from _fill(info)


def _fill(info: QueueInfo) -> Iterator[Verdict]:
    most, name = info.queue.max_entries, info.queue.name
    if not most or info.items < 0.9 * most:
        return
    text = f"queue {name} has {info.items:,} of {most:,} items"
    remedy = f"start more workers, or 'ajc queue configure {name} --entries N'"
    if info.items < most:
        yield warning(text, remedy)
    elif info.queue.discard_old:
        yield problem(f"{text}: each new item drops the oldest, whose task then never runs", remedy)
    else:
        yield problem(f"{text}: new items are refused", remedy)


def _consumers(facts: Facts) -> Iterator[Verdict]:
    slots: dict[str, int] = {}
    for worker in facts.workers:
        for queue in worker.presence.queues:
            slots[queue.name] = slots.get(queue.name, 0) + queue.concurrency
    for info in facts.queues:
        queue, name = info.queue, info.queue.name
        yield from _wrong(
            f"consumer of queue {name}", facts.described[name][1], _CONSUMER,
            f"'nats consumer rm {queue_stream(name)} {QUEUE_CONSUMER}', then start a worker for {name}, "
            "which creates it",
        )  # fmt: skip
        lease_ns = as_ns(queue.max_run_time)
        if lease_ns < SHORTEST_LEASE_NS:
            yield warning(
                f"queue {name} redelivers a task after {duration_text(lease_ns)} without a sign of life: "
                "a slow moment causes a second run",
                f"'ajc queue configure {name} --run-time 1m', and limit single task types with max_run_time",
            )
        if 0 < queue.max_tries < DEFAULT_MAX_TRIES:
            yield warning(
                f"queue {name} delivers an item {plural(queue.max_tries, 'time')}, but tasks have {DEFAULT_MAX_TRIES} "
                "tries by default: they expire early",
                f"'ajc queue configure {name} --tries 0' leaves the limit to the tasks",
            )
        if 0 < queue.max_concurrent < slots.get(name, 0):
            yield warning(
                f"queue {name} lets {plural(queue.max_concurrent, 'task')} run concurrently, "
                f"but its workers have {slots[name]} slots",
                f"'ajc queue configure {name} --concurrent {slots[name]}', or run fewer workers",
            )


def _replicas(facts: Facts) -> Iterator[Verdict]:
    if not facts.cluster or facts.servers < MIN_SERVERS:
        return
    few = [name for name, info in facts.streams.items() if info is not None and _alone(info) and name != WORKERS]
    few += [f"queue {name}" for name, (stream, _) in facts.described.items() if _alone(stream)]
    if few:
        yield warning(
            f"the cluster has {facts.servers} servers, but only one of them keeps {some(few)}",
            "'ajc task configure RETENTION 3', 'ajc queue configure QUEUE --replicas 3'",
        )


def _alone(info: Mapping[str, Any]) -> bool:
    return info["config"].get("num_replicas", 1) < MIN_SERVERS


def _store_is_fine(facts: Facts) -> str:
    info = facts.streams[TASKS_STREAM]
    assert info is not None  # noqa: S101 - the check reports a missing store
    age = info["config"].get("max_age", 0)
    kept = f"for {duration_text(age)} after the last change" if age else "until they are deleted"
    return f"{plural(info['state']['messages'], 'task')}, kept {kept}"


def _queues_are_fine(facts: Facts) -> str:
    return f"{plural(len(facts.queues), 'queue')}, with correct settings, none full"


def _replicas_are_fine(facts: Facts) -> str:
    return "every stream is replicated" if facts.cluster else "a single server"


CHECKS = (
    Check("task store", _task_store, _store_is_fine),
    Check("buckets", _buckets, always("the buckets for schedules and elections have correct settings")),
    Check("queues", _queue_streams, _queues_are_fine),
    Check("consumers", _consumers, always("all consumers have correct settings")),
    Check("replicas", _replicas, _replicas_are_fine),
)
