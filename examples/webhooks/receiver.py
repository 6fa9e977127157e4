"""A receiver that verifies deliveries: ``python -m examples.webhooks.receiver [PORT]``, on the loopback address.

It answers the first try of each delivery with 503, to demonstrate a retry.
"""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from .endpoints import load_endpoints
from .signature import secret_bytes, verify

MAX_BODY = 1 << 20


class Answer(NamedTuple):
    """A response's status, the text that the receiver prints, and a ``Retry-After`` in seconds."""

    status: int
    text: str
    retry_after: str = ""


class Receiver(ThreadingHTTPServer):
    """An HTTP server with the key that the sender signs with."""

    def __init__(self, host: str, port: int, key: bytes) -> None:
        """Listen; ``serve_forever`` handles requests."""
        super().__init__((host, port), Delivery)
        self.key = key
        self.seen: set[str] = set()
        self.done: dict[str, bytes] = {}
        """Processed deliveries by id. A real receiver stores the id in the transaction that processes the delivery."""

    def act(self, message_id: str, body: bytes) -> Answer:
        """Process a verified delivery."""
        if message_id in self.done:
            return Answer(204, f"{message_id} is a duplicate and was not processed again")
        if message_id not in self.seen:
            self.seen.add(message_id)
            return Answer(503, f"{message_id} must be sent again", retry_after="1")
        self.done[message_id] = body
        return Answer(204, f"{message_id} processed: {body.decode(errors='replace')}")


class Delivery(BaseHTTPRequestHandler):
    """One request."""

    server: Receiver  # pyright: ignore[reportIncompatibleVariableOverride] - `Receiver` is the only server
    timeout = 10

    def do_POST(self) -> None:
        """Verify the delivery, process it and answer."""
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.answer(Answer(413, f"content-length {length!r} is not accepted"))
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message_id = verify(self.server.key, headers, int(time.time()), body)
        except ValueError as e:
            self.answer(Answer(401, str(e)))
            return
        self.answer(self.server.act(message_id, body))

    def answer(self, answer: Answer) -> None:
        """Send the status without a body, and print the text."""
        self.send_response(answer.status)
        if answer.retry_after:
            self.send_header("retry-after", answer.retry_after)
        self.send_header("content-length", "0")
        self.end_headers()
        print(answer.status, answer.text, flush=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Log nothing, because `answer` prints each response."""


if __name__ == "__main__":
    with Receiver(
        os.environ.get("RECEIVER_HOST", "127.0.0.1"),
        int(sys.argv[1]) if len(sys.argv) > 1 else 8080,
        secret_bytes(load_endpoints()["shop"].secret),
    ) as receiver:
        print(f"listening on http://{receiver.server_address[0]}:{receiver.server_address[1]}/", flush=True)
        receiver.serve_forever()
