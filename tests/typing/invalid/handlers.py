"""Each marked line must not type-check."""

from __future__ import annotations

from ajobs.worker import Context, Router

router = Router()


@router.handler("a", executor="fiber")  # wrong: thread or process
def one(words: list[str]) -> int:
    return len(words)


@router.handler("b", retries=3)  # wrong: the option does not exist
async def two(context: Context) -> None:
    context.task.tries = 0  # wrong: a task is immutable
    context.nothing()  # wrong: a context has no such method


router.add("c", "not a function")  # wrong: not callable
text: str = one(["a"])  # wrong: a decorated handler keeps its type
