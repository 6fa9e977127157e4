"""Handle tasks with a service, in any language, that answers requests over NATS. In Python: `remote_service`.

The request is the task as JSON on ``CHORIA_AJ.H.T.<task type>``. A header carries the deadline for the answer, a little
before the end of the run, so that the answer still arrives in time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from ajobs.client.client import Client
from ajobs.client.nats.requests import NoRespondersError
from ajobs.protocol import headers
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import InvalidPayloadError, PayloadTooLargeError, RequestTimeoutError, UnavailableError
from ajobs.protocol.headers import header_block
from ajobs.protocol.subjects import remote_handler_subject
from ajobs.worker.context import Context
from ajobs.worker.outcomes import TerminateTask

MARGIN_S = 2
"""Seconds between the deadline of the service and the end of the run."""
SHORTEST_S = 3
"""Seconds that must be left for a request."""


class RemoteFailedError(Exception):
    """A service could not be reached, did not answer in time, or reported a failure."""


class Remote:
    """A handler that passes tasks on to a service."""

    def __init__(self, task_type: str, *, decode: bool = False) -> None:
        """Pass tasks to the services for ``task_type``; ``""`` addresses the services for all types.

        The result is the bytes of the answer, in the task as base64 text like that of Choria Async Jobs. With
        ``decode``, the answer is JSON and the result its value.
        """
        self._subject = remote_handler_subject(task_type)
        self._decode = decode

    def __repr__(self) -> str:
        """Show the subject of the requests."""
        return f"Remote({self._subject!r})"

    async def __call__(self, context: Context, client: Client) -> Any:
        """Pass the task on and return the answer.

        Raises:
            TerminateTask: The service reported a permanent failure.
            RemoteFailedError: The service failed, did not answer in time, or is not running.
            InvalidPayloadError: The answer is not valid JSON.
        """
        remaining_s = context.remaining.total_seconds()
        if remaining_s < SHORTEST_S:
            raise RemoteFailedError(f"less than {SHORTEST_S} s left: too short for a request to {self._subject}")
        # The header has whole seconds. Round down, to promise the service no more time than is left.
        deadline = datetime.fromtimestamp(int(time.time() + remaining_s - MARGIN_S), UTC)
        asked = {
            headers.CONTENT_TYPE: headers.TASK_CONTENT_TYPE,
            headers.HANDLER_DEADLINE: deadline.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        try:
            reply = await client.storage.request(self._subject, encode(context.task), header_block(asked), remaining_s)
        except NoRespondersError as e:
            raise RemoteFailedError(f"no service is listening on {self._subject}: start one") from e
        except RequestTimeoutError as e:
            raise RemoteFailedError(f"no answer from {self._subject} in time") from e
        except PayloadTooLargeError as e:
            raise TerminateTask(str(e)) from e
        except UnavailableError as e:
            raise RemoteFailedError(str(e)) from e
        said = reply.headers
        if terminate := said.get(headers.TERMINATE):
            raise TerminateTask(terminate)
        if error := said.get(headers.ERROR):
            raise RemoteFailedError(error)
        if not self._decode:
            return reply.data
        try:
            return msgspec.json.decode(reply.data or b"null")
        except (msgspec.MsgspecError, ValueError) as e:
            raise InvalidPayloadError(f"the answer from {self._subject} is not valid JSON: {e}") from e
