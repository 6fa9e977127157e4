"""The task store as a whole: pages, settings, emptying it; and who leads."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ajobs.client import Client, TaskState
from ajobs.protocol.errors import ConfigurationError, StorageNotReadyError
from ajobs.protocol.subjects import ELECTIONS_BUCKET, TASKS_STREAM


async def test_pages_contain_every_task_once_and_a_cursor_for_the_next_page(client):
    made = [await client.enqueue("t" if n % 3 else "other", n) for n in range(25)]
    found, cursor, sizes = [], "", []
    while True:
        page = await client.task_page(10, cursor=cursor)
        found += page.tasks
        sizes.append(len(page.tasks))
        cursor = page.cursor
        if not cursor:
            break
    assert [task.id for task in found] == [task.id for task in made]
    assert sizes == [10, 10, 5]


async def test_a_page_that_ends_with_the_store_has_no_next_one(client):
    for n in range(10):
        await client.enqueue("t", n)
    assert (await client.task_page(10)).cursor == ""
    assert (await client.task_page(9)).cursor


async def test_pages_contain_the_tasks_that_match_the_filter(client):
    for n in range(12):
        await client.enqueue("t" if n % 3 else "other", n)
    first = await client.task_page(3, task_type="other", states=[TaskState.NEW])
    second = await client.task_page(3, task_type="other", cursor=first.cursor)
    assert [len(first.tasks), len(second.tasks), second.cursor] == [3, 1, ""]
    assert {task.type for task in [*first.tasks, *second.tasks]} == {"other"}


async def test_an_empty_store_has_one_empty_page(client):
    page = await client.task_page()
    assert (page.tasks, page.cursor) == ([], "")


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "٣"])
async def test_an_invalid_cursor_is_refused(client, cursor):
    with pytest.raises(ConfigurationError, match="cursor"):
        await client.task_page(cursor=cursor)


async def test_an_invalid_limit_is_refused(client):
    with pytest.raises(ConfigurationError, match="limit"):
        await client.task_page(0)


async def test_all_tasks_are_deleted_at_once(client):
    for n in range(3):
        await client.enqueue("t", n)
    assert await client.purge_tasks() == 3
    assert (await client.store_info()).tasks == 0


async def test_the_store_is_configured_and_the_rest_of_it_stays(client):
    before = (await client.storage.find_stream(TASKS_STREAM))["config"]
    assert (await client.configure_store(retention="1m")).retention == timedelta(minutes=1)
    after = (await client.storage.find_stream(TASKS_STREAM))["config"]
    assert {**after, "max_age": 0, "duplicate_window": before["duplicate_window"]} == before
    assert (await client.configure_store()).retention == timedelta(minutes=1)
    assert (await client.configure_store(retention=0)).retention == timedelta(0)


@pytest.mark.parametrize("settings", [{"retention": -1}, {"replicas": 0}, {"replicas": 6}])
async def test_settings_out_of_range_are_refused(client, settings):
    with pytest.raises(ConfigurationError):
        await client.configure_store(**settings)


async def test_store_info_reports_a_missing_task_store(server):
    async with Client.connect(server.url, no_storage_init=True) as client:
        for call in (client.purge_tasks(), client.configure_store(retention=1e-09), client.task_page()):
            with pytest.raises(StorageNotReadyError):
                await call
        assert await client.leaders() == {}


async def test_leaders_are_named(client):
    assert await client.leaders() == {}
    bucket = await client.storage.connection.nats.jetstream().key_value(ELECTIONS_BUCKET)
    await bucket.put("task_scheduler", b"one")
    assert await client.leaders() == {"task_scheduler": "one"}
