"""Schedules: rules by which the leading scheduler creates tasks at times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any, TypedDict, Unpack

import msgspec
from nats.aio.msg import Msg

from ajobs.client.identifiers import new_id
from ajobs.client.schedules.cron import preview, recurrence_of
from ajobs.client.schedules.cron_text import canonical
from ajobs.client.schedules.trust import Trust
from ajobs.client.storage.jetstream.buckets import Entry
from ajobs.client.storage.jetstream.errors import RevisionError, StreamNotFoundError
from ajobs.client.storage.storage import Storage
from ajobs.client.tasks.enqueue import Enqueuer
from ajobs.protocol.codec import decode_schedule, decode_schedule_options, encode, encode_payload
from ajobs.protocol.durations import Duration, as_ns
from ajobs.protocol.errors import (
    AjobsError,
    ConfigurationError,
    InvalidArgumentError,
    InvalidScheduleError,
    ScheduleAlreadyExistsError,
    ScheduleChangedError,
    ScheduleNotFoundError,
)
from ajobs.protocol.names import check_name
from ajobs.protocol.schedule import CatchUp, Schedule, ScheduleOptions, check_schedule
from ajobs.protocol.subjects import (
    CONFIGURATION_BUCKET,
    DEFAULT_QUEUE,
    SCHEDULE_KEY_PREFIX,
    SCHEDULE_OPTIONS_PREFIX,
    schedule_key,
    schedule_options_key,
)
from ajobs.protocol.task import DEFAULT_MAX_TRIES, Task, new_task
from ajobs.protocol.timestamps import Timestamp, format_timestamp, parse_timestamp, to_datetime, unix_ns

AT_A_STRETCH = 250
"""Schedules that are decoded before other asyncio tasks may run."""


class ScheduleSettings(TypedDict, total=False):
    """The settings of a schedule besides its name, cron text and task type."""

    queue: str
    payload: Any
    """Any value that msgspec encodes as JSON; ``bytes`` are used as they are."""
    deadline: Duration | None
    """How long after its tick a task may still be started, 30 seconds or more."""
    max_tries: int
    """The number of tries of a task; 0: 10, as for other tasks."""
    catch_up: CatchUp | str
    """The missed ticks to catch up on: none, last or all."""
    catch_up_limit: int
    jitter: Duration
    """The longest random delay of a tick, which spreads tasks out."""
    paused: bool


class ScheduleChanges(ScheduleSettings, total=False):
    """The settings of a schedule that can be changed."""

    schedule: str
    """The cron text; see `ajobs.client.schedules.cron`."""
    task_type: str


class ScheduleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is stored."""

    schedule: Schedule
    options: ScheduleOptions
    since: Timestamp
    """When it was created or last changed. It has no ticks before that."""
    problem: str | None = None
    """Why the schedule cannot run, or ``None``."""
    distrusted: bool = False
    """Whether the problem is a missing or wrong signature. Once the schedule is checked, `Schedules.sign` signs it."""

    @property
    def name(self) -> str:
        """The name of the schedule."""
        return self.schedule.name

    def next_runs(self, count: int = 1, now: datetime | None = None) -> list[datetime]:
        """Return the next times that it is due, in UTC, after ``now``; none while it is paused or broken.

        Raises:
            ConfigurationError: ``now`` has no time zone.
        """
        return [to_datetime(due_ns) for due_ns in next_due_ns(self, count, None if now is None else unix_ns(now))]


def next_due_ns(info: ScheduleInfo, count: int = 1, now_ns: int | None = None) -> list[int]:
    """Return `ScheduleInfo.next_runs` in nanoseconds since 1970."""
    if info.problem is not None or info.options.paused:
        return []
    return preview(info.schedule, time.time_ns() if now_ns is None else now_ns, count)


class Schedules:
    """Manages schedules. A client has them as `Client.schedules`."""

    def __init__(self, storage: Storage, enqueuer: Enqueuer, trust: Trust) -> None:
        """Use a client's storage, and its enqueuer for `run_now`. Only trusted schedules have ticks."""
        self._enqueuer = enqueuer
        self._trust = trust
        self._storage = storage
        self.bucket = storage.bucket(CONFIGURATION_BUCKET)

    async def create(
        self, name: str, schedule: str, task_type: str, **settings: Unpack[ScheduleSettings]
    ) -> ScheduleInfo:
        """Create a schedule.

        Args:
            name: The name of the schedule.
            schedule: The cron text; see `ajobs.client.schedules.cron`.
            task_type: The type of its tasks.
            settings: See `ScheduleSettings`.

        Raises:
            ScheduleAlreadyExistsError: A schedule with this name exists.
            InvalidNameError: A name is not valid.
            InvalidScheduleError: The cron text is not valid, or a number is out of range. The message says where.
            InvalidPayloadError: The payload cannot be encoded.
        """
        blank = Schedule(
            name=check_name("schedule name", name),
            schedule=schedule,
            task_type=task_type,
            queue=DEFAULT_QUEUE,
            created_at=format_timestamp(time.time_ns()),
        )
        made, options = _changed(blank, ScheduleOptions(), settings)
        before = await self.bucket.get(schedule_options_key(name))
        if await self.bucket.get(schedule_key(name)) is not None:
            raise _exists(name)
        options = self._trust.signed(made, options)
        try:
            async with self._with_options(name, options, made, before):
                await self.bucket.create(schedule_key(name), encode(made))
        except RevisionError as e:
            raise _exists(name) from e
        return await self.load(name)

    async def update(self, name: str, **settings: Unpack[ScheduleChanges]) -> ScheduleInfo:
        """Change some of a schedule's settings. Raises as `create` does, and `ScheduleNotFoundError`.

        A client with a signing key signs the change if the schedule was signed with a key that it trusts.

        Raises:
            ScheduleChangedError: Another client changed it meanwhile.
        """
        before = await self.bucket.get(schedule_options_key(check_name("schedule name", name)))
        entry = await self._entry(name)
        stored = decode_schedule(entry.value)
        stored_options = _options(stored, before)
        schedule, options = _changed(stored, stored_options, settings)
        options = self._trust.signed(schedule, options, (stored, stored_options))
        try:
            async with self._with_options(name, options, schedule, before):
                await self.bucket.update(entry.key, encode(schedule), entry.revision)
        except RevisionError as e:
            raise ScheduleChangedError(f"schedule {name} was changed by another client: load it and try again") from e
        return await self.load(name)

    async def pause(self, name: str) -> ScheduleInfo:
        """Pause a schedule: it creates no tasks until it is resumed. Go schedulers ignore the pause."""
        return await self.update(name, paused=True)

    async def resume(self, name: str) -> ScheduleInfo:
        """Resume a paused schedule, from its next tick on."""
        return await self.update(name, paused=False)

    async def sign(self, name: str) -> ScheduleInfo:
        """Sign a schedule as it is stored, so that schedulers with this signing key create tasks for it.

        Check the schedule first: its tasks will have a valid signature, no matter which client wrote it. Ticks
        before now create no tasks.

        Raises:
            ScheduleNotFoundError: No schedule with this name is stored.
            ScheduleChangedError: Another client changed it meanwhile.
            ConfigurationError: The client has no signing key.
            InvalidScheduleError: The schedule is broken, so that a signature would not help.
        """
        self._trust.require_key()
        key = schedule_options_key(check_name("schedule name", name))
        before, entry = await self.bucket.get(key), await self._entry(name)
        info = read_schedule(name, entry, before, self._trust)
        if info.problem is not None and not info.distrusted:
            raise InvalidScheduleError(f"cannot sign schedule {name}: {info.problem}")
        pair = (info.schedule, info.options)
        signed = self._trust.signed(*pair, pair, vouch=True)
        try:
            async with self._with_options(name, signed, info.schedule, before):
                await self.bucket.update(entry.key, entry.value, entry.revision)
        except RevisionError as e:
            raise ScheduleChangedError(f"schedule {name} was changed by another client: load it and try again") from e
        return await self.load(name)

    async def delete(self, name: str) -> None:
        """Delete a schedule. Its tasks stay as they are.

        Raises:
            ScheduleNotFoundError: No schedule with this name is stored.
        """
        await self._entry(name)
        await self.bucket.remove(schedule_key(name))
        await self.bucket.remove(schedule_options_key(name))

    async def load(self, name: str) -> ScheduleInfo:
        """Return a schedule. If it cannot run, its ``problem`` says why.

        Raises:
            ScheduleNotFoundError: No schedule with this name is stored.
            DecodeError: The stored document is not a schedule.
        """
        entry = await self._entry(name)
        decode_schedule(entry.value)
        return read_schedule(name, entry, await self.bucket.get(schedule_options_key(name)), self._trust)

    async def all(self) -> list[ScheduleInfo]:
        """Return all schedules, sorted by name. An unreadable document is returned as a broken schedule."""
        entries: dict[str, Entry] = {}
        with _nothing_without_bucket():
            async with aclosing(self.bucket.entries()) as found:
                async for entry in found:
                    entries[entry.key] = entry
        infos: list[ScheduleInfo] = []
        for number, (key, entry) in enumerate(sorted(entries.items())):
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)  # let other asyncio tasks run while thousands of schedules are decoded
            if key.startswith(SCHEDULE_KEY_PREFIX):
                name = key.removeprefix(SCHEDULE_KEY_PREFIX)
                infos.append(read_schedule(name, entry, entries.get(schedule_options_key(name)), self._trust))
        return infos

    async def read(self, name: str) -> ScheduleInfo | None:
        """Return a schedule, even a broken one, or ``None`` if no schedule has this name."""
        entry = await self.bucket.get(schedule_key(name))
        if entry is None:
            return None
        # Changes store the options first, so options that are read last have a signature for what was read before.
        return read_schedule(name, entry, await self.bucket.get(schedule_options_key(name)), self._trust)

    async def run_now(self, name: str) -> Task:
        """Create one task of a schedule now, in addition to its ticks. Raises as `load` and `Client.enqueue` do.

        Raises:
            QueueNotFoundError: The queue of the schedule does not exist; nothing is stored.
            InvalidScheduleError: The schedule is not signed with a key that this client trusts.
        """
        info = await self.load(name)
        if info.distrusted:
            raise InvalidScheduleError(f"schedule {name} is refused: {info.problem}")
        schedule = info.schedule
        return await self._enqueuer.enqueue(
            task_of(schedule, task_id=new_id(), tick_ns=time.time_ns()), None, require_queue=True
        )

    @asynccontextmanager
    async def changes(self, changed: Callable[[str], None]) -> AsyncGenerator[None]:
        """Call ``changed`` with the name of each schedule that is written, until the end of the block.

        Changes made while the connection is down are not reported.
        """

        async def receive(message: Msg) -> None:
            key = self.bucket.key_of(message.subject)
            for prefix in (SCHEDULE_KEY_PREFIX, SCHEDULE_OPTIONS_PREFIX):
                if key.startswith(prefix):
                    changed(key.removeprefix(prefix))

        async with self._storage.listening(self.bucket.subjects, receive):
            yield

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[AsyncGenerator[tuple[str, ScheduleInfo | None]]]:
        """Watch schedules: ``async with client.schedules.watch() as changes: async for name, schedule in changes``.

        A deleted schedule comes as ``None``.
        """
        names: asyncio.Queue[str] = asyncio.Queue()

        async def read() -> AsyncGenerator[tuple[str, ScheduleInfo | None]]:
            while True:
                name = await names.get()
                yield name, await self.read(name)

        async with self.changes(names.put_nowait), aclosing(read()) as changes:
            yield changes

    async def _entry(self, name: str) -> Entry:
        key, entry = schedule_key(check_name("schedule name", name)), None
        with _nothing_without_bucket():
            entry = await self.bucket.get(key)
        if entry is None:
            raise ScheduleNotFoundError(f"schedule {name} does not exist: check the name")
        return entry

    @asynccontextmanager
    async def _with_options(
        self, name: str, options: ScheduleOptions, schedule: Schedule, before: Entry | None
    ) -> AsyncGenerator[None]:
        """Replace the stored options, and restore the previous ones if the block fails.

        Raises:
            RevisionError: Another client was faster.
        """
        key = schedule_options_key(name)
        value = encode(msgspec.structs.replace(options, belongs_to=schedule.created_at))
        if before is None:
            revision = await self.bucket.create(key, value)
        else:
            revision = await self.bucket.update(key, value, before.revision)
        try:
            yield
        except RevisionError:
            with suppress(RevisionError):
                if before is None:
                    await self.bucket.delete(key, revision)
                else:
                    await self.bucket.update(key, before.value, revision)
            raise


@contextmanager
def _nothing_without_bucket() -> Generator[None]:
    """Ignore a missing bucket: no schedule has been created yet."""
    with suppress(StreamNotFoundError):
        yield


def task_of(schedule: Schedule, *, task_id: str, tick_ns: int) -> Task:
    """Return the task for a tick, the payload as it is stored; its deadline counts from the tick."""
    return new_task(
        schedule.task_type,
        schedule.payload,
        task_id=task_id,
        now_ns=time.time_ns(),
        queue=schedule.queue,
        deadline_ns=tick_ns + schedule.deadline if schedule.deadline else None,
        max_tries=schedule.max_tries or DEFAULT_MAX_TRIES,
    )


def read_schedule(name: str, entry: Entry, options: Entry | None, trust: Trust) -> ScheduleInfo:
    """Return the schedule stored under a name, as a broken one if it is unreadable or cannot run."""
    since_ns = max(entry.stored_ns, options.stored_ns if options else 0)
    schedule = Schedule(name=name, schedule="", task_type="", created_at=format_timestamp(entry.stored_ns))
    decoded = ScheduleOptions()
    problem = None
    try:
        schedule = decode_schedule(entry.value)
        decoded = _options(schedule, options)
        check_schedule(schedule)
        recurrence_of(schedule)
        if schedule.name != name:
            raise InvalidScheduleError(f"it is stored as {name}, but its document names it {schedule.name}")
    except AjobsError as e:
        problem = str(e)
        schedule = msgspec.structs.replace(schedule, name=name)
    distrust = None if problem is not None else trust.problem(schedule, decoded)
    return ScheduleInfo(
        schedule=schedule,
        options=decoded,
        since=format_timestamp(since_ns),
        problem=problem or distrust,
        distrusted=distrust is not None,
    )


def _options(schedule: Schedule, entry: Entry | None) -> ScheduleOptions:
    """Return the options of a schedule, unless an earlier schedule of that name left them behind."""
    if entry is None:
        return ScheduleOptions()
    options = decode_schedule_options(entry.value)
    if options.belongs_to and parse_timestamp(options.belongs_to) != parse_timestamp(schedule.created_at):
        return ScheduleOptions()
    return options


def _exists(name: str) -> ScheduleAlreadyExistsError:
    return ScheduleAlreadyExistsError(f"schedule {name} already exists: update it, or choose another name")


_IN_SCHEDULE = frozenset({"schedule", "task_type", "queue", "max_tries"})
_IN_OPTIONS = frozenset({"catch_up_limit", "paused"})


def _changed(
    schedule: Schedule, options: ScheduleOptions, settings: Mapping[str, Any]
) -> tuple[Schedule, ScheduleOptions]:
    """Return both documents with some settings changed, and checked."""
    unknown = settings.keys() - ScheduleChanges.__optional_keys__
    if unknown:
        known = ", ".join(sorted(ScheduleChanges.__optional_keys__))
        raise ConfigurationError(f"unknown schedule setting {', '.join(sorted(unknown))}: use some of {known}")
    document = {key: value for key, value in settings.items() if key in _IN_SCHEDULE}
    extras = {key: value for key, value in settings.items() if key in _IN_OPTIONS}
    if "payload" in settings:
        document["payload"] = encode_payload(settings["payload"])
    if "deadline" in settings:
        deadline = settings["deadline"]
        document["deadline"] = 0 if deadline is None else _ns(deadline, "deadline")
    if "catch_up" in settings:
        extras["catch_up"] = _catch_up(settings["catch_up"])
    if "jitter" in settings:
        extras["jitter"] = _ns(settings["jitter"], "jitter")
    schedule = check_schedule(msgspec.structs.replace(schedule, **document))
    recurrence_of(schedule)
    schedule = msgspec.structs.replace(schedule, schedule=canonical(schedule.schedule))
    return schedule, msgspec.structs.replace(options, **extras)


def _ns(value: Duration, option: str) -> int:
    try:
        return as_ns(value, option)
    except InvalidArgumentError as e:
        raise InvalidScheduleError(str(e)) from e


def _catch_up(value: str) -> CatchUp:
    try:
        return CatchUp(value)
    except ValueError as e:
        raise InvalidScheduleError(f"catch_up is {value!r}: use {', '.join(CatchUp)}") from e
