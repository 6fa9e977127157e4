"""Who receives webhooks. Addresses and secrets are the workers' settings: tasks only have names of endpoints."""

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
        """Refuse what could not be delivered to."""
        if urlsplit(self.url).scheme not in {"http", "https"} or not urlsplit(self.url).hostname:
            raise ValueError(f"the url {self.url!r} is no http or https address")
        secret_bytes(self.secret)

    def __repr__(self) -> str:
        """Show where it is, without the secret."""
        return f"Endpoint({self.url!r})"


Endpoints = NewType("Endpoints", dict[str, Endpoint])


def load_endpoints() -> Endpoints:
    """Return the endpoints by name that the JSON file has which ``WEBHOOK_ENDPOINTS`` names.

    Raises:
        ConfigurationError: It cannot be read, or an endpoint cannot be used.
    """
    path = Path(os.environ.get("WEBHOOK_ENDPOINTS", "webhook-keys/endpoints.json"))
    try:
        return Endpoints(msgspec.json.decode(path.read_bytes(), type=dict[str, Endpoint]))
    except OSError as e:
        raise ConfigurationError(f"cannot read the endpoints from {path}: {e.strerror}; set WEBHOOK_ENDPOINTS") from e
    except msgspec.MsgspecError as e:
        raise ConfigurationError(f"cannot use the endpoints in {path}: {e}") from e
