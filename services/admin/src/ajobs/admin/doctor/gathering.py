"""Gathers the facts without changing anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ajobs.admin.doctor.facts import Clock, Facts, SeenWorker, Signing
from ajobs.admin.doctor.settings import CONFIGURATION, ELECTIONS, WORKERS
from ajobs.client.maintenance.janitor import Janitor
from ajobs.client.nats.addresses import without_credentials
from ajobs.client.nats.credentials import is_exposed
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.durations import from_ns
from ajobs.protocol.errors import DecodeError, TaskNotSignedError, TaskSignatureError
from ajobs.protocol.presence import decode_presence
from ajobs.protocol.signing import verify_task
from ajobs.protocol.states import FINAL_STATES, TaskState
from ajobs.protocol.subjects import TASKS_STREAM, queue_stream
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.client import Client

CLOCK_ROUNDS = 5
"""Number of requests for the time of the server; the fastest one counts."""
MOST_TASKS = 200_000
"""Maximum number of tasks that are checked."""
MOST_SIGNED = 2_000
"""Maximum number of unfinished tasks whose signatures are checked."""


async def gather(client: Client, *, grace_ns: int, seed_files: Iterable[str] = ()) -> Facts:
    """Return the facts.

    Args:
        client: A client with ``no_storage_init``, which creates nothing.
        grace_ns: Nanoseconds since the last change of a task during which it is ignored.
        seed_files: Files with a seed, whose permissions are checked.

    Raises:
        AjobsError: The server stopped answering.
    """
    storage, nats = client.storage, client.connection.nats
    account = await storage.account_info()
    streams = {name: await storage.find_stream(name) for name in (TASKS_STREAM, CONFIGURATION, ELECTIONS, WORKERS)}
    store = streams[TASKS_STREAM]
    queues = await client.queues()
    described = {info.queue.name: await storage.queues.described(info.queue.name) for info in queues}
    names = await storage.queues.names()
    lacking = [name for name in names if name not in {info.queue.name for info in queues}]
    exists = [name for name in lacking if await storage.find_stream(queue_stream(name)) is not None]
    stuck = () if store is None else tuple(await Janitor(client, grace=from_ns(grace_ns)).look())
    active, checked, signing = ((), 0, Signing()) if store is None else await _tasks(client)
    known: dict[str, Any] = nats._server_info  # noqa: SLF001 - the only place of the server's version
    url = nats.connected_url
    return Facts(
        now_ns=time.time_ns(),
        grace_ns=grace_ns,
        server="" if url is None else without_credentials(url.geturl()),
        version=known.get("version", ""),
        cluster=known.get("cluster", ""),
        servers=len(set(known.get("connect_urls") or [])) or 1,
        account=account,
        streams=streams,
        queues=tuple(queues),
        described=described,
        without_consumer=tuple(exists),
        workers=tuple(await _workers(client)),
        leaders=await client.leaders(),
        schedules=() if streams[CONFIGURATION] is None else tuple(await client.schedules.all()),
        stuck=stuck,
        active=active,
        checked=checked,
        stored=0 if store is None else store["state"]["messages"],
        clock=None if store is None else await _clock(client),
        signing=_with_keys(signing, client, seed_files),
        own_version=version("ajobs-admin"),
    )


async def _clock(client: Client) -> Clock | None:
    """Compare the clocks by the time in responses of the server."""
    rounds: list[Clock] = []
    for _ in range(CLOCK_ROUNDS):
        asked_ns, began = time.time_ns(), time.perf_counter_ns()
        answer = await client.storage.find_stream(TASKS_STREAM) or {}
        took_ns = time.perf_counter_ns() - began
        if "ts" not in answer:
            return None
        ahead_ns = parse_timestamp(answer["ts"]) - (asked_ns + took_ns // 2)
        rounds.append(Clock(ahead_ns=ahead_ns, uncertain_ns=took_ns // 2))
    return min(rounds, key=lambda each: each.uncertain_ns)


async def _workers(client: Client) -> list[SeenWorker]:
    bucket = await workers_bucket(client.storage, client.options, create=False)
    found: list[SeenWorker] = []
    if bucket is None:
        return found
    async for entry in bucket.entries():
        try:
            found.append(SeenWorker(presence=decode_presence(entry.value), stored_ns=entry.stored_ns))
        except DecodeError:
            continue  # written by another version
    return found


async def _tasks(client: Client) -> tuple[tuple[Task, ...], int, Signing]:
    active: list[Task] = []
    checked = signatures = 0
    unsigned: list[str] = []
    wrong: list[str] = []
    async with aclosing(client.tasks()) as tasks:
        async for task in tasks:
            checked += 1
            if task.state is TaskState.ACTIVE:
                active.append(task)
            if client.keys.verifier is not None and task.state not in FINAL_STATES and signatures < MOST_SIGNED:
                signatures += 1
                try:
                    verify_task(task, client.keys.verifier, optional=client.keys.optional)
                except TaskNotSignedError:
                    unsigned.append(task.id)
                except TaskSignatureError:
                    wrong.append(task.id)
            if checked == MOST_TASKS:
                break
            if not checked % 1_000:
                await asyncio.sleep(0)
    return tuple(active), checked, Signing(checked=signatures, unsigned=tuple(unsigned), wrong=tuple(wrong))


def _with_keys(signing: Signing, client: Client, seed_files: Iterable[str]) -> Signing:
    signer, verifier = client.keys.signer, client.keys.verifier
    return Signing(
        verifies=verifier is not None,
        belong_together=signer is None or verifier is None or verifier.matches(b"ajc", signer.sign(b"ajc")),
        checked=signing.checked,
        unsigned=signing.unsigned,
        wrong=signing.wrong,
        exposed=tuple(path for path in seed_files if is_exposed(path)),
    )
