"""How far the leader got: one time in the configuration bucket, up to which every due tick is handled.

It is written after the ticks, by a compare-and-set. A leader that was deposed without noticing cannot set it back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ajobs.client.storage.jetstream.errors import RevisionError
from ajobs.protocol.buckets import SchedulerProgress, decode_progress
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.subjects import SCHEDULER_PROGRESS_KEY
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.client import Client


class ProgressLostError(Exception):
    """Another leader wrote its progress since this one read or wrote it last."""


class ProgressRecord:
    """The stored progress, with the revision that this scheduler knows."""

    def __init__(self, client: Client, leader: str) -> None:
        """Write as ``leader``."""
        self._bucket = client.schedules.bucket
        self._leader = leader
        self._revision = 0

    async def load(self) -> int | None:
        """Return the time up to which ticks are handled, in nanoseconds; ``None`` before the first leader.

        Raises:
            UnavailableError: The server did not answer.
        """
        entry = await self._bucket.get(SCHEDULER_PROGRESS_KEY)
        if entry is None:
            self._revision = 0
            return None
        self._revision = entry.revision
        done_ns = entry.stored_ns  # counts if the document is not valid
        with suppress(AjobsError):
            done_ns = parse_timestamp(decode_progress(entry.value).done_until)
        return done_ns

    async def save(self, done_ns: int) -> None:
        """Store a new time.

        Raises:
            ProgressLostError: Another leader was at work.
            UnavailableError: The server did not answer.
        """
        value = encode(SchedulerProgress(format_timestamp(done_ns), self._leader))
        try:
            if self._revision:
                self._revision = await self._bucket.update(SCHEDULER_PROGRESS_KEY, value, self._revision)
            else:
                self._revision = await self._bucket.create(SCHEDULER_PROGRESS_KEY, value)
        except RevisionError as e:
            raise ProgressLostError from e
