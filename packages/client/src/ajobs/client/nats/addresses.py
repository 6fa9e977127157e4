"""How to reach NATS: servers, credentials, TLS, and where JetStream answers."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from ajobs.client.nats.secrets import Secret, secret
from ajobs.protocol.durations import Duration, as_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.subjects import DEFAULT_API_PREFIX, domain_api_prefix

DEFAULT_SERVER = "nats://127.0.0.1:4222"
SCHEMES = frozenset({"nats", "tls"})

_NOT_IN_URL = frozenset(" \t\r\n?#")


class UrlLogin(NamedTuple):
    """What a URL says about who connects, decoded. Without a password, the user is a token."""

    user: str
    password: str | None


class ConnectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach NATS. Secrets are not part of its text."""

    servers: tuple[str, ...] = ()
    """URLs, each may be several with commas between them; none: the loopback address."""
    context: str | None = None
    """The name of the ``nats`` command line's context that the other values came from, if they did."""
    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials_file: str | None = None
    """A file with a user JWT and its seed."""
    nkey_seed_file: str | None = None
    """A file with an NKey seed."""
    tls_ca: str | None = None
    """A file of certificates to trust, instead of the system's."""
    tls_cert: str | None = None
    """A file with our own certificate, for mutual TLS."""
    tls_key: str | None = None
    """A file with its key."""
    tls_hostname: str | None = None
    """The name that the server's certificate has to have, instead of the URL's."""
    tls_first: bool = False
    """Shake hands before the server says anything."""
    inbox_prefix: str | None = None
    js_domain: str | None = None
    js_api_prefix: str | None = None
    """The prefix of JetStream's API, without the last dot."""
    name: str = "ajobs"
    """What the server calls this connection."""
    connect_timeout: Duration = 5.0
    """How long one attempt to connect may take."""
    ping_interval: Duration = 20.0
    """The time between two checks of an idle connection."""

    def __post_init__(self) -> None:
        """Hide secrets from encoders, and refuse what contradicts itself.

        Raises:
            ConfigurationError: It does.
        """
        msgspec.structs.force_setattr(self, "password", secret(self.password))
        msgspec.structs.force_setattr(self, "token", secret(self.token))
        servers = tuple(Secret(each) if "@" in each else each for each in self.servers)
        msgspec.structs.force_setattr(self, "servers", servers)
        as_ns(self.connect_timeout, "connect_timeout", positive=True)
        as_ns(self.ping_interval, "ping_interval", positive=True)
        if self.js_domain and self.js_api_prefix:
            raise _contradiction("js_domain and js_api_prefix are both set: use one of them")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise _contradiction("tls_cert and tls_key belong together: set both or none")
        kinds = {
            "user": self.user,
            "token": self.token,
            "credentials_file": self.credentials_file,
            "nkey_seed_file": self.nkey_seed_file,
        }
        given = [kind for kind, value in kinds.items() if value]
        if len(given) > 1:
            raise _contradiction(f"{' and '.join(given)} are all set: use one way to authenticate")
        if not self.urls:
            raise ConfigurationError("the list of NATS servers is empty: name one, such as " + DEFAULT_SERVER)
        for url in self.urls:
            _check_url(url)
        if len(self._logins) > 1 and any("%" in part for login in self._logins for part in login if part):
            raise _contradiction(
                "servers have different credentials, which must not be percent-encoded then: "
                "use the same for all, or set user and password"
            )

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers' URLs, with their scheme."""
        given = (url.strip() for urls in self.servers or (DEFAULT_SERVER,) for url in urls.split(","))
        return tuple(_with_scheme(url) for url in given if url)

    @property
    def _logins(self) -> set[tuple[str, str | None]]:
        parts = (urlsplit(url) for url in self.urls)
        return {(each.username, each.password) for each in parts if each.username is not None}

    @property
    def login(self) -> UrlLogin | None:
        """The credentials in the URLs, if these have any and all have the same."""
        logins = self._logins
        if len(logins) != 1:
            return None
        ((user, password),) = logins
        return UrlLogin(unquote(user), None if password is None else unquote(password))

    @property
    def api_prefix(self) -> str:
        """The prefix of JetStream's API."""
        if self.js_domain:
            return domain_api_prefix(self.js_domain)
        return (self.js_api_prefix or DEFAULT_API_PREFIX).rstrip(".")

    def __repr__(self) -> str:
        """Show what differs from the defaults, with secrets blotted out."""
        shown: list[str] = []
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name in {"password", "token"}:
                value = "***"
            elif field.name == "servers":
                value = tuple(without_credentials(url) for url in self.urls)
            shown.append(f"{field.name}={value!r}")
        return f"ConnectOptions({', '.join(shown)})"


def _contradiction(text: str) -> ConfigurationError:
    return ConfigurationError(f"connection options: {text}")


def _with_scheme(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    # The NATS library knows schemes in lower case only.
    return f"{scheme.lower()}://{rest}" if separator else f"nats://{url}"


def without_credentials(url: str) -> str:
    """Return a URL without its user, password or token, even if it is not a valid URL."""
    scheme, separator, rest = url.partition("://")
    host = (rest if separator else url).rpartition("@")[2]
    return f"{scheme if separator else 'nats'}://{host}"


def _check_url(url: str) -> None:
    shown = without_credentials(url)
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0 and not parts.path.strip("/") and not _NOT_IN_URL & set(url)
    except ValueError:
        parts, usable = None, False
    if parts is not None and parts.scheme not in SCHEMES:
        raise ConfigurationError(f"the NATS server {shown} is not nats:// or tls://: use one of these")
    if not usable:
        hint = "; percent-encode special characters in the user and password" if "@" in url else ""
        raise ConfigurationError(f"{shown} is not the URL of a NATS server: use nats://HOST:PORT{hint}")
