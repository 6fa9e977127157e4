"""A message that a consumer delivered."""

from __future__ import annotations

import msgspec

from ajobs.protocol.headers import parse_headers

_ACK_TOKENS = 9
"""Tokens of an acknowledgement subject without a JetStream domain. With a domain it has two more in front."""


class Delivery(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A message that a consumer delivered, with the subject for its acknowledgement."""

    subject: str
    data: bytes
    raw_headers: bytes
    ack_subject: str
    received: float
    """When it arrived, in seconds of the event loop's clock."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers by name."""
        return parse_headers(self.raw_headers)

    def _token(self, index: int) -> int:
        tokens = self.ack_subject.split(".")
        return int(tokens[index if len(tokens) == _ACK_TOKENS else index + 2])

    @property
    def delivered(self) -> int:
        """The number of deliveries so far, this one included."""
        return self._token(4)

    @property
    def sequence(self) -> int:
        """The sequence in its stream."""
        return self._token(5)

    @property
    def timestamp_ns(self) -> int:
        """When it was stored, in nanoseconds since 1970."""
        return self._token(7)

    @property
    def pending(self) -> int:
        """The number of messages that the consumer had yet to deliver."""
        return self._token(8)
