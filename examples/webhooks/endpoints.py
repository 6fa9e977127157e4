"""The endpoints that receive webhooks. URLs and secrets are settings of the workers; tasks carry only the names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NewType
from urllib.parse import urlsplit

import msgspec

from ajobs.protocol.errors import ConfigurationError

from .signature import secret_bytes


class Endpoint(msgspec.Struct, frozen=True):
    """A receiver."""

    url: str
    secret: str

    def __post_init__(self) -> None:
        """Refuse an endpoint that cannot be delivered to."""
        if urlsplit(self.url).scheme not in {"http", "https"} or not urlsplit(self.url).hostname:
            raise ValueError(f"invalid url {self.url!r}: use an http or https address")
        secret_bytes(self.secret)

    def __repr__(self) -> str:
        """Show the URL without the secret."""
        return f"Endpoint({self.url!r})"


Endpoints = NewType("Endpoints", dict[str, Endpoint])


def load_endpoints() -> Endpoints:
    """Load the endpoints by name from the JSON file that ``WEBHOOK_ENDPOINTS`` names.

    Raises:
        ConfigurationError: The file cannot be read, or an endpoint is invalid.
    """
    path = Path(os.environ.get("WEBHOOK_ENDPOINTS", "webhook-keys/endpoints.json"))
    try:
        return Endpoints(msgspec.json.decode(path.read_bytes(), type=dict[str, Endpoint]))
    except OSError as e:
        raise ConfigurationError(f"cannot read the endpoints from {path}: {e.strerror}; set WEBHOOK_ENDPOINTS") from e
    except msgspec.MsgspecError as e:
        raise ConfigurationError(f"invalid endpoints in {path}: {e}") from e
