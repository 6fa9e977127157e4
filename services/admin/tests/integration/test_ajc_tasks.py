"""``ajc tasks``: adding, looking, changing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from ajobs.client import Client, TaskState
from ajobs.protocol.errors import TaskNotFoundError
from ajobs.protocol.signing import Signer
from ajobs.protocol.timestamps import parse_timestamp
from services.admin.tests.integration.ajc import Ajc, plain

SEED = bytes(range(32))
FAILED = (TaskState.EXPIRED, TaskState.TERMINATED)


@pytest.fixture
def ajc(server, tmp_path) -> Ajc:
    return Ajc(server.url, tmp_path)


async def store(client: Client, *, task_type: str, state: TaskState, error: str = "", tries: int = 0):
    """Store a task in some state, as a worker would have left it."""
    stored = await client.storage.tasks.load((await client.enqueue(task_type)).id)
    task = msgspec.structs.replace(stored.task, state=state, last_err=error, tries=tries)
    await client.storage.tasks.save(task, stored.revision)
    return task


async def states(client: Client) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    async for task in client.tasks():
        found.setdefault(task.type, []).append(str(task.state))
    return found


async def test_a_task_is_added_with_all_options_on_an_empty_server(ajc, server):
    ran = await ajc(
        "task", "add", "email:new", '{"to":"ann"}', "--deadline", "1h", "--tries", "3", "--depends", "A,B", "--depends",
        "C", "--load",
    )  # fmt: skip
    async with Client.connect(server.url, no_storage_init=True) as client:
        task = await client.load(ran.line)
        assert (task.type, task.payload, task.queue) == ("email:new", b'{"to":"ann"}', "DEFAULT")
        assert (task.max_tries, task.dependencies, task.load_dependencies) == (3, ("A", "B", "C"), True)
        assert task.state is TaskState.BLOCKED
        assert parse_timestamp(task.deadline) == parse_timestamp(task.created) + 3600 * 10**9
        assert (await client.queue_info("DEFAULT")).items == 1


async def test_a_payload_is_read_from_an_argument_the_input_or_a_file(ajc, client, tmp_path):
    (tmp_path / "payload").write_bytes(b"[1,2]\n")
    (tmp_path / "bytes").write_bytes(b"\xff\x00")
    cases = [
        (["hello"], b"", b'"hello"'),
        (['{"a": 1}'], b"", b'{"a": 1}'),
        (["-5"], b"", b"-5"),
        (["-"], b"true", b"true"),
        (["@payload"], b"", b"[1,2]\n"),
        (["--file", "payload"], b"", b"[1,2]\n"),
        (["--file", "-"], b"two words\n", b'"two words\\n"'),
        (["@bytes", "--raw"], b"", b"\xff\x00"),
        ([], b"", None),
    ]
    ran = await asyncio.gather(*(ajc("task", "add", "t", *words, "-q", "Q", stdin=given) for words, given, _ in cases))
    assert [(await client.load(each.line)).payload for each in ran] == [payload for _, _, payload in cases]


async def test_an_invalid_task_is_refused_in_one_line(ajc, client, tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\x00")
    cases = [
        (["bad type"], 2, "invalid task type 'bad type'"),
        ([], 2, "pass TYPE, or --many FILE"),
        (["t", "-q", "NOPE"], 1, "queue NOPE does not exist"),
        (["t", "--file", "nope"], 2, "cannot read nope: No such file or directory"),
        (["t", "@nope"], 2, "cannot read nope"),
        (["t", "@bytes"], 2, "the payload in bytes is not UTF-8 text: use --raw"),
        (["t", "x", "--file", "nope"], 2, "not both"),
        (["t", "--deadline", "soon"], 2, "invalid duration 'soon'"),
        (["t", "--tries", "-1"], 2, "invalid max_tries -1"),
        (["--many", "nope"], 2, "cannot read nope"),
        (["t", "x", "--many", "nope"], 2, "remove PAYLOAD"),
    ]
    ran = await asyncio.gather(*(ajc("task", "add", *words) for words, _, _ in cases))
    for each, (words, status, text) in zip(ran, cases, strict=True):
        assert each.status == status, words
        assert text in each.complaint, words
    assert await states(client) == {}


async def test_a_custom_id_names_one_task_however_often_it_is_added(ajc, client):
    added = (await ajc("task", "add", "t", "--id", "mine", "-q", "Q", "--json")).json
    assert (added["id"], added["state"]) == ("mine", "new")
    again = await ajc("task", "add", "t", "--id", "mine", "-q", "Q", "--json")
    assert (again.status, again.json["created"]) == (0, added["created"])
    assert (await client.queue_info("Q")).items == 1
    other = await ajc("task", "add", "another", "--id", "mine", "-q", "Q")
    assert other.status == 1
    assert "mine" in other.complaint


async def test_many_tasks_are_added_and_invalid_lines_reported(ajc, client, tmp_path):
    lines = [
        '{"type": "a", "payload": {"n": 1}, "queue": "Q", "id": "one", "deadline": "1h", "max_tries": 2}',
        '{"type": "b c"}',
        "",
        "nope",
        '{"type": "a", "nope": 1}',
        '{"type": "b", "queue": "Q", "dependencies": ["one"], "load_dependencies": true}',
        '{"type": "c", "queue": "NOPE"}',
    ]
    (tmp_path / "many.jsonl").write_text("\n".join(lines))
    ran = await ajc("task", "add", "--many", "many.jsonl")
    assert ran.status == 1
    assert ran.out == "added 2 tasks, 4 failed\n"
    told = [line.split(":")[1].strip() for line in ran.err.splitlines()]
    assert sorted(told) == ["line 2", "line 4", "line 5", "line 7"]
    one = await client.load("one")
    assert (one.payload, one.max_tries, one.queue) == (b'{"n": 1}', 2, "Q")
    assert parse_timestamp(one.deadline) == parse_timestamp(one.created) + 3600 * 10**9

    failed = await ajc("task", "add", "--many", "many.jsonl", "--json")
    document = msgspec.json.decode(failed.out)
    assert failed.status == 1
    assert len(document["enqueued"]) == 2  # the task "one" is repeated, and the other gets a new id
    assert {each["line"] for each in document["failed"]} == {2, 4, 5, 7}
    assert (await client.queue_info("Q")).items == 3


async def test_lines_with_payloads_become_tasks_of_one_type(ajc, client):
    payloads = b"".join(b"%d\n" % number for number in range(3000))
    ran = await ajc("task", "add", "num", "--many", "-", "-q", "Q", "--tries", "2", stdin=payloads)
    assert ran.line == "added 3,000 tasks, 0 failed"
    found = sorted([int(task.payload or b"") async for task in client.tasks(task_type="num")])
    assert found == list(range(3000))
    assert (await client.queue_info("Q")).items == 3000


async def test_tasks_are_signed_and_verified(ajc, client, tmp_path):
    signer = Signer(SEED)
    (tmp_path / "seed").write_text(SEED.hex())
    (tmp_path / "seed").chmod(0o600)
    (tmp_path / "key").write_text(signer.public_key_hex + "\n")
    by_text, by_file = await asyncio.gather(
        ajc("task", "--sign", SEED.hex(), "add", "t", "-q", "Q"), ajc("task", "add", "t", "-q", "Q", "--sign", "seed")
    )
    unsigned = await client.enqueue("t")
    for ran in (by_text, by_file):
        assert (await client.load(ran.line)).signature
    good, by_key_file, bad, wrong, nonsense = await asyncio.gather(
        ajc("task", "view", by_text.line, "--verify", signer.public_key_hex),
        ajc("task", "--verify", "key", "view", by_file.line),
        ajc("task", "view", unsigned.id, "--verify", "key"),
        ajc("task", "view", by_text.line, "--verify", Signer(bytes(32)).public_key_hex),
        ajc("task", "add", "t", "--sign", "abcdef"),
    )
    assert "Signed: " in good.out
    assert by_key_file.status == 0
    assert (bad.status, wrong.status, nonsense.status) == (1, 1, 2)
    assert "is not signed" in bad.complaint
    assert "wrong signature" in wrong.complaint
    assert "--sign" in nonsense.complaint
    assert "abcdef" not in nonsense.complaint


async def test_a_task_is_shown_for_people_and_for_programs(ajc, client):
    task = await client.enqueue("email:new", {"to": "ann"}, deadline=timedelta(hours=1))
    shown, document, missing = await asyncio.gather(
        ajc("task", "view", task.id), ajc("task", "view", task.id, "--json"), ajc("task", "view", "nope")
    )
    lines = [line.strip() for line in shown.out.splitlines()]
    assert lines[0] == f"Task {task.id}"
    assert {"Type: email:new", "State: new", "Queue: Q", "Tries: 0 of 10", 'Payload: {"to":"ann"}'} < set(lines)
    assert msgspec.json.decode(document.out.encode(), type=type(task)) == task
    assert missing.status == 1
    assert missing.complaint.startswith("ajc: task nope is not stored")


async def test_control_characters_of_a_task_never_reach_a_terminal(ajc, client):
    task = await store(client, task_type="t", state=TaskState.TERMINATED, error="\x1b[31mred\nsecond\u202e")
    for ran in await asyncio.gather(
        ajc("task", "view", task.id), ajc("task", "list"), ajc.on_terminal("task", "list", NO_COLOR="1")
    ):
        assert "\\x1b[31mred second\\u202e" in plain(ran.out)
        assert "\x1b[31m" not in ran.out


async def test_tasks_are_listed_with_filters(ajc, client):
    first = await store(client, task_type="a", state=TaskState.EXPIRED, error="Boom", tries=3)
    second = await store(client, task_type="b", state=TaskState.COMPLETE, tries=1)
    third = await client.enqueue("a")
    cases = {
        "": [third, second, first],
        "--sort oldest": [first, second, third],
        "--sort tries": [first, second, third],
        "--sort changed": [third, second, first],
        "2": [third, second],
        "2 --page 2": [first],
        "--state expired,complete": [second, first],
        "--state new --state expired --type a": [third, first],
        "--queue NOPE": [],
        "--queue Q --error boom": [first],
        "--since 1h": [third, second, first],
        "--before 1h": [],
        f"--before {third.created} --type a": [first],
    }
    ran = await asyncio.gather(*(ajc("task", "list", *words.split(), "--json") for words in cases))
    found = {words: [task["id"] for task in each.json["tasks"]] for words, each in zip(cases, ran, strict=True)}
    assert found == {words: [task.id for task in tasks] for words, tasks in cases.items()}
    assert ran[4].json["matching"] == 3

    table, rows = await asyncio.gather(ajc("task", "ls", "1"), ajc("task", "ls", "--csv"))
    assert table.out.splitlines()[0].split() == ["ID", "STATE", "TYPE", "QUEUE", "AGE", "TRIES", "ERROR"]
    assert table.out.splitlines()[1].split()[:4] == [third.id, "new", "a", "Q"]
    assert [(row["id"], row["state"], row["error"]) for row in rows.csv] == [
        (third.id, "new", ""),
        (second.id, "complete", ""),
        (first.id, "expired", "Boom"),
    ]


async def test_a_bad_filter_is_refused(ajc, client):
    cases = {
        "--state nope": "invalid task state 'nope'",
        "--since yesterday": "invalid --since 'yesterday'",
        "0": "invalid LIMIT 0",
        "--page 0": "--page 0",
        "--watch": "needs a terminal",
    }
    ran = await asyncio.gather(*(ajc("task", "list", *words.split()) for words in cases))
    for each, text in zip(ran, cases.values(), strict=True):
        assert each.status == 2
        assert text in each.complaint


async def test_a_task_is_retried_by_its_id(ajc, client):
    task = await store(client, task_type="t", state=TaskState.EXPIRED, tries=10)
    ran = await ajc("task", "retry", task.id)
    assert "State: retry" in ran.out
    assert (await client.load(task.id)).tries == 0
    await ajc("queue", "new", "OTHER")
    assert (await ajc("task", "retry", task.id, "-q", "OTHER", "--json")).json["queue"] == "OTHER"

    active = await store(client, task_type="t", state=TaskState.ACTIVE)
    refused = await ajc("task", "retry", active.id)
    assert refused.status == 1
    assert "is active" in refused.complaint
    assert (await ajc("task", "retry", active.id, "--active")).status == 0


async def test_failed_tasks_are_counted_and_then_retried(ajc, client):
    for state in FAILED:
        await store(client, task_type="t", state=state, error="boom")
    await store(client, task_type="t", state=TaskState.COMPLETE)
    await store(client, task_type="other", state=TaskState.EXPIRED)

    counted, refused, nothing, all_of_them = await asyncio.gather(
        ajc("task", "retry", "--type", "t", "--dry-run"),
        ajc("task", "retry", "--type", "t"),
        ajc("task", "retry", "--type", "nope"),
        ajc("task", "retry"),
    )
    assert counted.line == "2 tasks match (1 expired, 1 terminated)"
    assert refused.status == 2
    assert refused.complaint.endswith("Cannot ask without a terminal: rerun with --force")
    assert nothing.line == "retried 0 tasks"
    assert all_of_them.status == 2
    assert "no tasks selected" in all_of_them.complaint
    assert sorted((await states(client))["t"]) == ["complete", "expired", "terminated"]

    assert (await ajc("task", "retry", "--type", "t", "--error", "BOOM", "--force")).line == "retried 2 tasks"
    assert await states(client) == {"t": ["complete", "retry", "retry"], "other": ["expired"]}


async def test_tasks_that_cannot_be_retried_are_reported(ajc, client):
    good = await store(client, task_type="t", state=TaskState.EXPIRED)
    ran = await ajc("task", "retry", good.id, "nope", "--json")
    assert ran.status == 1
    document = msgspec.json.decode(ran.out)
    assert document["retried"] == [good.id]
    assert [(each["id"], each["reason"]) for each in document["failed"]] == [("nope", "task_not_found")]


async def test_tasks_are_deleted_by_id_and_by_filter(ajc, client):
    keep, one, *others = [await client.enqueue(task_type) for task_type in ("keep", "t", "t", "t")]
    refused, missing, mixed = await asyncio.gather(
        ajc("task", "delete", one.id),
        ajc("task", "delete", "nope", "-f"),
        ajc("task", "delete", one.id, "--type", "t", "-f"),
    )
    assert refused.complaint == f"ajc: Delete task {one.id}? Cannot ask without a terminal: rerun with --force"
    assert (refused.status, missing.status, mixed.status) == (2, 1, 2)
    assert (await ajc("task", "rm", one.id, "-f")).line == "deleted 1 task"
    with pytest.raises(TaskNotFoundError):
        await client.load(one.id)
    ran = await ajc("task", "delete", "--type", "t", "-f", "--json")
    assert sorted(ran.json["deleted"]) == sorted(task.id for task in others)
    assert list(await states(client)) == ["keep"]
    assert (await client.load(keep.id)).id == keep.id


async def test_the_store_is_initialized_configured_and_purged(ajc, server):
    made = (await ajc("task", "initialize", "--memory", "--retention", "1h", "--json")).json
    assert (made["memory"], made["retention_ns"], made["replicas"]) == (True, 3600 * 10**9, 1)
    assert "1h after the last change" in (await ajc("task", "initialize")).out
    assert (await ajc("task", "cfg", "2h", "1", "--json")).json["retention_ns"] == 2 * 3600 * 10**9
    assert (await ajc("task", "configure", "1h", "9")).status == 2

    async with Client.connect(server.url, no_storage_init=True) as client:
        assert await client.queues() == []
        await client.storage.tasks.save(client.new_task("t", queue="Q"), 0)
        assert (await ajc("task", "purge")).complaint.startswith("ajc: Delete all tasks (1)? Cannot ask")
        assert (await ajc("task", "purge", "--force")).line == "deleted 1 task"
        assert (await client.store_info()).tasks == 0


async def test_a_question_on_a_terminal_is_answered(ajc, client):
    task = await client.enqueue("t")
    no = await ajc.on_terminal("task", "delete", task.id, typed="n\n")
    assert no.status == 1
    assert f"Delete task {task.id}? [y/N]" in no.out
    assert "ajc: cancelled, nothing changed" in no.out
    assert (await client.load(task.id)).id == task.id
    yes = await ajc.on_terminal("task", "delete", "--type", "t", typed="y\n")
    assert yes.status == 0
    assert "Delete 1 task (1 new)?" in yes.out
    assert "deleted 1 task" in plain(yes.out)
    assert await states(client) == {}


async def test_a_terminal_gets_colors_and_frames_unless_no_color_is_set(ajc, client):
    task = await store(client, task_type="t", state=TaskState.COMPLETE)
    coloured, bare = await asyncio.gather(
        ajc.on_terminal("task", "list"), ajc.on_terminal("task", "list", NO_COLOR="1")
    )
    assert "╭" in coloured.out
    assert "\x1b[32mcomplete" in coloured.out
    assert "\x1b[32m" not in bare.out
    assert task.id in bare.out
    assert "1 task" in bare.out.splitlines()[-1]


async def test_the_screen_of_tasks_is_renewed_until_ctrl_c(ajc, client):
    await client.enqueue("first")
    ended = await ajc.until_shown("task", "list", "--watch", "--interval", "100ms", text="first", press=b"\x03")
    assert ended == 130


async def test_a_closed_pipe_ends_a_command_quietly(ajc, client):
    await client.enqueue_many(client.new_task("t") for _ in range(2000))
    async with ajc.running("task", "list", "5000") as process:
        assert process.stdout is not None
        await process.stdout.read(1)
        process.stdout._transport.close()
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (141, b"")
