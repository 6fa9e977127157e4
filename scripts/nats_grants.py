"""Who may do what on NATS: the table from which the server's configuration and the documentation are generated.

Only the standard library is used, because ``make secrets`` runs before anything is installed.
"""

from __future__ import annotations

from typing import NamedTuple

DATA = "ASYNCJOBS"
"""The account that holds the streams. Streams belong to an account by its name, so it must never change."""

PRODUCER, WORKER, SCHEDULER, OBSERVER, REMOTE, ADMIN = ROLES = (
    "producer", "worker", "scheduler", "observer", "remote", "admin",
)  # fmt: skip
ACCOUNTS = {role: f"{role.upper()}S" for role in ROLES if role != ADMIN} | {ADMIN: DATA}

SHORT, PULL, HANDLER = "5s", "70s", "1h"
"""How long the server remembers where an answer goes. Pulls are answered by heartbeats every 5 s, so 70 s is ample."""


class Grant(NamedTuple):
    """What roles may publish to in the data account, and why."""

    subject: str
    roles: tuple[str, ...]
    why: str
    answers: str = ""
    """``stream`` if one request has several answers."""
    threshold: str = SHORT


CLIENTS = (PRODUCER, WORKER, SCHEDULER)
READERS = (*CLIENTS, OBSERVER)
GRANTS = [
    Grant("$JS.API.INFO", READERS, "check that JetStream is enabled"),
    Grant("$JS.API.STREAM.INFO.*", READERS, "read the settings of streams and buckets", threshold="10s"),
    Grant("$JS.API.CONSUMER.INFO.*.WORKERS", (PRODUCER, WORKER), "read the settings of a queue"),
    Grant("$JS.API.CONSUMER.INFO.*.*", (SCHEDULER, OBSERVER), "read the settings and the depth of queues"),
    Grant("$JS.API.STREAM.NAMES", (SCHEDULER, OBSERVER), "list queues"),
    Grant("$JS.API.STREAM.LIST", (OBSERVER,), "list queues with their sizes"),
    Grant("$JS.API.CONSUMER.NAMES.*", (OBSERVER,), "list consumers"),
    Grant("$JS.API.CONSUMER.LIST.*", (OBSERVER,), "list consumers with their settings"),
    # Tasks and items.
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_TASKS.>", READERS, "load a task"),
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_TASKS", READERS, "load many tasks in one request", "stream"),
    Grant("$JS.API.STREAM.MSG.GET.CHORIA_AJ_TASKS", (PRODUCER, WORKER, OBSERVER), "load a task from the leader"),
    Grant("$JS.API.STREAM.MSG.GET.*", (SCHEDULER,), "load a task, an item, the election and schedules"),
    Grant("CHORIA_AJ.T.*", CLIENTS, "save a task"),
    Grant("CHORIA_AJ.Q.*.*", CLIENTS, "put an item into a queue"),
    Grant("$JS.API.STREAM.MSG.DELETE.CHORIA_AJ_TASKS", (WORKER,), "discard a task"),
    Grant("$JS.API.STREAM.MSG.DELETE.*", (SCHEDULER,), "remove items that no worker will run"),
    Grant("$JS.API.CONSUMER.MSG.NEXT.*.WORKERS", (WORKER,), "take items from queues", "stream", PULL),
    Grant("$JS.ACK.*.WORKERS.>", (WORKER,), "acknowledge items, extend leases, hand items back"),
    Grant("$KV.CHORIA_AJ_WORKERS.*", (WORKER,), "announce a worker"),
    # Delayed and waiting tasks. Only the server writes CHORIA_AJ.L.due.>.
    Grant("CHORIA_AJ.L.at.*.*", CLIENTS, "delay a task"),
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_LATER.>", READERS, "load a delayed task"),
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_LATER", READERS, "list delayed tasks", "stream"),
    Grant("$JS.API.STREAM.MSG.DELETE.CHORIA_AJ_LATER", (PRODUCER, WORKER), "cancel a delayed task"),
    Grant("$JS.API.CONSUMER.INFO.CHORIA_AJ_LATER.MOVER", (WORKER,), "read the settings of the mover"),
    Grant("$JS.API.CONSUMER.MSG.NEXT.CHORIA_AJ_LATER.MOVER", (WORKER, SCHEDULER), "take due tasks", "stream", PULL),
    Grant("$JS.ACK.CHORIA_AJ_LATER.MOVER.>", (WORKER, SCHEDULER), "acknowledge due tasks"),
    # Unique tasks, slots of limits, flows.
    Grant("$KV.CHORIA_AJ_UNIQUE.*", CLIENTS, "reserve the key of a unique task"),
    Grant("$JS.API.STREAM.MSG.GET.KV_CHORIA_AJ_UNIQUE", (PRODUCER, WORKER), "read the key of a unique task"),
    Grant("$KV.CHORIA_AJ_SLOTS.*", (WORKER, SCHEDULER), "take a slot of a limit"),
    Grant("$JS.API.STREAM.MSG.GET.KV_CHORIA_AJ_SLOTS", (WORKER,), "read the slots of a limit"),
    Grant("$KV.CHORIA_AJ_FLOWS.*", CLIENTS, "save a flow"),
    Grant("$JS.API.STREAM.MSG.GET.KV_CHORIA_AJ_FLOWS", (PRODUCER, WORKER, OBSERVER), "read a flow"),
    # Notes, logs, rates.
    Grant("CHORIA_AJ.N.>", (PRODUCER, WORKER), "save progress, tags and tries"),
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_NOTES.>", (PRODUCER, WORKER, OBSERVER), "read progress, tags and tries"),
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_NOTES", (PRODUCER, OBSERVER), "find tasks by tag", "stream"),
    Grant("CHORIA_AJ.O.*", (WORKER,), "append to the log of a task"),
    Grant("$JS.API.DIRECT.GET.CHORIA_AJ_LOGS", (PRODUCER, OBSERVER), "read the log of a task", "stream"),
    Grant("CHORIA_AJ.R.>", (WORKER,), "count the starts of a rate limit"),
    # Options of queues: only keys below asyncjobs., never schedules, which carry payloads.
    Grant(
        "$JS.API.DIRECT.GET.KV_CHORIA_AJ_CONFIGURATION.$KV.CHORIA_AJ_CONFIGURATION.asyncjobs.>",
        (PRODUCER, WORKER), "read the options of queues",
    ),
    # The scheduler.
    Grant("$KV.CHORIA_AJ_ELECTIONS.task_scheduler", (SCHEDULER,), "campaign"),
    Grant("$KV.CHORIA_AJ_CONFIGURATION.asyncjobs.scheduler_progress", (SCHEDULER,), "save the progress of the leader"),
    Grant("$JS.API.DIRECT.GET.KV_CHORIA_AJ_CONFIGURATION", (SCHEDULER,), "read all schedules", "stream"),
    Grant("$JS.API.DIRECT.GET.KV_CHORIA_AJ_WORKERS", (SCHEDULER, OBSERVER), "read all workers", "stream"),
    # A creator of consumers names a subject for stored messages, and the server publishes them there unchecked: with
    # these grants, a scheduler's key can forge answers to an admin.
    *(
        grant
        for stream, why in (
            ("CHORIA_AJ_TASKS", "read all tasks, to repair stuck ones"),
            ("KV_CHORIA_AJ_CONFIGURATION", "read all schedules"),
            ("KV_CHORIA_AJ_WORKERS", "read all workers, whose tasks repair leaves alone"),
        )
        for grant in (
            Grant(f"$JS.API.CONSUMER.CREATE.{stream}", (SCHEDULER,), why),
            Grant(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*", (SCHEDULER,), why, "stream", PULL),
            Grant(f"$JS.API.CONSUMER.DELETE.{stream}.*", (SCHEDULER,), why),
        )
    ),
]  # fmt: skip

TASK_EVENTS, LEADER_EVENTS = "CHORIA_AJ.E.task_state.*", "CHORIA_AJ.E.leader_election.task_scheduler"
EVENTS = {PRODUCER: (TASK_EVENTS,), WORKER: (TASK_EVENTS,), SCHEDULER: (TASK_EVENTS, LEADER_EVENTS)}
"""What each role announces."""
HEARD_BY = {SCHEDULER: (WORKER, PRODUCER, OBSERVER), WORKER: (PRODUCER, OBSERVER), PRODUCER: (OBSERVER,)}
"""Who hears a role's events besides admins. The server refuses accounts that import from each other in a circle, though
not reliably, so events flow from schedulers to workers to producers to observers."""

NOTICES = {
    "$KV.CHORIA_AJ_CONFIGURATION.asyncjobs.>": ((WORKER,), "follow the options of queues"),
    "$KV.CHORIA_AJ_CONFIGURATION.>": ((SCHEDULER,), "follow schedules"),
    "$KV.CHORIA_AJ_ELECTIONS.task_scheduler": ((SCHEDULER,), "follow the election"),
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>": ((SCHEDULER,), "learn of items that are no longer delivered"),
}
"""Messages of the data account that roles receive."""

CONTROL, CANCEL, SLOTS_FREED, REMOTE_HANDLERS = (
    "CHORIA_AJ.C.W.>", "CHORIA_AJ.C.W.*.cancel", "CHORIA_AJ.C.S.*", "CHORIA_AJ.H.T.*",
)  # fmt: skip
ADMIN_PUBLISHES = {
    "$JS.API.>": "manage streams, consumers and buckets",
    "$JS.ACK.>": "take and acknowledge anything",
    "$JS.SNAPSHOT.>": "back up and restore",
    "$KV.>": "write schedules, elections and all other buckets",
    "CHORIA_AJ.>": "everything of ajobs",
}
ADMIN_SUBSCRIBES = {
    "$KV.>": "follow all buckets",
    "$JS.EVENT.ADVISORY.>": "follow the advisories of streams and consumers",
    "CHORIA_AJ.>": "everything of ajobs",
}
OWN_PUBLISHES = {
    PRODUCER: {CANCEL: "cancel a running task"},
    WORKER: {REMOTE_HANDLERS: "call remote handlers", SLOTS_FREED: "announce a free slot of a limit"},
}
OWN_SUBSCRIBES = {
    PRODUCER: {"CHORIA_AJ.E.>": "wait for results and watch"},
    WORKER: {
        "CHORIA_AJ.E.>": "wait for results and watch",
        CONTROL: "receive control requests",
        SLOTS_FREED: "learn of free slots of a limit",
    },
    OBSERVER: {"CHORIA_AJ.E.>": "watch"},
    REMOTE: {REMOTE_HANDLERS: "receive tasks"},
}
ANSWERS = {WORKER: ("control requests", "1m"), REMOTE: ("tasks", HANDLER)}
"""Roles that may answer each request that they receive once."""

PURPOSES = {
    PRODUCER: (
        "Enqueues tasks, reads them, waits for results, retries and cancels. Producers that must not see each other's",
        "answers need accounts of their own: copy this account under another name, and add the name to the exports.",
    ),
    WORKER: ("Takes items, runs tasks and saves them. Handlers may enqueue tasks.",),
    SCHEDULER: ("Takes part in the election, creates tasks from schedules and repairs stuck tasks.",),
    OBSERVER: ("Reads, for dashboards and `ajc top`. It sees the payloads and results of all tasks.",),
    REMOTE: (
        "Serves remote handlers: it receives tasks and answers each of them once. For a service that may see one task",
        "type only, copy this account with `CHORIA_AJ.H.T.TYPE` in place of the wildcard.",
    ),
    ADMIN: ("Creates and changes streams, buckets and queues, and may do everything else too.",),
}


def published(role: str) -> dict[str, str]:
    """Return what a role may publish to, and why."""
    if role == ADMIN:
        return ADMIN_PUBLISHES
    granted = {grant.subject: grant.why for grant in GRANTS if role in grant.roles}
    return granted | dict.fromkeys(EVENTS.get(role, ()), "announce events") | OWN_PUBLISHES.get(role, {})


def subscribed(role: str) -> dict[str, str]:
    """Return what a role may subscribe to, and why."""
    inbox = {} if role == REMOTE else {f"_INBOX.{role}.>": "receive answers"}
    if role == ADMIN:
        return inbox | ADMIN_SUBSCRIBES
    notices = {subject: why for subject, (roles, why) in NOTICES.items() if role in roles}
    return inbox | OWN_SUBSCRIBES.get(role, {}) | notices
