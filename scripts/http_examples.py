"""Renew the examples of docs/http.md with real requests and responses: ``python -m scripts.http_examples``.

A section of the page between ``<!-- examples: NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from ajobs.admin.api.options import Address, ServerOptions
from ajobs.admin.api.server import serving
from ajobs.admin.api.tokens import Scope, new_token
from ajobs.client import Client, Queue
from ajobs.testing.nats_server import NatsServer
from ajobs.worker import Router, Worker

PAGE = Path(__file__).parents[1] / "docs" / "http.md"
SECTION = re.compile(r"(<!-- examples: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
WIDTH = 110
SHOWN = {"location", "retry-after", "www-authenticate", "allow"}
SHORT = 3
"""How many numbers of a list to show."""


class Example(NamedTuple):
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    text: str = ""
    events: int = 0
    """How many events of a stream to show."""


ID = "2o8RS7ppZ3cXvWgEtbrEnqLCU3c"

EXAMPLES: dict[str, list[Example]] = {
    "start": [Example("GET", "/v1/info")],
    "create": [
        Example("POST", "/v1/tasks", {"type": "email:new", "payload": {"to": "ann@example.net"}, "id": ID}),
        Example("POST", "/v1/tasks", {"type": "email:new", "payload": 1}, {"Idempotency-Key": "order-7"}),
        Example("POST", "/v1/tasks", {"type": "email:new", "payload": 2}, {"Idempotency-Key": "order-7"}),
    ],
    "tasks": [
        Example("GET", f"/v1/tasks/{ID}"),
        Example("GET", f"/v1/tasks/{ID}/result?wait=30s"),
        Example("GET", "/v1/tasks?state=complete&type=email:new&limit=1"),
        Example("GET", "/v1/tasks?stream=ndjson&limit=2"),
        Example("POST", f"/v1/tasks/{ID}/retry"),
        Example("DELETE", f"/v1/tasks/{ID}"),
    ],
    "bulk": [
        Example("POST", "/v1/tasks/bulk", {"tasks": [{"type": "email:new"}, {"type": "email:new", "queue": "NONE"}]}),
        Example("POST", "/v1/tasks/retry", {"ids": [ID]}),
        Example("POST", "/v1/tasks/retry-matching", {"states": ["expired", "terminated"], "type": "email:new"}),
        Example("POST", "/v1/tasks/delete-matching", {"states": ["complete"], "limit": 1000}),
        Example("POST", "/v1/tasks/purge", headers={"X-Confirm": "purge"}),
    ],
    "queues": [
        Example("POST", "/v1/queues", {"name": "BULK", "max_runtime": "5m", "max_concurrent": 10}),
        Example("PATCH", "/v1/queues/BULK", {"max_concurrent": 20}),
        Example("POST", "/v1/queues/BULK/pause?duration=1h"),
        Example("POST", "/v1/queues/BULK/resume"),
        Example("GET", "/v1/queues/BULK"),
        Example("GET", "/v1/queues"),
        Example("POST", "/v1/queues/BULK/purge"),
        Example("DELETE", "/v1/queues/BULK"),
    ],
    "schedules": [
        Example(
            "POST",
            "/v1/schedules",
            {"name": "nightly", "schedule": "0 2 * * *", "queue": "EMAIL", "task_type": "email:report",
             "deadline_offset": "1h"},
        ),
        Example("GET", "/v1/schedules/nightly/next?count=2"),
        Example("PATCH", "/v1/schedules/nightly", {"schedule": "CRON_TZ=Europe/Berlin 0 2 * * *", "jitter": "30s"}),
        Example("POST", "/v1/schedules/nightly/pause"),
        Example("POST", "/v1/schedules/nightly/resume"),
        Example("POST", "/v1/schedules/nightly/run"),
        Example("GET", "/v1/schedules/nightly"),
        Example("GET", "/v1/schedules"),
        Example("DELETE", "/v1/schedules/nightly"),
    ],
    "events": [Example("GET", "/v1/events?queue=EMAIL", events=3)],
    "server": [
        Example("GET", "/healthz"),
        Example("GET", "/readyz"),
        Example("GET", "/v1/retry-policies"),
        Example("GET", "/v1/store"),
        Example("PATCH", "/v1/store", {"retention": "720h"}),
        Example("GET", "/v1/workers"),
        Example("GET", "/v1/leaders"),
    ],
    "errors": [
        Example("POST", "/v1/tasks", {"type": "email:new", "paylod": 1}),
        Example("GET", "/v1/tasks/nothing"),
        Example("PUT", "/v1/queues"),
    ],
}  # fmt: skip


def command(example: Example) -> str:
    parts = ["$ curl -i" if example.method == "GET" else f"$ curl -i -X {example.method}"]
    url = f"localhost:8080{example.path}"
    parts.append(f"'{url}'" if "?" in url else url)
    if example.method == "GET" and example.events:
        parts[0] += " -N"
    parts += [f"-H '{name}: {value}'" for name, value in example.headers.items()]
    if example.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(example.body)}'"]
    line = " ".join(parts)
    return line if len(line) <= WIDTH else " \\\n    ".join([" ".join(parts[:2]), *parts[2:]])


def shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > SHORT and all(isinstance(item, int) for item in value):
            return [*value[:SHORT], "..."]
        return [shortened(item) for item in value]
    return value


def answer(response: httpx.Response) -> str:
    lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name in SHOWN]
    if response.headers.get("content-type", "").startswith("application/json"):
        value = shortened(response.json())
        line = json.dumps(value, ensure_ascii=False)
        lines.append(line if len(line) <= WIDTH else json.dumps(value, indent=2, ensure_ascii=False))
    elif response.text:
        lines.append(response.text.rstrip("\n"))
    return "\n".join(lines)


async def streamed(http: httpx.AsyncClient, client: Client, example: Example) -> str:
    async with http.stream(example.method, example.path) as response:
        lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
        left = example.events
        async for line in response.aiter_lines():
            if line.startswith("retry:"):
                await client.enqueue("email:new", {"to": "ann@example.net"})
            lines.append(line)
            left -= line.startswith("data:")
            if not left:
                return "\n".join(lines)
    raise SystemExit("the stream ended")


async def run_all() -> dict[str, str]:
    router = Router()
    router.add("email", lambda to: f"sent to {to}")
    done: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        token, line = new_token("ann", [Scope.ADMIN])
        tokens = Path(folder) / "tokens"
        tokens.write_text(f"{line}\n")
        options = ServerOptions(bind=Address("127.0.0.1", 0), queue="EMAIL")
        guarded = ServerOptions(bind=Address("127.0.0.1", 0), queue="EMAIL", token_file=tokens)
        async with (
            NatsServer.run() as nats,
            Client.connect(nats.url, queue=Queue(name="EMAIL")) as client,
            serving(nats.url, {}, options) as running,
            serving(nats.url, {}, guarded) as with_tokens,
            httpx.AsyncClient(base_url=running.url, timeout=30) as http,
            Worker(client, router).running(),
        ):
            for name, examples in EXAMPLES.items():
                parts: list[str] = []
                for example in examples:
                    if example.events:
                        shown = await streamed(http, client, example)
                    else:
                        body = {} if example.body is None else {"json": example.body}
                        shown = answer(
                            await http.request(example.method, example.path, headers=example.headers, **body)
                        )
                    parts.append(f"{command(example)}\n{shown}\n")
                done[name] = "```console\n" + "\n".join(parts) + "```\n"
            url = with_tokens.url
            refused = await http.get(f"{url}/v1/queues")
            let_in = await http.get(f"{url}/v1/leaders", headers={"Authorization": f"Bearer {token}"})
            done["tokens"] = (
                "```console\n"
                f"{command(Example('GET', '/v1/queues'))}\n{answer(refused)}\n\n"
                '$ curl -i localhost:8080/v1/leaders -H "Authorization: Bearer $TOKEN"\n'
                f"{answer(let_in)}\n```\n"
            )
    return done


def main() -> None:
    done = asyncio.run(run_all())
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(SECTION.sub(lambda found: found[1] + done[found[2]] + found[3], text), encoding="utf-8")


if __name__ == "__main__":
    main()
