"""The single steps of enqueuing and listing, for services that do something between them."""

from __future__ import annotations

import pytest

from ajobs.client import Client, TaskState
from ajobs.client.options import ClientOptions
from ajobs.client.storage.tasks import NEVER_STORED
from ajobs.protocol.errors import DuplicateItemError, StorageNotReadyError


async def test_an_item_put_by_another_client_is_accepted_where_that_is_allowed(client):
    task = client.enqueuer.prepare(client.new_task("t"), None)
    stored = await client.storage.tasks.save(task, NEVER_STORED)
    await client.storage.items.put("Q", task.id, again=False)
    assert await client.enqueuer.put(stored, again=False, may_be_there=True) == task
    assert (await client.load(task.id)).state is TaskState.NEW
    with pytest.raises(DuplicateItemError):
        await client.enqueuer.put(stored, again=False, ids_run_once=True)
    assert (await client.load(task.id)).state is TaskState.QUEUE_ERROR


async def test_stored_tasks_come_with_their_revisions_from_one_on(client):
    ids = [(await client.enqueue("t", n)).id for n in range(9)]
    everything = [stored async for stored in client.stored_tasks(ahead=2)]
    assert [stored.task.id for stored in everything] == ids
    later = [stored.task.id async for stored in client.stored_tasks(after=everything[3].revision)]
    assert later == ids[4:]


async def test_the_stores_can_be_created_later(server):
    async with Client.connect(server.url, no_storage_init=True) as client:
        with pytest.raises(StorageNotReadyError):
            await client.store_info()
        await client.storage.prepare(ClientOptions())
        assert (await client.store_info()).tasks == 0
        assert client.storage.tasks.direct_is_exact
        assert await client.queues() == []
