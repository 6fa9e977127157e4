"""Leader election over a key-value bucket whose values expire, compatible with Choria Async Jobs.

A candidate writes its name to a free key (`create`), and keeps the key by writing it again before it expires, each time
against the revision that it wrote last (`update`). The server's compare-and-set decides, so the key has one holder::

                    create                    first update
    STANDBY ─────────────────────► ELECTED ─────────────────────► LEADING
       ▲                              │                              │
       └──────────────────────────────┴──────────────────────────────┘
                 an update is refused, or the lease has run out

- **A leader acts only within its lease**: one time to live from the moment when its last successful update was *sent*,
  on the monotonic clock. The server counts from a later moment, so the key outlives the lease. A leader that is
  partitioned, paused or slow finds its lease expired before another candidate can have won, whatever the wall clocks
  show.
- **A winner waits** one campaign interval between `create` and its first `update`, after which it acts. This gives a Go
  leader, which has no lease, time to notice that it lost.
- **Take-over** takes at most one time to live (until the key expires) and one campaign interval (until the winner
  acts). A standby reads the key's age and campaigns when it expires, not only at its own interval.
- **A clean stop** deletes the key and says so in a header. Standbys see it, campaign at once and act at once.
- **The key deleted or overwritten** by another client: the leader sees the message, checks the key and stands down. If
  it missed the message, its next update is refused. The winner after a deletion waits for a whole time to live, because
  a leader that is paused at that time does not know, and continues within its lease when it wakes.
- **An update without an answer** may have been stored. The candidate reads the key to find out. A header holds an id
  that each process draws at its start, so two processes with one name are never confused.
- **A clock that jumps** changes nothing: leases are measured on the monotonic clock, the key's age by the server. What
  a candidate's wall clock shows decides only when it tries.
- **The bucket deleted**: updates fail, the leader stands down, and the first candidate to notice creates the bucket
  again. The winner waits as after a deletion of the key.
- **The server restarted**: updates fail until it is back. They are retried within the lease; then the leader stands
  down.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING

from nats.aio.msg import Msg

from ajobs.client.identifiers import new_id
from ajobs.client.storage.jetstream.buckets import Entry, is_deletion
from ajobs.client.storage.jetstream.errors import RevisionError
from ajobs.protocol.buckets import ELECTION_TTL_NS
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError, UnavailableError
from ajobs.protocol.headers import CANDIDATE
from ajobs.protocol.subjects import ELECTIONS_BUCKET, key_subject
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler import metrics
from ajobs.scheduler.background import in_background
from ajobs.scheduler.terms import ForeignTerms

if TYPE_CHECKING:
    from ajobs.client.client import Client

CAMPAIGN_PART = 0.75
"""The campaign interval, as a fraction of the time to live."""
SPLAY_PART = 0.25
"""The longest wait before the first campaign, as a fraction of the time to live."""
RETRY_S = 0.5
"""Seconds until the next attempt of a leader whose update had no answer."""
EXPIRY_MARGIN_S = 0.05
"""Seconds after a key's expiry at which to campaign, so that the server has removed it."""


class Standing(Enum):
    """The states of a candidate; the values are shown in the log."""

    STANDBY = "candidate"
    ELECTED = "elected"
    LEADING = "leader"


class Election:
    """One candidate in the election for a key."""

    def __init__(self, client: Client, key: str, name: str, logger: logging.Logger) -> None:
        """Campaign as ``name`` for ``key``."""
        self._client = client
        self._key = key
        self.name = name
        self._id = new_id()
        self._logger = logger
        self._bucket = client.storage.bucket(ELECTIONS_BUCKET)
        self._ttl_s = ELECTION_TTL_NS / SECOND_NS
        self._revision = 0
        self._standing = Standing.STANDBY
        self._lease_ends = 0.0
        self._wake = asyncio.Event()
        self._vacated = False
        self._others_until = 0.0
        self.foreign = ForeignTerms()
        """The times for which a scheduler of Choria Async Jobs led, since this one started campaigning."""
        self.changed = asyncio.Event()
        """Set whenever the standing changes. Its reader clears it, and may set it too."""

    @property
    def interval_s(self) -> float:
        """Seconds between two campaigns."""
        return CAMPAIGN_PART * self._ttl_s

    @property
    def is_leading(self) -> bool:
        """Whether this candidate may act right now."""
        return self._standing is Standing.LEADING and time.monotonic() < self._lease_ends

    @property
    def lease_s(self) -> float:
        """Seconds for which this candidate may act without another successful update."""
        return max(0.0, self._lease_ends - time.monotonic()) if self._standing is Standing.LEADING else 0.0

    @asynccontextmanager
    async def campaigning(self) -> AsyncGenerator[Election]:
        """Campaign for as long as the block runs, then give up the key."""
        await self._learn_ttl()
        async with AsyncExitStack() as ending:
            ending.push_async_callback(self._give_up)
            writes = key_subject(ELECTIONS_BUCKET, self._key)
            await ending.enter_async_context(self._client.storage.listening(writes, self._on_write))
            await self._note_holder()
            await ending.enter_async_context(in_background({"campaign": self._campaign()}, self._logger))
            yield self

    async def _learn_ttl(self) -> float:
        """Read the time to live from the bucket, and return the bucket's age in seconds. Create it if it is missing."""
        info = await self._client.storage.find_stream(self._bucket.stream)
        if info is None:
            options = self._client.options
            await self._client.storage.create_buckets(replicas=options.replicas, memory=options.memory_storage)
        elif info["config"]["max_age"]:
            self._ttl_s = info["config"]["max_age"] / SECOND_NS
        else:
            self._logger.error(
                "keys of bucket %s never expire, so no scheduler takes over from a leader that dies: delete the bucket",
                ELECTIONS_BUCKET,
            )
        metrics.ELECTION_INTERVAL.labels(self._key, self.name).set(self.interval_s)
        return 0.0 if info is None else (time.time_ns() - parse_timestamp(info["created"])) / SECOND_NS

    async def _note_holder(self) -> None:
        """Note a foreign leader that holds the key already."""
        with suppress(AjobsError):
            self._note_foreign(await self._bucket.get(self._key), led_before=True)

    def _note_foreign(self, entry: Entry | None, *, led_before: bool = False) -> bool:
        """Note the last write of a foreign leader; return whether one holds the key."""
        if entry is None or CANDIDATE in entry.headers:
            return False
        self.foreign.wrote(min(entry.stored_ns, time.time_ns()), self._ttl_s, led_before=led_before)
        return True

    async def _on_write(self, message: Msg) -> None:
        """Handle a message about a write to the key."""
        headers = message.headers or {}
        if self._standing is not Standing.STANDBY:
            if headers.get(CANDIDATE) != self._id:
                self._wake.set()  # another client wrote it: `_sleep` checks who holds the key
        elif is_deletion(headers):
            # Only a holder that gave up the key sends this header, and it has stopped acting.
            self._vacated = CANDIDATE in headers
            self._others_until = 0.0 if self._vacated else time.monotonic() + self._ttl_s
            self._wake.set()

    async def _campaign(self) -> None:
        await self._sleep(random.uniform(0, SPLAY_PART * self._ttl_s))  # noqa: S311 - to spread start-ups
        while True:
            metrics.CAMPAIGNS.labels(self._key, self.name, self._metric_state).inc()
            try:
                await self._sleep(await self._attempt())
            except Exception:
                # A scheduler that silently stopped campaigning would never lead again.
                self._logger.exception("campaign failed, standing by and trying again")
                self._stand(Standing.STANDBY)
                await asyncio.sleep(self.interval_s)

    async def _attempt(self) -> float:
        """Try to win or keep the key; return the seconds until the next attempt."""
        try:
            if self._standing is Standing.STANDBY:
                return await self._try_to_win()
            async with asyncio.timeout(max(0.0, self._lease_ends - time.monotonic())):
                return await self._keep()
        except TimeoutError:
            self._logger.warning("leadership expired before it was renewed")
            self._stand(Standing.STANDBY)
            return 0.0
        except UnavailableError as e:
            with suppress(AjobsError):
                await self._find_bucket()
            return self._lost_touch(e)

    async def _find_bucket(self) -> None:
        """Create the bucket if it is gone. A leader elected in the old one may act until its lease expires."""
        age_s = await self._learn_ttl()
        self._others_until = max(self._others_until, time.monotonic() + self._ttl_s - age_s)

    @property
    def _metric_state(self) -> str:
        return "candidate" if self._standing is Standing.STANDBY else "leader"

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past the end of the lease. Return early if the key was given up, or has another holder."""
        end = time.monotonic() + seconds
        if self._standing is Standing.LEADING:
            end = min(end, self._lease_ends)
        while not self._vacated:
            self._wake.clear()
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                return
            if self._standing is Standing.STANDBY or not await self._holds():
                return

    async def _holds(self) -> bool:
        """Return whether the key is still ours after a message about it. Refused writes cause messages too."""
        try:
            if await self._is_ours():
                return True
        except UnavailableError:
            return True  # the lease limits how long this may last
        self._logger.warning("lost leadership: another client wrote the key")
        self._stand(Standing.STANDBY)
        return False

    async def _try_to_win(self) -> float:
        """Try to win the key; return the seconds until the next attempt."""
        vacated, self._vacated = self._vacated, False
        sent = time.monotonic()
        try:
            self._revision = await self._bucket.create(self._key, self.name.encode(), headers=self._headers)
        except RevisionError:
            if not await self._is_ours():
                return await self._until_expiry()
        self._lease_ends = sent + self._ttl_s
        self._stand(Standing.ELECTED)
        # A leader that gave up the key has stopped acting, so there is no reason to wait.
        return 0.0 if vacated else self.interval_s

    @property
    def _others_s(self) -> float:
        """Seconds for which a leader whose key or bucket was deleted may still act."""
        return max(0.0, self._others_until - time.monotonic())

    async def _until_expiry(self) -> float:
        """Return the seconds until the holder's key expires if not renewed, or the interval if shorter."""
        entry = await self._bucket.get(self._key)
        if entry is None:
            return EXPIRY_MARGIN_S
        # Half an interval, so that no write of a foreign leader is missed. Messages would show its refused writes too.
        interval_s = self.interval_s / 2 if self._note_foreign(entry) else self.interval_s
        age_s = (time.time_ns() - entry.stored_ns) / SECOND_NS
        # The server's clock may differ from ours. A wrong guess costs one refused attempt.
        left_s = self._ttl_s - age_s + EXPIRY_MARGIN_S
        return min(interval_s, left_s if left_s > 0 else self.interval_s / 10)

    async def _keep(self) -> float:
        """Renew the key; return the seconds until the next renewal."""
        sent = time.monotonic()
        try:
            self._revision = await self._bucket.update(
                self._key, self.name.encode(), self._revision, headers=self._headers, patient=False
            )
        except RevisionError:
            if not await self._is_ours():
                self._logger.warning("lost leadership: another client wrote the key")
                self._stand(Standing.STANDBY)
                return random.uniform(0, 1)  # noqa: S311 - so that candidates do not campaign at the same time
            # An earlier attempt was stored, so the lease does not start with this one.
            return 0.0
        self._lease_ends = sent + self._ttl_s
        if self._standing is Standing.ELECTED:
            if self._others_s:
                return min(self._others_s, self.interval_s)
            self._stand(Standing.LEADING)
        return self.interval_s

    async def _is_ours(self) -> bool:
        """Return whether this process holds the key, for example by a write whose answer was lost."""
        entry = await self._bucket.get(self._key)
        if entry is None or entry.headers.get(CANDIDATE) != self._id:
            return False
        self._revision = entry.revision
        return True

    def _lost_touch(self, error: UnavailableError) -> float:
        """Handle a missing answer; return the seconds until the next attempt."""
        if self._standing is Standing.STANDBY:
            self._logger.info("cannot campaign, trying again: %s", error)
            return min(1.0, self.interval_s)
        if time.monotonic() >= self._lease_ends:
            self._logger.warning("leadership expired without an answer from the server: %s", error)
            self._stand(Standing.STANDBY)
        return min(RETRY_S, self.interval_s)

    def _stand(self, standing: Standing) -> None:
        if standing is self._standing:
            return
        self._standing = standing
        leads = standing is Standing.LEADING
        metrics.ELECTION_LEADER.labels(self._key, self.name).set(int(leads))
        self._logger.info("election: %s", "leading" if leads else standing.value)
        self.changed.set()

    async def _give_up(self) -> None:
        """Delete the key if it is ours, so that another candidate can lead at once."""
        if self._standing is not Standing.STANDBY and self._client.connection.is_connected:
            with suppress(AjobsError):
                await self._bucket.delete(self._key, self._revision, headers=self._headers)
        self._stand(Standing.STANDBY)

    @property
    def _headers(self) -> dict[str, str]:
        return {CANDIDATE: self._id}
