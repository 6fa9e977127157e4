"""Bind a handler to a run: its arguments, and the place where it is called."""

from __future__ import annotations

import inspect
import pickle
import typing
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Literal

import msgspec

from ajobs.protocol.errors import ConfigurationError, InvalidPayloadError
from ajobs.protocol.task import Task
from ajobs.worker.context import Context
from ajobs.worker.outcomes import TerminateTask

ExecutorKind = Literal["thread", "process"]
"""Where a plain function runs."""

Handler = Callable[..., Any]
"""An async or plain function with at most one parameter for the payload. Others are annotated with `Context`, `Task` or
a type that a lifespan yields."""

Decode = Callable[[bytes | None], Any]


class Binding(msgspec.Struct, frozen=True):
    """A handler, and how to call it."""

    function: Handler
    is_async: bool
    executor: ExecutorKind
    payload_name: str | None
    payload_optional: bool
    decode: Decode
    context_names: tuple[str, ...]
    task_names: tuple[str, ...]
    state_names: dict[str, Any]
    """Parameters that receive the value of a lifespan, with its type."""

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
        for name, kind in self.state_names.items():
            arguments[name] = context.run.state[kind]
        return arguments

    async def __call__(self, context: Context) -> Any:
        """Call the handler and return its result.

        Raises:
            TerminateTask: The payload does not fit the parameter's type. Exceptions of the handler pass through.
        """
        try:
            arguments = self.arguments(context)
        except InvalidPayloadError as e:
            raise TerminateTask(str(e)) from e
        if self.is_async:
            return await self.function(**arguments)
        if self.executor == "process":
            return await context.run.in_process(self.function, arguments)
        result = await context.run.in_thread(self.function, arguments)
        # A plain decorator or a lambda around an async function looks like a plain function until it is called.
        return await result if inspect.isawaitable(result) else result


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a handler."""

    name: str
    hint: Any
    optional: bool


def parameters_of(function: Handler) -> list[Parameter]:
    """Return a handler's parameters.

    Raises:
        ConfigurationError: It is not a function, its parameters are unknown, or one cannot be passed by name.
    """
    if not callable(function):
        msg = f"{function!r} cannot be a handler: use a function"
        raise ConfigurationError(msg)
    name = name_of(function)
    try:
        found = list(inspect.signature(function).parameters.values())
    except ValueError as e:
        msg = f"handler {name} has no signature: wrap it in a function of your own"
        raise ConfigurationError(msg) from e
    for parameter in found:
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            msg = f"handler {name}: parameter {parameter} cannot be passed by name: use named parameters only"
            raise ConfigurationError(msg)
    hints = hints_of(function)
    return [Parameter(each.name, hints.get(each.name, Any), each.default is not each.empty) for each in found]


def bind(function: Handler, *, executor: ExecutorKind = "thread", provided: Collection[Any] = ()) -> Binding:
    """Inspect a handler and return how to call it.

    Args:
        function: The handler.
        executor: Where it runs if it is a plain function.
        provided: The types that lifespans yield.

    Raises:
        ConfigurationError: A parameter is not the payload, a context, a task or one of these types, or JSON cannot be
            decoded to the payload's type.
    """
    name = name_of(function)
    payload: Parameter | None = None
    contexts: list[str] = []
    tasks: list[str] = []
    state: dict[str, Any] = {}
    for parameter in parameters_of(function):
        if parameter.hint is Context:
            contexts.append(parameter.name)
        elif parameter.hint is Task:
            tasks.append(parameter.name)
        elif parameter.hint is not Any and parameter.hint in provided:
            state[parameter.name] = parameter.hint
        elif payload is None:
            payload = parameter
        else:
            msg = (
                f"handler {name} has two payload parameters, {payload.name} and {parameter.name}: combine them in one "
                "struct, or annotate one with Context, Task or a type that a lifespan yields"
            )
            raise ConfigurationError(msg)
    _refuse_generator(function, name)
    is_async = _is_async(function)
    if executor == "process" and (is_async or contexts or state):
        msg = f"handler {name} cannot run in a process: use a plain function of the payload and a Task, nothing else"
        raise ConfigurationError(msg)
    if executor == "process":
        _check_importable(function, name)
    return Binding(
        function=function,
        is_async=is_async,
        executor=executor,
        payload_name=None if payload is None else payload.name,
        payload_optional=payload is not None and payload.optional,
        decode=_decoder(Any if payload is None else payload.hint, name),
        context_names=tuple(contexts),
        task_names=tuple(tasks),
        state_names=state,
    )


def _check_importable(function: Handler, name: str) -> None:
    try:
        pickle.dumps(function)
    except Exception as e:
        msg = f"handler {name} cannot run in a process: define it at the top level of a module ({e})"
        raise ConfigurationError(msg) from e


def name_of(function: Handler) -> str:
    """Return the name of a function for messages."""
    return getattr(function, "__qualname__", repr(function))


def hints_of(function: Handler) -> dict[str, Any]:
    """Return a function's annotations by parameter.

    Raises:
        ConfigurationError: An annotation names something that does not exist.
    """
    target = _unwrapped(function)
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as e:
        msg = (
            f"handler {name_of(function)} has an annotation that cannot be resolved ({e}): "
            "import it where the handler is defined"
        )
        raise ConfigurationError(msg) from e


def _is_async(function: Handler) -> bool:
    target = _unwrapped(function)
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def _refuse_generator(function: Handler, name: str) -> None:
    target = _unwrapped(function)
    for each in (target, getattr(target, "__call__", None)):  # noqa: B004
        if inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each):
            msg = f"handler {name} is a generator, which cannot be a handler: return the result instead of yielding it"
            raise ConfigurationError(msg)


def _unwrapped(function: Any) -> Any:
    return function.func if isinstance(function, partial) else function  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _decoder(payload_type: Any, name: str) -> Decode:
    if payload_type is bytes:
        return lambda payload: payload or b""
    wrong = f"handler {name}: cannot decode JSON to the payload type {payload_type!r}"
    try:
        decoder = msgspec.json.Decoder(payload_type)
        is_custom = isinstance(msgspec.inspect.type_info(payload_type), msgspec.inspect.CustomType)
    except TypeError as e:
        raise ConfigurationError(f"{wrong}: {e}") from e
    if is_custom:
        raise ConfigurationError(f"{wrong}, and no lifespan of the router yields it")

    def decode(payload: bytes | None) -> Any:
        try:
            return decoder.decode(payload or b"null")
        except (msgspec.MsgspecError, ValueError, RecursionError) as e:
            msg = f"the payload does not fit: {e}"
            raise InvalidPayloadError(msg) from e

    return decode
