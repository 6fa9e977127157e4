"""The service side of remote handlers: answer the requests in which workers pass on tasks (`Router.remote`).

::

    async with remote_service(router, "nats://127.0.0.1:4222"):
        await asyncio.Event().wait()

It needs neither JetStream nor the task store. Each request goes to one of any number of services.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Unpack

from nats.aio.msg import Msg

from ajobs.client.nats.connection import Connection
from ajobs.client.options import keys_of, signature_mode
from ajobs.client.settings import Settings, split_settings
from ajobs.protocol import headers
from ajobs.protocol.codec import decode_task, encode_value
from ajobs.protocol.decisions import Failed, Interrupted, Outcome, Succeeded, Terminated, error_text
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import (
    ConfigurationError,
    CorruptTaskError,
    InvalidTimestampError,
    TaskNotSignedError,
    TaskSignatureError,
)
from ajobs.protocol.headers import header_block
from ajobs.protocol.signing import Verifier, verify_task
from ajobs.protocol.states import FINAL_STATES
from ajobs.protocol.subjects import remote_handler_subject
from ajobs.protocol.task import Task, is_past_deadline
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.worker.routing.lifespan import State, enter_lifespans, provided_by
from ajobs.worker.routing.router import Router
from ajobs.worker.routing.table import BoundRoute, RoutingTable
from ajobs.worker.running.executors import Executors
from ajobs.worker.running.lease import NEVER_S, DeferredTimers, Lease
from ajobs.worker.running.outcome import handle_run
from ajobs.worker.running.run import Run

GROUP = "ajobs"
"""The NATS queue group in which services share requests."""
MOST_ERROR = 1_000
"""Characters of an error to send in a header."""
DEADLINE_SLACK_NS = 60 * SECOND_NS
"""How long after its deadline a task is still accepted: its worker started it in time, and the request had to wait."""

logger = logging.getLogger("ajobs.remote")


@asynccontextmanager
async def remote_service(
    router: Router,
    servers: str | Iterable[str] | None = None,
    *,
    concurrency: int = 10,
    **settings: Unpack[Settings],
) -> AsyncGenerator[Connection]:
    """Answer requests with the handlers of a router until the end of the block. Yields the connection.

    At the end of the block it takes no more requests, and answers those that it has.

    Args:
        router: The handlers and lifespans. They cannot have a `Client`, because the service needs no task store.
        servers: As for `Client.connect`.
        concurrency: Requests to handle at once. Others wait.
        settings: As for `Client.connect`. With a verification key, tasks without a valid signature are refused.

    Raises:
        ConfigurationError: The router has no handler, a handler cannot be called, or settings are invalid.
        AuthenticationError: The server refused the credentials.
        ConnectionFailedError: No server could be reached.
    """
    if concurrency < 1:
        raise ConfigurationError(f"invalid concurrency {concurrency}: use 1 or more")
    connect_options, options = split_settings(servers, settings)
    keys = keys_of(options)
    lifespans = router.lifespans()
    routes = RoutingTable.of(router, provided_by(lifespans, given=()))
    if not routes.task_types:
        raise ConfigurationError("the router has no handler: register at least one. The type '' matches every task")
    state: State = {}
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(Connection.open(connect_options))
        await enter_lifespans(lifespans, state, stack)
        executors = Executors(concurrency)
        stack.push_async_callback(executors.close)
        logger.info("signatures are %s", signature_mode(keys))
        service = _Service(connection, routes, executors, state, keys.verifier, optional=keys.optional)
        await stack.enter_async_context(service.serving(concurrency))
        yield connection


class _Service:
    def __init__(
        self,
        connection: Connection,
        routes: RoutingTable,
        executors: Executors,
        state: State,
        verifier: Verifier | None,
        *,
        optional: bool,
    ) -> None:
        self._connection = connection
        self._routes = routes
        self._executors = executors
        self._state = state
        self._verifier = verifier
        self._optional = optional
        self._timers = DeferredTimers()

    @asynccontextmanager
    async def serving(self, concurrency: int) -> AsyncGenerator[None]:
        slots = asyncio.Semaphore(concurrency)
        async with asyncio.TaskGroup() as answering:

            async def receive(message: Msg) -> None:
                await slots.acquire()
                task = answering.create_task(self._answer(message))
                task.add_done_callback(lambda _: slots.release())

            nats = self._connection.nats
            subscriptions = [
                await nats.subscribe(remote_handler_subject(task_type), GROUP, cb=receive)  # pyright: ignore[reportUnknownMemberType] - a bare Future
                for task_type in self._routes.task_types
            ]
            await self._connection.synchronize()
            try:
                yield
            finally:
                for subscription in subscriptions:
                    await self._connection.drain(subscription)

    async def _answer(self, message: Msg) -> None:
        outcome = await self._handle(message)
        answering = asyncio.current_task()
        if answering is not None and answering.cancelling():
            outcome = Interrupted()
        if not message.reply or not self._connection.is_connected:
            return
        said: dict[str, str] = {}
        data = b""
        match outcome:
            case Succeeded(payload):
                data = payload
            case Terminated(error):
                said = {headers.TERMINATE: _one_line(error)}
            case Failed(error):
                said = {headers.ERROR: _one_line(error)}
            case _:
                said = {headers.ERROR: "the service is stopping"}
        if len(data) > self._connection.nats.max_payload:
            said, data = {headers.TERMINATE: f"the result of {len(data)} bytes exceeds the server's max_payload"}, b""
        await self._connection.nats.publish(message.reply, data, headers=said or None)

    def _refusal(self, task: Task) -> str | None:
        """Return why a task does not run here. A copy of a signed task could be sent at any time."""
        try:
            if self._verifier is not None:
                verify_task(task, self._verifier, optional=self._optional)
        except (TaskNotSignedError, TaskSignatureError) as e:
            return str(e)
        if task.state in FINAL_STATES:
            return f"task {task.id} is {task.state}: it is not run again"
        if is_past_deadline(task, time.time_ns() - DEADLINE_SLACK_NS):
            return f"task {task.id} is past its deadline of {task.deadline}"
        return None

    async def _handle(self, message: Msg) -> Outcome:
        try:
            task = decode_task(message.data)
        except CorruptTaskError as e:
            return Failed(str(e))
        refusal = self._refusal(task)
        if refusal is not None:
            logger.error("refused task %s: %s", task.id, refusal)
            return Terminated(refusal)
        route = self._routes.find(task.type)
        if route is None:
            return Failed(f'no handler for task type "{task.type}"')
        try:
            remaining_s = _remaining_s((message.headers or {}).get(headers.HANDLER_DEADLINE, ""), route)
        except InvalidTimestampError as e:
            return Failed(f"{headers.HANDLER_DEADLINE}: {e}")
        if remaining_s <= 0:
            return Failed("the request came after its deadline")
        # The worker that passed the task on holds and renews the item.
        lease = Lease(remaining_s, NEVER_S, _no_renewal, self._timers)
        run = Run(
            task,
            lease,
            _no_extension,
            executors=self._executors,
            state=self._state,
            raw_headers=header_block(message.headers),
        )
        outcome = await handle_run(route.handle, run, encode=_encode)
        if run.error is not None:
            logger.warning("task %s of type %s failed", task.id, task.type, exc_info=run.error)
        return outcome


def _remaining_s(deadline: str, route: BoundRoute) -> float:
    remaining_s = (parse_timestamp(deadline) - time.time_ns()) / SECOND_NS
    bound_s = route.max_run_time_s
    return remaining_s if bound_s is None else min(remaining_s, bound_s)


def _encode(value: Any) -> bytes:
    """Return the bytes of the answer: bytes as they are, any other value as JSON."""
    if value is None:
        return b""
    return value if isinstance(value, bytes) else encode_value("result", value)


async def _no_renewal() -> None:
    """Renew nothing."""


async def _no_extension() -> None:
    raise ConfigurationError("a remote handler cannot extend its run: only the worker that passed the task on can")


def _one_line(error: str) -> str:
    text = " ".join(error.split()) or error_text(ValueError(error))
    return text[:MOST_ERROR].encode("ascii", "backslashreplace").decode()
