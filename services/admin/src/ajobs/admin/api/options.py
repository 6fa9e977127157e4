"""How the server is run: where it listens, who may talk to it, and its limits."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

import msgspec

from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.subjects import DEFAULT_QUEUE

DEFAULT_BIND = "127.0.0.1:8080"
MAX_BODY = 524_288
TIMEOUT_NS = 30 * SECOND_NS


class Address(msgspec.Struct, frozen=True):
    """Where to listen."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address for ``127.0.0.1:8080``, ``[::1]:8080``, or ``:8080``, which is every address.

    Raises:
        ConfigurationError: It is none.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65_535 or (":" in bare and bare == host):
        raise ConfigurationError(f"cannot bind to {text!r}: use an address and a port, such as {DEFAULT_BIND}")
    return Address(bare or "0.0.0.0", int(port))  # noqa: S104 - what an empty host means everywhere


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What ``ajc server run`` can be told."""

    bind: Address = Address("127.0.0.1", 8080)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Clients have to show a certificate of this authority."""
    token_file: Path | None = None
    unsafe_bind: bool = False
    """Listen on an address that is not loopback although everybody is let in."""
    queue: str = DEFAULT_QUEUE
    """The queue of tasks that name none."""
    allow_create_default: bool = False
    """Make the queue ``DEFAULT`` at the start, and when asked to."""
    read_timeout_ns: int = TIMEOUT_NS
    """Nanoseconds that a client may take to send a request."""
    write_timeout_ns: int = TIMEOUT_NS
    """Nanoseconds for which a client may take nothing of an answer."""
    max_body: int = MAX_BODY
    """Bytes of a request's body."""
    heartbeat_s: float = 15.0
    """Seconds of silence after which a stream of events shows that it is alive."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, and to listen where strangers are.

        Raises:
            ConfigurationError: It does.
        """
        check_name("queue name", self.queue)
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("--tls-cert and --tls-key go together: set both, or neither")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ConfigurationError("--tls-client-ca needs --tls-cert and --tls-key")
        if self.max_body < 1:
            raise ConfigurationError(f"--max-body is {self.max_body}: use a positive number of bytes")
        for name, value in (("--read-timeout", self.read_timeout_ns), ("--write-timeout", self.write_timeout_ns)):
            if value <= 0:
                raise ConfigurationError(f"{name} has to be more than 0")
        if not (self.bind.is_loopback or self.unsafe_bind or self.is_guarded):
            raise ConfigurationError(
                f"{self.bind} is not a loopback address and everybody would be let in: use --token-file or "
                "--tls-client-ca to say who may, or --unsafe-bind if something in front of the server does"
            )

    @property
    def is_guarded(self) -> bool:
        """Whether clients have to show who they are."""
        return self.token_file is not None or self.tls_client_ca is not None

    @property
    def auth(self) -> str:
        """How they do: ``none``, ``mtls`` or ``token``."""
        if self.token_file is not None:
            return "token"
        return "none" if self.tls_client_ca is None else "mtls"


def tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    """Return the server's side of TLS, if it is to be used.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    if options.tls_cert is None or options.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key, password=_no_password)
    except (OSError, ValueError) as e:
        raise ConfigurationError(f"cannot use {options.tls_cert} with {options.tls_key}: {_reason(e)}") from e
    if options.tls_client_ca is not None:
        try:
            context.load_verify_locations(options.tls_client_ca)
        except OSError as e:
            raise ConfigurationError(f"cannot use the authority {options.tls_client_ca}: {_reason(e)}") from e
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    raise ConfigurationError("the key of --tls-key has a password: use one without, in a file that only you can read")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is not in PEM form"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
