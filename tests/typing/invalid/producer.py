"""Each marked line must not type-check."""

from __future__ import annotations

from ajobs.client import BlockingClient, Client, Queue


async def produce() -> None:
    Client.connect(queue="EMAIL", replica=3)  # wrong: the option does not exist
    async with Client.connect(queue="EMAIL") as client:
        await client.enqueue("email:new", {}, deadline=[1])  # wrong: not a duration
        await client.enqueue("email:new", {}, tries=3)  # wrong: the option is max_tries
        await client.enqueue(7)  # wrong: neither a task nor a type
        client.enqueue("email:new").id.upper()  # wrong: not awaited
        (await client.result("id", str)).bit_length()  # wrong: the result is a str
        await client.queue_info(Queue(name="Q"))  # wrong: takes the name
        async for found in client.tasks(status="new"):  # wrong: the filter is states
            found.nothing()  # wrong: a task has no such field
        client.schedules.create("s", "@daily", "t", catchup="last")  # wrong: the setting is catch_up


def script() -> None:
    with BlockingClient() as client:
        client.watch()  # wrong: only the async client watches
        client.enqueue("t").id.nothing()  # wrong: an id is a str
        client.result("id", str).bit_length()  # wrong: the result is a str
        client.load(task_id=None)  # wrong: an id is a str
