"""Having a service handle tasks that answers requests over NATS, in whatever language: `RemoteService` in Python.

The request is the task as JSON on ``CHORIA_AJ.H.T.<task type>``. Its headers say until when an answer is of use, which
is a little earlier than the run ends here, so that the answer still arrives in time.
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
"""Seconds before the run's end at which the service is told to be done."""
SHORTEST_S = 3
"""Seconds that have to be left for a request to be of any use."""


class RemoteFailedError(Exception):
    """A remote handler could not be asked, did not answer in time, or said that it failed."""


class Remote:
    """A handler that passes tasks on to a service."""

    def __init__(self, task_type: str, *, decode: bool = False) -> None:
        """Ask the services for ``task_type``; ``""`` is what those listen on that take every type.

        The result is the answer's bytes, which are a base64 text in the task, as the original has it; with ``decode``
        the answer is JSON, and the result is what it says.
        """
        self._subject = remote_handler_subject(task_type)
        self._decode = decode

    def __repr__(self) -> str:
        """Show whom it asks."""
        return f"Remote({self._subject!r})"

    async def __call__(self, context: Context, client: Client) -> Any:
        """Pass the task on and return the answer.

        Raises:
            TerminateTask: The service said that trying again is of no use.
            RemoteFailedError: It failed, did not answer in time, or there is none.
        """
        remaining_s = context.remaining.total_seconds()
        if remaining_s < SHORTEST_S:
            raise RemoteFailedError(f"less than {SHORTEST_S} s left, too short to ask {self._subject}")
        # The header has whole seconds: rounded down, for the service must not be promised more than there is.
        deadline = datetime.fromtimestamp(int(time.time() + remaining_s - MARGIN_S), UTC)
        asked = {
            headers.CONTENT_TYPE: headers.TASK_CONTENT_TYPE,
            headers.HANDLER_DEADLINE: deadline.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        try:
            reply = await client.storage.requests.request(
                self._subject, encode(context.task), header_block(asked), remaining_s
            )
        except NoRespondersError as e:
            raise RemoteFailedError(f"nobody listens on {self._subject}: start a service for it") from e
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
            raise InvalidPayloadError(f"the answer from {self._subject} is no JSON: {e}") from e
