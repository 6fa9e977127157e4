"""The choice of the queue whose item a free slot receives."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ajobs.worker.queues.feed import MOST_AHEAD, Feed, Source


def feed(**weights: int) -> Feed:
    return Feed([Source(name, None, limit=100, weight=weight) for name, weight in weights.items()])


def put(made: Feed, name: str, *deliveries: object) -> None:
    source = next(source for source in made.sources if source.name == name)
    for delivery in deliveries:
        made.deliver(source, delivery)


async def taken(made: Feed, count: int) -> list[str]:
    return [(await made.next()).source.name for _ in range(count)]


@pytest.mark.parametrize(("weights", "expected"), [({"a": 3, "b": 1}, (30, 10)), ({"a": 1, "b": 1}, (20, 20))])
async def test_busy_queues_share_the_slots_by_weight(weights, expected):
    made = feed(**weights)
    for name in weights:
        put(made, name, *range(40))
    counted = Counter(await taken(made, 40))
    assert tuple(counted[name] for name in weights) == expected


async def test_an_idle_queue_cannot_claim_past_turns():
    made = feed(a=1, b=1)
    put(made, "a", *range(20))
    await taken(made, 10)
    put(made, "b", *range(20))
    assert Counter(await taken(made, 10)) == {"a": 5, "b": 5}


async def test_an_item_goes_to_the_slot_that_has_waited_longest():
    made = feed(a=1)
    slots = [asyncio.create_task(made.next()) for _ in range(3)]
    await asyncio.sleep(0)
    put(made, "a", "first", "second")
    assert [(await slot).delivery for slot in slots[:2]] == ["first", "second"]
    slots[2].cancel()
    await asyncio.gather(slots[2], return_exceptions=True)
    put(made, "a", "third")
    assert [each.delivery for each in made.unclaimed()] == ["third"]
    assert made.unclaimed() == []


async def test_an_item_handed_to_a_slot_during_its_cancellation_is_not_lost():
    made = feed(a=1)
    slot = asyncio.create_task(made.next())
    await asyncio.sleep(0)
    put(made, "a", "item")
    slot.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slot
    assert (await made.next()).delivery == "item"
    assert made.sources[0].running == 1


async def test_a_queue_never_exceeds_its_limit():
    made = Feed([Source("a", None, limit=1), Source("b", None, limit=9)])
    put(made, "a", 1, 2)
    put(made, "b", 3)
    first = await made.next()
    assert first.source.name == "a"
    assert (await made.next()).source.name == "b"
    waiting = asyncio.create_task(made.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    made.done(first, 0.1)
    assert (await waiting).delivery == 2


async def test_the_feed_requests_items_for_waiting_slots_and_in_advance_for_short_handlers():
    made = Feed([Source("a", None, limit=10)])
    (source,) = made.sources
    slots = [asyncio.create_task(made.next()) for _ in range(4)]
    await asyncio.sleep(0)
    assert made.wanted(source) == 4
    source.limit = 3
    assert made.wanted(source) == 3
    for _ in range(500):
        source.took(0.00099)
    assert made.wanted(source) == 3 + 60
    for _ in range(1000):
        source.took(0.0000001)
    assert made.wanted(source) == 3 + MOST_AHEAD
    for slot in slots:
        slot.cancel()
    await asyncio.gather(*slots, return_exceptions=True)
    assert made.wanted(source) == MOST_AHEAD


async def test_a_closed_feed_hands_out_nothing_and_leaves_later_items_unclaimed():
    made = feed(a=1)
    put(made, "a", "running")
    running = await made.next()
    waiting = asyncio.create_task(made.next())
    await asyncio.sleep(0)
    made.close()
    put(made, "a", "late")
    made.done(running, 0.1)
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert [each.delivery for each in made.unclaimed()] == ["late"]
