"""Leader election over a key-value bucket whose values expire, as the original does it and beside it.

A candidate writes its name to a key that has none (`create`), and keeps it by writing it again before it expires, each
time against the revision that it wrote last (`update`). The server's compare-and-set decides, so there is one holder::

                    create                    first update
    STANDBY ─────────────────────► ELECTED ─────────────────────► LEADING
       ▲                              │                              │
       └──────────────────────────────┴──────────────────────────────┘
                 an update is refused, or the lease has run out

- **A leader acts only within its lease**: one time to live from the moment when its last successful update was *sent*,
  on the monotonic clock. The server counts from a later moment, so the key outlives the lease. A leader that is
  partitioned, paused or slow finds its lease run out before anybody else can have won, whatever the wall clocks say.
- **A winner waits** one campaign interval between `create` and its first `update`, after which it acts: time for a
  leader of another implementation, which does not look at its lease, to notice that it lost.
- **Take-over** takes at most a time to live (until the key is gone) and a campaign interval (until the winner acts): a
  candidate looks at the key's age and campaigns when it expires, not only when its own interval is over.
- **A clean stop** takes the key away and says so in a header. Candidates are told, campaign at once and act at once.
- **The key deleted or overwritten** by somebody else: the leader is told, finds that its next update is refused, and
  stands down; if it was not told, at its next update. Whoever wins after a deletion waits for a whole time to live: a
  leader that is paused in that moment cannot know, and goes on within its lease when it wakes.
- **An update without an answer** may have been stored. The candidate looks who holds the key; each start of a process
  has an id of its own in a header, so that two processes by one name are never taken for each other.
- **A clock that jumps** changes nothing: leases are measured on the monotonic clock, the key's age by the server. What
  a candidate's wall clock says decides only when it tries.
- **The bucket deleted**: updates fail, the leader stands down, and whoever comes first makes the bucket anew; who wins
  waits as after a deletion. **The server restarted**: updates fail until it is back; within the lease they are tried
  again, after it the leader has stood down.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING

from nats.aio.msg import Msg

from ajobs.client.identifiers import new_id
from ajobs.client.storage.jetstream.buckets import Bucket, RevisionError, is_deletion
from ajobs.client.storage.provision import ELECTION_TTL_NS, ensure_buckets, find_stream
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError, UnavailableError
from ajobs.protocol.subjects import ELECTIONS_BUCKET
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler import metrics

if TYPE_CHECKING:
    from ajobs.client.client import Client

CANDIDATE = "AJ-Candidate"
"""The header with the id of a candidate's process."""
CAMPAIGN_PART = 0.75
"""The campaign interval as a part of the time to live."""
SPLAY_PART = 0.25
"""The longest wait before the first campaign, as a part of it."""
RETRY_S = 0.5
"""Seconds until the next attempt of a leader whose update had no answer."""
EXPIRY_MARGIN_S = 0.05


class Standing(Enum):
    """Where a candidate stands."""

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
        storage = client.storage
        self._bucket = Bucket(storage.connection, storage.jetstream, ELECTIONS_BUCKET)
        self._ttl_s = ELECTION_TTL_NS / SECOND_NS
        self._revision = 0
        self._standing = Standing.STANDBY
        self._lease_ends = 0.0
        self._wake = asyncio.Event()
        self._vacated = False
        self._others_until = 0.0
        self.changed = asyncio.Event()
        """Set whenever the standing changes; whoever waits for it clears it."""

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
        """Seconds for which it may act without another successful update."""
        return max(0.0, self._lease_ends - time.monotonic()) if self._standing is Standing.LEADING else 0.0

    @asynccontextmanager
    async def campaigning(self) -> AsyncGenerator[Election]:
        """Campaign for as long as the block runs, and give the key up at its end."""
        await self._learn_ttl()
        subscription = await self._client.storage.connection.subscribe(
            f"$KV.{ELECTIONS_BUCKET}.{self._key}", self._told
        )
        campaign = asyncio.create_task(self._campaign(), name="campaign for leadership")
        try:
            yield self
        finally:
            campaign.cancel()
            await asyncio.gather(campaign, return_exceptions=True)
            await self._client.storage.connection.unsubscribe(subscription)
            await self._give_up()

    async def _learn_ttl(self) -> float:
        """Take the time to live from the bucket, whoever made it, and return its age in seconds."""
        info = await find_stream(self._client.storage.jetstream, self._bucket.stream)
        if info is None:
            options = self._client.options
            await ensure_buckets(
                self._client.storage.jetstream, replicas=options.replicas, memory=options.memory_storage
            )
        elif info["config"]["max_age"]:
            self._ttl_s = info["config"]["max_age"] / SECOND_NS
        else:
            self._logger.error(
                "keys of bucket %s never expire, so nobody takes over from a leader that dies: delete the bucket",
                ELECTIONS_BUCKET,
            )
        metrics.ELECTION_INTERVAL.labels(self._key, self.name).set(self.interval_s)
        return 0.0 if info is None else (time.time_ns() - parse_timestamp(info["created"])) / SECOND_NS

    async def _told(self, message: Msg) -> None:
        """Be told of what is written to the key."""
        said = message.headers or {}
        if self._standing is not Standing.STANDBY:
            if said.get(CANDIDATE) != self._id:
                self._wake.set()  # somebody else wrote it: see what that means
        elif is_deletion(said):
            # Only its holder says in a header that nobody acts any more.
            self._vacated = CANDIDATE in said
            self._others_until = 0.0 if self._vacated else time.monotonic() + self._ttl_s
            self._wake.set()

    async def _campaign(self) -> None:
        await self._sleep(random.uniform(0, SPLAY_PART * self._ttl_s))  # noqa: S311 - to spread start-ups
        while True:
            metrics.CAMPAIGNS.labels(self._key, self.name, self._metric_state).inc()
            try:
                await self._sleep(await self._attempt())
            except Exception:
                # Whatever it is: a scheduler that campaigns no more would be of no use, and nobody would know.
                self._logger.exception("the election could not go on: trying again")
                self._stand(Standing.STANDBY)
                await asyncio.sleep(self.interval_s)

    async def _attempt(self) -> float:
        """Try to win or to keep the key; return the seconds until the next attempt."""
        try:
            if self._standing is Standing.STANDBY:
                return await self._try_to_win()
            async with asyncio.timeout(max(0.0, self._lease_ends - time.monotonic())):
                return await self._keep()
        except TimeoutError:
            self._logger.warning("leadership has run out before it could be renewed")
            self._stand(Standing.STANDBY)
            return 0.0
        except UnavailableError as e:
            with suppress(AjobsError):
                await self._find_bucket()
            return self._lost_touch(e)

    async def _find_bucket(self) -> None:
        """Make the bucket anew should it be gone. Whoever led by the old one may act until its lease has run out."""
        age_s = await self._learn_ttl()
        self._others_until = max(self._others_until, time.monotonic() + self._ttl_s - age_s)

    @property
    def _metric_state(self) -> str:
        return "candidate" if self._standing is Standing.STANDBY else "leader"

    async def _sleep(self, seconds: float) -> None:
        """Wait; shorter when the key is given up, or is somebody else's; and never past the end of the lease."""
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
        """Tell whether the key is still ours after something was sent to it. Attempts that are refused are seen too."""
        try:
            if await self._is_ours():
                return True
        except UnavailableError:
            return True  # the lease says how long that may go on
        self._logger.warning("leadership is lost: somebody else wrote the key")
        self._stand(Standing.STANDBY)
        return False

    async def _try_to_win(self) -> float:
        """Try to get the key; return the seconds until the next attempt."""
        vacated, self._vacated = self._vacated, False
        sent = time.monotonic()
        try:
            self._revision = await self._bucket.create(self._key, self.name.encode(), headers=self._headers)
        except RevisionError:
            if not await self._is_ours():
                return await self._until_expiry()
        self._lease_ends = sent + self._ttl_s
        self._stand(Standing.ELECTED)
        # Whoever gave the key up has said that it does not act any more.
        return 0.0 if vacated else self.interval_s

    @property
    def _others_s(self) -> float:
        """Seconds for which somebody whose key or bucket was taken away may still act."""
        return max(0.0, self._others_until - time.monotonic())

    async def _until_expiry(self) -> float:
        """Return the seconds until the holder's key expires, unless it writes it again, or the interval if shorter."""
        entry = await self._bucket.get(self._key)
        if entry is None:
            return EXPIRY_MARGIN_S
        age_s = (time.time_ns() - entry.stored_ns) / SECOND_NS
        # The server's clock may differ from ours; a wrong guess costs an attempt that is refused.
        left_s = self._ttl_s - age_s + EXPIRY_MARGIN_S
        return min(self.interval_s, left_s if left_s > 0 else self.interval_s / 10)

    async def _keep(self) -> float:
        """Write the key again; return the seconds until the next time."""
        sent = time.monotonic()
        try:
            self._revision = await self._bucket.update(
                self._key, self.name.encode(), self._revision, headers=self._headers, patient=False
            )
        except RevisionError:
            if not await self._is_ours():
                self._logger.warning("leadership is lost: somebody else wrote the key")
                self._stand(Standing.STANDBY)
                return random.uniform(0, 1)  # noqa: S311 - not all at once
            # It was stored earlier than this attempt was sent, so the lease does not begin here.
            return 0.0
        self._lease_ends = sent + self._ttl_s
        if self._standing is Standing.ELECTED:
            if self._others_s:
                return min(self._others_s, self.interval_s)
            self._stand(Standing.LEADING)
        return self.interval_s

    async def _is_ours(self) -> bool:
        """Tell whether an update of which the answer was lost is what holds the key."""
        entry = await self._bucket.get(self._key)
        if entry is None or entry.headers.get(CANDIDATE) != self._id:
            return False
        self._revision = entry.revision
        return True

    def _lost_touch(self, error: UnavailableError) -> float:
        """Decide what to do without an answer; return the seconds until the next attempt."""
        if self._standing is Standing.STANDBY:
            self._logger.info("cannot campaign: %s", error)
            return min(1.0, self.interval_s)
        if time.monotonic() >= self._lease_ends:
            self._logger.warning("leadership has run out without an answer from the server: %s", error)
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
        """Take the key away if it is ours, so that somebody else can lead at once."""
        if self._standing is not Standing.STANDBY and self._client.storage.connection.is_connected:
            with suppress(AjobsError):
                await self._bucket.delete(self._key, self._revision, headers=self._headers)
        self._stand(Standing.STANDBY)

    @property
    def _headers(self) -> dict[str, str]:
        return {CANDIDATE: self._id}
