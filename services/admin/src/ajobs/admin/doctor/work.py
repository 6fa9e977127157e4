"""Checks of tasks, items, workers, pauses, schedules and schedulers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ajobs.admin.doctor.facts import Facts
from ajobs.admin.doctor.findings import Check, Verdict, always, problem, some, warning
from ajobs.admin.text.human import age_text, duration_text, pause_end_text, plural
from ajobs.client.maintenance.janitor import ITEM_SPENT, ITEM_WITHOUT_TASK, TASK_WITHOUT_ITEM, TASK_WITHOUT_QUEUE
from ajobs.protocol.durations import as_ns
from ajobs.protocol.subjects import SCHEDULER_ELECTION
from ajobs.protocol.task import Task, tried_ns

_STUCK = {
    ITEM_WITHOUT_TASK: (("item", "items"), "whose task is gone"),
    ITEM_SPENT: (("item", "items"), "that the server will not deliver again"),
    TASK_WITHOUT_ITEM: (("task", "tasks"), "whose item is gone from the queue"),
    TASK_WITHOUT_QUEUE: (("task", "tasks"), "whose queue does not exist"),
}
_REPAIR = "run 'ajobs-scheduler', which repairs these within 15 minutes, then 'ajc task retry ID'"


def _stuck(facts: Facts) -> Iterator[Verdict]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stuck in facts.stuck:
        found[stuck.kind, stuck.queue].append(stuck.task_id)
    for (kind, queue), ids in found.items():
        nouns, what = _STUCK[kind]
        yield problem(f"queue {queue}: {plural(len(ids), *nouns)} {what}: {some(ids)}", _REPAIR)


def _overdue(facts: Facts) -> Iterator[Verdict]:
    running = {task.id for worker in facts.workers for task in worker.presence.running}
    many = {worker.presence.running_count > len(worker.presence.running) for worker in facts.workers}
    times = {info.queue.name: as_ns(info.queue.max_run_time) for info in facts.queues}
    stuck = {stuck.task_id for stuck in facts.stuck}
    overdue: dict[str, list[Task]] = defaultdict(list)
    for task in facts.active:
        lease_ns = times.get(task.queue)
        started_ns = tried_ns(task)
        if lease_ns is None or started_ns is None or task.id in running | stuck or True in many:
            continue
        if facts.now_ns > started_ns + lease_ns + facts.grace_ns:
            overdue[task.queue].append(task)
    for queue, tasks in overdue.items():
        yield warning(
            f"queue {queue}: {plural(len(tasks), 'task has', 'tasks have')} been active for more than "
            f"{duration_text(times[queue])}, but no worker is running them: {some(task.id for task in tasks)}",
            f"start a worker for queue {queue}, which receives them again",
        )


def _without_worker(facts: Facts) -> Iterator[Verdict]:
    worked = {queue.name for worker in facts.workers for queue in worker.presence.queues}
    for info in facts.queues:
        name = info.queue.name
        # Workers of Go do not announce themselves, but they pull items.
        if not info.items or name in worked or info.pulls or info.paused_until is not None:
            continue
        text = f"queue {name} has {plural(info.items, 'item')}, the oldest {age_text(info.first_item)} old, "
        remedy = f"start one: 'ajobs-worker MODULE:ROUTER --queue {name}'"
        if info.in_progress:
            yield warning(f"{text}some are in progress, but no worker asks for more", remedy)
        else:
            yield problem(f"{text}and no worker", remedy)


def _paused(facts: Facts) -> Iterator[Verdict]:
    for info in facts.queues:
        if info.paused_until is not None:
            yield warning(
                f"queue {info.queue.name} is paused until {_until(info.paused_until, facts.now_ns)}",
                f"'ajc queue resume {info.queue.name}' resumes it",
            )


def _until(timestamp: str, now_ns: int) -> str:
    return pause_end_text(timestamp, now_ns=now_ns)


def _schedules(facts: Facts) -> Iterator[Verdict]:
    queues = {info.queue.name for info in facts.queues}
    for info in facts.schedules:
        again = f"create it again: 'ajc task cron delete {info.name}', then 'ajc task cron add NAME SCHEDULE TYPE'"
        if info.distrusted:
            yield problem(
                f"schedule {info.name} creates no signed tasks: {info.problem}",
                f"'ajc schedule view {info.name}', and if it is yours 'ajc schedule sign {info.name}'",
            )
        elif info.problem is not None:
            yield problem(f"schedule {info.name} is broken: {info.problem}", again)
        elif info.schedule.queue not in queues:
            yield problem(
                f"schedule {info.name} is for queue {info.schedule.queue}, which does not exist",
                f"create it with 'ajc queue new {info.schedule.queue}', or start a worker for it",
            )


def _scheduler(facts: Facts) -> Iterator[Verdict]:
    due = [info.name for info in facts.schedules if info.problem is None and not info.options.paused]
    if due and SCHEDULER_ELECTION not in facts.leaders:
        yield problem(
            f"no scheduler leads, so {plural(len(due), 'schedule creates', 'schedules create')} no tasks: {some(due)}",
            "start one: 'ajobs-scheduler'; if one has just started or stopped, check again in 20 s",
        )


def _versions(facts: Facts) -> Iterator[Verdict]:
    found: dict[str, list[str]] = defaultdict(list)
    for worker in facts.workers:
        found[worker.presence.version].append(worker.presence.name)
    if len(found) > 1:
        text = "; ".join(f"{version}: {some(names)}" for version, names in sorted(found.items()))
        yield warning(f"workers have different versions ({text})", "upgrade all of them to the newest")


def _stuck_is_fine(facts: Facts) -> str:
    text = f"nothing is stuck among {plural(facts.stored, 'task')}"
    if facts.grace_ns:
        text += f" (ignoring tasks that changed in the last {duration_text(facts.grace_ns)})"
    return text


def _overdue_is_fine(facts: Facts) -> str:
    if facts.checked < facts.stored:
        return f"none among the first {facts.checked:,} of {facts.stored:,} tasks"
    return f"{plural(len(facts.active), 'task')} active, each within its time or with a worker"


def _workers_are_fine(facts: Facts) -> str:
    return f"every queue with items has a worker or is paused; {plural(len(facts.workers), 'worker')} running"


def _schedules_are_fine(facts: Facts) -> str:
    return f"{plural(len(facts.schedules), 'schedule')}, none broken"


def _scheduler_is_fine(facts: Facts) -> str:
    leader = facts.leaders.get(SCHEDULER_ELECTION)
    return "not needed: no active schedules" if leader is None else f"{leader} leads"


CHECKS = (
    Check("stuck", _stuck, _stuck_is_fine),
    Check("overdue", _overdue, _overdue_is_fine),
    Check("workers", _without_worker, _workers_are_fine),
    Check("pauses", _paused, always("no queue is paused")),
    Check("versions", _versions, always("all workers have the same version")),
)
SCHEDULE_CHECKS = (
    Check("schedules", _schedules, _schedules_are_fine),
    Check("scheduler", _scheduler, _scheduler_is_fine),
)
