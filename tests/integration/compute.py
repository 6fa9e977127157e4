"""Handlers that run in processes of their own, which have to be able to import them."""

from __future__ import annotations

import os
import time

from asyncjobs.worker import Router, Task, TerminateTask

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


@router.handler("cpu:terminate", executor="process")
def terminate() -> None:
    raise TerminateTask("of no use")


@router.handler("cpu:hang", executor="process")
def hang(path: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - as short as it gets
        file.write(str(os.getpid()))
    while True:
        time.sleep(0.01)
