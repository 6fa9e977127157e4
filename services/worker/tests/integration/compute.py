"""Handlers that run in processes of their own, which import this module."""

from __future__ import annotations

import os
import time

from ajobs.worker import RetryTask, Router, Task, TerminateTask

router = Router()


@router.handler("cpu:square", executor="process")
def square(payload: int, task: Task) -> list[object]:
    return [payload * payload, os.getpid(), task.tries]


@router.handler("cpu:die", executor="process")
def die() -> None:
    os._exit(7)


@router.handler("cpu:fail", executor="process")
def fail() -> None:
    raise ValueError("boom")


class OwnConstructorError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


@router.handler("cpu:own-constructor", executor="process")
def own_constructor() -> None:
    raise OwnConstructorError(1, 2)


class Panic(BaseException):
    """Stands for errors of libraries that are not an `Exception`."""


@router.handler("cpu:panic", executor="process")
def panic() -> None:
    raise Panic("oh")


@router.handler("cpu:interrupt", executor="process")
def interrupt() -> None:
    raise KeyboardInterrupt


@router.handler("cpu:exit", executor="process")
def leave() -> None:
    raise SystemExit(4)


@router.handler("cpu:exhausted", executor="process")
def exhausted() -> object:
    return next(iter([]))


@router.handler("cpu:unpicklable", executor="process")
def unpicklable() -> object:
    return lambda: None


@router.handler("cpu:later", executor="process")
def later() -> None:
    raise RetryTask("later", after=0.01)


@router.handler("cpu:terminate", executor="process")
def terminate() -> None:
    raise TerminateTask("permanent failure")


@router.handler("cpu:hang", executor="process")
def hang(path: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - as short as it gets
        file.write(str(os.getpid()))
    while True:
        time.sleep(0.01)
