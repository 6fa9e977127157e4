"""Sample handlers. `docker compose up` runs them until you mount your own folder: see docs/deploying.md."""

import asyncio
import hashlib
from datetime import UTC, datetime

from ajobs.worker import Router

router = Router()


@router.handler("hello")
async def hello(name: str) -> str:
    return f"hello {name}"


@router.handler("digest")
def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@router.handler("sleep")
async def sleep(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@router.handler("time")
def time() -> str:
    return datetime.now(UTC).isoformat()
