"""Calling handlers: which arguments a function takes, and on which thread it runs."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import typing
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import msgspec

from asyncjobs.protocol.errors import ConfigurationError, InvalidPayloadError
from asyncjobs.protocol.task import Task
from asyncjobs.worker.context import Context

Handler = Callable[..., Any]
"""A function, async or plain, with up to one parameter for the payload, and others annotated `Context` or `Task`."""

Decode = Callable[[bytes | None], Any]


class Invocation(msgspec.Struct, frozen=True):
    """How to call one handler."""

    function: Handler
    is_async: bool
    payload_name: str | None
    payload_optional: bool
    decode: Decode
    context_names: tuple[str, ...]
    task_names: tuple[str, ...]

    def arguments(self, context: Context) -> dict[str, Any]:
        """Return the arguments for a run, with the payload decoded.

        Raises:
            InvalidPayloadError: The payload does not fit the parameter's type.
        """
        arguments: dict[str, Any] = {}
        payload = context.task.payload
        if self.payload_name is not None and not (payload is None and self.payload_optional):
            arguments[self.payload_name] = self.decode(payload)
        for name in self.context_names:
            arguments[name] = context
        for name in self.task_names:
            arguments[name] = context.task
        return arguments

    def start_thread(self, arguments: dict[str, Any], threads: Executor) -> asyncio.Future[Any]:
        """Start a plain handler in a thread, with a copy of this task's context variables."""
        run = partial(contextvars.copy_context().run, partial(self.function, **arguments))
        return asyncio.get_running_loop().run_in_executor(threads, run)


def bind(function: Handler) -> Invocation:
    """Find out how to call a handler.

    Raises:
        ConfigurationError: It cannot be called with a payload, a context and a task, or its payload's type cannot be
            decoded to.
    """
    name = getattr(function, "__qualname__", repr(function))
    payload_name: str | None = None
    payload_optional = False
    payload_type: Any = Any
    contexts: list[str] = []
    tasks: list[str] = []
    hints = _hints(function, name)
    for parameter in _parameters(function, name):
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            msg = f"handler {name} has the parameter {parameter}: use named parameters only"
            raise ConfigurationError(msg)
        hint = hints.get(parameter.name, Any)
        if hint is Context:
            contexts.append(parameter.name)
        elif hint is Task:
            tasks.append(parameter.name)
        elif payload_name is None:
            payload_name, payload_type = parameter.name, hint
            payload_optional = parameter.default is not parameter.empty
        else:
            msg = (
                f"handler {name} has two parameters for the payload, {payload_name} and {parameter.name}: "
                "put them into one structure, or annotate one with Context or Task"
            )
            raise ConfigurationError(msg)
    return Invocation(
        function=function,
        is_async=_is_async(function),
        payload_name=payload_name,
        payload_optional=payload_optional,
        decode=_decoder(payload_type, name),
        context_names=tuple(contexts),
        task_names=tuple(tasks),
    )


def _parameters(function: Handler, name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError as e:
        msg = f"handler {name} does not tell its parameters: wrap it into a function of your own"
        raise ConfigurationError(msg) from e


def _hints(function: Handler, name: str) -> dict[str, Any]:
    target = function.func if isinstance(function, partial) else function
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as e:
        msg = f"handler {name} has an annotation that cannot be looked up: {e}; import it where the handler is defined"
        raise ConfigurationError(msg) from e


def _is_async(function: Handler) -> bool:
    target = function.func if isinstance(function, partial) else function
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def _decoder(payload_type: Any, name: str) -> Decode:
    if payload_type is bytes:
        return lambda payload: payload or b""
    try:
        decoder = msgspec.json.Decoder(payload_type)
    except TypeError as e:
        msg = f"handler {name} wants its payload as {payload_type!r}, which JSON cannot be decoded to: {e}"
        raise ConfigurationError(msg) from e

    def decode(payload: bytes | None) -> Any:
        try:
            return decoder.decode(payload or b"null")
        except (msgspec.MsgspecError, ValueError, RecursionError) as e:
            msg = f"the payload does not fit: {e}"
            raise InvalidPayloadError(msg) from e

    return decode
