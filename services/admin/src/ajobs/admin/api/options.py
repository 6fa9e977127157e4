"""Options of the HTTP server: address, authentication and limits."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import timedelta
from pathlib import Path

import msgspec

from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.subjects import DEFAULT_QUEUE

DEFAULT_BIND = "127.0.0.1:8080"
MAX_BODY = 524_288
TIMEOUT = timedelta(seconds=30)
MAX_CONNECTIONS = 1_000
MAX_STREAMS = 200


class Address(msgspec.Struct, frozen=True):
    """The address to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return the text form, as on the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse ``127.0.0.1:8080``, ``[::1]:8080``, or ``:8080``, which means all addresses.

    Raises:
        ConfigurationError: The text is not an address and a port.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65_535 or (":" in bare and bare == host):
        raise ConfigurationError(f"invalid address {text!r}: use an address and a port, such as {DEFAULT_BIND}")
    return Address(bare or "0.0.0.0", int(port))  # noqa: S104 - the usual meaning of an empty host


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of ``ajc server run``."""

    bind: Address = Address("127.0.0.1", 8080)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Clients need a certificate of this authority."""
    token_file: Path | None = None
    unsafe_bind: bool = False
    """Listen on a non-loopback address without authentication."""
    queue: str = DEFAULT_QUEUE
    """The queue of tasks that do not name one."""
    allow_create_default: bool = False
    """Create the queue ``DEFAULT`` at startup, and allow requests to create it."""
    read_timeout: timedelta = TIMEOUT
    """How long a client may take to send a request."""
    write_timeout: timedelta = TIMEOUT
    """How long a client may pause while it receives a response."""
    max_connections: int = MAX_CONNECTIONS
    """Open connections. Beyond that, a new one replaces the oldest without a complete request."""
    max_streams: int = MAX_STREAMS
    """Event streams, streams of tasks, and waits for a task, together."""
    max_body: int = MAX_BODY
    """Maximum size of a request body in bytes."""
    heartbeat_s: float = 15.0
    """Seconds without events after which an event stream sends a comment."""

    def __post_init__(self) -> None:
        """Validate the options.

        Raises:
            ConfigurationError: Options contradict each other, or would expose the API without authentication.
        """
        check_name("queue name", self.queue)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("--tls-cert and --tls-key belong together: set both or neither")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ConfigurationError("--tls-client-ca needs --tls-cert and --tls-key")
        if self.max_body < 1:
            raise ConfigurationError(f"invalid --max-body {self.max_body}: use a positive number of bytes")
        for name, number in (("--max-connections", self.max_connections), ("--max-streams", self.max_streams)):
            if number < 1:
                raise ConfigurationError(f"invalid {name} {number}: use a number greater than 0")
        for name, value in (("--read-timeout", self.read_timeout), ("--write-timeout", self.write_timeout)):
            if value <= timedelta():
                raise ConfigurationError(f"invalid {name}: use a duration greater than 0")
        if not (self.bind.is_loopback or self.unsafe_bind or self.is_guarded):
            raise ConfigurationError(
                f"{self.bind} is not a loopback address and the server has no authentication: use --token-file or "
                "--tls-client-ca, or --unsafe-bind if a proxy in front of the server authenticates requests"
            )

    @property
    def is_guarded(self) -> bool:
        """Whether clients must authenticate."""
        return self.token_file is not None or self.tls_client_ca is not None

    @property
    def expects_loopback_host(self) -> bool:
        """Whether requests must name a loopback host: nothing else protects the server from pages of other sites."""
        return self.bind.is_loopback and not (self.unsafe_bind or self.is_guarded)

    @property
    def auth(self) -> str:
        """How clients authenticate: ``none``, ``mtls`` or ``token``."""
        if self.token_file is not None:
            return "token"
        return "none" if self.tls_client_ca is None else "mtls"


def tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    """Return the TLS context of the server; ``None`` without a certificate.

    Raises:
        ConfigurationError: A file cannot be read or is not valid.
    """
    if options.tls_cert is None or options.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key, password=_no_password)
    except (OSError, ValueError) as e:
        raise ConfigurationError(
            f"cannot load certificate {options.tls_cert} with key {options.tls_key}: {_reason(e)}"
        ) from e
    if options.tls_client_ca is not None:
        try:
            context.load_verify_locations(options.tls_client_ca)
        except OSError as e:
            raise ConfigurationError(f"cannot load --tls-client-ca {options.tls_client_ca}: {_reason(e)}") from e
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    raise ConfigurationError("--tls-key is encrypted: use a key without a password, in a file that only you can read")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not in PEM format"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
